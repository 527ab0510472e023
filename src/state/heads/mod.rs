//! Recent request heads, and where a new configuration would send them.
//!
//! Each worker keeps a bounded sample of the heads that it routes, with secrets replaced by keyed
//! digests. A dry run leads each of them through the configuration in use and through another one,
//! by the function that routes requests, and reports what differs. Nothing of it is on the
//! ordinary path of a request: between two samples a worker tests one number.

mod destination;
mod former;
mod head;
mod private;
mod replay;
mod report;
mod ring;

pub use former::Former;
pub use head::{HeadOrigin, RecentHead};
pub use private::DigestKey;
pub use replay::replay;
pub use report::{
    GateUse, GateVerdict, HeadMove, PolicyChange, Replayed, ReplayedGate, RoutedTo, TrafficUse,
    UnclearHeads,
};
pub use ring::{HeadRing, Heads};
