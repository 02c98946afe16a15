//! The breakers of the adapter: `ofd` for the endpoint, `device:<id>` for each KKT's credentials.

use crate::{
    domain::{
        entry::{Actor, AuditEvent},
        ids::DeviceId,
    },
    ports::{
        BreakerCommand, BreakerControl, BreakerError, BreakerView, Buffer, Clock, Event as Happening,
        Observer,
    },
};
use async_trait::async_trait;
use circuit_breaker::{
    CircuitBreaker, Config, ConfigError, Event, EventKind, OnDrop, Registry, RegistryError, State, Tick,
};
use jiff::{SignedDuration, Timestamp};
use std::{
    collections::BTreeMap,
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::{Duration, SystemTime},
};
use tokio::sync::Notify;

/// The endpoint's key.
const ENDPOINT: &str = "ofd";

/// Devices that may have a breaker; as many as there may be devices.
const DEVICES_MAX: usize = 10_000;

/// A send that was dropped after it had run for so long counts as a failure; a shorter one was the adapter's stop.
const DROP_IS_FAILURE_AFTER: Duration = Duration::from_secs(1);

/// A forced state that ends by itself.
#[derive(Debug, Clone, Copy)]
struct Forced {
    /// Which command it was, so that a later one is not undone by an earlier one's timer.
    command: u64,
    until: Timestamp,
}

/// What a person freed by a command or by new numbers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Freed {
    Endpoint,
    Device(DeviceId),
    /// The open times of all may be shorter now.
    All,
}

type OnFreed = Box<dyn Fn(&Freed) + Send + Sync>;

/// The adapter's clock as the breakers take it: one time for deadlines and for the pauses of the lanes.
struct Time(AssertUnwindSafe<Arc<dyn Clock>>);

impl fmt::Debug for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Time")
    }
}

impl circuit_breaker::Clock for Time {
    fn now(&self) -> Tick {
        Tick::from_nanos(u64::try_from(self.0.monotonic().0.as_nanos()).unwrap_or(u64::MAX))
    }

    fn wall(&self) -> SystemTime {
        let since_epoch = self.0.wall().duration_since(Timestamp::UNIX_EPOCH);
        let epoch = SystemTime::UNIX_EPOCH;
        let (size, is_before) = (since_epoch.unsigned_abs(), since_epoch.is_negative());
        if is_before { epoch.checked_sub(size) } else { epoch.checked_add(size) }.unwrap_or(epoch)
    }
}

/// All breakers, and the commands of people.
pub struct Breakers {
    endpoint: CircuitBreaker,
    devices: Registry,
    /// The till's name of a configured device; others have the name of their till.
    pos_of: BTreeMap<DeviceId, String>,
    changed: Arc<Notify>,
    buffer: Arc<dyn Buffer>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    /// Held over a command and the note of it, so that both have one order.
    commands: Mutex<()>,
    forced: Mutex<(u64, BTreeMap<String, Forced>)>,
    on_freed: OnceLock<OnFreed>,
    /// For the timers of what is forced.
    me: Weak<Self>,
}

