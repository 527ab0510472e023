//! TLS sessions with endpoints: each ends with a word, and a burst on a cold pool opens no more of
//! them than it needs.

use crate::harness::{
    Act, Authority, Backend, Gate, H2Backend, Proxy, Seen, Tunnel, answer, eventually, h2_answer,
    h2_read,
};
use crate::tls_upstream::{echo, pool};

/// A proxy with an idle session to an endpoint, in HTTP/1.1 or HTTP/2, with these lines in
/// its pool.
async fn idle(protocol: &str, lines: &str) -> (Proxy, Tunnel) {
    let authority = Authority::new("test authority");
    let issued = authority.issue("app", &["127.0.0.1"]);
    let front = if protocol == "h2" {
        let app = H2Backend::start(|seen: &Seen| h2_answer(&seen.target)).await;
        Tunnel::from_tls(app.address(), issued.server(&["h2"]))
            .await
            .keeping(app)
    } else {
        let app = echo().await;
        Tunnel::from_tls(app.address(), issued.server(&["http/1.1"]))
            .await
            .keeping(app)
    };
    let settings = pool(&format!(
        "protocol = \"{protocol}\"\ntls = {{ ca = \"ca.pem\" }}\n{lines}"
    ));
    authority.write(settings.folder(), "ca.pem");
    let proxy = settings.address("app", front.address()).start().await;
    assert_eq!(proxy.get("/").await.status, 200, "{protocol}");
    assert_eq!((front.sessions(), front.ends()), (1, (0, 0)), "{protocol}");
    (proxy, front)
}

async fn ends_with_a_word(front: &Tunnel, why: &str) {
    eventually(format!("the session has ended: {why}"), || async {
        (front.ends() != (0, 0)).then_some(())
    })
    .await;
    assert_eq!(front.ends(), (1, 0), "{why}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_has_waited_or_lived_too_long_ends_with_a_word() {
    for protocol in ["http/1.1", "h2"] {
        for limit in ["idle", "lifetime"] {
            let lines = format!("timeouts = {{ {limit} = \"500ms\" }}");
            let (proxy, front) = idle(protocol, &lines).await;
            ends_with_a_word(&front, &format!("{protocol}, {limit}")).await;
            proxy.finish().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_with_an_endpoint_that_leaves_ends_with_a_word() {
    for protocol in ["http/1.1", "h2"] {
        let (mut proxy, front) = idle(protocol, "").await;
        proxy
            .reload(
                r#"
                [listeners.web]
                address = "$web"
                [routes.all]
                respond = { }
                "#,
            )
            .await;
        ends_with_a_word(&front, protocol).await;
        proxy.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn sessions_with_endpoints_end_with_a_word_when_the_proxy_does() {
    for protocol in ["http/1.1", "h2"] {
        let (mut proxy, front) = idle(protocol, "").await;
        proxy.signal(rustix::process::Signal::TERM);
        assert!(proxy.exited().await.success());
        ends_with_a_word(&front, protocol).await;
    }
}

/// Requests that arrive together on a cold pool that speaks what TLS agrees on.
async fn burst_on_auto(front: &Tunnel, authority: &Authority, count: usize) -> Proxy {
    let settings = pool(
        r#"
        protocol = "auto"
        tls = { ca = "ca.pem" }
        [proxy]
        workers = 1
        "#,
    );
    authority.write(settings.folder(), "ca.pem");
    let proxy = settings.address("app", front.address()).start().await;
    let mut client = proxy.h2_client().await;
    let mut answers = Vec::new();
    for _ in 0..count {
        let (answer, _) = client.open("GET", "/", &[], true).await.unwrap();
        answers.push(tokio::spawn(h2_read(answer)));
    }
    for answer in answers {
        assert_eq!(answer.await.unwrap().unwrap().status, 200);
    }
    proxy
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_on_a_cold_auto_pool_shakes_hands_once_where_http2_is_agreed_on() {
    let app = H2Backend::start(|seen: &Seen| h2_answer(&seen.target)).await;
    let authority = Authority::new("test authority");
    let config = authority.issue("app", &["127.0.0.1"]);
    let front = Tunnel::from_tls(app.address(), config.server(&["h2", "http/1.1"])).await;
    let proxy = burst_on_auto(&front, &authority, 60).await;
    assert_eq!(front.sessions(), 1);
    assert_eq!(app.seen().len(), 60);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_burst_on_a_cold_auto_pool_opens_what_it_needs_where_http1_is_agreed_on() {
    const BURST: usize = 12;
    let gate = Gate::new();
    let wait = gate.clone();
    let app = Backend::start(move |seen: &Seen| {
        [vec![Act::Wait(wait.clone())], answer(&seen.target)].concat()
    })
    .await;
    let authority = Authority::new("test authority");
    let config = authority.issue("app", &["127.0.0.1"]);
    let front = Tunnel::from_tls(app.address(), config.server(&["http/1.1"])).await;
    // All of them are under way at once: nobody waits for another's answer.
    let (proxy, ()) = tokio::join!(burst_on_auto(&front, &authority, BURST), async {
        app.has_seen(BURST).await;
        gate.open();
    });
    assert_eq!(front.sessions(), BURST);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_wait_for_a_handshake_in_vain_are_told_why() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = pool(
        r#"
        protocol = "auto"
        tls = { verify = false }
        timeouts = { connect = "300ms" }
        "#,
    );
    let address = silent.local_addr().unwrap();
    let proxy = settings.address("app", address).start().await;
    let mut client = proxy.h2_client().await;
    let mut answers = Vec::new();
    for _ in 0..5 {
        let (answer, _) = client.open("POST", "/", &[], true).await.unwrap();
        answers.push(tokio::spawn(h2_read(answer)));
    }
    for answer in answers {
        let answer = answer.await.unwrap().unwrap();
        answer.assert_failure(504, "connection_timeout");
    }
    proxy.finish().await;
}
