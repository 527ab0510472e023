//! End of an exchange: records metrics, health signals and the log line in one place.

use std::time::Duration;

use http::{StatusCode, Version};
use smallvec::SmallVec;

use super::{divide, trace, unserved};
use crate::{
    exchange::{AnswerEnd, Attempt, AttemptKind, AttemptOutcome, Exchange},
    failure::Side,
    resilience::Why,
    telemetry::{
        access_log::{AttemptView, Line},
        trace::TraceView,
    },
    timer,
    worker::{Connection, Worker},
};

/// Records the end of an exchange, for any reason.
pub(super) fn record(connection: &Connection, exchange: &Exchange) {
    let worker = &connection.worker;
    let now = timer::now();
    let took = now - exchange.started;
    let status = match (exchange.status, exchange.failure) {
        (Some(status), Some(failure))
            if failure.side() == Side::Downstream && !exchange.complete =>
        {
            // What the client saw of it is not what was meant.
            let gone = failure.status();
            if gone.as_u16() == 499 { gone } else { status }
        }
        (Some(status), _) => status,
        (None, Some(failure)) => failure.status(),
        (None, None) => StatusCode::INTERNAL_SERVER_ERROR,
    };
    let reason = exchange.reason().unwrap_or_default();
    if let Some(route) = exchange.metrics() {
        let bytes = (exchange.bytes_in, exchange.bytes_out);
        route.count(&exchange.listener, status, reason, bytes);
        route.observe(took);
    }
    let cached = exchange.cached.as_ref().and_then(|it| it.outcome);
    if let (Some(outcome), Some(route)) = (cached, exchange.route_metrics()) {
        route.count_cache(outcome.word());
    }
    let left = exchange.cached.as_ref().and_then(|it| it.left());
    if let Some(answering) = exchange.call.answering.as_ref().or(left.as_deref()) {
        let end = AnswerEnd {
            failure: exchange.failure,
            grpc_status: exchange.grpc_status,
            given_up: exchange.is_given_up(now),
        };
        answering.judge(&end, now);
        let metrics = &answering.pick().pool.metrics;
        metrics.passed(exchange.bytes_in, exchange.bytes_out);
    }
    if let Some(choice) = exchange.cohort.as_ref().and_then(|it| it.choice) {
        divide::count(exchange.snapshot.worker, exchange, &choice, now);
    }
    let keep = worker.keeps(exchange.failure.is_some());
    let traced = match &exchange.trace {
        None => None,
        Some(_) => trace::recorded(exchange, status, took),
    };
    if let (Some(traced), Some(route)) = (&traced, exchange.metrics()) {
        route.exemplify(took, traced.trace, worker.wall_time());
    }
    let logs = worker.has_log() && exchange.route().is_none_or(|route| route.logged);
    if keep || traced.is_some() || logs {
        let end = End {
            status,
            took,
            keep,
            logs,
            traced: traced.as_ref(),
        };
        remember(worker, exchange, &end);
    }
}

/// End of an exchange that is remembered.
struct End<'a> {
    status: StatusCode,
    took: Duration,
    /// True if it is kept for the admin API.
    keep: bool,
    /// True if the access log has it.
    logs: bool,
    /// Identities of its trace, if it is recorded.
    traced: Option<&'a TraceView<'a>>,
}

