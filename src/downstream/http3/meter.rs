//! Counts what costs a client nothing and a server something, over HTTP/3.
//!
//! As over HTTP/2: each kind has a bucket that time refills, and requests that are served to their
//! end pay for some that are cancelled. QUIC's own frames are counted by nobody: each needs a packet
//! of its own, which costs the client as much.

use tokio::time::Instant;

use crate::downstream::bucket::Bucket;

/// Follows one client connection. Pure, constant memory.
#[derive(Debug)]
pub(crate) struct Meter {
    /// Requests that were cancelled, or broke a rule.
    resets: Bucket,
    /// Frames and streams of unknown types.
    unknown: Bucket,
    /// Frames of the control stream, and cancellations on the decoder stream.
    control: Bucket,
    /// Body frames without data.
    empty: Bucket,
}

/// A kind of what is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Burden {
    /// A request that was cancelled, or broke a rule.
    Reset,
    /// A frame or stream of an unknown type.
    Unknown,
    /// A frame on the control stream, or an instruction on one of field compression.
    Control,
    /// A body frame without data.
    Empty,
}

impl Burden {
    /// Word for it in metrics.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Reset => "resets",
            Self::Unknown => "unknown",
            Self::Control => "control",
            Self::Empty => "data",
        }
    }
}

impl Meter {
    /// Starts with the connection.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            resets: Bucket::new(1000.0, 100.0, now),
            unknown: Bucket::new(1000.0, 100.0, now),
            control: Bucket::new(1000.0, 100.0, now),
            empty: Bucket::new(1000.0, 100.0, now),
        }
    }

    /// Counts one; false if it is a flood.
    pub(crate) fn count(&mut self, burden: Burden, now: Instant) -> bool {
        let bucket = match burden {
            Burden::Reset => &mut self.resets,
            Burden::Unknown => &mut self.unknown,
            Burden::Control => &mut self.control,
            Burden::Empty => &mut self.empty,
        };
        bucket.take(now)
    }

    /// Counts a request that has begun.
    pub(crate) fn count_request(&mut self) {
        self.resets.give(RESETS_PER_REQUEST);
        // A client that cancels it may say so on its decoder stream, too.
        self.control.give(1.0);
    }
}

/// Share of a reset that each request pays for.
const RESETS_PER_REQUEST: f64 = 0.5;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn who_cancels_half_of_its_requests_is_no_flood_and_who_cancels_all_is() {
        let now = Instant::now();
        let mut half = Meter::new(now);
        for _ in 0..50_000 {
            half.count_request();
            half.count_request();
            assert!(half.count(Burden::Reset, now));
        }
        let mut all = Meter::new(now);
        let cancelled = (0..5000).take_while(|_| {
            all.count_request();
            all.count(Burden::Reset, now)
        });
        assert!((1900..2100).contains(&cancelled.count()));
    }

    #[test]
    fn cancellations_on_the_decoder_stream_are_paid_for_by_their_requests() {
        let now = Instant::now();
        let mut meter = Meter::new(now);
        for _ in 0..50_000 {
            meter.count_request();
            assert!(meter.count(Burden::Control, now));
        }
    }

    #[test]
    fn each_kind_has_its_bound_that_time_refills() {
        for burden in [Burden::Unknown, Burden::Control, Burden::Empty] {
            let now = Instant::now();
            let mut meter = Meter::new(now);
            let fits = (0..5000).take_while(|_| meter.count(burden, now)).count();
            assert_eq!(fits, 1000, "{burden:?}");
            assert!(meter.count(burden, now + Duration::from_secs(1)));
        }
    }
}
