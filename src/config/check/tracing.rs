//! Checks on `[tracing]`.

use super::{Check, registry::check_access};
use crate::config::schema::Tracing;

pub(super) fn check(check: &mut Check<'_>) {
    let Some(tracing) = &check.config.tracing else {
        return;
    };
    check_collector(check, tracing);
    let spans = &tracing.spans;
    if tracing.propagate.is_empty() && !check.is_broken("tracing.propagate") {
        let message = "tracing.propagate is empty, so endpoints do not see the trace";
        check.warn(spans.of("propagate"), message, "such as [\"tracecontext\"]");
    }
    if tracing.service.is_empty() && !check.is_broken("tracing.service") {
        let message = "tracing.service is empty";
        check.error(spans.of("service"), message, "such as \"edge\"");
    }
    for (name, secret) in &tracing.headers {
        let place = format!("tracing.headers.{name}");
        check.secret(&place, spans.of("headers"), secret);
    }
    if let Some(slow) = tracing.always.slow {
        let durations = [("slow", slow)];
        check.positive("tracing.always", &tracing.always.spans, &durations);
    }
}

fn check_collector(check: &mut Check<'_>, tracing: &Tracing) {
    let spans = &tracing.spans;
    if tracing.otlp.is_some() && tracing.zipkin.is_some() {
        let message = "tracing has two collectors, otlp and zipkin";
        let hint = "keep one of them; a collector can pass spans on to others";
        check.error(spans.of("zipkin"), message, hint);
    }
    if let Some(url) = &tracing.otlp
        && url.path == "/"
        && url.authority.ends_with(":4318")
    {
        let message = "tracing.otlp speaks gRPC to port 4318, which is that of OTLP over HTTP";
        let hint = "http://HOST:4318/v1/traces for HTTP, http://HOST:4317 for gRPC";
        check.warn(spans.of("otlp"), message, hint);
    }
    if let Some(url) = &tracing.zipkin
        && url.path == "/"
    {
        let message = "tracing.zipkin has no path";
        let hint = "Zipkin takes spans at http://HOST:9411/api/v2/spans";
        check.error(spans.of("zipkin"), message, hint);
    }
    let urls = tracing.otlp.iter().chain(&tracing.zipkin);
    check_access(check, "tracing", spans, urls, None, tracing.ca.as_ref());
}
