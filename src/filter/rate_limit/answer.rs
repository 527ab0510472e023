//! Answers of rate limits to requests that pass: what is left, and what an answer has cost.

use std::{fmt::Write as _, num::IntErrorKind};

use http::{HeaderName, HeaderValue};
use smallvec::SmallVec;

use super::{RateLimitFilter, RateRule, RateStore};
use crate::{
    exchange::{Exchange, Response},
    semantics::Headers,
};

/// One request taken out of a bucket.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taken {
    /// The key of the bucket.
    pub(super) hash: u64,
    /// Nanoseconds of the bucket that are used.
    pub(super) used_ns: u64,
}

/// The requests taken for one exchange, by the place of their rules, as far as its answer needs
/// them.
#[derive(Debug, Default)]
pub(super) struct Takings(SmallVec<[(usize, Taken); 2]>);

impl Takings {
    pub(super) fn add(&mut self, place: usize, rule: &RateRule, taken: Taken) {
        if rule.announce || rule.cost.is_some() {
            self.0.push((place, taken));
        }
    }

    /// Keeps them for the answer.
    pub(super) fn keep(self, exchange: &mut Exchange) {
        if !self.0.is_empty() {
            exchange.keep(self);
        }
    }
}

impl RateLimitFilter {
    /// Charges what the answer has cost, and tells what is left.
    pub(in crate::filter) fn on_response(&self, exchange: &mut Exchange, response: &mut Response) {
        // An answer in place of another one costs nothing more.
        let Some(takings) = exchange.take_kept::<Takings>() else {
            return;
        };
        for (place, mut taken) in takings.0 {
            let Some(rule) = self.rules.get(place) else {
                continue;
            };
            if let Some(field) = &rule.cost
                && let Some(cost) = cost_in(&response.headers, field)
                && let RateStore::Local(rates) = &rule.store
            {
                rates.charge(rule.gcra, &mut taken, exchange.started, cost);
            }
            if rule.announce {
                announce(rule, taken.used_ns, &mut response.headers);
            }
        }
        for field in self.rules.iter().filter_map(|rule| rule.cost.as_ref()) {
            response.headers.remove(field);
        }
    }
}

/// Returns the cost that an answer tells; none if it tells no number.
fn cost_in(headers: &Headers, field: &HeaderName) -> Option<u64> {
    let cost = headers.get(field)?.to_str()?.trim().parse::<u64>();
    match cost {
        Ok(cost) => Some(cost.min(COST_MAX)),
        Err(error) if *error.kind() == IntErrorKind::PosOverflow => Some(COST_MAX),
        Err(_) => None,
    }
}

fn announce(rule: &RateRule, used_ns: u64, headers: &mut Headers) {
    let left = rule.gcra.left(used_ns);
    let mut text = String::with_capacity(64);
    // Writing to memory cannot fail.
    let _ = write!(text, "\"{}\";r={left}", rule.name);
    if left == 0 {
        let wait = rule.gcra.wait_ns(used_ns).div_ceil(1_000_000_000);
        let _ = write!(text, ";t={wait}");
    }
    headers.append("RateLimit-Policy", &rule.policy);
    if let Ok(value) = HeaderValue::try_from(text) {
        headers.append("RateLimit", &value);
    }
}

/// Largest cost of an answer.
const COST_MAX: u64 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cost_above_the_largest_counts_as_the_largest_however_long_it_is() {
        let field = HeaderName::from_static("x-cost");
        for (text, expected) in [
            ("0", Some(0)),
            (" 7 ", Some(7)),
            ("1000001", Some(COST_MAX)),
            ("99999999999999999999999999", Some(COST_MAX)),
            ("-1", None),
            ("1.5", None),
            ("many", None),
            ("", None),
        ] {
            let mut headers = Headers::new();
            let value = HeaderValue::try_from(text).unwrap();
            headers.append(&field, &value);
            assert_eq!(cost_in(&headers, &field), expected, "{text:?}");
        }
    }
}
