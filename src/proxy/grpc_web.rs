//! Bridge between clients of gRPC-Web and endpoints of gRPC.
//!
//! The request becomes a gRPC call before the rest of the walk, including its filters, which see
//! nothing else. After all other steps the answer becomes gRPC-Web again, from the endpoint or, for
//! a failure, from the proxy.

use http::Method;

use crate::{
    exchange::{Body, Exchange, Request, Response},
    semantics::{
        Headers, grpc,
        grpc_web::{Answer, WebCall},
    },
};

/// Turns a request in gRPC-Web into a gRPC call; does not change others.
pub(super) fn open(exchange: &mut Exchange, request: &mut Request) {
    if request.method != Method::POST {
        return;
    }
    let Some(call) = WebCall::read(&request.headers) else {
        return;
    };
    let timeout = grpc::read_timeout(&request.headers);
    exchange.grpc = true;
    exchange.client_deadline = timeout.and_then(|timeout| exchange.started.checked_add(timeout));
    call.bridge_head(&mut request.headers);
    if !request.body.is_end() {
        let body = std::mem::replace(&mut request.body, Body::Empty);
        request.body = body.transformed(call.decoder());
    }
    exchange.grpc_web = Some(Box::new(call));
}

/// Takes the trailers out of a trailers-only answer, before filters add fields to its head.
pub(super) fn part(exchange: &mut Exchange, response: &mut Response) {
    if let Some(call) = &mut exchange.grpc_web {
        call.part_head(&mut response.headers);
    }
}

/// Converts the answer of a call that was [`open`]ed.
pub(super) fn close(call: &mut WebCall, headers: &mut Headers, body: Body) -> Body {
    match call.bridge_answer(headers, body.is_end()) {
        Answer::Foreign => body,
        Answer::Whole(bytes) => Body::full(bytes),
        Answer::Streamed(encoder) => body.transformed(encoder),
    }
}
