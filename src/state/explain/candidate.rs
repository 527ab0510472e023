//! The endpoints that could serve a request, each with its state.

use schemars::JsonSchema;
use semver::VersionReq;
use serde::{Deserialize, Serialize};

use super::HealthKnown;
use crate::{
    state::Snapshot,
    upstream::{
        condition::Condition,
        endpoint_set::meets,
        picker::EndpointIndex,
        pool::{Origin, PoolIndex, ViewIndex},
        tier,
    },
};

/// An endpoint that could serve a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedCandidate {
    /// Its address.
    pub endpoint: String,
    /// Its source: `config`, or the kind of the pool's source.
    #[serde(default)]
    pub source: String,
    /// Its weight.
    pub weight: u32,
    /// Its version.
    pub version: Option<String>,
    /// Its zone.
    pub zone: Option<String>,
    /// Its priority; 0 goes first.
    pub priority: u32,
    /// Its condition in words, if known: the state of its health, or what else keeps requests away.
    pub health: Option<String>,
    /// Reason why it would not be picked, if so.
    pub skipped: Option<String>,
}

pub(super) fn candidates(
    snapshot: &Snapshot,
    (index, view): (PoolIndex, ViewIndex),
    wanted: Option<&VersionReq>,
    known: HealthKnown,
) -> Vec<ExplainedCandidate> {
    let pool = &snapshot.pools[index.0 as usize];
    let set = pool.endpoint_set();
    let picture = set.health.picture();
    let tiers = &set.views[view.0 as usize].tiers;
    let panic = tier::is_in_panic(&snapshot.pools, pool, view);
    let origin = Origin::of(pool);
    let members = (0_u32..).zip(&set.endpoints);
    members
        .map(|(place, endpoint)| {
            let place = EndpointIndex(place);
            let tier = tiers.iter().position(|tier| tier.contains(&place));
            let view = picture
                .endpoint(place)
                .filter(|_| known == HealthKnown::Yes);
            let condition = view.map(|view| Condition::of(endpoint, view, panic));
            let eligible = match &condition {
                Some(condition) => condition.serves,
                // No check has run, and none has failed.
                None => endpoint.share() > 0,
            };
            let skipped = match (tier, &condition) {
                (None, _) => Some("its version does not meet the route's requirement".to_owned()),
                _ if !meets(wanted, endpoint) => {
                    Some("its version is not the one that the request asks for".to_owned())
                }
                (Some(0), _) if eligible => None,
                (Some(_), _) if eligible => Some("only when nobody preferred can serve".to_owned()),
                (Some(_), None) => Some("its weight is 0".to_owned()),
                (Some(_), Some(condition)) => {
                    let cause = view.filter(|view| !view.eligible);
                    Some(match cause.and_then(|view| view.cause.as_ref()) {
                        Some(cause) => format!("{}: {cause}", condition.words),
                        None => condition.words.to_string(),
                    })
                }
            };
            ExplainedCandidate {
                endpoint: endpoint.label.to_string(),
                source: origin.word(&endpoint.label).to_owned(),
                weight: endpoint.weight,
                version: endpoint.version_label.as_deref().map(str::to_owned),
                zone: endpoint.zone.as_deref().map(str::to_owned),
                priority: endpoint.priority,
                health: condition.map(|it| it.words.into_owned()),
                skipped,
            }
        })
        .collect()
}
