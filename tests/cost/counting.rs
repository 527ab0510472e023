//! The system's allocator, counting what marked threads ask of it.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// Independent counts; the first is for threads that nobody marked.
pub(crate) const SLOTS: usize = 8;

/// Allocations made.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Spent {
    pub(crate) allocations: u64,
    pub(crate) bytes: u64,
}

impl Spent {
    /// Returns the allocations after `before`.
    pub(crate) fn since(self, before: Self) -> Self {
        Self {
            allocations: self.allocations - before.allocations,
            bytes: self.bytes - before.bytes,
        }
    }
}

/// Held by the test that counts: threads that nobody marked share a slot.
pub(crate) static ALONE: Mutex<()> = Mutex::new(());

/// From here on the calling thread counts in this slot.
pub(crate) fn mark(slot: usize) {
    SLOT.set(slot);
}

/// All that the threads of a slot have asked for.
pub(crate) fn total(slot: usize) -> Spent {
    Spent {
        allocations: COUNTS[slot].allocations.load(Relaxed),
        bytes: COUNTS[slot].bytes.load(Relaxed),
    }
}

struct Count {
    allocations: AtomicU64,
    bytes: AtomicU64,
}

static COUNTS: [Count; SLOTS] = [const {
    Count {
        allocations: AtomicU64::new(0),
        bytes: AtomicU64::new(0),
    }
}; SLOTS];

thread_local! {
    static SLOT: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

#[global_allocator]
static COUNTING: Counting = Counting;

impl Counting {
    fn count(bytes: usize) {
        // A thread that is ending has no slot any more.
        let slot = SLOT.try_with(Cell::get).unwrap_or_default();
        COUNTS[slot].allocations.fetch_add(1, Relaxed);
        COUNTS[slot].bytes.fetch_add(bytes as u64, Relaxed);
    }
}

#[expect(
    unsafe_code,
    reason = "counting allocations needs an allocator of our own"
)]
// SAFETY: every call is handed on unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        // SAFETY: the caller keeps the contract of this same function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        Self::count(layout.size());
        // SAFETY: as above.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        Self::count(size);
        // SAFETY: as above, and the pointer came from the system's allocator.
        unsafe { System.realloc(pointer, layout, size) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}
