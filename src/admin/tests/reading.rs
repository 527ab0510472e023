//! Reading and asking: answers, errors, limits.

use super::*;

#[tokio::test]
async fn what_can_be_read_is_read() {
    let admin = Admin::start(None);
    for (path, at, expected) in [
        ("/live", "", json!({ "live": true })),
        ("/status", "/generation", json!(7)),
        ("/config", "", json!({ "proxy": {} })),
        ("/config/origins", "/left_off", json!(1)),
        (
            "/config/origins?place=a.%22b%22&all=true",
            "/left_off",
            json!(5),
        ),
        ("/listeners", "/0/connections", json!(3)),
        ("/routes", "", json!([])),
        ("/pools", "/0/name", json!("app")),
        ("/pools/app", "/picker", json!("random")),
        ("/requests", "/0/generation", json!(100)),
        ("/requests?a=b&last=7", "/0/generation", json!(7)),
        ("/requests?last=99999", "/0/generation", json!(1000)),
        ("/requests/1", "/request_id", json!("1")),
    ] {
        let answer = admin.get(path).await;
        let body = answer.json();
        let found = body.pointer(at);
        assert_eq!((answer.status, found), (200, Some(&expected)), "{path}");
        assert_eq!(answer.headers["content-type"], "application/json");
        assert_eq!(answer.headers["cache-control"], "no-store");
    }
    let ready = admin.get("/ready").await;
    assert_eq!(ready.status, 503);
    assert_eq!(
        ready.json(),
        json!({ "ready": false, "reasons": ["draining"] })
    );
    let metrics = admin.get("/metrics").await;
    assert_eq!(metrics.body, "a_total 1\n");
    assert_eq!(
        metrics.headers["content-type"],
        "text/plain; version=0.0.4; charset=utf-8"
    );
}

#[tokio::test]
async fn what_is_wrong_is_said_as_json() {
    let admin = Admin::start(Some("secret"));
    for (method, path, status, word) in [
        ("GET", "/pools/x", 404, "no pool"),
        ("GET", "/requests/x", 404, "no recent request"),
        ("GET", "/requests?last=x", 400, "last must be"),
        (
            "GET",
            "/config/origins?all=maybe",
            400,
            "all is true or false",
        ),
        ("GET", "/nothing", 404, "nothing at"),
        ("PUT", "/status", 405, "GET, HEAD"),
        ("GET", "/reload", 405, "POST"),
        ("POST", "/reload", 401, "Authorization"),
        ("GET", "/connections", 500, "bug"),
    ] {
        let answer = admin.ask(method, path, "", "").await;
        assert_eq!(answer.status, status, "{method} {path}");
        let error = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(error.contains(word), "{error}");
    }
    let unknown = admin.get("/nothing").await.json();
    let endpoints = unknown["endpoints"].as_array().unwrap();
    assert!(endpoints.contains(&json!("POST /pools/{pool}/endpoints/{address}/drain")));
    assert_eq!(
        admin.ask("PUT", "/status", "", "").await.headers["allow"],
        "GET, HEAD"
    );
    let unauthorized = admin.ask("POST", "/drain", "", "").await;
    assert!(unauthorized.headers["www-authenticate"].starts_with("Bearer"));
}

#[tokio::test]
async fn head_answers_as_get_without_the_body() {
    let admin = Admin::start(None);
    let (get, head) = (
        admin.get("/status").await,
        admin.ask("HEAD", "/status", "", "").await,
    );
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert_eq!(head.headers["content-length"], get.body.len().to_string());
    let events = admin.ask("HEAD", "/events", "", "").await;
    assert_eq!(events.headers["content-type"], "text/event-stream");
}

#[tokio::test]
async fn questions_with_a_body_change_nothing_and_need_no_token() {
    let admin = Admin::start(None);
    let explain = |body: &'static str| admin.ask("POST", "/explain", "", body);
    let asked = async |body: &'static str| -> Value {
        let told = explain(body).await.json();
        serde_json::from_str(told["error"].as_str().unwrap()).unwrap()
    };
    let told = asked(r#"{"url":"http://a/","headers":{"x":"1"}}"#).await;
    assert_eq!(told["method"], "GET");
    assert_eq!(told["url"], "http://a/");
    assert_eq!(told["headers"], json!([["x", "1"]]));
    let told = asked(r#"{"url":"/","headers":[["x","1"],["x","2"]],"source":"::1"}"#).await;
    assert_eq!(told["headers"], json!([["x", "1"], ["x", "2"]]));
    for bad in [
        "",
        "{}",
        r#"{"url":1}"#,
        r#"{"url":"/","extra":1}"#,
        r#"{"url":""}"#,
    ] {
        let answer = explain(bad).await;
        assert_eq!(answer.status, 400, "{bad}");
        assert!(answer.json()["error"].is_string());
    }
    let check = admin.ask("POST", "/check", "", "[listeners]\n").await;
    let expected = json!({ "ok": true, "faults": [], "error": "12 bytes, Withheld" });
    assert_eq!(check.json(), expected);
    let diff = admin.ask("POST", "/diff", "", "x").await;
    assert_eq!(diff.json()["error"], "1 bytes, Withheld");
    assert_eq!(admin.events.last(10).len(), 0);
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused() {
    let admin = Admin::start(None);
    let max = 1024 * 1024;
    let whole = admin.ask("POST", "/check", "", &"a".repeat(max)).await;
    assert_eq!(whole.json()["error"], format!("{max} bytes, Withheld"));
    // Announced, and found out while reading.
    let mut stream = admin.connect().await;
    let head = b"POST /check HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1048577\r\n\r\n";
    stream.write_all(head).await.unwrap();
    assert!(first_line(&mut stream).await.contains("413"));
    let mut stream = admin.connect().await;
    let head =
        b"POST /check HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n100001\r\n";
    stream.write_all(head).await.unwrap();
    stream.write_all(&vec![b'a'; max + 1]).await.unwrap();
    assert!(first_line(&mut stream).await.contains("413"));
}

#[tokio::test]
async fn the_index_and_the_document_name_every_entry() {
    let admin = Admin::start(None);
    let (index, document) = (
        admin.get("/").await.body,
        admin.get("/openapi.json").await.json(),
    );
    let paths = document["paths"].as_object().unwrap();
    let mut ids = std::collections::HashSet::new();
    for entry in entries::ENTRIES {
        assert!(index.contains(entry.path), "{}", entry.path);
        let operation = &paths[entry.path][entry.verb.name().to_ascii_lowercase()];
        assert_eq!(operation["summary"], entry.summary);
        let id = operation["operationId"].as_str().unwrap().to_owned();
        assert!(ids.insert(id), "the id is used twice");
        let schema = operation["responses"]["200"]["content"]
            .as_object()
            .unwrap();
        assert!(schema.values().all(|content| content["schema"].is_object()));
        let parameters = operation["parameters"].as_array().map_or(0, Vec::len);
        assert!(parameters >= entry.parameters().count());
    }
}
