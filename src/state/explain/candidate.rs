//! The endpoints that could serve a request, each with its state.

use schemars::JsonSchema;
use semver::VersionReq;
use serde::{Deserialize, Serialize};

use super::HealthKnown;
use crate::{
    state::Snapshot,
    upstream::{
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
    /// State of its health, if known.
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
            let eligible = match known {
                HealthKnown::Yes => {
                    picture.is_eligible(place) || (panic && picture.is_enabled(place))
                }
                // No check has run, and none has failed.
                HealthKnown::No => true,
            };
            let eligible = eligible && endpoint.weight > 0;
            let skipped = match (tier, eligible) {
                (None, _) => Some("its version does not meet the route's requirement".to_owned()),
                _ if !meets(wanted, endpoint) => {
                    Some("its version is not the one that the request asks for".to_owned())
                }
                (Some(_), false) if endpoint.weight == 0 => Some("its weight is 0".to_owned()),
                (Some(_), false) => picture.endpoint(place).map(|view| match &view.cause {
                    Some(cause) => format!("{}: {cause}", view.state.word()),
                    None => view.state.word().to_owned(),
                }),
                (Some(0), true) => None,
                (Some(_), true) => Some("only when nobody preferred can serve".to_owned()),
            };
            ExplainedCandidate {
                endpoint: endpoint.label.to_string(),
                source: origin.word(&endpoint.label).to_owned(),
                weight: endpoint.weight,
                version: endpoint.version_label.as_deref().map(str::to_owned),
                zone: endpoint.zone.as_deref().map(str::to_owned),
                priority: endpoint.priority,
                health: match known {
                    HealthKnown::Yes => picture
                        .endpoint(place)
                        .map(|view| view.state.word().to_owned()),
                    HealthKnown::No => None,
                },
                skipped,
            }
        })
        .collect()
}
