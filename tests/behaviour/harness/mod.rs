//! What the behaviour tests stand on: the real binary, upstream servers that
//! misbehave on demand, clients that see every byte.

mod backend;
mod certificate;
mod client;
mod command;
mod eventually;
mod exposition;
mod grpc_web;
mod h2_backend;
mod h2_client;
pub(crate) mod h2_frames;
mod invariant;
mod load;
mod look;
mod message;
mod ocsp;
mod peer;
mod port;
mod proxy;
mod tunnel;
pub(crate) mod websocket;
mod wire;

pub(crate) use backend::{Act, Backend, answer, answer_bytes, identity};
pub(crate) use certificate::{Authority, Issued};
pub(crate) use client::{Answer, Client};
pub(crate) use command::command;
pub(crate) use eventually::{Gate, eventually};
pub(crate) use exposition::Exposition;
pub(crate) use grpc_web::{WebCall, from_base64, message, to_base64};
pub(crate) use h2_backend::{H2Act, H2Backend, h2_answer};
pub(crate) use h2_client::{H2Client, H2Fault, answer as h2_read};
pub(crate) use load::Load;
pub(crate) use look::look;
pub(crate) use message::Seen;
pub(crate) use ocsp::{Says, ocsp_response};
pub(crate) use peer::{Peer, bounded, node_packages, packages, run_node_peer, run_peer};
pub(crate) use port::Port;
pub(crate) use proxy::{Proxy, Settings};
pub(crate) use tunnel::{Tunnel, shake};
pub(crate) use wire::End;
