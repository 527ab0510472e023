//! Secrets that clients send are shown nowhere, though no configuration names them.

use crate::harness::{Backend, Proxy, Settings, answer_bytes, command, eventually};

const ALL: &str = r#"
    [proxy]
    workers = 1
    debug_header = { token = "debug-token-of-the-test" }
    [access_log]
    path = "access.log"
    [access_log.fields]
    show = ["design_key"]
    [access_log.fields.add]
    from = "header:referer"
    who = "header:authorization"
    crumbs = "header:cookie"
    proof = "header:dpop"
    to = "response_header:location"
    left = "response_header:set-cookie"
    [listeners.web]
    address = "$web"
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

/// Names of secrets in queries, as providers and clouds have them.
const NAMES: &[&str] = &[
    "access_token",
    "id_token",
    "token",
    "code",
    "sig",
    "signature",
    "X-Amz-Signature",
    "X-Amz-Security-Token",
    "password",
    "key",
    "apikey",
    "client_secret",
    "%74oken",
    "SESSIONID",
];

const LINES: &str = "x-sluicegate-debug: debug-token-of-the-test\r\n\
    authorization: Bearer s3cret\r\ndpop: s3cret\r\nx-api-key: s3cret\r\n\
    cookie: sid=s3cret; theme=s3cret\r\n\
    referer: https://shop.example/cb?code=s3cret&page=seen#access_token=s3cret\r\n\
    x-original-url: /a?sig=s3cret&page=seen\r\n";

async fn started() -> (Proxy, Backend) {
    let app = Backend::start(|_| {
        answer_bytes(
            "HTTP/1.1 303 See Other\r\nlocation: /in?id_token=s3cret&page=seen\r\n\
             set-cookie: sid=s3cret; Path=/seen\r\ncontent-length: 0\r\n\r\n",
        )
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    (proxy, app)
}

#[tokio::test]
async fn secrets_of_a_request_are_in_no_log_record_or_debug_header() {
    let (proxy, app) = started().await;
    for name in NAMES {
        let target = format!(
            "/in?page=seen&{name}=s3cret&next=%2Fcb%3Fcode%3Ds3cret&keyword=seen&design_key=kept"
        );
        let answer = proxy.request("GET", &target, LINES, b"").await;
        assert_eq!(answer.status, 303);
        // The endpoint has it all.
        assert_eq!(app.seen().pop().unwrap().target, target);
        let debug = answer.field("x-sluicegate-debug");
        assert!(debug.contains("route=\"all\""), "{debug}");
        assert!(!debug.contains("s3cret"), "{debug}");

        let shown = format!("/in?page=seen&{name}=***&next=***&keyword=seen&design_key=kept");
        let id = answer.field("x-request-id").to_owned();
        let line = proxy.logged("it", |line| line["request_id"] == *id).await;
        assert!(!line.to_string().contains("s3cret"), "{line}");
        assert_eq!(line["path"], shown);
        assert_eq!(
            line["from"],
            "https://shop.example/cb?code=***&page=seen#access_token=***"
        );
        assert_eq!(line["to"], "/in?id_token=***&page=seen");
        assert_eq!(line["crumbs"], "sid=***; theme=***");
        assert_eq!(line["left"], "sid=***; Path=/seen");
        assert_eq!(
            (&line["who"], &line["proof"]),
            (&"***".into(), &"***".into())
        );

        let target = format!("/requests/{id}");
        for target in ["/requests?last=50", &target] {
            let told = eventually("the record has its head", || async {
                let told = proxy.admin("GET", target, "").await?.text();
                told.contains("x-original-url").then_some(told)
            })
            .await;
            assert!(!told.contains("s3cret"), "{told}");
            assert!(told.contains(&shown), "{told}");
            assert!(told.contains("cb?code=***&page=seen"), "{told}");
            assert!(told.contains("/a?sig=***&page=seen"), "{told}");
        }
        let (code, why) = command(proxy.folder(), &["why", &id]);
        assert_eq!(code, Some(0), "{why}");
        assert!(!why.contains("s3cret") && why.contains(&shown), "{why}");
    }
    proxy.finish().await;
}
