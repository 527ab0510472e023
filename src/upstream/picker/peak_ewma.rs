//! Picks the cheaper of two by latency and requests in flight.
//!
//! As in Finagle and linkerd: two are drawn, and the one wins whose moving average of latency (see
//! [`Load`]), times the requests it would then have, is lower. Slow endpoints are avoided within
//! one answer, failing ones too, and both are tried again as the average decays. O(1); while an
//! endpoint is unmeasured, O(n) once a second for the median.
//!
//! Weights are used twice: for drawing the two, and for relating the requests in flight, so that
//! the cost of an idle endpoint is its latency alone. Costs that differ little are treated as
//! equal, with a probability that grows as the difference shrinks, and then the draw decides: else
//! the noise of latencies would decide instead of the weights.

use std::time::Duration;

use tokio::time::Instant;

use super::draw::Draws;
use super::weighted_draw::{Entry, WeightedDraw};
use super::{Candidate, EndpointIndex, Load, PickInput, Picker};

/// The better of two draws by expected latency.
#[derive(Debug, Default)]
pub struct PeakEwma {
    draw: WeightedDraw,
    members: Vec<EndpointIndex>,
    weight_mean: f64,
    /// Memory to find the median in; as large as `members`.
    scratch: Vec<f64>,
    /// Value assumed for unmeasured endpoints, and its time.
    typical: Option<(f64, Instant)>,
}

impl PeakEwma {
    fn cost(&mut self, entry: Entry, input: &PickInput<'_>) -> f64 {
        let load = input.loads.get(entry.index.as_usize());
        let latency = load
            .and_then(|load| load.latency(input.now))
            .unwrap_or_else(|| self.typical(input));
        let in_flight = load.map_or(0, Load::in_flight);
        latency * (1.0 + f64::from(in_flight) * self.weight_mean / f64::from(entry.weight))
    }

    /// Returns the median of the measured endpoints. With a lower value a new endpoint would be
    /// flooded until its first answer; with a higher one it would not be tried.
    fn typical(&mut self, input: &PickInput<'_>) -> f64 {
        if let Some((seconds, since)) = self.typical
            && input.now.saturating_duration_since(since) < TYPICAL_FOR
        {
            return seconds;
        }
        self.scratch.clear();
        let loads = self
            .members
            .iter()
            .filter_map(|index| input.loads.get(index.as_usize()));
        self.scratch
            .extend(loads.filter_map(|load| load.latency(input.now)));
        let middle = self.scratch.len() / 2;
        let seconds = if self.scratch.is_empty() {
            UNKNOWN.as_secs_f64()
        } else {
            *self
                .scratch
                .select_nth_unstable_by(middle, f64::total_cmp)
                .1
        };
        self.typical = Some((seconds, input.now));
        seconds
    }
}

impl Picker for PeakEwma {
    fn update(&mut self, candidates: &[Candidate]) {
        self.draw.update(candidates);
        self.members.clear();
        self.members
            .extend(candidates.iter().map(|candidate| candidate.index));
        let weights = candidates.iter().map(|it| f64::from(it.weight.max(1)));
        self.weight_mean = weights.sum::<f64>() / candidates.len().max(1) as f64;
        self.scratch = Vec::with_capacity(candidates.len());
        self.typical = None;
    }

    fn pick(&mut self, input: &PickInput<'_>) -> Option<EndpointIndex> {
        let mut draws = Draws::new(input.draw);
        let (first, second) = self.draw.two(&mut draws, |index| input.is_tried(index))?;
        let Some(second) = second else {
            return Some(first.index);
        };
        let dearer = self.cost(first, input) / self.cost(second, input) - 1.0;
        // A draw of 53 bits as a number below 1.
        let draw = (draws.next() >> 11) as f64 / (1_u64 << 53) as f64;
        let cheaper = draw * CLEAR < dearer;
        Some(if cheaper { second.index } else { first.index })
    }
}

/// Relative difference from which the costlier endpoint always loses.
const CLEAR: f64 = 0.5;
/// Value assumed for an endpoint when none is measured.
const UNKNOWN: Duration = Duration::from_millis(30);
/// Time for which a median is used.
const TYPICAL_FOR: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::super::draw::below;
    use super::super::testing::Bench;
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn the_slow_one_is_left_and_tried_again_later() {
        let mut bench = Bench::new(PeakEwma::default(), &[1, 1]);
        let now = bench.now;
        bench.loads[0].finished(now, 10 * MS, false, None);
        bench.loads[1].finished(now, 100 * MS, false, None);
        assert_eq!(bench.counts(100), [100, 0]);
        bench.now = now + Duration::from_secs(40);
        bench.loads[0].finished(bench.now, 10 * MS, false, None);
        assert_eq!(bench.counts(100), [0, 100]);
    }

    #[test]
    fn fast_failures_do_not_attract_traffic() {
        let mut bench = Bench::new(PeakEwma::default(), &[1, 1]);
        bench.loads[0].finished(bench.now, 200 * MS, false, None);
        bench.loads[1].finished(bench.now, MS, true, None);
        assert_eq!(bench.counts(100), [100, 0]);
    }

    #[test]
    fn a_new_endpoint_is_taken_for_the_median() {
        let mut bench = Bench::new(PeakEwma::default(), &[1, 1, 1, 1]);
        for (endpoint, latency) in [(0, 10), (1, 50), (2, 90)] {
            bench.loads[endpoint].finished(bench.now, latency * MS, false, None);
        }
        let counts = bench.counts(6000);
        assert!(
            counts[3] > 1000 && counts[0] > 2500 && counts[2] == 0,
            "{counts:?}"
        );
        // Busy before its first answer, it is not flooded.
        bench.start(3);
        bench.start(3);
        assert_eq!(bench.counts(1000)[3], 0);
    }

    #[test]
    fn requests_in_flight_are_taken_for_the_weight() {
        let mut bench = Bench::new(PeakEwma::default(), &[1, 3]);
        for endpoint in 0..2 {
            bench.loads[endpoint].finished(bench.now, 10 * MS, false, None);
        }
        bench.start(0);
        bench.start(1);
        assert_eq!(bench.counts(100), [0, 100]);
        bench.start(1);
        bench.start(1);
        let even = bench.counts(4000);
        assert!(even[0].abs_diff(1000) < 150, "{even:?}");
        (0..3).for_each(|_| bench.start(1));
        assert_eq!(bench.counts(100), [100, 0]);
    }

    #[test]
    fn one_request_at_a_time_goes_by_weight_whatever_the_noise() {
        for (noise, off) in [(0, 0.1), (200, 0.2), (1000, 0.5)] {
            let mut bench = Bench::new(PeakEwma::default(), &[1, 3, 7]);
            let mut counts = [0_u32; 3];
            for _ in 0..11_000 {
                let picked = bench.pick().unwrap() as usize;
                counts[picked] += 1;
                let latency = 1000 + below(bench.draws.next(), noise + 1);
                let latency = Duration::from_micros(latency);
                bench.now += latency;
                bench.loads[picked].started();
                bench.loads[picked].finished(bench.now, latency, false, None);
            }
            for (count, weight) in counts.into_iter().zip([1.0, 3.0, 7.0]) {
                let ratio = f64::from(count) / (1000.0 * weight);
                assert!((ratio - 1.0).abs() < off, "{noise}: {counts:?}");
            }
        }
    }
}
