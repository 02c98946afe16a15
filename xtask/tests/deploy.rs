//! What stands in `deploy/` and the runbooks, held by the programs that will read them.
#![allow(clippy::unwrap_used)]

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// Metrics of the contract, and those of a device and of a lane which wait for a person.
const METRICS: &[&str] = &[
    "kkt_buffer_size",
    "kkt_buffer_capacity",
    "kkt_buffer_percent_full",
    "kkt_circuit_breaker_state",
    "kkt_circuit_breaker_failures_total",
    "kkt_circuit_breaker_opens_total",
    "kkt_circuit_breaker_calls_total",
    "kkt_circuit_breaker_state_seconds_total",
    "kkt_device_blocked",
    "kkt_lane_stuck",
    "kkt_accepting",
    "kkt_disk_free_bytes",
    "kkt_disk_floor_bytes",
    "kkt_start_time_seconds",
    "kkt_damaged_documents",
    "kkt_database_error",
    "kkt_receipts_synced_total",
    "kkt_receipts_total",
    "kkt_dlq_size",
    "kkt_oldest_pending_seconds",
    "kkt_http_requests_total",
];

/// Histograms of the contract; only their parts can be asked for.
const HISTOGRAMS: &[&str] =
    &["kkt_sync_duration_seconds", "kkt_fsync_seconds", "kkt_http_request_seconds", "kkt_ofd_call_seconds"];

/// The alerts and how urgent each is; a rule that goes missing is not noticed by promtool.
const ALERTS: &[(&str, &str)] = &[
    ("KktAdapterDown", "P1"),
    ("KktBufferFull", "P1"),
    ("KktBufferFilling", "P2"),
    ("KktDiskLow", "P1"),
    ("KktDiskFilling", "P2"),
    ("KktRestarting", "P1"),
    ("KktNoFsync", "P1"),
    ("KktTillNotPrinting", "P1"),
    ("KktDeviceBlocked", "P1"),
    ("KktOfdUnreachable", "P2"),
    ("KktLaneStuck", "P2"),
    ("KktDamaged", "P2"),
    ("KktDeviceRefused", "P2"),
    ("KktBreakerFlapping", "P1"),
    ("KktBreakerForced", "P2"),
    ("KktDeadLetters", "P2"),
    ("KktDeadLetterUnattended", "P3"),
    ("KktOldestPending", "P1"),
    ("KktFiscalDriveAboutToStop", "P0"),
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace").to_owned()
}

