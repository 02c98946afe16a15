//! Requests made from the document alone, valid and invalid ones: no answer is a 500, every answer is one that the
//! document names, in status, content type, headers and schema; what the document does not allow is refused.

use crate::shop::{OPERATOR, Shop, python, said};
use std::{
    process::Command,
    time::{Duration, Instant},
};

/// Longest run, whatever the machine; usually it is a quarter of that.
const PATIENCE: Duration = Duration::from_secs(240);

/// Left out: `positive_data_acceptance`, since no schema can say that a total is price × quantity and that payments sum up
/// to the items; `ignored_auth`, which takes the 429 after too many wrong tokens for a fault (`tests/http/roles.rs` holds
/// every route to its roles).
const CHECKS: &str = "not_a_server_error,status_code_conformance,content_type_conformance,\
                      response_headers_conformance,response_schema_conformance,negative_data_rejection,\
                      missing_required_header,unsupported_method";

fn schemathesis(shop: &Shop, document: &str, seed: u64, requests: u32) -> Command {
    let mut command = python("schemathesis");
    command
        .args(["--config-file", concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/schemathesis.toml")])
        .args(["run", document, "--url", &shop.adapter.url, "--no-color"])
        .args(["--seed", &seed.to_string(), "--max-examples", &requests.to_string()])
        .args(["--phases", "examples,coverage,fuzzing", "--checks", CHECKS])
        // The stream of events has no end; tests of its own hold it.
        .args(["--exclude-path", "/v1/kkt/events"])
        .args(["--header", &format!("Authorization: Bearer {OPERATOR}")])
        .args(["--continue-on-failure", "--no-shrink", "--generation-database", "none", "--warnings", "off"])
        .args(["--request-timeout", "20"])
        .current_dir(shop.file(""));
    command
}

fn run(mut command: Command, shop: &Shop) -> (bool, String) {
    let (out, file) = (shop.file("said"), std::fs::File::create(shop.file("said")).unwrap());
    let mut child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
    let deadline = Instant::now() + PATIENCE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            let _ = child.wait();
            panic!("schemathesis did not end: {}", std::fs::read_to_string(out).unwrap());
        }
        std::thread::park_timeout(Duration::from_millis(50));
    };
    (status.success(), std::fs::read_to_string(out).unwrap())
}

fn number(variable: &str, usual: u64) -> u64 {
    std::env::var(variable).ok().and_then(|text| text.parse().ok()).unwrap_or(usual)
}

// P10
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_gets_a_500_or_an_answer_that_the_document_does_not_name() {
    let shop = Shop::open().await;
    let document = shop.file("openapi.json");
    std::fs::write(&document, shop.document().await.to_string()).unwrap();
    let seed = number("API_SEED", u64::from(std::process::id()));
    let requests = u32::try_from(number("API_REQUESTS", 30)).unwrap();
    println!("again: API_SEED={seed} API_REQUESTS={requests}");
    let (passed, told) = run(schemathesis(&shop, &document.display().to_string(), seed, requests), &shop);
    assert!(passed, "API_SEED={seed} API_REQUESTS={requests}\n{told}");
    println!(
        "{}",
        told.lines().rev().take(14).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
    );
    let tested = told.lines().find_map(|line| line.trim().strip_prefix("Tested: ")).unwrap_or_default();
    assert!(tested.parse().is_ok_and(|tested: usize| tested >= 33), "{told}");
    let log = shop.adapter.log();
    assert!(!log.contains("panicked"), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_document_that_hides_an_answer_or_a_field_is_caught() {
    let shop = Shop::open().await;
    let mut document = shop.document().await;
    document["paths"]["/v1/kkt/receipt/{id}"]["get"]["responses"].as_object_mut().unwrap().remove("404");
    document["components"]["schemas"]["BufferStatus"]["properties"]["pending"]["type"] = "string".into();
    let file = shop.file("openapi.json");
    std::fs::write(&file, document.to_string()).unwrap();
    let mut command = schemathesis(&shop, &file.display().to_string(), 1, 5);
    command.args(["--include-path", "/v1/kkt/receipt/{id}", "--include-path", "/v1/kkt/buffer/status"]);
    let (passed, told) = run(command, &shop);
    assert!(!passed && told.contains("Undocumented status code"), "{told}");
    assert!(told.contains("violates schema"), "{told}");
    let version = python("schemathesis").arg("--version").output().unwrap();
    assert!(version.status.success(), "{}", said(&version));
}
