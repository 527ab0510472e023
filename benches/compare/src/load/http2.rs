//! HTTP/2 as the generator speaks it: GET requests whose fields stand in the peer's table
//! after the first one, as a browser's do; of the answers only what tells their end.

use super::Fault;
use crate::message::Request;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const GOAWAY: u8 = 7;
const WINDOW_UPDATE: u8 = 8;

const END_STREAM: u8 = 1;
const ACK: u8 = 1;
const END_HEADERS: u8 = 4;

/// Bytes that answers may have before the peer is told to go on.
const WINDOW: u32 = (1 << 30) - 1;
/// The first index of the table that a connection builds up (RFC 7541 section 2.3.3).
const FIRST_OWN: u8 = 62;

/// One connection.
#[derive(Debug)]
pub(crate) struct Http2 {
    /// The path of the requests; it differs between none of them.
    literal: Vec<u8>,
    indexed: Vec<u8>,
    stream: u32,
    /// What has come of a frame that is not whole.
    rest: Vec<u8>,
    /// Bytes of answers since the peer was last told to go on.
    taken: u32,
}

impl Http2 {
    /// A connection for these requests; what it begins with goes to `out`.
    pub(crate) fn new(request: &Request, secure: bool, out: &mut Vec<u8>) -> Self {
        let scheme = if secure { 0x87 } else { 0x86 };
        let fields = request
            .fields
            .iter()
            .map(|(name, value)| (&**name, &**value));
        let named = [(":authority", &*request.host), (":path", &*request.path)];
        let fields: Vec<(&str, &str)> = named.into_iter().chain(fields).collect();
        // :method GET and the scheme are in everybody's table.
        let mut literal = vec![0x82, scheme];
        let mut indexed = literal.clone();
        for (at, (name, value)) in fields.iter().enumerate() {
            literal.push(0x40);
            push_text(&mut literal, name);
            push_text(&mut literal, value);
            // The newest entry is the first.
            let newer = u8::try_from(fields.len() - 1 - at).unwrap_or(u8::MAX - FIRST_OWN);
            indexed.push(0x80 | (FIRST_OWN + newer));
        }
        out.extend_from_slice(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
        let mut settings = vec![0, 2, 0, 0, 0, 0, 0, 4];
        settings.extend_from_slice(&WINDOW.to_be_bytes());
        push_frame(out, SETTINGS, 0, 0, &settings);
        push_frame(out, WINDOW_UPDATE, 0, 0, &(WINDOW - 65_535).to_be_bytes());
        Self {
            literal,
            indexed,
            stream: 1,
            rest: Vec::new(),
            taken: 0,
        }
    }

    /// Adds one more request to what goes out.
    pub(crate) fn send(&mut self, out: &mut Vec<u8>) {
        let block = if self.stream == 1 {
            &self.literal
        } else {
            &self.indexed
        };
        push_frame(out, HEADERS, END_STREAM | END_HEADERS, self.stream, block);
        self.stream += 2;
    }

    /// Takes bytes, adds what has to be said to them to `out`, and says how many answers ended.
    pub(crate) fn receive(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<usize, Fault> {
        let mut kept = std::mem::take(&mut self.rest);
        let mut left = if kept.is_empty() {
            bytes
        } else {
            kept.extend_from_slice(bytes);
            &kept
        };
        let mut ended = 0;
        while let Some((head, rest)) = left.split_at_checked(9) {
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            let Some((payload, rest)) = rest.split_at_checked(length as usize) else {
                break;
            };
            ended += self.frame(head[3], head[4], payload, out)?;
            left = rest;
        }
        self.rest = left.to_vec();
        Ok(ended)
    }

    fn frame(
        &mut self,
        kind: u8,
        flags: u8,
        payload: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<usize, Fault> {
        match kind {
            HEADERS if !begins_with_200(payload) => return Err(Fault("a status other than 200")),
            HEADERS => return Ok(usize::from(flags & END_STREAM != 0)),
            DATA => {
                self.taken += u32::try_from(payload.len()).unwrap_or(u32::MAX);
                if self.taken > WINDOW / 2 {
                    push_frame(out, WINDOW_UPDATE, 0, 0, &self.taken.to_be_bytes());
                    self.taken = 0;
                }
                return Ok(usize::from(flags & END_STREAM != 0));
            }
            SETTINGS if flags & ACK == 0 => push_frame(out, SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => push_frame(out, PING, ACK, 0, payload),
            RESET => return Err(Fault("a stream was reset")),
            GOAWAY => return Err(Fault("the proxy takes no more streams")),
            _ => {}
        }
        Ok(0)
    }
}

/// Whether a block of fields begins with the entry `:status 200` of everybody's table, after
/// changes of the size of the connection's own (RFC 7541 section 6.3).
fn begins_with_200(block: &[u8]) -> bool {
    let first = block.iter().find(|&&byte| byte & 0xe0 != 0x20);
    first == Some(&0x88)
}

/// A text as it is, its length before it (RFC 7541 section 5.2).
fn push_text(block: &mut Vec<u8>, text: &str) {
    match u8::try_from(text.len()) {
        Ok(length) if length < 127 => block.push(length),
        _ => {
            // Seven bits full, then what is more, seven bits at a time.
            block.push(127);
            let mut more = text.len() - 127;
            while more >= 128 {
                block.push((more % 128) as u8 | 128);
                more /= 128;
            }
            block.push(more as u8);
        }
    }
    block.extend_from_slice(text.as_bytes());
}

fn push_frame(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let length = u32::try_from(payload.len())
        .unwrap_or_default()
        .to_be_bytes();
    out.extend_from_slice(&length[1..]);
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Settings, then two answers of which the second is a head alone.
    fn answers(status: u8) -> Vec<u8> {
        let mut bytes = Vec::new();
        push_frame(&mut bytes, SETTINGS, 0, 0, &[]);
        push_frame(&mut bytes, HEADERS, END_HEADERS, 1, &[0x20, status]);
        push_frame(&mut bytes, DATA, END_STREAM, 1, b"body");
        push_frame(&mut bytes, HEADERS, END_HEADERS | END_STREAM, 3, &[status]);
        bytes
    }

    fn connection() -> Http2 {
        Http2::new(&Request::get(4), false, &mut Vec::new())
    }

    #[test]
    fn answers_end_however_they_are_cut() {
        let bytes = answers(0x88);
        for cut in 0..bytes.len() {
            let (mut connection, mut out) = (connection(), Vec::new());
            let ended = connection.receive(&bytes[..cut], &mut out).unwrap();
            let rest = connection.receive(&bytes[cut..], &mut out).unwrap();
            assert_eq!(ended + rest, 2);
            // The settings were acknowledged once.
            assert_eq!(out, [0, 0, 0, SETTINGS, ACK, 0, 0, 0, 0]);
        }
    }

    #[test]
    fn another_status_is_a_fault() {
        let refused = connection().receive(&answers(0x8d), &mut Vec::new());
        assert_eq!(refused, Err(Fault("a status other than 200")));
    }

    #[test]
    fn later_requests_name_the_fields_of_the_first() {
        let (mut connection, mut first, mut later) = (connection(), Vec::new(), Vec::new());
        connection.send(&mut first);
        connection.send(&mut later);
        // The head of a frame, two entries of everybody's table, eleven of its own.
        assert_eq!(later.len(), 9 + 2 + 11);
        assert_eq!(later[9 + 2], 0x80 | (FIRST_OWN + 10));
        assert!(first.len() > 400);
    }
}
