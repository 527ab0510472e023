//! Health of endpoints, checked and observed: which endpoints of a pool may be picked.
//!
//! Stands before the picker in the walk of a request, and after the attempt:
//!
//! - [`PoolHealth`] is the pure machine of one pool: checks, ejection, the operator's decision;
//! - [`PoolHealthState`] keeps it in the registry and publishes a [`Picture`] to each
//!   [`PoolHealthView`];
//! - workers read the picture, [`observe`](PoolHealthView::observe) outcomes and claim [`Trial`]s;
//! - [`Schedule`] checks the endpoints through a [`Probe`] on the control thread.
//!
//! The state is kept by pool and address: a reload changes settings and members, and resets
//! nothing.

mod check;
mod ejection;
mod machine;
mod member;
mod observed;
mod picture;
pub mod probe;
mod schedule;
mod settings;
mod state;
mod tally;
mod transition;
mod view;
mod window;

pub use machine::{CarriedEndpoint, Decisions, Pace, PoolHealth};
pub use observed::{EndpointHealth, Observed, Trial};
pub use picture::{EndpointView, Picture};
pub use probe::{Probe, ProbeFailure, ProbeTarget};
pub use schedule::{Schedule, SchedulePlan};
pub use settings::{CheckKind, CheckSettings, EjectionSettings, HealthSettings};
pub use state::{PoolHealthState, TICK};
pub use transition::{AdminState, Cause, EndpointState, Transition, Withheld};
pub use view::PoolHealthView;