impl Breakers {
    /// Makes the endpoint's breaker; those of the devices are made at first use.
    ///
    /// # Errors
    /// [`ConfigError`] if the configuration is impossible.
    pub fn new(
        config: Config,
        pos_of: BTreeMap<DeviceId, String>,
        buffer: Arc<dyn Buffer>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Arc<Self>, ConfigError> {
        let changed = Arc::new(Notify::new());
        let config = config.on_drop(OnDrop::FailureAfter(DROP_IS_FAILURE_AFTER));
        let (told, told_too, of_devices) = (changed.clone(), observer.clone(), observer.clone());
        let builder =
            |config| CircuitBreaker::builder().config(config).clock(Time(AssertUnwindSafe(clock.clone())));
        let endpoint = builder(config.clone()).name(ENDPOINT).on_event(move |event| {
            log(event);
            told.notify_one();
            tell(&*told_too, event);
        });
        let of_each = builder(config).on_event(move |event| {
            log(event);
            tell(&*of_devices, event);
        });
        let devices = Registry::builder(of_each);
        let (endpoint, devices) = (endpoint.build()?, devices.max_keys(DEVICES_MAX).build()?);
        Ok(Arc::new_cyclic(|me| Self {
            endpoint,
            devices,
            pos_of,
            changed,
            buffer,
            clock,
            observer,
            commands: Mutex::default(),
            forced: Mutex::default(),
            on_freed: OnceLock::new(),
            me: me.clone(),
        }))
    }

    /// Replaces the numbers of every breaker; states, totals and open circuits stay (B19).
    ///
    /// # Errors
    /// [`ConfigError`]; then nothing has changed.
    pub fn set_config(&self, config: Config) -> Result<(), ConfigError> {
        let config = config.on_drop(OnDrop::FailureAfter(DROP_IS_FAILURE_AFTER));
        self.endpoint.set_config(config.clone())?;
        self.devices.set_config(config)?;
        self.free(&Freed::All);
        Ok(())
    }

    /// From now on `told` hears what people free. The first one stays.
    pub(super) fn on_freed(&self, told: OnFreed) {
        let _ = self.on_freed.set(told);
    }

    fn free(&self, freed: &Freed) {
        if let Some(told) = self.on_freed.get() {
            told(freed);
        }
    }

    pub(super) fn ofd(&self) -> &CircuitBreaker {
        &self.endpoint
    }

    /// Notified at each transition of the endpoint's breaker.
    pub(super) fn changed(&self) -> &Arc<Notify> {
        &self.changed
    }

    pub(super) fn device(&self, device: &DeviceId) -> Result<CircuitBreaker, RegistryError> {
        self.devices.get_or_create(&device_key(device))
    }

    fn named(&self, key: &str) -> Option<CircuitBreaker> {
        if key == ENDPOINT { Some(self.endpoint.clone()) } else { self.devices.get(key) }
    }

    fn view(&self, key: &str, breaker: &CircuitBreaker) -> BreakerView {
        let snapshot = breaker.snapshot();
        let pos_id = key.strip_prefix("device:").map_or_else(String::new, |device| {
            let configured = device.parse().ok().and_then(|id: DeviceId| self.pos_of.get(&id).cloned());
            configured.unwrap_or_else(|| device.to_owned())
        });
        let forced = self.forced.lock().unwrap_or_else(PoisonError::into_inner).1.get(key).copied();
        let is_forced = snapshot.state == State::ForcedOpen;
        BreakerView {
            key: key.to_owned(),
            pos_id,
            since: wall(snapshot.since),
            last_failure: snapshot.last_failure.map(wall),
            reason: (snapshot.generation > 0).then(|| snapshot.explanation.to_string()),
            retry_after: snapshot.retry_after,
            forced_until: forced.filter(|_| is_forced).map(|forced| forced.until),
            snapshot,
        }
    }

    /// Carries out a command.
    fn carry_out(
        &self,
        key: &str,
        breaker: &CircuitBreaker,
        command: &BreakerCommand,
        by: &Actor,
        why: String,
    ) {
        let _in_order = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        self.note_command(key, command);
        let hand = breaker.by(by.0.clone());
        match command {
            BreakerCommand::ForceOpen { .. } => return drop(hand.force_open(why)),
            BreakerCommand::ForceClosed => drop(hand.force_closed(why)),
            BreakerCommand::Release => drop(hand.release(why)),
            BreakerCommand::Reset => drop(hand.reset(why)),
        }
        match device_of(key) {
            Some(device) => self.free(&Freed::Device(device)),
            None => self.free(&Freed::Endpoint),
        }
    }

    /// Notes that this is the latest command; for a forced state with an end, starts its timer.
    fn note_command(&self, key: &str, command: &BreakerCommand) {
        let mut forced = self.forced.lock().unwrap_or_else(PoisonError::into_inner);
        forced.0 += 1;
        let number = forced.0;
        forced.1.remove(key);
        let BreakerCommand::ForceOpen { for_how_long: Some(time) } = command else { return };
        let span = SignedDuration::try_from(*time).unwrap_or(SignedDuration::MAX);
        let until = self.clock.wall().checked_add(span).unwrap_or(Timestamp::MAX);
        forced.1.insert(key.to_owned(), Forced { command: number, until });
        let (breakers, key, time) = (self.me.clone(), key.to_owned(), *time);
        tokio::spawn(async move {
            tokio::time::sleep(time).await;
            if let Some(breakers) = breakers.upgrade() {
                breakers.time_is_over(&key, number);
            }
        });
    }

    /// Releases what command `number` has forced, unless there was a later one.
    fn time_is_over(&self, key: &str, number: u64) {
        let _in_order = self.commands.lock().unwrap_or_else(PoisonError::into_inner);
        {
            let mut forced = self.forced.lock().unwrap_or_else(PoisonError::into_inner);
            if forced.1.get(key).is_none_or(|entry| entry.command != number) {
                return;
            }
            forced.1.remove(key);
        }
        let Some(breaker) = self.named(key) else { return };
        drop(breaker.by("system").release("its time was over"));
        // A pause that the OFD asked for stays: nobody has decided about it.
        if let Some(device) = device_of(key) {
            self.free(&Freed::Device(device));
        }
    }

    /// Writes a command that was carried out to the audit. A buffer that cannot take it must not keep a person from
    /// commanding: then the log is all there is of it.
    async fn write_down(&self, audit: AuditEvent) {
        let AuditEvent { subject, action, actor, detail, .. } = audit.clone();
        if let Err(error) = self.buffer.record(audit).await {
            tracing::error!(
                subject, action, by = actor.0, why = detail, %error, alarm = "audit_lost",
                "this command was carried out and cannot be written to the audit"
            );
        }
    }
}

fn device_key(device: &DeviceId) -> String {
    format!("device:{device}")
}

/// The device of a key; `None`: it is the endpoint's.
fn device_of(key: &str) -> Option<DeviceId> {
    key.strip_prefix("device:")?.parse().ok()
}

fn wall(time: SystemTime) -> Timestamp {
    Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH)
}

