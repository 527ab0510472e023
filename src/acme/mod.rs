//! Certificates from a CA that issues them by itself (ACME, RFC 8555).
//!
//! [`Order`] is what a configuration asks for; its files are in the folder of the state. A
//! [`Session`] speaks to the CA, through the bounded client of [`crate::fetch`]. When to do so is
//! decided by [`schedule`], without a clock of its own. Nothing runs here: a service of control
//! makes the sessions, and listeners read the files as they read others.

mod error;
mod order;
pub mod schedule;
mod session;
mod standing;
pub mod store;
mod transport;

pub use error::AcmeError;
pub use order::{Binding, Method, Order};
pub use session::{Issued, Session};
pub use standing::{Standing, Status};
