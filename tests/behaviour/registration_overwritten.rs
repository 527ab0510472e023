//! Entries of listeners at a Consul agent that somebody else has written, or left behind.

use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;
use tokio::time::Instant;

use crate::harness::{Backend, Consul, Settings, eventually, identity};
use crate::registration::{check, consul, disappears, registered, service, sidecar};

#[tokio::test]
async fn an_entry_that_another_has_overwritten_is_made_again_and_that_is_told() {
    let agent = Consul::start().await;
    let [app, other] = [
        Backend::start(identity("app")).await,
        Backend::start(identity("other")).await,
    ];
    for kind in ["{ ttl = \"3s\" }", "{ tcp = { interval = \"1s\" } }"] {
        let keys = format!(", id = \"one\", check = {kind}");
        let settings = Settings::new(&sidecar(&consul(&keys)))
            .backend("app", &app)
            .address("consul", agent.address());
        let mut proxy = settings.start().await;
        registered(&proxy, "registered").await;
        let at = proxy.address("web");
        agent.register("one", &other, json!({})).await;
        let taken = service(&agent, "one").await;
        assert_eq!(taken["Port"], other.address().port());
        eventually("its own address is back", || async {
            (service(&agent, "one").await["Port"] == at.port()).then_some(())
        })
        .await;
        registered(&proxy, "registered").await;
        assert_eq!(check(&agent, "one").await, "passing");
        let told = format!(
            "its id was taken by another entry: orders at {}",
            other.address()
        );
        assert!(proxy.log().contains(&told), "{}", proxy.log());
        proxy.signal(Signal::TERM);
        proxy.exited().await;
        disappears(&agent, "one").await;
    }
}

#[tokio::test]
async fn a_start_over_a_critical_entry_makes_it_pass_at_once() {
    let agent = Consul::start().await;
    let app = Backend::start(identity("app")).await;
    let keys = ", id = \"one\", check = { ttl = \"15s\" }";
    let settings = Settings::new(&sidecar(&consul(keys)))
        .backend("app", &app)
        .address("consul", agent.address());
    let mut proxy = settings.start().await;
    registered(&proxy, "registered").await;
    proxy.signal(Signal::KILL);
    proxy.exited().await;
    agent.done("/v1/agent/check/fail/service:one", "").await;
    assert_eq!(check(&agent, "one").await, "critical");
    proxy.start_again().await;
    let began = Instant::now();
    eventually("its check passes", || async {
        (check(&agent, "one").await == "passing").then_some(())
    })
    .await;
    // Long before it is told the next time.
    assert!(began.elapsed() < Duration::from_secs(3));
    proxy.finish().await;
}
