//! The trace of an exchange: continued or begun with its head, recorded at its end.

use std::{cell::Cell, time::Duration};

use http::StatusCode;

use crate::{
    exchange::{Exchange, Request, Trace},
    failure::Side,
    semantics::{
        Headers,
        forwarded::Trust,
        trace::{self, SpanId, TraceId},
    },
    telemetry::trace::{Accept, TraceSettings, TraceView},
    worker::Worker,
};

/// Continues the trace of a request, if its sender is believed, or begins one; without a request its
/// head was invalid.
#[cold]
pub(super) fn begin(
    worker: &Worker,
    settings: &TraceSettings,
    trust: Trust,
    request: Option<&Request>,
) -> Box<Trace> {
    let accepted = match settings.accept {
        Accept::Trusted => trust == Trust::Trusted,
        Accept::All => true,
        Accept::Nobody => false,
    };
    let mut formats = settings.formats.iter().filter(|_| accepted);
    let sent = request.and_then(|it| formats.find_map(|format| format.read(&it.headers)));
    let (id, parent) = match sent.and_then(|sent| sent.parent) {
        Some((id, parent)) => (id, Some(parent)),
        None => {
            let (high, low) = (worker.draw(), worker.draw());
            let random = u128::from(high) << 64 | u128::from(low);
            (TraceId::new(random), None)
        }
    };
    Box::new(Trace {
        id,
        span: SpanId::new(worker.draw()),
        parent,
        sampled: settings.samples(id, sent.as_ref()),
        // Fields beside a malformed context mean nothing.
        accepted: parent.is_some(),
        attempts: Cell::new(0),
        route_path: None,
    })
}

/// Removes the context that the client sent, if it is not believed. What is believed is passed on
/// as it came, but for what each attempt writes anew.
pub(super) fn prepare(exchange: &Exchange, headers: &mut Headers) {
    if let Some(trace) = &exchange.trace
        && !trace.accepted
    {
        trace::remove(headers);
    }
}

/// Returns the identities to record at the end of an exchange; none if it is not recorded.
pub(super) fn recorded(
    exchange: &Exchange,
    status: StatusCode,
    took: Duration,
) -> Option<TraceView<'_>> {
    let trace = exchange.trace.as_ref()?;
    let settings = exchange.snapshot.shared.tracing.as_ref()?;
    settings.encoding?;
    let failed = status.is_server_error()
        || exchange.failure.is_some_and(|failure| {
            failure.side() != Side::Downstream && !failure.status().is_client_error()
        });
    if !trace.sampled && !settings.takes_late(failed, took) {
        return None;
    }
    Some(TraceView {
        trace: trace.id,
        span: trace.span,
        parent: trace.parent,
        failed,
        route_path: exchange.route_path(),
    })
}
