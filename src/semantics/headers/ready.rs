//! Lines made once and written into many messages.

use super::{Headers, Known, Value};

/// A field line in wire form: `name: value` CRLF.
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

    /// The value in it.
    pub(crate) fn value(&self) -> Value<'_> {
        let start = self.known.as_str().len() + b": ".len();
        Value::of_checked(&self.text[start..self.text.len() - b"\r\n".len()])
    }
}

impl Headers {
    /// Makes this the only line of its name.
    pub(crate) fn insert_ready(&mut self, line: &ReadyLine) {
        self.remove(line.known);
        self.append_ready(line);
    }

    /// Adds the line after all others.
    pub(crate) fn append_ready(&mut self, line: &ReadyLine) {
        let name = line.known.as_str();
        self.push_line(Some(line.known), &line.text, name.len(), false);
    }
}

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
