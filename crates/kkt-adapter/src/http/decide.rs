//! `POST /v1/kkt/receipt/{id}/decide`: a person has looked at the paper of a `print_unknown` document.
//!
//! `{"printed": false, "reason"}`: it is not on paper, the adapter will print it.
//! `{"printed": true, "fiscal_doc_number", "fiscal_sign", "reason"}`: it is. What else belongs to the fiscal document
//! may be copied from the paper too (`fiscal_datetime`, `fn_number`, `kkt_number`, `shift_number`, `receipt_number`);
//! what is left out is taken from the latest printed document of the same device, or from the receipt itself.

use super::{
    body,
    documents::{REASON_MAX, find},
    error::ApiError,
    gate::{access, detached},
    router::{App, Shared},
    view::{EntryView, json},
};
use crate::{
    domain::{
        document::{DocumentKind, FiscalDoc},
        entry::Entry,
        lifecycle::State as DocumentState,
        money::Kopecks,
        receipt::{Receipt, ReceiptKind},
        validate::{
            form::Form,
            problem::FieldError,
            schema::{TEXT, digits as digits_schema, digits_or_none, whole, whole_or_none},
        },
    },
    ports::{ListFilter, Verdict},
};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use jiff::{civil::DateTime, tz::TimeZone};
use schemars::{JsonSchema, Schema, generate::SchemaSettings, json_schema};
use serde_json::{Map, Value};
use std::sync::Arc;

/// What was read off the paper.
#[derive(JsonSchema)]
struct Paper {
    /// ФД number.
    #[schemars(schema_with = "whole::<1, NUMBER_MAX>")]
    fiscal_doc_number: u32,
    /// ФП.
    #[schemars(schema_with = "digits_schema::<SIGN_DIGITS>")]
    fiscal_sign: String,
    /// Local time of the KKT, `YYYY-MM-DDTHH:MM:SS`.
    #[serde(default)]
    #[schemars(with = "Option<String>")]
    fiscal_datetime: Option<DateTime>,
    /// Serial number of the ФН.
    #[serde(default)]
    #[schemars(schema_with = "digits_or_none::<FN_DIGITS>")]
    fn_number: Option<String>,
    /// Serial number of the KKT.
    #[serde(default)]
    #[schemars(schema_with = "digits_or_none::<KKT_DIGITS>")]
    kkt_number: Option<String>,
    #[serde(default)]
    #[schemars(schema_with = "whole_or_none::<1, NUMBER_MAX>")]
    shift_number: Option<u32>,
    #[serde(default)]
    #[schemars(schema_with = "whole_or_none::<1, NUMBER_MAX>")]
    receipt_number: Option<u32>,
}

/// Largest number that a ФН counts to.
const NUMBER_MAX: i64 = u32::MAX as i64;
/// Most digits of a ФП, of a ФН's and of a KKT's serial number.
const SIGN_DIGITS: usize = 10;
const FN_DIGITS: usize = 16;
const KKT_DIGITS: usize = 20;

/// What a person saw on the paper. What is left out of a printed one is taken from the latest printed document of the
/// same device, or from the receipt itself.
#[derive(JsonSchema)]
#[schemars(transform = of_the_paper)]
pub struct Decision {
    /// Whether it is on paper. `false`: the adapter will print it.
    #[schemars(with = "bool", rename = "printed")]
    paper: Option<Paper>,
    /// Why, for the audit.
    #[schemars(length(min = 1, max = REASON_MAX), regex(pattern = TEXT))]
    reason: String,
}

/// The fields of the paper stand beside `printed`, and count only if that is true.
fn of_the_paper(schema: &mut Schema) {
    let printed = json_schema!({ "properties": { "printed": { "const": true } }, "required": ["printed"] });
    let settings =
        SchemaSettings::draft2020_12().for_deserialize().with(|settings| settings.meta_schema = None);
    let mut paper = settings.into_generator().into_root_schema_for::<Paper>();
    paper.remove("title");
    schema.insert("if".into(), printed.to_value());
    schema.insert("then".into(), paper.to_value());
}

fn read(form: &mut Form, map: &mut Map<String, Value>) -> Option<Decision> {
    let printed = form.required(map, "printed").and_then(|value| {
        let printed = value.as_bool();
        if printed.is_none() {
            form.fail(Some("printed".into()), "bool_type", "must be true or false", &value);
        }
        printed
    });
    let reason = form.required(map, "reason").and_then(|value| form.text("reason", value, REASON_MAX));
    let paper = if printed? { Some(read_paper(form, map)?) } else { None };
    Some(Decision { paper, reason: reason? })
}

fn read_paper(form: &mut Form, map: &mut Map<String, Value>) -> Option<Paper> {
    let number = form.required(map, "fiscal_doc_number").and_then(|v| counted(form, "fiscal_doc_number", &v));
    let sign = form.required(map, "fiscal_sign").and_then(|v| digits(form, "fiscal_sign", &v, SIGN_DIGITS));
    let fiscal_datetime = form.optional(map, "fiscal_datetime").and_then(|value| {
        let read = value.as_str().and_then(|text| text.parse::<DateTime>().ok());
        if read.is_none() {
            form.fail(
                Some("fiscal_datetime".into()),
                "datetime_parsing",
                "must be YYYY-MM-DDTHH:MM:SS",
                &value,
            );
        }
        read
    });
    let fn_number =
        form.optional(map, "fn_number").and_then(|value| digits(form, "fn_number", &value, FN_DIGITS));
    let kkt_number =
        form.optional(map, "kkt_number").and_then(|value| digits(form, "kkt_number", &value, KKT_DIGITS));
    let shift_number =
        form.optional(map, "shift_number").and_then(|value| counted(form, "shift_number", &value));
    let receipt_number =
        form.optional(map, "receipt_number").and_then(|value| counted(form, "receipt_number", &value));
    Some(Paper {
        fiscal_doc_number: number?,
        fiscal_sign: sign?,
        fiscal_datetime,
        fn_number,
        kkt_number,
        shift_number,
        receipt_number,
    })
}

