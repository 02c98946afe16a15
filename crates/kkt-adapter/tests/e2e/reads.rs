//! A read makes nothing, whoever sends it: readers, mistyped names, and web pages in the shop's browser, which can send
//! any GET they like.

use super::harness::{Adapter, Setup, sale, simulator, until};
use reqwest::Method;
use serde_json::Value;
use std::{collections::BTreeMap, path::Path};

/// Nobody has sold under this name.
const NAME: &str = "never-sold";
/// With tokens configured its device is, too; one that has printed nothing is made by a sale only.
const DEVICE: &str = "[{id=\"kkt-never-used\", pos_ids=[\"never-sold\"]}]";
const OPERATOR: &str = "operators-token-0123456789";
const READER: &str = "readers-token-0123456789";
const TOKENS: &str = "[{name=\"ops\", role=\"operator\", token_file=\"ops\"}, \
                      {name=\"eye\", role=\"reader\", token_file=\"eye\"}]";
/// An image in a page of somebody else.
const PAGE: [(&str, &str); 4] = [
    ("origin", "https://evil.example"),
    ("sec-fetch-site", "cross-site"),
    ("sec-fetch-mode", "no-cors"),
    ("sec-fetch-dest", "image"),
];

/// Every file below the folder and what is in it. Left out is what SQLite maps for its readers: their marks stand there.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.display().to_string();
            if path.is_dir() {
                found.insert(name, Vec::new());
                folders.push(path);
            } else if !name.ends_with("-shm") {
                found.insert(name, std::fs::read(path).unwrap());
            }
        }
    }
    found
}

/// The folder once the sale's own work has come to rest.
async fn at_rest(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    until("a folder at rest", async || {
        let before = files(folder);
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
        (files(folder) == before).then_some(before)
    })
    .await
}

/// As the operator, where there are tokens.
async fn get(adapter: &Adapter, path: &str) -> String {
    let request = adapter.http.get(format!("{}{path}", adapter.url)).bearer_auth(OPERATOR);
    request.send().await.unwrap().text().await.unwrap()
}

async fn sell(adapter: &Adapter, pos: &str) {
    let request = adapter.http.post(format!("{}/v1/kkt/receipt", adapter.url)).bearer_auth(OPERATOR);
    let answer = request.header("Idempotency-Key", pos).json(&sale(pos, "10.00")).send().await.unwrap();
    assert_eq!(answer.status(), 200);
}

/// How often what people watch speaks of the name.
async fn mentions(adapter: &Adapter) -> usize {
    let mut count = 0;
    for path in ["/v1/health", "/metrics", "/v1/kkt/worker/status", "/v1/kkt/circuit-breakers"] {
        count += get(adapter, path).await.matches("never-").count();
    }
    count
}

/// Every GET of the API's own document, about somebody who is not there.
async fn gets(adapter: &Adapter) -> Vec<String> {
    let document: Value = serde_json::from_str(&get(adapter, "/openapi.json").await).unwrap();
    let mut gets = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let Some(operation) = methods.get("get") else { continue };
        let path = path.replace("{id}", NAME).replace("{key}", &format!("device:{NAME}"));
        let path = path.replace("{name}", "dashboard.css").replace("{guide}", NAME);
        assert!(!path.contains('{'), "{path}: of whom?");
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        let takes = parameters.filter(|one| one["in"] == "query").map(|one| one["name"].as_str().unwrap());
        let names = takes.filter(|name| ["pos_id", "subject"].contains(name));
        let query: Vec<String> = names.map(|name| format!("{name}={NAME}")).collect();
        gets.push(format!("{path}?{}", query.join("&")));
    }
    assert!(gets.len() >= 19 && gets.contains(&format!("/v1/kkt/shift?pos_id={NAME}")), "{gets:?}");
    gets
}

/// Asks them all; the body of a success, which may have no end, is not read.
async fn ask(adapter: &Adapter, gets: &[String], headers: &[(&str, &str)]) -> Vec<(String, u16)> {
    let mut answers = Vec::new();
    for path in gets {
        for method in [Method::GET, Method::HEAD] {
            let mut request = adapter.http.request(method, format!("{}{path}", adapter.url));
            for (name, value) in headers {
                request = request.header(*name, *value);
            }
            answers.push((path.clone(), request.send().await.unwrap().status().as_u16()));
        }
    }
    answers
}

async fn reads_make_nothing(setup: Setup) {
    let adapter = setup.start();
    let folder = setup.path().join("data");
    sell(&adapter, "POS-001").await;
    let gets = gets(&adapter).await;
    let (before, mentioned) = (at_rest(&folder).await, mentions(&adapter).await);

    // An old browser says nothing of where a page comes from, and so does curl.
    let bearer = |token: &str| format!("Bearer {token}");
    let answers = ask(&adapter, &gets, &[("authorization", &bearer(OPERATOR))]).await;
    ask(&adapter, &gets, &[("authorization", &bearer(READER))]).await;
    let of_page = ask(&adapter, &gets, &PAGE).await;

    let after = at_rest(&folder).await;
    let new: Vec<_> = after.keys().filter(|name| !before.contains_key(*name)).collect();
    assert!(new.is_empty(), "reads made {new:?}");
    assert!(after == before, "reads changed a file");
    assert_eq!(mentions(&adapter).await, mentioned);
    let bad = answers.iter().find(|(path, status)| *status != 200 && !path.contains(NAME));
    assert_eq!(bad, None);
    let shift = (format!("/v1/kkt/shift?pos_id={NAME}"), 200);
    assert!(answers.contains(&shift), "a till that never sold has no open shift: {answers:?}");
    for (path, status) in of_page {
        let liveness = path.starts_with("/livez") || path.starts_with("/readyz");
        assert_eq!(status, if liveness { 200 } else { 403 }, "{path}");
    }

    // The control: what a sale makes is seen.
    sell(&adapter, NAME).await;
    let made = at_rest(&folder).await;
    assert!(made.keys().any(|name| name.contains("never-")) && mentions(&adapter).await > mentioned);
}

// P10
#[tokio::test]
async fn no_get_of_the_api_makes_anything_whoever_sends_it() {
    let sim = simulator().await;
    reads_make_nothing(Setup::new(&sim.base_url())).await;
    let guarded = Setup::new(&sim.base_url());
    std::fs::write(guarded.path().join("ops"), OPERATOR).unwrap();
    std::fs::write(guarded.path().join("eye"), READER).unwrap();
    reads_make_nothing(guarded.with("KKT_AUTH__TOKENS", TOKENS).with("KKT_KKT__DEVICE", DEVICE)).await;
}
