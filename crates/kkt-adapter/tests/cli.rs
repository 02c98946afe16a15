//! The program's command line: the real binary, its output and its exit codes. Behind the commands that go over HTTP
//! stands a small server that answers as the contract says; the adapter's own API is tested with its room.

#![allow(clippy::unwrap_used)]

use axum::{
    Json, Router,
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use kkt_adapter::{
    buffer::{SqliteBuffer, SqliteOptions},
    domain::{document::DocumentKind, entry::NewEntry, ids::ReceiptId, receipt::BodyHash},
    ports::{Buffer as _, Clock, Monotonic, Silent},
};
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader},
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

fn program(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_kkt-adapter"));
    command.args(args).env_clear().current_dir(std::env::temp_dir());
    command
}

struct Ran {
    code: i32,
    out: String,
    err: String,
}

fn run(args: &[&str]) -> Ran {
    ran(&program(args).output().unwrap())
}

fn ran(output: &Output) -> Ran {
    Ran {
        code: output.status.code().unwrap(),
        out: String::from_utf8(output.stdout.clone()).unwrap(),
        err: String::from_utf8(output.stderr.clone()).unwrap(),
    }
}

#[test]
fn a_wrong_command_line_is_exit_code_2() {
    for args in [&["brekaer"][..], &["breaker", "force-open", "ofd"], &["breaker", "list", "--timeout", "0s"]]
    {
        let ran = run(args);
        assert_eq!(ran.code, 2, "{args:?}");
        assert!(ran.err.starts_with("error: "), "{}", ran.err);
    }
    let ran = run(&["buffer", "stats", "--url", "localhost:8000"]);
    assert_eq!((ran.code, ran.err.contains("--url must be")), (2, true), "{}", ran.err);
    let ran = run(&["buffer", "stats", "--token-file", "/nonexistent"]);
    assert_eq!((ran.code, ran.err.contains("cannot be read")), (2, true), "{}", ran.err);
}

#[test]
fn a_wrong_configuration_is_exit_code_2_for_every_command_that_reads_it() {
    for args in [
        &["--listen", "nowhere"][..],
        &["serve", "--listen", "nowhere"],
        &["config", "check", "--listen", "nowhere"],
    ] {
        let ran = run(args);
        assert_eq!((ran.code, ran.out.as_str()), (2, ""), "{args:?}");
        assert!(
            ran.err.starts_with(
                "error: the configuration is wrong: server.listen = \"nowhere\" (flag --listen)"
            )
        );
    }
    let ran = run(&["--config", "/nonexistent/kkt.toml"]);
    assert_eq!(
        (ran.code, ran.err.contains("/nonexistent/kkt.toml: cannot be read")),
        (2, true),
        "{}",
        ran.err
    );
}

#[test]
fn config_show_says_where_each_value_came_from_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "hunter2-hunter2-hunter2").unwrap();
    let file = folder.path().join("kkt.toml");
    let text = format!(
        "[auth]\ntokens = [{{name=\"ops\", role=\"operator\", token_file=\"{}\"}}]\n",
        token.display()
    );
    std::fs::write(&file, text).unwrap();
    let mut command = program(&["config", "show", "--json", "--config", file.to_str().unwrap()]);
    let ran = ran(&command.env("KKT_BREAKER__FAILURE_THRESHOLD", "7").output().unwrap());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(!ran.out.contains("hunter2") && !ran.err.contains("hunter2"));
    let rows: Vec<Value> = serde_json::from_str(&ran.out).unwrap();
    let row = |key: &str| rows.iter().find(|row| row["key"] == key).unwrap();
    assert_eq!(row("breaker.failure_threshold")["value"], "7");
    assert_eq!(row("breaker.failure_threshold")["source"], "variable KKT_BREAKER__FAILURE_THRESHOLD");
    assert!(row("auth.tokens[0].token_file")["source"].as_str().unwrap().ends_with("kkt.toml:2"));
    let plain = run(&["config", "show"]);
    assert!(plain.out.contains("breaker.failure_threshold = 5"), "{}", plain.out);
}

