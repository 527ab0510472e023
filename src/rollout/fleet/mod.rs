//! Rollouts of many equal proxies: one of them leads, all count, and all apply the same share.
//!
//! A [`Report`] is what each proxy publishes: its figures under the present share, as sums that only
//! grow. A [`Record`] is what all of them follow: the progress of the rollout, and which part of
//! each proxy's sums it contains ([`Merged`]). The leader ([`Lead`]) adds what is new to the
//! progress and lets time pass; whoever leads next goes on with the same record, so that no request
//! is counted twice or lost. [`Joined`] is the part of a proxy: what it counts, and what it does
//! while nobody can be asked. All of it is pure; the store is the server's.

mod council;
mod figures;
mod joined;
mod lead;
mod merge;
mod record;
#[cfg(test)]
mod tests;

pub use council::{governing, health_of};
pub use figures::Figures;
pub use joined::Joined;
pub use lead::Lead;
pub use merge::Merged;
pub use record::{Record, Report, definition};
