//! The configuration as a user meets it: what is read, what wins, what is refused and in which words.

#![allow(clippy::unwrap_used)]

#[path = "support/ca.rs"]
#[allow(dead_code)]
mod ca;

use kkt_adapter::config::{self, Backoff, Config, ConfigError, Loaded, OfdKind, OnRejected, Sources};
use std::{path::PathBuf, time::Duration};
use tempfile::TempDir;

struct Given {
    folder: TempDir,
    sources: Sources,
}

impl Given {
    fn nothing() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), sources: Sources::default() }
    }

    fn file(text: &str) -> Self {
        let mut given = Self::nothing();
        given.sources.file = Some(given.write("config.toml", text));
        given
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        make_private(&path);
        path
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.sources.variables.push((name.into(), value.into()));
        self
    }

    fn load(&self) -> Result<Loaded, ConfigError> {
        config::load(&self.sources)
    }

    fn good(&self) -> Loaded {
        self.load().unwrap_or_else(|error| panic!("{error}"))
    }

    fn refusal(&self) -> String {
        self.load().map(|loaded| loaded.config).expect_err("must be refused").to_string()
    }
}

fn make_private(path: &std::path::Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn contains(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
}

#[test]
fn the_defaults_are_those_of_the_contract() {
    let config = Given::nothing().good().config;
    assert_eq!(config, Config::default());
    assert_eq!(config.server.listen.to_string(), "127.0.0.1:8000");
    assert!(config.server.allowed_hosts.is_empty() && config.auth.tokens.is_empty());
    assert_eq!(config.server.request_timeout, Duration::from_secs(30));
    assert_eq!(config.server.max_connections, 1024);
    assert_eq!(config.buffer.url, "sqlite://data/buffer.db");
    assert_eq!(config.buffer.path(), PathBuf::from("data/buffer.db"));
    assert_eq!((config.buffer.capacity, config.buffer.min_free_disk), (300_000, 1 << 30));
    assert_eq!(config.buffer.retention, Duration::from_secs(7 * 86_400));
    assert_eq!(config.buffer.dlq_retention, Duration::from_secs(90 * 86_400));
    assert_eq!((config.breaker.failure_threshold, config.breaker.success_threshold), (5, 2));
    assert_eq!(config.breaker.half_open_max_calls, 2);
    assert_eq!(config.breaker.recovery_timeout, Duration::from_secs(60));
    assert_eq!(config.breaker.backoff(), Backoff::Fixed { jitter: 0.0 });
    assert_eq!(
        (config.sync.interval, config.sync.retry_after),
        (Duration::from_secs(10), Duration::from_secs(1))
    );
    assert_eq!((config.sync.max_attempts, config.sync.max_lanes), (20, 64));
    assert_eq!(config.sync.backoff_initial, Duration::from_secs(5));
    assert_eq!(config.sync.backoff_max, Duration::from_secs(300));
    assert_eq!(config.sync.on_rejected, OnRejected::Park);
    assert_eq!((config.ofd.kind, config.ofd.timeout), (OfdKind::Simulator, Duration::from_secs(10)));
    assert_eq!(config.kkt.print_timeout, Duration::from_secs(10));
    assert_eq!(config.telemetry.log, "info");
}

#[test]
fn the_example_of_the_contract_is_read() {
    let mut given = Given::nothing();
    let till = given.write("till", "a-token-of-the-first-till\n");
    let ops = given.write("ops", "a-token-of-the-operators  \r\n");
    let device = given.write("device", "device-secret");
    let text = format!(
        r#"
[server]
listen = "0.0.0.0:8000"
allowed_hosts = ["till.local:8000"]
[auth]
tokens = [{{name="till-1", role="pos", pos_ids=["POS-001"], token_file="{}"}},
          {{name="ops", role="operator", token_file="{}"}}]
[breaker]
backoff = {{kind="exponential", multiplier=3, max="20m"}}
[sync]
backoff = {{initial="1s", max="1m"}}
on_rejected = "stop"
[[kkt.device]]
id = "kkt-1"
pos_ids = ["POS-001", "POS-002"]
identity = {{inn="7702203276", rn_kkt="0000000005008570", ofd_name="OFD", taxation="usn_income"}}
token_file = "{}"
"#,
        till.display(),
        ops.display(),
        device.display()
    );
    given.sources.file = Some(given.write("config.toml", &text));
    let loaded = given.good();
    let [unencrypted] = loaded.warnings.as_slice() else { panic!("{:?}", loaded.warnings) };
    contains(unencrypted, &["server.listen", "without TLS", "[server.tls]"]);
    let config = loaded.config;
    assert_eq!(config.auth.tokens[0].token_file.expose(), "a-token-of-the-first-till");
    assert_eq!(config.auth.tokens[1].token_file.expose(), "a-token-of-the-operators");
    let max = Duration::from_secs(1200);
    assert_eq!(config.breaker.backoff(), Backoff::Exponential { multiplier: 3.0, max, jitter: 0.2 });
    assert_eq!(config.sync.on_rejected, OnRejected::Stop);
    let device = &config.kkt.device[0];
    assert_eq!(device.identity().unwrap().inn, "7702203276");
    assert_eq!(device.token_file.as_ref().unwrap().expose(), "device-secret");
    let debug = format!("{config:?}");
    assert!(!debug.contains("a-token") && !debug.contains("device-secret"), "{debug}");
}

#[test]
fn flags_win_over_variables_and_variables_over_the_file() {
    let mut given = Given::file("[server]\nlisten = \"127.0.0.1:1\"\n[breaker]\nfailure_threshold = 7\n")
        .variable("KKT_SERVER__LISTEN", "127.0.0.1:2")
        .variable("KKT_BREAKER__FAILURE_THRESHOLD", "8")
        .variable("KKT_SYNC__BACKOFF__INITIAL", "3s")
        .variable("KKT_KKT__PRINT_TIMEOUT", "4s")
        .variable("KKT_SERVER__ALLOWED_HOSTS", "a.local, b.local:8000");
    given.sources.listen = Some("127.0.0.1:3".into());
    given.sources.data_dir = Some("/srv/kkt/".into());
    let loaded = given.good();
    let config = &loaded.config;
    assert_eq!(config.server.listen.port(), 3);
    assert_eq!(config.breaker.failure_threshold, 8);
    assert_eq!(config.sync.backoff_initial, Duration::from_secs(3));
    assert_eq!(config.kkt.print_timeout, Duration::from_secs(4));
    assert_eq!(config.server.allowed_hosts, ["a.local", "b.local:8000"]);
    assert_eq!(config.buffer.path(), PathBuf::from("/srv/kkt/buffer.db"));
    assert_eq!(config.buffer.folder(), PathBuf::from("/srv/kkt"));
    let rows = config::effective(&loaded);
    let source = |key: &str| rows.iter().find(|row| row.key == key).unwrap().source.clone();
    assert_eq!(source("server.listen"), "flag --listen");
    assert_eq!(source("breaker.failure_threshold"), "variable KKT_BREAKER__FAILURE_THRESHOLD");
    assert_eq!(source("sync.interval"), "default");
}

#[test]
fn everything_that_is_wrong_is_told_at_once_with_place_value_and_range() {
    let refusal = Given::file(
        "[breaker]\nfailure_threshold = 0\nrecovery_timeout = 60\nsucces_threshold = 3\n\n[ofd]\ntimeout = \"never\"\n",
    )
    .variable("KKT_BUFFER__CAPACITY", "many")
    .refusal();
    contains(
        &refusal,
        &[
            "in 5 places",
            "breaker.failure_threshold = 0 (",
            "config.toml:2): must be a whole number from 1 to 1000000",
            "breaker.recovery_timeout = 60 (",
            "config.toml:3): must be a duration with its unit",
            "breaker.succes_threshold (",
            "config.toml:4): no such setting; did you mean breaker.success_threshold?",
            "ofd.timeout = \"never\" (",
            "config.toml:7): must be a duration with its unit (ms, s, m, h, d) from 10ms to 5m",
            "buffer.capacity = \"many\" (variable KKT_BUFFER__CAPACITY): must be a whole number from 1 to 10000000",
        ],
    );
}

#[test]
fn unknown_names_are_refused_with_the_nearest_known_one_and_never_with_their_value() {
    for (text, hint) in [
        ("[brekaer]\nfailure_threshold = 5", "did you mean breaker?"),
        ("[breaker]\nmax_lanes = 5", "did you mean sync.max_lanes?"),
        ("[ofd]\ntoken = \"hunter2-hunter2\"", "did you mean ofd.token_file?"),
        ("[heartbeat]\ntoken = \"hunter2-hunter2\"", "did you mean heartbeat.token_file?"),
        ("[server]\nlisten_address = \"hunter2\"", "did you mean server.listen?"),
        ("[server.tls]\ncert = \"hunter2\"", "did you mean server.tls.cert_file?"),
        ("[buffer]\npath = \"hunter2\"", "`kkt-adapter config default` lists all settings"),
        ("[[kkt.device]]\nid = \"a\"\npos_id = [\"hunter2\"]\npos_ids = [\"P\"]", "did you mean pos_ids?"),
        ("[kkt.device]\nid = \"hunter2\"", "kkt.device ("),
        ("[kkt.device]\nid = \"hunter2\"", "each under its own [[kkt.device]]"),
        ("breaker = 3", "must be a table, [breaker]"),
        ("[breaker]\nbackoff = \"fixed\"", "must be a table, [breaker.backoff]"),
    ] {
        let refusal = Given::file(text).refusal();
        contains(&refusal, &[hint]);
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
    let refusal = Given::nothing().variable("KKT_BREAKER__FAILURE_TRESHOLD", "5").refusal();
    contains(&refusal, &["KKT_BREAKER__FAILURE_TRESHOLD", "did you mean KKT_BREAKER__FAILURE_THRESHOLD?"]);
}

#[test]
fn what_is_missing_in_a_table_of_a_list_is_placed_at_the_table() {
    let refusal = Given::file(
        "[kkt]\n[[kkt.device]]\nid = \"a\"\npos_ids = [\"P\"]\n\n[[kkt.device]]\nid = \"b\"\npos_ids = [\"P2\"]\nidentity.inn = \"7707083893\"\n",
    )
    .refusal();
    contains(&refusal, &["kkt.device[1].identity.rn_kkt (", "config.toml:6): is missing"]);
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("t");
    std::fs::write(&token, "0123456789abcdef").unwrap();
    let tokens = format!("[auth]\ntokens = [{{name = \"till\", role = \"pos\", token_file = {token:?}}}]");
    contains(
        &Given::file(&tokens).refusal(),
        &["auth.tokens[0].pos_ids (", "config.toml:2): must name the tills"],
    );
}

#[test]
fn variables_of_others_get_a_warning_only() {
    let loaded = Given::nothing()
        .variable("KKT_ADAPTER_SERVICE_HOST", "10.0.0.1")
        .variable("KKT_BREAKER_FAILURE_THRESHOLD", "9")
        .variable("KKT_OFD__BASE_URL", "")
        .variable("PATH", "/bin")
        .good();
    assert_eq!(loaded.warnings.len(), 2, "{:?}", loaded.warnings);
    contains(
        &loaded.warnings.join("\n"),
        &["KKT_ADAPTER_SERVICE_HOST", "did you mean KKT_BREAKER__FAILURE_THRESHOLD?"],
    );
    assert_eq!(loaded.config.breaker.failure_threshold, 5);
    assert_eq!(loaded.config.ofd.base_url, None);
}

#[test]
fn the_names_of_the_earlier_adapter_are_understood() {
    let given = Given::nothing()
        .variable("OFD_BASE_URL", "https://ofd.example/api/")
        .variable("OFD_TIMEOUT", "7.5")
        .variable("BUFFER_DB_PATH", "/var/lib/buffer.db")
        .variable("HEARTBEAT_URL", "http://erp/api/v1/kkt/heartbeat");
    let config = given.good().config;
    assert_eq!(config.ofd.kind, OfdKind::Http);
    assert_eq!(config.ofd.base_url.as_deref(), Some("https://ofd.example/api"));
    assert_eq!(config.ofd.timeout, Duration::from_millis(7_500));
    assert_eq!(config.buffer.path(), PathBuf::from("/var/lib/buffer.db"));
    assert_eq!(config.heartbeat.url.as_deref(), Some("http://erp/api/v1/kkt/heartbeat"));
    let loaded = given.variable("KKT_OFD__TIMEOUT", "3s").good();
    assert_eq!(loaded.config.ofd.timeout, Duration::from_secs(3));
    contains(&loaded.warnings.join("\n"), &["OFD_TIMEOUT is ignored, since KKT_OFD__TIMEOUT is set too"]);
    contains(
        &Given::nothing().variable("OFD_TIMEOUT", "soon").refusal(),
        &["\"soon\" (variable OFD_TIMEOUT)"],
    );
}

#[test]
fn a_base_url_means_http_and_contradicts_an_explicit_simulator() {
    let loaded = Given::file("[ofd]\nbase_url = \"https://ofd.example\"").good();
    assert_eq!(loaded.config.ofd.kind, OfdKind::Http);
    let rows = config::effective(&loaded);
    assert_eq!(rows.iter().find(|row| row.key == "ofd.kind").unwrap().value.as_deref(), Some("\"http\""));
    let refusal = Given::file("[ofd]\nkind = \"simulator\"\nbase_url = \"https://ofd.example\"").refusal();
    contains(
        &refusal,
        &["ofd.base_url", "config.toml:3", "contradicts ofd.kind = \"simulator\"", "config.toml:2"],
    );
    contains(
        &Given::file("[ofd]\nkind = \"http\"").refusal(),
        &["ofd.kind = \"http\"", "needs ofd.base_url"],
    );
    for url in
        ["ftp://x", "ofd.example", "https://", "http://u:hunter2@x/", "http://x/?key=hunter2", "http://x/#a"]
    {
        let refusal = Given::nothing().variable("KKT_OFD__BASE_URL", url).refusal();
        contains(&refusal, &["ofd.base_url = ", "must be an http:// or https:// address"]);
        assert!(!refusal.contains("hunter2"), "{refusal}");
    }
}

// P10
#[test]
fn listening_beyond_this_machine_needs_tokens_or_an_explicit_word() {
    for address in ["0.0.0.0:8000", "[::]:8000", "192.168.1.5:8000"] {
        let refusal = Given::nothing().variable("KKT_SERVER__LISTEN", address).refusal();
        contains(&refusal, &["server.listen = ", address, "auth.tokens", "auth.allow_anonymous = true"]);
        let given = Given::file("[auth]\nallow_anonymous = true").variable("KKT_SERVER__LISTEN", address);
        contains(&given.good().warnings.join("\n"), &["may do everything"]);
    }
    Given::nothing().variable("KKT_SERVER__LISTEN", "[::1]:8000").good();
}

#[test]
fn tokens_are_read_from_files_and_bad_ones_are_refused_unseen() {
    let given = Given::nothing();
    let (short, good) = (given.write("short", "hunter2"), given.write("good", "hunter2-hunter2-hunter2"));
    let lines = given.write("lines", "hunter2-hunter2\nhunter2-hunter2");
    let token = |name: &str, more: &str, path: &std::path::Path| {
        format!("{{name=\"{name}\", {more}, token_file=\"{}\"}}", path.display())
    };
    let refused = |tokens: &[String], parts: &[&str]| {
        let refusal =
            Given::nothing().variable("KKT_AUTH__TOKENS", &format!("[{}]", tokens.join(", "))).refusal();
        contains(&refusal, parts);
        assert!(!refusal.contains("hunter2"), "{refusal}");
    };
    let operator = "role=\"operator\"";
    refused(&[token("a", operator, &short)], &["auth.tokens[0].token_file", "shorter than 16"]);
    refused(&[token("a", operator, &lines)], &["one line of 1 to 4096 visible ASCII characters"]);
    refused(
        &[token("a", operator, &good), token("a", operator, &good)],
        &["auth.tokens[1].name", "same token as"],
    );
    refused(&[token("a", "role=\"pos\"", &good)], &["auth.tokens[0].pos_ids", "must name the tills"]);
    refused(&[token("a", "role=\"reader\", pos_ids=[\"P\"]", &good)], &["only limits the role pos"]);
    refused(&[token("a", "role=\"boss\"", &good)], &["auth.tokens[0].role", "one of pos, reader, operator"]);
    refused(&["{name=\"a\", role=\"reader\"}".into()], &["auth.tokens[0].token_file", "is missing"]);
    refused(&[token("a", operator, &given.folder.path().join("none"))], &["cannot be read"]);
}

#[test]
fn a_token_file_that_everybody_may_read_gets_a_warning() {
    use std::os::unix::fs::PermissionsExt as _;
    let given = Given::nothing();
    let path = given.write("token", "0123456789abcdef");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    let loaded =
        Given::file(&format!("[ofd]\nbase_url=\"https://o\"\ntoken_file=\"{}\"", path.display())).good();
    contains(&loaded.warnings.join("\n"), &["ofd.token_file", "can be read by every user", "chmod 600"]);
}

#[test]
fn a_pair_for_tls_is_read_and_one_that_does_not_fit_is_refused_unseen() {
    let ca = ca::Ca::new("x");
    let (pair, other) = (ca.issue(), ca.issue());
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    pair.write(&at("cert"), &at("key"));
    other.write(&at("other-cert"), &at("other-key"));
    std::fs::write(at("ca"), &ca.pem).unwrap();
    std::fs::write(at("empty"), "").unwrap();
    std::fs::write(at("torn"), "-----BEGIN CERTIFICATE-----\nhush\n").unwrap();
    let given = |cert: &str, key: &str| {
        Given::nothing()
            .variable("KKT_SERVER__TLS__CERT_FILE", at(cert).to_str().unwrap())
            .variable("KKT_SERVER__TLS__KEY_FILE", at(key).to_str().unwrap())
    };
    let tls = given("cert", "key").good().config.tls.unwrap();
    assert_eq!(tls.identity.chain, pair.der().0);
    assert!(!format!("{tls:?}").contains(pair.key.lines().nth(1).unwrap()));
    for (cert, key, parts) in [
        ("cert", "other-key", ["server.tls.key_file", "is not the key of the certificate in"]),
        ("none", "key", ["server.tls.cert_file", "cannot be read"]),
        ("cert", "none", ["server.tls.key_file", "cannot be read"]),
        ("cert", "cert", ["server.tls.key_file", "holds no private key"]),
        ("key", "key", ["server.tls.cert_file", "holds no certificate"]),
        ("empty", "key", ["server.tls.cert_file", "holds no certificate"]),
        ("torn", "key", ["server.tls.cert_file", "is not valid PEM"]),
    ] {
        let refusal = given(cert, key).refusal();
        contains(&refusal, &parts);
        assert!(!refusal.contains("hush") && !refusal.contains("PRIVATE"), "{refusal}");
    }
    let alone = Given::nothing().variable("KKT_SERVER__TLS__CERT_FILE", at("cert").to_str().unwrap());
    contains(&alone.refusal(), &["server.tls.cert_file", "needs server.tls.key_file"]);

    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(at("key"), std::fs::Permissions::from_mode(0o644)).unwrap();
    let warnings = given("cert", "key").good().warnings.join("\n");
    contains(&warnings, &["server.tls.key_file", "can be read by every user", "chmod 640"]);

    for section in ["[ofd]\nbase_url", "[heartbeat]\nurl"] {
        let file = |scheme: &str, ca: &str| {
            Given::file(&format!("{section}=\"{scheme}://x\"\nca_file=\"{}\"", at(ca).display()))
        };
        assert!(file("https", "ca").good().warnings.is_empty());
        contains(&file("https", "key").refusal(), &["ca_file", "holds no certificate"]);
        contains(&file("http", "ca").good().warnings.join("\n"), &["ca_file has no effect"]);
    }
}

#[test]
fn a_token_may_expire_and_one_that_has_is_a_warning() {
    let given = Given::nothing();
    let path = given.write("token", "0123456789abcdef");
    let load = |expires: &str| {
        let token = format!(
            "[{{name=\"a\", role=\"reader\", token_file=\"{}\", expires=\"{expires}\"}}]",
            path.display()
        );
        Given::nothing().variable("KKT_AUTH__TOKENS", &token)
    };
    let loaded = load("2999-01-01T00:00:00+03:00").good();
    let expires = loaded.config.auth.tokens[0].expires.unwrap();
    assert_eq!(expires.to_string(), "2998-12-31T21:00:00Z");
    assert!(loaded.warnings.is_empty(), "{:?}", loaded.warnings);
    contains(&load("2020-01-01T00:00:00Z").good().warnings.join("\n"), &["auth.tokens[0]", "has expired"]);
    contains(&load("tomorrow").refusal(), &["auth.tokens[0].expires", "a date and time with its offset"]);
}

#[test]
fn a_reload_names_exactly_the_settings_that_need_a_restart() {
    let device = |tills: &str| {
        format!("[[kkt.device]]\nid=\"k\"\npos_ids=[{tills}]\n[server]\nrequest_timeout=\"30s\"\n")
    };
    let before = Given::file(&device("\"A\"")).good();
    let needing = |text: &str| Given::file(text).good().needing_restart(&before).collect::<Vec<_>>();
    // The same elsewhere in the file, and what SIGHUP takes over.
    let same =
        format!("# moved\n{}[telemetry]\nlog=\"debug\"\n[breaker]\nfailure_threshold=7", device("\"A\""));
    assert_eq!(needing(&same), Vec::<&str>::new());
    assert_eq!(needing(&device("\"A\", \"B\"")), ["kkt.device"]);
    assert_eq!(needing("[server]\nmax_connections=9"), ["server.max_connections", "kkt.device"]);
}

#[test]
fn a_reload_takes_over_tokens_wherever_they_are_named_and_names_a_changed_ca_file() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    for name in ["one", "two"] {
        std::fs::write(at(name), format!("the-token-{name}")).unwrap();
    }
    let authority = || rcgen::generate_simple_self_signed(["ca".to_owned()]).unwrap().cert.pem();
    std::fs::write(at("ca.pem"), authority()).unwrap();
    let text = |token: &str, pos_id: &str| {
        format!(
            "[ofd]\nbase_url=\"https://ofd\"\nca_file=\"{ca}\"\ntoken_file=\"{token}\"\n\
             [heartbeat]\nurl=\"https://erp\"\ntoken_file=\"{token}\"\n\
             [[kkt.device]]\nid=\"k\"\npos_ids=[\"{pos_id}\"]\ntoken_file=\"{token}\"\n",
            ca = at("ca.pem"),
            token = at(token),
        )
    };
    let before = Given::file(&text("one", "A")).good();
    let needing = |text: &str| Given::file(text).good().needing_restart(&before).collect::<Vec<_>>();
    assert_eq!(needing(&text("two", "A")), Vec::<&str>::new());
    assert_eq!(needing(&text("two", "B")), ["kkt.device"]);
    // The same path with other content.
    std::fs::write(at("ca.pem"), authority()).unwrap();
    assert_eq!(needing(&text("one", "A")), ["ofd.ca_file"]);
}

#[test]
fn contradictions_between_settings_are_refused() {
    for (text, parts) in [
        (
            "[breaker]\nrecovery_timeout=\"2m\"\nbackoff={kind=\"exponential\", max=\"1m\"}",
            ["breaker.backoff.max = \"1m\"", "at least breaker.recovery_timeout, 2m"],
        ),
        (
            "[sync]\nbackoff={initial=\"2m\", max=\"1m\"}",
            ["sync.backoff.max", "at least sync.backoff.initial, 2m"],
        ),
        (
            "[[kkt.device]]\nid=\"a\"\npos_ids=[\"P\"]\n[[kkt.device]]\nid=\"b\"\npos_ids=[\"P\"]",
            ["kkt.device[1].pos_ids = \"P\"", "is on kkt.device[0] already"],
        ),
        (
            "[[kkt.device]]\nid=\"a\"\npos_ids=[\"P\"]\n[[kkt.device]]\nid=\"a\"\npos_ids=[\"Q\"]",
            ["kkt.device[1].id", "is the id of kkt.device[0] too"],
        ),
        (
            "[[kkt.device]]\nid=\"Q\"\npos_ids=[\"P\"]\n[[kkt.device]]\nid=\"b\"\npos_ids=[\"Q\"]",
            ["kkt.device[0].id", "name of a till of another device"],
        ),
        (
            "[[kkt.device]]\nid=\"a\"\npos_ids=[\"P\"]\nidentity={inn=\"7702203276\"}",
            ["kkt.device[0].identity.rn_kkt", "kkt.device[0].identity.ofd_name"],
        ),
        ("[[kkt.device]]\nid=\"a\"\npos_ids=[]", ["kkt.device[0].pos_ids", "at least one till"]),
        ("[[kkt.device]]\npos_ids=[\"bad id\"]", ["kkt.device[0].id", "each 1 to 64 characters"]),
        ("[telemetry]\nlog=\"inof\"", ["telemetry.log = \"inof\"", "debug or trace"]),
    ] {
        contains(&Given::file(text).refusal(), &parts);
    }
    let unused = Given::file("[breaker]\nbackoff={kind=\"fixed\", multiplier=3.0}").good();
    contains(&unused.warnings.join("\n"), &["breaker.backoff.multiplier has no effect"]);
}

#[test]
fn the_buffer_is_a_file_by_its_url() {
    let path = |url: &str| Given::nothing().variable("KKT_BUFFER__URL", url).good().config.buffer;
    assert_eq!(path("sqlite://buffer.db").folder(), PathBuf::from("."));
    assert_eq!(path("sqlite:///var/lib/kkt/b.db").path(), PathBuf::from("/var/lib/kkt/b.db"));
    for url in [
        "buffer.db",
        "sqlite://",
        "sqlite::memory:",
        "sqlite://data/",
        "sqlite://b.db?mode=ro",
        "postgres://x/y",
    ] {
        contains(
            &Given::nothing().variable("KKT_BUFFER__URL", url).refusal(),
            &["buffer.url = ", "\"sqlite://\" and"],
        );
    }
}

#[test]
fn a_file_that_is_none_is_refused_with_its_line() {
    contains(&Given::file("[server]\nlisten = \n").refusal(), &["config.toml:2: not TOML"]);
    contains(&Given::file("[a]\nx=1\n[a]\n").refusal(), &["config.toml:3: not TOML"]);
    let mut given = Given::nothing();
    given.sources.file = Some(given.folder.path().join("none.toml"));
    contains(&given.refusal(), &["none.toml: cannot be read"]);
    given.sources.file = Some(given.folder.path().to_path_buf());
    contains(&given.refusal(), &["is not a file"]);
    let path = given.folder.path().join("latin1.toml");
    std::fs::write(&path, b"# \xe9\n").unwrap();
    given.sources.file = Some(path);
    contains(&given.refusal(), &["is not UTF-8 at byte 2"]);
}

#[test]
fn no_input_makes_the_loader_panic() {
    use proptest::prelude::*;
    let texts = prop_oneof!["\\PC{0,40}", "[a-z._]{1,12} = [0-9a-z\"\\[\\]{}=,.]{0,20}"];
    let keys: Vec<_> = config::keys().map(|key| key.variable).collect();
    proptest!(|(text in texts, value in "\\PC{0,30}", at in 0..keys.len())| {
        let _ = Given::file(&text).variable(keys[at], &value.replace('\0', "")).load();
    });
}

#[test]
fn whatever_the_section_breaker_allows_makes_a_breaker() {
    let edges = |key: &str| match config::keys().find(|k| k.path == key).unwrap().kind {
        config::Kind::Integer(min, max) => [min.to_string(), max.to_string()],
        config::Kind::Span(min, max) => [min, max].map(config::units::show_duration),
        config::Kind::Decimal(min, max) => [min.to_string(), max.to_string()],
        ref other => panic!("{other:?}"),
    };
    let settings = [
        "breaker.failure_threshold",
        "breaker.recovery_timeout",
        "breaker.success_threshold",
        "breaker.half_open_max_calls",
        "breaker.half_open_timeout",
        "breaker.retry_after_max",
        "breaker.backoff.multiplier",
        "breaker.backoff.max",
        "breaker.backoff.jitter",
    ];
    for edge in [0, 1] {
        let mut given = Given::nothing().variable("KKT_BREAKER__BACKOFF__KIND", "exponential");
        for key in settings {
            let variable = config::keys().find(|k| k.path == key).unwrap().variable;
            given = given.variable(variable, &edges(key)[edge]);
        }
        let breaker = given.good().config.breaker;
        let Backoff::Exponential { multiplier, max, jitter } = breaker.backoff() else { panic!() };
        circuit_breaker::CircuitBreaker::builder()
            .failure_threshold(breaker.failure_threshold)
            .recovery_timeout(breaker.recovery_timeout)
            .success_threshold(breaker.success_threshold)
            .half_open_max_calls(breaker.half_open_max_calls)
            .half_open_timeout(breaker.half_open_timeout.unwrap())
            .retry_after_max(breaker.retry_after_max)
            .backoff(circuit_breaker::Backoff::exponential(multiplier, max).jitter(jitter))
            .build()
            .unwrap();
    }
}

#[test]
fn every_variable_is_named_after_its_key() {
    for key in config::keys() {
        assert_eq!(
            key.variable,
            format!("KKT_{}", key.path.replace('.', "__").to_uppercase()),
            "{}",
            key.path
        );
    }
}

#[test]
fn the_default_file_reads_as_the_defaults() {
    let text = config::default_file();
    assert_eq!(Given::file(&text).good().config, Config::default());
    for key in config::keys() {
        assert!(text.contains(key.doc.trim()), "{} is missing", key.path);
    }
}

#[test]
fn the_documentation_is_the_one_that_the_code_generates() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/configuration.md");
    let generated = config::documentation();
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &generated).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == generated,
        "docs/configuration.md is old; run: UPDATE_DOCS=1 cargo test -p kkt-adapter --test config"
    );
}
