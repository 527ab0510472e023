//! One line per exchange, with everything that explains it.

use crate::harness::{Act, Backend, Client, Port, Settings, answer, eventually, identity};

const ALL: &str = r#"
    [proxy]
    workers = 1
    [listeners.web]
    address = "$web"
    [routes.shop]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

#[tokio::test]
async fn a_line_tells_the_whole_exchange() {
    let app = Backend::start(identity("hello")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    let answer = client
        .request("POST", "/x?y=z", "user-agent: test/1", b"body")
        .await;
    let id = answer.field("x-request-id").to_owned();
    let line = proxy
        .logged("of this request", |l| l["request_id"] == id.as_str())
        .await;
    for (key, value) in [
        ("listener", "web"),
        ("client", "127.0.0.1"),
        ("method", "POST"),
        ("host", "shop.example"),
        ("path", "/x?y=z"),
        ("protocol", "HTTP/1.1"),
        ("route", "shop"),
        ("pool", "app"),
        ("user_agent", "test/1"),
    ] {
        assert_eq!(line[key], value, "{key} in {line}");
    }
    assert_eq!(line["endpoint"], app.address().to_string(), "{line}");
    assert_eq!(
        (line["status"].as_u64(), line["bytes_in"].as_u64()),
        (Some(200), Some(4))
    );
    assert_eq!(line["bytes_out"].as_u64(), Some(5), "{line}");
    assert!(line["reason"].is_null(), "{line}");
    assert!(
        line["total_ms"].as_f64().is_some_and(|ms| ms > 0.0),
        "{line}"
    );
    assert!(
        line["time"]
            .as_str()
            .is_some_and(|t| t.starts_with("20") && t.ends_with('Z'))
    );
    assert_eq!(line["attempts"].as_array().map(Vec::len), Some(1), "{line}");
    proxy.finish().await;
}

#[tokio::test]
async fn each_attempt_is_told_with_its_endpoint_and_outcome() {
    let good = Backend::start(identity("good")).await;
    let bad = Port::take();
    let text = ALL.replace("\"$app\"", "\"$bad\", \"$good\"");
    let settings = Settings::new(&text).address("bad", bad.address());
    let proxy = settings.backend("good", &good).start().await;
    for n in 0..2 {
        assert_eq!(proxy.get(&format!("/{n}")).await.text(), "good");
    }
    let line = eventually("a line with two attempts", || async {
        let lines = proxy.access_log();
        lines
            .into_iter()
            .find(|l| l["attempts"].as_array().is_some_and(|a| a.len() == 2))
    })
    .await;
    assert_eq!(
        line["attempts"][0]["endpoint"],
        bad.address().to_string(),
        "{line}"
    );
    assert_eq!(
        line["attempts"][0]["outcome"], "connection_refused",
        "{line}"
    );
    assert_eq!(
        line["attempts"][1]["endpoint"],
        good.address().to_string(),
        "{line}"
    );
    assert_eq!(line["endpoint"], good.address().to_string(), "{line}");
    proxy.finish().await;
}

#[tokio::test]
async fn a_failure_is_told_with_the_word_of_its_header() {
    let proxy = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.orders]
        path_prefix = "/orders"
        respond = { status = 200, body = "" }
        "#,
    )
    .start()
    .await;
    let answer = proxy.get("/other").await;
    answer.assert_failure(404, "destination_not_found");
    let id = answer.field("x-request-id").to_owned();
    let line = proxy
        .logged("of the failure", |l| l["request_id"] == id.as_str())
        .await;
    assert_eq!(line["reason"], "destination_not_found", "{line}");
    assert_eq!(line["status"], 404);
    assert!(line["route"].is_null(), "{line}");
    proxy.finish().await;
}

#[tokio::test]
async fn requests_that_are_refused_before_they_are_understood_have_their_line() {
    let app = Backend::start(identity("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.raw_client().await;
    client
        .send("GET /bad path HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    assert_eq!(client.answer().await.status, 400);
    let line = proxy
        .logged("of the bad request", |l| l["status"] == 400)
        .await;
    assert_eq!(line["reason"], "http_request_error", "{line}");
    proxy.finish().await;
}

#[tokio::test]
async fn hostile_bytes_stay_inside_their_line() {
    let app = Backend::start(|_| answer("app")).await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    client
        .send(
            b"GET /\"},{\"x\":\" HTTP/1.1\r\nhost: a\r\nuser-agent: \"\\\t\xff\xe2\x80\xa8\r\n\r\n",
        )
        .await;
    let status = client.answer().await.status;
    assert!(status == 200 || status == 400, "{status}");
    // The harness parses every line as JSON of its own.
    eventually("the line is there", || async {
        (proxy.access_log().len() == 1).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_template_shapes_the_line() {
    let app = Backend::start(|_| vec![Act::Read, Act::Reset]).await;
    let text = format!(
        "{ALL}\n[access_log]\npath = \"plain.log\"\nformat = \"{{method}} {{path}} {{status}} {{reason}}\"\n"
    );
    let proxy = Settings::new(&text).backend("app", &app).start().await;
    assert_eq!(proxy.request("POST", "/x", "", b"").await.status, 502);
    let path = proxy.folder().join("plain.log");
    eventually("the line is written", || async {
        let text = std::fs::read_to_string(&path).ok()?;
        (text == "POST /x 502 connection_terminated\n").then_some(())
    })
    .await;
}

#[tokio::test]
async fn nothing_is_lost_at_the_end_of_the_process() {
    let app = Backend::start(identity("app")).await;
    let mut proxy = Settings::new(ALL).backend("app", &app).start().await;
    let mut client = proxy.client().await;
    for _ in 0..50 {
        client.get("/").await;
    }
    drop(client);
    proxy.signal(rustix::process::Signal::TERM);
    proxy.exited().await;
    assert_eq!(proxy.access_log().len(), 50);
}

#[tokio::test]
async fn a_route_can_stay_out_of_the_log() {
    let app = Backend::start(identity("hello")).await;
    let bad = Port::take();
    let text = format!(
        "{ALL}{}",
        r#"
    [routes.quiet]
    path_prefix = "/quiet"
    pool = "app"
    access_log = false
    [routes.broken]
    path_prefix = "/broken"
    pool = "bad"
    access_log = false
    [pools.bad]
    endpoints = ["$bad"]
    "#
    );
    let settings = Settings::new(&text).address("bad", bad.address());
    let proxy = settings.backend("app", &app).start().await;
    // A client of its own: that of the proxy expects a line for each answer.
    let mut client = Client::connect(proxy.address("web")).await;
    let quiet = client.get("/quiet").await;
    let broken = client.get("/broken").await;
    assert_eq!((quiet.status, broken.status), (200, 502));
    assert_eq!(proxy.get("/loud").await.status, 200);
    // One worker writes its lines in order.
    proxy.logged("of the last", |l| l["path"] == "/loud").await;
    let lines = proxy.access_log();
    assert!(lines.iter().all(|l| l["route"] == "shop"), "{lines:?}");
    // The rest is as ever.
    for answer in [quiet, broken] {
        let target = format!("/requests/{}", answer.field("x-request-id"));
        eventually(format!("{target} is known"), || async {
            let told = proxy.admin("GET", &target, "").await?;
            (told.status == 200).then_some(())
        })
        .await;
    }
    let labels = [("route", "quiet"), ("status_class", "2xx")];
    proxy
        .metric_becomes("sluicegate_requests_total", &labels, 1.0)
        .await;
    proxy.finish().await;
}
