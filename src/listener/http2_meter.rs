//! Counts the HTTP/2 frames that cost a client nothing and a server something.
//!
//! Stands between the socket and the HTTP/2 connection and looks only at frame heads
//! (RFC 9113 section 4.1). Each kind that can flood (section 10.5) has a bucket that time
//! refills; streams refill that of resets, so that a client may cancel half of what it asks
//! for as fast as it likes, but not all of it (CVE-2023-44487). What fits no bucket is
//! bounded by the HTTP/2 connection: continuations, header lists, tiny data frames.

use std::time::Duration;

use tokio::time::Instant;

/// Follows what a client sends on one connection. Pure, constant memory.
#[derive(Debug)]
pub(super) struct Meter {
    /// Bytes that are not looked at: the preface, then payloads.
    skip: usize,
    head: [u8; HEAD],
    /// How much of a head has come.
    have: usize,
    resets: Bucket,
    pings: Bucket,
    settings: Bucket,
    priorities: Bucket,
    flood: Option<&'static str>,
    /// The kind of the frame that came last.
    last: u8,
    resets_seen: bool,
}

#[derive(Debug)]
struct Bucket {
    left: f64,
    max: f64,
    per_second: f64,
    at: Instant,
}

impl Meter {
    /// Starts before the preface.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            skip: PREFACE,
            head: [0; HEAD],
            have: 0,
            resets: Bucket::new(1000.0, 100.0, now),
            pings: Bucket::new(10_000.0, 1000.0, now),
            settings: Bucket::new(100.0, 10.0, now),
            priorities: Bucket::new(1000.0, 100.0, now),
            flood: None,
            last: SETTINGS,
            resets_seen: false,
        }
    }

    /// Looks at what has arrived.
    pub(super) fn feed(&mut self, mut bytes: &[u8], now: Instant) {
        while !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len());
            self.skip -= skipped;
            bytes = &bytes[skipped..];
            let taken = (HEAD - self.have).min(bytes.len());
            self.head[self.have..self.have + taken].copy_from_slice(&bytes[..taken]);
            self.have += taken;
            bytes = &bytes[taken..];
            if self.have == HEAD {
                self.have = 0;
                let [a, b, c, kind, flags, ..] = self.head;
                self.skip = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
                self.count(kind, flags, now);
            }
        }
    }

    /// The first kind of frame of which there were too many.
    pub(super) fn flood(&self) -> Option<&'static str> {
        self.flood
    }

    /// What the HTTP/2 connection most likely found too much of: it does not say.
    pub(super) fn likely_flood(&self) -> &'static str {
        match self.last {
            DATA => "data",
            CONTINUATION => "continuations",
            _ if self.resets_seen => "resets",
            _ => "headers",
        }
    }

    fn count(&mut self, kind: u8, flags: u8, now: Instant) {
        self.last = kind;
        let acknowledged = flags & ACK != 0;
        let (fits, reason) = match kind {
            HEADERS => {
                self.resets.give(RESETS_PER_STREAM);
                return;
            }
            PRIORITY => (self.priorities.take(now), "priorities"),
            RST_STREAM => {
                self.resets_seen = true;
                (self.resets.take(now), "resets")
            }
            SETTINGS if !acknowledged => (self.settings.take(now), "settings"),
            PING if !acknowledged => (self.pings.take(now), "pings"),
            _ => return,
        };
        if !fits {
            self.flood.get_or_insert(reason);
        }
    }
}

impl Bucket {
    fn new(max: f64, per_second: f64, now: Instant) -> Self {
        Self {
            left: max,
            max,
            per_second,
            at: now,
        }
    }

    fn give(&mut self, count: f64) {
        self.left = (self.left + count).min(self.max);
    }

    fn take(&mut self, now: Instant) -> bool {
        let passed: Duration = now.saturating_duration_since(self.at);
        self.at = now;
        self.give(passed.as_secs_f64() * self.per_second);
        let fits = self.left >= 1.0;
        if fits {
            self.left -= 1.0;
        }
        fits
    }
}

