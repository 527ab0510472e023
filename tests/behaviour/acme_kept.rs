//! Certificates from a real ACME server: kept over restarts, upgrades and reloads, and renewed.

use crate::acme::{
    Ports, ask, is_served, is_told, patiently, restart, shop, shown, standing, text,
};
use crate::harness::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_takes_the_stored_certificate_without_an_order() {
    let ports = Ports::take();
    let mut pebble = ports.pebble().await;
    let mut proxy = ports.settings(&text(&shop(&pebble))).start().await;
    is_served(&proxy, "web", "shop.test", &pebble).await;
    let trust = pebble.trust();
    let before = shown(&proxy, "shop.test").await.unwrap();
    // The CA is not needed.
    pebble.kill();
    restart(&mut proxy).await;
    assert_eq!(shown(&proxy, "shop.test").await.unwrap(), before);
    let body = ask(proxy.address("web"), "shop.test", &trust).await;
    assert_eq!(body.as_deref(), Some("here"));
    eventually("the stored certificate is known", || async {
        (standing(&proxy, "web").await["state"] == "issued").then_some(())
    })
    .await;
    assert_eq!(pebble.orders(), 1);
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_takes_over_takes_the_stored_certificate() {
    let ports = Ports::take();
    let pebble = ports.pebble().await;
    let proxy = ports.settings(&text(&shop(&pebble))).start().await;
    is_served(&proxy, "web", "shop.test", &pebble).await;
    let before = shown(&proxy, "shop.test").await.unwrap();
    proxy.upgrade().await;
    assert_eq!(shown(&proxy, "shop.test").await.unwrap(), before);
    eventually("the stored certificate is known", || async {
        (standing(&proxy, "web").await["state"] == "issued").then_some(())
    })
    .await;
    assert_eq!(pebble.orders(), 1);
    proxy.all_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_renewed_in_time_and_stays_while_the_ca_is_away() {
    let ports = Ports::take();
    let mut pebble = ports.prepared().validity(18);
    pebble.run().await;
    let proxy = ports.settings(&text(&shop(&pebble))).start().await;
    is_served(&proxy, "web", "shop.test", &pebble).await;
    let first = shown(&proxy, "shop.test").await.unwrap();
    let second = patiently("the renewed certificate is shown", || async {
        shown(&proxy, "shop.test").await.filter(|it| *it != first)
    })
    .await;
    pebble.kill();
    let event = is_told(&proxy, "failed").await;
    let error = event["error"].as_str().unwrap();
    assert!(error.contains("the CA does not answer"), "{event}");
    proxy.log_says("the old one stays until").await;
    assert_eq!(shown(&proxy, "shop.test").await.unwrap(), second);
    let ready = proxy.admin("GET", "/ready", "").await.unwrap();
    assert_eq!(ready.status, 200);
    let reason = "the certificate for shop.test is not renewed since 20";
    assert!(ready.text().contains(reason), "{}", ready.text());
    // It has an account there that the CA has forgotten meanwhile.
    pebble.run().await;
    patiently("the next certificate is shown", || async {
        shown(&proxy, "shop.test").await.filter(|it| *it != second)
    })
    .await;
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_that_adds_a_name_orders_a_certificate_and_keeps_the_old_one_meanwhile() {
    let ports = Ports::take();
    let mut pebble = ports.pebble().await;
    let mut proxy = ports.settings(&text(&shop(&pebble))).start().await;
    is_served(&proxy, "web", "shop.test", &pebble).await;
    let before = shown(&proxy, "shop.test").await.unwrap();
    pebble.kill();
    let contact = r#"contact = "mailto:ops@shop.test""#;
    let both = format!(
        r#"domains = ["shop.test", "new.test"], {contact}, {}"#,
        pebble.directory()
    );
    proxy.reload(&text(&both)).await;
    is_told(&proxy, "failed").await;
    assert_eq!(shown(&proxy, "shop.test").await.unwrap(), before);
    pebble.run().await;
    is_served(&proxy, "web", "new.test", &pebble).await;
    is_served(&proxy, "web", "shop.test", &pebble).await;
    assert_eq!(pebble.orders(), 2);
    // Going back costs no order.
    proxy.reload(&text(&shop(&pebble))).await;
    assert_eq!(shown(&proxy, "shop.test").await.unwrap(), before);
    assert_eq!(pebble.orders(), 2);
    // The CA is told of another contact.
    let changes = pebble.changes();
    let third = both
        .replace("ops@", "others@")
        .replace("new.test", "third.test");
    proxy.reload(&text(&third)).await;
    is_served(&proxy, "web", "third.test", &pebble).await;
    assert!(pebble.changes() > changes);
    proxy.finish().await;
}
