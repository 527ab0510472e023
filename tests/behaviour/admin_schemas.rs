//! The answers of the admin API are what its OpenAPI document says of them.

use serde_json::Value;

use crate::harness::{Backend, Proxy, Schemas, Settings, answer, identity};

const ALL: &str = r#"
    [proxy]
    workers = 1
    [admin]
    address = "$admin"
    token = { env = "ADMIN_TOKEN" }
    [listeners.web]
    address = "$web"
    [routes.shop]
    pool = "app"
    [routes.old]
    path = "/old"
    redirect = { to = "https://{host}{path}", status = 308 }
    [routes.word]
    path = "/word"
    respond = { status = 200, body = "ok" }
    [routes.away]
    path = "/away"
    pool = "away"
    [pools.app]
    picker = { ring_hash = { key = "header:x-user" } }
    endpoints = [{ address = "$a", version = "1.2.3", zone = "z", labels = { rack = "4" } }, "$b"]
    [pools.away]
    endpoints = ["$gone"]
"#;

const TOKEN: &str = "authorization: Bearer correct-horse\r\naccept: application/json";

async fn start() -> (Proxy, Backend, Backend) {
    let a = Backend::start(identity("a")).await;
    let b = Backend::start(|_| answer("b")).await;
    let gone = Backend::start(|_| answer("gone")).await.address();
    let proxy = Settings::new(ALL)
        .variable("ADMIN_TOKEN", "correct-horse")
        .backend("a", &a)
        .backend("b", &b)
        .address("gone", gone)
        .start()
        .await;
    (proxy, a, b)
}

async fn ask(proxy: &Proxy, method: &str, path: &str) -> (String, Value) {
    let answer = proxy.admin(method, path, TOKEN).await.expect("an answer");
    let body = serde_json::from_slice(&answer.body);
    let body = body.unwrap_or_else(|_| Value::String(answer.text()));
    (answer.status.to_string(), body)
}

/// Checks the answer of an entry whose path has its parameters filled in.
async fn holds(proxy: &Proxy, schemas: &Schemas, method: &str, entry: &str, path: &str) {
    let (status, body) = ask(proxy, method, path).await;
    let operation = &schemas.document()["paths"][entry][method.to_ascii_lowercase()];
    let content = operation["responses"][&status]["content"].as_object();
    let content = content.unwrap_or_else(|| panic!("{method} {path}: {status} is not described"));
    let media_type = content.get("application/json");
    let media_type = media_type.or_else(|| content.values().next()).unwrap();
    let faults = schemas.faults(&media_type["schema"], &body);
    assert!(faults.is_empty(), "{method} {path}: {faults:#?}\n{body:#}");
}

#[tokio::test]
async fn every_answer_is_what_the_document_says() {
    let (mut proxy, a, _b) = start().await;
    for target in ["/", "/old", "/word", "/away", "/nowhere"] {
        proxy.get(target).await;
    }
    let (_, requests) = ask(&proxy, "GET", "/requests").await;
    let id = requests[0]["request_id"].as_str().unwrap().to_owned();
    let (_, document) = ask(&proxy, "GET", "/openapi.json").await;
    let schemas = Schemas::new(document);

    let paths = schemas.document()["paths"].as_object().unwrap();
    let reads = paths.iter().filter(|(_, verbs)| verbs.get("get").is_some());
    let entries: Vec<String> = reads.map(|(entry, _)| entry.clone()).collect();
    assert!(entries.len() > 12, "{entries:?}");
    let read_all = async |proxy: &Proxy| {
        for entry in &entries {
            let path = entry.replace("{pool}", "app").replace("{id}", &id);
            holds(proxy, &schemas, "GET", entry, &path).await;
        }
    };
    read_all(&proxy).await;
    holds(&proxy, &schemas, "GET", "/pools/{pool}", "/pools/none").await;
    holds(&proxy, &schemas, "GET", "/requests/{id}", "/requests/none").await;

    for action in ["eject", "drain", "enable"] {
        let entry = format!("/pools/{{pool}}/endpoints/{{address}}/{action}");
        let path = format!("/pools/app/endpoints/{}/{action}", a.address());
        holds(&proxy, &schemas, "POST", &entry, &path).await;
    }
    holds(&proxy, &schemas, "POST", "/reload", "/reload").await;
    proxy.replace(&ALL.replace("[pools.app]", "[pools.apple]"));
    holds(&proxy, &schemas, "POST", "/reload", "/reload").await;
    read_all(&proxy).await;
    proxy.reload(&ALL.replace("\"ok\"", "\"fine\"")).await;
    read_all(&proxy).await;
    proxy.finish().await;
}
