use super::Plan;
use super::fault::{DownMode, Fault, GarbageForm, RetryAfter};
use super::fields::{Fields, PlanError};
use super::rule::{Calls, Rule, When};
use serde_json::{Value, json};
use std::time::Duration;

const PLAN_FIELDS: &[&str] = &["seed", "dedup", "rules"];
const RULE_FIELDS: &[&str] = &["fault", "when", "times", "delay_ms", "delay_jitter_ms"];
const WHEN_FIELDS: &[&str] = &[
    "calls",
    "key",
    "pos_id",
    "fn",
    "fd",
    "document",
    "attempt",
    "from_ms",
    "until_ms",
    "nth",
    "every",
    "probability",
];
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Each fault with the fields that only it has.
const FAULTS: &[(&str, &[&str])] = &[
    ("ok", &[]),
    ("fail", &["status", "retry_after", "detail"]),
    ("latency", &[]),
    ("hang", &["store"]),
    ("reset", &["store"]),
    ("garbage", &["form", "store"]),
    ("store_then_cut", &[]),
    ("flap", &["up_ms", "up_max_ms", "down_ms", "down_max_ms", "down", "status"]),
    ("too_many_requests", &["retry_after"]),
    ("reject", &["status", "code", "detail"]),
    ("poison", &["status"]),
    ("unauthorised", &["status", "retry_after", "detail"]),
    ("slow", &["byte_ms"]),
    ("endless", &["store"]),
    ("dedup_off", &[]),
];

pub(super) const GARBAGE_FORMS: &[(&str, GarbageForm)] = &[
    ("wire", GarbageForm::Wire),
    ("html", GarbageForm::Html),
    ("json", GarbageForm::Json),
    ("other_json", GarbageForm::OtherJson),
];
pub(super) const CALLS: &[(&str, Calls)] =
    &[("all", Calls::All), ("receipts", Calls::Receipts), ("pings", Calls::Pings)];

impl Plan {
    /// Reads the JSON form: `{"seed":…,"dedup":…,"rules":[…]}`, or one rule by itself (`{"fault":"fail","status":503}`)
    /// as a short form of a plan with that rule.
    ///
    /// # Errors
    /// An unknown field or fault, a wrong type or a value out of range: names the field and what is allowed.
    pub fn from_json(value: &Value) -> Result<Self, PlanError> {
        let body = Fields::new(value, vec![json!("body")])?;
        if body.get("fault").is_some() {
            return short_form(value, &body);
        }
        body.allow("a plan (or give one rule with \"fault\")", &[PLAN_FIELDS])?;
        let rules = match body.get("rules") {
            None => &[][..],
            Some(Value::Array(rules)) if rules.len() <= Self::RULES_MAX => rules,
            Some(_) => {
                let msg = format!("must be a list of at most {} rules", Self::RULES_MAX);
                return Err(body.error("rules", "type", msg));
            }
        };
        let rules = rules.iter().enumerate().map(|(i, rule)| {
            let mut loc = body.loc("rules");
            loc.push(json!(i));
            parse_rule(&Fields::new(rule, loc)?)
        });
        Ok(Self {
            seed: body.integer("seed", 0..=u64::MAX)?.unwrap_or(0),
            dedup: body.flag("dedup", true)?,
            rules: rules.collect::<Result<_, _>>()?,
        })
    }
}

fn short_form(value: &Value, body: &Fields<'_>) -> Result<Plan, PlanError> {
    match body.get("fault").and_then(Value::as_str) {
        Some("ok") if value.as_object().is_some_and(|o| o.len() == 1) => Ok(Plan::ok()),
        Some("dedup_off") => {
            body.allow("dedup_off", &[&["fault"]])?;
            Ok(Plan::ok().dedup_off())
        }
        _ => Ok(Plan::ok().rule(parse_rule(body)?)),
    }
}

fn parse_rule(f: &Fields<'_>) -> Result<Rule, PlanError> {
    let names: Vec<_> = FAULTS.iter().map(|row| (row.0, *row)).collect();
    let Some((name, own)) = f.choice("fault", &names)? else {
        let names: Vec<_> = FAULTS.iter().map(|row| row.0).collect();
        return Err(f.error("fault", "missing", format!("is required: one of {}", names.join(", "))));
    };
    f.allow(&format!("a {name} rule"), &[RULE_FIELDS, own])?;
    let rule = Rule {
        when: parse_when(f)?,
        times: f.integer("times", 0..=u64::MAX)?,
        delay: f.millis("delay_ms", 0..=DAY_MS)?.unwrap_or_default(),
        delay_jitter: f.millis("delay_jitter_ms", 0..=DAY_MS)?.unwrap_or_default(),
        fault: parse_fault(f, name)?,
    };
    if name == "latency" && rule.delay.is_zero() && rule.delay_jitter.is_zero() {
        return Err(f.error("delay_ms", "missing", "latency needs delay_ms or delay_jitter_ms".into()));
    }
    let when = &rule.when;
    if name == "poison" && when.key.is_none() && (when.fn_number.is_none() || when.fd.is_none()) {
        return Err(f.error("when", "missing", "poison needs when.key, or when.fn and when.fd".into()));
    }
    Ok(rule)
}

