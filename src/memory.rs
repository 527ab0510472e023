//! Allocation of large values in place, prefetching of cold ones, and lines of the cache that no
//! other value shares.
//!
//! `Box::new(value)` takes a finished value from the stack and moves all of it, including parts
//! that are not initialized yet. The future of a request's walk has 2 KiB, of which its
//! construction writes some 20 bytes; made here it costs only these, and touches no cache line
//! before its use.

use std::{
    ops::Deref,
    pin::Pin,
    sync::atomic::{AtomicUsize, Ordering},
};

/// A value on cache lines of its own: two of them, since they are fetched in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Padded<T = AtomicUsize>(pub(crate) T);

impl<T> Deref for Padded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl Padded<AtomicUsize> {
    /// Takes one of `max`; false if all are taken.
    pub fn try_take(&self, max: usize) -> bool {
        self.0
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |taken| {
                (taken < max).then_some(taken + 1)
            })
            .is_ok()
    }

    /// Releases one.
    pub fn give_back(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Makes a value in its own memory.
pub(crate) fn boxed<T>(make: impl FnOnce() -> T) -> Box<T> {
    Box::write(Box::new_uninit(), make())
}

/// Makes a future in its own memory.
pub(crate) fn pinned<F>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::into_pin(boxed(make))
}

/// Prefetches the cache line that a value begins on. Does not wait, and has no effect if the line
/// is in the cache, or if the processor has no safe prefetch.
#[inline]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    safe_arch::prefetch_t0(value);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