fn deploy(path: &str) -> PathBuf {
    root().join("deploy").join(path)
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Runs a program; one that is not here is a failure that names it.
fn run(command: &mut Command) -> Output {
    command.output().unwrap_or_else(|error| {
        let program = command.get_program().to_string_lossy().into_owned();
        panic!("cannot start {program} ({error}): `cargo xtask test --install` brings it")
    })
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn succeeds(command: &mut Command) -> String {
    let output = run(command);
    assert!(output.status.success(), "{command:?}\n{}", said(&output));
    said(&output)
}

/// A new folder for one test, gone with it.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("kkt-deploy-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// One alert as its file writes it, which promtool has proved to be valid YAML.
#[derive(Default)]
struct Alert {
    name: String,
    fields: Vec<(String, String)>,
}

impl Alert {
    fn field(&self, name: &str) -> &str {
        let found = self.fields.iter().find(|(field, _)| field == name);
        found.map_or_else(|| panic!("{} has no {name}", self.name), |(_, value)| value.trim_matches('\''))
    }
}

fn alerts() -> Vec<Alert> {
    let mut alerts: Vec<Alert> = Vec::new();
    for line in read(&deploy("prometheus/kkt-adapter.rules.yml")).lines() {
        let Some((name, value)) = line.trim_start_matches([' ', '-']).split_once(": ") else { continue };
        if name == "alert" {
            alerts.push(Alert { name: value.to_owned(), ..Alert::default() });
        } else if let Some(alert) = alerts.last_mut() {
            alert.fields.push((name.to_owned(), value.to_owned()));
        }
    }
    alerts
}

fn dashboard() -> PathBuf {
    deploy("grafana/dashboards/kkt-adapter.json")
}

fn jq(filter: &str) -> Vec<String> {
    let mut command = Command::new("jq");
    command.args(["-r", filter]).arg(dashboard());
    succeeds(&mut command).lines().map(str::to_owned).collect()
}

/// Every `kkt_…` word of a text.
fn metrics_named(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("kkt_"))
        .map(str::to_owned)
        .collect()
}

fn is_of_contract(metric: &str) -> bool {
    let part = ["_bucket", "_sum", "_count"].iter().find_map(|end| metric.strip_suffix(end));
    METRICS.contains(&metric) || part.is_some_and(|name| HISTOGRAMS.contains(&name))
}

fn anchors(page: &str) -> Vec<&str> {
    page.split("<a id=\"").skip(1).filter_map(|rest| rest.split('"').next()).collect()
}

/// The paths of the API that a page types.
fn paths(page: &str) -> BTreeSet<&str> {
    page.split(|c: char| c.is_whitespace() || "'`\"();,:".contains(c))
        .filter(|word| word.starts_with("/v1/"))
        .collect()
}

const RULE_TESTS: [&str; 2] = ["kkt-adapter.rules.test.yml", "kkt-adapter.rules.days.test.yml"];

fn test_rules(folder: &Path, tests: &[&str]) -> Output {
    run(Command::new("promtool").args(["test", "rules"]).args(tests).current_dir(folder))
}

// P2: nothing is stuck without an alarm.
#[test]
fn every_alert_fires_when_it_should_and_not_before() {
    let folder = deploy("prometheus");
    succeeds(Command::new("promtool").args(["check", "rules", "kkt-adapter.rules.yml"]).current_dir(&folder));
    let output = test_rules(&folder, &RULE_TESTS);
    assert!(output.status.success(), "{}", said(&output));
}

#[test]
fn control_rules_that_fire_at_once_are_caught_by_the_rule_tests() {
    let folder = Folder::new("control");
    let [_, days] = RULE_TESTS;
    fs::copy(deploy("prometheus").join(days), folder.0.join(days)).unwrap();
    let rules = read(&deploy("prometheus/kkt-adapter.rules.yml"));
    let hasty: Vec<&str> = rules.lines().filter(|line| !line.trim().starts_with("for: ")).collect();
    fs::write(folder.0.join("kkt-adapter.rules.yml"), hasty.join("\n")).unwrap();
    let output = test_rules(&folder.0, &[days]);
    let said = said(&output);
    assert!(!output.status.success() && said.contains("KktDeadLetters"), "rules without `for`: {said}");
}

#[test]
fn every_alert_has_its_severity_both_languages_and_a_test_in_which_it_fires() {
    let alerts = alerts();
    let found: BTreeSet<(&str, &str)> =
        alerts.iter().map(|alert| (alert.name.as_str(), alert.field("severity"))).collect();
    assert_eq!(found, ALERTS.iter().copied().collect());
    let tests: String = RULE_TESTS.iter().map(|file| read(&deploy("prometheus").join(file))).collect();
    for alert in &alerts {
        for field in ["summary", "description"] {
            assert!(!alert.field(field).is_empty(), "{} {field}", alert.name);
            let russian = alert.field(&format!("{field}_ru"));
            assert!(
                russian.chars().any(|c| ('а'..='я').contains(&c)),
                "{} {field}_ru: {russian}",
                alert.name
            );
        }
        let fires = format!("alertname=\"{}\", alertstate=\"firing\", job=", alert.name);
        assert!(tests.contains(&fires), "no test in which {} fires", alert.name);
    }
}

#[test]
fn every_alert_links_to_its_paragraph_in_both_languages() {
    for (field, guide) in [("runbook_url", "operations"), ("runbook_url_ru", "operations.ru")] {
        let page = format!("docs/{guide}.md");
        let text = read(&root().join(&page));
        for alert in alerts() {
            let url = alert.field(field);
            let (file, anchor) = url.split_once('#').unwrap_or_else(|| panic!("{url} has no anchor"));
            // The adapter shows its own guide, so the link works on the day of the installation.
            assert_eq!(file, format!("http://{{{{ $labels.instance }}}}/docs/{guide}"));
            let heading =
                format!("<a id=\"{anchor}\"></a>\n### {} ({})", alert.name, alert.field("severity"));
            assert!(text.contains(&heading), "{page} has no paragraph like this:\n{heading}");
        }
    }
}

#[test]
fn the_runbooks_have_the_same_paragraphs_and_commands_and_no_link_into_nothing() {
    let english = read(&root().join("docs/operations.md"));
    let russian = read(&root().join("docs/operations.ru.md"));
    assert_eq!(anchors(&english), anchors(&russian));
    assert_eq!(paths(&english), paths(&russian));
    for (page, text) in [("operations.md", &english), ("operations.ru.md", &russian)] {
        let known = anchors(text);
        for target in text.split("](#").skip(1).filter_map(|rest| rest.split(')').next()) {
            assert!(known.contains(&target), "docs/{page} links to #{target}");
        }
    }
}

#[test]
fn the_scrape_configurations_are_valid() {
    for file in ["prometheus/prometheus.yml", "docker/prometheus.yml"] {
        // Syntax only: the token's file is the administrator's.
        succeeds(Command::new("promtool").args(["check", "config", "--syntax-only"]).arg(deploy(file)));
    }
}

#[test]
fn what_the_scrape_configuration_offers_in_comments_is_valid_too() {
    let folder = Folder::new("scrape");
    let mut offered = 0;
    let lines: Vec<String> = read(&deploy("prometheus/prometheus.yml"))
        .lines()
        .map(|line| match line.trim_start().strip_prefix("# ") {
            // A key and its value, not a sentence.
            Some(rest) if rest.trim_start().split_once(':').is_some_and(|(key, _)| is_key(key)) => {
                offered += 1;
                line.replacen("# ", "", 1)
            }
            _ => line.to_owned(),
        })
        .collect();
    let text = lines.join("\n");
    assert!(offered >= 6 && text.contains("scheme: https"), "{offered}\n{text}");
    fs::write(folder.0.join("prometheus.yml"), text).unwrap();
    succeeds(
        Command::new("promtool")
            .args(["check", "config", "--syntax-only", "prometheus.yml"])
            .current_dir(&folder.0),
    );
}

fn is_key(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
}

// P2: an alarm that reaches nobody is none.
#[test]
fn every_alert_reaches_somebody_and_the_grave_ones_at_any_hour() {
    let file = deploy("prometheus/alertmanager.yml");
    succeeds(Command::new("amtool").arg("check-config").arg(&file));
    let told = |labels: &[&str]| {
        let mut amtool = Command::new("amtool");
        amtool.args(["config", "routes", "test", "--config.file"]).arg(&file).args(labels);
        let output = run(&mut amtool);
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    };
    for alert in alerts() {
        let severity = alert.field("severity").to_owned();
        let receiver = told(&[&format!("alertname={}", alert.name), &format!("severity={severity}")]);
        let wanted = match severity.as_str() {
            "P0" => "everybody",
            "P1" | "P2" => "on-call",
            _ => "office",
        };
        assert_eq!(receiver, wanted, "{} ({severity})", alert.name);
    }
    assert_eq!(told(&["alertname=Test"]), "office");
    let text = read(&file);
    for severity in ["P0", "P1"] {
        let (_, route) = text.split_once(&format!("severity=\"{severity}\"")).unwrap();
        let route = route.split("- matchers").next().unwrap_or_default();
        assert!(!route.contains("time_intervals"), "{severity} is told at any hour: {route}");
    }
}

#[test]
fn a_state_that_a_guide_has_people_wait_for_exists() {
    let examples = root().join("crates/kkt-adapter/src/http/openapi/examples");
    let examples: String =
        fs::read_dir(examples).unwrap().map(|file| read(&file.unwrap().path())).collect::<String>();
    let examples = examples.replace("\": ", "\":");
    for guide in ["operations.md", "operations.ru.md"] {
        let text = read(&root().join("docs").join(guide));
        let pairs = text.split('`').filter(|code| code.starts_with('"') && code.contains("\":\""));
        for pair in pairs {
            // A breaker of the examples is closed.
            assert!(examples.contains(pair) || pair == "\"state\":\"OPEN\"", "docs/{guide} speaks of {pair}");
        }
    }
}

#[test]
fn rules_and_dashboard_name_only_metrics_of_the_contract() {
    let queries = jq("(.. | .expr? // empty), (.templating.list[] | .definition? // empty)").join("\n");
    // A comment may speak of a metric that no rule uses.
    let rules = read(&deploy("prometheus/kkt-adapter.rules.yml"));
    let rules: Vec<&str> = rules.lines().filter(|line| !line.trim().starts_with('#')).collect();
    for (what, text) in [("dashboard", queries), ("rules", rules.join("\n"))] {
        let named = metrics_named(&text);
        assert!(named.len() >= 6, "{what}: {named:?}");
        for metric in named {
            assert!(is_of_contract(&metric), "{what}: {metric} is no metric of the contract");
        }
    }
}

#[test]
fn every_query_of_the_dashboard_parses() {
    let folder = Folder::new("dashboard");
    let mut rules = "groups:\n  - name: dashboard\n    rules:\n".to_owned();
    let exprs = jq(".. | .expr? // empty");
    assert!(exprs.len() >= 20, "{} queries", exprs.len());
    for (at, expr) in exprs.iter().enumerate() {
        // What Grafana puts in before it asks.
        let expr = expr.replace("$__rate_interval", "1m").replace("$instance", ".*");
        assert!(!expr.contains('$'), "an unknown variable: {expr}");
        rules += &format!("      - record: panel:query:{at}\n        expr: '{}'\n", expr.replace('\'', "''"));
    }
    fs::write(folder.0.join("dashboard.yml"), rules).unwrap();
    succeeds(Command::new("promtool").args(["check", "rules", "dashboard.yml"]).current_dir(&folder.0));
}

#[test]
fn the_dashboard_has_the_shape_that_grafana_loads() {
    let ids = jq(".panels[].id");
    assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), ids.len(), "panel ids repeat: {ids:?}");
    let shapes = [
        (
            "its own uid, no id, a schema of today",
            ".uid == \"kkt-adapter\" and .id == null and .schemaVersion >= 39 and (.schemaVersion | type) == \"number\"",
        ),
        (
            "a variable for the datasource",
            "[.templating.list[] | select(.type == \"datasource\" and .name == \"datasource\" and .query == \"prometheus\")] | length == 1",
        ),
        (
            "every panel has a title, a type and a place in 24 columns",
            "all(.panels[]; .title != \"\" and .type != \"\" and (.gridPos | .x >= 0 and .w > 0 and .h > 0 and .x + .w <= 24))",
        ),
        (
            "every panel but a row asks the variable's datasource",
            "all(.panels[] | select(.type != \"row\"); .datasource.uid == \"${datasource}\" and (.targets | length) > 0 and all(.targets[]; .datasource.uid == \"${datasource}\" and .expr != \"\"))",
        ),
        (
            "queries of a panel have letters of their own",
            "all(.panels[] | select(.type != \"row\"); ([.targets[].refId] | unique | length) == (.targets | length))",
        ),
        (
            "states of a breaker are told by name, not by colour alone",
            "[.panels[] | select(.targets[]?.expr | test(\"circuit_breaker_state\\\\{\")) | .fieldConfig.defaults.mappings[0].options[\"1\"].text] | length >= 2 and all(. == \"OPEN\")",
        ),
    ];
    for (what, filter) in shapes {
        // -e: jq fails unless the answer is true.
        let output = run(Command::new("jq").args(["-e", filter]).arg(dashboard()));
        assert!(output.status.success(), "{what}: {}", said(&output));
    }
}