const HEAD: usize = 9;
const PREFACE: usize = 24;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const PRIORITY: u8 = 2;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const CONTINUATION: u8 = 9;
const ACK: u8 = 1;
/// How much of a reset each stream pays for.
const RESETS_PER_STREAM: f64 = 0.5;

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: u8, flags: u8, payload: usize) -> Vec<u8> {
        let length = u32::try_from(payload).unwrap().to_be_bytes();
        let mut frame = length[1..].to_vec();
        frame.extend([kind, flags, 0, 0, 0, 1]);
        // A payload that looks like frames must not be taken for them.
        frame.extend(std::iter::repeat_n(RST_STREAM, payload));
        frame
    }

    fn meter() -> (Meter, Instant) {
        let now = Instant::now();
        let mut meter = Meter::new(now);
        meter.feed(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", now);
        (meter, now)
    }

    fn sent(meter: &mut Meter, now: Instant, count: usize, frames: &[u8]) -> Option<&'static str> {
        (0..count).for_each(|_| meter.feed(frames, now));
        meter.flood()
    }

    #[test]
    fn each_kind_has_its_bound() {
        for (kind, fits, reason) in [
            (RST_STREAM, 1000, "resets"),
            (PING, 10_000, "pings"),
            (SETTINGS, 100, "settings"),
            (PRIORITY, 1000, "priorities"),
        ] {
            let (mut meter, now) = meter();
            assert_eq!(sent(&mut meter, now, fits, &frame(kind, 0, 8)), None);
            assert_eq!(sent(&mut meter, now, 1, &frame(kind, 0, 8)), Some(reason));
        }
    }

    #[test]
    fn who_cancels_half_of_its_streams_is_no_flood_and_who_cancels_all_is() {
        let (mut half, now) = meter();
        let two = [
            frame(HEADERS, 5, 30),
            frame(HEADERS, 5, 30),
            frame(RST_STREAM, 0, 4),
        ]
        .concat();
        assert_eq!(sent(&mut half, now, 50_000, &two), None);
        let (mut all, now) = meter();
        let both = [frame(HEADERS, 5, 30), frame(RST_STREAM, 0, 4)].concat();
        assert_eq!(sent(&mut all, now, 1900, &both), None);
        assert_eq!(sent(&mut all, now, 200, &both), Some("resets"));
    }

    #[test]
    fn time_refills_and_answers_cost_nothing() {
        let (mut meter, now) = meter();
        assert_eq!(sent(&mut meter, now, 100, &frame(SETTINGS, 0, 0)), None);
        let later = now + Duration::from_secs(1);
        assert_eq!(sent(&mut meter, later, 10, &frame(SETTINGS, 0, 0)), None);
        assert_eq!(
            sent(&mut meter, later, 5000, &frame(SETTINGS, ACK, 0)),
            None
        );
        assert_eq!(sent(&mut meter, later, 50_000, &frame(0, 0, 100)), None);
        assert_eq!(
            sent(&mut meter, later, 1, &frame(SETTINGS, 0, 0)),
            Some("settings")
        );
    }

    #[test]
    fn it_does_not_matter_how_the_bytes_are_cut() {
        let stream: Vec<u8> = [
            frame(HEADERS, 5, 300),
            frame(PING, 0, 8),
            frame(0, 0, 70_000),
        ]
        .concat()
        .into_iter()
        .chain((0..101).flat_map(|_| frame(SETTINGS, 0, 6)))
        .collect();
        for size in [1, 2, 7, 9, 10, 4096] {
            let (mut meter, now) = meter();
            let (last, before) = (stream.len() - 7, stream.len() - 30);
            for piece in stream[..before].chunks(size) {
                meter.feed(piece, now);
            }
            assert_eq!(meter.flood(), None, "pieces of {size}");
            for piece in stream[before..last].chunks(size) {
                meter.feed(piece, now);
            }
            meter.feed(&stream[last..], now);
            assert_eq!(meter.flood(), Some("settings"), "pieces of {size}");
        }
    }
}
