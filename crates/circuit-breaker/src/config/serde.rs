//! The configuration as data. Durations are numbers of seconds, fractions allowed; rates are percentages. Absent
//! fields take their defaults, unknown ones are refused. Deserialising does not validate: building does.

use super::{Config, OnDrop, OverdueAs, Ramp, Shape, Window};
use crate::backoff::{Backoff, Growth};
use crate::clock::nanos;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::time::Duration;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Form {
    failure_threshold: u32,
    recovery_timeout: Seconds,
    success_threshold: u32,
    half_open_max_calls: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    half_open_timeout: Option<Seconds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    window: Option<WindowForm>,
    backoff: BackoffForm,
    on_drop: OnDropForm,
    #[serde(skip_serializing_if = "Option::is_none")]
    overdue_after: Option<Seconds>,
    overdue_as: OverdueAsForm,
    retry_hint: Seconds,
    retry_after_max: Seconds,
    slow_probe_fails: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    ramp: Option<RampForm>,
}

impl Default for Form {
    fn default() -> Self {
        Form::from(&Config::default())
    }
}

/// A duration as a number of seconds.
#[derive(Clone, Copy)]
struct Seconds(Duration);

impl Serialize for Seconds {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(self.0.as_secs_f64())
    }
}

impl<'de> Deserialize<'de> for Seconds {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let seconds = f64::deserialize(from)?;
        Duration::try_from_secs_f64(seconds).map(Seconds).map_err(|_| {
            D::Error::custom(format!("{seconds} is no duration: allowed are seconds, 0 or more"))
        })
    }
}

/// For fields of other structs: a duration as a number of seconds.
pub(crate) mod seconds {
    use super::Seconds;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use std::time::Duration;

