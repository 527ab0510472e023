//! Limits on requests at once: places, and the queue of those that wait for one.
//!
//! The [`Gate`] is shared by all workers and exact over them. [`WaitQueue`] decides who is next.
//! [`Gradient`] finds the number of places, where the configuration leaves it to the latency.

mod gate;
mod gradient;
mod queue;
mod strain;

#[cfg(test)]
mod simulation;
#[cfg(test)]
mod tests;

pub use gate::{Entry, Gate, GateView, Place, Waiting};
pub use gradient::{CarriedGradient, Gradient, LIMIT_MIN, LatencySample};
pub use queue::{QueueRules, Ticket, Urgency, WaitQueue};
pub use strain::{Strain, StrainChange};
