//! The document is valid, complete and true.

use crate::shop::{Shop, python, said};
use serde_json::{Value, json};
use std::{path::Path, process::Output};

const CHECK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api/valid.py");

fn validate(document: &Value, file: &Path) -> Output {
    std::fs::write(file, document.to_string()).unwrap();
    python("python").arg(CHECK).arg(file).output().unwrap()
}

#[tokio::test]
async fn the_document_and_its_examples_are_valid_by_validators_that_others_wrote() {
    let shop = Shop::open().await;
    let document = shop.document().await;
    assert_eq!(document["openapi"], "3.1.0");
    let file = shop.file("openapi.json");
    let checked = validate(&document, &file);
    assert!(checked.status.success(), "{}", said(&checked));
    // The control: what is wrong is found.
    let sell = "/paths/~1v1~1kkt~1receipt/post";
    let faults: [(&str, Value); 4] = [
        ("/openapi", json!("2.7")),
        (&format!("{sell}/responses"), Value::Null),
        (&format!("{sell}/requestBody/content/application~1json/example/items"), json!([])),
        (&format!("{sell}/responses/200/content/application~1json/example/fiscal"), json!("perhaps")),
    ];
    for (place, wrong) in faults {
        let mut broken = document.clone();
        *broken.pointer_mut(place).unwrap_or_else(|| panic!("no {place}")) = wrong;
        assert!(!validate(&broken, &file).status.success(), "{place} is wrong and was not found");
    }
}

#[tokio::test]
async fn a_path_knows_the_methods_of_the_document_and_no_other() {
    let shop = Shop::open().await;
    let document = shop.document().await;
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() > 25);
    for (path, methods) in paths {
        // Nobody has this name: what is asked here changes nothing.
        let asked = path.replace("{id}", "nobody").replace("{key}", "nobody").replace("{name}", "nobody");
        for method in ["get", "post", "put", "patch", "delete"] {
            let request = shop.request(method, &asked).header("Content-Type", "application/json");
            // No receipt, no command: a list.
            let answer = shop.send(if method == "get" { request } else { request.body("[]") }).await;
            let status = answer.status().as_u16();
            let documented = methods[method]["responses"].as_object();
            match documented {
                Some(answers) => {
                    assert!(answers.contains_key(&status.to_string()), "{method} {path}: {status}");
                    assert!(answer.headers().contains_key("x-request-id"));
                }
                None => assert_eq!(status, 405, "{method} {path} stands nowhere"),
            }
        }
    }
}

#[tokio::test]
async fn the_document_is_kept_by_its_tag_and_names_bounds_as_the_validation_has_them() {
    use kkt_adapter::domain::validate::{ITEMS_MAX, NAME_MAX, PAYMENTS_MAX};
    let shop = Shop::open().await;
    let first = shop.send(shop.request("get", "/openapi.json")).await;
    assert_eq!(first.headers()["content-type"], "application/json");
    let tag = first.headers()["etag"].clone();
    let again = shop.send(shop.request("get", "/openapi.json").header("If-None-Match", tag)).await;
    assert_eq!(again.status(), 304);
    let schemas = &first.json::<Value>().await.unwrap()["components"]["schemas"];
    let (receipt, item) = (&schemas["ReceiptInput"]["properties"], &schemas["ItemInput"]["properties"]);
    assert_eq!(receipt["items"]["maxItems"], ITEMS_MAX);
    assert_eq!(receipt["payments"]["maxItems"], PAYMENTS_MAX);
    assert_eq!(item["name"]["maxLength"], NAME_MAX);
    assert_eq!(item["vat_rate"]["anyOf"][0]["enum"], json!([0, 5, 7, 10, 18, 20, 22]));
    let facts = shop.get("/").await;
    assert_eq!(facts["docs"], "/docs");
    let page = shop.send(shop.request("get", "/docs")).await;
    assert_eq!(page.headers()["content-type"], "text/html; charset=utf-8");
    let anonymous = shop.adapter.http.get(format!("{}/docs", shop.adapter.url)).send().await.unwrap();
    assert_eq!(anonymous.status(), 200, "the page shows the login");
    let anonymous = shop.adapter.http.get(format!("{}/openapi.json", shop.adapter.url)).send().await.unwrap();
    assert_eq!(anonymous.status(), 401);
}
