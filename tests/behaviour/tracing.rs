//! A trace goes on through the proxy, and its spans reach the collectors that people run.

use std::fs;

use serde_json::Value;
use tokio::time::Instant;

use crate::harness::{
    Act, Backend, Peer, Port, Proxy, Settings, answer, answer_bytes, eventually, identity, packages,
};

const ALL: &str = r#"
    [proxy]
    workers = 1
    [access_log]
    path = "access.log"
    fields = { redact = ["token"] }
    [tracing]
    otlp = "http://$collector"
    sample = "100%"
    [listeners.web]
    address = "$web"
    [routes.shop]
    pool = "app"
    retry = { attempts = 3, backoff = { base = "1ms", max = "1ms" } }
    [pools.app]
    endpoints = ["$app"]
"#;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

/// Proxy without a collector, which believes its peers.
async fn start(app: &Backend, more: &str) -> Proxy {
    let text = ALL.replace("otlp = \"http://$collector\"", more).replace(
        "workers = 1",
        "workers = 1\ntrusted_proxies = [\"127.0.0.0/8\"]",
    );
    Settings::new(&text).backend("app", app).start().await
}

#[tokio::test]
async fn the_context_of_a_trusted_peer_is_continued_and_that_of_others_replaced() {
    let app = Backend::start(identity("app")).await;
    let mut proxy = start(&app, "").await;
    let sent = format!("traceparent: 00-{TRACE}-{SPAN}-01\ntracestate: a=b\nb3: 0");
    proxy.request("GET", "/", &sent, b"").await;
    let seen = app.only();
    let (trace, span) = seen.field("traceparent").split_at(36);
    assert_eq!(trace, format!("00-{TRACE}-"));
    assert!(span.ends_with("-01") && !span.starts_with(SPAN), "{span}");
    assert_eq!(seen.field("tracestate"), "a=b");
    let line = proxy.logged("it", |line| line["status"] == 200).await;
    assert_eq!(line["trace_id"], TRACE);
    assert_eq!(line["span_id"].as_str().unwrap().len(), 16);
    // A sender that is not believed, or not understood.
    let stranger = ALL.replace("otlp = \"http://$collector\"", "");
    proxy.reload(&stranger).await;
    proxy.request("GET", "/", &sent, b"").await;
    let seen = app.seen().pop().unwrap();
    let parent = seen.field("traceparent").to_owned();
    assert!(
        parent.ends_with("-01") && !parent.contains(TRACE),
        "{parent}"
    );
    assert!(
        !seen.fields.has("tracestate") && !seen.fields.has("b3"),
        "{seen:?}"
    );
    // As the sender has decided.
    let all = stranger.replace("[tracing]", "[tracing]\naccept = \"all\"");
    proxy.reload(&all).await;
    let sent = sent.replace("-01\n", "-00\n");
    proxy.request("GET", "/", &sent, b"").await;
    let parent = app.seen().pop().unwrap().field("traceparent").to_owned();
    assert!(
        parent.contains(TRACE) && parent.ends_with("-00"),
        "{parent}"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn b3_is_read_in_both_forms_and_each_wanted_format_is_written() {
    let app = Backend::start(identity("app")).await;
    let more = "propagate = [\"b3\", \"tracecontext\"]";
    let proxy = start(&app, more).await;
    let single = format!("b3: {TRACE}-{SPAN}-1-05e3ac9a4f6e3b90");
    let multi = format!("x-b3-traceid: {TRACE}\nx-b3-spanid: {SPAN}\nx-b3-sampled: 1");
    for sent in [single, multi] {
        proxy.request("GET", "/", &sent, b"").await;
        let seen = app.seen().pop().unwrap();
        let written = seen.field("b3").to_owned();
        assert!(written.starts_with(&format!("{TRACE}-")), "{written}");
        assert!(
            written.ends_with("-1") && !written.contains(SPAN),
            "{written}"
        );
        let span = &written[33..49];
        assert_eq!(seen.field("traceparent"), format!("00-{TRACE}-{span}-01"));
        assert!(!seen.fields.has("x-b3-spanid"), "{seen:?}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn each_attempt_has_a_span_of_its_own() {
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/busy" => answer_bytes("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"),
        _ => answer("app"),
    })
    .await;
    let proxy = start(&app, "").await;
    proxy.get("/busy").await;
    let parents: Vec<_> = app
        .seen()
        .iter()
        .map(|seen| seen.field("traceparent").to_owned())
        .collect();
    assert_eq!(parents.len(), 3);
    assert!(parents.iter().all(|it| it[..36] == parents[0][..36]));
    assert!(parents[0] != parents[1] && parents[1] != parents[2]);
    proxy.finish().await;
}

/// Spans that the collector has written.
fn spans(file: &std::path::Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap_or_default();
    let lines = text.lines();
    lines
        .filter_map(|line| serde_json::from_str(line).ok())
        .collect()
}

/// Checks the spans of one good exchange with this target, and of one that was tried three times.
fn check_spans(all: &[Value], app: &Backend, target: &str) {
    let of = |span: &Value| span["attributes"].clone();
    let server = all.iter().find(|it| of(it)["url.path"] == target[..2]);
    let server = server.expect("the span of the exchange");
    assert_eq!(server["kind"], "SPAN_KIND_SERVER");
    assert_eq!(server["name"], "GET shop");
    assert_eq!(server["scope"], "sluicegate");
    assert_eq!(server["resource"]["service.name"], "sluicegate");
    let about = of(server);
    assert_eq!(about["http.request.method"], "GET");
    assert_eq!(about["http.response.status_code"], "200");
    assert_eq!(about["url.query"], "token=***&x=1");
    assert_eq!(about["url.scheme"], "http");
    assert_eq!(about["network.protocol.version"], "1.1");
    assert_eq!(server.get("status"), None);
    let attempt = all.iter().find(|it| it["parentSpanId"] == server["spanId"]);
    let attempt = attempt.expect("the span of the attempt");
    assert_eq!(attempt["kind"], "SPAN_KIND_CLIENT");
    assert_eq!(attempt["traceId"], server["traceId"]);
    assert_eq!(of(attempt)["server.port"], app.address().port().to_string());
    let parent = app
        .seen()
        .iter()
        .find(|it| it.target == target)
        .unwrap()
        .clone();
    let span = attempt["spanId"].as_str().unwrap();
    assert!(
        parent.field("traceparent").contains(span),
        "the endpoint's parent"
    );
    let nanos = |span: &Value, key: &str| -> u64 { span[key].as_str().unwrap().parse().unwrap() };
    assert!(nanos(server, "startTimeUnixNano") <= nanos(attempt, "startTimeUnixNano"));
    assert!(nanos(attempt, "endTimeUnixNano") <= nanos(server, "endTimeUnixNano"));
    check_failed(all);
}

fn check_failed(all: &[Value]) {
    let of = |span: &Value| span["attributes"].clone();
    let busy = all.iter().find(|it| of(it)["url.path"] == "/busy").unwrap();
    assert_eq!(busy["status"]["code"], "STATUS_CODE_ERROR");
    assert_eq!(of(busy)["error.type"], "503");
    let tries: Vec<_> = all
        .iter()
        .filter(|it| it["parentSpanId"] == busy["spanId"])
        .collect();
    assert_eq!(tries.len(), 3);
    assert_eq!(of(tries[2])["http.request.resend_count"], "2");
}

#[tokio::test]
async fn spans_reach_a_collector_of_opentelemetry_over_grpc_and_http() {
    let Some(packages) = packages() else { return };
    let (grpc, http) = (Port::take(), Port::take());
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("spans");
    let arguments = [
        grpc.address().port().to_string(),
        http.address().port().to_string(),
        file.display().to_string(),
    ];
    let _collector = Peer::start(&packages, "collector.py", &arguments).await;
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/busy" => answer_bytes("HTTP/1.1 503 No\r\ncontent-length: 0\r\n\r\n"),
        _ => answer("app"),
    })
    .await;
    let settings = Settings::new(ALL).backend("app", &app);
    let settings = settings.address("collector", grpc.address());
    let mut proxy = settings.address("http", http.address()).start().await;
    for (way, target) in [
        ("grpc", "/a?token=hunter2&x=1"),
        ("http", "/b?token=hunter2&x=1"),
    ] {
        proxy.get(target).await;
        proxy.get("/busy").await;
        let mine = || {
            let all = spans(&file);
            let mine = all.into_iter().filter(|it| it["way"] == way);
            mine.collect::<Vec<_>>()
        };
        eventually("two exchanges and their attempts", || async {
            (mine().len() >= 6).then_some(())
        })
        .await;
        let all = mine();
        assert_eq!(all.len(), 6, "{all:#?}");
        check_spans(&all, &app, target);
        let exported = "sluicegate_trace_spans_exported_total";
        let count = if way == "grpc" { 6.0 } else { 12.0 };
        proxy.metric_becomes(exported, &[], count).await;
        if way == "grpc" {
            let over_http = ALL.replace("$collector", "$http/v1/traces");
            proxy.reload(&over_http).await;
        }
    }
    proxy.finish().await;
}