#[test]
fn the_default_file_is_a_good_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("kkt.toml");
    std::fs::write(&file, run(&["config", "default"]).out).unwrap();
    let ran = run(&["config", "check", "--config", file.to_str().unwrap()]);
    assert_eq!((ran.code, ran.out.as_str(), ran.err.as_str()), (0, "the configuration is good\n", ""));
}

#[test]
fn an_adapter_that_is_not_there_is_exit_code_3() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let ran = run(&["breaker", "list", "--url", &format!("http://{free}")]);
    assert_eq!(ran.code, 3);
    assert!(ran.err.contains("cannot be reached") && ran.err.contains("refused"), "{}", ran.err);
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let ran = run(&["dlq", "list", "--url", &url, "--timeout", "100ms"]);
    assert_eq!((ran.code, ran.err.contains("no answer within 100 ms")), (3, true), "{}", ran.err);
}

/// What came: path, authorization, content type and body.
type Log = Arc<Mutex<Vec<(String, String, String, String)>>>;

struct Server {
    url: String,
    came: Log,
    open: Arc<AtomicBool>,
    _runtime: tokio::runtime::Runtime,
}

fn snapshot(open: bool) -> Value {
    let state = if open { "OPEN" } else { "CLOSED" };
    json!({"key": "ofd", "state": state, "reason": "5 failures in a row\u{1b}[2J", "since": "2026-01-01T00:00:00Z"})
}

fn server() -> Server {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (came, open) = (Log::default(), Arc::new(AtomicBool::new(false)));
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let log = came.clone();
    let note = move |uri: axum::http::Uri, headers: HeaderMap, body: String| {
        let text =
            |name: &str| headers.get(name).map_or(String::new(), |value| value.to_str().unwrap().into());
        log.lock().unwrap().push((uri.path().into(), text("authorization"), text("content-type"), body));
        async { Json(snapshot(true)) }
    };
    let state = open.clone();
    let refuse = || async {
        (StatusCode::CONFLICT, Json(json!({"detail": "the letter\u{7} is closed", "type": "x"})))
    };
    let app = Router::new()
        .route(
            "/v1/kkt/circuit-breakers",
            get(move || async move { Json(json!({"breakers": [snapshot(state.load(Ordering::SeqCst))]})) }),
        )
        .route("/v1/kkt/circuit-breakers/{key}/{verb}", post(note))
        .route(
            "/v1/kkt/dlq",
            get(|uri: axum::http::Uri| async move {
                let second = uri.query().unwrap_or_default().contains("cursor=two");
                let next = if second { Value::Null } else { "two".into() };
                let name = if second { "second" } else { "first" };
                Json(json!({"dead_letters": [{"receipt_id": name, "attempts": 20}], "next_cursor": next}))
            }),
        )
        .route("/v1/kkt/dlq/{id}/resolve", post(refuse))
        .route("/v1/kkt/buffer/status", get(|| async { StatusCode::UNAUTHORIZED }));
    runtime.spawn(async move { axum::serve(listener, app).await });
    Server { url, came, open, _runtime: runtime }
}

