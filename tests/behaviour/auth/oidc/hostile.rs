//! Logins that are forged, replayed or answered wrongly.

use serde_json::{Value, json};

use super::{Browser, Provider, ROUTES, now, start};
use crate::harness::{Backend, answer};

#[tokio::test]
async fn an_answer_to_a_login_that_this_browser_did_not_begin_lets_nobody_in() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(ROUTES, &app, &provider).await;
    // The attacker's own answer, for a browser that has begun nothing, and for one that has.
    let mut attacker = Browser::new(&proxy);
    let redirect = attacker.open("/shop/").await;
    let stolen = provider.log_in(&redirect);
    let mut victim = Browser::new(&proxy);
    victim
        .open(&stolen)
        .await
        .assert_failure(400, "http_request_denied");
    let redirect = victim.open("/shop/").await;
    victim
        .open(&stolen)
        .await
        .assert_failure(400, "http_request_denied");
    let before = victim.copy();
    // States that are almost right.
    let back = provider.log_in(&redirect);
    let (rest, state) = back.rsplit_once('=').unwrap();
    let other = state.replace(&state[20..], &"A".repeat(23));
    for state in [
        "",
        "x",
        &state[..42],
        &format!("{state}A"),
        &other,
        "%00",
        "../../x",
    ] {
        let got = victim.open(&format!("{rest}={state}")).await;
        got.assert_failure(400, "http_request_denied");
    }
    for target in ["/shop/oidc/callback", &back.replace("state=", "x=")] {
        victim
            .open(target)
            .await
            .assert_failure(400, "http_request_denied");
    }
    // A cookie that was changed, or is one of another kind.
    let (name, value) = victim.cookies.iter().next().unwrap();
    let (name, value) = (name.clone(), value.clone());
    for forged in [
        format!(
            "{}{}",
            if value.starts_with('A') { 'B' } else { 'A' },
            &value[1..]
        ),
        value[..value.len() - 1].to_owned(),
        String::new(),
    ] {
        let mut browser = Browser::new(&proxy);
        browser.cookies.insert(name.clone(), forged);
        browser
            .open(&back)
            .await
            .assert_failure(400, "http_request_denied");
    }
    let mut browser = Browser::new(&proxy);
    browser.cookies.insert("in".to_owned(), format!("1{value}"));
    assert_eq!(browser.open("/shop/").await.status, 302);
    assert!(provider.state.lock().unwrap().grants.is_empty());
    // The true one works in this browser, and the provider sees its code once.
    assert_eq!(victim.open(&back).await.status, 303);
    let mut replayed = Browser::new(&proxy);
    replayed
        .open(&back)
        .await
        .assert_failure(400, "http_request_denied");
    // Another code of the same login is another answer.
    let other = back.replace("code=", "code=x");
    let got = before.copy().open(&other).await;
    got.assert_failure(403, "http_request_denied");
    assert_eq!(provider.state.lock().unwrap().grants.len(), 2);
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn an_id_token_that_is_not_meant_lets_nobody_in() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(ROUTES, &app, &provider).await;
    let bad = [
        ("nonce", json!("another"), "nonce"),
        ("nonce", Value::Null, "nonce"),
        ("iss", json!("https://evil.example"), "issuer"),
        ("aud", json!("other"), "audience"),
        ("aud", json!(["shop", "other"]), "azp"),
        ("azp", json!("other"), "azp"),
        ("exp", json!(now() - 60), "expired"),
        ("exp", Value::Null, "expiry"),
        ("iat", json!(now() + 600), "iat"),
        ("iat", Value::Null, "iat"),
        ("sub", Value::Null, "subject"),
        ("sub", json!(""), "subject"),
        ("nbf", json!(now() + 600), "yet"),
    ];
    for (name, value, reason) in bad {
        provider.set(|it| it.claims = json!({ name: value }));
        denied(&proxy, &provider, reason).await;
    }
    provider.set(|it| it.claims = json!({}));
    for (header, reason) in [
        (r#"{"alg":"none"}"#, "algorithm"),
        (r#"{"alg":"HS256","kid":"secret"}"#, "algorithm"),
        // Signed by the key for another algorithm.
        (r#"{"alg":"RS256","kid":"rsa"}"#, "signature"),
        (r#"{"alg":"EdDSA","kid":"ed","crit":["x"]}"#, "extensions"),
    ] {
        provider.set(|it| it.header = header.to_owned());
        denied(&proxy, &provider, reason).await;
    }
    // With the party named, several audiences are fine.
    provider.set(|it| {
        it.header = r#"{"alg":"EdDSA","kid":"ed"}"#.to_owned();
        it.claims = json!({ "aud": ["shop", "other"], "azp": "shop" });
    });
    let mut browser = Browser::new(&proxy);
    assert_eq!(browser.log_in("/shop/", &provider).await.status, 303);
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}

async fn denied(proxy: &crate::harness::Proxy, provider: &Provider, reason: &str) {
    let mut browser = Browser::new(proxy);
    let got = browser.log_in("/shop/", provider).await;
    got.assert_failure(403, "http_request_denied");
    let id = got.field("x-request-id").to_owned();
    let line = proxy
        .logged("of it", |line| line["request_id"] == *id)
        .await;
    let detail = line["reason_detail"].as_str().unwrap();
    assert!(detail.contains(reason), "{reason}: {detail}");
    assert!(browser.cookies.is_empty(), "{:?}", browser.names());
}

#[tokio::test]
async fn a_refusal_of_the_provider_is_told_in_the_log() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(ROUTES, &app, &provider).await;
    for (more, reason) in [
        ("error=access_denied&error_description=x", "access_denied"),
        ("error=a%0d%0ab", "a??b"),
        ("code=x&iss=https%3A%2F%2Fevil.example", "another provider"),
        ("nothing=1", "no code"),
    ] {
        let mut browser = Browser::new(&proxy);
        let redirect = browser.open("/shop/").await;
        let state = provider.log_in(&redirect);
        let state = state.rsplit_once("state=").unwrap().1.to_owned();
        let got = browser
            .open(&format!("/shop/oidc/callback?state={state}&{more}"))
            .await;
        got.assert_failure(403, "http_request_denied");
        let id = got.field("x-request-id").to_owned();
        let line = proxy
            .logged("of it", |line| line["request_id"] == *id)
            .await;
        let detail = line["reason_detail"].as_str().unwrap();
        assert!(detail.contains(reason), "{reason}: {detail}");
    }
    proxy.finish().await;
}

#[tokio::test]
async fn cookies_without_end_keep_nobody_else_out() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(ROUTES, &app, &provider).await;
    let mut honest = Browser::new(&proxy);
    honest.log_in("/shop/", &provider).await;
    let good = honest.cookies["in"].clone();
    let attempts = (0..2800).map(|number| format!("in.login.{number}=AAAA"));
    let parts = (1..8).map(|number| format!("in.{number}={}", "A".repeat(7_000)));
    let same = (0..4).map(|_| format!("in={good}"));
    let html = "accept: text/html\n";
    for (cookies, status) in [
        (attempts.collect::<Vec<_>>().join("; "), 302),
        (
            format!("in=8AAAA; {}", parts.collect::<Vec<_>>().join("; ")),
            302,
        ),
        // The first one counts, as for endpoints.
        (same.collect::<Vec<_>>().join("; "), 200),
        (format!("in=1{}", "A".repeat(70_000)), 431),
    ] {
        let lines = format!("{html}cookie: {cookies}\n");
        let got = proxy.request("GET", "/shop/", &lines, b"").await;
        assert_eq!(got.status, status);
        // Not more than one line for each cookie that is looked at.
        assert!(got.fields.all("set-cookie").len() <= 80);
        assert_eq!(honest.open("/shop/").await.status, 200);
    }
    // A token that is nested or goes on without end.
    for claims in [
        json!({ "deep": (0..200).fold(json!(1), |inner, _| json!([inner])) }),
        json!({ "wide": "x".repeat(20_000) }),
    ] {
        provider.set(|it| it.claims = claims);
        denied(&proxy, &provider, "it is").await;
    }
    proxy.finish().await;
}
