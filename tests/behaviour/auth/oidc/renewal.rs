//! Sessions that are renewed, and a provider that is away.

use super::{Browser, Provider, ROUTES, State, at_once, start};
use crate::harness::{Backend, Proxy, Settings, answer, eventually};

fn refreshes(provider: &Provider) -> usize {
    let state = provider.state.lock().unwrap();
    state
        .grants
        .iter()
        .filter(|grant| *grant == "refresh_token")
        .count()
}

async fn logged_in<'a>(proxy: &'a Proxy, provider: &Provider, seconds: u64) -> Browser<'a> {
    provider.set(|it| it.expires_in = seconds);
    let mut browser = Browser::new(proxy);
    assert_eq!(browser.log_in("/shop/", provider).await.status, 303);
    browser
}

#[tokio::test]
async fn a_session_is_renewed_once_for_many_requests() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(ROUTES, &app, &provider).await;
    // Its tokens are over at once.
    let mut browser = logged_in(&proxy, &provider, 0).await;
    provider.set(|it| it.expires_in = 3600);
    let line = browser.cookie_line();
    let asked = (0..24).map(|number| {
        let target = format!("/shop/{number}");
        let (proxy, line) = (&proxy, &line);
        // Also those that are no navigation.
        async move { proxy.request("GET", &target, line, b"").await }
    });
    let answers = at_once(asked).await;
    for answer in &answers {
        assert_eq!(answer.status, 200, "{answer:?}");
        assert!(answer.field("set-cookie").starts_with("in="), "{answer:?}");
    }
    assert_eq!(refreshes(&provider), 1);
    // Who still has the old cookie gets what was fetched.
    assert_eq!(browser.open("/shop/late").await.status, 200);
    assert_eq!(refreshes(&provider), 1);
    // The new one needs nothing.
    let got = browser.open("/shop/").await;
    assert!(
        got.status == 200 && !got.fields.has("set-cookie"),
        "{got:?}"
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_session_whose_renewal_is_refused_ends() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(ROUTES, &app, &provider).await;
    let mut browser = logged_in(&proxy, &provider, 0).await;
    // Another subject.
    provider.set(|it| it.claims = serde_json::json!({ "sub": "root" }));
    assert_eq!(browser.open("/shop/").await.status, 302);
    provider.set(|it| it.claims = serde_json::json!({}));
    // One that the provider has withdrawn.
    let mut browser = logged_in(&proxy, &provider, 0).await;
    provider.set(State::forget);
    let got = browser
        .ask("GET", "/shop/", "accept: application/json\n")
        .await;
    got.assert_failure(401, "http_request_denied");
    assert_eq!(browser.open("/shop/").await.status, 302);
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn a_provider_that_is_away_ends_no_session_and_begins_none() {
    let app = Backend::start(|_| answer("fine")).await;
    let mut provider = Provider::start().await;
    let proxy = start(ROUTES, &app, &provider).await;
    let mut valid = logged_in(&proxy, &provider, 3600).await;
    let mut over = logged_in(&proxy, &provider, 0).await;
    let redirect = Browser::new(&proxy).open("/shop/").await;
    let mut pending = Browser::new(&proxy);
    pending.take(&redirect);
    let back = provider.log_in(&redirect);
    provider.set(|it| it.fails = Some(500));
    let got = pending.open(&back).await;
    got.assert_failure(503, "destination_unavailable");
    provider.backend.kill().await;
    assert_eq!(valid.open("/shop/").await.status, 200);
    let got = over.open("/shop/").await;
    got.assert_failure(503, "destination_unavailable");
    assert!(got.fields.has("retry-after"));
    let got = pending.open(&back).await;
    got.assert_failure(503, "destination_unavailable");
    // The same login succeeds once it is there again.
    provider.backend.up().await;
    provider.set(|it| it.fails = None);
    eventually("the login succeeds", || {
        let mut again = Browser::new(&proxy);
        again.cookies.clone_from(&pending.cookies);
        let back = &back;
        async move { (again.open(back).await.status == 303).then_some(()) }
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn before_the_provider_is_known_nobody_is_sent_there() {
    let app = Backend::start(|_| answer("fine")).await;
    let away = Backend::down(|_| answer("never"));
    let settings = Settings::new(ROUTES)
        .backend("app", &app)
        .address("provider", away.address());
    let proxy = settings.start().await;
    let got = Browser::new(&proxy).open("/shop/").await;
    got.assert_failure(503, "destination_unavailable");
    let got = Browser::new(&proxy).ask("GET", "/shop/", "").await;
    got.assert_failure(401, "http_request_denied");
    let got = Browser::new(&proxy)
        .open("/shop/oidc/callback?code=1&state=2")
        .await;
    got.assert_failure(400, "http_request_denied");
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}