fn log(event: &Event) {
    match &event.kind {
        EventKind::Transition(explanation) => tracing::warn!(
            breaker = %event.breaker,
            from = %explanation.from,
            to = %explanation.to,
            why = %explanation,
            generation = event.generation,
            "circuit breaker"
        ),
        EventKind::ReasonUpdated(explanation) => {
            tracing::info!(breaker = %event.breaker, why = %explanation, "circuit breaker: new reason");
        }
        _ => {}
    }
}

/// Passes on what people watch for.
fn tell(observer: &dyn Observer, event: &Event) {
    if let EventKind::Transition(explanation) | EventKind::ReasonUpdated(explanation) = &event.kind {
        let (key, explanation) = (event.breaker.clone(), Box::new(explanation.clone()));
        observer.event(Happening::Breaker { key, explanation });
    }
}

#[async_trait]
impl BreakerControl for Breakers {
    fn endpoint(&self) -> BreakerView {
        self.view(ENDPOINT, &self.endpoint)
    }

    fn breakers(&self) -> Vec<BreakerView> {
        let devices = self.devices.breakers();
        let devices = devices.iter().map(|(key, breaker)| self.view(key, breaker));
        std::iter::once(self.endpoint()).chain(devices).collect()
    }

    fn breaker(&self, key: &str) -> Option<BreakerView> {
        self.named(key).map(|breaker| self.view(key, &breaker))
    }

    async fn command(
        &self,
        key: &str,
        command: BreakerCommand,
        by: Actor,
        why: String,
    ) -> Result<BreakerView, BreakerError> {
        let breaker = self.named(key).ok_or_else(|| BreakerError::NotFound(key.to_owned()))?;
        let audit = AuditEvent {
            at: self.clock.wall(),
            subject: format!("breaker:{key}"),
            action: command.as_str().to_owned(),
            actor: by.clone(),
            detail: why.clone(),
        };
        let (name, person, reason) = (command.as_str(), by.clone(), why.clone());
        let event = Happening::Command { key: key.to_owned(), command: name, by: person, why: reason };
        self.observer.event(event);
        self.carry_out(key, &breaker, &command, &by, why);
        self.write_down(audit).await;
        Ok(self.view(key, &breaker))
    }
}
