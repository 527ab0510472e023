//! A client that breaks a rule of HTTP/2 is told which, on the stream or on the connection, as
//! the rule says (RFC 9113 sections 4 to 8); what is only odd is borne.

mod compression;
mod connections;
mod noise;
mod odd;
mod streams;
mod told;
mod turns;
mod windows;

use std::time::Duration;

use crate::harness::{Act, Backend, Gate, Proxy, Settings, answer, h2_frames};
use h2_frames::{
    END_HEADERS, END_STREAM, Frames, GOAWAY, HEADERS, WINDOW_UPDATE, get_block, literal,
};

const ALL: &str = r#"
    [listeners.web]
    address = "$web"
    limits = { streams = 20 }
    [routes.all]
    pool = "app"
    [pools.app]
    endpoints = ["$app"]
"#;

const PROTOCOL_ERROR: u32 = 1;
const FLOW_CONTROL_ERROR: u32 = 3;
const STREAM_CLOSED: u32 = 5;
const FRAME_SIZE_ERROR: u32 = 6;
const REFUSED_STREAM: u32 = 7;
const COMPRESSION_ERROR: u32 = 9;

const PADDED: u8 = 8;
const WITH_PRIORITY: u8 = 0x20;
const WHOLE: u8 = END_HEADERS | END_STREAM;

/// Kind, flags, stream, payload.
type Sent = (u8, u8, u32, Vec<u8>);
/// The violation, the frames that commit it, and the reason sent to the client.
type Case = (&'static str, Vec<Sent>, u32);

/// An endpoint that answers, to `/wait` when the gate is opened.
async fn started() -> (Proxy, Backend, Gate) {
    let gate = Gate::new();
    let held = gate.clone();
    let app = Backend::start(move |seen| match seen.target.as_str() {
        "/wait" => [vec![Act::Wait(held.clone())], answer("late")].concat(),
        _ => answer("app"),
    })
    .await;
    let proxy = Settings::new(ALL).backend("app", &app).start().await;
    (proxy, app, gate)
}

fn one(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<Sent> {
    vec![(kind, flags, stream, payload.to_vec())]
}

fn get(stream: u32, target: &str) -> Sent {
    (HEADERS, WHOLE, stream, get_block(target))
}

fn post(stream: u32, target: &str) -> Sent {
    let mut block = get_block(target);
    block[0] = 0x83;
    (HEADERS, END_HEADERS, stream, block)
}

/// A field block of `name value` between bars; dots stand for the head of a usual GET.
fn block(fields: &str) -> Vec<u8> {
    let usual = ":method GET|:scheme http|:path /|:authority shop.example";
    let fields = fields.replace("...", usual);
    let fields = fields.split('|').map(|field| {
        let (name, value) = field.split_once(' ').expect("a name and a value");
        literal(name, value)
    });
    fields.flatten().collect()
}

fn window(stream: u32, by: u32) -> Sent {
    (WINDOW_UPDATE, 0, stream, by.to_be_bytes().to_vec())
}

fn setting(name: u16, value: u32) -> Vec<u8> {
    [&name.to_be_bytes()[..], &value.to_be_bytes()].concat()
}

async fn send(frames: &mut Frames, sent: &[Sent]) {
    for (kind, flags, stream, payload) in sent {
        frames.send(*kind, *flags, *stream, payload).await;
    }
}

/// The reason of the GOAWAY with which the connection ends.
async fn end_of(frames: &mut Frames) -> u32 {
    let end = frames.next_of(GOAWAY).await.expect("a GOAWAY");
    let over = async { while frames.next().await.is_some() {} };
    let over = tokio::time::timeout(Duration::from_secs(10), over).await;
    assert!(over.is_ok(), "the connection ends behind its GOAWAY");
    end.number(4)
}
