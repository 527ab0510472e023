//! Lines that are made once and written into many messages.

use super::{Headers, Known, Line, Memory, Value, wire::offset};

/// A field line as it goes out: `name: value` CRLF.
#[derive(Clone, Debug)]
pub(crate) struct ReadyLine {
    known: Known,
    text: Box<[u8]>,
}

impl ReadyLine {
    /// Makes the line of this name and value.
    pub(crate) fn new(known: Known, value: Value<'_>) -> Self {
        let name = known.as_str().as_bytes();
        let text = [name, b": ", value.bytes, b"\r\n"].concat().into();
        Self { known, text }
    }

    fn value_start(&self) -> usize {
        self.known.as_str().len() + SEPARATOR
    }

    /// The value in it.
    pub(crate) fn value(&self) -> Value<'_> {
        Value::of_checked(&self.text[self.value_start()..self.text.len() - CRLF])
    }
}

impl Headers {
    /// Makes this the only line of its name.
    pub(crate) fn insert_ready(&mut self, line: &ReadyLine) {
        self.remove(line.known);
        self.append_ready(line);
    }

    /// Adds the line behind all others.
    pub(crate) fn append_ready(&mut self, line: &ReadyLine) {
        let section = self.section_mut();
        let start = section.own.len();
        section.own.extend_from_slice(&line.text);
        section.present.add(line.known);
        let value = start + line.value_start();
        section.lines.push(Line {
            known: Some(line.known),
            memory: Memory::Own,
            plain: true,
            sensitive: false,
            start: offset(start),
            colon: offset(value - SEPARATOR),
            value: offset(value),
            value_end: offset(start + line.text.len() - CRLF),
        });
    }
}

/// Bytes between name and value, and behind the value.
const SEPARATOR: usize = 2;
const CRLF: usize = 2;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ready_line_is_what_insert_and_append_would_write() {
        for value in ["", "1.1 here", "203.0.113.9"].map(Value::from_static) {
            let line = ReadyLine::new(Known::Via, value);
            assert_eq!(line.value(), value);
            let mut ready = Headers::new();
            let mut plain = Headers::new();
            for headers in [&mut ready, &mut plain] {
                headers.append(Known::Via, Value::from_static("1.0 there"));
                headers.append("x-other", Value::from_static("x"));
            }
            let written = |headers: &Headers| {
                let mut out = bytes::BytesMut::new();
                headers.write(&mut out, super::super::Names::default());
                (out, headers.names(), format!("{headers:?}"))
            };
            ready.append_ready(&line);
            plain.append(Known::Via, value);
            assert_eq!(written(&ready), written(&plain));
            ready.insert_ready(&line);
            plain.insert(Known::Via, value);
            assert_eq!(written(&ready), written(&plain));
        }
    }
}
