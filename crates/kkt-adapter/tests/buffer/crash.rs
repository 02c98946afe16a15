//! A process killed in the middle of a load: what it had acknowledged is there, whole and in order.

use crate::fixture::*;
use kkt_adapter::{
    domain::lifecycle::State,
    ports::{Appended, Buffer, Lookup},
};
use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
};

const FOLDER: &str = "BUFFER_CRASH_TEST_FOLDER";
const ROUND: &str = "BUFFER_CRASH_TEST_ROUND";

/// Not a test of its own: what the child runs. Prints one line for each acknowledged step.
#[test]
fn child_that_loads_until_it_is_killed() {
    let (Ok(folder), Ok(round)) = (env::var(FOLDER), env::var(ROUND)) else { return };
    let buffer = std::sync::Arc::new(open(Path::new(&folder)));
    block_on(async {
        let mut tasks = Vec::new();
        for till in 0..8_u32 {
            let (buffer, round) = (buffer.clone(), round.clone());
            tasks.push(tokio::spawn(async move {
                let pos = format!("POS-{till}");
                let base = buffer.last_fd(&device(&pos)).await.unwrap().unwrap_or(0);
                for n in 1..100_000 {
                    let key = format!("{round}-{till}-{n}");
                    let new = entry_of(&pos, &key);
                    let id = new.id;
                    buffer.append(buffer.reserve().unwrap(), new, true).await.unwrap();
                    say(&format!("appended {key}"));
                    buffer.apply(id, printed(base + n)).await.unwrap();
                    say(&format!("printed {key}"));
                    if n % 3 == 0 {
                        buffer.settle(vec![synced(id)]).await.unwrap();
                        say(&format!("synced {key}"));
                    }
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
}

fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "ACK {line}").unwrap();
    out.flush().unwrap();
}

// P1
#[test]
fn a_kill_in_the_middle_of_a_load_loses_no_acknowledged_write() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged: BTreeMap<String, &'static str> = BTreeMap::new();
    for (round, lines) in [40_usize, 400, 150, 900].into_iter().enumerate() {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "crash::child_that_loads_until_it_is_killed", "--nocapture"])
            .env(FOLDER, folder.path())
            .env(ROUND, round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let mut note = |line: String| {
            let words: Vec<_> = line.split(' ').collect();
            // The first line may stand behind the harness's own text.
            if let Some(at) = words.iter().position(|word| *word == "ACK") {
                let step = match words[at + 1] {
                    "appended" => "appended",
                    "printed" => "printed",
                    _ => "synced",
                };
                acknowledged.insert(words[at + 2].to_owned(), step);
            }
        };
        (&mut out).take(lines).for_each(&mut note);
        child.kill().unwrap();
        // What was in the pipe when it died was acknowledged too; its last line may be cut.
        let rest: Vec<_> = out.collect();
        rest.iter().take(rest.len().saturating_sub(1)).cloned().for_each(&mut note);
        child.wait().unwrap();
    }
    assert!(acknowledged.len() > 300, "{}", acknowledged.len());
    let buffer = open(folder.path());
    block_on(async {
        assert!(buffer.health().error.is_none());
        for (key, step) in &acknowledged {
            let found = buffer.find(Lookup::Key(key.parse().unwrap())).await.unwrap();
            let found = found.unwrap_or_else(|| panic!("{key} was acknowledged and is lost"));
            let reached = match *step {
                "appended" => true,
                "printed" => matches!(found.state, State::Printed | State::Synced),
                _ => found.state == State::Synced,
            };
            assert!(reached, "{key} was {step} and is {:?}", found.state);
            assert!(found.receipt.is_some());
        }
        let stats = buffer.stats().await.unwrap();
        assert_eq!(stats.damaged, 0);
        for till in 0..8 {
            let lane = lane(&buffer, &format!("POS-{till}")).await;
            assert!(lane.is_sorted_by(|a, b| a < b), "one number twice, or out of order: {lane:?}");
        }
        let known = buffer.append(buffer.reserve().unwrap(), entry("0-0-1"), true).await.unwrap();
        assert!(matches!(known, Appended::Known(_)), "a retry after the crash finds its receipt");
    });
}
