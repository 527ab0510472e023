//! Keys of tokens that come from a URL, and rates of their subjects.

use serde_json::json;

use super::jwt::{Issuer, ask, claims, start, with};
use crate::harness::{Backend, Settings, answer, eventually};

#[tokio::test]
async fn keys_of_a_url_are_followed_and_survive_its_absence() {
    let app = Backend::start(|_| answer("fine")).await;
    let (first, second) = (Issuer::new(), Issuer::new());
    let jwks = |issuer: &Issuer, kid: &str| issuer.jwks().to_string().replace("\"ed\"", kid);
    let text = jwks(&first, "\"one\"");
    let keys = Backend::start(move |_| answer(&text)).await;
    let settings = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        auth = { jwt = { jwks = { url = "http://$keys/keys" } } }
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app)
    .address("keys", keys.address());
    let proxy = settings.start().await;
    // The first request waits for the first keys.
    let one = first.ed(r#"{"alg":"EdDSA","kid":"one"}"#, &claims());
    assert_eq!(ask(&proxy, "/", &one).await.status, 200);
    // Unknown names do not have them fetched again and again.
    let fetched = keys.count();
    for number in 0..40 {
        let header = json!({ "alg": "EdDSA", "kid": number.to_string() }).to_string();
        assert_eq!(
            ask(&proxy, "/", &first.ed(&header, &claims())).await.status,
            401
        );
    }
    assert!(keys.count() <= fetched + 2, "{}", keys.count());
    // A new key is fetched when it is first seen.
    let text = jwks(&second, "\"two\"");
    keys.now(move |_| answer(&text));
    let two = second.ed(r#"{"alg":"EdDSA","kid":"two"}"#, &claims());
    eventually("the new key is known", || async {
        (ask(&proxy, "/", &two).await.status == 200).then_some(())
    })
    .await;
    assert_eq!(ask(&proxy, "/", &one).await.status, 401);
    // While the URL is of no use, the last good keys stay.
    keys.now(|_| answer("{\"keys\":[]}"));
    let unknown = second.ed(r#"{"alg":"EdDSA","kid":"three"}"#, &claims());
    let before = keys.count();
    eventually("they are asked for again", || async {
        assert_eq!(ask(&proxy, "/", &unknown).await.status, 401);
        (keys.count() > before).then_some(())
    })
    .await;
    proxy.log_says("the keys of tokens cannot be fetched").await;
    let ready = proxy.admin("GET", "/ready", "").await.unwrap();
    assert_eq!(ready.status, 200);
    let begin = format!(
        "the keys of tokens cannot be fetched from http://{}/keys since 20",
        keys.address()
    );
    assert!(ready.text().contains(&begin), "{}", ready.text());
    assert_eq!(ask(&proxy, "/", &two).await.status, 200);
    proxy.finish().await;
}

#[tokio::test]
async fn without_keys_nobody_passes() {
    let app = Backend::start(|_| answer("fine")).await;
    let keys = Backend::down(|_| answer("never"));
    let settings = Settings::new(
        r#"
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        auth = { jwt = { jwks = { url = "http://$keys/keys" } } }
        [pools.app]
        endpoints = ["$app"]
        "#,
    )
    .backend("app", &app)
    .address("keys", keys.address());
    let proxy = settings.start().await;
    let token = Issuer::new().good(&claims());
    let got = ask(&proxy, "/", &token).await;
    got.assert_failure(503, "destination_unavailable");
    assert_eq!(app.count(), 0);
    proxy.finish().await;
}

#[tokio::test]
async fn each_subject_has_a_rate_of_its_own() {
    let app = Backend::start(|_| answer("fine")).await;
    let issuer = Issuer::new();
    let proxy = start(&issuer, &app).await;
    // A forged name takes nothing from its owner.
    let other = Issuer::new();
    for _ in 0..4 {
        let forged = other.good(&with("sub", json!("anna")));
        assert_eq!(ask(&proxy, "/limited", &forged).await.status, 401);
    }
    for (name, status) in [("anna", 200), ("anna", 200), ("anna", 429), ("ben", 200)] {
        let token = issuer.good(&with("sub", json!(name)));
        assert_eq!(
            ask(&proxy, "/limited", &token).await.status,
            status,
            "{name}"
        );
    }
    proxy.finish().await;
}
