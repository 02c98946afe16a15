//! The examples of the document are what they seem to be: the commands run as they stand there, and the answers are what
//! the adapter answered. `RECORD_EXAMPLES=1` writes the answers anew into src/http/openapi/examples.

use crate::shop::{OPERATOR, Shop};
use serde_json::Value;
use std::{path::Path, process::Command};

/// The same fields, of the same kinds. `null` stands for a value that may be absent; lists are compared by their first
/// entries.
fn same_shape(place: &str, example: &Value, real: &Value) -> Result<(), String> {
    match (example, real) {
        (Value::Null, _) | (_, Value::Null) => Ok(()),
        (Value::Object(a), Value::Object(b)) => {
            let names = |map: &serde_json::Map<String, Value>| {
                let mut names: Vec<String> = map.keys().cloned().collect();
                names.sort();
                names
            };
            if names(a) != names(b) {
                return Err(format!("{place}: {:?} in the example, {:?} in truth", names(a), names(b)));
            }
            a.iter().try_for_each(|(name, value)| same_shape(&format!("{place}.{name}"), value, &b[name]))
        }
        (Value::Array(a), Value::Array(b)) => match (a.first(), b.first()) {
            (Some(a), Some(b)) => same_shape(&format!("{place}[0]"), a, b),
            _ => Ok(()),
        },
        (Value::String(_), Value::String(_)) | (Value::Number(_), Value::Number(_)) => Ok(()),
        (Value::Bool(_), Value::Bool(_)) => Ok(()),
        _ => Err(format!("{place}: {example} in the example, {real} in truth")),
    }
}

#[test]
fn the_comparison_sees_a_missing_field_and_another_kind() {
    let shape = |a: &str, b: &str| {
        same_shape("", &serde_json::from_str(a).unwrap(), &serde_json::from_str(b).unwrap()).is_ok()
    };
    assert!(shape(r#"{"a":[{"b":1}],"c":null}"#, r#"{"c":{"d":1},"a":[{"b":2},{"b":3}]}"#));
    assert!(!shape(r#"{"a":1}"#, r#"{"a":1,"b":2}"#));
    assert!(!shape(r#"{"a":[{"b":1}]}"#, r#"{"a":[{"b":"1"}]}"#));
    assert!(!shape(r#"{"a":true}"#, r#"{"a":"true"}"#));
}

/// Runs a command as it stands in the document, at this adapter: status, content type, body.
fn run(source: &str, url: &str, body: &Path) -> (u16, String, String) {
    // A stream has no end of its own.
    let limit = if source.contains("curl -sN") { " -m 2" } else { "" };
    let file = body.display();
    let source = source.replace("http://127.0.0.1:8000", url);
    let command = format!("{source} -o '{file}' -w '%{{http_code}} %{{content_type}}'{limit}");
    let _ = std::fs::remove_file(body);
    let output = Command::new("sh").args(["-c", &command]).env("TOKEN", OPERATOR).output().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let (status, kind) = told.split_once(' ').unwrap_or((&told, ""));
    let text = std::fs::read_to_string(body).unwrap_or_default();
    (status.parse().unwrap_or_default(), kind.to_owned(), text)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_example_of_the_document_runs_as_it_stands_there() {
    let shop = Shop::open().await;
    let document = shop.document().await;
    let mut count = 0;
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap();
            let source = operation["x-codeSamples"][0]["source"].as_str().unwrap();
            let (status, kind, text) = run(source, &shop.adapter.url, &shop.file("answer"));
            let what = format!("{method} {path}\n{source}\n{status} {text}");
            let answers = operation["responses"].as_object().unwrap();
            let success = answers.keys().find(|status| status.starts_with('2')).unwrap();
            assert_eq!(status.to_string(), *success, "{what}");
            let media = kind.split(';').next().unwrap();
            let content = &answers[success]["content"];
            assert_eq!(content.get(media).is_some(), !text.is_empty(), "{kind}: {what}");
            let example = content[media].get("example");
            if std::env::var_os("RECORD_EXAMPLES").is_some() && example.is_some() {
                let value: Value = serde_json::from_str(&text).unwrap();
                let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/http/openapi/examples");
                let pretty = serde_json::to_string_pretty(&value).unwrap();
                std::fs::write(folder.join(format!("{id}.json")), pretty + "\n").unwrap();
            } else if let Some(example) = example {
                same_shape(id, example, &serde_json::from_str(&text).unwrap()).unwrap();
            }
            count += 1;
        }
    }
    assert!(count >= 34, "{count} examples");
}

#[tokio::test]
async fn the_events_have_the_data_that_the_document_promises() {
    let shop = Shop::open().await;
    let document = shop.document().await;
    let mut stream = shop.send(shop.request("get", "/v1/kkt/events")).await;
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let command = shop.request("post", "/v1/kkt/circuit-breakers/ofd/force-open");
    shop.send(command.json(&serde_json::json!({ "reason": "a test" }))).await;
    let requeue = shop.request("post", "/v1/kkt/dlq/pos-004-2026-000003/requeue");
    shop.send(requeue.json(&serde_json::json!({}))).await;
    let mut text = String::new();
    while !["hello", "command", "breaker", "dead_letter"]
        .iter()
        .all(|name| text.contains(&format!("event: {name}\n")))
    {
        text += std::str::from_utf8(&stream.chunk().await.unwrap().expect("more events")).unwrap();
    }
    let schemas = &document["components"]["schemas"];
    for event in text.split("\n\n") {
        let line = |name: &str| event.lines().find_map(|line| line.strip_prefix(name));
        let (Some(name), Some(data)) = (line("event: "), line("data: ")) else { continue };
        let type_name: String = name.split('_').map(|part| part[..1].to_uppercase() + &part[1..]).collect();
        let data: Value = serde_json::from_str(data).unwrap();
        let schema = &schemas[format!("{type_name}Event")];
        assert!(schema.is_object(), "{name}");
        let mut given: Vec<&String> = data.as_object().unwrap().keys().collect();
        let mut promised: Vec<&String> =
            schema["properties"].as_object().into_iter().flat_map(|map| map.keys()).collect();
        given.sort();
        promised.sort();
        assert_eq!(given, promised, "{name}");
    }
}
