//! HTTP/3 over the life of a listener: it is announced, comes and goes with reloads, drains, and uses
//! renewed certificates.

use rustix::process::Signal;

use crate::harness::{Act, Backend, Client, Gate, Peer, Seen, Tunnel, answer, eventually};

use super::http3::{Offer, echo, offered};

/// Returns `Alt-Svc` of an answer over HTTP/1.1.
async fn announced(offer: &Offer, path: &str) -> String {
    announced_if(offer, path).await.expect("Alt-Svc")
}

/// The same, if the answer has it.
pub(super) async fn announced_if(offer: &Offer, path: &str) -> Option<String> {
    let config = offer.authority.client(None, &["http/1.1"]);
    let tunnel = Tunnel::to_tls(offer.proxy.address("web"), config, "shop.example").await;
    let mut client = Client::connect(tunnel.address()).await;
    let answer = client.get(path).await;
    let fields = answer.fields.all("alt-svc");
    assert!(fields.len() < 2, "{answer:?}");
    fields.first().map(|&it| it.to_owned())
}

/// Waits until the process that has taken over announces HTTP/3.
pub(super) async fn is_announced_anew(offer: &Offer) {
    eventually("the new process announces HTTP/3", || async {
        announced_if(offer, "/")
            .await
            .filter(|it| it.starts_with("h3="))
    })
    .await;
}

