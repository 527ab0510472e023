//! Counts HTTP/2 frames that cost a client nothing and a server something.
//!
//! Each kind that can flood (RFC 9113 section 10.5) has a bucket that time refills. Streams refill
//! the bucket of resets, so that a client may cancel half of its requests at any rate, but not all
//! of them (CVE-2023-44487), nor cause us to reset them (CVE-2025-8671).

use tokio::time::Instant;

use crate::{
    downstream::bucket::Bucket,
    http2::frame::{ACK, END_STREAM, FrameHead, Kind},
};

/// Follows the frames of one client connection. Pure, constant memory.
#[derive(Debug)]
pub(crate) struct Meter {
    resets: Bucket,
    pings: Bucket,
    settings: Bucket,
    priorities: Bucket,
    /// Body frames without data.
    empty: Bucket,
    flood: Option<&'static str>,
}

impl Meter {
    /// Starts with the connection.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            resets: Bucket::new(1000.0, 100.0, now),
            pings: Bucket::new(10_000.0, 1000.0, now),
            settings: Bucket::new(100.0, 10.0, now),
            priorities: Bucket::new(1000.0, 100.0, now),
            empty: Bucket::new(1000.0, 100.0, now),
            flood: None,
        }
    }

    /// Counts a frame that has arrived.
    #[inline]
    pub(crate) fn count(&mut self, head: &FrameHead, now: Instant) {
        if head.kind == Some(Kind::Headers) {
            self.resets.give(RESETS_PER_STREAM);
        } else if head.kind != Some(Kind::WindowUpdate) {
            self.count_burden(head, now);
        }
    }

    fn count_burden(&mut self, head: &FrameHead, now: Instant) {
        let (fits, reason) = match head.kind {
            Some(Kind::Priority) => (self.priorities.take(now), "priorities"),
            Some(Kind::Reset) => (self.resets.take(now), "resets"),
            Some(Kind::Settings) if !head.has(ACK) => (self.settings.take(now), "settings"),
            Some(Kind::Ping) if !head.has(ACK) => (self.pings.take(now), "pings"),
            Some(Kind::Data) if head.length == 0 && !head.has(END_STREAM) => {
                (self.empty.take(now), "data")
            }
            _ => return,
        };
        if !fits {
            self.flooded(reason);
        }
    }

    /// Returns true if the client cancels most of its requests: they are worth no work before it is
    /// known that they stay.
    #[inline]
    pub(crate) fn is_wary(&self) -> bool {
        self.resets.spent() > WARY_AFTER
    }

    /// Counts a reset by us for a client's violation on a stream.
    pub(crate) fn count_fault(&mut self, now: Instant) {
        if !self.resets.take(now) {
            self.flooded("resets");
        }
    }

    /// Undoes the count of the last reset: it was no burden.
    pub(crate) fn forgive_reset(&mut self) {
        self.resets.give(1.0);
    }

    /// Notes a flood of some kind.
    pub(crate) fn flooded(&mut self, reason: &'static str) {
        self.flood.get_or_insert(reason);
    }

    /// The kind of the first flood.
    pub(crate) fn flood(&self) -> Option<&'static str> {
        self.flood
    }
}

/// Share of a reset that each stream pays for.
const RESETS_PER_STREAM: f64 = 0.5;
/// Resets beyond that share after which a client's requests begin later.
const WARY_AFTER: f64 = 64.0;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn frame(kind: Kind, flags: u8, length: usize) -> FrameHead {
        FrameHead {
            length,
            kind: Some(kind),
            flags,
            stream: 1,
        }
    }

    fn meter() -> (Meter, Instant) {
        let now = Instant::now();
        (Meter::new(now), now)
    }

    fn sent(
        meter: &mut Meter,
        now: Instant,
        count: usize,
        frames: &[FrameHead],
    ) -> Option<&'static str> {
        for _ in 0..count {
            frames.iter().for_each(|frame| meter.count(frame, now));
        }
        meter.flood()
    }

    #[test]
    fn each_kind_has_its_bound() {
        for (kind, length, fits, reason) in [
            (Kind::Reset, 4, 1000, "resets"),
            (Kind::Ping, 8, 10_000, "pings"),
            (Kind::Settings, 6, 100, "settings"),
            (Kind::Priority, 5, 1000, "priorities"),
            (Kind::Data, 0, 1000, "data"),
        ] {
            let (mut meter, now) = meter();
            let frame = [frame(kind, 0, length)];
            assert_eq!(sent(&mut meter, now, fits, &frame), None);
            assert_eq!(sent(&mut meter, now, 1, &frame), Some(reason));
        }
    }

    #[test]
    fn who_cancels_half_of_its_streams_is_no_flood_and_who_cancels_all_is() {
        let (open, cancel) = (frame(Kind::Headers, 5, 30), frame(Kind::Reset, 0, 4));
        let (mut half, now) = meter();
        assert_eq!(sent(&mut half, now, 50_000, &[open, open, cancel]), None);
        assert!(!half.is_wary());
        let (mut all, now) = meter();
        assert_eq!(sent(&mut all, now, 100, &[open, cancel]), None);
        assert!(!all.is_wary());
        assert_eq!(sent(&mut all, now, 1800, &[open, cancel]), None);
        assert!(all.is_wary());
        assert_eq!(sent(&mut all, now, 200, &[open, cancel]), Some("resets"));
    }

    #[test]
    fn who_makes_us_cancel_all_of_its_streams_is_a_flood_too() {
        let (mut meter, now) = meter();
        for _ in 0..2100 {
            meter.count(&frame(Kind::Headers, 5, 30), now);
            meter.count_fault(now);
        }
        assert_eq!(meter.flood(), Some("resets"));
    }

    #[test]
    fn time_refills_and_answers_cost_nothing() {
        let (mut meter, now) = meter();
        let settings = [frame(Kind::Settings, 0, 6)];
        assert_eq!(sent(&mut meter, now, 100, &settings), None);
        let later = now + Duration::from_secs(1);
        assert_eq!(sent(&mut meter, later, 10, &settings), None);
        let answer = [frame(Kind::Settings, ACK, 0)];
        assert_eq!(sent(&mut meter, later, 5000, &answer), None);
        let body = [frame(Kind::Data, 0, 100)];
        assert_eq!(sent(&mut meter, later, 50_000, &body), None);
        assert_eq!(sent(&mut meter, later, 1, &settings), Some("settings"));
    }
}
