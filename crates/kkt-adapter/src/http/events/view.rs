//! Events as they stand on the wire: name, id, one line of JSON.

use super::Told;
use crate::{
    domain::{
        ids::{DeviceId, PosId, ReceiptId},
        lifecycle::State,
    },
    http::{breakers::state_schema, view::Time},
    ports::Event,
};
use schemars::JsonSchema;
use serde::Serialize;
use std::fmt::Write as _;

/// The data of an event; the name says which.
#[derive(Serialize, JsonSchema)]
#[serde(untagged)]
#[schemars(rename = "EventData")]
pub enum Data<'a> {
    Breaker(BreakerEvent<'a>),
    Command(CommandEvent<'a>),
    Receipt(ReceiptEvent<'a>),
    DeadLetter(DeadLetterEvent<'a>),
    Hello(HelloEvent),
    Lost(LostEvent),
}

/// `breaker`: a breaker came into a state, or was given a new reason to stay in it.
#[derive(Serialize, JsonSchema)]
pub struct BreakerEvent<'a> {
    at: Time,
    key: &'a str,
    #[schemars(schema_with = "state_schema")]
    from: &'static str,
    #[schemars(schema_with = "state_schema")]
    to: &'static str,
    generation: u64,
    reason: String,
    by: Option<&'a str>,
    why: Option<&'a str>,
}

/// `command`: a person commanded a breaker.
#[derive(Serialize, JsonSchema)]
pub struct CommandEvent<'a> {
    at: Time,
    key: &'a str,
    /// `force_open`, `force_closed`, `release`, `reset`.
    command: &'static str,
    by: &'a str,
    why: &'a str,
}

/// `receipt`: a document came into a state.
#[derive(Serialize, JsonSchema)]
pub struct ReceiptEvent<'a> {
    at: Time,
    receipt_id: ReceiptId,
    /// The till, where it is known.
    pos_id: Option<&'a PosId>,
    device: &'a DeviceId,
    state: State,
}

/// `dead_letter`: a document came into the dead letters, or a person did something about it there.
#[derive(Serialize, JsonSchema)]
pub struct DeadLetterEvent<'a> {
    at: Time,
    receipt_id: ReceiptId,
    device: &'a DeviceId,
    /// `died`, `parked`, `requeued`, `resolved`.
    action: &'static str,
    by: &'a str,
    why: &'a str,
}

/// `hello`: the stream begins; its id is one to come back with.
#[derive(Serialize, JsonSchema)]
pub struct HelloEvent {}

/// `lost`: events fell out of the log before they could be sent; look at everything anew.
#[derive(Serialize, JsonSchema)]
pub struct LostEvent {
    /// How many; `null`: nobody knows.
    pub count: Option<u64>,
}

impl Data<'_> {
    /// The name that stands in `event:`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Breaker(_) => "breaker",
            Self::Command(_) => "command",
            Self::Receipt(_) => "receipt",
            Self::DeadLetter(_) => "dead_letter",
            Self::Hello(_) => "hello",
            Self::Lost(_) => "lost",
        }
    }
}

/// Appends one server-sent event. JSON has no bare line ends, so it is one `data` line whatever a reason contains.
pub(super) fn write(out: &mut String, run: &str, number: u64, data: &Data<'_>) {
    let json = serde_json::to_string(data).expect("an event has only string keys and finite numbers");
    let _ = write!(out, "id: {run}-{number}\nevent: {}\ndata: {json}\n\n", data.name());
}

/// The data of an event.
pub(super) fn data(told: &Told) -> Data<'_> {
    let at = Time(told.at);
    match &told.event {
        Event::Breaker { key, explanation } => Data::Breaker(BreakerEvent {
            at,
            key,
            from: explanation.from.as_str(),
            to: explanation.to.as_str(),
            generation: explanation.generation,
            reason: explanation.to_string(),
            by: explanation.who.as_deref(),
            why: explanation.why.as_deref(),
        }),
        Event::Command { key, command, by, why } => {
            Data::Command(CommandEvent { at, key, command, by: &by.0, why })
        }
        Event::Document { id, pos_id, device, state } => Data::Receipt(ReceiptEvent {
            at,
            receipt_id: *id,
            pos_id: pos_id.as_ref(),
            device,
            state: *state,
        }),
        Event::DeadLetter { id, device, action, by, why } => {
            Data::DeadLetter(DeadLetterEvent { at, receipt_id: *id, device, action, by: &by.0, why })
        }
    }
}
