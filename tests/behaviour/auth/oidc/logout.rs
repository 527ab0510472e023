//! The end of a session that its owner asks for.

use super::{Browser, Provider, ROUTES, parameters, start};
use crate::harness::{Backend, Proxy, answer, eventually};

const LOGOUT: &str = "/shop/oidc/logout";
const PAGE: &str = "sec-fetch-dest: document\nsec-fetch-mode: navigate\n";

async fn logged_in<'a>(proxy: &'a Proxy, provider: &Provider) -> Browser<'a> {
    let mut browser = Browser::new(proxy);
    assert_eq!(browser.log_in("/shop/", provider).await.status, 303);
    browser
}

#[tokio::test]
async fn a_logout_ends_the_session_here_and_at_the_provider() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let text = ROUTES.replace(
        "timeout = \"20s\"",
        "timeout = \"20s\"\n    logged_out = \"/bye\"",
    );
    let proxy = start(&text, &app, &provider).await;
    let mut browser = logged_in(&proxy, &provider).await;
    let mut copy = browser.copy();
    assert_eq!(copy.open("/shop/").await.status, 200);
    let got = browser.open(LOGOUT).await;
    assert_eq!(got.status, 303);
    let place = got.field("location");
    let end = format!("http://{}/end?", provider.backend.address());
    assert!(place.starts_with(&end), "{place}");
    let told = parameters(place);
    assert_eq!(told["client_id"], "shop");
    assert_eq!(told["id_token_hint"].split('.').count(), 3);
    let bye = "http://shop.example/bye";
    assert_eq!(told["post_logout_redirect_uri"], bye);
    assert!(browser.cookies.is_empty(), "{:?}", browser.names());
    assert_eq!(browser.open("/shop/").await.status, 302);
    // A copy of the cookie counts no longer, and neither does the refresh token.
    assert_eq!(copy.open("/shop/").await.status, 302);
    eventually("the refresh token is revoked", || async {
        let state = provider.state.lock().unwrap();
        state.refresh_tokens.is_empty().then_some(())
    })
    .await;
    // Another session of the same user goes on.
    let mut other = logged_in(&proxy, &provider).await;
    assert_eq!(other.open("/shop/").await.status, 200);
    // Who has no session is only told.
    let got = Browser::new(&proxy).open(LOGOUT).await;
    assert_eq!((got.status, got.field("location")), (303, bye));
    proxy.finish().await;
}

#[tokio::test]
async fn another_page_logs_nobody_out() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(ROUTES, &app, &provider).await;
    let mut browser = logged_in(&proxy, &provider).await;
    // A link, an image, a frame, and a browser that does not say: it asks.
    for lines in [
        &format!("sec-fetch-site: cross-site\n{PAGE}"),
        &format!("sec-fetch-site: same-site\n{PAGE}"),
        "sec-fetch-site: same-origin\nsec-fetch-dest: image\nsec-fetch-mode: no-cors\n",
        "sec-fetch-site: same-origin\nsec-fetch-dest: iframe\nsec-fetch-mode: navigate\n",
        "sec-fetch-site: same-origin\nsec-fetch-dest: empty\nsec-purpose: prefetch\n",
        "accept: text/html\n",
        "",
    ] {
        let got = browser.ask("GET", LOGOUT, lines).await;
        assert_eq!(got.status, 200, "{lines}");
        assert!(got.text().contains("<form method=\"post\">"), "{lines}");
        assert_eq!(got.field("x-frame-options"), "DENY");
        assert!(
            got.field("content-security-policy")
                .contains("frame-ancestors 'none'")
        );
        assert_eq!(got.field("cache-control"), "no-store");
        assert!(!got.fields.has("set-cookie"));
        assert_eq!(browser.open("/shop/").await.status, 200, "{lines}");
    }
    // A form of another page.
    for lines in [
        "sec-fetch-site: cross-site\norigin: http://evil.example\n",
        "sec-fetch-site: same-site\norigin: http://other.shop.example\n",
        "origin: http://other.shop.example\n",
        "origin: null\n",
    ] {
        let got = browser.ask("POST", LOGOUT, lines).await;
        got.assert_failure(403, "http_request_denied");
        assert_eq!(browser.open("/shop/").await.status, 200, "{lines}");
    }
    // The button of the page that asks.
    let got = browser
        .ask("POST", LOGOUT, "origin: http://shop.example\n")
        .await;
    assert_eq!(got.status, 303, "{got:?}");
    assert_eq!(browser.open("/shop/").await.status, 302);
    let mut browser = logged_in(&proxy, &provider).await;
    let own = format!("sec-fetch-site: same-origin\n{PAGE}");
    assert_eq!(browser.ask("GET", LOGOUT, &own).await.status, 303);
    assert!(browser.cookies.is_empty());
    proxy.finish().await;
}

#[tokio::test]
async fn a_provider_that_does_not_revoke_holds_up_no_logout() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(ROUTES, &app, &provider).await;
    let mut browser = logged_in(&proxy, &provider).await;
    provider.set(|it| it.fails = Some(500));
    assert_eq!(browser.open(LOGOUT).await.status, 303);
    proxy.log_says("has not revoked its refresh token").await;
    provider.set(|it| it.fails = None);
    let mut browser = logged_in(&proxy, &provider).await;
    assert_eq!(browser.open(LOGOUT).await.status, 303);
    proxy.log_says("refresh tokens are revoked again").await;
    // The newest token of a session, whose cookie is older.
    provider.set(|it| it.expires_in = 0);
    let mut browser = logged_in(&proxy, &provider).await;
    let mut old = browser.copy();
    assert_eq!(browser.open("/shop/").await.status, 302);
    provider.set(|it| it.expires_in = 3600);
    assert_eq!(old.open(LOGOUT).await.status, 303);
    eventually("no token is left", || async {
        let state = provider.state.lock().unwrap();
        (state.refresh_tokens.len() == 1).then_some(())
    })
    .await;
    proxy.finish().await;
}
