//! The way in: who is sent to the provider, and comes back where.

use super::{Browser, Provider, ROUTES, parameters, start};
use crate::harness::{Backend, answer};

#[tokio::test]
async fn a_browser_logs_in_and_comes_back_to_its_page() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(ROUTES, &app, &provider).await;
    let mut browser = Browser::new(&proxy);
    browser
        .cookies
        .insert("theme".to_owned(), "dark".to_owned());
    let redirect = browser.open("/shop/cart?item=%20a&n=1").await;
    assert_eq!(redirect.status, 302);
    assert_eq!(redirect.field("cache-control"), "no-store");
    let place = redirect.field("location");
    let issuer = format!("http://{}", provider.backend.address());
    assert!(
        place.starts_with(&format!("{issuer}/auth?tenant=1&")),
        "{place}"
    );
    let asked = parameters(place);
    let own = "http://shop.example";
    for (name, value) in [
        ("response_type", "code"),
        ("client_id", "shop"),
        ("scope", "openid email profile"),
        ("code_challenge_method", "S256"),
        ("redirect_uri", &format!("{own}/shop/oidc/callback")),
    ] {
        assert_eq!(asked[name], value, "{name}");
    }
    assert!(asked["state"].len() >= 43 && asked["nonce"].len() >= 43);
    let set = redirect.fields.all("set-cookie");
    assert_eq!(set.len(), 1);
    for part in ["HttpOnly", "SameSite=Lax", "Path=/;", "Max-Age=600"] {
        assert!(set[0].contains(part), "{set:?}");
    }
    // Nothing in it can be read.
    assert!(!set[0].contains(&asked["state"]) && !set[0].contains("cart"));
    let back = browser.open(&provider.log_in(&redirect)).await;
    assert_eq!(back.status, 303, "{back:?}");
    assert_eq!(
        back.field("location"),
        format!("{own}/shop/cart?item=%20a&n=1")
    );
    assert_eq!(browser.names(), ["in", "theme"]);
    assert_eq!(app.count(), 0);
    let got = browser.open("/shop/cart").await;
    assert_eq!(got.status, 200);
    let seen = app.seen().pop().unwrap();
    assert_eq!(seen.fields.all("cookie"), ["theme=dark"]);
    for (name, value) in [
        ("x-user", "anna"),
        ("x-groups", "staff,buyers"),
        ("x-name", "anna@shop.example"),
    ] {
        assert_eq!(seen.fields.all(name), [value], "{name}");
    }
    proxy
        .logged("of the user", |line| line["user"] == "anna")
        .await;
    // A code stands in no log.
    let masked = "/shop/oidc/callback?code=***";
    let is_masked = |line: &serde_json::Value| line.to_string().contains(masked);
    proxy.logged("of the callback", is_masked).await;
    // Going back to the page of the login does no harm.
    let again = browser.open("/shop/oidc/callback?code=1&state=2").await;
    assert_eq!(
        (again.status, again.field("location")),
        (303, &*format!("{own}/"))
    );
    proxy.finish().await;
}

#[tokio::test]
async fn only_a_browser_that_opens_a_page_is_sent_to_the_provider() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(ROUTES, &app, &provider).await;
    let html = "accept: text/html\n";
    for (method, lines) in [
        ("GET", String::new()),
        ("GET", "accept: */*\n".to_owned()),
        ("GET", "accept: application/json\n".to_owned()),
        ("GET", format!("{html}sec-fetch-mode: cors\n")),
        ("GET", format!("{html}x-requested-with: XMLHttpRequest\n")),
        ("GET", format!("{html}sec-purpose: prefetch\n")),
        ("POST", html.to_owned()),
        ("HEAD", html.to_owned()),
    ] {
        let mut browser = Browser::new(&proxy);
        let got = browser.ask(method, "/shop/", &lines).await;
        assert_eq!(got.status, 401, "{method} {lines}");
        assert!(!got.field("www-authenticate").is_empty());
        assert!(browser.cookies.is_empty(), "{lines}");
    }
    let mut two = proxy.h2_client().await;
    let got = two
        .request("GET", "/shop/", &[("accept", "text/html")], b"")
        .await;
    assert_eq!(got.unwrap().status, 302);
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn tabs_log_in_at_once_and_do_not_pile_up_cookies() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(ROUTES, &app, &provider).await;
    let mut browser = Browser::new(&proxy);
    let first = browser.open("/shop/1").await;
    let second = browser.open("/shop/2").await;
    let third = browser.open("/shop/3").await;
    // The one that came first ends last.
    for (redirect, page) in [
        (&second, "/shop/2"),
        (&third, "/shop/3"),
        (&first, "/shop/1"),
    ] {
        let back = browser.open(&provider.log_in(redirect)).await;
        assert_eq!(back.status, 303, "{back:?}");
        assert!(back.field("location").ends_with(page), "{back:?}");
    }
    assert_eq!(browser.names(), ["in"]);
    let mut browser = Browser::new(&proxy);
    browser
        .cookies
        .insert("in.login.forged".to_owned(), "x".to_owned());
    for _ in 0..30 {
        assert_eq!(browser.open("/shop/").await.status, 302);
        assert!(browser.cookies.len() <= 6, "{:?}", browser.names());
    }
    assert!(!browser.cookies.contains_key("in.login.forged"));
    proxy.finish().await;
}

#[tokio::test]
async fn nobody_is_led_away_from_the_own_host() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let text = ROUTES.replace("path_prefix = \"/shop\"\n", "");
    let proxy = start(&text, &app, &provider).await;
    let long = format!("/{}", "x".repeat(9000));
    for target in [
        "//evil.example/x",
        "/%2f%2fevil.example",
        "///evil.example",
        &long,
    ] {
        let mut browser = Browser::new(&proxy);
        let back = browser.log_in(target, &provider).await;
        assert_eq!(back.status, 303);
        assert!(
            back.field("location").starts_with("http://shop.example/"),
            "{back:?}"
        );
    }
    proxy.finish().await;
}
