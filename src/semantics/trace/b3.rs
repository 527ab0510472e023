//! B3 of Zipkin: one field `b3`, or the fields `X-B3-…`.

use super::{
    Incoming, Outgoing,
    id::{Sampling, SpanId, TraceId},
};
use crate::semantics::headers::{Headers, Value};

/// Reads the single field, else the others.
pub(super) fn read(headers: &Headers) -> Option<Incoming> {
    match only(headers, SINGLE) {
        Some(value) => parse(value.as_bytes()),
        None => read_multi(headers),
    }
}

/// Parses `TRACE-SPAN-SAMPLING-PARENT`, of which the last two may be absent; or the decision alone.
fn parse(text: &[u8]) -> Option<Incoming> {
    let mut parts = text.split(|byte| *byte == b'-');
    let first = parts.next()?;
    let Some(span) = parts.next() else {
        let sampling = decision(first)?;
        return Some(Incoming {
            parent: None,
            sampling,
        });
    };
    let sampling = match parts.next() {
        None => Sampling::Undecided,
        Some(word) => decision(word)?,
    };
    if let Some(parent) = parts.next() {
        SpanId::read(parent)?;
    }
    if parts.next().is_some() {
        return None;
    }
    let parent = Some((trace_id(first)?, span_id(span)?));
    Some(Incoming { parent, sampling })
}

fn read_multi(headers: &Headers) -> Option<Incoming> {
    let sampling = match (only(headers, FLAGS), only(headers, SAMPLED)) {
        (Some(flags), _) if flags.as_bytes() == b"1" => Sampling::Sampled,
        (_, Some(word)) => decision(word.as_bytes())?,
        (_, None) => Sampling::Undecided,
    };
    let parent = match (only(headers, TRACE), only(headers, SPAN)) {
        (Some(trace), Some(span)) => Some((trace_id(trace.as_bytes())?, span_id(span.as_bytes())?)),
        (None, None) if sampling != Sampling::Undecided => None,
        _ => return None,
    };
    Some(Incoming { parent, sampling })
}

fn decision(word: &[u8]) -> Option<Sampling> {
    match word {
        // `d`: debug, which is sampled too.
        b"1" | b"d" | b"true" => Some(Sampling::Sampled),
        b"0" | b"false" => Some(Sampling::NotSampled),
        _ => None,
    }
}

/// Reads 32 digits, or 16, which stand for the lower half.
fn trace_id(text: &[u8]) -> Option<TraceId> {
    let fits = matches!(text.len(), 16 | 32);
    fits.then(|| TraceId::read(text)).flatten()
}

fn span_id(text: &[u8]) -> Option<SpanId> {
    (text.len() == 16).then(|| SpanId::read(text)).flatten()
}

pub(super) fn write(headers: &mut Headers, outgoing: &Outgoing) {
    let mut text = *b"00000000000000000000000000000000-0000000000000000-0";
    text[..32].copy_from_slice(&outgoing.trace.text());
    text[33..49].copy_from_slice(&outgoing.span.text());
    text[50] = b'0' + u8::from(outgoing.sampled);
    // The other form would tell the sender's span.
    remove(headers);
    headers.insert(SINGLE, Value::of_checked(&text).sensitive());
}

pub(super) fn write_multi(headers: &mut Headers, outgoing: &Outgoing) {
    remove(headers);
    let trace = outgoing.trace.text();
    let span = outgoing.span.text();
    headers.insert(TRACE, Value::of_checked(&trace).sensitive());
    headers.insert(SPAN, Value::of_checked(&span).sensitive());
    let sampled = if outgoing.sampled { "1" } else { "0" };
    headers.insert(SAMPLED, Value::from_static(sampled));
}

pub(super) fn remove(headers: &mut Headers) {
    for name in [SINGLE, TRACE, SPAN, SAMPLED, PARENT, FLAGS] {
        headers.remove(name);
    }
}

/// Returns the value of a field that is sent once.
fn only<'a>(headers: &'a Headers, name: &'static str) -> Option<Value<'a>> {
    let mut all = headers.get_all(name);
    let first = all.next();
    first.filter(|_| all.next().is_none())
}

const SINGLE: &str = "b3";
const TRACE: &str = "x-b3-traceid";
const SPAN: &str = "x-b3-spanid";
const SAMPLED: &str = "x-b3-sampled";
const PARENT: &str = "x-b3-parentspanid";
const FLAGS: &str = "x-b3-flags";
