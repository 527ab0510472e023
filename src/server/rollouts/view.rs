//! Views of rollouts for the admin API, and its commands.

use std::time::Duration;

use tokio::time::timeout;

use super::{Desk, health_of};
use crate::{
    admin::{OperationError, RolloutAction, model},
    config::value::nearest::alternatives,
    rollout::{Rollout, gate::Sample, machine::Order, statistics::Counts, tally::Arm},
    state::Snapshot,
    worker::SharedState,
};

/// Obeys a command.
///
/// # Errors
/// If there is no rollout of that name, or that cannot be done now.
pub(in crate::server) async fn change(
    shared: &SharedState,
    desk: &Desk,
    name: &str,
    action: RolloutAction,
) -> Result<model::Rollout, OperationError> {
    let snapshot = shared.snapshot();
    let Some(rollout) = snapshot.rollout(name) else {
        let names: Vec<&str> = snapshot.rollouts.iter().map(|it| &*it.name).collect();
        let defined = alternatives("defined", name, &names);
        let message = format!("there is no rollout \"{name}\"; {defined}");
        return Err(OperationError::NotFound(message));
    };
    if shared.is_draining() {
        return Err(OperationError::Conflict("the proxy is stopping".to_owned()));
    }
    let order = match action {
        RolloutAction::Pause => Order::Pause,
        RolloutAction::Resume => Order::Resume,
        RolloutAction::Promote => Order::Promote,
        RolloutAction::Abort => Order::Abort,
    };
    if snapshot.config.proxy.rollout_store.is_some() {
        ask_fleet(desk, name, order).await?;
    } else {
        let health = health_of(&snapshot, rollout);
        let obeyed = rollout.state.obey(rollout, order, health);
        obeyed
            .map_err(|reason| OperationError::Conflict(format!("rollout \"{name}\": {reason}")))?;
    }
    Ok(view(&snapshot, desk, rollout))
}

/// Has the fleet obey, and waits until the store has it.
async fn ask_fleet(desk: &Desk, name: &str, order: Order) -> Result<(), OperationError> {
    let told = desk.ask(name, order, FLEET_PATIENCE);
    if let Ok(Ok(obeyed)) = timeout(FLEET_PATIENCE, told).await {
        return obeyed;
    }
    let message = format!(
        "rollout \"{name}\": the store did not answer within {} s; look if it happened",
        FLEET_PATIENCE.as_secs()
    );
    Err(OperationError::Conflict(message))
}

/// Makes the view of a rollout.
pub(in crate::server) fn view(
    snapshot: &Snapshot,
    desk: &Desk,
    rollout: &Rollout,
) -> model::Rollout {
    let view = rollout.state.view(rollout);
    let machine = &view.machine;
    let figures = |arm: Arm, step: &Sample, all: &Sample| {
        let served = view.served.counts[arm as usize];
        model::VersionFigures {
            version: rollout.versions[arm as usize].to_string(),
            step: counted(step),
            rollout: counted(all),
            served: model::Counted {
                requests: served.total,
                failures: served.bad,
                ..counted(&Sample::default())
            },
            users_hurt: view.served.hurt[arm as usize],
        }
    };
    let steps = rollout.plan.steps.iter().map(|step| model::RolloutStep {
        share: step.share,
        hold_ms: millis(step.hold),
    });
    let alpha = rollout.gate.alpha();
    model::Rollout {
        name: rollout.name.to_string(),
        pool: snapshot.pools[rollout.pool.0 as usize].name.to_string(),
        state: machine.shown().word().to_owned(),
        reason: machine.reason.clone(),
        paused: machine.paused,
        step: machine.reached(),
        between: machine.compares() && machine.between.is_some(),
        steps: steps.collect(),
        share: view.share,
        lasted_ms: millis(machine.lasted),
        versions: model::BothVersions {
            baseline: figures(Arm::Baseline, &view.step.baseline, &view.all.baseline),
            candidate: figures(Arm::Candidate, &view.step.candidate, &view.all.candidate),
        },
        shadow: rollout.gate.shadow_mismatch_max.map(|_| model::Counted {
            requests: view.shadow.total,
            failures: view.shadow.bad,
            ..counted(&Sample::default())
        }),
        evidence: model::RolloutEvidence {
            errors: view.evidence[0],
            latency: rollout.gate.latency.map(|_| view.evidence[1]),
            shadow: rollout.gate.shadow_mismatch_max.map(|_| view.evidence[2]),
            rolls_back_at: -alpha.ln(),
        },
        fleet: desk.fleet(&rollout.name, view.withdrawn),
    }
}

fn counted(sample: &Sample) -> model::Counted {
    let Counts { total, bad } = sample.counts;
    let quantile = |quantile| {
        let found: Option<Duration> = sample.latencies.quantile(quantile);
        found.map(|it| it.as_secs_f64() * 1e3)
    };
    model::Counted {
        requests: total,
        failures: bad,
        p50_ms: quantile(0.5),
        p99_ms: quantile(0.99),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Time for the store to take a command.
const FLEET_PATIENCE: Duration = Duration::from_secs(5);