#[test]
fn the_unit_is_valid_and_stays_in_its_sandbox() {
    let folder = Folder::new("unit");
    let unit = read(&deploy("systemd/kkt-adapter.service"));
    // The program is not installed here, and verify asks for it.
    let path = folder.0.join("kkt-adapter.service");
    fs::write(&path, unit.replace("/usr/bin/kkt-adapter", "/bin/true")).unwrap();
    let said = succeeds(Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&path));
    assert!(!said.contains("kkt-adapter.service:"), "{said}");
    // In tenths; 1.1 of 10 with systemd 252.
    let args = ["security", "--offline=true", "--threshold=15", "--no-pager"];
    succeeds(Command::new("systemd-analyze").args(args).arg(&path));
    for line in ["Type=notify", "WatchdogSec=30s", "User=kkt-adapter", "StateDirectory=kkt-adapter"] {
        assert!(unit.lines().any(|found| found == line), "{line}");
    }
}

/// Answers one request with a status line, and gives back the request's first line.
fn answer_once(listener: TcpListener, status: &'static str) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut request = BufReader::new(stream.try_clone().unwrap()).lines().map_while(Result::ok);
        let first = request.next().unwrap_or_default();
        while request.next().is_some_and(|line| !line.is_empty()) {}
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").unwrap();
        first
    })
}