#[test]
fn commands_over_http_send_what_the_contract_says() {
    let server = server();
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    std::fs::write(&token, "operator-token-1\n").unwrap();
    let with = ["--url", &server.url, "--token-file", token.to_str().unwrap(), "--json"];
    let force = ["breaker", "force-open", "ofd", "--reason", "repair", "--for", "90s"];
    let ran = run(&[&force[..], &with[..]].concat());
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert_eq!(serde_json::from_str::<Value>(&ran.out).unwrap()["state"], "OPEN");
    assert!(ran.err.contains("warning: ") && ran.err.contains("chmod 600"), "{}", ran.err);
    let ran = run(&["breaker", "release", "device:POS-001", "--url", &server.url]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    let came = server.came.lock().unwrap();
    let call = |path: &str, token: &str, body: &str| {
        (path.into(), token.into(), "application/json".into(), body.into())
    };
    let reason = r#"{"reason":"repair","for_seconds":90}"#;
    assert_eq!(came[0], call("/v1/kkt/circuit-breakers/ofd/force-open", "Bearer operator-token-1", reason));
    assert_eq!(came[1], call("/v1/kkt/circuit-breakers/device:POS-001/release", "", "{}"));
}

#[test]
fn answers_are_tables_for_people_and_refusals_are_exit_code_1() {
    let server = server();
    let ran = run(&["breaker", "list", "--url", &server.url]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    assert!(ran.out.starts_with("KEY  STATE   SINCE"), "{}", ran.out);
    assert!(!ran.out.contains('\u{1b}'), "a control character reached the terminal");
    let letters = run(&["dlq", "list", "--url", &server.url]).out;
    assert_eq!(letters, "RECEIPT  ATTEMPTS\nfirst    20\nsecond   20\n", "every page is read");
    let ran = run(&["dlq", "resolve", "x", "--note", "n", "--url", &server.url]);
    assert_eq!(
        (ran.code, ran.err.as_str()),
        (1, "error: the adapter said no (HTTP 409): the letter  is closed\n")
    );
    let ran = run(&["buffer", "stats", "--url", &server.url]);
    assert_eq!((ran.code, ran.err.contains("give --token-file")), (1, true), "{}", ran.err);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("ops.token").display().to_string();
    std::fs::write(&token, "a-token-of-last-year\n").unwrap();
    let ran = run(&["buffer", "stats", "--url", &server.url, "--token-file", &token]);
    let told = format!("does not know the token in {token}: it is wrong, has expired or was replaced");
    assert_eq!((ran.code, ran.err.contains(&told)), (1, true), "{}", ran.err);
    assert!(!ran.err.contains("last-year"));
    let ran = run(&["breaker", "show", "nobody", "--url", &server.url]);
    assert_eq!((ran.code, ran.err.contains("HTTP 404")), (1, true), "{}", ran.err);
}

#[test]
fn watch_prints_a_line_at_each_change() {
    let server = server();
    let mut child = program(&["breaker", "watch", "--interval", "20ms", "--url", &server.url])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    server.open.store(true, Ordering::SeqCst);
    let second = lines.next().unwrap().unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(first.contains("ofd  CLOSED"), "{first}");
    assert!(second.contains("ofd  CLOSED → OPEN"), "{second}");
}

#[test]
fn the_buffer_of_a_stopped_adapter_is_verified_and_exported() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let data = data.to_str().unwrap();
    let ran = run(&["buffer", "verify", "--data-dir", data]);
    assert_eq!((ran.code, ran.err.contains("buffer.db")), (1, true), "{}", ran.err);
    let clock = Arc::new(StoppedClock);
    let path = folder.path().join("data/buffer.db");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let buffer = SqliteBuffer::open(SqliteOptions::new(&path), clock, Arc::new(Silent)).unwrap();
    let busy = run(&["buffer", "verify", "--data-dir", data]);
    assert_eq!((busy.code, busy.err.contains("in use by another kkt-adapter")), (1, true), "{}", busy.err);
    let id = ReceiptId::new();
    let entry = NewEntry {
        id,
        key: "key-1".parse().unwrap(),
        kind: DocumentKind::ShiftOpen,
        pos_id: "POS-001".parse().unwrap(),
        device: "POS-001".parse().unwrap(),
        receipt: None,
        hash: BodyHash::of(b""),
        notes: Vec::new(),
        request_id: None,
        created_at: jiff::Timestamp::UNIX_EPOCH,
    };
    runtime.block_on(async {
        buffer.append(buffer.reserve().unwrap(), entry, false).await.unwrap();
        buffer.close().await;
    });
    drop(buffer);
    let good = run(&["buffer", "verify", "--data-dir", data]);
    assert_eq!(
        (good.code, good.out.contains("1 documents, all good")),
        (0, true),
        "{}{}",
        good.out,
        good.err
    );
    let exported = run(&["buffer", "export", "--data-dir", data]);
    let line: Value = serde_json::from_str(exported.out.trim()).unwrap();
    assert_eq!(line["receipt_id"], id.to_string());
    let file = folder.path().join("out.jsonl");
    let file = file.to_str().unwrap();
    assert_eq!(run(&["buffer", "export", "--data-dir", data, "--output", file]).code, 0);
    assert_eq!(std::fs::read_to_string(file).unwrap(), exported.out);
    assert_eq!(std::fs::metadata(file).unwrap().permissions().mode() & 0o777, 0o600);
    let again = run(&["buffer", "export", "--data-dir", data, "--output", file]);
    assert_eq!((again.code, again.err.contains("cannot be made")), (2, true), "{}", again.err);
}

struct StoppedClock;

impl Clock for StoppedClock {
    fn monotonic(&self) -> Monotonic {
        Monotonic(std::time::Duration::ZERO)
    }
    fn wall(&self) -> jiff::Timestamp {
        jiff::Timestamp::UNIX_EPOCH
    }
}

// The package's file: nobody sells on an emulated KKT because he did not look.
#[test]
fn the_installed_configuration_is_refused_until_both_drivers_are_chosen_and_then_it_is_good() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/kkt-adapter.toml");
    let ran = run(&["config", "check", "--json", "--config", file]);
    assert_eq!(ran.code, 2, "{}", ran.err);
    let answer: Value = serde_json::from_str(&ran.out).unwrap();
    let problems = answer["problems"].as_array().unwrap();
    let keys: Vec<_> = problems.iter().map(|problem| problem["key"].as_str().unwrap()).collect();
    assert_eq!((keys, &answer["good"]), (vec!["ofd.kind", "kkt.driver"], &json!(false)), "{answer}");
    let served = run(&["serve", "--config", file]);
    assert_eq!(served.code, 2, "{}", served.err);
    assert!(served.err.contains("simulator") && served.err.contains("virtual"), "{}", served.err);
    let folder = tempfile::tempdir().unwrap();
    let chosen = folder.path().join("kkt.toml");
    let text = std::fs::read_to_string(file).unwrap();
    let text = text
        .replace("kind = \"CHOOSE\"", "kind = \"simulator\"")
        .replace("driver = \"CHOOSE\"", "driver = \"virtual\"");
    std::fs::write(&chosen, text).unwrap();
    let ran = run(&["config", "check", "--json", "--config", chosen.to_str().unwrap()]);
    assert_eq!((ran.code, ran.out.contains("\"good\": true")), (0, true), "{}{}", ran.out, ran.err);
}

