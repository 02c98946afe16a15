//! What would a breaker have done? Replays a log of calls against one or two configurations.
//!
//! ```text
//! cargo run -p circuit-breaker --example replay
//! cargo run -p circuit-breaker --example replay -- calls.csv failures=3,recovery_s=10 window=50,rate=40
//! ```
//!
//! The file has one call a line: seconds since the log began, outcome (`success`, `failure`, `ignored` or `dropped`) and
//! duration in milliseconds. A configuration is a list of settings; those not named have the crate's defaults:
//!
//! | setting | means |
//! |---|---|
//! | `failures=N` | `failure_threshold`; 0 switches the rule off |
//! | `recovery_s=N` | `recovery_timeout` |
//! | `successes=N` | `success_threshold` |
//! | `window=N`, `minimum=N`, `rate=PERCENT` | a window of the last N calls |
//! | `slow_ms=N`, `slow_rate=PERCENT` | its slow-call rule |

use circuit_breaker::{Config, Outcome, Record, State, Timeline, Window, replay};
use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;
use std::{env, fs};

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/data/outage.csv");
const SAMPLE_CONFIGS: [&str; 2] =
    ["failures=5,recovery_s=30", "failures=5,recovery_s=20,window=20,rate=40,slow_ms=1000,slow_rate=60"];
const COLUMNS: usize = 64;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("replay: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args().skip(1);
    let file = arguments.next().unwrap_or_else(|| SAMPLE.to_owned());
    let mut configs: Vec<String> = arguments.collect();
    if configs.is_empty() {
        configs = SAMPLE_CONFIGS.map(str::to_owned).to_vec();
    }
    let text = fs::read_to_string(&file).map_err(|error| format!("{file}: {error}"))?;
    let records = read(&text).map_err(|error| format!("{file}, {error}"))?;

    let timelines: Vec<Timeline> = configs
        .iter()
        .map(|settings| Ok(replay(config(settings)?, records.iter().copied())?))
        .collect::<Result<_, Box<dyn Error>>>()?;
    for (settings, timeline) in configs.iter().zip(&timelines) {
        print_timeline(settings, timeline);
    }
    print_chart(&records, &timelines);
    Ok(())
}

fn print_timeline(settings: &str, timeline: &Timeline) {
    println!("{settings}");
    println!("{:>9.1} s  CLOSED", 0.0);
    for entry in &timeline.entries {
        let open_time =
            entry.open_time.map_or(String::new(), |time| format!(" for {:.0} s", time.as_secs_f64()));
        println!("{:>9.1} s  {:<9}{open_time}  {}", entry.at.as_secs_f64(), entry.to, entry.reason);
    }
    let Timeline { permitted, rejected, succeeded, failed, slow, .. } = timeline;
    println!(
        "  {permitted} calls made: {succeeded} succeeded, {failed} failed, {slow} of both slow; {rejected} not made\n"
    );
}

/// One line for the failures in the log and one for each configuration, on one axis of time.
fn print_chart(records: &[Record], timelines: &[Timeline]) {
    let end = timelines.iter().map(|timeline| timeline.end).max().unwrap_or_default();
    let column = end.div_f64(COLUMNS as f64).max(Duration::from_nanos(1));
    let failures: String = (0..COLUMNS as u32)
        .map(|n| {
            let calls =
                records.iter().filter(|record| record.at >= column * n && record.at < column * (n + 1));
            let failed =
                calls.clone().filter(|record| matches!(record.outcome, Outcome::Failure { .. })).count();
            match (failed * 9).div_ceil(calls.count().max(1)) {
                0 => '.',
                ninths => char::from(b'0' + ninths as u8),
            }
        })
        .collect();
    println!("Each column is {:.1} s. In the log, ninths of the calls that failed:", column.as_secs_f64());
    println!("  {failures}");
    println!("The circuit would have been closed (.), open (#) or half open (?):");
    for timeline in timelines {
        let states: String =
            (0..COLUMNS as u32).map(|n| letter(state_at(timeline, column * n + column / 2))).collect();
        println!("  {states}");
    }
}

fn state_at(timeline: &Timeline, at: Duration) -> State {
    let before = timeline.entries.iter().take_while(|entry| entry.at <= at);
    before.last().map_or(State::Closed, |entry| entry.to)
}

fn letter(state: State) -> char {
    match state {
        State::Open => '#',
        State::HalfOpen => '?',
        _ => '.',
    }
}

fn read(text: &str) -> Result<Vec<Record>, String> {
    let lines = text.lines().enumerate().map(|(n, line)| (n + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#') && !line.starts_with("time"))
        .map(|(n, line)| record(line).map_err(|error| format!("line {n}: {error}")))
        .collect()
}

fn record(line: &str) -> Result<Record, String> {
    let fields: Vec<&str> = line.split(',').map(str::trim).collect();
    let &[at, outcome, duration] = fields.as_slice() else {
        return Err(format!("{} fields, but time,outcome,duration are three", fields.len()));
    };
    let number = |field: &str, text: &str| {
        let value = text.parse().ok().filter(|value: &f64| *value >= 0.0 && *value < 1e9);
        value.ok_or_else(|| format!("{field} {text:?} is not a number of 0 or more"))
    };
    let outcome = match outcome {
        "success" => Outcome::Success,
        "failure" => Outcome::Failure { retry_after_ns: 0 },
        "ignored" => Outcome::Ignored,
        "dropped" => Outcome::Dropped,
        other => return Err(format!("outcome {other:?} is none of success, failure, ignored, dropped")),
    };
    Ok(Record {
        at: Duration::from_secs_f64(number("time", at)?),
        outcome,
        duration: Duration::from_secs_f64(number("duration", duration)? / 1_000.0),
    })
}

fn config(settings: &str) -> Result<Config, Box<dyn Error>> {
    let mut config = Config::new();
    let mut window: Option<Window> = None;
    for setting in settings.split(',') {
        let (name, value) =
            setting.split_once('=').ok_or_else(|| format!("{setting:?} is not name=value"))?;
        let number: u32 = value.parse().map_err(|_| format!("{name}: {value:?} is not a whole number"))?;
        let on_window = |change: &dyn Fn(Window) -> Window| {
            window.map(change).ok_or_else(|| format!("{name} needs window=N before it"))
        };
        match name {
            "failures" if number == 0 => config = config.failure_threshold(Config::NEVER),
            "failures" => config = config.failure_threshold(number),
            "successes" => config = config.success_threshold(number),
            "recovery_s" => config = config.recovery_timeout(Duration::from_secs(number.into())),
            "window" => window = Some(Window::count(number)),
            "minimum" => window = Some(on_window(&|w| w.minimum_calls(number))?),
            "rate" => window = Some(on_window(&|w| w.failure_rate_threshold(number.into()))?),
            "slow_ms" => {
                window = Some(on_window(&|w| w.slow_call_duration(Duration::from_millis(number.into())))?)
            }
            "slow_rate" => window = Some(on_window(&|w| w.slow_call_rate_threshold(number.into()))?),
            _ => return Err(format!("{name:?} is no setting of this example").into()),
        }
    }
    Ok(window.map_or(config.clone(), |window| config.window(window)))
}
