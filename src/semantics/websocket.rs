//! WebSocket rules for a proxy: the handshake, frame boundaries, the close frame.
//!
//! Source: RFC 6455 sections 4, 5.2 and 7.4.1; RFC 8441 for HTTP/2, where the handshake has
//! no key: towards an HTTP/1.1 endpoint the proxy makes one.

use http::{HeaderName, HeaderValue};

use super::{
    base64,
    headers::{Headers, Known},
};

/// The nonce of a client.
pub const KEY: HeaderName = HeaderName::from_static("sec-websocket-key");
/// A close frame of a server with the code 1001 (going away).
pub const GOING_AWAY: [u8; 4] = [0x88, 2, 0x03, 0xe9];

/// A handshake made by the proxy for a client that has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handshake {
    key: String,
}

impl Handshake {
    /// Makes a handshake with this nonce.
    pub fn new(nonce: [u8; 16]) -> Self {
        Self {
            key: base64::encode(&nonce),
        }
    }

    /// Adds the handshake to a request.
    pub fn ask(&self, headers: &mut Headers) {
        if let Ok(key) = HeaderValue::try_from(self.key.as_str()) {
            headers.insert(Known::SecWebSocketKey, key);
        }
    }

    /// Returns true if an answer proves that the server read this handshake.
    pub fn is_accepted(&self, headers: &Headers) -> bool {
        let expected = accept_of(self.key.as_bytes());
        headers
            .get(Known::SecWebSocketAccept)
            .is_some_and(|accept| accept.as_bytes() == expected.as_bytes())
    }
}

/// Returns the `Sec-WebSocket-Accept` value for the client's key.
pub fn proof_of(key: &[u8]) -> Option<HeaderValue> {
    HeaderValue::try_from(accept_of(key)).ok()
}

/// Returns the same frame of a client, masked with an unpredictable key.
pub fn going_away_masked(key: [u8; 4]) -> [u8; 8] {
    let [head, length, high, low] = GOING_AWAY;
    let [a, b, c, d] = key;
    [head, length | 0x80, a, b, c, d, high ^ a, low ^ b]
}

/// Returns true if a 101 names WebSocket as its protocol.
pub fn is_named(headers: &Headers) -> bool {
    headers
        .get(Known::Upgrade)
        .is_some_and(|protocol| protocol.as_bytes().eq_ignore_ascii_case(b"websocket"))
}

/// Follows frames to find their boundaries. Constant memory; reads only their heads.
#[derive(Debug, Default)]
pub struct Frames {
    head: Vec<u8>,
    /// Bytes left of a payload.
    left: u64,
}

impl Frames {
    /// Follows these bytes.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let skipped =
                usize::try_from(self.left).map_or(bytes.len(), |left| left.min(bytes.len()));
            self.left -= skipped as u64;
            bytes = &bytes[skipped..];
            let Some((first, rest)) = bytes.split_first() else {
                return;
            };
            self.head.push(*first);
            bytes = rest;
            if let Some(length) = payload_of(&self.head) {
                self.head.clear();
                self.left = length;
            }
        }
    }

    /// Returns true at a frame boundary.
    pub fn is_between(&self) -> bool {
        self.left == 0 && self.head.is_empty()
    }
}

/// Returns the length of the payload after a head; none until the head is complete.
fn payload_of(head: &[u8]) -> Option<u64> {
    let second = *head.get(1)?;
    let mask = if second & 0x80 == 0 { 0 } else { 4 };
    let width = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let length = head.get(2..2 + width)?;
    if head.len() < 2 + width + mask {
        return None;
    }
    Some(match width {
        0 => u64::from(second & 0x7f),
        _ => length
            .iter()
            .fold(0, |sum: u64, byte| sum << 8 | u64::from(*byte)),
    })
}

