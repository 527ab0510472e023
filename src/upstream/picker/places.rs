//! Places of endpoints among the candidates.

use super::{Candidate, EndpointIndex};

/// Places by endpoint. As long as the endpoint set of the pool: indexes are positions in it.
#[derive(Debug, Default)]
pub(super) struct Places(Vec<Option<usize>>);

impl Places {
    pub(super) fn update(&mut self, candidates: &[Candidate]) {
        let endpoints = candidates
            .iter()
            .map(|candidate| candidate.index.as_usize() + 1)
            .max();
        self.0.clear();
        self.0.resize(endpoints.unwrap_or_default(), None);
        for (place, candidate) in candidates.iter().enumerate() {
            self.0[candidate.index.as_usize()] = Some(place);
        }
    }

    /// Returns the place; `None` if the endpoint is not a candidate.
    pub(super) fn of(&self, endpoint: EndpointIndex) -> Option<usize> {
        self.0.get(endpoint.as_usize()).copied().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::candidate;
    use super::*;

    #[test]
    fn only_candidates_have_a_place() {
        let mut places = Places::default();
        places.update(&[candidate(4, 1), candidate(1, 1)]);
        let found = [0, 1, 4, 5].map(|index| places.of(EndpointIndex(index)));
        assert_eq!(found, [None, Some(1), Some(0), None]);
        places.update(&[]);
        assert_eq!(places.of(EndpointIndex(4)), None);
    }
}
