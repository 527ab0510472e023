//! Endpoints given by name: several addresses, slow and failing resolvers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::process::Signal;
use tokio::task::JoinSet;

use crate::harness::{Backend, Client, Dns, Proxy, Settings, Silent, apart, eventually, identity};

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// One pool for each name, all at the backend's port.
fn pools(backend: &Backend, names: &[&str], more: &str) -> Settings {
    let port = backend.address().port();
    let mut text = String::from("[proxy]\nworkers = 1\n[listeners.web]\naddress = \"$web\"\n");
    for name in names {
        text += &format!(
            "[routes.{name}]\npath_prefix = \"/{name}\"\npool = \"{name}\"\n\
             [pools.{name}]\nendpoints = [\"{name}.test:{port}\"]\n{more}\n"
        );
    }
    Settings::new(&text).backend("unused", backend)
}

async fn status(proxy: &Proxy, target: &str) -> u16 {
    proxy.get(target).await.status
}

#[tokio::test]
async fn a_silent_first_address_costs_no_request() {
    if !apart("names::a_silent_first_address_costs_no_request").await {
        return;
    }
    let dns = Dns::start().await;
    let backend = Backend::start(identity("app")).await;
    let port = backend.address().port();
    let first = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let _silent = Silent::at(SocketAddr::new(first, port));
    dns.know("both.test", &[first, HERE]);
    let checks = "health = { tcp = {}, interval = \"600ms\", timeout = \"600ms\" }";
    let proxy = pools(&backend, &["both"], checks).start().await;
    for _ in 0..5 {
        assert_eq!(status(&proxy, "/both").await, 200);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_name_that_resolves_slowly_takes_no_other_down_and_does_not_hold_the_end() {
    let test = "names::a_name_that_resolves_slowly_takes_no_other_down_and_does_not_hold_the_end";
    if !apart(test).await {
        return;
    }
    let dns = Dns::start().await;
    let backend = Backend::start(identity("app")).await;
    dns.know("quick.test", &[HERE]);
    let text = "timeouts = { connect = \"300ms\" }";
    let mut proxy = pools(&backend, &["slow", "quick"], text).start().await;
    // More than threads that any runtime starts for work that blocks.
    let mut clients = JoinSet::new();
    for _ in 0..600 {
        let address = proxy.address("web");
        clients.spawn(async move {
            let mut client = Client::connect(address).await;
            client.get("/slow").await.status
        });
    }
    for status in clients.join_all().await {
        assert_eq!(status, 504);
    }
    assert_eq!(status(&proxy, "/quick").await, 200);
    assert_eq!(dns.asked("slow.test"), 1, "one look-up at a time");
    proxy.signal(Signal::TERM);
    proxy.exited().await;
}

#[tokio::test]
async fn an_old_answer_serves_while_the_resolver_is_silent() {
    if !apart("names::an_old_answer_serves_while_the_resolver_is_silent").await {
        return;
    }
    let dns = Dns::start().await;
    let backend = Backend::start(identity("app")).await;
    dns.know("app.test", &[HERE]);
    let text = "timeouts = { connect = \"1s\", idle = \"10ms\" }";
    let proxy = pools(&backend, &["app"], text).start().await;
    assert_eq!(status(&proxy, "/app").await, 200);
    let before = dns.asked("app.test");
    dns.forget("app.test");
    // Until the answer has aged, and the resolver has been asked in vain.
    eventually("it is asked again", || async {
        assert_eq!(status(&proxy, "/app").await, 200);
        (dns.asked("app.test") > before).then_some(())
    })
    .await;
    for _ in 0..5 {
        assert_eq!(status(&proxy, "/app").await, 200);
    }
    proxy.finish().await;
}

#[tokio::test]
async fn a_name_that_moves_is_followed() {
    if !apart("names::a_name_that_moves_is_followed").await {
        return;
    }
    let dns = Dns::start().await;
    let backend = Backend::start(identity("app")).await;
    // Where nobody listens.
    dns.know("app.test", &[IpAddr::V4(Ipv4Addr::new(127, 0, 0, 77))]);
    let proxy = pools(&backend, &["app"], "ejection = false").start().await;
    assert_eq!(status(&proxy, "/app").await, 502);
    dns.know("app.test", &[HERE]);
    eventually("the new address is used", || async {
        (status(&proxy, "/app").await == 200).then_some(())
    })
    .await;
    proxy.finish().await;
}
