//! TLS as a shop has it: files of a configuration, a private CA, a new certificate by SIGHUP.

use super::{
    ca::{Ca, Pair, shown},
    harness::{Adapter, Setup, run, sale, simulator, until},
};
use std::{net::SocketAddr, path::PathBuf, process::Command};

struct Files {
    cert: PathBuf,
    key: PathBuf,
    ca: PathBuf,
}

/// A shop whose adapter speaks TLS with this pair.
fn shop(base_url: &str, ca: &Ca, pair: &Pair) -> (Setup, Files) {
    let setup = Setup::new(base_url);
    let at = |name: &str| setup.path().join(name);
    let files = Files { cert: at("cert.pem"), key: at("key.pem"), ca: at("ca.pem") };
    pair.write(&files.cert, &files.key);
    std::fs::write(&files.ca, &ca.pem).unwrap();
    let setup = setup
        .with("KKT_SERVER__TLS__CERT_FILE", "cert.pem")
        .with("KKT_SERVER__TLS__KEY_FILE", files.key.to_str().unwrap());
    (setup, files)
}

fn address(adapter: &Adapter) -> SocketAddr {
    adapter.url.strip_prefix("https://").expect("the banner says https").parse().unwrap()
}

#[tokio::test]
async fn a_new_certificate_is_taken_by_sighup_and_a_bad_one_leaves_the_former_in_force() {
    let sim = simulator().await;
    let ca = Ca::new("the shop's");
    let (first, second) = (ca.issue(), ca.issue());
    let (setup, files) = shop(&sim.base_url(), &ca, &first);
    let adapter = setup.start();
    let client = ca.client();
    let sell = |key: &str| {
        let request = client.post(format!("{}/v1/kkt/receipt", adapter.url)).header("Idempotency-Key", key);
        request.json(&sale("POS-001", "200.00")).send()
    };
    assert_eq!(sell("k1").await.unwrap().status(), 200);
    let before = ca.connect(address(&adapter)).await;
    assert_eq!(shown(&before), first.der().0[0]);

    second.write(&files.cert, &files.key);
    adapter.signal("HUP");
    let latest = async || shown(&ca.connect(address(&adapter)).await);
    until("the new certificate", async || (latest().await == second.der().0[0]).then_some(())).await;

    // A key that is not the certificate's: `config check` says so, the reload too, and nothing changes.
    std::fs::write(&files.key, &first.key).unwrap();
    let (code, _, stderr) = run(setup.command(&["config", "check"]));
    assert_eq!(code, Some(2), "{stderr}");
    assert!(stderr.contains("server.tls.key_file") && stderr.contains("is not the key of"), "{stderr}");
    adapter.signal("HUP");
    until("a word in the log", async || adapter.log().contains("stays as it was").then_some(())).await;
    assert_eq!(latest().await, second.der().0[0]);
    assert_eq!(sell("k2").await.unwrap().status(), 200);
    for secret in [&first.key, &second.key] {
        let line = secret.lines().nth(1).unwrap();
        assert!(!adapter.log().contains(line) && !stderr.contains(line));
    }
}

#[tokio::test]
async fn the_command_line_reaches_it_by_its_private_ca_and_only_so() {
    let sim = simulator().await;
    let ca = Ca::new("the shop's");
    let (setup, files) = shop(&sim.base_url(), &ca, &ca.issue());
    let adapter = setup.start();
    let stats = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kkt-adapter"));
        command.args(["buffer", "stats", "--json", "--url", &adapter.url]).args(more).env_clear();
        run(command)
    };
    let (code, out, err) = stats(&["--ca-file", files.ca.to_str().unwrap()]);
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("total_capacity"), "{out}");
    let other = setup.path().join("other.pem");
    std::fs::write(&other, Ca::new("another").pem).unwrap();
    let (code, _, err) = stats(&["--ca-file", other.to_str().unwrap()]);
    assert_eq!(code, Some(3), "{err}");
    let (code, _, err) = stats(&["--ca-file", files.key.to_str().unwrap()]);
    assert_eq!(code, Some(2), "{err}");
    assert!(err.contains("holds no certificate"), "{err}");
}