fn healthcheck(port: u16) -> bool {
    run(Command::new("bash").arg(deploy("docker/healthcheck")).arg(port.to_string())).status.success()
}

#[test]
fn the_healthcheck_of_the_image_passes_for_200_alone() {
    for (status, well) in [("200 OK", true), ("503 Service Unavailable", false), ("401 Unauthorized", false)]
    {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = answer_once(listener, status);
        assert_eq!(healthcheck(port), well, "{status}");
        assert_eq!(server.join().unwrap(), "GET /livez HTTP/1.1");
    }
    // Port 1 of loopback: nobody listens, and no test that runs beside this one ever will.
    assert!(!healthcheck(1));
}

#[test]
fn the_build_context_of_the_image_takes_no_data_and_no_secret() {
    let ignore = read(&deploy("docker/Dockerfile.dockerignore"));
    let mut lines = ignore.lines().filter(|line| !line.starts_with('#'));
    assert_eq!(lines.next(), Some("*"), "nothing is taken that is not named");
    let taken: Vec<&str> = lines.filter_map(|line| line.strip_prefix('!')).collect();
    for path in &taken {
        assert!(root().join(path).exists(), "{path} is gone");
        assert!(!path.contains("secret") && !path.contains("data"), "{path}");
    }
    let dockerfile = read(&deploy("docker/Dockerfile"));
    for line in dockerfile.lines().filter(|line| line.starts_with("COPY") && line.contains("deploy/")) {
        assert!(taken.iter().any(|path| line.contains(path)), "not in the build context: {line}");
    }
    assert!(dockerfile.contains("\nUSER 10001:10001\n"), "the image runs as root");
}

