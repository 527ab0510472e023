//! Sampling: selects the exchanges that are logged when not all are.
//!
//! Uses a hash of the request id, so that every proxy that sees a request decides alike.

/// A share of all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Hashes below this are selected; `None` selects all.
    below: Option<u64>,
}

impl Sample {
    /// Every request.
    pub const ALL: Self = Self { below: None };

    /// Selects `share` of the requests, from 0 to 1; values outside are clamped.
    pub fn new(share: f64) -> Self {
        if share >= 1.0 {
            return Self::ALL;
        }
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "clamped to 0..1, and `as` saturates"
        )]
        let below = (share.clamp(0.0, 1.0) * TWO_POW_64) as u64;
        Self { below: Some(below) }
    }

    /// Returns true if the request with this id is logged.
    pub fn takes(self, request_id: &str) -> bool {
        self.takes_draw(hash(request_id))
    }

    /// Returns true if a uniform random number falls into the share.
    pub fn takes_draw(self, draw: u64) -> bool {
        self.below.is_none_or(|below| draw < below)
    }
}

/// FNV-1a, then a finalizer, since FNV leaves the upper bits of similar ids alike.
fn hash(text: &str) -> u64 {
    let mut hash: u64 = 0xcbf2_9ce4_8422_2325;
    for byte in text.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    }
    hash ^= hash >> 33;
    hash = hash.wrapping_mul(0xff51_afd7_ed55_8ccd);
    hash ^ (hash >> 33)
}

const TWO_POW_64: f64 = 18_446_744_073_709_551_616.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_share_is_met_and_the_choice_is_stable() {
        let sample = Sample::new(0.1);
        let ids = (0..20_000).map(|n| format!("0190b3a0-0000-7000-8000-{n:012}"));
        let taken: Vec<_> = ids.filter(|id| sample.takes(id)).collect();
        assert!((1_800..2_200).contains(&taken.len()), "{}", taken.len());
        assert!(taken.iter().all(|id| Sample::new(0.2).takes(id)));
    }

    #[test]
    fn the_ends_take_all_and_none() {
        assert!(Sample::new(1.0).takes("x"));
        assert!(!Sample::new(0.0).takes("x"));
        assert!(!Sample::new(f64::NAN).takes("x"));
    }
}
