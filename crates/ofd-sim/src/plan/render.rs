use super::Plan;
use super::fault::{DownMode, Fault, RetryAfter};
use super::parse::{CALLS, GARBAGE_FORMS};
use super::rule::{Calls, Rule, When};
use serde_json::{Map, Value, json};
use std::time::Duration;

impl Plan {
    /// The JSON form, which [`Plan::from_json`] reads back.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let rules: Vec<_> = self.rules.iter().map(rule).collect();
        json!({"seed": self.seed, "dedup": self.dedup, "rules": rules})
    }
}

fn millis(d: Duration) -> u64 {
    u64::try_from(d.as_millis()).unwrap_or(u64::MAX)
}

fn rule(rule: &Rule) -> Value {
    let mut out = Map::new();
    out.insert("fault".into(), json!(rule.fault.name()));
    fault(&rule.fault, &mut out);
    let when = when(&rule.when);
    if !when.is_empty() {
        out.insert("when".into(), Value::Object(when));
    }
    put(&mut out, "times", rule.times);
    put(&mut out, "delay_ms", Some(millis(rule.delay)).filter(|ms| *ms > 0));
    put(&mut out, "delay_jitter_ms", Some(millis(rule.delay_jitter)).filter(|ms| *ms > 0));
    Value::Object(out)
}

fn put(out: &mut Map<String, Value>, name: &str, value: Option<impl Into<Value>>) {
    if let Some(value) = value {
        out.insert(name.into(), value.into());
    }
}

fn fault(fault: &Fault, out: &mut Map<String, Value>) {
    match fault {
        Fault::Ok | Fault::StoreThenCut => {}
        Fault::Fail { status, retry_after, detail } => {
            put(out, "status", Some(*status));
            let retry_after = retry_after.as_ref().map(|r| match r {
                RetryAfter::Seconds(n) => json!(n),
                RetryAfter::Text(s) => json!(s),
            });
            put(out, "retry_after", retry_after);
            put(out, "detail", detail.clone());
        }
        Fault::Reject { status, code, detail } => {
            put(out, "status", Some(*status));
            put(out, "code", Some(*code));
            put(out, "detail", detail.clone());
        }
        Fault::Hang { store } | Fault::Reset { store } | Fault::Endless { store } => {
            put(out, "store", Some(*store));
        }
        Fault::Garbage { form, store } => {
            put(out, "form", GARBAGE_FORMS.iter().find(|(_, f)| f == form).map(|(name, _)| *name));
            put(out, "store", Some(*store));
        }
        Fault::Slow { byte_interval } => put(out, "byte_ms", Some(millis(*byte_interval))),
        Fault::Flap { up, down, mode } => {
            for (name, d) in
                [("up_ms", up.0), ("up_max_ms", up.1), ("down_ms", down.0), ("down_max_ms", down.1)]
            {
                put(out, name, Some(millis(d)));
            }
            let (name, status) = match mode {
                DownMode::Fail(status) => ("fail", Some(*status)),
                DownMode::Reset => ("reset", None),
                DownMode::Hang => ("hang", None),
            };
            put(out, "down", Some(name));
            put(out, "status", status);
        }
    }
}

fn when(when: &When) -> Map<String, Value> {
    let mut out = Map::new();
    if when.calls != Calls::All {
        put(&mut out, "calls", CALLS.iter().find(|(_, c)| *c == when.calls).map(|(name, _)| *name));
    }
    put(&mut out, "key", when.key.clone());
    put(&mut out, "pos_id", when.pos_id.clone());
    put(&mut out, "fn", when.fn_number.clone());
    put(&mut out, "fd", when.fd);
    put(&mut out, "document", when.document.clone());
    put(&mut out, "attempt", when.attempt);
    put(&mut out, "from_ms", when.from.map(millis));
    put(&mut out, "until_ms", when.until.map(millis));
    put(&mut out, "nth", when.nth);
    put(&mut out, "every", when.every);
    put(&mut out, "probability", when.probability);
    out
}
