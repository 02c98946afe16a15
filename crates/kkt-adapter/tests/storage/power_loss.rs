//! Power loss: kill -9 does not test it, since the kernel's cache survives a process. So a real process's requests to the
//! kernel are recorded, and the disk is rebuilt as it may be after any of them.

use super::{
    child::{Said, command},
    disk::{Disk, Loss},
    look::{look, nothing_lost, workbench},
    rng::{Rng, number, seed},
    trace::{CALLS, Request, read},
};
use std::process::Stdio;

/// Enough for the WAL to be copied into the database and begun anew, several times.
const DOCUMENTS: u32 = 60;

fn record() -> Vec<Request> {
    let bench = workbench();
    let data = bench.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let trace = bench.path().join("trace");
    let trace_text = trace.display().to_string();
    let strace = [
        "strace",
        "-f",
        "--seccomp-bpf",
        "-qq",
        "-y",
        "-xx",
        "-s",
        "1048576",
        "-e",
        CALLS,
        "-o",
        &trace_text,
    ];
    let output = command(&strace, &data, DOCUMENTS)
        .stdout(Stdio::piped())
        .output()
        .expect("strace is here (Debian package strace)");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    read(&std::fs::read_to_string(trace).unwrap(), data.to_str().unwrap())
}

/// Goes through the requests once and stops at each of these positions, `(requests done, how it is lost, seed)`.
fn check(requests: &[Request], stops: &[(usize, Loss, u64)]) -> Vec<String> {
    let (mut disk, mut said, mut done) = (Disk::default(), Said::default(), 0);
    let mut failures = Vec::new();
    for (position, loss, seed) in stops {
        while done < *position {
            disk.take(&requests[done]);
            if let Request::Said(text) = &requests[done] {
                said.hear(text);
            }
            done += 1;
        }
        let folder = workbench();
        disk.after_power_loss(*loss, &mut Rng::new(*seed), folder.path());
        let outcome = look(folder.path()).and_then(|found| nothing_lost(&found, &said.acknowledged));
        if let Err(why) = outcome {
            failures.push(format!(
                "after request {position} ({:?}), {loss:?}, {seed}: {why}",
                brief(&requests[position - 1])
            ));
        }
    }
    failures
}

fn brief(request: &Request) -> String {
    let text = format!("{request:?}");
    text.chars().take(120).collect()
}

// P1, P8: «power loss».
#[test]
fn whatever_the_disk_loses_with_the_power_nothing_acknowledged_is_lost_and_the_start_succeeds() {
    let mut rng = Rng::new(seed("power loss"));
    let requests = record();
    let syncs: Vec<usize> = (1..requests.len())
        .filter(|index| matches!(requests[*index], Request::Sync { .. } | Request::Said(_)))
        .collect();
    let states = number("CRASH_STATES", 2_000);
    let mut stops: Vec<(usize, Loss, u64)> = (0..states)
        .map(|n| {
            // Half of them just before a sync, or just before or after an acknowledgement, where most is at stake.
            let position = match n % 2 {
                0 => rng.between(1, requests.len() as u64) as usize,
                _ => *rng.pick(&syncs) + usize::from(rng.chance(50)),
            };
            (position.clamp(1, requests.len()), *rng.pick(&Loss::ALL), rng.next())
        })
        .collect();
    stops.sort_by_key(|(position, ..)| *position);
    let wal_restarts = requests
        .iter()
        .filter(|request| {
            matches!(request, Request::Write { path, offset: 0, .. } if path.to_string_lossy().ends_with("-wal"))
        })
        .count();
    let (even, odd): (Vec<_>, Vec<_>) = stops.iter().enumerate().partition(|(index, _)| index % 2 == 0);
    let strip =
        |half: Vec<(usize, &(usize, Loss, u64))>| half.into_iter().map(|(_, stop)| *stop).collect::<Vec<_>>();
    let (even, odd) = (strip(even), strip(odd));
    let failures = std::thread::scope(|scope| {
        let other = scope.spawn(|| check(&requests, &odd));
        let mut failures = check(&requests, &even);
        failures.extend(other.join().unwrap());
        failures
    });
    println!(
        "{states} states of the disk from {} requests, {} of them syncs and answers, {wal_restarts} beginnings of the WAL",
        requests.len(),
        syncs.len()
    );
    assert!(wal_restarts >= 2, "the WAL was never begun anew: its recycling is not tested");
    assert!(
        failures.is_empty(),
        "{} of {states}:\n{}",
        failures.len(),
        failures[..failures.len().min(20)].join("\n")
    );
}

// Control: without its syncs the same record loses acknowledged documents.
#[test]
fn the_power_loss_model_sees_a_store_that_does_not_sync() {
    let mut rng = Rng::new(seed("power loss, control"));
    let mut requests = record();
    requests.retain(|request| match request {
        Request::Sync { path } => !path.to_string_lossy().ends_with("-wal"),
        _ => true,
    });
    let stops: Vec<_> =
        (1..20).map(|n| (requests.len() * n / 20, *rng.pick(&Loss::ALL), rng.next())).collect();
    assert!(!check(&requests, &stops).is_empty());
}
