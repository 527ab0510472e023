//! Decisions of a fleet by majority: which definition holds, and how the candidate's endpoints are.

use std::collections::BTreeMap;

use super::Report;
use crate::rollout::machine::CandidateHealth;

/// Returns the definition that most proxies have. Of several the one that holds now stays. Only who
/// has it may lead: an edit of the file that has reached a few proxies moves nothing.
pub fn governing<'a>(holds: Option<&'a str>, reports: &'a [Report]) -> Option<&'a str> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for report in reports.iter().filter(|it| !it.left) {
        *counts.entry(&report.definition).or_default() += 1;
    }
    let most = counts
        .into_iter()
        .max_by_key(|(definition, count)| (*count, holds == Some(definition)));
    most.map(|(definition, _)| definition)
}

/// Returns the state of the candidate's endpoints that more than half of the reports agree on. Where
/// they do not agree, nothing starts, and nothing fails by it: a proxy that is cut off from the
/// candidate serves its users with the other version meanwhile.
pub fn health_of<'a>(reports: impl Iterator<Item = &'a Report>) -> CandidateHealth {
    let (mut all, mut healthy, mut unhealthy, mut absent) = (0, 0, 0, 0);
    for report in reports.filter(|it| !it.left) {
        all += 1;
        match report.health {
            CandidateHealth::Healthy => healthy += 1,
            CandidateHealth::Unhealthy => unhealthy += 1,
            CandidateHealth::Absent => absent += 1,
            CandidateHealth::Unsure => {}
        }
    }
    if healthy * 2 > all {
        CandidateHealth::Healthy
    } else if absent * 2 > all {
        CandidateHealth::Absent
    } else if (unhealthy + absent) * 2 > all {
        CandidateHealth::Unhealthy
    } else {
        CandidateHealth::Unsure
    }
}
