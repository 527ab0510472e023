//! Spans as JSON of Zipkin, version 2: one object after the other, each with a comma before it.

use std::{io::Write as _, net::IpAddr, time::Duration};

use super::encode::{Encode, SpanHead, SpanKind};

/// Encodes spans at the end of a buffer.
pub(super) struct Zipkin<'a> {
    out: &'a mut Vec<u8>,
    service: &'a str,
    tags: u32,
}

impl<'a> Zipkin<'a> {
    pub(super) fn new(out: &'a mut Vec<u8>, service: &'a str) -> Self {
        Self {
            out,
            service,
            tags: 0,
        }
    }

    fn tag(&mut self, name: &str) {
        if self.tags > 0 {
            self.out.push(b',');
        }
        self.tags += 1;
        string(self.out, name);
        self.out.push(b':');
    }
}

impl Encode for Zipkin<'_> {
    fn open(&mut self, head: &SpanHead<'_>) {
        let out = &mut *self.out;
        out.extend_from_slice(b",{\"traceId\":\"");
        out.extend_from_slice(&head.trace.text());
        out.extend_from_slice(b"\",\"id\":\"");
        out.extend_from_slice(&head.span.text());
        if let Some(parent) = head.parent {
            out.extend_from_slice(b"\",\"parentId\":\"");
            out.extend_from_slice(&parent.text());
        }
        out.extend_from_slice(b"\",\"kind\":\"");
        out.extend_from_slice(match head.kind {
            SpanKind::Server => b"SERVER",
            SpanKind::Client => b"CLIENT",
        });
        out.extend_from_slice(b"\",\"name\":");
        match head.name {
            (first, None) => string(out, first),
            (first, Some(second)) => string(out, &format!("{first} {second}")),
        }
        // A duration of 0 would be none.
        let (start_us, took_us) = (us(head.start), us(head.took).max(1));
        // Writing to memory cannot fail.
        let _ = write!(out, ",\"timestamp\":{start_us},\"duration\":{took_us}");
        out.extend_from_slice(b",\"localEndpoint\":{\"serviceName\":");
        string(out, self.service);
        out.push(b'}');
        if let Some((address, port)) = head.remote {
            let _ = match address {
                IpAddr::V4(ip) => write!(out, ",\"remoteEndpoint\":{{\"ipv4\":\"{ip}\""),
                IpAddr::V6(ip) => write!(out, ",\"remoteEndpoint\":{{\"ipv6\":\"{ip}\""),
            };
            if let Some(port) = port {
                let _ = write!(out, ",\"port\":{port}");
            }
            out.push(b'}');
        }
        out.extend_from_slice(b",\"tags\":{");
        self.tags = 0;
    }

    fn text(&mut self, key: &'static str, value: &str) {
        self.tag(key);
        string(self.out, value);
    }

    fn number(&mut self, key: &'static str, value: u64) {
        self.tag(key);
        let _ = write!(self.out, "\"{value}\"");
    }

    fn close(&mut self, failed: bool) {
        if failed {
            self.tag("error");
            self.out.extend_from_slice(b"\"true\"");
        }
        self.out.extend_from_slice(b"}}");
    }
}

/// Puts the brackets of a list around encoded spans.
pub fn request(spans: &[u8]) -> Vec<u8> {
    let mut list = Vec::with_capacity(spans.len() + 1);
    list.push(b'[');
    list.extend_from_slice(spans.strip_prefix(b",").unwrap_or(spans));
    list.push(b']');
    list
}

fn string(out: &mut Vec<u8>, text: &str) {
    // A text is always JSON, and writing to memory cannot fail.
    let _ = serde_json::to_writer(out, text);
}

fn us(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
