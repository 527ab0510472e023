//! Large values are made where they stay, and cold ones fetched before they are needed.
//!
//! `Box::new(value)` takes a value that has been made already, on the stack, and moves all of
//! it, whatever of it has a meaning yet. The future of a request's walk has 2 KiB, of which
//! its making writes some 20 bytes; what is made here costs these, and touches no line of
//! memory before it is used.

use std::pin::Pin;

/// A value in memory of its own.
pub(crate) fn boxed<T>(make: impl FnOnce() -> T) -> Box<T> {
    Box::write(Box::new_uninit(), make())
}

/// A future in memory of its own.
pub(crate) fn pinned<F>(make: impl FnOnce() -> F) -> Pin<Box<F>> {
    Box::into_pin(boxed(make))
}

/// Asks for the line of the cache that a value begins on. Waits for nothing, and is forgotten
/// if the line is there; nothing where the processor has no safe way to ask.
#[inline]
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    safe_arch::prefetch_t0(value);
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}
