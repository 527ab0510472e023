//! Storage of a waker.

use std::task::{Context, Waker};

/// Remembers the task that polls. Nearly always it is already known, which costs nothing.
pub(crate) fn remember(known: &mut Option<Waker>, cx: &Context<'_>) {
    match known {
        Some(known) => known.clone_from(cx.waker()),
        None => *known = Some(cx.waker().clone()),
    }
}
