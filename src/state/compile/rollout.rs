//! Compiles `[rollouts.NAME]`.

use std::{collections::HashMap, sync::Arc};

use super::{BuildError, route::view_of, shadow};
use crate::{
    config::{Config, schema},
    rollout::{
        Rollout, UserRules,
        gate::Gate,
        latency::LatencyLimit,
        machine::{OnFailure, Plan, Step},
        shadow::ShadowState,
    },
    state::Registry,
    upstream::{
        endpoint::stable_hash,
        pool::{Pool, PoolIndex},
    },
};

/// Makes the rollouts, in the order of their names.
pub(super) fn build_all(
    config: &Config,
    registry: &mut Registry,
    indices: &HashMap<&str, PoolIndex>,
    pools: &[Arc<Pool>],
) -> Result<Vec<Arc<Rollout>>, BuildError> {
    let rollouts = config.rollouts.iter().map(|(name, written)| {
        let name = name.shared();
        let Some(index) = indices.get(&**written.pool) else {
            let message = format!("pool \"{}\" is not defined", written.pool);
            return Err(BuildError::Rollout(name, message));
        };
        let pool = &pools[index.0 as usize];
        let versions = [written.baseline.clone(), written.candidate.clone()];
        let views = [0, 1].map(|arm| view_of(pool, Some(&versions[arm])));
        Ok(Arc::new(Rollout {
            pool: *index,
            views,
            versions,
            key: stable_hash(name.as_bytes()),
            users: UserRules {
                by: written.pin.by.clone(),
                cookie: written.pin.cookie.clone(),
            },
            pins: written.pin.header.clone(),
            plan: plan(written),
            gate: gate(&written.gate),
            shadows: shadows(config, registry, written),
            state: registry.rollout(&name),
            name,
        }))
    });
    rollouts.collect()
}

/// Results of the shadows that compare the candidate's answers.
fn shadows(
    config: &Config,
    registry: &mut Registry,
    rollout: &schema::Rollout,
) -> Vec<Arc<ShadowState>> {
    let routes = config.routes.iter().filter_map(|(name, route)| {
        let written = route.shadow.as_ref()?;
        let pool = shadow::pool_of(config, route, written)?;
        let version = written.version.as_ref();
        let of_candidate = *pool == rollout.pool.value && version == Some(&rollout.candidate);
        (of_candidate && written.compare.is_some())
            .then(|| shadow::state_of(registry, &name.shared(), pool, version))
    });
    routes.collect()
}

fn plan(written: &schema::Rollout) -> Plan {
    let steps = written.steps.iter().map(|step| Step {
        share: step.share.get(),
        hold: step.hold,
    });
    Plan {
        steps: steps.collect(),
        watch: written.watch,
        on_failure: match written.on_failure {
            schema::OnFailure::Rollback => OnFailure::Rollback,
            schema::OnFailure::Gradual => OnFailure::Gradual,
            schema::OnFailure::Freeze => OnFailure::Freeze,
        },
        approve: written.approve,
    }
}

fn gate(written: &schema::RolloutGate) -> Gate {
    Gate {
        volume_min: written.volume_min.into(),
        error_ratio_max: written.error_ratio_max.map(|ratio| ratio.get()),
        error_increase_max: written.error_increase_max.get(),
        latency: written.latency.as_ref().map(|latency| LatencyLimit {
            quantile: latency.quantile.get(),
            ratio_max: latency.ratio_max,
        }),
        proof: written.proof,
        by_user: written.unit == schema::RolloutUnit::User,
        shadow_mismatch_max: written.shadow_mismatch_max.map(|ratio| ratio.get()),
        confidence: written.confidence.get(),
    }
}
