//! Text form of an explanation.

use std::{borrow::Cow, fmt::Write as _, time::Duration};

use crate::{
    cli::print::columns,
    config::value::ByteSize,
    route::RouteOutcome,
    state::{
        ArrivalReason, Explained, ExplainedAction, ExplainedCandidate, ExplainedPolicies,
        ExplainedRate, ExplainedRollout, ExplainedSplit,
    },
};

/// Formats an explanation: the winner and its action, the possible endpoints, the other routes and
/// why they lost.
pub(super) fn text(told: &Explained) -> String {
    let mut out = String::new();
    let verdicts = told.routes.verdicts.iter();
    let (won, lost): (Vec<_>, Vec<_>) =
        verdicts.partition(|verdict| verdict.outcome == RouteOutcome::Wins);
    let (listener, by) = (&told.listener, by(told.listener_by));
    match (&told.route, &told.routes.refused) {
        (Some(route), _) => {
            let _ = writeln!(out, "route \"{route}\" {}", action(told.action.as_ref()));
            for verdict in &won {
                let _ = writeln!(out, "  {}", verdict.reason);
            }
            let _ = writeln!(out, "  by listener \"{listener}\"{by}");
            match told.version_asked.as_deref() {
                None => {}
                Some("") => out.push_str("  refused with 400: it asks for no version such as ^2\n"),
                Some(wanted) => {
                    let _ = writeln!(out, "  asks for version {wanted}");
                }
            }
            for rule in &told.listener_rate_limits {
                rate_limit(&mut out, " of the listener,", rule);
            }
            if let Some(of_route) = &told.policies {
                policies(&mut out, of_route);
            }
        }
        (None, Some(refused)) => {
            let _ = writeln!(out, "refused with 400: {refused}");
        }
        (None, None) => {
            let _ = writeln!(out, "no route takes it on listener \"{listener}\"{by}: 404");
            for rule in &told.listener_rate_limits {
                rate_limit(&mut out, " of the listener,", rule);
            }
        }
    }
    if let Some(breaker) = &told.breaker {
        let _ = writeln!(out, "  breaker {breaker}");
    }
    candidates(&mut out, &told.candidates);
    if !lost.is_empty() {
        out.push_str("\nnot taken\n");
        let rows: Vec<Vec<Cow<'_, str>>> = lost
            .iter()
            .map(|verdict| vec![(&*verdict.route).into(), (&*verdict.reason).into()])
            .collect();
        out.push_str(&columns(&rows));
    }
    out
}

/// Describes the reason for the choice of the listener, where the URL does not give it.
fn by(reason: ArrivalReason) -> &'static str {
    match reason {
        ArrivalReason::Port => ", which has the port and another scheme",
        ArrivalReason::Scheme => ", which speaks the scheme; none has the port",
        ArrivalReason::First => ", the first that takes it; --listener names another",
        ArrivalReason::Named | ArrivalReason::Fits => "",
    }
}

fn action(action: Option<&ExplainedAction>) -> String {
    match action {
        Some(ExplainedAction::Pool(pool)) => format!("sends it to pool \"{pool}\""),
        Some(ExplainedAction::Split(split)) => of_split(split),
        Some(ExplainedAction::Rollout(rollout)) => of_rollout(rollout),
        Some(ExplainedAction::Redirect(status)) => format!("redirects it with {status}"),
        Some(ExplainedAction::Respond(status)) => format!("answers it with {status}"),
        None => "takes it".to_owned(),
    }
}

fn of_rollout(rollout: &ExplainedRollout) -> String {
    let (name, by, share) = (&rollout.name, &rollout.by, rollout.share * 100.0);
    let why = if rollout.pinned {
        "as it asks".to_owned()
    } else {
        format!("by {by}; {share} % get the new one")
    };
    match &rollout.version {
        Some(version) => format!("sends it to version {version}, rollout \"{name}\" ({why})"),
        None => format!("sends a new user to a version by rollout \"{name}\" ({why})"),
    }
}

