//! `status`: an overview of the running proxy.

use std::{borrow::Cow, fmt::Write as _, time::Duration};

use http::StatusCode;
use serde_json::{Value, json};

use super::{
    args::{Args, AskArgs, OutputFormat},
    client::{Client, ClientError},
    exit_code::{CommandError, Exit},
    print,
    wrong::wrong,
};
use crate::admin::model::{
    CertificateExpiry, Endpoint, Listener, Pool, PoolDiscovery, Ready, Rollout, Status,
};

/// Shows what is wrong, the process, its listeners, and its pools with their endpoints.
pub(super) fn status(args: &Args, ask: &AskArgs) -> Result<Exit, CommandError> {
    let client = Client::find(args, ask)?;
    let status = client.read::<Status>()?;
    let listeners = client.read::<Vec<Listener>>()?;
    let pools = client.read::<Vec<Pool>>()?;
    let rollouts = client.read::<Vec<Rollout>>()?;
    let ready = even_if_refused(client.read::<Ready>())?;
    // A proxy of an older version has no list of certificates.
    let certificates = match client.read::<Vec<CertificateExpiry>>() {
        Err(ClientError::Refused { status, .. }) if status == StatusCode::NOT_FOUND => json!([]),
        certificates => certificates?,
    };
    match ask.output.format {
        OutputFormat::Json => print::json(&json!({
            "ready": ready,
            "status": status,
            "listeners": listeners,
            "pools": pools,
            "rollouts": rollouts,
            "certificates": certificates,
        }))?,
        OutputFormat::Text => {
            let pools: Vec<Pool> = client.understand(pools)?;
            let rollouts: Vec<Rollout> = client.understand(rollouts)?;
            let wrong = wrong(
                &client.understand(ready)?,
                &pools,
                &rollouts,
                &client.understand::<Vec<_>>(certificates)?,
            );
            let status = client.understand(status)?;
            let listeners: Vec<_> = client.understand(listeners)?;
            print::answer(&text(&wrong, &status, &listeners, &pools, &rollouts))?;
        }
    }
    Ok(Exit::Fine)
}

/// Returns the answer of a probe, which is the same for yes and for no.
fn even_if_refused(answer: Result<Value, ClientError>) -> Result<Value, ClientError> {
    match answer {
        Err(ClientError::Refused { body, .. }) if body.get("ready").is_some() => Ok(body),
        answer => answer,
    }
}

fn text(
    wrong: &[String],
    status: &Status,
    listeners: &[Listener],
    pools: &[Pool],
    rollouts: &[Rollout],
) -> String {
    let mut out = String::new();
    for line in wrong {
        let _ = writeln!(out, "! {line}");
    }
    if !wrong.is_empty() {
        out.push('\n');
    }
    out.push_str(&head(status));
    out.push_str("\nlisteners\n");
    let listeners = listeners.iter().map(|listener| -> Row<'_> {
        vec![
            (&*listener.name).into(),
            (&*listener.address).into(),
            protocols(listener).into(),
            print::counted(listener.connections, "connection").into(),
        ]
    });
    out.push_str(&print::columns(&listeners.collect::<Vec<_>>()));
    for pool in pools {
        let panic = if pool.panic {
            ", too few are healthy: health is ignored"
        } else {
            ""
        };
        let (name, picker) = (&pool.name, pool.picker_name());
        let _ = writeln!(out, "\npool {name} ({picker}{panic})");
        if let Some(breaker) = &pool.breaker {
            let cause = breaker.cause.as_deref().unwrap_or("nothing failed yet");
            let _ = writeln!(out, "  breaker {}: {cause}", breaker.state);
        }
        if let Some(discovery) = &pool.discovery {
            source(&mut out, discovery);
        }
        let endpoints: Vec<Row<'_>> = pool.endpoints.iter().map(endpoint).collect();
        out.push_str(&print::columns(&endpoints));
    }
    if !rollouts.is_empty() {
        out.push_str("\nrollouts\n");
        let rows: Vec<Row<'_>> = rollouts.iter().map(rollout).collect();
        out.push_str(&print::columns(&rows));
    }
    out
}

/// The protocols of a listener, and what keeps one of them off.
fn protocols(listener: &Listener) -> String {
    let http3 = match listener.http3_state.as_deref() {
        Some("waiting") => "HTTP/3 (waits for its UDP port)",
        _ => "HTTP/3",
    };
    let spoken = [
        (listener.http1, "HTTP/1.1"),
        (listener.http2, "HTTP/2"),
        (listener.http3, http3),
    ];
    let spoken = spoken
        .into_iter()
        .filter_map(|(on, name)| on.then_some(name));
    let spoken = spoken.collect::<Vec<_>>().join(", ");
    match listener.tls {
        true => format!("TLS: {spoken}"),
        false => spoken,
    }
}

/// A rollout in a line; `sluicegate rollout status` has its figures.
fn rollout(it: &Rollout) -> Row<'_> {
    let paused = if it.paused { ", paused" } else { "" };
    let state = format!("{}{paused}", it.state.replace('_', " "));
    let (step, steps) = (it.step.min(it.steps.len()), it.steps.len());
    let place = match steps {
        0 => String::new(),
        _ => format!("step {step} of {steps}"),
    };
    let share = format!("{:.0} % of the users", it.share * 100.0);
    vec![
        (&*it.name).into(),
        format!("pool {}", it.pool).into(),
        state.into(),
        place.into(),
        share.into(),
    ]
}

