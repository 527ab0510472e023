//! Name servers that fail, lie, are late or silent.

use crate::discovery::{Load, addresses, becomes, pool};
use crate::discovery_dns::{service, services, text};
use crate::harness::{Backend, Bind, DnsRelay, Settings, Via, eventually, identity};

#[tokio::test]
async fn failing_and_lying_name_servers_change_nothing() {
    let [one, two] = [
        Backend::start(identity("one")).await,
        Backend::start(identity("two")).await,
    ];
    let mut bind = Bind::start(&format!(
        "{}\n{}\na A 127.0.0.1",
        service("0 1", &one, "a"),
        service("0 1", &two, "a"),
    ))
    .await;
    let relay = DnsRelay::start(bind.address(), Via::Forged).await;
    let settings = Settings::new(&text(&services(&[relay.address()]), ""))
        .backend("one", &one)
        .backend("two", &two);
    let proxy = settings.start().await;
    becomes(&proxy, &[&one, &two]).await;
    let load = Load::start(&proxy, 2).await;
    for (via, told) in [
        (Via::Swallow, "is silent"),
        (Via::Nonsense, "answers nonsense"),
        (Via::Code(2), "answers SERVFAIL"),
        (Via::Code(5), "answers REFUSED"),
        (Via::Code(3), "the name does not exist"),
    ] {
        relay.now(via);
        let error = eventually(format!("{via:?} is told"), || async {
            let pool = pool(&proxy).await;
            let error = pool["discovery"]["error"].as_str()?.to_owned();
            error.contains(told).then_some(error)
        })
        .await;
        assert!(error.contains("_http._tcp.orders.test"), "{error}");
        load.goes_on(50).await;
        assert_eq!(addresses(&proxy).await.len(), 2, "{via:?}");
        relay.now(Via::Pass);
        eventually("the error is over", || async {
            pool(&proxy).await["discovery"]["error"]
                .is_null()
                .then_some(())
        })
        .await;
    }
    // The server dies and returns, and then has fewer.
    bind.kill();
    eventually("it is told", || async {
        (!pool(&proxy).await["discovery"]["error"].is_null()).then_some(())
    })
    .await;
    load.goes_on(50).await;
    bind.run().await;
    bind.change(&format!(
        "delete {}",
        service("0 1", &two, "a").replace(" 1 SRV", " SRV")
    ))
    .await;
    becomes(&proxy, &[&one]).await;
    load.end().await;
    proxy.finish().await;
}

#[tokio::test]
async fn the_next_server_is_asked_when_one_is_silent_or_fails() {
    let one = Backend::start(identity("one")).await;
    let bind = Bind::start(&format!("{}\na A 127.0.0.1", service("0 1", &one, "a"))).await;
    let silent = DnsRelay::start(bind.address(), Via::Swallow).await;
    let failing = DnsRelay::start(bind.address(), Via::Code(2)).await;
    let working = DnsRelay::start(bind.address(), Via::TcpOnly).await;
    let servers = [silent.address(), failing.address(), working.address()];
    let settings = Settings::new(&text(&services(&servers), ""));
    let proxy = settings.backend("one", &one).start().await;
    becomes(&proxy, &[&one]).await;
    assert_eq!(proxy.get("/").await.status, 200);
    // The one that answered dies, and another has recovered.
    working.now(Via::Swallow);
    silent.now(Via::Pass);
    let two = Backend::start(identity("two")).await;
    bind.change(&format!("add {}", service("0 1", &two, "a")))
        .await;
    becomes(&proxy, &[&one, &two]).await;
    proxy.finish().await;
}

#[tokio::test]
async fn a_start_and_a_reload_wait_for_the_first_list_of_a_new_pool() {
    let one = Backend::start(identity("one")).await;
    let bind = Bind::start(&format!("{}\na A 127.0.0.1", service("0 1", &one, "a"))).await;
    let relay = DnsRelay::start(bind.address(), Via::Late).await;
    let first = text(&services(&[relay.address()]), "");
    let settings = Settings::new(&first).backend("one", &one);
    let mut proxy = settings.start().await;
    assert_eq!(proxy.get("/").await.status, 200, "the first request");
    let more = format!(
        "{first}\n[routes.more]\npath_prefix = \"/more\"\npool = \"more\"\n\
         [pools.more]\ndiscover = {{ dns = {{ {} }} }}\n",
        services(&[relay.address()])
    );
    proxy.replace(&more);
    // The route of before takes it, until the new one does.
    while proxy.generation().await < 2.0 {
        assert_eq!(proxy.get("/more").await.status, 200);
    }
    assert_eq!(proxy.get("/more").await.status, 200);
    // Nobody answers: the start is held for a time only.
    relay.now(Via::Swallow);
    let settings = Settings::new(&text(&services(&[relay.address()]), ""));
    let other = settings.start().await;
    let refused = other.get("/").await;
    refused.assert_failure(503, "destination_unavailable");
    other.finish().await;
    proxy.finish().await;
}