    pub(crate) fn serialize<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        Seconds(*time).serialize(to)
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
        Seconds::deserialize(from).map(|seconds| seconds.0)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct WindowForm {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    calls: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    buckets: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    bucket: Option<Seconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    minimum_calls: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    failure_rate_threshold: Option<f64>,
    /// Absent is the default, so "none" needs a word of its own.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    without_failure_rate: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slow_call_duration: Option<Seconds>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    slow_call_rate_threshold: Option<f64>,
}

/// Not a tagged enum: those do not read numbers when serde_json keeps their full precision.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct BackoffForm {
    kind: BackoffKind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    multiplier: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    max: Option<Seconds>,
    #[serde(default)]
    jitter: f64,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum BackoffKind {
    Fixed,
    Exponential,
    /// A function is code: it can be shown, not read.
    #[serde(skip_deserializing)]
    Custom,
}

impl From<&Backoff> for BackoffForm {
    fn from(backoff: &Backoff) -> Self {
        let (kind, multiplier, max) = match backoff.growth {
            Growth::Fixed => (BackoffKind::Fixed, None, None),
            Growth::Exponential { multiplier, max_ns } => {
                (BackoffKind::Exponential, Some(multiplier), Some(span(max_ns)))
            }
            Growth::Custom(_) => (BackoffKind::Custom, None, None),
        };
        BackoffForm { kind, multiplier, max, jitter: backoff.jitter }
    }
}

impl BackoffForm {
    fn backoff(self) -> Result<Backoff, &'static str> {
        let backoff = match (self.kind, self.multiplier, self.max) {
            (BackoffKind::Fixed | BackoffKind::Custom, None, None) => Backoff::fixed(),
            (BackoffKind::Exponential, Some(multiplier), Some(max)) => {
                Backoff::exponential(multiplier, max.0)
            }
            _ => return Err("backoff: `multiplier` and `max` belong to kind = exponential, and to it both"),
        };
        Ok(backoff.jitter(self.jitter))
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OnDropForm {
    Neutral,
    Failure,
    FailureAfter(Seconds),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OverdueAsForm {
    Auto,
    Slow,
    Failure,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RampForm {
    steps: Vec<u8>,
    hold: u32,
}

fn span(ns: u64) -> Seconds {
    Seconds(Duration::from_nanos(ns))
}

impl From<&Config> for Form {
    fn from(config: &Config) -> Self {
        Form {
            failure_threshold: config.failure_threshold,
            recovery_timeout: span(config.recovery_timeout_ns),
            success_threshold: config.success_threshold,
            half_open_max_calls: config.half_open_max_calls,
            half_open_timeout: config.half_open_timeout_ns.map(span),
            window: config.window.as_deref().map(WindowForm::from),
            backoff: BackoffForm::from(&config.backoff),
            on_drop: match config.on_drop {
                OnDrop::Neutral => OnDropForm::Neutral,
                OnDrop::Failure => OnDropForm::Failure,
                OnDrop::FailureAfter(time) => OnDropForm::FailureAfter(Seconds(time)),
            },
            overdue_after: config.overdue_after_ns.map(span),
            overdue_as: match config.overdue_as {
                OverdueAs::Auto => OverdueAsForm::Auto,
                OverdueAs::Slow => OverdueAsForm::Slow,
                OverdueAs::Failure => OverdueAsForm::Failure,
            },
            retry_hint: span(config.retry_hint_ns),
            retry_after_max: span(config.retry_after_max_ns),
            slow_probe_fails: config.slow_probe_fails,
            ramp: config.ramp.as_ref().map(|ramp| RampForm { steps: ramp.steps.to_vec(), hold: ramp.hold }),
        }
    }
}

impl From<&Window> for WindowForm {
    fn from(window: &Window) -> Self {
        let (calls, buckets, bucket) = match window.shape {
            Shape::Count(calls) => (Some(calls), None, None),
            Shape::Time { buckets, bucket } => (None, Some(buckets), Some(Seconds(bucket))),
        };
        WindowForm {
            calls,
            buckets,
            bucket,
            minimum_calls: Some(window.minimum_calls),
            failure_rate_threshold: window.failure_rate,
            without_failure_rate: window.failure_rate.is_none(),
            slow_call_duration: window.slow_call_ns.map(span),
            slow_call_rate_threshold: window.slow_rate,
        }
    }
}

impl WindowForm {
    fn window(self) -> Result<Window, &'static str> {
        let mut window = match (self.calls, self.buckets, self.bucket) {
            (Some(calls), None, None) => Window::count(calls),
            (None, Some(buckets), Some(bucket)) => Window::time(buckets, bucket.0),
            _ => return Err("window: allowed are either `calls`, or `buckets` with `bucket`"),
        };
        if let Some(calls) = self.minimum_calls {
            window = window.minimum_calls(calls);
        }
        match (self.failure_rate_threshold, self.without_failure_rate) {
            (Some(percent), false) => window = window.failure_rate_threshold(percent),
            (None, true) => window = window.without_failure_rate(),
            (None, false) => {}
            (Some(_), true) => {
                return Err("window: allowed is one of `failure_rate_threshold` and `without_failure_rate`");
            }
        }
        window.slow_call_ns = self.slow_call_duration.map(|time| nanos(time.0));
        window.slow_rate = self.slow_call_rate_threshold;
        Ok(window)
    }
}

impl Serialize for Config {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Form::from(self).serialize(to)
    }
}

impl<'de> Deserialize<'de> for Config {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let form = Form::deserialize(from)?;
        let backoff = form.backoff.backoff().map_err(D::Error::custom)?;
        let on_drop = match form.on_drop {
            OnDropForm::Neutral => OnDrop::Neutral,
            OnDropForm::Failure => OnDrop::Failure,
            OnDropForm::FailureAfter(time) => OnDrop::FailureAfter(time.0),
        };
        let overdue_as = match form.overdue_as {
            OverdueAsForm::Auto => OverdueAs::Auto,
            OverdueAsForm::Slow => OverdueAs::Slow,
            OverdueAsForm::Failure => OverdueAs::Failure,
        };
        let window = form.window.map(WindowForm::window).transpose().map_err(D::Error::custom)?;
        Ok(Config {
            failure_threshold: form.failure_threshold,
            success_threshold: form.success_threshold,
            half_open_max_calls: form.half_open_max_calls,
            slow_probe_fails: form.slow_probe_fails,
            overdue_as,
            recovery_timeout_ns: nanos(form.recovery_timeout.0),
            half_open_timeout_ns: form.half_open_timeout.map(|time| nanos(time.0)),
            overdue_after_ns: form.overdue_after.map(|time| nanos(time.0)),
            retry_hint_ns: nanos(form.retry_hint.0),
            retry_after_max_ns: nanos(form.retry_after_max.0),
            on_drop,
            window: window.map(Box::new),
            backoff,
            ramp: form.ramp.map(|ramp| Box::new(Ramp::new(ramp.steps, ramp.hold))),
        })
    }
}
