//! Limits on requests at once: places, and the queue of those that wait for one.
//!
//! The [`Gate`] is shared by all workers and exact over them. [`WaitQueue`] decides who is next.

mod gate;
mod queue;

#[cfg(test)]
mod tests;

pub use gate::{Entry, Gate, GateView, Place, Waiting};
pub use queue::{QueueRules, Ticket, Urgency, WaitQueue};
