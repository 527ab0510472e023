//! Sessions that the provider ends (OpenID Connect Back-Channel Logout 1.0).

use serde_json::{Value, json};

use super::{ACCESS_TOKEN, Browser, Provider, ROUTES, now, start};
use crate::harness::{Answer, Backend, Proxy, answer, eventually};

const PATH: &str = "/shop/oidc/ended";

fn routes() -> String {
    let more = "timeout = \"20s\"\n    backchannel_logout = \"/shop/oidc/ended\"";
    ROUTES.replace("timeout = \"20s\"", more)
}

/// Claims of a logout token, with some of them changed; `null` removes one.
fn claims(provider: &Provider, changed: &Value) -> Value {
    let mut claims = json!({
        "iss": format!("http://{}", provider.backend.address()), "aud": "shop", "jti": "1",
        "iat": now(), "exp": now() + 120,
        "events": { "http://schemas.openid.net/event/backchannel-logout": {} },
    });
    for (name, value) in changed.as_object().unwrap() {
        match value {
            Value::Null => drop(claims.as_object_mut().unwrap().remove(name)),
            value => claims[name] = value.clone(),
        }
    }
    claims
}

async fn end(proxy: &Proxy, provider: &Provider, changed: &Value) -> Answer {
    let claims = claims(provider, changed);
    let token = {
        let state = provider.state.lock().unwrap();
        state
            .issuer
            .ed(r#"{"alg":"EdDSA","kid":"ed","typ":"logout+jwt"}"#, &claims)
    };
    let body = format!("logout_token={token}");
    let form = "content-type: application/x-www-form-urlencoded\n";
    proxy.request("POST", PATH, form, body.as_bytes()).await
}

async fn logged_in<'a>(proxy: &'a Proxy, provider: &Provider, claims: Value) -> Browser<'a> {
    provider.set(|it| it.claims = claims);
    let mut browser = Browser::new(proxy);
    assert_eq!(browser.log_in("/shop/", provider).await.status, 303);
    assert_eq!(browser.open("/shop/").await.status, 200);
    browser
}

#[tokio::test]
async fn a_provider_ends_a_session_or_all_of_a_user() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let mut proxy = start(&routes(), &app, &provider).await;
    let mut first = logged_in(&proxy, &provider, json!({ "sid": "s1" })).await;
    let mut second = logged_in(&proxy, &provider, json!({ "sid": "s2" })).await;
    let mut berta = logged_in(&proxy, &provider, json!({ "sub": "berta" })).await;
    let got = end(&proxy, &provider, &json!({ "sid": "s1", "sub": "anna" })).await;
    assert_eq!((got.status, got.field("cache-control")), (200, "no-store"));
    assert_eq!(first.open("/shop/").await.status, 302);
    let got = first.ask("GET", "/shop/", "accept: */*\n").await;
    got.assert_failure(401, "http_request_denied");
    assert_eq!(second.open("/shop/").await.status, 200);
    let got = end(&proxy, &provider, &json!({ "sub": "anna" })).await;
    assert_eq!(got.status, 200);
    assert_eq!(second.open("/shop/").await.status, 302);
    assert_eq!(berta.open("/shop/").await.status, 200);
    // It outlives a reload.
    let cookies = second.cookies.clone();
    let berta = berta.cookies.clone();
    let text = routes().replace("1000/s", "999/s");
    proxy.reload(&text).await;
    let mut second = Browser::new(&proxy);
    second.cookies = cookies;
    assert_eq!(second.open("/shop/").await.status, 302);
    let mut still = Browser::new(&proxy);
    still.cookies = berta;
    assert_eq!(still.open("/shop/").await.status, 200);
    proxy.finish().await;
}

#[tokio::test]
async fn a_renewed_session_is_still_the_one_that_the_provider_knows() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(&routes(), &app, &provider).await;
    provider.set(|it| it.expires_in = 1);
    let mut browser = Browser::new(&proxy);
    provider.set(|it| it.claims = json!({ "sid": "s1" }));
    browser.log_in("/shop/", &provider).await;
    // The new ID token does not say of which session it is.
    provider.set(|it| it.claims = json!({}));
    provider.set(|it| it.expires_in = 3600);
    let first = browser.cookies["in"].clone();
    browser.cookies = eventually("it is renewed", || {
        let (mut again, first) = (browser.copy(), first.clone());
        async move {
            assert_eq!(again.open("/shop/").await.status, 200);
            (again.cookies["in"] != first).then_some(again.cookies)
        }
    })
    .await;
    assert_eq!(browser.open("/shop/").await.status, 200);
    let got = end(&proxy, &provider, &json!({ "sid": "s1" })).await;
    assert_eq!(got.status, 200);
    assert_eq!(browser.open("/shop/").await.status, 302);
    proxy.finish().await;
}