#[tokio::test]
async fn zipkin_gets_spans_in_its_own_form() {
    let zipkin = Backend::start(|_| {
        let accepted = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
        [vec![Act::Read], answer_bytes(accepted)].concat()
    })
    .await;
    let app = Backend::start(identity("app")).await;
    let text = ALL.replace(
        "otlp = \"http://$collector\"",
        "zipkin = \"http://$zipkin/api/v2/spans\"",
    );
    let settings = Settings::new(&text).backend("app", &app);
    let proxy = settings.address("zipkin", zipkin.address()).start().await;
    proxy.get("/a").await;
    let seen = eventually("an export", || async { zipkin.seen().pop() }).await;
    assert_eq!((&*seen.method, &*seen.target), ("POST", "/api/v2/spans"));
    assert_eq!(seen.field("content-type"), "application/json");
    let spans: Value = serde_json::from_slice(&seen.body).unwrap();
    let (server, client) = (&spans[0], &spans[1]);
    assert_eq!(
        (&server["kind"], &client["kind"]),
        (&"SERVER".into(), &"CLIENT".into())
    );
    assert_eq!(server["localEndpoint"]["serviceName"], "sluicegate");
    assert_eq!(client["parentId"], server["id"]);
    assert_eq!(client["remoteEndpoint"]["port"], app.address().port());
    for span in [server, client] {
        // As Zipkin's OpenAPI document says.
        let fits = |key: &str, length| {
            let text = span[key].as_str().unwrap_or_default();
            text.len() == length && text.bytes().all(|it| it.is_ascii_hexdigit())
        };
        assert!(fits("traceId", 32) && fits("id", 16), "{span}");
        assert!(
            span["timestamp"].as_u64() > Some(1_600_000_000_000_000),
            "{span}"
        );
        assert!(span["duration"].as_u64() >= Some(1), "{span}");
        let tags = span["tags"].as_object().unwrap();
        assert!(tags.values().all(Value::is_string), "{span}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_span_has_the_path_of_its_route_and_a_head_that_is_refused_has_a_span() {
    let zipkin = Backend::start(|_| {
        let accepted = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
        [vec![Act::Read], answer_bytes(accepted)].concat()
    })
    .await;
    let app = Backend::start(identity("app")).await;
    let text = ALL
        .replace(
            "otlp = \"http://$collector\"",
            "zipkin = \"http://$zipkin/api/v2/spans\"",
        )
        .replace("[routes.shop]", "[routes.shop]\npath_prefix = \"/shop\"");
    let settings = Settings::new(&text).backend("app", &app);
    let proxy = settings.address("zipkin", zipkin.address()).start().await;
    proxy.get("/shop/orders/17?x=1").await;
    let mut client = proxy.client().await;
    client.send("GET /a b HTTP/1.1\r\nhost: a\r\n\r\n").await;
    assert_eq!(client.answer().await.status, 400);
    let line = proxy
        .logged("of the bad head", |line| line["status"] == 400)
        .await;
    assert_eq!(line["trace_id"].as_str().unwrap().len(), 32);
    let server_span = async |status: &str| {
        eventually(format!("a span with {status}"), || async {
            let seen = zipkin.seen();
            let lists = seen
                .iter()
                .map(|it| serde_json::from_slice::<Value>(&it.body).unwrap());
            let spans = lists.flat_map(|list| list.as_array().unwrap().clone());
            let mut spans = spans.filter(|span| span["kind"] == "SERVER");
            spans.find(|span| span["tags"]["http.response.status_code"] == status)
        })
        .await
    };
    let good = server_span("200").await;
    assert_eq!(good["tags"]["http.route"], "/shop");
    assert_eq!(good["tags"]["url.path"], "/shop/orders/17");
    let bad = server_span("400").await;
    assert_eq!(bad["tags"]["http.request.method"], "_OTHER");
    assert_eq!(bad["tags"]["sluicegate.reason"], "http_request_error");
    assert_eq!(bad["traceId"], line["trace_id"]);
    assert!(bad["tags"].get("http.route").is_none() && bad["tags"].get("url.path").is_none());
    proxy.finish().await;
}

#[tokio::test]
async fn what_is_not_sampled_is_recorded_if_it_failed_and_only_then() {
    let zipkin = Backend::start(|_| {
        let accepted = "HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";
        [vec![Act::Read], answer_bytes(accepted)].concat()
    })
    .await;
    let app = Backend::start(|seen| match seen.target.as_str() {
        "/bad" => answer_bytes("HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"),
        _ => answer("app"),
    })
    .await;
    let collector = "zipkin = \"http://$zipkin/api/v2/spans\"\nalways = { failed = true }";
    let text = ALL
        .replace("otlp = \"http://$collector\"", collector)
        .replace("100%", "0%");
    let settings = Settings::new(&text).backend("app", &app);
    let proxy = settings.address("zipkin", zipkin.address()).start().await;
    for _ in 0..5 {
        proxy.get("/good").await;
    }
    proxy.get("/bad").await;
    let parent = app.seen().pop().unwrap().field("traceparent").to_owned();
    assert!(parent.ends_with("-00"), "{parent}");
    let seen = eventually("an export", || async { zipkin.seen().pop() }).await;
    let spans: Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(spans.as_array().unwrap().len(), 2, "{spans}");
    assert_eq!(spans[0]["tags"]["error.type"], "500");
    proxy.finish().await;
}

#[tokio::test]
async fn a_collector_that_hangs_or_is_away_costs_spans_and_no_request() {
    let stalled = Backend::start(|_| vec![Act::Stall]).await;
    let app = Backend::start(identity("app")).await;
    let text = ALL.replace(
        "otlp = \"http://$collector\"",
        "zipkin = \"http://$zipkin/api/v2/spans\"",
    );
    let settings = Settings::new(&text).backend("app", &app);
    let mut proxy = settings.address("zipkin", stalled.address()).start().await;
    let began = Instant::now();
    let mut client = proxy.client().await;
    for _ in 0..200 {
        assert_eq!(client.get("/a").await.status, 200);
    }
    assert!(began.elapsed().as_secs() < 5, "{:?}", began.elapsed());
    proxy.log_says("spans do not reach their collector").await;
    proxy
        .metric_becomes("sluicegate_trace_collector_up", &[], 0.0)
        .await;
    // Another collector is used at once.
    let away = Port::take();
    proxy
        .reload(&text.replace("$zipkin", &away.address().to_string()))
        .await;
    assert_eq!(client.get("/b").await.status, 200);
    let lost = [("reason", "export_failed")];
    eventually("spans are counted as lost", || async {
        let lost = proxy
            .metric("sluicegate_trace_spans_dropped_total", &lost)
            .await;
        (lost >= 400.0).then_some(())
    })
    .await;
    proxy.finish().await;
}
