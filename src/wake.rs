//! Storage of a waker.

use std::task::{Context, Waker};

/// Remembers the task that polls. Nearly always it is the one that is known, which costs
/// nothing then.
pub(crate) fn remember(known: &mut Option<Waker>, cx: &Context<'_>) {
    match known {
        Some(known) => known.clone_from(cx.waker()),
        None => *known = Some(cx.waker().clone()),
    }
}
