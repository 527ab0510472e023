//! Any picker behind one type: built-in ones statically dispatched, others by trait object.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use super::{
    Candidate, EndpointIndex, LeastRequests, Load, Maglev, PeakEwma, PickInput, Picker, PowerOfTwo,
    Random, RingHash, RoundRobin, Table, WeightedRoundRobin,
};
use crate::config::value::PickerSpec;

/// Reasons why a picker cannot be built.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum PickerError {
    /// No picker is registered under the name.
    #[error("no picker is registered as \"{0}\"")]
    Unknown(Arc<str>),
    /// With a load limit below 1 no endpoint would have room for some requests.
    #[error("load_max must be at least 1, not {0}")]
    LoadMax(f64),
}

/// A picker of any kind.
pub enum AnyPicker {
    /// See [`Random`].
    Random(Random),
    /// See [`RoundRobin`].
    RoundRobin(RoundRobin),
    /// See [`WeightedRoundRobin`].
    WeightedRoundRobin(WeightedRoundRobin),
    /// See [`LeastRequests`].
    LeastRequests(LeastRequests),
    /// See [`PowerOfTwo`].
    PowerOfTwo(PowerOfTwo),
    /// See [`PeakEwma`].
    PeakEwma(PeakEwma),
    /// See [`RingHash`].
    RingHash(RingHash),
    /// See [`Maglev`].
    Maglev(Maglev),
    /// A picker of an embedding program.
    Custom(Box<dyn Picker>),
}

impl AnyPicker {
    /// Builds a picker without endpoints. Give each worker a seed of its own: it determines where
    /// pickers that go in turns begin.
    ///
    /// # Errors
    ///
    /// If the name is not registered or the load limit is below 1.
    pub fn build(
        spec: &PickerSpec,
        seed: u64,
        registered: &Registered,
    ) -> Result<Self, PickerError> {
        Ok(match spec {
            PickerSpec::Random => Self::Random(Random::default()),
            PickerSpec::RoundRobin => Self::RoundRobin(RoundRobin::new(seed)),
            PickerSpec::WeightedRoundRobin => {
                Self::WeightedRoundRobin(WeightedRoundRobin::new(seed))
            }
            PickerSpec::LeastRequests => Self::LeastRequests(LeastRequests::default()),
            PickerSpec::PowerOfTwo => Self::PowerOfTwo(PowerOfTwo::default()),
            PickerSpec::PeakEwma => Self::PeakEwma(PeakEwma::default()),
            PickerSpec::RingHash { load_max, .. } => {
                Self::RingHash(RingHash::new(bound(*load_max)?))
            }
            PickerSpec::Maglev { load_max, .. } => Self::Maglev(Maglev::new(bound(*load_max)?)),
            PickerSpec::Custom(name) => {
                let factory = registered.0.get(name);
                let factory = factory.ok_or_else(|| PickerError::Unknown(Arc::clone(name)))?;
                Self::Custom(factory(seed))
            }
        })
    }

    /// Returns true if it keeps an index over loads, and must be told of their changes.
    pub(in crate::upstream) fn follows_loads(&self) -> bool {
        match self {
            Self::LeastRequests(_) | Self::RingHash(_) | Self::Maglev(_) | Self::Custom(_) => true,
            Self::Random(_)
            | Self::RoundRobin(_)
            | Self::WeightedRoundRobin(_)
            | Self::PowerOfTwo(_)
            | Self::PeakEwma(_) => false,
        }
    }

    /// Replaces the endpoints that may be picked, like [`Picker::update`]. A hashing picker looks
    /// keys up in `table`, which has them all, and makes none of its own.
    pub(in crate::upstream) fn update_within(
        &mut self,
        table: Option<&Table>,
        candidates: &[Candidate],
    ) {
        match (self, table) {
            (Self::RingHash(picker), Some(Table::Ring(ring))) => picker.use_ring(ring, candidates),
            (Self::Maglev(picker), Some(Table::Maglev(table))) => {
                picker.use_table(table, candidates);
            }
            (other, _) => other.update(candidates),
        }
    }

    /// Returns the endpoint that is likely to be picked after this many others; none if that cannot
    /// be predicted.
    pub fn upcoming(&self, after: usize) -> Option<EndpointIndex> {
        match self {
            Self::RoundRobin(picker) => picker.upcoming(after),
            Self::WeightedRoundRobin(picker) => picker.upcoming(after),
            Self::Random(_)
            | Self::LeastRequests(_)
            | Self::PowerOfTwo(_)
            | Self::PeakEwma(_)
            | Self::RingHash(_)
            | Self::Maglev(_)
            | Self::Custom(_) => None,
        }
    }
}