/// Writes the line of the access log, and keeps the exchange for the admin API if it is selected.
fn remember(worker: &Worker, exchange: &Exchange, end: &End<'_>) {
    let End {
        status,
        took,
        keep,
        logs,
        traced,
    } = *end;
    let call = &exchange.call;
    let (aside, beside) = (exchange.aside.borrow(), call.beside.borrow());
    let attempts = || aside.iter().chain(&call.attempts).chain(&*beside);
    let outcomes: SmallVec<[StatusCode; 4]> = attempts()
        .map(|attempt| match attempt.outcome {
            Some(AttemptOutcome::Answered(status)) => status,
            Some(AttemptOutcome::Failed(_) | AttemptOutcome::Lost) | None => StatusCode::OK,
        })
        .collect();
    let attempts: SmallVec<[AttemptView<'_>; 4]> = attempts()
        .zip(&outcomes)
        .map(|(attempt, status)| view(exchange, attempt, status))
        .collect();
    let upstream = exchange.answered.map(|it| it - exchange.started);
    let request = &exchange.request;
    let target = std::str::from_utf8(&request.target).unwrap_or_default();
    let grpc_status = exchange.grpc_status.map(|status| status.to_string());
    let wanted = call.wanted().map(ToString::to_string);
    let detail = exchange.failure.and_then(|_| unserved::detail(exchange));
    let optional = [grpc_status.as_deref(), wanted.as_deref(), detail.as_deref()];
    let fields = fields(exchange, optional);
    let trace = exchange.trace.as_ref();
    let ids = trace.map(|trace| (trace.id.text(), trace.span.text()));
    let line = Line {
        time: worker.wall_time(),
        request_id: exchange.request_id(),
        trace_id: ids.as_ref().map(|(trace, _)| text_of(trace)),
        span_id: ids.as_ref().map(|(_, span)| text_of(span)),
        listener: exchange.listener_name(),
        client: Some(exchange.client),
        method: if request.known {
            request.method.as_str()
        } else {
            ""
        },
        scheme: exchange.scheme.as_str(),
        host: request.authority.as_ref().map_or("", |host| host.as_str()),
        path: target,
        protocol: protocol(request.version),
        status: status.as_u16(),
        reason: exchange.reason(),
        route: exchange.route_name(),
        pool: exchange.pool_name(),
        endpoint: exchange.endpoint(),
        version: exchange.version(),
        attempts: &attempts,
        not_retried: not_retried(exchange),
        bytes_in: exchange.bytes_in,
        bytes_out: exchange.bytes_out,
        total: took,
        upstream,
        queue: call.queued.get(),
        tls: exchange.tls.as_ref().map(|tls| tls.cipher.as_str()),
        tls_subject: exchange.tls_subject(),
        user: exchange.user(),
        user_agent: request.user_agent.as_ref().map(|agent| agent.as_bytes()),
        fields: &fields,
    };
    // First, so that whoever reads the line in the log finds the record.
    if keep {
        worker.keep(&line, &exchange.snapshot.shared);
    }
    if logs {
        worker.write_line(&line);
    }
    if let Some(traced) = traced {
        worker.write_trace(&line, traced);
    }
}

/// Returns the view of an attempt; `status` is that of its answer.
fn view<'a>(
    exchange: &'a Exchange,
    attempt: &'a Attempt,
    status: &'a StatusCode,
) -> AttemptView<'a> {
    let pool = exchange.pool_of(attempt);
    AttemptView {
        endpoint: attempt.address(),
        outcome: match attempt.outcome {
            Some(AttemptOutcome::Answered(_)) => status.as_str(),
            Some(AttemptOutcome::Failed(failure)) => failure.word(),
            Some(AttemptOutcome::Lost) => "lost",
            None => "cancelled",
        },
        took: attempt.took,
        waited: Duration::from_millis(attempt.waited_ms.into()),
        hedge: attempt.kind == AttemptKind::Hedge,
        subrequest: attempt.kind == AttemptKind::Subrequest,
        began: attempt.began.saturating_duration_since(exchange.started),
        span: attempt.span,
        pool: pool.map_or("", |pool| &*pool.name),
        version: attempt.endpoint.endpoint.version_label.as_deref(),
        secure: pool.is_some_and(|pool| pool.tls.is_some()),
    }
}

/// The fields that the configuration adds, and those that only some lines have.
fn fields<'a>(
    exchange: &'a Exchange,
    [grpc_status, wanted, detail]: [Option<&'a str>; 3],
) -> Vec<(&'a str, &'a [u8])> {
    let added = &exchange.snapshot.shared.logged;
    let cohort = exchange.cohort.as_ref();
    let split = cohort.map(|cohort| match &cohort.choice {
        None => ("split", cohort.known_by.word().as_bytes()),
        Some(choice) => ("rollout", choice.arm.word().as_bytes()),
    });
    let cache = exchange.cached.as_ref().and_then(|it| it.outcome);
    exchange
        .request
        .logged
        .iter()
        .filter_map(|(place, value)| Some((added.get(*place)?.0.as_str(), value.as_bytes())))
        .chain(grpc_status.map(|status| ("grpc_status", status.as_bytes())))
        .chain(split)
        .chain(cache.map(|outcome| ("cache", outcome.word().as_bytes())))
        .chain(wanted.map(|wanted| ("version_asked", wanted.as_bytes())))
        .chain(detail.map(|detail| ("reason_detail", detail.as_bytes())))
        .collect()
}

fn text_of(hexadecimal: &[u8]) -> &str {
    std::str::from_utf8(hexadecimal).unwrap_or_default()
}

fn protocol(version: Version) -> &'static str {
    match version {
        Version::HTTP_10 => "HTTP/1.0",
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_3 => "HTTP/3.0",
        _ => "HTTP/1.1",
    }
}

/// Returns the word for why there was no other attempt, if the last one called for it.
fn not_retried(exchange: &Exchange) -> Option<&'static str> {
    let failed = match exchange.call.standing()?.outcome? {
        AttemptOutcome::Failed(_) => true,
        AttemptOutcome::Lost => false,
        AttemptOutcome::Answered(status) => {
            status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS
        }
    };
    exchange.call.stopped.filter(|_| failed).map(Why::word)
}
