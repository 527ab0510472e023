//! Checks on rollouts.

use super::{Check, split::check_users};
use crate::config::schema::{Destination, Rollout};
use crate::config::value::Name;

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (name, rollout) in &config.rollouts {
        let place = format!("rollouts.{name}");
        check.refer("pools", &rollout.pool, &config.pools, |wanted| {
            format!("rollout \"{name}\" is of pool \"{wanted}\", which is not defined")
        });
        check_versions(check, &place, rollout);
        check_steps(check, &place, rollout);
        check_gate(check, &place, rollout);
        let pin = &rollout.pin;
        let pin_place = format!("{place}.pin");
        check_users(check, &pin_place, &pin.spans, pin.by.as_ref(), &pin.cookie);
        check_used(check, name, rollout);
    }
}

fn check_versions(check: &mut Check<'_>, place: &str, rollout: &Rollout) {
    if rollout.baseline == rollout.candidate {
        let message = format!("{place}: baseline and candidate are the same");
        let hint = "such as baseline = \"^1\" and candidate = \"^2\"";
        check.error(rollout.spans.of("candidate"), message, hint);
        return;
    }
    let Some(pool) = check.config.pools.get(&rollout.pool.value) else {
        return;
    };
    let versions = pool.endpoints.iter().filter_map(|it| it.version.as_ref());
    let (baseline, candidate) = (&rollout.baseline, &rollout.candidate);
    let both = versions
        .clone()
        .find(|it| baseline.matches(it) && candidate.matches(it));
    if let Some(version) = both {
        let message = format!("{place}: version {version} meets both requirements");
        let hint = "no version may be old and new at once";
        check.error(rollout.spans.of("candidate"), message, hint);
    }
    let mut versions = versions;
    if pool.discover.is_none() && !versions.any(|it| baseline.matches(it)) {
        let pool = &rollout.pool;
        let message =
            format!("no endpoint of pool \"{pool}\" has a version that meets \"{baseline}\"");
        let hint = "until the new version gets its users, nobody could serve them";
        check.warn(rollout.spans.of("baseline"), message, hint);
    }
}

fn check_steps(check: &mut Check<'_>, place: &str, rollout: &Rollout) {
    let mut last = 0.0;
    for (index, step) in rollout.steps.iter().enumerate() {
        let share = step.share.get();
        if share <= last || share >= 1.0 {
            let message = format!("{place}.steps[{index}].share cannot be {}", step.share);
            let hint = "more than the step before, above 0% and below 100%, which comes by itself";
            check.error(step.spans.of("share"), message, hint);
        }
        last = share;
    }
    if rollout.steps.len() > STEPS_MAX {
        let message = format!("{place} has {} steps", rollout.steps.len());
        check.error(
            rollout.spans.of("steps"),
            message,
            format!("at most {STEPS_MAX}"),
        );
    }
}

fn check_gate(check: &mut Check<'_>, place: &str, rollout: &Rollout) {
    let gate = &rollout.gate;
    let confidence = gate.confidence.get();
    if !(0.5..1.0).contains(&confidence) {
        let message = format!("{place}.gate.confidence cannot be {confidence}");
        check.error(gate.spans.of("confidence"), message, "from 0.5 to below 1");
    }
    check_shadow(check, place, rollout);
    if gate.proof && gate.error_increase_max.get() <= 0.0 {
        let message = format!("{place}.gate.proof needs an error_increase_max above 0");
        let hint = "that no version is worse by anything at all cannot be proved";
        check.error(gate.spans.of("proof"), message, hint);
    }
    let Some(latency) = &gate.latency else { return };
    let quantile = latency.quantile.get();
    if !(0.01..=0.9999).contains(&quantile) {
        let message = format!("{place}.gate.latency.quantile cannot be {quantile}");
        check.error(latency.spans.of("quantile"), message, "from 0.01 to 0.9999");
    }
    if !(1.0..=100.0).contains(&latency.ratio_max) {
        let message = format!(
            "{place}.gate.latency.ratio_max cannot be {}",
            latency.ratio_max
        );
        check.error(latency.spans.of("ratio_max"), message, "from 1 to 100");
    }
}

/// Refuses a limit on mismatches without a shadow that finds them.
fn check_shadow(check: &mut Check<'_>, place: &str, rollout: &Rollout) {
    let gate = &rollout.gate;
    if gate.shadow_mismatch_max.is_none() || check.has_broken("routes") {
        return;
    }
    let mut routes = check.config.routes.values();
    let has_one = routes.any(|route| {
        let Some(shadow) = &route.shadow else {
            return false;
        };
        let pool = shadow.pool.as_ref().map(|pool| &pool.value);
        let own = route.destination.pools(check.config);
        let pool = pool.or_else(|| own.first().map(|pool| &pool.value));
        shadow.compare.is_some()
            && pool == Some(&rollout.pool.value)
            && shadow.version.as_ref() == Some(&rollout.candidate)
    });
    if !has_one {
        let message = format!("{place}.gate.shadow_mismatch_max has nothing to compare");
        let hint = format!(
            "a route needs shadow = {{ version = \"{}\", compare = {{ body = \"json\" }} }}",
            rollout.candidate
        );
        check.error(gate.spans.of("shadow_mismatch_max"), message, hint);
    }
}

/// Warns of a rollout that no route uses, and of progress that a restart would lose.
fn check_used(check: &mut Check<'_>, name: &Name, rollout: &Rollout) {
    let config = check.config;
    let mut routes = config.routes.values();
    let used = routes.any(|route| match &route.destination {
        Destination::Rollout(wanted) => wanted.value == *name,
        _ => false,
    });
    if !used && !check.has_broken("routes") {
        let message = format!("rollout \"{name}\" is not used");
        let hint = "a route uses it in place of its pool: rollout = \"…\"";
        check.warn(rollout.spans.anchor(), message, hint);
    }
    if config.proxy.state_dir.is_none() && !check.is_broken("proxy") {
        let message = format!("the progress of rollout \"{name}\" is lost by a restart");
        let hint = "state_dir = \"state\" in [proxy] keeps it";
        check.warn(rollout.spans.anchor(), message, hint);
    }
}

const STEPS_MAX: usize = 100;
