//! Changes to a response before it goes downstream.

use std::time::Duration;

use http::StatusCode;
use tokio::time::Instant;

use super::{Outgoing, begin::logged_fields, debug, grpc_web, open::Open};
use crate::{
    config::value::FieldSource,
    exchange::Response,
    semantics::{
        Known, grpc,
        hop_by_hop::{self, Switching},
    },
};

/// Removes fields that are specific to the upstream connection.
pub(super) fn clean(response: &mut Response) {
    let switching = match response.status {
        StatusCode::SWITCHING_PROTOCOLS | StatusCode::UPGRADE_REQUIRED => Switching::Yes,
        _ => Switching::No,
    };
    hop_by_hop::strip_response(&mut response.headers, switching);
}

/// Names the exchange in the response, in the client's own protocol, and joins its record to
/// the body.
pub(super) fn seal(mut open: Open, mut response: Response) -> Response<Outgoing> {
    let worker = std::rc::Rc::clone(&open.connection().worker);
    let exchange = open.exchange();
    exchange.status = Some(response.status);
    exchange.answered.get_or_insert_with(Instant::now);
    let multiplexed = exchange.request.version >= http::Version::HTTP_2;
    let idle = exchange.route().map(|route| route.timeouts.idle);
    if !exchange.snapshot.shared.logged.is_empty() {
        let snapshot = std::rc::Rc::clone(&exchange.snapshot);
        let of_response = logged_fields(&snapshot, &response.headers, |source| match source {
            FieldSource::ResponseHeader(name) => Some(name),
            _ => None,
        });
        exchange.request.logged.extend(of_response);
    }
    let bridged = exchange.grpc_web.is_some() && grpc::is_grpc(&response.headers);
    let body = match &mut exchange.grpc_web {
        None => response.body,
        Some(call) => grpc_web::close(call, &mut response.headers, response.body),
    };
    let headers = &mut response.headers;
    headers.insert(Known::XRequestId, exchange.request_id.as_value());
    if let Some(service) = &exchange.listener.alt_svc
        && exchange.request.version != http::Version::HTTP_3
        && let Some(value) = service.beside(headers, worker.is_draining())
    {
        headers.insert(Known::AltSvc, value);
    }
    if multiplexed && !headers.contains(Known::Date) {
        headers.insert(Known::Date, worker.date_value());
    }
    if let Some(settings) = &exchange.snapshot.shared.debug_header {
        // One of an endpoint is not for clients.
        headers.remove(&settings.name);
        if exchange.debugged {
            debug::tell(exchange, headers);
        }
    }
    let idle = idle.filter(|idle| *idle > Duration::ZERO);
    Response {
        status: response.status,
        headers: response.headers,
        body: Outgoing::new(open, body, idle, bridged),
    }
}
