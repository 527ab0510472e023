//! Exchange of a code for tokens: once for each answer of the provider.

use std::fs;

use super::{Browser, Provider, ROUTES, at_once, start};
use crate::harness::{Authority, Backend, Client, Gate, Settings, Tunnel, answer, eventually};

const CALLBACK: &str = "/shop/oidc/callback";

async fn asks(provider: &Provider, count: usize) {
    eventually(format!("{count} requests for tokens"), || async {
        (provider.backend.count_of("POST", "/token") == count).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_answer_that_comes_many_times_at_once_is_exchanged_once() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let text = format!("[proxy]\nworkers = 2\n{ROUTES}");
    let proxy = start(&text, &app, &provider).await;
    let mut browser = Browser::new(&proxy);
    let redirect = browser.open("/shop/cart").await;
    let back = provider.log_in(&redirect);
    let before = browser.copy();
    let opened = (0..24).map(|_| {
        let (mut browser, back) = (before.copy(), &back);
        async move { browser.open(back).await }
    });
    for answer in at_once(opened).await {
        assert_eq!(answer.status, 303, "{answer:?}");
        assert!(answer.field("location").ends_with("/shop/cart"));
        browser.take(&answer);
    }
    assert_eq!(provider.state.lock().unwrap().grants.len(), 1);
    assert_eq!(browser.open("/shop/").await.status, 200);
    // An answer that was lost on its way to the browser comes again; paths are compared as routes
    // compare them.
    let mut again = before.copy();
    let written = back.replace(CALLBACK, "/shop/.//oidc/%63allback");
    assert_ne!(written, back);
    assert_eq!(again.open(&written).await.status, 303);
    assert_eq!(again.open("/shop/").await.status, 200);
    assert_eq!(provider.state.lock().unwrap().grants.len(), 1);
    proxy.finish().await;
}

#[tokio::test]
async fn a_slow_exchange_holds_nobody_else_and_outlives_its_client() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(ROUTES, &app, &provider).await;
    let gate = Gate::new();
    let mut slow = Browser::new(&proxy);
    let redirect = slow.open("/shop/").await;
    let back = provider.log_in(&redirect);
    provider.set(|it| it.held = Some(gate.clone()));
    let mut client = Client::connect(proxy.address("web")).await;
    let cookies = slow.cookie_line().replace('\n', "\r\n");
    let head = format!("GET {back} HTTP/1.1\r\nhost: shop.example\r\n{cookies}\r\n");
    client.send(&head).await;
    asks(&provider, 1).await;
    provider.set(|it| it.held = None);
    let mut other = Browser::new(&proxy);
    assert_eq!(other.log_in("/shop/", &provider).await.status, 303);
    assert_eq!(other.open("/shop/").await.status, 200);
    // Its client leaves; who comes again waits for the same exchange.
    drop(client);
    let opened = async { slow.open(&back).await };
    let opens = async {
        other.open("/shop/").await;
        gate.open();
    };
    let (back, ()) = tokio::join!(opened, opens);
    assert_eq!(back.status, 303, "{back:?}");
    assert_eq!(slow.open("/shop/").await.status, 200);
    assert_eq!(provider.state.lock().unwrap().grants.len(), 2);
    proxy.finish().await;
}

#[tokio::test]
async fn exchanges_that_get_no_answer_end_and_give_their_places_back() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let text = ROUTES.replace("timeout = \"20s\"", "timeout = \"2s\"");
    let proxy = start(&text, &app, &provider).await;
    let mut session = Browser::new(&proxy);
    provider.set(|it| it.expires_in = 0);
    session.log_in("/shop/", &provider).await;
    provider.set(|it| it.expires_in = 3600);
    let mut browsers = Vec::new();
    for _ in 0..40 {
        let mut browser = Browser::new(&proxy);
        let redirect = browser.open("/shop/").await;
        browsers.push((browser, provider.log_in(&redirect)));
    }
    provider.set(|it| it.held = Some(Gate::new()));
    let opened = browsers.iter().map(|(browser, back)| {
        let mut browser = browser.copy();
        async move { browser.open(back).await }
    });
    // No session waits for them.
    let renews = async {
        asks(&provider, 33).await;
        provider.set(|it| it.held = None);
        session.open("/shop/").await
    };
    let (answers, renewed) = tokio::join!(at_once(opened), renews);
    for answer in answers {
        answer.assert_failure(503, "destination_unavailable");
    }
    assert_eq!(renewed.status, 200, "{renewed:?}");
    let mut later = Browser::new(&proxy);
    assert_eq!(later.log_in("/shop/", &provider).await.status, 303);
    proxy.finish().await;
}

#[tokio::test]
async fn another_method_at_a_path_of_the_login_is_405() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(ROUTES, &app, &provider).await;
    let mut browser = Browser::new(&proxy);
    let redirect = browser.open("/shop/").await;
    let back = provider.log_in(&redirect);
    for method in ["HEAD", "POST", "PUT", "DELETE", "OPTIONS"] {
        let got = browser.ask(method, &back, "accept: text/html\n").await;
        assert_eq!((got.status, got.field("allow")), (405, "GET"), "{method}");
    }
    // None of them has used the answer up.
    assert_eq!(browser.open(&back).await.status, 303);
    for method in ["HEAD", "PUT", "DELETE", "OPTIONS"] {
        let got = browser.ask(method, "/shop/oidc/logout", "").await;
        assert_eq!(
            (got.status, got.field("allow")),
            (405, "GET, POST"),
            "{method}"
        );
    }
    assert_eq!(browser.open("/shop/").await.status, 200);
    let mut two = proxy.h2_client().await;
    let got = two.request("PATCH", CALLBACK, &[], b"").await.unwrap();
    assert_eq!((got.status, got.fields.get("allow")), (405, Some("GET")));
    assert_eq!(app.count(), 1);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_authorities_of_a_provider_are_read_once_for_many_logins() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    provider.set(|it| it.scheme = "https");
    let authority = Authority::new("test authority");
    let issued = authority.issue("provider", &["127.0.0.1"]);
    let to = provider.backend.address();
    let front = Tunnel::from_tls(to, issued.server(&["http/1.1"])).await;
    let text = ROUTES.replace("http://$provider", "https://$provider");
    let text = text.replace("timeout = \"20s\"", "timeout = \"20s\"\nca = \"ca.pem\"");
    let settings = Settings::new(&text).backend("app", &app);
    let settings = settings.address("provider", front.address());
    let file = settings.folder().join("ca.pem");
    authority.write(settings.folder(), "ca.pem");
    let proxy = settings.start().await;
    eventually("the provider is known", || async {
        (Browser::new(&proxy).open("/shop/").await.status == 302).then_some(())
    })
    .await;
    let mut first = Browser::new(&proxy);
    assert_eq!(first.log_in("/shop/", &provider).await.status, 303);
    // They are not needed again, as long as handshakes succeed.
    fs::write(&file, "no certificate").unwrap();
    let mut second = Browser::new(&proxy);
    assert_eq!(second.log_in("/shop/", &provider).await.status, 303);
    proxy.finish().await;
}
