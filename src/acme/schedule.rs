//! Times at which a certificate is renewed, and at which a failed order is tried again.
//!
//! Times are seconds of Unix time; clock and random numbers are passed in.

use std::time::Duration;

/// Time in which a CA wants a certificate to be renewed (RFC 9773 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// Its start.
    pub start: i64,
    /// Its end.
    pub end: i64,
}

/// Returns the time at which a certificate is renewed: a random one in the window of the CA; without
/// a window, when a third of its lifetime is left, earlier by up to a thirtieth. `draw` is from 0
/// to 1.
///
/// A window that ends after the certificate does is not believed.
pub fn renewal(begins: i64, expires: i64, window: Option<Window>, draw: f64) -> i64 {
    let draw = draw.clamp(0.0, 1.0);
    let life = expires.saturating_sub(begins).max(0);
    let own = expires - life / 3 - part(life / 30, draw);
    match window {
        Some(window) if window.start <= window.end && window.end < expires => {
            window.start + part(window.end - window.start, draw)
        }
        _ => own,
    }
}

/// Returns the wait after this many failures in a row: random up to a bound that doubles. What the
/// CA itself refused is asked again later than what did not reach it. `draw` is from 0 to 1.
pub fn wait(failures: u32, is_refusal: bool, retry_after: Option<Duration>, draw: f64) -> Duration {
    let (least, most) = if is_refusal {
        (REFUSED_LEAST, REFUSED_MOST)
    } else {
        (UNREACHED_LEAST, UNREACHED_MOST)
    };
    let doublings = failures.min(DOUBLINGS_MAX);
    let bound = least.saturating_mul(1 << doublings).min(most);
    let wait = least + (bound.saturating_sub(least)).mul_f64(draw.clamp(0.0, 1.0));
    wait.max(retry_after.unwrap_or_default().min(RETRY_AFTER_MOST))
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    reason = "a share of some years in seconds"
)]
fn part(whole: i64, draw: f64) -> i64 {
    (whole as f64 * draw) as i64
}

/// Let's Encrypt allows five failed proofs of a name in an hour.
const REFUSED_LEAST: Duration = Duration::from_secs(5 * 60);
const REFUSED_MOST: Duration = Duration::from_secs(12 * 3600);
const UNREACHED_LEAST: Duration = Duration::from_secs(2);
const UNREACHED_MOST: Duration = Duration::from_secs(3600);
/// Longest wait that a CA may ask for: limits at Let's Encrypt last a week.
const RETRY_AFTER_MOST: Duration = Duration::from_secs(7 * 24 * 3600);
const DOUBLINGS_MAX: u32 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    #[test]
    fn a_third_of_the_lifetime_is_left_at_a_renewal() {
        assert_eq!(renewal(0, 90 * DAY, None, 0.0), 60 * DAY);
        assert_eq!(renewal(0, 90 * DAY, None, 1.0), 57 * DAY);
        assert_eq!(renewal(0, 30, None, 0.5), 20);
        assert_eq!(renewal(10, 0, None, 0.5), 0);
    }

    #[test]
    fn the_window_of_the_ca_counts_if_it_ends_in_time() {
        let window = |start, end| Some(Window { start, end });
        let at = |window, draw| renewal(0, 90, window, draw);
        assert_eq!(at(window(10, 20), 0.0), 10);
        assert_eq!(at(window(10, 20), 1.0), 20);
        // Revoked: renew at once.
        assert_eq!(at(window(-20, -10), 0.5), -15);
        for wrong in [window(20, 10), window(80, 90), window(100, 200)] {
            assert_eq!(at(wrong, 0.0), 60, "{wrong:?}");
        }
    }

    #[test]
    fn waits_double_up_to_hours_and_honour_what_the_ca_asks_for() {
        let at = |failures, refused, draw| wait(failures, refused, None, draw).as_secs();
        assert_eq!([1, 2, 3].map(|it| at(it, true, 1.0)), [600, 1200, 2400]);
        assert_eq!([1, 2, 3].map(|it| at(it, true, 0.0)), [300, 300, 300]);
        assert_eq!([1, 2, 3].map(|it| at(it, false, 1.0)), [4, 8, 16]);
        assert_eq!(at(u32::MAX, true, 1.0), 12 * 3600);
        assert_eq!(at(u32::MAX, false, 1.0), 3600);
        let asked = |seconds| wait(1, true, Some(Duration::from_secs(seconds)), 0.0).as_secs();
        assert_eq!(asked(7200), 7200);
        assert_eq!(asked(10), 300);
        assert_eq!(asked(u64::MAX), 7 * 24 * 3600);
    }
}
