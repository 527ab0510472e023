//! Reloads that change listeners: what is under way on them, and what counts by them, goes on.

use super::reload::{pool, respond};
use crate::harness::{Act, Backend, End, Gate, Proxy, Settings, answer, eventually};

#[tokio::test]
async fn listeners_come_and_go() {
    let mut proxy = Settings::new(&respond("one")).start().await;
    let mut before = proxy.client().await;
    before.get("/").await;
    let two = format!(
        "{}\n[listeners.more]\naddress = \"$more\"\n",
        respond("two")
    );
    proxy.reload(&two).await;
    let mut more = proxy.client_of("more").await;
    assert_eq!(more.get("/").await.text(), "two");
    proxy.reload(&respond("three")).await;
    let address = proxy.address("more");
    eventually("the removed listener refuses", || async {
        tokio::net::TcpStream::connect(address)
            .await
            .err()
            .map(drop)
    })
    .await;
    // Its idle connections are told to go; those of the other know nothing of it.
    more.ended().await;
    assert_eq!(before.get("/").await.text(), "three");
    proxy.finish().await;
}

#[tokio::test]
async fn an_exchange_on_a_removed_listener_is_finished() {
    let gate = Gate::new();
    let held = gate.clone();
    let app = Backend::start(move |_| {
        [vec![Act::Read, Act::Wait(held.clone())], answer("late")].concat()
    })
    .await;
    let with = format!(
        "{}\n[listeners.more]\naddress = \"$more\"\n",
        pool("\"$app\"")
    );
    let mut proxy = Settings::new(&with).backend("app", &app).start().await;
    let mut client = proxy.client_of("more").await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    app.has_seen(1).await;
    proxy.reload(&pool("\"$app\"")).await;
    gate.open();
    let answer = client.answer().await;
    assert_eq!(
        (answer.text().as_str(), answer.end),
        ("late", End::Complete)
    );
    proxy.finish().await;
}

#[tokio::test]
async fn a_listener_that_gets_another_name_keeps_its_connections() {
    let mut proxy = Settings::new(&respond("one")).start().await;
    let mut h1 = proxy.client().await;
    let mut h2 = proxy.h2_client().await;
    assert_eq!(h1.get("/").await.text(), "one");
    assert_eq!(h2.get("/").await.unwrap().text(), "one");
    let renamed = respond("two").replace("[listeners.web]", "[listeners.front]");
    proxy.reload(&renamed).await;
    assert_eq!(h1.get("/").await.text(), "two");
    assert_eq!(h2.get("/").await.unwrap().text(), "two");
    let line = proxy
        .logged("of the second", |l| l["listener"] == "front")
        .await;
    assert_eq!(line["status"], 200);
    proxy.finish().await;
}

#[tokio::test]
async fn counts_by_listener_go_on_when_another_comes_and_goes() {
    let mut proxy = Settings::new(&respond("one")).start().await;
    proxy.get("/").await;
    // Listeners are in the order of their names: this one moves the other.
    let early = format!(
        "{}\n[listeners.early]\naddress = \"$early\"\n",
        respond("two")
    );
    proxy.reload(&early).await;
    proxy.get("/").await;
    proxy.client_of("early").await.get("/").await;
    count(&proxy, "early", 1.0).await;
    count(&proxy, "web", 2.0).await;
    proxy.reload(&respond("three")).await;
    proxy.get("/").await;
    count(&proxy, "web", 3.0).await;
    // The series of a removed listener goes with it.
    count(&proxy, "early", 0.0).await;
    proxy.finish().await;
}

async fn count(proxy: &Proxy, listener: &str, expected: f64) {
    let labels = [("listener", listener), ("status_class", "2xx")];
    proxy
        .metric_becomes("sluicegate_requests_total", &labels, expected)
        .await;
}
