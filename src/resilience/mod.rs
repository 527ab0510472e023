//! Pure state machines: retries, budgets, backoff.
//!
//! They decide, the walk acts. Time and random numbers come as arguments; nothing here waits or
//! does I/O. The only state shared by workers is the count of a [`RetryBudget`].

mod backoff;
mod budget;
mod conditions;
mod overload;
pub mod restart;
mod retry;

pub use backoff::{Backoff, RETRY_AFTER_MAX, retry_after};
pub use budget::{BudgetGuard, BudgetRequest, BudgetWorker, RetryBudget};
pub use conditions::Conditions;
pub use overload::Pressure;
pub use retry::{
    AttemptResult, Body, Carrier, Facts, ResponseProgress, RetryPolicy, RetryVerdict,
    UNCOUNTED_MAX, Why, Written, decide,
};
