//! With `--state` the ledger survives the death of a real process.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

mod support;

use ofd_sim::{Document, Error, Options, Plan, Simulator};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use support::{client, send};

/// The binary as a process; killed when dropped.
struct Process {
    child: Child,
    base: String,
}

impl Process {
    fn start(state: &Path, more: &[&str]) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_ofd-sim")), state, more)
    }

    fn spawn(mut command: Command, state: &Path, more: &[&str]) -> Self {
        let mut child = command
            .args(["--listen", "127.0.0.1:0", "--state"])
            .arg(state)
            .args(more)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert!(line.contains("NOT FISCAL"), "{line}");
        let base = line.trim().rsplit(' ').next().unwrap().to_owned();
        Self { child, base }
    }

    /// SIGKILL.
    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    async fn ledger(&self) -> Vec<Document> {
        let url = format!("{}/sim/ledger", self.base);
        let mut json: serde_json::Value = client().get(url).send().await.unwrap().json().await.unwrap();
        serde_json::from_value(json["documents"].take()).unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_forgotten_over_sigkill_under_load() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("ofd.jsonl");
    let client = client();
    let mut acknowledged = Vec::new();
    for cycle in 0..5_u32 {
        let process = Process::start(&state, &[]);
        let base = process.base.clone();
        let (done, mut acks) = tokio::sync::mpsc::unbounded_channel();
        let mut load = tokio::task::JoinSet::new();
        for lane in 0..4_u32 {
            let (client, base, done) = (client.clone(), base.clone(), done.clone());
            load.spawn(async move {
                for n in 0_u32.. {
                    let fd = cycle * 1_000_000 + lane * 100_000 + n;
                    match send(&client, &base, &format!("key-{fd}"), fd).await {
                        Ok(answer) if answer.status() == 200 => done.send(fd).unwrap(),
                        _ => break,
                    }
                }
            });
        }
        drop(done);
        // Killed in the middle of the load, after a different number of answers each time.
        for _ in 0..50 + 37 * cycle {
            acknowledged.push(acks.recv().await.expect("the load runs until the kill"));
        }
        process.kill();
        while let Some(fd) = acks.recv().await {
            acknowledged.push(fd);
        }
        load.join_all().await;
    }
    let process = Process::start(&state, &[]);
    let ledger = process.ledger().await;
    for fd in &acknowledged {
        let entry = ledger.iter().find(|d| d.fd == *fd).unwrap_or_else(|| panic!("{fd} was acknowledged"));
        assert_eq!((entry.received, entry.counted), (1, 1), "{fd}");
    }
    let seqs: std::collections::BTreeSet<_> = ledger.iter().map(|d| d.first_seq).collect();
    assert_eq!(seqs.len(), ledger.len(), "each first_seq is given once");
    // A retry after the kill is known.
    let fd = acknowledged[0];
    let answer = send(&client, &process.base, &format!("key-{fd}"), fd).await.unwrap();
    assert_eq!(answer.headers()["idempotent-replayed"], "true");
}

