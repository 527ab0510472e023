//! Spans as protocol buffers of OpenTelemetry (`opentelemetry.proto.trace.v1`).
//!
//! A worker writes the fields `spans` of a `ScopeSpans` one after the other; control puts the
//! request around them. Field numbers are those of the published definitions.

use super::encode::{Encode, SpanHead, SpanKind};

/// Encodes spans at the end of a buffer.
pub(super) struct Otlp<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
}

impl<'a> Otlp<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>) -> Self {
        let start = out.len();
        Self { out, start }
    }
}

impl Encode for Otlp<'_> {
    fn open(&mut self, head: &SpanHead<'_>) {
        let out = &mut *self.out;
        key(out, 2, BYTES);
        self.start = out.len();
        bytes(out, 1, &head.trace.bytes());
        bytes(out, 2, &head.span.bytes());
        if let Some(parent) = head.parent {
            bytes(out, 4, &parent.bytes());
        }
        let (first, second) = head.name;
        key(out, 5, BYTES);
        varint(
            out,
            first.len() + second.map_or(0, |second| second.len() + 1),
        );
        out.extend_from_slice(first.as_bytes());
        if let Some(second) = second {
            out.push(b' ');
            out.extend_from_slice(second.as_bytes());
        }
        key(out, 6, INTEGER);
        out.push(match head.kind {
            SpanKind::Server => 2,
            SpanKind::Client => 3,
        });
        for (field, time) in [(7, head.start), (8, head.start + head.took)] {
            key(out, field, EIGHT_BYTES);
            let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
            out.extend_from_slice(&ns.to_le_bytes());
        }
        if let Some((address, port)) = head.remote {
            let address = crate::semantics::address::text(address);
            let text = std::str::from_utf8(&address).unwrap_or_default();
            self.text("network.peer.address", text);
            if let Some(port) = port {
                self.number("network.peer.port", port.into());
            }
        }
    }

    fn text(&mut self, name: &'static str, value: &str) {
        attribute(self.out, name, value);
    }

    fn number(&mut self, name: &'static str, value: u64) {
        let out = &mut *self.out;
        let inner = 1 + varint_bytes(value);
        key(out, 9, BYTES);
        varint(out, sized(name.len()) + sized(inner));
        bytes(out, 1, name.as_bytes());
        key(out, 2, BYTES);
        varint(out, inner);
        key(out, 3, INTEGER);
        varint_u64(out, value);
    }

    fn close(&mut self, failed: bool) {
        if failed {
            // A status with the code of an error.
            bytes(self.out, 15, &[3 << 3, 2]);
        }
        let length = self.out.len() - self.start;
        let mut prefix = Vec::with_capacity(3);
        varint(&mut prefix, length);
        self.out.splice(self.start..self.start, prefix);
    }
}

/// Puts the request of an export around encoded spans. `resource` are the attributes of the
/// process.
pub fn request(resource: &[(&str, &str)], version: &str, spans: &[u8]) -> Vec<u8> {
    let mut attributes = Vec::new();
    for (name, value) in resource {
        let mut attribute = Vec::new();
        bytes(&mut attribute, 1, name.as_bytes());
        let mut any = Vec::new();
        bytes(&mut any, 1, value.as_bytes());
        bytes(&mut attribute, 2, &any);
        bytes(&mut attributes, 1, &attribute);
    }
    let mut scope = Vec::new();
    bytes(&mut scope, 1, b"sluicegate");
    bytes(&mut scope, 2, version.as_bytes());
    let mut scope_spans = Vec::with_capacity(spans.len() + 64);
    bytes(&mut scope_spans, 1, &scope);
    scope_spans.extend_from_slice(spans);
    let mut resource_spans = Vec::with_capacity(scope_spans.len() + attributes.len() + 64);
    bytes(&mut resource_spans, 1, &attributes);
    bytes(&mut resource_spans, 2, &scope_spans);
    let mut request = Vec::with_capacity(resource_spans.len() + 8);
    bytes(&mut request, 1, &resource_spans);
    request
}

/// Returns the number of spans that the answer to an export says were refused:
/// `partial_success.rejected_spans`.
pub fn refused(answer: &[u8]) -> u64 {
    let [0x0a, rest @ ..] = answer else {
        return 0;
    };
    // A message of 128 bytes or more has a length of several.
    let length = rest.iter().take_while(|byte| **byte >= 0x80).count() + 1;
    match rest.get(length..) {
        Some([0x08, number @ ..]) => read_varint(number),
        _ => 0,
    }
}

fn read_varint(bytes: &[u8]) -> u64 {
    let mut value = 0;
    for (place, byte) in bytes.iter().take(9).enumerate() {
        value |= u64::from(byte & 0x7f) << (7 * place);
        if byte & 0x80 == 0 {
            break;
        }
    }
    value
}

/// Writes an attribute of a span.
fn attribute(out: &mut Vec<u8>, name: &str, value: &str) {
    let inner = sized(value.len());
    key(out, 9, BYTES);
    varint(out, sized(name.len()) + sized(inner));
    bytes(out, 1, name.as_bytes());
    key(out, 2, BYTES);
    varint(out, inner);
    bytes(out, 1, value.as_bytes());
}

/// Size of a field of so many bytes, with its key and length.
fn sized(length: usize) -> usize {
    1 + varint_bytes(length as u64) + length
}

fn bytes(out: &mut Vec<u8>, field: u8, value: &[u8]) {
    key(out, field, BYTES);
    varint(out, value.len());
    out.extend_from_slice(value);
}

/// Writes the key of a field with a number below 16.
fn key(out: &mut Vec<u8>, field: u8, kind: u8) {
    out.push(field << 3 | kind);
}

fn varint(out: &mut Vec<u8>, value: usize) {
    varint_u64(out, value as u64);
}

fn varint_u64(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push((value & 0x7f) as u8);
}

fn varint_bytes(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

const INTEGER: u8 = 0;
const EIGHT_BYTES: u8 = 1;
const BYTES: u8 = 2;
