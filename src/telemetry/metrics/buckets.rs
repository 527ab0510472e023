//! Cells of a histogram: the sum of its durations, one for each bound, one for longer ones.

use std::time::Duration;

/// For each cell of a histogram with the bounds `fine`, the cell of one with the bounds `coarse`,
/// which are some of `fine`. `N` is the number of cells: two more than bounds.
pub const fn coarser_cells<const N: usize>(fine: &[u64], coarse: &[u64]) -> [u8; N] {
    let mut cells = [0; N];
    let (mut cell, mut place) = (1, 0);
    while cell < N {
        let bound = if cell <= fine.len() {
            fine[cell - 1]
        } else {
            u64::MAX
        };
        while place < coarse.len() && coarse[place] < bound {
            place += 1;
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "there are at most 64 bounds"
        )]
        let coarser = place as u8 + 1;
        cells[cell] = coarser;
        cell += 1;
    }
    cells
}

/// Returns the duration in nanoseconds, and the cell of its bound.
#[inline]
pub(super) fn bucket(bounds_ns: &[u64], duration: Duration) -> (u64, usize) {
    let ns = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
    (ns, 1 + bounds_ns.partition_point(|bound| *bound < ns))
}
