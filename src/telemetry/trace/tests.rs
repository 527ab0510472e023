use std::{
    net::IpAddr,
    sync::Arc,
    time::{Duration, UNIX_EPOCH},
};

use serde_json::Value;

use super::*;
use crate::{
    semantics::trace::{Incoming, Sampling, SpanId, TraceId},
    telemetry::{
        access_log::{AttemptView, Line, Sample},
        metrics::{Metrics, names},
    },
};

fn settings(encoding: TraceEncoding) -> TraceSettings {
    TraceSettings {
        encoding: Some(encoding),
        sample: Sample::new(0.1),
        failed: true,
        slow: Some(Duration::from_secs(1)),
        formats: Vec::new(),
        accept: Accept::Trusted,
        names: Arc::default(),
        service: "edge".into(),
    }
}

fn line<'a>(attempts: &'a [AttemptView<'a>]) -> Line<'a> {
    Line {
        time: UNIX_EPOCH + Duration::from_secs(100),
        request_id: "r",
        trace_id: None,
        span_id: None,
        listener: "web",
        client: Some(IpAddr::from([192, 0, 2, 1])),
        method: "GET",
        scheme: "https",
        host: "shop.example:8443",
        path: "/a\"b?token=x&y=1",
        protocol: "HTTP/2.0",
        status: 200,
        reason: None,
        route: Some("orders"),
        pool: Some("app"),
        endpoint: None,
        version: None,
        attempts,
        not_retried: None,
        bytes_in: 0,
        bytes_out: 300,
        total: Duration::from_millis(30),
        upstream: None,
        queue: None,
        tls: None,
        tls_subject: None,
        user_agent: Some(b"curl\xff"),
        user: None,
        fields: &[],
    }
}

fn attempt(endpoint: &'static str, outcome: &'static str) -> AttemptView<'static> {
    AttemptView {
        endpoint,
        outcome,
        took: Duration::from_millis(5),
        waited: Duration::ZERO,
        hedge: false,
        subrequest: false,
        began: Duration::from_millis(10),
        span: 1,
        pool: "app",
        version: Some("2"),
        secure: false,
    }
}

fn written(encoding: TraceEncoding) -> SpanBatch {
    let metrics = Metrics::new(100);
    let labels = ["queue_full"];
    let dropped = metrics
        .control()
        .counter(&names::TRACE_SPANS_DROPPED_TOTAL, labels);
    let (spool, mut batches) = TraceSpool::new(Arc::new(settings(encoding)), dropped);
    let view = TraceView {
        trace: TraceId::new(7),
        span: SpanId::new(9),
        parent: Some(SpanId::new(3)),
        failed: false,
        route_path: None,
    };
    let attempts = [
        attempt("10.0.0.1:80", "connection_refused"),
        attempt("[::1]:81", "200"),
    ];
    let mut worker = spool.worker();
    worker.write(&line(&attempts), &view);
    worker.flush();
    batches.try_recv().unwrap()
}

#[test]
fn zipkin_has_the_exchange_and_each_attempt() {
    let batch = written(TraceEncoding::Zipkin);
    assert_eq!(batch.spans, 3);
    let list: Value = serde_json::from_slice(&zipkin::request(&batch.bytes)).unwrap();
    let server = &list[0];
    assert_eq!(server["traceId"], "00000000000000000000000000000007");
    assert_eq!(server["parentId"], "0000000000000003");
    assert_eq!(server["name"], "GET orders");
    assert_eq!(server["timestamp"], 99_970_000);
    assert_eq!(server["duration"], 30_000);
    assert_eq!(server["tags"]["url.path"], "/a\"b");
    assert_eq!(server["tags"]["url.query"], "token=***&y=1");
    assert_eq!(server["tags"]["server.port"], "8443");
    assert_eq!(server["tags"]["network.protocol.version"], "2");
    assert_eq!(server["tags"].get("error"), None);
    let refused = &list[1];
    assert_eq!(refused["parentId"], server["id"]);
    assert_eq!(refused["timestamp"], 99_980_000);
    assert_eq!(refused["tags"]["error.type"], "connection_refused");
    assert_eq!(refused["remoteEndpoint"]["ipv4"], "10.0.0.1");
    let good = &list[2];
    assert_eq!(good["remoteEndpoint"]["ipv6"], "::1");
    assert_eq!(good["tags"]["http.request.resend_count"], "1");
    assert_eq!(good["tags"].get("error"), None);
}

#[test]
fn a_trace_is_recorded_as_its_sender_says_else_by_share() {
    let settings = settings(TraceEncoding::Otlp);
    let sent = |sampling| Incoming {
        parent: None,
        sampling,
    };
    let rare = TraceId::new(u128::from(u64::MAX));
    let often = TraceId::new(1 << 64);
    assert!(settings.samples(rare, Some(&sent(Sampling::Sampled))));
    assert!(!settings.samples(often, Some(&sent(Sampling::NotSampled))));
    assert!(settings.samples(often, None));
    assert!(!settings.samples(rare, Some(&sent(Sampling::Undecided))));
    assert!(settings.takes_late(true, Duration::ZERO));
    assert!(settings.takes_late(false, Duration::from_secs(1)));
    assert!(!settings.takes_late(false, Duration::from_millis(999)));
}

#[test]
fn spans_that_find_no_place_in_the_queue_are_counted() {
    let metrics = Metrics::new(100);
    let labels = ["queue_full"];
    let dropped = metrics
        .control()
        .counter(&names::TRACE_SPANS_DROPPED_TOTAL, labels);
    let settings = Arc::new(settings(TraceEncoding::Otlp));
    let (spool, batches) = TraceSpool::new(settings, dropped);
    let view = TraceView {
        trace: TraceId::new(7),
        span: SpanId::new(9),
        parent: None,
        failed: true,
        route_path: Some("/orders"),
    };
    let mut worker = spool.worker();
    for _ in 0..70 {
        worker.write(&line(&[]), &view);
        worker.flush();
    }
    assert_eq!(batches.len(), 64);
    let lost = metrics.total(&names::TRACE_SPANS_DROPPED_TOTAL, [None]);
    assert_eq!(lost, 6);
}

#[test]
fn refused_spans_are_counted_however_long_the_reason_is() {
    for reason in [0_u8, 100, 200] {
        let mut partial = vec![0x08, 0xac, 0x02, 0x12];
        // A length from 128 to 255 takes two bytes: itself and 1.
        let length = |out: &mut Vec<u8>, length: u8| {
            out.push(length);
            out.extend((length >= 128).then_some(1));
        };
        length(&mut partial, reason);
        partial.extend(vec![b'x'; reason.into()]);
        let mut answer = vec![0x0a];
        length(&mut answer, u8::try_from(partial.len()).unwrap());
        answer.extend(partial);
        assert_eq!(otlp::refused(&answer), 300, "{reason}");
    }
    assert_eq!(otlp::refused(&[]), 0);
}