pub(super) fn without(text: &str) -> String {
    text.replace(r#", "h3"]"#, "]")
}

#[tokio::test(flavor = "multi_thread")]
async fn other_protocols_announce_it_and_reloads_add_and_remove_it() {
    let app = echo().await;
    let text = offered("");
    let Some(mut offer) = Offer::start(&without(&text), &app).await else {
        return;
    };
    offer.run("http3_client.py", "refused", &[]).await;
    offer.proxy.reload(&text).await;
    let port = offer.proxy.address("web").port();
    let expected = format!("h3=\":{port}\"; ma=86400");
    assert_eq!(announced(&offer, "/").await, expected);
    let mut kept = offer.hold("keep").await;
    kept.say("/one");
    assert_eq!(kept.line().await, "200 /one");
    // A reload that has nothing to do with it leaves connections alone.
    offer
        .proxy
        .reload(&format!(
            "{text}\n[routes.more]\npath = \"/more\"\npool = \"app\""
        ))
        .await;
    kept.say("/two");
    assert_eq!(kept.line().await, "200 /two");
    offer.proxy.reload(&without(&text)).await;
    assert_eq!(announced(&offer, "/").await, "clear");
    offer.run("http3_client.py", "refused", &[]).await;
    // While the old connection may still be there.
    offer.proxy.reload(&text).await;
    assert_eq!(announced(&offer, "/").await, expected);
    let mut anew = offer.hold("keep").await;
    anew.say("/three");
    assert_eq!(anew.line().await, "200 /three");
    drop((kept, anew));
    offer.proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_announcement_of_the_endpoint_is_not_doubled() {
    let app = Backend::start(|seen: &Seen| {
        let head = "HTTP/1.1 200 OK\r\nalt-svc: h3=\":9\"\r\ncontent-length: 0\r\n\r\n";
        let _ = seen;
        vec![Act::Send(head.as_bytes().to_vec())]
    })
    .await;
    let Some(offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    assert_eq!(announced(&offer, "/").await, "h3=\":9\"");
    offer.proxy.finish().await;
}

/// An endpoint that answers `/held` once the gate is open.
pub(super) async fn holding(arrived: &Gate, go: &Gate) -> Backend {
    let (arrived, go) = (arrived.clone(), go.clone());
    Backend::start(move |seen: &Seen| match seen.target.as_str() {
        "/held" => {
            arrived.open();
            [vec![Act::Wait(go.clone())], answer("held")].concat()
        }
        target => answer(target),
    })
    .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_listener_finishes_its_exchanges_and_says_goodbye() {
    let (arrived, go) = (Gate::new(), Gate::new());
    let app = holding(&arrived, &go).await;
    let text = offered("");
    let Some(mut offer) = Offer::start(&text, &app).await else {
        return;
    };
    let mut held = offer.hold("hold").await;
    arrived.wait().await;
    offer.proxy.reload(&without(&text)).await;
    go.open();
    assert_eq!(held.line().await, "200 held");
    assert_eq!(held.line().await, "ended 0x100");
    offer.proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_finishes_exchanges_and_says_goodbye() {
    let (arrived, go) = (Gate::new(), Gate::new());
    let app = holding(&arrived, &go).await;
    let Some(mut offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    let mut held = offer.hold("hold").await;
    arrived.wait().await;
    offer.proxy.signal(Signal::TERM);
    offer.proxy.log_says("draining").await;
    go.open();
    assert_eq!(held.line().await, "200 held");
    assert_eq!(held.line().await, "ended 0x100");
    assert!(offer.proxy.exited().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_withdraws_an_announcement_of_another_port() {
    let (arrived, go) = (Gate::new(), Gate::new());
    let app = holding(&arrived, &go).await;
    let mapped = r#"pool = "app"
        headers_response = { set = { alt-svc = "h3=\":443\"; ma=86400" } }"#;
    let text = offered("").replace(r#"pool = "app""#, mapped);
    let Some(mut offer) = Offer::start(&text, &app).await else {
        return;
    };
    assert_eq!(announced(&offer, "/").await, "h3=\":443\"; ma=86400");
    let config = offer.authority.client(None, &["http/1.1"]);
    let tunnel = Tunnel::to_tls(offer.proxy.address("web"), config, "shop.example").await;
    let mut client = Client::connect(tunnel.address()).await;
    client.send("GET /held HTTP/1.1\r\nhost: a\r\n\r\n").await;
    arrived.wait().await;
    offer.proxy.signal(Signal::TERM);
    offer.proxy.log_says("draining").await;
    go.open();
    let answer = client.answer().await;
    assert_eq!(answer.fields.all("alt-svc"), ["clear"]);
    assert!(offer.proxy.exited().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn idle_connections_and_old_ones_are_closed_in_order() {
    let app = echo().await;
    for timeouts in [
        r#"timeouts = { idle = "300ms" }"#,
        r#"timeouts = { lifetime = "500ms" }"#,
        "limits = { requests_per_connection = 1 }",
    ] {
        let Some(offer) = Offer::start(&offered(timeouts), &app).await else {
            return;
        };
        let mut held = offer.hold("hold").await;
        assert_eq!(held.line().await, "200 /held", "{timeouts}");
        assert_eq!(held.line().await, "ended 0x100", "{timeouts}");
        offer.proxy.finish().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn renewed_certificates_are_used_by_new_connections() {
    let app = echo().await;
    let Some(offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    let mut kept = offer.hold("keep").await;
    let renewed = offer.authority.issue("shop", &["shop.example"]);
    renewed.write(offer.proxy.folder(), "a");
    let serial = renewed.serial();
    let seen = eventually("the renewed certificate", || async {
        let arguments = offer.arguments("serial", &[]);
        let mut peer = Peer::start(&offer.packages, "http3_client.py", &arguments).await;
        let line = peer.line().await;
        (line == serial).then_some(line)
    });
    assert_eq!(seen.await, serial);
    kept.say("/still");
    assert_eq!(kept.line().await, "200 /still");
    drop(kept);
    offer.proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_finishes_exchanges_and_the_new_process_goes_on_with_http3() {
    let (arrived, go) = (Gate::new(), Gate::new());
    let app = holding(&arrived, &go).await;
    let Some(offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    let mut held = offer.hold("hold").await;
    arrived.wait().await;
    offer.proxy.upgrade().await;
    go.open();
    assert_eq!(held.line().await, "200 held");
    assert_eq!(held.line().await, "ended 0x100");
    is_announced_anew(&offer).await;
    let mut anew = offer.hold("keep").await;
    anew.say("/after");
    assert_eq!(anew.line().await, "200 /after");
    // One that has vanished would be waited for, for as long as its silence may last.
    offer.proxy.all_end().await;
    drop(anew);
}
