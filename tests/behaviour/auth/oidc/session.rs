//! Sessions: what counts as one, how large it may be, and its end.

use serde_json::json;

use super::{Browser, KEY, Provider, ROUTES, parameters, start};
use crate::harness::{Backend, answer};

/// Another digit of base64url, of which no bit is left over.
fn other(digit: &str) -> &'static str {
    if digit == "Q" { "g" } else { "Q" }
}

#[tokio::test]
async fn a_session_that_was_changed_or_is_of_another_key_is_none() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(ROUTES, &app, &provider).await;
    let mut browser = Browser::new(&proxy);
    browser.log_in("/shop/", &provider).await;
    let good = browser.cookies["in"].clone();
    for forged in [
        format!(
            "{}{}",
            &good[..good.len() - 1],
            other(&good[good.len() - 1..])
        ),
        format!("1{}{}", other(&good[1..2]), &good[2..]),
        format!("2{}", &good[1..]),
        format!("9{}", &good[1..]),
        good[1..].to_owned(),
        "1".to_owned(),
        String::new(),
    ] {
        let mut browser = Browser::new(&proxy);
        browser.cookies.insert("in".to_owned(), forged.clone());
        assert_eq!(browser.open("/shop/").await.status, 302, "{forged}");
    }
    assert_eq!(browser.open("/shop/").await.status, 200);
    // Another proxy knows the session if it has the secret, be it the old one of two.
    let two = format!("[\"a new secret of the cookies, as long\", \"{KEY}\"]");
    for (secret, client, status) in [
        (two.as_str(), "shop", 200),
        ("\"a new secret of the cookies, as long\"", "shop", 302),
        (two.as_str(), "other", 302),
    ] {
        let text = ROUTES.replace(&format!("\"{KEY}\""), secret);
        let text = text.replace("client_id = \"shop\"", &format!("client_id = \"{client}\""));
        let other = start(&text, &app, &provider).await;
        let mut there = Browser::new(&other);
        there.cookies.clone_from(&browser.cookies);
        assert_eq!(
            there.open("/shop/").await.status,
            status,
            "{secret} {client}"
        );
        other.finish().await;
    }
    proxy.finish().await;
}

#[tokio::test]
async fn many_claims_are_kept_in_several_cookies() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(ROUTES, &app, &provider).await;
    let groups: Vec<String> = (0..400)
        .map(|number| format!("group-{number:015}"))
        .collect();
    provider.set(|it| it.claims = json!({ "groups": groups }));
    let mut browser = Browser::new(&proxy);
    let back = browser.log_in("/shop/", &provider).await;
    assert_eq!(back.status, 303, "{back:?}");
    let many = browser.cookies.len();
    assert!(many >= 3, "{:?}", browser.names());
    assert_eq!(browser.open("/shop/").await.status, 200);
    let seen = app.seen().pop().unwrap();
    assert_eq!(seen.field("x-groups"), groups.join(","));
    assert!(
        !seen.fields.has("cookie"),
        "{:?}",
        seen.fields.all("cookie")
    );
    // A part that is missing or of another session leaves none.
    let mut broken = Browser::new(&proxy);
    broken.cookies.clone_from(&browser.cookies);
    broken.cookies.remove("in.1");
    assert_eq!(broken.open("/shop/").await.status, 302);
    // A shorter one removes what is left of it.
    provider.set(|it| it.claims = json!({}));
    let redirect = broken.open("/shop/").await;
    assert_eq!(broken.open(&provider.log_in(&redirect)).await.status, 303);
    assert_eq!(
        broken
            .names()
            .iter()
            .filter(|it| it.starts_with("in.") && !it.contains("login"))
            .count(),
        0
    );
    // What no browser would keep is refused with a reason.
    let text = "x".repeat(11_900);
    provider.set(|it| it.claims = json!({ "text": text }));
    let mut browser = Browser::new(&proxy);
    let back = browser.log_in("/shop/", &provider).await;
    assert!(matches!(back.status, 303 | 403), "{back:?}");
    proxy.finish().await;
}

