//! A certificate at the end of its time: told of in good time, and no reason to serve
//! nothing at all.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::harness::{Authority, Issued, Proxy, Settings, command, eventually, look};

const ONE: &str = r#"
    [listeners.web]
    address = "$web"
    [listeners.web.tls]
    certificates = [{ chain = "a.pem", key = "a.key" }]
    [routes.all]
    respond = { }
"#;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// An authority, and a certificate of its that expires then, in the folder as `a`.
fn until(settings: &Settings, end: SystemTime) -> (Authority, Issued) {
    let authority = Authority::new("test authority");
    let issued = authority.issue_until(&["shop.example"], end);
    issued.write(settings.folder(), "a");
    (authority, issued)
}

/// Waits until the proxy shows this certificate to clients.
async fn shows(web: SocketAddr, issued: &Issued, name: &str) {
    let authority = Authority::new("any");
    let wanted = issued.der().to_vec();
    eventually("the certificate is shown", || async {
        let shown = look(web, &authority, name).await.ok()?;
        (shown.certificate == wanted).then_some(())
    })
    .await;
}

/// The events of expiry so far.
async fn told(proxy: &Proxy) -> Vec<Value> {
    let events = proxy
        .admin("GET", "/events", "accept: application/json\n")
        .await;
    let events: Value = serde_json::from_str(&events.unwrap().text()).unwrap();
    let all = events.as_array().cloned().unwrap_or_default();
    let about = all
        .into_iter()
        .filter(|it| it["kind"] == "certificate_expiry");
    about.map(|it| it["what"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_with_an_expired_certificate_serves_it_loudly_and_takes_up_the_next() {
    let settings = Settings::new(ONE);
    let (authority, expired) = until(&settings, SystemTime::now() - DAY);
    let proxy = settings.start().await;
    shows(proxy.address("web"), &expired, "shop.example").await;
    let event = eventually("it is told", || async { told(&proxy).await.pop() }).await;
    assert_eq!(
        (&event["state"], &event["name"]),
        (&"expired".into(), &"web".into())
    );
    proxy.log_says("ERROR a certificate has expired").await;
    proxy.log_says("most clients will refuse it").await;
    let (code, text) = command(proxy.folder(), &["check", "proxy.toml"]);
    assert_eq!(code, Some(3), "{text}");
    assert!(text.contains("a.pem expired at"), "{text}");
    let renewed = authority.issue("shop", &["shop.example"]);
    renewed.write(proxy.folder(), "a");
    shows(proxy.address("web"), &renewed, "shop.example").await;
    let (code, text) = command(proxy.folder(), &["check", "proxy.toml"]);
    assert_eq!(code, Some(0), "{text}");
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_keeps_an_expired_certificate_that_is_in_use_and_takes_no_other() {
    let settings = Settings::new(ONE);
    let (authority, expired) = until(&settings, SystemTime::now() - DAY);
    let mut proxy = settings.start().await;
    let changed = ONE.replace("respond = { }", "respond = { status = 204 }");
    proxy.reload(&changed).await;
    shows(proxy.address("web"), &expired, "shop.example").await;
    let other = authority.issue_until(&["other.example"], SystemTime::now() - DAY);
    other.write(proxy.folder(), "b");
    proxy.replace(&changed.replace("[{", "[{ chain = \"b.pem\", key = \"b.key\" }, {"));
    proxy.reload_fails().await;
    proxy.log_says("b.pem expired at").await;
    shows(proxy.address("web"), &expired, "shop.example").await;
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_certificate_does_not_keep_another_from_being_renewed() {
    let text = ONE.replace("[{", "[{ chain = \"b.pem\", key = \"b.key\" }, {");
    let settings = Settings::new(&text);
    let (authority, _) = until(&settings, SystemTime::now() - DAY);
    let other = authority.issue("other", &["other.example"]);
    other.write(settings.folder(), "b");
    let proxy = settings.start().await;
    let renewed = authority.issue("other", &["other.example"]);
    renewed.write(proxy.folder(), "b");
    shows(proxy.address("web"), &renewed, "other.example").await;
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_that_expires_within_two_weeks_is_told_of_once() {
    let settings = Settings::new(ONE);
    let (authority, _) = until(&settings, SystemTime::now() + 5 * DAY + DAY / 2);
    let proxy = settings.start().await;
    let event = eventually("it is told", || async { told(&proxy).await.pop() }).await;
    assert_eq!(event["state"], "expires_soon");
    assert_eq!(event["days"], 5);
    proxy.log_says("WARN a certificate expires soon").await;
    // A renewal that is good for three weeks is looked at after the next look at least.
    let renewed = authority.issue_until(&["shop.example"], SystemTime::now() + 21 * DAY);
    renewed.write(proxy.folder(), "a");
    shows(proxy.address("web"), &renewed, "shop.example").await;
    let short = authority.issue_until(&["shop.example"], SystemTime::now() + 2 * DAY + DAY / 2);
    short.write(proxy.folder(), "a");
    shows(proxy.address("web"), &short, "shop.example").await;
    eventually("the second is told", || async {
        (told(&proxy).await.len() == 2).then_some(())
    })
    .await;
    let days: Vec<Value> = told(&proxy)
        .await
        .iter()
        .map(|it| it["days"].clone())
        .collect();
    assert_eq!(days, [5, 2]);
    proxy.finish().await;
}
