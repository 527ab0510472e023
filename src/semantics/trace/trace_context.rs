//! W3C Trace Context, level 2: `traceparent` and `tracestate`.
//!
//! `tracestate` is passed on as it came; it means nothing here.

use super::{
    Incoming, Outgoing,
    id::{Sampling, SpanId, TraceId, unhex},
};
use crate::semantics::headers::{Headers, Value};

pub(super) fn read(headers: &Headers) -> Option<Incoming> {
    let mut all = headers.get_all(PARENT);
    let (Some(value), None) = (all.next(), all.next()) else {
        return None;
    };
    parse(value.as_bytes())
}

/// Parses `00-TRACE-SPAN-FLAGS`; later versions may have more behind another hyphen.
fn parse(text: &[u8]) -> Option<Incoming> {
    let (known, rest) = text.split_at_checked(LENGTH)?;
    if [2, 35, 52].iter().any(|at| known[*at] != b'-') {
        return None;
    }
    let version = unhex(&known[..2])?;
    let rest_fits = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.is_empty() || rest[0] == b'-',
    };
    if !rest_fits {
        return None;
    }
    let trace = TraceId::read(&known[3..35])?;
    let span = SpanId::read(&known[36..52])?;
    let flags = unhex(&known[53..])?;
    let sampling = if flags & SAMPLED == 1 {
        Sampling::Sampled
    } else {
        Sampling::NotSampled
    };
    Some(Incoming {
        parent: Some((trace, span)),
        sampling,
    })
}

pub(super) fn write(headers: &mut Headers, outgoing: &Outgoing) {
    let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
    text[3..35].copy_from_slice(&outgoing.trace.text());
    text[36..52].copy_from_slice(&outgoing.span.text());
    text[54] = b'0' + u8::from(outgoing.sampled);
    headers.insert(PARENT, Value::of_checked(&text).sensitive());
}

pub(super) fn remove(headers: &mut Headers) {
    headers.remove(PARENT);
    headers.remove(STATE);
}

const PARENT: &str = "traceparent";
const STATE: &str = "tracestate";
const LENGTH: usize = 55;
const SAMPLED: u128 = 1;