/// Writes the source of the endpoints and its state.
fn source(out: &mut String, discovery: &PoolDiscovery) {
    let counted = print::counted(discovery.endpoints, "endpoint");
    let _ = writeln!(out, "  from {}: {counted}", discovery.from);
    if let (Some(error), Some(since)) = (&discovery.error, &discovery.error_since) {
        let kept = match discovery.endpoints {
            0 if discovery.succeeded.is_some() => "the last good list, an empty one, is kept",
            0 => "there is no list",
            _ => "the last good list is kept",
        };
        let _ = writeln!(out, "  since {since} {kept}: {error}");
    }
    if let (Some(trouble), Some(since)) = (&discovery.trouble, &discovery.trouble_since) {
        let _ = writeln!(out, "  since {since} the list is used, but: {trouble}");
    }
    if let Some(time) = &discovery.restored {
        let _ = writeln!(
            out,
            "  kept on disk since {time}: the source was not reached yet"
        );
    }
    if let (held @ 1.., Some(since)) = (discovery.held, &discovery.held_since) {
        let until = discovery.held_until.as_ref();
        let until = until.map_or_else(String::new, |time| format!(" until {time}"));
        let down = match discovery.held_down {
            0 => String::new(),
            down => format!(", or marked as down ({down})"),
        };
        let _ = writeln!(
            out,
            "  since {since} {held} stay{until} that are suddenly not listed{down}"
        );
    }
    if discovery.absent > 0 {
        let absent = discovery.absent;
        let _ = writeln!(
            out,
            "  {absent} not listed any more, and used until the check fails"
        );
    }
    if let Some(first) = discovery.skipped_entries.first() {
        let count = discovery.skipped;
        let _ = writeln!(out, "  {count} of its entries cannot be used: {first}");
    }
}

type Row<'a> = Vec<Cow<'a, str>>;

fn head(status: &Status) -> String {
    let uptime = humantime::format_duration(Duration::from_secs(status.uptime_seconds));
    let mut out = format!(
        "{} for {uptime}: sluicegate {}, process {}, {}\n",
        status.state.word(),
        status.version,
        status.pid,
        print::counted(status.workers, "worker"),
    );
    let _ = writeln!(
        out,
        "configuration {}, generation {}",
        status.config, status.generation
    );
    if !status.maintenance.is_empty() {
        let closed = status.maintenance.join(", ");
        let _ = writeln!(out, "closed for maintenance: {closed}");
    }
    let requests = usize::try_from(status.requests_total).unwrap_or(usize::MAX);
    let _ = writeln!(
        out,
        "{}, {} served",
        print::counted(status.connections, "connection"),
        print::counted(requests, "request")
    );
    if let Some(parent) = status.parent {
        let generation = status.process_generation;
        let _ = writeln!(
            out,
            "process generation {generation}, upgraded from process {parent}"
        );
    }
    if let Some(old) = &status.predecessor {
        let open = print::counted(old.connections.unwrap_or_default(), "connection");
        let _ = writeln!(
            out,
            "process {} (sluicegate {}) drains: {open}",
            old.pid, old.version
        );
    }
    if let Some(why) = &status.degraded {
        let _ = writeln!(out, "degraded: {why}");
    }
    if let Some(last) = &status.last_reload {
        let _ = writeln!(out, "last reload {} at {}", last.result.word(), last.time);
        if let Some(error) = &last.error {
            let _ = writeln!(out, "{error}");
        }
    }
    out
}

fn endpoint(endpoint: &Endpoint) -> Row<'_> {
    let mut state = endpoint.condition();
    if let Some(millis) = endpoint.ejected_for_ms {
        let left = Duration::from_secs(millis.div_ceil(1000));
        state = format!("{state} for {}", humantime::format_duration(left)).into();
    }
    let picks = endpoint.picks.map(|picks| {
        let picks = usize::try_from(picks).unwrap_or(usize::MAX);
        print::counted(picks, "pick")
    });
    vec![
        (&*endpoint.address).into(),
        state,
        format!("weight {}", endpoint.weight).into(),
        endpoint.version.as_deref().unwrap_or_default().into(),
        picks.unwrap_or_default().into(),
        endpoint.cause.as_deref().unwrap_or_default().into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_protocols_of_a_listener_are_told_and_what_keeps_one_off() {
        let mut listener: Listener = serde_json::from_str(
            r#"{"name": "web", "address": "127.0.0.1:80", "http1": true, "http2": true, "connections": 0}"#,
        )
        .unwrap();
        assert_eq!(protocols(&listener), "HTTP/1.1, HTTP/2");
        (listener.tls, listener.http3) = (true, true);
        assert_eq!(protocols(&listener), "TLS: HTTP/1.1, HTTP/2, HTTP/3");
        listener.http3_state = Some("waiting".to_owned());
        assert_eq!(
            protocols(&listener),
            "TLS: HTTP/1.1, HTTP/2, HTTP/3 (waits for its UDP port)"
        );
    }
}
