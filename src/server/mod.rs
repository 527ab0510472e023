//! The life of the process: startup, workers, control, reload, drain.
//!
//! [`Server`] is the entry for embedding programs: it starts one thread per worker and runs the
//! control thread's work (configuration, health, admin, signals) on the caller's. Workers read the
//! decisions of control through [`SharedState`](crate::worker::SharedState); control reads the
//! counts of workers. Nothing is shared and locked on the request path.

mod acme;
mod admin;
mod background;
mod board;
mod cache_disks;
mod certificate_gauges;
mod certificates;
mod compile;
mod control;
mod decisions;
mod descriptors;
mod discovery;
mod disk;
mod drain;
mod errand;
mod expiry;
mod failing;
mod faults;
mod figures;
mod file_watch;
mod keeper;
pub(crate) mod last_good;
mod log_losses;
mod maintenance;
mod metrics;
mod metrics_listener;
mod named_files;
mod notify;
mod operations;
mod outages;
mod overload;
mod panics;
mod process;
mod rate_store;
mod record;
mod registration;
mod reload;
mod renewed;
mod rollouts;
mod service;
mod shared_config;
mod signal;
mod start_error;
mod startup;
mod strain;
mod supervision;
mod tick;
mod token_keys;
mod traces;
mod upgrade;
mod views;
mod worker_thread;
mod workers;

pub(crate) use crate::socket::hostname;
#[doc(hidden)]
pub use crate::state::Registered;
pub(crate) use compile::{ask_sources, compile};
pub use process::Process;
pub(crate) use shared_config::{Author, Member, Pushed, Store, names_of_several};
#[doc(hidden)]
pub use signal::Signals;
pub use start_error::StartError;
pub use startup::Server;