#[test]
fn every_file_that_compose_mounts_is_there() {
    let folder = deploy("docker");
    let compose = read(&folder.join("compose.yaml"));
    let mut mounts = 0;
    for line in compose.lines() {
        let Some(mount) = line.trim().strip_prefix("- .") else { continue };
        let host = format!(".{}", mount.split(':').next().unwrap_or_default());
        assert!(folder.join(&host).exists(), "compose.yaml mounts {host}");
        mounts += 1;
    }
    assert!(mounts >= 5, "{mounts}");
    let makes = read(&folder.join("make-secrets"));
    for secret in compose.split("file: ./secrets/").skip(1).filter_map(|rest| rest.lines().next()) {
        assert!(makes.contains(secret), "make-secrets does not make {secret}");
    }
}

#[test]
fn every_file_of_the_package_is_there_and_its_scripts_name_what_is_installed() {
    let manifest = read(&root().join("crates/kkt-adapter/Cargo.toml"));
    let (_, list) = manifest.split_once("assets = [").expect("Cargo.toml has the list of the package");
    let mut installed = BTreeSet::new();
    for line in list.lines().take_while(|line| *line != "]").filter(|line| line.contains('"')) {
        let [from, to, mode] = line.split('"').skip(1).step_by(2).collect::<Vec<_>>()[..] else {
            panic!("{line}");
        };
        assert!(matches!(mode, "755" | "644" | "640"), "{line}");
        let name = from.rsplit('/').next().unwrap_or_default();
        if let Some(path) = from.strip_prefix("../../") {
            let folder = root().join(path.strip_suffix(name).unwrap_or(path));
            assert!(name.contains('*') || folder.join(name).exists(), "{from} is gone");
        }
        installed.insert(if to.ends_with('/') { format!("/{to}{name}") } else { format!("/{to}") });
    }
    let postinst = read(&deploy("debian/postinst"));
    for path in
        ["/usr/lib/sysusers.d/kkt-adapter.sysusers.conf", "/usr/lib/tmpfiles.d/kkt-adapter.tmpfiles.conf"]
    {
        // cargo-deb's own part of the script names them by the names they have in deploy/systemd.
        assert!(installed.contains(path) && postinst.contains(path), "{path}: {installed:?}");
    }
    assert!(manifest.contains("enable = false, start = false"), "drivers are chosen before the first start");
}
