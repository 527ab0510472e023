//! Tables of hashing pickers, made on control for all endpoints of a tier and shared by all workers.
//!
//! Making one takes longer than a worker may stall. So a table has every endpoint of weight, whatever
//! its health, and is made with the endpoint set; pickers pass those that may not be picked now.

use std::sync::Arc;

use super::{Candidate, maglev::MaglevTable, ring_hash::Ring};
use crate::config::value::PickerSpec;

/// Kind of table that a picker looks keys up in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TableKind {
    /// For [`RingHash`](super::RingHash).
    Ring,
    /// For [`Maglev`](super::Maglev).
    Maglev,
}

/// A table of either kind. A clone is the same table.
#[derive(Clone, Debug)]
pub(in crate::upstream) enum Table {
    Ring(Arc<Ring>),
    Maglev(Arc<MaglevTable>),
}

impl TableKind {
    /// Returns the kind that a picker needs; none if it does not hash.
    pub fn of(picker: &PickerSpec) -> Option<Self> {
        match picker {
            PickerSpec::RingHash { .. } => Some(Self::Ring),
            PickerSpec::Maglev { .. } => Some(Self::Maglev),
            PickerSpec::Random
            | PickerSpec::RoundRobin
            | PickerSpec::WeightedRoundRobin
            | PickerSpec::LeastRequests
            | PickerSpec::PowerOfTwo
            | PickerSpec::PeakEwma
            | PickerSpec::Custom(_) => None,
        }
    }
}

impl Table {
    /// Makes the table of these members. What `before` has of it is kept.
    pub(in crate::upstream) fn following(
        before: Option<&Self>,
        kind: TableKind,
        members: &[Candidate],
    ) -> Self {
        match (kind, before) {
            (TableKind::Ring, Some(Self::Ring(before))) => {
                Self::Ring(Arc::new(Ring::following(before, members)))
            }
            (TableKind::Ring, _) => {
                Self::Ring(Arc::new(Ring::following(&Ring::default(), members)))
            }
            (TableKind::Maglev, Some(Self::Maglev(before))) => {
                Self::Maglev(Arc::new(MaglevTable::following(before, members)))
            }
            (TableKind::Maglev, _) => {
                let none = MaglevTable::default();
                Self::Maglev(Arc::new(MaglevTable::following(&none, members)))
            }
        }
    }
}