fn accept_of(key: &[u8]) -> String {
    base64::encode(&sha1(
        &[key, b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"].concat(),
    ))
}

/// SHA-1 (RFC 3174). Broken as a signature; here only a checksum that the standard requires.
fn sha1(message: &[u8]) -> [u8; 20] {
    let mut padded = message.to_vec();
    padded.push(0x80);
    padded.resize(padded.len().next_multiple_of(64), 0);
    if padded.len() - message.len() < 9 {
        padded.resize(padded.len() + 64, 0);
    }
    let bits = (message.len() as u64 * 8).to_be_bytes();
    let end = padded.len();
    padded[end - 8..].copy_from_slice(&bits);
    let mut state = [
        0x6745_2301_u32,
        0xefcd_ab89,
        0x98ba_dcfe,
        0x1032_5476,
        0xc3d2_e1f0,
    ];
    for block in padded.chunks_exact(64) {
        compress(&mut state, block);
    }
    let mut digest = [0; 20];
    for (place, word) in digest.chunks_exact_mut(4).zip(state) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

fn compress(state: &mut [u32; 5], block: &[u8]) {
    let mut words = [0_u32; 80];
    for (word, bytes) in words.iter_mut().zip(block.chunks_exact(4)) {
        *word = bytes
            .iter()
            .fold(0, |word, byte| word << 8 | u32::from(*byte));
    }
    for at in 16..80 {
        let mixed = words[at - 3] ^ words[at - 8] ^ words[at - 14] ^ words[at - 16];
        words[at] = mixed.rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (round, word) in words.iter().enumerate() {
        let (mix, constant) = match round / 20 {
            0 => (b & c | !b & d, 0x5a82_7999),
            1 => (b ^ c ^ d, 0x6ed9_eba1),
            2 => (b & c | b & d | c & d, 0x8f1b_bcdc),
            _ => (b ^ c ^ d, 0xca62_c1d6_u32),
        };
        let next = a
            .rotate_left(5)
            .wrapping_add(mix)
            .wrapping_add(e)
            .wrapping_add(constant)
            .wrapping_add(*word);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
    for (word, more) in state.iter_mut().zip([a, b, c, d, e]) {
        *word = word.wrapping_add(more);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::Value;

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn digests_are_those_of_the_standard() {
        for (message, digest) in [
            ("", "da39a3ee5e6b4b0d3255bfef95601890afd80709"),
            ("abc", "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (
                "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
                "84983e441c3bd26ebaae4aa1f95129e5e54670f1",
            ),
        ] {
            assert_eq!(hex(&sha1(message.as_bytes())), digest);
        }
        let million = sha1(&[b'a'; 1_000_000]);
        assert_eq!(hex(&million), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    }

    #[test]
    fn the_proof_is_that_of_the_standard() {
        let nonce = *b"the sample nonce";
        let handshake = Handshake::new(nonce);
        assert_eq!(handshake.key, "dGhlIHNhbXBsZSBub25jZQ==");
        let mut headers = Headers::new();
        assert!(!handshake.is_accepted(&headers));
        let proof = Value::from_static("s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
        headers.insert(Known::SecWebSocketAccept, proof);
        assert!(handshake.is_accepted(&headers));
        let mut asked = Headers::new();
        handshake.ask(&mut asked);
        let key = asked.get(Known::SecWebSocketKey).unwrap();
        assert_eq!(key, "dGhlIHNhbXBsZSBub25jZQ==");
        let proof = proof_of(key.as_bytes()).unwrap();
        assert_eq!(proof, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn the_goodbye_of_a_client_is_that_of_a_server_under_a_mask() {
        let frame = going_away_masked([1, 2, 3, 4]);
        assert_eq!(frame, [0x88, 0x82, 1, 2, 3, 4, 3 ^ 1, 0xe9 ^ 2]);
        let mut frames = Frames::default();
        frames.feed(&frame);
        assert!(frames.is_between());
    }

    #[test]
    fn frames_end_where_their_length_says_however_they_are_cut() {
        let mut stream = vec![0x81, 2, b'h', b'i'];
        stream.extend([0x82, 0x83, 1, 2, 3, 4, 0, 0, 0]);
        stream.extend([0x82, 126, 1, 0]);
        stream.extend([0x88; 256]);
        stream.extend([0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        stream.extend(vec![0x88; 65_536]);
        stream.extend([0x89, 0]);
        let ends = [4, 13, 273, 65_819, 65_821];
        for size in [1, 3, 1000] {
            let mut frames = Frames::default();
            assert!(frames.is_between());
            let mut at = 0;
            for piece in stream.chunks(size) {
                frames.feed(piece);
                at += piece.len();
                assert_eq!(frames.is_between(), ends.contains(&at), "{at} in {size}");
            }
        }
    }
}