fn parse_fault(f: &Fields<'_>, name: &str) -> Result<Fault, PlanError> {
    let fail = |status, retry_after, detail| Fault::Fail { status, retry_after, detail };
    Ok(match name {
        "ok" | "latency" => Fault::Ok,
        "fail" => fail(f.status("status", 503)?, retry_after(f)?, f.text("detail")?),
        "too_many_requests" => fail(429, Some(retry_after(f)?.unwrap_or(RetryAfter::Seconds(1))), None),
        "poison" => fail(f.status("status", 500)?, None, None),
        "unauthorised" => match f.status("status", 401)? {
            status @ (401 | 403) => fail(status, retry_after(f)?, f.text("detail")?),
            _ => return Err(f.error("status", "range", "must be 401 or 403".into())),
        },
        "reject" => parse_reject(f)?,
        "hang" => Fault::Hang { store: f.flag("store", false)? },
        "reset" => Fault::Reset { store: f.flag("store", false)? },
        "store_then_cut" => Fault::StoreThenCut,
        "garbage" => Fault::Garbage {
            form: f.choice("form", GARBAGE_FORMS)?.unwrap_or(GarbageForm::Wire),
            store: f.flag("store", false)?,
        },
        "slow" => Fault::Slow {
            byte_interval: f.millis("byte_ms", 1..=3_600_000)?.unwrap_or(Duration::from_millis(100)),
        },
        "endless" => Fault::Endless { store: f.flag("store", false)? },
        "flap" => parse_flap(f)?,
        _ => {
            let msg = "dedup_off is not a rule: give \"dedup\": false beside \"rules\"".into();
            return Err(f.error("fault", "unknown_value", msg));
        }
    })
}

fn parse_reject(f: &Fields<'_>) -> Result<Fault, PlanError> {
    let status = match f.integer("status", 200..=499)? {
        None => 422,
        Some(s @ (200 | 400..=499)) => u16::try_from(s).expect("at most 499"),
        Some(_) => return Err(f.error("status", "range", "must be 200 or from 400 to 499".into())),
    };
    let code = match f.get("code") {
        None => 14,
        Some(v) => v.as_i64().ok_or_else(|| f.error("code", "type", "must be a whole number".into()))?,
    };
    Ok(Fault::Reject { status, code, detail: f.text("detail")? })
}

fn parse_flap(f: &Fields<'_>) -> Result<Fault, PlanError> {
    let range = |from: &str, to: &str| {
        let Some(low) = f.millis(from, 1..=DAY_MS)? else {
            return Err(f.error(from, "missing", format!("flap needs {from}, in ms from 1 to {DAY_MS}")));
        };
        let high = f.millis(to, 1..=DAY_MS)?.unwrap_or(low);
        if high < low {
            return Err(f.error(to, "range", format!("must not be below {from}")));
        }
        Ok((low, high))
    };
    let modes = [
        ("fail", DownMode::Fail(f.status("status", 503)?)),
        ("reset", DownMode::Reset),
        ("hang", DownMode::Hang),
    ];
    Ok(Fault::Flap {
        up: range("up_ms", "up_max_ms")?,
        down: range("down_ms", "down_max_ms")?,
        mode: f.choice("down", &modes)?.unwrap_or(modes[0].1),
    })
}

fn retry_after(f: &Fields<'_>) -> Result<Option<RetryAfter>, PlanError> {
    let bad = || {
        let msg = "must be seconds as a whole number, or a string of printable ASCII sent as it is".into();
        f.error("retry_after", "type", msg)
    };
    match f.get("retry_after") {
        None => Ok(None),
        Some(Value::String(s)) if s.len() <= 256 && s.bytes().all(|b| (0x20..0x7f).contains(&b)) => {
            Ok(Some(RetryAfter::Text(s.clone())))
        }
        Some(v) => v.as_u64().map(|n| Some(RetryAfter::Seconds(n))).ok_or_else(bad),
    }
}

fn parse_when(rule: &Fields<'_>) -> Result<When, PlanError> {
    let Some(value) = rule.get("when") else { return Ok(When::default()) };
    let f = Fields::new(value, rule.loc("when"))?;
    f.allow("when", &[WHEN_FIELDS])?;
    let probability = match f.get("probability") {
        None => None,
        Some(v) => Some(
            v.as_f64()
                .filter(|p| (0.0..=1.0).contains(p))
                .ok_or_else(|| f.error("probability", "range", "must be a number from 0 to 1".into()))?,
        ),
    };
    Ok(When {
        calls: f.choice("calls", CALLS)?.unwrap_or_default(),
        key: f.text("key")?,
        pos_id: f.text("pos_id")?,
        fn_number: f.text("fn")?,
        fd: f.integer("fd", 0..=u64::from(u32::MAX))?.and_then(|n| u32::try_from(n).ok()),
        document: f.text("document")?,
        attempt: f.integer("attempt", 1..=u64::MAX)?,
        from: f.millis("from_ms", 0..=u64::MAX)?,
        until: f.millis("until_ms", 0..=u64::MAX)?,
        nth: f.integer("nth", 1..=u64::MAX)?,
        every: f.integer("every", 1..=u64::MAX)?,
        probability,
    })
}