fn counted(form: &mut Form, field: &'static str, value: &Value) -> Option<u32> {
    form.whole(field, value, 1, NUMBER_MAX).and_then(|number| u32::try_from(number).ok())
}

/// Digits as a string or a number; zeros in front are kept where they were sent.
fn digits(form: &mut Form, field: &'static str, value: &Value, max: usize) -> Option<String> {
    let text = match value {
        Value::Number(number) => Some(number.as_str()),
        other => other.as_str(),
    };
    match text {
        Some(text) if (1..=max).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit()) => {
            Some(text.into())
        }
        _ => {
            form.fail(
                Some(field.into()),
                "string_pattern_mismatch",
                format!("must be 1 to {max} digits"),
                value,
            );
            None
        }
    }
}

/// The latest document the same device printed, which knows who the device is.
async fn sibling(app: &App, entry: &Entry) -> Result<Option<FiscalDoc>, ApiError> {
    for state in [DocumentState::Printed, DocumentState::Synced, DocumentState::Dead] {
        let filter = ListFilter {
            device: Some(entry.device.clone()),
            state: Some(state),
            limit: 1,
            ..ListFilter::default()
        };
        let page = app.ports.buffer.list(filter).await?;
        if let Some(fiscal) = page.entries.into_iter().find_map(|entry| entry.fiscal) {
            return Ok(Some(fiscal));
        }
    }
    Ok(None)
}

fn missing(field: &'static str) -> ApiError {
    let msg = "this device has printed nothing before that tells it: copy it from the paper";
    ApiError::fields(vec![FieldError::new("missing", vec!["body".into(), field.into()], msg, &Value::Null)])
}

/// The QR code's text in its official form; empty for shift documents.
fn qr(
    receipt: Option<&Receipt>,
    at: DateTime,
    total: Kopecks,
    fn_number: &str,
    number: u32,
    sign: &str,
) -> String {
    let kind = match receipt.map(|receipt| receipt.kind) {
        Some(ReceiptKind::Sale | ReceiptKind::Correction) => 1,
        Some(ReceiptKind::Refund) => 2,
        None => return String::new(),
    };
    format!("t={}&s={total}&fn={fn_number}&i={number}&fp={sign}&n={kind}", at.strftime("%Y%m%dT%H%M"))
}

/// The fiscal document of the paper.
fn document(
    entry: &Entry,
    paper: Paper,
    sibling: Option<FiscalDoc>,
    zone: &TimeZone,
) -> Result<FiscalDoc, ApiError> {
    let known = sibling.as_ref();
    let fn_number = paper
        .fn_number
        .or_else(|| known.map(|doc| doc.fn_number.clone()))
        .ok_or_else(|| missing("fn_number"))?;
    let kkt_number = paper
        .kkt_number
        .or_else(|| known.map(|doc| doc.kkt_number.clone()))
        .ok_or_else(|| missing("kkt_number"))?;
    let shift_number =
        paper.shift_number.or(known.map(|doc| doc.shift_number)).ok_or_else(|| missing("shift_number"))?;
    let of_receipt = entry.kind == DocumentKind::Receipt;
    let at = paper.fiscal_datetime.unwrap_or_else(|| zone.to_datetime(entry.created_at));
    let total = entry.receipt.as_ref().map(Receipt::total).unwrap_or_default();
    Ok(FiscalDoc {
        fiscal_doc_number: paper.fiscal_doc_number,
        fiscal_datetime: at.strftime("%Y-%m-%dT%H:%M:%S").to_string(),
        qr_code_data: qr(
            entry.receipt.as_ref(),
            at,
            total,
            &fn_number,
            paper.fiscal_doc_number,
            &paper.fiscal_sign,
        ),
        fiscal_sign: paper.fiscal_sign,
        fn_number,
        kkt_number,
        shift_number,
        receipt_number: paper.receipt_number.filter(|_| of_receipt).unwrap_or_default(),
        ofd_name: known.map(|doc| doc.ofd_name.clone()).unwrap_or_default(),
        inn: known.map(|doc| doc.inn.clone()).unwrap_or_default(),
        rn_kkt: known.map(|doc| doc.rn_kkt.clone()).unwrap_or_default(),
        total,
    })
}

/// Carries the decision out.
pub async fn decide(
    State(app): State<Shared>,
    Path(name): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let bearer = access(&parts.extensions)?;
    let decision = body::form(&parts, body, &app.ports.options, read).await?;
    let entry = find(&app, &name, bearer).await?;
    let verdict = match decision.paper {
        Some(paper) => {
            let sibling = sibling(&app, &entry).await?;
            Verdict::Printed(Box::new(document(&entry, paper, sibling, &app.ports.options.zone)?))
        }
        None => Verdict::NotPrinted,
    };
    let (till, by, id) = (Arc::clone(&app.ports.till), bearer.actor(), entry.id);
    let entry = detached(async move { till.decide(id, verdict, by, decision.reason).await }).await??;
    Ok(json(StatusCode::OK, &EntryView::whole(&entry, app.ports.fiscal())))
}
