//! The UDP port of a listener with HTTP/3: it moves with the listener, and what keeps it from opening
//! is told.

use std::net::{SocketAddr, UdpSocket};

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::harness::{Gate, eventually};

use super::{
    http3::{Offer, echo, offered},
    http3_reload::{holding, is_announced_anew, without},
};

/// A listener at `ip` with the port that `$web` has.
fn at(offer: &Offer, ip: &str) -> String {
    let port = offer.proxy.address("web").port();
    offered("").replace("\"$web\"", &format!("\"{ip}:{port}\""))
}

/// Returns what the admin API has at this path.
async fn told(offer: &Offer, path: &str) -> Value {
    let json = "accept: application/json\n";
    let answer = offer.proxy.admin("GET", path, json).await;
    let body = answer.expect("an answer").body;
    serde_json::from_slice(&body).expect("JSON")
}

/// Takes a UDP port without regard to sockets of the same user that share it.
fn take_udp(at: SocketAddr) -> UdpSocket {
    let socket = Socket::new(Domain::for_address(at), Type::DGRAM, None).expect("a socket");
    socket.set_reuse_port(true).expect("the option");
    socket.bind(&at.into()).expect("the port");
    socket.into()
}

/// A request is under way at one address while the listener moves to another; new clients are served
/// by the new sockets, also where the old ones still get their datagrams.
async fn moves(from: &str, to: &str) {
    let (arrived, go) = (Gate::new(), Gate::new());
    let app = holding(&arrived, &go).await;
    let Some(mut offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    if from != "127.0.0.1" {
        offer.proxy.reload(&at(&offer, from)).await;
    }
    let mut held = offer.hold("hold").await;
    arrived.wait().await;
    offer.proxy.reload(&at(&offer, to)).await;
    let mut anew = offer.hold("keep").await;
    anew.say("/new");
    assert_eq!(anew.line().await, "200 /new", "{from} to {to}");
    go.open();
    assert_eq!(held.line().await, "200 held", "{from} to {to}");
    assert_eq!(held.line().await, "ended 0x100", "{from} to {to}");
    offer.proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listener_moves_to_a_wider_address_and_back() {
    for (from, to) in [
        ("127.0.0.1", "0.0.0.0"),
        ("127.0.0.1", "[::]"),
        ("0.0.0.0", "127.0.0.1"),
        ("[::]", "127.0.0.1"),
    ] {
        moves(from, to).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgrade_moves_a_listener_to_a_wider_address() {
    let app = echo().await;
    let Some(mut offer) =
        Offer::start(&format!("{}[proxy]\nwatch = false\n", offered("")), &app).await
    else {
        return;
    };
    let wide = at(&offer, "[::]");
    offer.proxy.replace(&wide);
    offer.proxy.upgrade().await;
    offer.proxy.log_says("listening for HTTP/3").await;
    is_announced_anew(&offer).await;
    let mut client = offer.hold("keep").await;
    client.say("/moved");
    assert_eq!(client.line().await, "200 /moved");
    offer.proxy.all_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_udp_port_in_use_is_told_as_such() {
    let app = echo().await;
    let text = offered("");
    let Some(mut offer) = Offer::start(&without(&text), &app).await else {
        return;
    };
    let address = offer.proxy.address("web");
    let _taken = UdpSocket::bind(address).expect("the port");
    offer.proxy.replace(&text);
    offer.proxy.reload_fails().await;
    let log = offer.proxy.log();
    let expected = format!("listener \"web\": UDP {address} is in use, and HTTP/3 needs it;");
    assert!(log.contains(&expected), "{log}");
    offer.proxy.finish().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_udp_port_that_another_takes_during_an_upgrade_is_told_until_it_is_free() {
    let app = echo().await;
    let Some(offer) = Offer::start(&offered(""), &app).await else {
        return;
    };
    assert_eq!(told(&offer, "/listeners").await[0]["http3_state"], "open");
    let taken = take_udp(offer.proxy.address("web"));
    offer.proxy.upgrade().await;
    assert_eq!(
        told(&offer, "/listeners").await[0]["http3_state"],
        "waiting"
    );
    let line = eventually("readiness tells it", || async {
        let ready = told(&offer, "/ready").await;
        let reasons = ready["reasons"].as_array().expect("reasons").clone();
        let mut reasons = reasons.iter().filter_map(Value::as_str);
        let line = reasons.find(|it| it.contains("HTTP/3"))?;
        Some(line.to_owned())
    });
    let line = line.await;
    assert!(
        line.starts_with("listener \"web\": HTTP/3 is off since 20"),
        "{line}"
    );
    assert!(
        line.contains("another program has taken UDP 127.0.0.1:"),
        "{line}"
    );
    let log = offer.proxy.log();
    assert_eq!(log.matches(" WARN HTTP/3 is off").count(), 1, "{log}");
    drop(taken);
    eventually("the port opens", || async {
        let listeners = told(&offer, "/listeners").await;
        (listeners[0]["http3_state"] == "open").then_some(())
    })
    .await;
    eventually("the reason goes", || async {
        let ready = told(&offer, "/ready").await;
        (!ready.to_string().contains("HTTP/3")).then_some(())
    })
    .await;
    let events = told(&offer, "/events").await;
    let events = events.as_array().expect("events");
    let states = events.iter().filter(|it| it["kind"] == "http3");
    let states: Vec<_> = states.map(|it| it["what"]["to"].clone()).collect();
    assert_eq!(states, ["waiting", "open"]);
    let mut client = offer.hold("keep").await;
    client.say("/open");
    assert_eq!(client.line().await, "200 /open");
    let requests = told(&offer, "/requests").await;
    assert_eq!(requests[0]["protocol"], "HTTP/3.0", "{requests}");
    offer.proxy.all_end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_connection_takes_no_more_requests_than_it_may() {
    let app = echo().await;
    let lines = "limits = { requests_per_connection = 3, streams = 4 }";
    let Some(offer) = Offer::start(&offered(lines), &app).await else {
        return;
    };
    // Three, and as many as a client may have sent before it was told.
    offer.run("http3_client.py", "deaf", &["3", "7"]).await;
    offer.proxy.finish().await;
}
