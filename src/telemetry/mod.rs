//! Telemetry: metrics, access log, log, events, recent exchanges.
//!
//! The last step of the walk: `proxy` reports each exchange here once, at its end. Nothing in this
//! area may slow or block the data path: workers write cells and buffers of their own, the control
//! side sums them and does the I/O.

#[doc(hidden)]
pub mod access_log;
#[doc(hidden)]
pub mod events;
pub mod log;
#[doc(hidden)]
pub mod metrics;
#[doc(hidden)]
pub mod recent;
#[doc(hidden)]
pub mod trace;
