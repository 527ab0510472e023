//! Endpoints that a name in DNS has, at real name servers.

use std::fs;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use crate::discovery::{Load, addresses, at, becomes, pool};
use crate::harness::{
    Authority, Backend, Bind, Dns, Dnsmasq, Proxy, Settings, Tunnel, apart, eventually, identity,
};

/// A pool with the endpoints of a name.
pub(crate) fn text(dns: &str, more: &str) -> String {
    format!(
        r#"
        [proxy]
        workers = 2
        [listeners.web]
        address = "$web"
        [routes.all]
        pool = "app"
        [pools.app]
        discover = {{ dns = {{ {dns} }}, hold_mass_removal = "0s" }}
        {more}
        "#
    )
}

#[tokio::test]
async fn the_addresses_of_a_name_are_endpoints_and_are_followed_under_load() {
    let one = Backend::start(identity("one")).await;
    let two = one.start_beside(2, identity("two")).await;
    let three = one.start_beside(3, identity("three")).await;
    let dns = Dnsmasq::start("127.0.0.1 app.test\n127.0.0.2 app.test").await;
    let port = one.address().port();
    let server = dns.address();
    let source = format!(r#"name = "app.test", port = {port}, resolvers = ["{server}"]"#);
    let settings = Settings::new(&text(&source, ""))
        .backend("one", &one)
        .backend("two", &two)
        .backend("three", &three);
    let proxy = settings.start().await;
    becomes(&proxy, &[&one, &two]).await;
    let load = Load::start(&proxy, 4).await;
    load.goes_on(100).await;
    assert!(one.count() > 20 && two.count() > 20, "balanced");
    dns.change("127.0.0.2 app.test\n127.0.0.3 app.test");
    becomes(&proxy, &[&two, &three]).await;
    let left = one.count();
    load.goes_on(100).await;
    assert_eq!(one.count(), left);
    assert!(three.count() > 20);
    load.end().await;
    let told = pool(&proxy).await;
    assert_eq!(told["discovery"]["source"], "dns", "{told}");
    assert_eq!(told["discovery"]["from"], "app.test", "{told}");
    assert_eq!(addresses(&proxy).await.len(), 2);
    proxy.finish().await;
}

#[tokio::test]
async fn a_name_that_comes_to_exist_is_used_then() {
    let one = Backend::start(identity("one")).await;
    let dns = Dnsmasq::start("").await;
    let port = one.address().port();
    let server = dns.address();
    let source = format!(r#"name = "app.test", port = {port}, resolvers = ["{server}"]"#);
    let proxy = Settings::new(&text(&source, ""))
        .backend("one", &one)
        .start()
        .await;
    proxy.log_says("app.test: the name does not exist").await;
    proxy
        .get("/")
        .await
        .assert_failure(503, "destination_unavailable");
    dns.change("127.0.0.1 app.test");
    becomes(&proxy, &[&one]).await;
    eventually("it is used", || async {
        (proxy.get("/").await.status == 200).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_family_of_addresses_that_a_name_gets_later_is_used_then() {
    let one = Backend::start(identity("one")).await;
    // It says that there is no IPv6 address, and not for how long that holds.
    let dns = Dnsmasq::start("127.0.0.1 app.test").await;
    let port = one.address().port();
    let server = dns.address();
    let source = format!(r#"name = "app.test", port = {port}, resolvers = ["{server}"]"#);
    let settings = Settings::new(&text(&source, "")).backend("one", &one);
    let proxy = settings.start().await;
    becomes(&proxy, &[&one]).await;
    dns.change("127.0.0.1 app.test\n::1 app.test");
    eventually("both families", || async {
        (addresses(&proxy).await.len() == 2).then_some(())
    })
    .await;
    proxy.finish().await;
}

/// The source that asks these servers for the services of the zone.
pub(crate) fn services(servers: &[SocketAddr]) -> String {
    let servers: Vec<String> = servers.iter().map(|it| format!("\"{it}\"")).collect();
    format!(
        r#"name = "_http._tcp.orders.test", type = "srv", resolvers = [{}]"#,
        servers.join(", ")
    )
}

/// A record of one service in the zone.
pub(crate) fn service(rank: &str, backend: &Backend, target: &str) -> String {
    let port = backend.address().port();
    format!("_http._tcp.orders.test. 1 SRV {rank} {port} {target}.orders.test.")
}

/// The view of an endpoint in its pool.
async fn told(proxy: &Proxy, backend: &Backend) -> Value {
    let pool = pool(proxy).await;
    let endpoints = pool["endpoints"].as_array().unwrap();
    let mut endpoints = endpoints.iter();
    let found = endpoints.find(|it| it["address"] == at(backend));
    found.cloned().unwrap_or_default()
}

/// Waits until the pool says this of an endpoint.
async fn becomes_known(proxy: &Proxy, backend: &Backend, key: &str, value: Value) {
    eventually(format!("{key} is {value}"), || async {
        (told(proxy, backend).await[key] == value).then_some(())
    })
    .await;
}

#[tokio::test]
async fn services_come_change_and_leave_with_weight_priority_and_version() {
    let [one, two, spare] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
        Backend::start(identity("spare")).await,
    ];
    let bind = Bind::start(&format!(
        "{}\n{}\na A 127.0.0.1\nb A 127.0.0.1\n_http._tcp TXT \"version=1.0.0\"",
        service("10 3", &one, "a"),
        service("20 0", &spare, "b"),
    ))
    .await;
    let settings = Settings::new(&text(&services(&[bind.address()]), ""))
        .backend("one", &one)
        .backend("two", &two)
        .backend("spare", &spare);
    let proxy = settings.start().await;
    becomes(&proxy, &[&one, &spare]).await;
    let first = told(&proxy, &one).await;
    assert_eq!(first["weight"], 3, "{first}");
    assert_eq!(first["priority"], 10, "{first}");
    assert_eq!(first["version"], "1.0.0", "{first}");
    assert_eq!(told(&proxy, &spare).await["weight"], 1);
    let load = Load::start(&proxy, 4).await;
    load.goes_on(100).await;
    assert_eq!(spare.count(), 0, "a lower number goes first");
    // One more, with a version of its own.
    bind.change(&format!(
        "add {}\nadd c.orders.test. 1 A 127.0.0.1\nadd c.orders.test. 1 TXT \"version=2.0.0\"",
        service("10 1", &two, "c"),
    ))
    .await;
    becomes(&proxy, &[&one, &two, &spare]).await;
    assert_eq!(told(&proxy, &two).await["version"], "2.0.0");
    let (ones, twos) = (one.count(), two.count());
    load.goes_on(400).await;
    let (ones, twos) = (one.count() - ones, two.count() - twos);
    assert!(2 * twos < ones && ones < 4 * twos, "{ones} to {twos}");
    // Another weight, another version.
    bind.change(&format!(
        "delete {}\nadd {}\ndelete _http._tcp.orders.test. TXT\n\
         add _http._tcp.orders.test. 1 TXT \"version=1.1.0\"",
        service("10 3", &one, "a").replace(" 1 SRV", " SRV"),
        service("10 1", &one, "a"),
    ))
    .await;
    becomes_known(&proxy, &one, "weight", 1.into()).await;
    becomes_known(&proxy, &one, "version", "1.1.0".into()).await;
    // The preferred ones leave: the spare serves.
    bind.change(&format!(
        "delete {}\ndelete {}",
        service("10 1", &one, "a").replace(" 1 SRV", " SRV"),
        service("10 1", &two, "c").replace(" 1 SRV", " SRV"),
    ))
    .await;
    becomes(&proxy, &[&spare]).await;
    load.goes_on(100).await;
    assert!(spare.count() > 50);
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn an_answer_too_large_for_udp_is_taken_whole() {
    let one = Backend::start(identity("one")).await;
    let mut records = String::new();
    for number in 0..2000 {
        let (third, fourth) = (number / 250, number % 250 + 1);
        records += &format!("many A 127.7.{third}.{fourth}\n");
    }
    let bind = Bind::start(&records).await;
    let port = one.address().port();
    let source = format!(
        r#"name = "many.orders.test", port = {port}, resolvers = ["{}"]"#,
        bind.address()
    );
    let proxy = Settings::new(&text(&source, ""))
        .backend("one", &one)
        .start()
        .await;
    eventually("all are there", || async {
        (addresses(&proxy).await.len() == 2000).then_some(())
    })
    .await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_changed_address_is_used_within_its_time_to_live_and_a_second() {
    let one = Backend::start(identity("one")).await;
    let two = one.start_beside(2, identity("two")).await;
    let bind = Bind::start("app 2 CNAME node\nnode 2 A 127.0.0.1").await;
    let port = one.address().port();
    let source = format!(
        r#"name = "App.Orders.Test.", port = {port}, resolvers = ["{}"]"#,
        bind.address()
    );
    let settings = Settings::new(&text(&source, ""));
    let proxy = settings
        .backend("one", &one)
        .backend("two", &two)
        .start()
        .await;
    becomes(&proxy, &[&one]).await;
    bind.change("delete node.orders.test. A\nadd node.orders.test. 2 A 127.0.0.2")
        .await;
    let changed = Instant::now();
    becomes(&proxy, &[&two]).await;
    let took = changed.elapsed();
    assert!(took < Duration::from_secs(3), "{took:?}");
    // A time to live of 0 is looked up every `ttl.min`.
    bind.change("delete node.orders.test. A\nadd node.orders.test. 0 A 127.0.0.1")
        .await;
    becomes(&proxy, &[&one]).await;
    proxy.finish().await;
}

#[tokio::test]
async fn endpoints_leave_when_the_name_has_been_gone_for_hold() {
    let one = Backend::start(identity("one")).await;
    let bind = Bind::start("app A 127.0.0.1").await;
    let port = one.address().port();
    let source = format!(
        r#"name = "app.orders.test", port = {port}, resolvers = ["{}"], hold = "3s""#,
        bind.address()
    );
    let proxy = Settings::new(&text(&source, ""))
        .backend("one", &one)
        .start()
        .await;
    becomes(&proxy, &[&one]).await;
    bind.change("delete app.orders.test. A").await;
    proxy
        .log_says("app.orders.test: the name does not exist")
        .await;
    assert_eq!(proxy.get("/").await.status, 200);
    becomes(&proxy, &[]).await;
    bind.change("add app.orders.test. 1 A 127.0.0.1").await;
    becomes(&proxy, &[&one]).await;
    proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_the_name_of_the_target_is_verified_and_checks_send_it() {
    let app = Backend::start(identity("app")).await;
    let authority = Authority::new("test authority");
    let issued = authority.issue("app", &["node.orders.test"]);
    let front = Tunnel::from_tls(app.address(), issued.server(&[])).await;
    let port = front.address().port();
    let bind = Bind::start(&format!("_http._tcp SRV 0 1 {port} node\nnode A 127.0.0.1")).await;
    let more = "tls = { ca = \"ca.pem\" }\nhealth = { http = { path = \"/check\" } }";
    let settings = Settings::new(&text(&services(&[bind.address()]), more));
    authority.write(settings.folder(), "ca.pem");
    let proxy = settings.start().await;
    eventually("the endpoint is used", || async {
        (proxy.get("/").await.status == 200).then_some(())
    })
    .await;
    let seen = app.seen();
    let check = seen
        .iter()
        .find(|it| it.target == "/check")
        .expect("a check");
    assert_eq!(check.field("host"), format!("node.orders.test:{port}"));
    proxy.finish().await;
}

#[tokio::test]
async fn without_servers_those_of_the_system_are_asked_with_its_search_domains() {
    let test =
        "discovery_dns::without_servers_those_of_the_system_are_asked_with_its_search_domains";
    if !apart(test).await {
        return;
    }
    let system = |domain: &str| {
        let text = format!("nameserver 127.0.0.1\nsearch none.test {domain}\n");
        fs::write("/etc/resolv.conf", text).unwrap();
    };
    let dns = Dns::start().await;
    let one = Backend::start(identity("one")).await;
    let two = one.start_beside(2, identity("two")).await;
    for (name, addresses) in [
        ("app.none.test", &[][..]),
        ("app.one.test", &[one.address().ip()]),
        ("app.two.test", &[two.address().ip()]),
    ] {
        dns.know(name, addresses);
    }
    system("one.test");
    let source = format!(r#"name = "app", port = {}"#, one.address().port());
    let settings = Settings::new(&text(&source, ""));
    let proxy = settings
        .backend("one", &one)
        .backend("two", &two)
        .start()
        .await;
    becomes(&proxy, &[&one]).await;
    system("two.test");
    becomes(&proxy, &[&two]).await;
    proxy.finish().await;
}
