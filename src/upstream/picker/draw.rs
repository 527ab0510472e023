//! Several random numbers from one draw, and the mixing of hashes.

/// Mixes the bits of a number into all bits of the result, one to one.
///
/// The finaliser of SplitMix64 (Steele, Lea, Flood: "Fast splittable pseudorandom number
/// generators", 2014). Without a seed on purpose: every worker, proxy and release must place the
/// same key on the same endpoint.
pub const fn mix(mut bits: u64) -> u64 {
    bits = bits.wrapping_add(GOLDEN_GAMMA);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// A SplitMix64 sequence that starts at the draw of the pick.
pub(super) struct Draws(u64);

impl Draws {
    pub(super) fn new(draw: u64) -> Self {
        Self(draw)
    }

    pub(super) fn next(&mut self) -> u64 {
        let bits = mix(self.0);
        self.0 = self.0.wrapping_add(GOLDEN_GAMMA);
        bits
    }
}

/// Maps a uniform draw to `0..count`; 0 for an empty range. The bias is below `count / 2^64`.
pub(super) fn below(draw: u64, count: u64) -> u64 {
    draw.carrying_mul(count, 0).1
}

/// [`below`] for positions in a slice.
pub(super) fn position(draw: u64, len: usize) -> usize {
    usize::try_from(below(draw, len as u64)).unwrap_or_default()
}

const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sequence_is_the_published_one() {
        // First outputs of SplitMix64 for seed 1234567, as other implementations give them.
        let mut draws = Draws::new(1_234_567);
        assert_eq!(draws.next(), 6_457_827_717_110_365_317);
        assert_eq!(draws.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn ends_of_the_range_are_reached_and_not_passed() {
        assert_eq!(below(0, 7), 0);
        assert_eq!(below(u64::MAX, 7), 6);
        assert_eq!(below(u64::MAX, 0), 0);
        assert_eq!(position(u64::MAX, 1), 0);
    }
}