fn of_split(split: &ExplainedSplit) -> String {
    let weights = split.weights.iter();
    let weights: Vec<String> = weights
        .map(|(pool, weight)| format!("{pool} {weight}"))
        .collect();
    let (weights, by) = (weights.join(", "), &split.by);
    match &split.pool {
        Some(pool) => format!("sends its user to pool \"{pool}\" (by {by}; {weights})"),
        None => format!("sends a new user to one of its pools (by {by}; {weights})"),
    }
}

fn rate_limit(out: &mut String, of: &str, rule: &ExplainedRate) {
    let ExplainedRate {
        name,
        key,
        rate,
        burst,
        ..
    } = rule;
    let note = if rule.dry_run { ", only counted" } else { "" };
    let _ = writeln!(
        out,
        "  rate limit{of} {name}: {rate} for each {key}, burst {burst}{note}"
    );
}

fn policies(out: &mut String, policies: &ExplainedPolicies) {
    let time = |millis| humantime::format_duration(Duration::from_millis(millis));
    let timeouts = &policies.timeouts;
    let (total, attempt) = (time(timeouts.total_ms), time(timeouts.attempt_ms));
    let idle = time(timeouts.idle_ms);
    let shorter = match timeouts.from_client {
        true => "; less if x-request-timeout-ms says so",
        false => "",
    };
    let _ = writeln!(
        out,
        "  timeouts: total {total}, attempt {attempt}, idle {idle}{shorter}"
    );
    let _ = writeln!(out, "  attempts: {} at most", policies.attempts);
    if let Some(hedge) = &policies.hedge {
        let _ = writeln!(out, "  hedge: after {}, {} at most", hedge.after, hedge.max);
    }
    for rule in &policies.rate_limits {
        rate_limit(out, "", rule);
    }
    if !policies.auth.is_empty() {
        let _ = writeln!(out, "  auth: {}", policies.auth.join(", then "));
    }
    if !policies.filters.is_empty() {
        let _ = writeln!(out, "  filters: {}", policies.filters.join(", "));
    }
    if let Some(why) = &policies.refused {
        let _ = writeln!(out, "  refused: 403, {why}");
    }
    for (title, keys) in [
        ("from policies", &policies.from_policies),
        ("own keys in place of policies", &policies.replaced_policies),
    ] {
        let keys = keys.iter();
        let told: Vec<String> = keys
            .map(|(key, names)| format!("{key} ({})", names.join(", ")))
            .collect();
        if !told.is_empty() {
            let _ = writeln!(out, "  {title}: {}", told.join(", "));
        }
    }
    if policies.grpc_web {
        let _ = writeln!(out, "  gRPC-Web becomes gRPC");
    }
    if let Some(shadow) = &policies.shadow {
        let share = shadow.share * 100.0;
        let _ = writeln!(out, "  shadow: {share} % are copied to {}", shadow.to);
    }
    if let Some(bytes) = policies.body_max {
        let size = ByteSize(bytes);
        let default = match policies.body_max_is_default {
            true => " by default; calls of gRPC have no bound",
            false => "",
        };
        let _ = writeln!(out, "  body: {size} at most{default}");
    }
}

fn candidates(out: &mut String, candidates: &[ExplainedCandidate]) {
    let rows: Vec<Vec<Cow<'_, str>>> = candidates
        .iter()
        .map(|candidate| {
            let skipped = candidate.skipped.as_ref();
            vec![
                (&*candidate.endpoint).into(),
                candidate
                    .health
                    .as_deref()
                    .unwrap_or("health not asked")
                    .into(),
                format!("weight {}", candidate.weight).into(),
                format!("from {}", candidate.source).into(),
                candidate.version.as_deref().unwrap_or_default().into(),
                skipped.map_or(Cow::Borrowed("may serve"), |why| {
                    format!("skipped: {why}").into()
                }),
            ]
        })
        .collect();
    if !rows.is_empty() {
        out.push_str("\nendpoints\n");
        out.push_str(&columns(&rows));
    }
}
