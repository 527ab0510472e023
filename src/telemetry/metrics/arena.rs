//! Memory for the cells of one writer.
//!
//! Cells of one worker lie together in blocks that no other worker's cells share, so that no two
//! workers write the same cache line. Returned cells are zeroed and reused; blocks live as long as
//! a cell in them is referenced.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Allocates ranges of cells to one writer.
#[derive(Debug, Default)]
pub(super) struct Arena {
    block: Option<Arc<Block>>,
    used: u32,
    free: HashMap<u32, Vec<CellRange>>,
}

/// Consecutive cells: one for a counter or gauge, several for a histogram.
#[derive(Clone, Debug)]
pub(super) struct CellRange {
    block: Arc<Block>,
    start: u32,
    len: u32,
}

/// Reads one worker's part of a gauge on any thread; meaningless once the gauge is dropped.
#[derive(Clone, Debug)]
pub struct GaugeReader(CellRange);

/// 128 bytes, because adjacent cache lines are fetched in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Block {
    cells: [AtomicU64; BLOCK_CELLS as usize],
}

impl Arena {
    /// Takes `len` zeroed cells; `len` is at most [`BLOCK_CELLS`]. Several cells begin at a cache
    /// line, so that the first of them share it.
    pub(super) fn take(&mut self, len: u32) -> CellRange {
        debug_assert!(len <= BLOCK_CELLS);
        if let Some(range) = self.free.get_mut(&len).and_then(Vec::pop) {
            return range;
        }
        if len > 1 {
            self.used = self.used.next_multiple_of(LINE_CELLS);
        }
        let block = match &self.block {
            Some(block) if self.used + len <= BLOCK_CELLS => Arc::clone(block),
            _ => {
                let block = Arc::new(Block {
                    cells: [const { AtomicU64::new(0) }; BLOCK_CELLS as usize],
                });
                self.block = Some(Arc::clone(&block));
                self.used = 0;
                block
            }
        };
        let start = self.used;
        self.used += len;
        CellRange { block, start, len }
    }

    /// Takes back cells that are no longer written or read.
    pub(super) fn give_back(&mut self, range: CellRange) {
        for cell in range.cells() {
            cell.store(0, Ordering::Relaxed);
        }
        self.free.entry(range.len).or_default().push(range);
    }
}

impl CellRange {
    /// The cells, in order.
    #[inline]
    pub(super) fn cells(&self) -> &[AtomicU64] {
        &self.block.cells[self.start as usize..(self.start + self.len) as usize]
    }

    /// Returns true if both refer to the same memory.
    pub(super) fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.block, &other.block) && self.start == other.start
    }
}

impl GaugeReader {
    pub(super) fn new(cells: CellRange) -> Self {
        Self(cells)
    }

    /// Current value.
    pub fn value(&self) -> i64 {
        let cell = self.0.cells().first();
        cell.map_or(0, |cell| cell.load(Ordering::Relaxed).cast_signed())
    }
}

/// 2 KiB of cells per block.
const BLOCK_CELLS: u32 = 256;

/// Cells on a cache line.
const LINE_CELLS: u32 = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_do_not_overlap_and_are_zeroed_when_reused() {
        let mut arena = Arena::default();
        let ranges: Vec<_> = (0..100).map(|n| arena.take(1 + n % 20)).collect();
        for range in &ranges {
            for cell in range.cells() {
                assert_eq!(cell.fetch_add(1, Ordering::Relaxed), 0);
            }
        }
        for range in ranges {
            arena.give_back(range);
        }
        for n in 0..100 {
            let range = arena.take(1 + n % 20);
            assert!(range.cells().iter().all(|c| c.load(Ordering::Relaxed) == 0));
        }
    }

    #[test]
    fn two_arenas_share_no_cache_line() {
        let (mut one, mut two) = (Arena::default(), Arena::default());
        let (a, b) = (one.take(1), two.take(1));
        let line = |range: &CellRange| std::ptr::from_ref(&range.cells()[0]).addr() / 128;
        assert_ne!(line(&a), line(&b));
    }
}