#[tokio::test]
async fn no_endpoint_of_another_route_of_the_host_gets_a_session() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let more = r#"
    [routes.open]
    path_prefix = "/open"
    pool = "app"
    [routes.elsewhere]
    hosts = ["other.example"]
    pool = "app"
    "#;
    let text = ROUTES.replace(
        "path_prefix = \"/shop\"",
        "path_prefix = \"/shop\"\n    hosts = [\"*.example\"]",
    );
    let text = text.replace("[pools.app]", &format!("{more}[pools.app]"));
    let narrow = text.replace("[\"*.example\"]", "[\"shop.example\"]");
    let passing = narrow.replace("cookie = \"in\"", "cookie = \"in\", other_routes = true");
    for (text, here, there) in [
        (&text, "theme=dark; inn=1", "theme=dark; inn=1"),
        (&narrow, "theme=dark; inn=1", ""),
        (&passing, "", ""),
    ] {
        let proxy = start(text, &app, &provider).await;
        let mut browser = Browser::new(&proxy);
        browser.log_in("/shop/", &provider).await;
        let session = browser.cookies["in"].clone();
        let pending = "in.1=x; in.login.abcdefghij=x; __Host-in=1x";
        let cookies = format!("theme=dark; in={session}; {pending}; inn=1");
        for (host, expected) in [("shop.example", here), ("other.example", there)] {
            let lines = format!("host: {host}\ncookie: {cookies}\n");
            let got = proxy.request("GET", "/open/", &lines, b"").await;
            assert_eq!(got.status, 200, "{got:?}");
            let seen = app.seen().pop().unwrap();
            let all = if expected.is_empty() {
                &*cookies
            } else {
                expected
            };
            assert_eq!(seen.fields.all("cookie"), [all], "{host}");
        }
        proxy.finish().await;
    }
}

#[tokio::test]
async fn behind_a_proxy_with_tls_the_browser_comes_back_to_the_host_that_it_sees() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let written = "\n    callback = \"https://shop.example/shop/oidc/callback\"";
    for (more, host) in [(written, ""), ("", "x-forwarded-host: shop.example\n")] {
        let claims = format!("timeout = \"20s\"\n    claims = {{ groups = \"staff\" }}{more}");
        let text = ROUTES.replace("timeout = \"20s\"", &claims);
        let trusted = "[proxy]\n    trusted_proxies = [\"127.0.0.1\"]\n    [listeners.web]";
        let proxy = start(&text.replace("[listeners.web]", trusted), &app, &provider).await;
        let over_tls = format!("accept: text/html\nx-forwarded-proto: https\n{host}");
        provider.set(|it| it.claims = json!({}));
        let mut browser = Browser::new(&proxy);
        let redirect = browser.ask("GET", "/shop/", &over_tls).await;
        let asked = parameters(redirect.field("location"));
        assert_eq!(
            asked["redirect_uri"],
            "https://shop.example/shop/oidc/callback"
        );
        let set = redirect.field("set-cookie").to_owned();
        assert!(
            set.starts_with("__Host-in.login.") && set.contains("; Secure"),
            "{set}"
        );
        let back = browser
            .ask("GET", &provider.log_in(&redirect), &over_tls)
            .await;
        assert_eq!(back.field("location"), "https://shop.example/shop/");
        assert_eq!(browser.names(), ["__Host-in"]);
        assert_eq!(browser.ask("GET", "/shop/", &over_tls).await.status, 200);
        assert!(!app.seen().pop().unwrap().fields.has("cookie"));
        // Over plain HTTP another host might have set it.
        assert_eq!(browser.open("/shop/").await.status, 302);
        provider.set(|it| it.claims = json!({ "groups": ["guests"] }));
        let mut guest = Browser::new(&proxy);
        let redirect = guest.ask("GET", "/shop/", &over_tls).await;
        guest
            .ask("GET", &provider.log_in(&redirect), &over_tls)
            .await;
        let got = guest.ask("GET", "/shop/", &over_tls).await;
        got.assert_failure(403, "http_request_denied");
        proxy.finish().await;
    }
}
