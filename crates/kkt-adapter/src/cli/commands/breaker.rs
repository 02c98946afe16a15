//! `breaker list | show | force-open | force-closed | release | reset | watch`.

use super::print;
use crate::cli::{
    BreakerCommand, Failure, Remote, colour,
    remote::Adapter,
    say,
    table::{Column, cell, fields, rows, table},
    warn,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, process::ExitCode, time::Duration};

const PATH: [&str; 3] = ["v1", "kkt", "circuit-breakers"];

const COLUMNS: &[Column] = &[
    Column("KEY", &["key"]),
    Column("STATE", &["state"]),
    Column("SINCE", &["since"]),
    Column("RETRY AFTER, S", &["retry_after_seconds"]),
    Column("FAILURES IN A ROW", &["consecutive_failures"]),
    Column("OPENS", &["counters.opens"]),
    Column("TILL", &["pos_id"]),
    Column("WHY", &["reason"]),
];

/// Carries it out.
///
/// # Errors
/// [`Failure`].
pub async fn breaker(command: BreakerCommand) -> Result<ExitCode, Failure> {
    match command {
        BreakerCommand::List(remote) => {
            let answer = Adapter::new(&remote)?.get(&PATH).await?;
            print(&remote, &answer, |answer| table(rows(answer), COLUMNS));
        }
        BreakerCommand::Show { key, remote } => {
            let [v1, kkt, breakers] = PATH;
            let answer = Adapter::new(&remote)?.get(&[v1, kkt, breakers, &key]).await?;
            print(&remote, &answer, fields);
        }
        BreakerCommand::ForceOpen { key, reason, for_how_long, remote } => {
            let mut body = json!({ "reason": reason });
            if let Some(time) = for_how_long {
                // Rounded up: never shorter than asked for.
                body["for_seconds"] = time.as_millis().div_ceil(1_000).try_into().unwrap_or(u64::MAX).into();
            }
            order(&remote, &key, "force-open", &body).await?;
        }
        BreakerCommand::ForceClosed { key, reason, remote } => {
            order(&remote, &key, "force-closed", &json!({ "reason": reason })).await?;
        }
        BreakerCommand::Release { key, reason, remote } => {
            order(&remote, &key, "release", &with_reason(reason)).await?;
        }
        BreakerCommand::Reset { key, reason, remote } => {
            order(&remote, &key, "reset", &with_reason(reason)).await?;
        }
        BreakerCommand::Watch { interval, remote } => watch(&remote, interval).await?,
    }
    Ok(ExitCode::SUCCESS)
}

fn with_reason(reason: Option<String>) -> Value {
    reason.map_or_else(|| json!({}), |reason| json!({ "reason": reason }))
}

/// The answer is the breaker's new snapshot.
async fn order(remote: &Remote, key: &str, verb: &str, body: &Value) -> Result<(), Failure> {
    let [v1, kkt, breakers] = PATH;
    let answer = Adapter::new(remote)?.post(&[v1, kkt, breakers, key, verb], body).await?;
    print(remote, &answer, |answer| table(std::slice::from_ref(answer), COLUMNS));
    Ok(())
}

/// A line at the start and at each change. The adapter being away for a while ends nothing: it is what a watcher waits
/// through; only the first question must be answered.
async fn watch(remote: &Remote, interval: Duration) -> Result<(), Failure> {
    let adapter = Adapter::new(remote)?;
    let mut seen = BTreeMap::new();
    let mut answer = Ok(adapter.get(&PATH).await?);
    let mut away = false;
    loop {
        match &answer {
            Ok(answer) => {
                away = false;
                for row in rows(answer) {
                    let (key, state) = (cell(row, &["key"]), cell(row, &["state"]));
                    if seen.get(&key) != Some(&state) {
                        tell(remote, row, seen.get(&key), &key, &state);
                        seen.insert(key, state);
                    }
                }
            }
            Err(failure @ Failure::Unreachable(_)) => {
                if !std::mem::replace(&mut away, true) {
                    warn(&format!("warning: {failure}"));
                }
            }
            Err(failure) => return Err(Failure::Refused(failure.to_string())),
        }
        tokio::time::sleep(interval).await;
        answer = adapter.get(&PATH).await;
    }
}

fn tell(remote: &Remote, row: &Value, before: Option<&String>, key: &str, state: &str) {
    if remote.json {
        return say(&row.to_string());
    }
    let paint = |state: &str| if colour::wanted() { colour::state(state) } else { state.to_owned() };
    let change =
        before.map_or_else(|| paint(state), |before| format!("{} → {}", paint(before), paint(state)));
    let (since, why) = (cell(row, COLUMNS[2].1), cell(row, &["reason"]));
    say(format!("{since}  {key}  {change}  {why}").trim());
}