#[cfg(unix)]
#[tokio::test]
async fn sigterm_ends_the_process_cleanly() {
    // P11
    let folder = tempfile::tempdir().unwrap();
    let mut process = Process::start(&folder.path().join("state"), &[]);
    send(&client(), &process.base, "k1", 1).await.unwrap();
    let kill = Command::new("kill").args(["-TERM", &process.child.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let wait = tokio::task::spawn_blocking(move || process.child.wait().unwrap());
    let status = tokio::time::timeout(support::DEADLINE, wait).await.expect("it ends").unwrap();
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn tokens_and_a_first_plan_come_from_files() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (token, plan) =
        (file("token", "secret\n"), file("plan.json", r#"{"fault":"fail","status":503,"times":1}"#));
    let process = Process::start(&folder.path().join("state"), &["--token-file", &token, "--faults", &plan]);
    let post = |token: &'static str| {
        let request = client().post(format!("{}/ofd/v1/receipt", process.base)).bearer_auth(token);
        request.header("Idempotency-Key", "k1").json(&support::document("k1", 1)).send()
    };
    assert_eq!(post("secret").await.unwrap().status(), 503);
    assert_eq!(post("wrong").await.unwrap().status(), 401);
    assert_eq!(post("secret").await.unwrap().status(), 200);

    let bad = file("bad.json", r#"{"fault":"zap"}"#);
    let output = Command::new(env!("CARGO_BIN_EXE_ofd-sim"))
        .args(["--listen", "127.0.0.1:0", "--faults", &bad])
        .output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        !output.status.success() && said.contains("bad.json") && said.contains("store_then_cut"),
        "{said}"
    );
}

async fn with_state(state: &Path) -> Simulator {
    // The lock of a simulator that has just been dropped goes with its task.
    let deadline = std::time::Instant::now() + support::DEADLINE;
    loop {
        match Simulator::start(Options::default().state(state)) {
            Err(Error::StateInUse { .. }) if std::time::Instant::now() < deadline => {
                tokio::task::yield_now().await;
            }
            other => return other.unwrap(),
        }
    }
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off_and_a_damaged_one_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let client = client();
    let ofd = with_state(&state).await;
    for fd in 1..=3 {
        send(&client, &ofd.base_url(), &format!("k{fd}"), fd).await.unwrap();
    }
    ofd.shutdown().await;
    let whole = std::fs::read_to_string(&state).unwrap();
    let lines: Vec<_> = whole.lines().collect();

    // Torn at every byte of the last line.
    let last = whole.len() - lines[2].len() - 1;
    for cut in last..whole.len() {
        std::fs::write(&state, &whole[..cut]).unwrap();
        let ofd = with_state(&state).await;
        assert_eq!(ofd.ledger().len(), 2, "cut at {cut}");
        assert_eq!(send(&client, &ofd.base_url(), "k3", 3).await.unwrap().status(), 200);
        ofd.shutdown().await;
        let ofd = with_state(&state).await;
        assert_eq!(ofd.ledger().len(), 3, "written on cleanly after a cut at {cut}");
        ofd.shutdown().await;
    }

    let long = "x".repeat(100_000);
    std::fs::write(&state, format!("{}\n{long}\n\u{0}\u{1}rubbish{{\n{}\n", lines[0], lines[2])).unwrap();
    let ofd = with_state(&state).await;
    let fds: Vec<_> = ofd.ledger().iter().map(|d| d.fd).collect();
    assert_eq!(fds, [1, 3]);
    ofd.shutdown().await;
}

#[tokio::test]
async fn violations_and_uncounted_arrivals_survive_and_a_reset_empties_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let client = client();
    let ofd = with_state(&state).await;
    ofd.set_faults(Plan::fail_times(2, 503));
    for _ in 0..3 {
        send(&client, &ofd.base_url(), "k1", 1).await.unwrap();
    }
    send(&client, &ofd.base_url(), "k2", 1).await.unwrap();
    let before = (ofd.ledger(), ofd.stats().violations);
    ofd.shutdown().await;

    let ofd = with_state(&state).await;
    assert_eq!((ofd.ledger(), ofd.stats().violations), before);
    assert_eq!((before.0[0].received, before.0[0].counted, before.1), (3, 1, 1));
    ofd.reset_all().unwrap();
    assert!(ofd.ledger().is_empty());
    ofd.shutdown().await;
    assert!(with_state(&state).await.ledger().is_empty());
}

#[tokio::test]
async fn a_state_file_in_use_or_unusable_is_a_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    let _first = with_state(&state).await;
    let second = Simulator::start(Options::default().state(&state)).unwrap_err();
    assert!(matches!(second, Error::StateInUse { .. }), "{second}");
    let missing =
        Simulator::start(Options::default().state(folder.path().join("no/such/folder"))).unwrap_err();
    assert!(matches!(missing, Error::State { .. }) && missing.to_string().contains("no/such"), "{missing}");
}

#[cfg(unix)]
#[tokio::test]
async fn when_the_state_cannot_be_written_nothing_more_is_acknowledged_and_nothing_is_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let state = folder.path().join("state");
    // A file size limit makes the write fail in the middle of a line, as a full disk does.
    let mut limited = Command::new("sh");
    limited.args(["-c", "trap '' XFSZ; ulimit -f 4; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_ofd-sim")]);
    let process = Process::spawn(limited, &state, &[]);
    let client = client();
    let (mut acknowledged, mut refused) = (Vec::new(), 0);
    for fd in 1..=100 {
        // A connection that the server was just closing is no answer: the same key again, as a till would.
        let answer = match send(&client, &process.base, &format!("k{fd}"), fd).await {
            Ok(answer) => answer,
            Err(_) => send(&client, &process.base, &format!("k{fd}"), fd).await.unwrap(),
        };
        match answer.status().as_u16() {
            200 => acknowledged.push(fd),
            500 => refused += 1,
            other => panic!("{other}"),
        }
    }
    assert!(!acknowledged.is_empty() && refused > 0, "{acknowledged:?}, {refused} refused");
    assert_eq!(
        acknowledged,
        (1..=acknowledged.len() as u32).collect::<Vec<_>>(),
        "none after the first error"
    );
    process.kill();
    let ofd = with_state(&state).await;
    assert_eq!(ofd.ledger().iter().map(|d| d.fd).collect::<Vec<_>>(), acknowledged);
}

#[cfg(unix)]
#[tokio::test]
async fn a_state_that_is_no_file_is_refused() {
    let error = Simulator::start(Options::default().state("/dev/zero")).unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
}
