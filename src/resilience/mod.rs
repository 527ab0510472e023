//! Pure state machines: retries, budgets, backoff, breakers.
//!
//! They decide, the walk acts. Time and random numbers come as arguments; nothing here waits or
//! does I/O. What workers share of them is the count of a [`RetryBudget`], the gate
//! of a [`Breaker`], the places of a limit ([`concurrency::Gate`]) and the state of each client
//! ([`ClientTable`]).

pub mod backoff;
pub mod breaker;
mod budget;
mod clients;
pub mod concurrency;
mod conditions;
mod latency;
mod overload;
mod rate;
pub mod restart;
mod retry;
mod store_breaker;
mod window;

pub use backoff::{Backoff, RETRY_AFTER_MAX, retry_after};
pub use breaker::{Breaker, BreakerSettings, CarriedBreaker};
pub use budget::{BudgetGuard, BudgetRequest, BudgetWorker, RetryBudget};
pub use clients::{ClientEntry, ClientTable};
pub use concurrency::Place;
pub use conditions::Conditions;
pub use latency::{KnownQuantiles, Latency};
pub use overload::Pressure;
pub use rate::{Buckets, Gcra};
pub use retry::{
    AttemptResult, Body, Carrier, Facts, HedgePolicy, ResponseProgress, RetryPolicy, RetryVerdict,
    UNCOUNTED_MAX, Why, Written, decide,
};
pub use store_breaker::{StoreBreaker, StoreChange};
pub use window::Window;