impl Picker for AnyPicker {
    fn update(&mut self, candidates: &[Candidate]) {
        match self {
            Self::Random(picker) => picker.update(candidates),
            Self::RoundRobin(picker) => picker.update(candidates),
            Self::WeightedRoundRobin(picker) => picker.update(candidates),
            Self::LeastRequests(picker) => picker.update(candidates),
            Self::PowerOfTwo(picker) => picker.update(candidates),
            Self::PeakEwma(picker) => picker.update(candidates),
            Self::RingHash(picker) => picker.update(candidates),
            Self::Maglev(picker) => picker.update(candidates),
            Self::Custom(picker) => picker.update(candidates),
        }
    }

    fn pick(&mut self, input: &PickInput<'_>) -> Option<EndpointIndex> {
        match self {
            Self::Random(picker) => picker.pick(input),
            Self::RoundRobin(picker) => picker.pick(input),
            Self::WeightedRoundRobin(picker) => picker.pick(input),
            Self::LeastRequests(picker) => picker.pick(input),
            Self::PowerOfTwo(picker) => picker.pick(input),
            Self::PeakEwma(picker) => picker.pick(input),
            Self::RingHash(picker) => picker.pick(input),
            Self::Maglev(picker) => picker.pick(input),
            Self::Custom(picker) => picker.pick(input),
        }
    }

    fn load_changed(&mut self, endpoint: EndpointIndex, loads: &[Load]) {
        match self {
            Self::LeastRequests(picker) => picker.load_changed(endpoint, loads),
            Self::RingHash(picker) => picker.load_changed(endpoint, loads),
            Self::Maglev(picker) => picker.load_changed(endpoint, loads),
            Self::Custom(picker) => picker.load_changed(endpoint, loads),
            Self::Random(_)
            | Self::RoundRobin(_)
            | Self::WeightedRoundRobin(_)
            | Self::PowerOfTwo(_)
            | Self::PeakEwma(_) => {}
        }
    }
}

impl fmt::Debug for AnyPicker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Random(_) => "random",
            Self::RoundRobin(_) => "round_robin",
            Self::WeightedRoundRobin(_) => "weighted_round_robin",
            Self::LeastRequests(_) => "least_requests",
            Self::PowerOfTwo(_) => "power_of_two",
            Self::PeakEwma(_) => "peak_ewma",
            Self::RingHash(_) => "ring_hash",
            Self::Maglev(_) => "maglev",
            Self::Custom(_) => "custom",
        })
    }
}

/// Pickers of an embedding program, by the name that `picker = "..."` uses.
#[derive(Clone, Default)]
pub struct Registered(BTreeMap<Arc<str>, Factory>);

type Factory = Arc<dyn Fn(u64) -> Box<dyn Picker> + Send + Sync>;

impl Registered {
    /// Registers a factory, which gets the seed of the worker; replaces an earlier one of that
    /// name.
    pub fn register(
        &mut self,
        name: impl Into<Arc<str>>,
        factory: impl Fn(u64) -> Box<dyn Picker> + Send + Sync + 'static,
    ) {
        self.0.insert(name.into(), Arc::new(factory));
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(AsRef::as_ref)
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

fn bound(load_max: f64) -> Result<f64, PickerError> {
    if load_max >= 1.0 {
        Ok(load_max)
    } else {
        Err(PickerError::LoadMax(load_max))
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Bench;
    use super::*;

    /// Always the first that is left.
    struct First(Vec<EndpointIndex>);

    impl Picker for First {
        fn update(&mut self, candidates: &[Candidate]) {
            self.0 = candidates.iter().map(|candidate| candidate.index).collect();
        }

        fn pick(&mut self, input: &PickInput<'_>) -> Option<EndpointIndex> {
            self.0
                .iter()
                .copied()
                .find(|index| !input.tried.contains(index))
        }
    }

    #[test]
    fn a_registered_picker_is_built_by_name() {
        let mut registered = Registered::default();
        registered.register("first", |_| Box::new(First(Vec::new())));
        assert_eq!(registered.names().collect::<Vec<_>>(), ["first"]);
        let picker = AnyPicker::build(&PickerSpec::Custom("first".into()), 1, &registered).unwrap();
        let mut bench = Bench::new(picker, &[1, 1]);
        assert_eq!(bench.pick_untried(&[0]), Some(1));
        let missing = AnyPicker::build(&PickerSpec::Custom("last".into()), 1, &registered);
        assert_eq!(
            missing.unwrap_err().to_string(),
            "no picker is registered as \"last\""
        );
    }

    #[test]
    fn a_bound_below_the_mean_is_refused() {
        for load_max in [0.0, 0.99, -1.0, f64::NAN] {
            let key = crate::config::value::HashKey::Path;
            let spec = PickerSpec::Maglev { key, load_max };
            let built = AnyPicker::build(&spec, 1, &Registered::default());
            assert!(matches!(built, Err(PickerError::LoadMax(_))));
        }
    }
}