#[tokio::test]
async fn a_logout_token_that_is_not_meant_ends_no_session() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(&routes(), &app, &provider).await;
    let mut browser = logged_in(&proxy, &provider, json!({ "sid": "s1" })).await;
    let event = "http://schemas.openid.net/event/backchannel-logout";
    for (changed, reason) in [
        (json!({}), "neither sid nor sub"),
        (json!({ "sid": 1 }), "not a text"),
        (json!({ "sid": "" }), "not a text"),
        (json!({ "sid": "s1", "nonce": "x" }), "nonce"),
        (json!({ "sid": "s1", "jti": null }), "jti"),
        (json!({ "sid": "s1", "events": null }), "events"),
        (json!({ "sid": "s1", "events": [event] }), "events"),
        (json!({ "sid": "s1", "events": { event: 1 } }), "events"),
        (
            json!({ "sid": "s1", "iss": "http://evil.example" }),
            "issuer",
        ),
        (json!({ "sid": "s1", "aud": "other" }), "audience"),
        (json!({ "sid": "s1", "exp": now() - 60 }), "expired"),
        (json!({ "sid": "s1", "exp": null }), "expiry"),
        (json!({ "sid": "s1", "iat": null }), "iat"),
        (json!({ "sid": "s1", "iat": now() + 600 }), "iat"),
    ] {
        let got = end(&proxy, &provider, &changed).await;
        refused(&proxy, &got, 400, reason).await;
    }
    let form = "content-type: application/x-www-form-urlencoded\n";
    let none = claims(&provider, &json!({ "sid": "s1" })).to_string();
    let none = super::encode(none.as_bytes());
    let none = format!(
        "logout_token={}.{none}.",
        super::encode(br#"{"alg":"none"}"#)
    );
    for (body, reason) in [
        ("", "there is none"),
        ("logout_token=", "malformed"),
        ("logout_token=a.b.c", "malformed"),
        (&*none, "algorithm"),
        (&*"x".repeat(70_000), "too long"),
    ] {
        let got = proxy.request("POST", PATH, form, body.as_bytes()).await;
        refused(&proxy, &got, 400, reason).await;
    }
    let got = browser.open(PATH).await;
    assert_eq!((got.status, got.field("allow")), (405, "POST"));
    // A word of the past does not end what began after it.
    let past = json!({ "sub": "anna", "iat": now() - 100 });
    assert_eq!(end(&proxy, &provider, &past).await.status, 200);
    assert_eq!(browser.open("/shop/").await.status, 200);
    proxy.finish().await;
}

#[tokio::test]
async fn an_access_token_that_is_not_the_one_of_the_id_token_lets_nobody_in() {
    let app = Backend::start(|_| answer("fine")).await;
    let provider = Provider::start().await;
    let proxy = start(ROUTES, &app, &provider).await;
    let hash = |token: &str| {
        let hash = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, token.as_bytes());
        super::encode(&hash.as_ref()[..32])
    };
    for at_hash in [json!(hash("another")), json!(""), json!(1), json!([])] {
        provider.set(|it| it.claims = json!({ "at_hash": at_hash }));
        let got = Browser::new(&proxy).log_in("/shop/", &provider).await;
        refused(&proxy, &got, 403, "at_hash").await;
    }
    logged_in(&proxy, &provider, json!({ "at_hash": hash(ACCESS_TOKEN) })).await;
    proxy.finish().await;
}

async fn refused(proxy: &Proxy, got: &Answer, status: u16, reason: &str) {
    got.assert_failure(status, "http_request_denied");
    let id = got.field("x-request-id").to_owned();
    let line = proxy
        .logged("of it", |line| line["request_id"] == *id)
        .await;
    let detail = line["reason_detail"].as_str().unwrap();
    assert!(detail.contains(reason), "{reason}: {detail}");
}
