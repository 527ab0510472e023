//! Descriptor of a metric family: name, help, label names and, for a histogram, its bounds.
//!
//! The number of labels is part of the type, so a call with a missing label does not compile. The
//! registry works with [`Shape`], without that number.

/// Describes a family of counters with `L` labels.
#[derive(Debug)]
pub struct CounterDesc<const L: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; L],
}

/// Describes a family of gauges with `L` labels.
#[derive(Debug)]
pub struct GaugeDesc<const L: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; L],
    kind: Kind,
}

/// Describes a family of histograms of durations with `L` labels.
#[derive(Debug)]
pub struct HistogramDesc<const L: usize> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; L],
    bounds_ns: &'static [u64],
}

/// Part of a descriptor that the registry keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) kind: Kind,
    pub(super) labels: &'static [&'static str],
}

/// Anything that only goes up.
pub(super) trait Counted {
    /// Returns the part that the registry keeps.
    fn counted(&'static self) -> Shape;
}

impl<const L: usize> Counted for CounterDesc<L> {
    fn counted(&'static self) -> Shape {
        self.shape()
    }
}

impl<const L: usize> Counted for HistogramDesc<L> {
    fn counted(&'static self) -> Shape {
        self.shape()
    }
}

/// Kind of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Only goes up.
    Counter,
    /// Goes up and down; two's complement in its cell.
    Gauge,
    /// A gauge that counts millionths of what it shows.
    Millionths,
    /// Durations by upper bound. Cells: the sum in nanoseconds, one per bound, one for larger
    /// values.
    Histogram { bounds_ns: &'static [u64] },
}

impl Kind {
    /// Returns true if it goes up and down.
    pub(super) fn is_gauge(self) -> bool {
        matches!(self, Self::Gauge | Self::Millionths)
    }

    /// Returns true if its buckets may have exemplars.
    pub(super) fn has_exemplars(self) -> bool {
        matches!(self, Self::Histogram { .. })
    }

    /// Number of cells of one series in one worker.
    pub(super) fn cells(self) -> u32 {
        match self {
            Self::Counter | Self::Gauge | Self::Millionths => 1,
            Self::Histogram { bounds_ns } => {
                u32::try_from(bounds_ns.len()).unwrap_or(BOUNDS_MAX) + 2
            }
        }
    }
}

impl<const L: usize> CounterDesc<L> {
    /// Describes a family; by convention the name ends in `_total`.
    pub const fn new(name: &'static str, help: &'static str, labels: [&'static str; L]) -> Self {
        Self { name, help, labels }
    }

    /// Name of the family.
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn shape(&'static self) -> Shape {
        Shape {
            name: self.name,
            help: self.help,
            kind: Kind::Counter,
            labels: &self.labels,
        }
    }
}

impl<const L: usize> GaugeDesc<L> {
    /// Describes a family; the name ends in its unit, if it has one.
    pub const fn new(name: &'static str, help: &'static str, labels: [&'static str; L]) -> Self {
        Self {
            name,
            help,
            labels,
            kind: Kind::Gauge,
        }
    }

    /// Lets it be set in millionths of what it shows: for shares.
    pub const fn in_millionths(mut self) -> Self {
        self.kind = Kind::Millionths;
        self
    }

    /// Name of the family.
    pub fn name(&self) -> &'static str {
        self.name
    }

    pub(super) fn shape(&'static self) -> Shape {
        Shape {
            name: self.name,
            help: self.help,
            kind: self.kind,
            labels: &self.labels,
        }
    }
}

impl<const L: usize> HistogramDesc<L> {
    /// Describes a family; `bounds_ns` are the inclusive upper bounds in nanoseconds, ascending.
    ///
    /// # Panics
    /// If there are more than 64 bounds or they do not ascend; in a `static` it does not compile.
    pub const fn new(
        name: &'static str,
        help: &'static str,
        labels: [&'static str; L],
        bounds_ns: &'static [u64],
    ) -> Self {
        assert!(bounds_ns.len() <= BOUNDS_MAX as usize, "too many bounds");
        let mut at = 1;
        while at < bounds_ns.len() {
            assert!(bounds_ns[at - 1] < bounds_ns[at], "bounds must ascend");
            at += 1;
        }
        Self {
            name,
            help,
            labels,
            bounds_ns,
        }
    }

    /// Name of the family.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Inclusive upper bounds in nanoseconds, ascending.
    pub fn bounds_ns(&self) -> &'static [u64] {
        self.bounds_ns
    }

    pub(super) fn shape(&'static self) -> Shape {
        Shape {
            name: self.name,
            help: self.help,
            kind: Kind::Histogram {
                bounds_ns: self.bounds_ns,
            },
            labels: &self.labels,
        }
    }
}

/// Maximum number of bounds.
const BOUNDS_MAX: u32 = 64;
