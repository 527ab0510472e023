//! Clients that come back when they are told to, and lose nothing.

use std::net::SocketAddr;

use crate::harness::{
    Act, Client, End, H2Act, H2Client, H2Fault, Kind, Seen, Traffic, h2_read, request_bytes,
    websocket,
};

/// Endpoints of the traffic, beside the pool `app`.
pub(crate) const MORE: &str = r#"
[routes.sockets]
path_prefix = "/chat"
pool = "sockets"
[pools.sockets]
endpoints = ["$sockets"]
[routes.calls]
path_prefix = "/calls"
pool = "calls"
[pools.calls]
endpoints = ["$calls"]
protocol = "h2"
"#;

pub(crate) fn start(flow: &mut Traffic, web: SocketAddr) {
    flow.add("HTTP/1.1, kept alive", 6, |kind| kept_alive(kind, web));
    flow.add("HTTP/1.1, a connection each", 2, |kind| anew(kind, web));
    flow.add("HTTP/2", 3, |kind| streams(kind, web));
    flow.add("gRPC", 3, |kind| calls(kind, web));
    flow.add("WebSockets", 3, |kind| sockets(kind, web));
}

/// An endpoint for WebSockets that sends back what comes.
pub(crate) fn socket_script(_: &Seen) -> Vec<Act> {
    let head = format!(
        "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-accept: {}\r\n\r\n",
        websocket::PROOF
    );
    vec![Act::Send(head.into()), Act::Echo]
}

/// An endpoint for gRPC that sends back what comes.
pub(crate) fn call_script(_: &Seen) -> Vec<H2Act> {
    let kind = ("content-type", "application/grpc".to_owned());
    vec![
        H2Act::Head(200, vec![kind]),
        H2Act::Echo,
        H2Act::Trailers(vec![("grpc-status", "0")]),
    ]
}

async fn connect(to: SocketAddr) -> Result<Client, String> {
    let client = Client::try_connect(to).await;
    client.map_err(|error| format!("no connection: {error}"))
}

/// One connection until an answer says that it closes.
async fn kept_alive(kind: Kind, to: SocketAddr) -> Result<(), String> {
    let mut client = connect(to).await?;
    let mut turn = 0;
    while kind.goes_on().await {
        turn += 1;
        let (method, target) = (["GET", "POST"][turn % 2], format!("/{turn}"));
        let body: &[u8] = if turn % 2 == 0 { b"" } else { b"body" };
        client.send(request_bytes(method, &target, "", body)).await;
        let answer = client.try_answer_to(method).await;
        let answer = answer.map_err(|end| format!("{end:?} at {method} {target}"))?;
        if answer.status != 200 || answer.end != End::Complete || answer.text() != target {
            return Err(format!("{answer:?}"));
        }
        kind.fine();
        if answer.field("connection") == "close" {
            client = connect(to).await?;
        }
    }
    Ok(())
}

async fn anew(kind: Kind, to: SocketAddr) -> Result<(), String> {
    while kind.goes_on().await {
        let mut client = connect(to).await?;
        client.send(request_bytes("GET", "/anew", "", b"")).await;
        let answer = client.try_answer_to("GET").await;
        let answer = answer.map_err(|end| format!("{end:?} on a new connection"))?;
        if answer.status != 200 || answer.text() != "/anew" {
            return Err(format!("{answer:?}"));
        }
        kind.fine();
    }
    Ok(())
}

/// Opens a stream; a connection that takes no more of them is followed by another.
macro_rules! open {
    ($client:ident, $to:expr, $method:expr, $target:expr, $fields:expr, $end:expr) => {
        match $client.open($method, $target, $fields, $end).await {
            Ok(opened) => opened,
            Err(H2Fault::Gone(_)) => {
                $client = H2Client::connect($to).await;
                let opened = $client.open($method, $target, $fields, $end).await;
                opened.map_err(|fault| format!("{fault:?} on a new connection"))?
            }
            Err(fault) => return Err(format!("{fault:?} at a new stream")),
        }
    };
}

async fn streams(kind: Kind, to: SocketAddr) -> Result<(), String> {
    let mut client = H2Client::connect(to).await;
    while kind.goes_on().await {
        let mut answers = Vec::new();
        for n in 0..4 {
            let target = format!("/{n}");
            let (response, _) = open!(client, to, "GET", &target, &[], true);
            answers.push((target, response));
        }
        for (target, response) in answers {
            let answer = h2_read(response).await;
            let answer = answer.map_err(|fault| format!("{fault:?} at {target}"))?;
            if answer.status != 200 || answer.end != End::Complete || answer.text() != target {
                return Err(format!("{answer:?}"));
            }
        }
        kind.fine();
    }
    Ok(())
}

async fn calls(kind: Kind, to: SocketAddr) -> Result<(), String> {
    let fields = [("content-type", "application/grpc"), ("te", "trailers")];
    let message = b"\0\0\0\0\x02hi";
    let mut client = H2Client::connect(to).await;
    while kind.goes_on().await {
        let (response, mut stream) = open!(client, to, "POST", "/calls/Unary", &fields, false);
        let sent = stream.send_data(message[..].into(), true);
        sent.map_err(|error| format!("{error} at a call"))?;
        let answer = h2_read(response).await;
        let answer = answer.map_err(|fault| format!("{fault:?} at a call"))?;
        let status = answer.trailers.get("grpc-status");
        if answer.body != message || status != Some("0") || answer.end != End::Complete {
            return Err(format!("{answer:?}"));
        }
        kind.fine();
    }
    Ok(())
}

/// A WebSocket, until the proxy says that it goes away.
async fn sockets(kind: Kind, to: SocketAddr) -> Result<(), String> {
    while kind.goes_on().await {
        let mut client = connect(to).await?;
        client.send(websocket::ASK).await;
        let (status, _) = client.head().await;
        if status != 101 {
            return Err(format!("{status} in place of a WebSocket"));
        }
        while kind.goes_on().await {
            let frame = [&[0x81, 0x80 | 4, 0, 0, 0, 0][..], b"echo"].concat();
            client.send(&frame).await;
            let start = client.bytes(4).await;
            let start = start.map_err(|end| format!("cut off: {end:?}"))?;
            if start == websocket::GOING_AWAY {
                break;
            }
            let rest = client.bytes(frame.len() - 4).await;
            let rest = rest.map_err(|end| format!("cut off: {end:?}"))?;
            if [start, rest].concat() != frame {
                return Err("not what was sent".to_owned());
            }
            kind.fine();
        }
    }
    Ok(())
}
