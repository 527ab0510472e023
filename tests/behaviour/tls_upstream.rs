//! TLS towards endpoints: verified unless told otherwise, HTTP/1.1 and HTTP/2, and what
//! becomes of a request when it fails.

use crate::harness::{Authority, Backend, H2Backend, Seen, Settings, Tunnel, answer, h2_answer};

/// A pool at `$app` with these lines.
pub(super) fn pool(lines: &str) -> Settings {
    Settings::new(&format!(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        {lines}
        "#
    ))
}

/// An endpoint that answers with the target of the request.
pub(super) async fn echo() -> Backend {
    Backend::start(|seen: &Seen| answer(&seen.target)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn http1_is_spoken_to_a_verified_endpoint_and_connections_are_kept() {
    let app = echo().await;
    let authority = Authority::new("test authority");
    let issued = authority.issue("app", &["app.internal"]);
    let front = Tunnel::from_tls(app.address(), issued.server(&["http/1.1"])).await;
    let settings = pool(r#"tls = { ca = "ca.pem", server_name = "app.internal" }"#);
    authority.write(settings.folder(), "ca.pem");
    let proxy = settings.address("app", front.address()).start().await;
    let mut client = proxy.client().await;
    for turn in 0..3 {
        assert_eq!(
            client.get(&format!("/{turn}")).await.text(),
            format!("/{turn}")
        );
    }
    let body = vec![b'x'; 3_000_000];
    let reply = client.request("POST", "/upload", "", &body).await;
    assert_eq!(reply.status, 200);
    assert_eq!(front.sessions(), 1);
    assert_eq!(app.seen()[3].body.len(), body.len());
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_of_an_endpoint_is_verified_when_it_has_no_other_name() {
    let app = echo().await;
    let authority = Authority::new("test authority");
    let issued = authority.issue("app", &["127.0.0.1"]);
    let front = Tunnel::from_tls(app.address(), issued.server(&[])).await;
    let settings = pool(r#"tls = { ca = "ca.pem" }"#);
    authority.write(settings.folder(), "ca.pem");
    let proxy = settings.address("app", front.address()).start().await;
    assert_eq!(proxy.get("/").await.status, 200);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn http2_is_agreed_on_where_it_is_asked_for_or_may_be() {
    for protocol in ["h2", "auto"] {
        let app = H2Backend::start(|seen: &Seen| h2_answer(&seen.target)).await;
        let authority = Authority::new("test authority");
        let issued = authority.issue("app", &["127.0.0.1"]);
        let config = issued.server(&["h2", "http/1.1"]);
        let front = Tunnel::from_tls(app.address(), config).await;
        let settings = pool(&format!(
            "protocol = \"{protocol}\"\ntls = {{ ca = \"ca.pem\" }}"
        ));
        authority.write(settings.folder(), "ca.pem");
        let proxy = settings.address("app", front.address()).start().await;
        let mut client = proxy.client().await;
        for turn in 0..3 {
            assert_eq!(
                client.get(&format!("/{turn}")).await.status,
                200,
                "{protocol}"
            );
        }
        assert_eq!(front.sessions(), 1, "{protocol}");
        assert_eq!(app.seen().len(), 3);
        proxy.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn auto_falls_back_to_http1_and_h2_does_not() {
    let app = echo().await;
    let authority = Authority::new("test authority");
    let issued = authority.issue("app", &["127.0.0.1"]);
    let front = Tunnel::from_tls(app.address(), issued.server(&["http/1.1"])).await;
    let settings = pool("protocol = \"auto\"\ntls = { ca = \"ca.pem\" }");
    authority.write(settings.folder(), "ca.pem");
    let proxy = settings.address("app", front.address()).start().await;
    assert_eq!(proxy.get("/").await.text(), "/");
    proxy.finish().await;
    let settings = pool("protocol = \"h2\"\ntls = { ca = \"ca.pem\" }");
    authority.write(settings.folder(), "ca.pem");
    let proxy = settings.address("app", front.address()).start().await;
    let reply = proxy.get("/").await;
    reply.assert_failure(502, "tls_protocol_error");
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_with_the_wrong_certificate_gets_nothing() {
    let authority = Authority::new("test authority");
    let stranger = Authority::new("test authority");
    for (who, issued) in [
        ("another authority", stranger.issue("app", &["127.0.0.1"])),
        ("another name", authority.issue("app", &["other.internal"])),
        ("expired", authority.issue_expired(&["127.0.0.1"])),
    ] {
        let app = echo().await;
        let front = Tunnel::from_tls(app.address(), issued.server(&[])).await;
        let settings = pool("tls = { ca = \"ca.pem\" }\nejection = false");
        authority.write(settings.folder(), "ca.pem");
        let proxy = settings.address("app", front.address()).start().await;
        let reply = proxy.request("POST", "/", "", b"secret").await;
        reply.assert_failure(502, "tls_certificate_error");
        assert!(app.seen().is_empty(), "{who}");
        proxy.log_says("invalid peer certificate").await;
        proxy.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_pool_s_tls_faults_are_told_however_noisy_another_is() {
    let authority = Authority::new("test authority");
    let issued = authority.issue("app", &["other.internal"]);
    let app = echo().await;
    let noisy = Tunnel::from_tls(app.address(), issued.server(&[])).await;
    let rare = Tunnel::from_tls(app.address(), issued.server(&[])).await;
    let text = r#"
[listeners.web]
address = "$web"
[routes.noisy]
pool = "noisy"
[routes.rare]
path = "/rare"
pool = "rare"
[pools.noisy]
endpoints = ["$noisy"]
tls = { ca = "ca.pem" }
ejection = false
[pools.rare]
endpoints = ["$rare"]
tls = { ca = "ca.pem" }
ejection = false
"#;
    let settings = Settings::new(text)
        .address("noisy", noisy.address())
        .address("rare", rare.address());
    authority.write(settings.folder(), "ca.pem");
    let proxy = settings.start().await;
    for target in ["/", "/", "/", "/rare"] {
        let reply = proxy.get(target).await;
        reply.assert_failure(502, "tls_certificate_error");
    }
    proxy.log_says("pool=rare").await;
    assert_eq!(proxy.log().matches("pool=noisy").count(), 1);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_system_s_authorities_do_not_know_a_private_one() {
    let app = echo().await;
    let issued = Authority::new("test authority").issue("app", &["127.0.0.1"]);
    let front = Tunnel::from_tls(app.address(), issued.server(&[])).await;
    let proxy = pool("tls = { }")
        .address("app", front.address())
        .start()
        .await;
    let reply = proxy.get("/").await;
    reply.assert_failure(502, "tls_certificate_error");
    proxy.finish().await;
    let settings = pool("tls = { verify = false }");
    let proxy = settings.address("app", front.address()).start().await;
    assert_eq!(proxy.get("/").await.status, 200);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_moves_on_when_tls_fails_since_nothing_was_sent() {
    let (good, bad) = (echo().await, echo().await);
    let authority = Authority::new("test authority");
    let issued = authority.issue("app", &["127.0.0.1"]);
    let front = Tunnel::from_tls(good.address(), issued.server(&[])).await;
    let strange = Authority::new("others").issue("app", &["127.0.0.1"]);
    let strange = Tunnel::from_tls(bad.address(), strange.server(&[])).await;
    let settings = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        picker = "round_robin"
        endpoints = ["$bad", "$good"]
        tls = { ca = "ca.pem" }
        "#,
    );
    authority.write(settings.folder(), "ca.pem");
    let settings = settings.address("bad", strange.address());
    let proxy = settings.address("good", front.address()).start().await;
    for _ in 0..4 {
        let reply = proxy.request("POST", "/", "", b"once").await;
        assert_eq!(reply.status, 200);
    }
    assert_eq!((good.seen().len(), bad.seen().len()), (4, 0));
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tcp_check_hears_an_endpoint_that_wants_a_certificate() {
    let app = echo().await;
    let authority = Authority::new("test authority");
    let issued = authority.issue("app", &["127.0.0.1"]);
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let config = issued.demanding(&authority, version, &["http/1.1"]);
        let front = Tunnel::from_tls(app.address(), config).await;
        let settings = pool(
            "health = { tcp = {}, interval = \"1s\", timeout = \"500ms\" }\ntls = { ca = \"ca.pem\" }",
        );
        authority.write(settings.folder(), "ca.pem");
        let proxy = settings.address("app", front.address()).start().await;
        proxy.log_says("TLS: received fatal alert").await;
        proxy.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_checks_shake_hands_as_requests_do() {
    let app = echo().await;
    let authority = Authority::new("test authority");
    let issued = authority.issue("app", &["127.0.0.1"]);
    let front = Tunnel::from_tls(app.address(), issued.server(&["http/1.1"])).await;
    let lines = "health = { http = { path = \"/healthz\" }, interval = \"2s\" }";
    let settings = pool(&format!("{lines}\ntls = {{ ca = \"ca.pem\" }}"));
    authority.write(settings.folder(), "ca.pem");
    let proxy = settings.address("app", front.address()).start().await;
    assert_eq!(proxy.get("/").await.status, 200);
    let probed = |seen: &Seen| seen.target == "/healthz";
    assert!(app.seen().iter().any(probed));
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_check_fails_where_the_endpoint_does_not_agree_on_h2() {
    let app = echo().await;
    let authority = Authority::new("test authority");
    let issued = authority.issue("app", &["127.0.0.1"]);
    let front = Tunnel::from_tls(app.address(), issued.server(&[])).await;
    let lines = "protocol = \"h2\"\nhealth = { http = { path = \"/healthz\" }, interval = \"1s\" }";
    let settings = pool(&format!("{lines}\ntls = {{ ca = \"ca.pem\" }}"));
    authority.write(settings.folder(), "ca.pem");
    let proxy = settings.address("app", front.address()).start().await;
    proxy
        .log_says("TLS: the endpoint did not agree on h2")
        .await;
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_in_the_clear_are_not_used_once_a_pool_speaks_tls() {
    let app = echo().await;
    let mut proxy = pool("").backend("app", &app).start().await;
    assert_eq!(proxy.get("/").await.status, 200);
    let text = r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        endpoints = ["$app"]
        ejection = false
        tls = { verify = false }
    "#;
    proxy.reload(text).await;
    let reply = proxy.get("/").await;
    reply.assert_failure(504, "connection_timeout");
    assert_eq!(app.seen().iter().filter(|seen| seen.complete).count(), 1);
    proxy.finish().await;
}
