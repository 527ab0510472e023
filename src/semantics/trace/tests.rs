use proptest::prelude::*;

use super::*;
use crate::semantics::headers::fields;

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN: &str = "00f067aa0ba902b7";

fn read(format: TraceFormat, lines: &[(&str, &str)]) -> Option<(String, Sampling)> {
    let incoming = format.read(&fields(lines))?;
    let ids = incoming
        .parent
        .map(|(trace, span)| format!("{trace:?}-{span:?}"));
    Some((ids.unwrap_or_default(), incoming.sampling))
}

#[test]
fn a_traceparent_is_read_as_the_standard_says() {
    let read = |text: &str| read(TraceFormat::TraceContext, &[("traceparent", text)]);
    let ids = format!("{TRACE}-{SPAN}");
    for (text, sampling) in [
        (format!("00-{ids}-01"), Sampling::Sampled),
        (format!("00-{ids}-00"), Sampling::NotSampled),
        (format!("00-{ids}-03"), Sampling::Sampled),
        (format!("cc-{ids}-01"), Sampling::Sampled),
        (format!("cc-{ids}-01-what-comes-later"), Sampling::Sampled),
    ] {
        assert_eq!(read(&text), Some((ids.clone(), sampling)), "{text}");
    }
    for text in [
        format!("ff-{ids}-01"),
        format!("00-{ids}-01-more"),
        format!("cc-{ids}-01.what"),
        format!("00-{ids}-1"),
        format!("00-{}-{SPAN}-01", TRACE.to_uppercase()),
        format!("00-{}-{SPAN}-01", "0".repeat(32)),
        format!("00-{TRACE}-{}-01", "0".repeat(16)),
        format!("00_{ids}-01"),
        String::new(),
    ] {
        assert_eq!(read(&text), None, "{text}");
    }
    let one = format!("00-{ids}-01");
    let twice = [("traceparent", &*one), ("traceparent", &*one)];
    assert_eq!(TraceFormat::TraceContext.read(&fields(&twice)), None);
}

#[test]
fn both_forms_of_b3_are_read() {
    let ids = format!("{TRACE}-{SPAN}");
    let short = format!("{:0>32}-{SPAN}", "a3ce929d0e0e4736");
    for (text, expected) in [
        (format!("{ids}-1"), Some((ids.clone(), Sampling::Sampled))),
        (
            format!("{ids}-d-05e3ac9a4f6e3b90"),
            Some((ids.clone(), Sampling::Sampled)),
        ),
        (
            format!("{ids}-0"),
            Some((ids.clone(), Sampling::NotSampled)),
        ),
        (ids.clone(), Some((ids.clone(), Sampling::Undecided))),
        (
            format!("a3ce929d0e0e4736-{SPAN}-1"),
            Some((short, Sampling::Sampled)),
        ),
        ("0".to_owned(), Some((String::new(), Sampling::NotSampled))),
        ("x".to_owned(), None),
        (format!("{TRACE}-1"), None),
        (format!("{ids}-1-05e3ac9a4f6e3b90-1"), None),
    ] {
        assert_eq!(read(TraceFormat::B3, &[("b3", &text)]), expected, "{text}");
    }
    let multi = [("X-B3-TraceId", TRACE), ("X-B3-SpanId", SPAN)];
    let with = |more: &[(&'static str, &'static str)]| {
        let lines: Vec<_> = multi.iter().chain(more).copied().collect();
        read(TraceFormat::B3Multi, &lines).map(|(_, sampling)| sampling)
    };
    assert_eq!(with(&[]), Some(Sampling::Undecided));
    assert_eq!(with(&[("X-B3-Sampled", "0")]), Some(Sampling::NotSampled));
    assert_eq!(with(&[("X-B3-Flags", "1")]), Some(Sampling::Sampled));
    assert_eq!(with(&[("X-B3-Sampled", "maybe")]), None);
    assert_eq!(read(TraceFormat::B3, &[("x-b3-traceid", TRACE)]), None);
}

proptest! {
    #[test]
    fn what_is_written_is_read(trace in 1_u128.., span in 1_u64.., sampled: bool) {
        let (trace, span) = (TraceId::new(trace), SpanId::new(span));
        let outgoing = Outgoing { trace, span, sampled };
        let sampling = if sampled { Sampling::Sampled } else { Sampling::NotSampled };
        for format in [TraceFormat::TraceContext, TraceFormat::B3, TraceFormat::B3Multi] {
            let mut headers = fields(&[("traceparent", "x"), ("b3", "x"), ("tracestate", "a=b")]);
            if format == TraceFormat::B3Multi {
                remove(&mut headers);
            }
            format.write(&mut headers, &outgoing);
            let expected = Incoming { parent: Some((trace, span)), sampling };
            prop_assert_eq!(format.read(&headers), Some(expected));
            remove(&mut headers);
            prop_assert!(headers.is_empty());
        }
    }

    #[test]
    fn any_bytes_are_read_or_refused(text in "[0-9a-f-]{0,80}") {
        let lines = fields(&[("traceparent", &text), ("b3", &text)]);
        TraceFormat::TraceContext.read(&lines);
        TraceFormat::B3.read(&lines);
    }

    #[test]
    fn spans_below_one_span_differ(span: u64, one: u16, two: u16) {
        let span = SpanId::new(span);
        prop_assert_eq!(span.below(one) == span.below(two), one == two);
    }
}