#[test]
fn completions_are_made_for_each_shell_and_bash_can_read_its_own() {
    for shell in ["bash", "zsh", "fish"] {
        let ran = run(&["completions", shell]);
        assert_eq!(ran.code, 0, "{}", ran.err);
        for word in ["force-open", "import", "requeue"] {
            assert!(ran.out.contains(word), "{shell}: {word}");
        }
        if shell == "bash" {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("kkt-adapter.bash");
            std::fs::write(&file, ran.out).unwrap();
            // What a user sees at `kkt-adapter breaker <Tab>`.
            let ask = format!(
                ". {}; complete=($(complete -p kkt-adapter)); COMP_WORDS=(kkt-adapter breaker ''); COMP_CWORD=2; \
                 \"${{complete[-2]}}\" kkt-adapter '' breaker; echo \"${{COMPREPLY[*]}}\"",
                file.display()
            );
            let output = Command::new("bash").args(["-c", &ask]).output().unwrap();
            let offered = String::from_utf8(output.stdout).unwrap();
            assert!(offered.contains("force-closed") && offered.contains("watch"), "{offered}");
        }
    }
}

#[test]
fn each_command_has_a_manual_page_and_the_exit_codes_stand_in_help_and_manual() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(&["man", "--dir", folder.path().to_str().unwrap()]);
    assert_eq!(ran.code, 0, "{}", ran.err);
    for page in ["kkt-adapter", "kkt-adapter-breaker-force-open", "kkt-adapter-buffer-import"] {
        let text = std::fs::read_to_string(folder.path().join(format!("{page}.1"))).unwrap();
        assert!(text.starts_with(".ie") && text.contains(".SH NAME"), "{text}");
    }
    for args in [&["man"][..], &["--help"], &["breaker", "--help"], &["dlq", "--help"], &["buffer", "--help"]]
    {
        let ran = run(args);
        assert!(ran.out.contains("the adapter cannot be reached"), "{args:?}: {}", ran.out);
    }
    let ran = run(&["man", "--dir", "/dev/null/man"]);
    assert_eq!((ran.code, ran.err.contains("/dev/null/man")), (2, true), "{}", ran.err);
}
