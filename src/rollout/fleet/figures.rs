//! Figures of one proxy under one share: sums that only grow.

use serde::{Deserialize, Serialize};

use crate::rollout::{
    gate::{Sample, Samples},
    latency::{BUCKETS, Latencies},
    statistics::Counts,
};

/// Requests of both versions, and answers to copies, since a share began.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Written", into = "Written")]
pub struct Figures {
    /// Requests that are compared.
    pub requests: Samples,
    /// Answers to copies that were compared.
    pub compared: Counts,
}

/// The form in a store: latencies as pairs of a bucket and its count.
#[derive(Serialize, Deserialize)]
struct Written {
    baseline: (u64, u64, Vec<(u16, u64)>),
    candidate: (u64, u64, Vec<(u16, u64)>),
    #[serde(default)]
    compared: (u64, u64),
}

impl Figures {
    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.requests.add(&other.requests);
        self.compared.add(other.compared);
    }

    /// Takes up sums that another report has told, in any order; returns what is new in them. Never
    /// goes back: of two sums the larger one is right.
    pub fn join(&mut self, told: &Self) -> Self {
        let new = Self {
            requests: told.requests.since(&self.requests),
            compared: told.compared.since(self.compared),
        };
        self.add(&new);
        new
    }

    /// Returns true if these contain the others.
    pub fn contains(&self, other: &Self) -> bool {
        other.requests.since(&self.requests) == Samples::default()
            && other.compared.since(self.compared) == Counts::default()
    }
}

impl From<Figures> for Written {
    fn from(figures: Figures) -> Self {
        let Figures { requests, compared } = figures;
        Self {
            baseline: written(&requests.baseline),
            candidate: written(&requests.candidate),
            compared: (compared.total, compared.bad),
        }
    }
}

impl TryFrom<Written> for Figures {
    type Error = &'static str;

    fn try_from(written: Written) -> Result<Self, Self::Error> {
        let (total, bad) = written.compared;
        Ok(Self {
            requests: Samples {
                baseline: sample(&written.baseline)?,
                candidate: sample(&written.candidate)?,
            },
            compared: counts(total, bad)?,
        })
    }
}

fn written(sample: &Sample) -> (u64, u64, Vec<(u16, u64)>) {
    let latencies = (0..).zip(sample.latencies.0.iter().copied());
    let latencies = latencies.filter(|(_, count)| *count > 0);
    (sample.counts.total, sample.counts.bad, latencies.collect())
}

fn sample((total, bad, told): &(u64, u64, Vec<(u16, u64)>)) -> Result<Sample, &'static str> {
    let mut latencies = Latencies::default();
    for (place, count) in told {
        let Some(sum) = latencies.0.get_mut(usize::from(*place)) else {
            return Err(OUTSIDE);
        };
        *sum = bounded(*count)?;
    }
    Ok(Sample {
        counts: counts(*total, *bad)?,
        latencies,
    })
}

fn counts(total: u64, bad: u64) -> Result<Counts, &'static str> {
    match (bounded(total)?, bad <= total) {
        (total, true) => Ok(Counts { total, bad }),
        (_, false) => Err("more failures than requests"),
    }
}

/// Refuses a number whose sums might overflow.
fn bounded(count: u64) -> Result<u64, &'static str> {
    if count > COUNT_MAX {
        return Err("a count is too large");
    }
    Ok(count)
}

const _: () = assert!(BUCKETS <= u16::MAX as usize);
const OUTSIDE: &str = "there is no such bucket of latencies";
const COUNT_MAX: u64 = 1 << 48;
