//! Copies of requests to another pool or version.
//!
//! A copy is made when its request goes upstream, and has a task of its own: nothing of the exchange
//! waits for it. Bodies are copied while they are streamed; what is too large is counted and left.
//! How a copy ends says nothing of its endpoint: neither health nor a breaker hears of it.

mod send;
mod tap;

use std::{rc::Rc, sync::Arc};

use tokio::sync::oneshot;

use self::{
    send::{Copy, Given},
    tap::Tap,
};
use super::call::Home;
use crate::{
    exchange::{Body, Copied, Exchange, Request, Response},
    rollout::shadow::{Answer, BodyReader, ShadowResult},
    semantics::{Known, upgrade::Offer},
    state::Shadow,
    task,
    worker::Connection,
};

/// Begins a copy of a request that goes to `home`, if it is to be copied. The body of the request
/// is tapped.
#[cold]
pub(super) fn begin(
    connection: &Connection,
    exchange: &mut Exchange,
    shadow: &Arc<Shadow>,
    home: Home,
    request: &mut Request,
    offer: Option<&Offer>,
) {
    let worker = &connection.worker;
    let is_copy = request.headers.contains(Known::XSluicegateShadow);
    let home = (home.pool, home.view);
    if offer.is_some() || is_copy || !shadow.takes(&request.method, home, worker.draw()) {
        return;
    }
    let route = exchange.decision.map(|decision| decision.route.0 as usize);
    let metrics = route.and_then(|route| exchange.snapshot.routes.get(route));
    let Some(metrics) = metrics.cloned() else {
        return;
    };
    let count = |result: ShadowResult| {
        shadow.state.count(result);
        metrics.count_shadow(result.word());
    };
    if request.body.length().least() > shadow.body_max as u64 {
        count(ShadowResult::TooLarge);
        return;
    }
    let Some(place) = shadow.state.enter(shadow.in_flight_max) else {
        count(ShadowResult::Busy);
        return;
    };
    let (answer, ours) = oneshot::channel();
    let copy = Copy {
        worker: Rc::clone(worker),
        snapshot: Rc::clone(&exchange.snapshot),
        shadow: Arc::clone(shadow),
        metrics,
        place,
        head: send::head_of(request, &shadow.route.name),
        client: exchange.client,
        body: tapped(request, shadow.body_max),
        request_id: exchange.request_id().to_owned(),
        ours,
    };
    task::spawn_local("shadow", copy.run());
    exchange.call.extra().copied = Some(Copied {
        shadow: Arc::clone(shadow),
        answer,
    });
}

/// Gives the answer to a request to its copy, as far as it is compared; its body is tapped.
#[cold]
pub(super) fn answered(copied: Copied, response: &mut Response) {
    let Some(rules) = &copied.shadow.compare else {
        return;
    };
    let mut ours = Answer::new(rules, response.status, &response.headers);
    let sender = copied.answer;
    // The end of a gRPC call is in its trailers, behind the body.
    let waits = rules.keeps().is_some() || ours.grpc_status.is_none();
    if !waits || response.body.is_end() {
        ours.body = rules.keeps().map(|max| BodyReader::compared(max).end());
        let _ = sender.send(ours);
        return;
    }
    if response.body.is_tunnel() {
        return;
    }
    let wanted = rules.keeps().is_some();
    let reader = match rules.keeps() {
        Some(bytes_max) => BodyReader::compared(bytes_max),
        // Only its trailers count.
        None => BodyReader::kept(0),
    };
    let length = response.body.length().exact();
    let tap = Tap::new(reader, length, u64::MAX, move |body, grpc_status| {
        ours.grpc_status = ours.grpc_status.or(grpc_status);
        ours.body = wanted.then_some(body);
        let _ = sender.send(ours);
    });
    let body = std::mem::replace(&mut response.body, Body::Empty);
    response.body = body.transformed(tap);
}

/// Taps the body of a request.
fn tapped(request: &mut Request, body_max: usize) -> Given {
    if request.body.is_end() {
        let announced = !matches!(request.body, Body::Empty);
        return Given::Empty { announced };
    }
    let (sender, body) = oneshot::channel();
    let length = request.body.length().exact();
    let reader = BodyReader::kept(body_max);
    let tap = Tap::new(reader, length, body_max as u64, move |body, _| {
        let _ = sender.send(body);
    });
    let whole = std::mem::replace(&mut request.body, Body::Empty);
    request.body = whole.transformed(tap);
    Given::Body(body)
}
