//! All that is wrong with the running proxy, the worst first: for `status` and `top`.

use super::print;
use crate::admin::model::{CertificateExpiry, Endpoint, Pool, Ready, Rollout};

/// Lists what an operator should look at: a line each.
pub(super) fn wrong(
    ready: &Ready,
    pools: &[Pool],
    rollouts: &[Rollout],
    certificates: &[CertificateExpiry],
) -> Vec<String> {
    let failing = ready.failing.as_deref().unwrap_or_default();
    let reasons = ready.reasons.iter().flatten();
    let reasons = reasons.filter(|it| !failing.contains(it));
    let mut all = Vec::new();
    if ready.ready {
        all.extend_from_slice(failing);
        all.extend(reasons.map(|reason| format!("degraded: {reason}")));
    } else {
        all.extend(reasons.map(|reason| format!("not ready: {reason}")));
        all.extend_from_slice(failing);
    }
    all.extend(pools.iter().filter_map(in_panic));
    all.extend(certificates.iter().filter_map(expiring));
    all.extend(pools.iter().filter_map(broken));
    all.extend(pools.iter().filter_map(shrunk));
    all.extend(rollouts.iter().filter_map(waiting));
    all.extend(rollouts.iter().filter_map(cut_off));
    all
}

fn in_panic(pool: &Pool) -> Option<String> {
    let name = &pool.name;
    let words = format!("pool {name}: too few endpoints are healthy, health is ignored");
    pool.panic.then_some(words)
}

fn broken(pool: &Pool) -> Option<String> {
    let breaker = pool.breaker.as_ref().filter(|it| it.state != "closed")?;
    let (name, state) = (&pool.name, breaker.state.replace('_', "-"));
    let cause = breaker.cause.as_deref().unwrap_or("no cause known");
    Some(format!("pool {name}: the breaker is {state}: {cause}"))
}

/// Endpoints that are out, though others still serve.
fn shrunk(pool: &Pool) -> Option<String> {
    let out: Vec<&Endpoint> = pool.endpoints.iter().filter(|it| !it.eligible).collect();
    let first = out.first()?;
    if out.len() == pool.endpoints.len() {
        return None;
    }
    let (name, count, all) = (&pool.name, out.len(), pool.endpoints.len());
    let state = first.condition();
    let why = first.cause.as_deref().filter(|_| first.down.is_none());
    let why = why.map_or_else(String::new, |why| format!(": {why}"));
    let address = &first.address;
    Some(format!(
        "pool {name}: {count} of {all} endpoints are out, first {address}, {state}{why}"
    ))
}

fn waiting(rollout: &Rollout) -> Option<String> {
    let (name, reason) = (&rollout.name, &rollout.reason);
    match &*rollout.state {
        "waiting" => Some(format!(
            "rollout {name} waits: {reason}; `sluicegate rollout promote {name}` goes on"
        )),
        "rolling_back" | "rolled_back" => Some(format!("rollout {name} was rolled back: {reason}")),
        "frozen" => Some(format!("rollout {name} is frozen: {reason}")),
        _ => None,
    }
}

/// A rollout that does not go on with the others of its fleet.
fn cut_off(rollout: &Rollout) -> Option<String> {
    let (name, fleet) = (&rollout.name, rollout.fleet.as_ref()?);
    let why = fleet.held_back.as_ref().or(fleet.foreign.as_ref());
    if let Some(why) = why {
        return Some(format!("rollout {name}: {why}"));
    }
    let (store, error) = (&fleet.store, fleet.store_error.as_ref()?);
    Some(format!("rollout {name}: {store} does not answer: {error}"))
}

fn expiring(certificate: &CertificateExpiry) -> Option<String> {
    let CertificateExpiry {
        of,
        name,
        certificate,
        expires,
        expires_in_seconds,
        expires_soon,
        acme,
        revocation_list,
        ..
    } = certificate;
    if revocation_list.is_some() {
        // Readiness says that one is overdue.
        return None;
    }
    let time = print::rough_time(expires_in_seconds.unsigned_abs());
    if *expires_in_seconds < 0 {
        Some(format!(
            "{of} {name}: certificate {certificate} expired {time} ago, at {expires}; most peers refuse it"
        ))
    } else if *expires_soon && acme.is_none() {
        // One that a CA renews by itself is told of when that fails.
        Some(format!(
            "{of} {name}: certificate {certificate} expires in {time}, at {expires}"
        ))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn pool(states: &[(&str, bool)]) -> Pool {
        let endpoints: Vec<_> = states
            .iter()
            .map(|(state, eligible)| {
                json!({
                    "address": "127.0.0.1:1", "state": state, "eligible": eligible,
                    "cause": "3 failures in a row", "ejected_for_ms": null, "ejections": 0,
                    "weight": 1, "version": null, "zone": null, "priority": 0, "labels": {},
                    "picks": 0,
                })
            })
            .collect();
        serde_json::from_value(json!({
            "name": "app", "picker": "random", "panic": false, "connections": 0,
            "retries_in_flight": 0, "endpoints": endpoints,
        }))
        .unwrap()
    }

    fn certificate(expires_in_seconds: i64) -> CertificateExpiry {
        CertificateExpiry {
            of: "listener".to_owned(),
            name: "web".to_owned(),
            certificate: "a.pem".to_owned(),
            names: Vec::new(),
            expires: "2026-01-01T00:00:00Z".to_owned(),
            expires_in_seconds,
            expires_soon: expires_in_seconds < 14 * 24 * 3600,
            acme: None,
            revocation_list: None,
        }
    }

    fn ready(ready: bool, reasons: &[&str]) -> Ready {
        Ready {
            ready,
            reasons: Some(reasons.iter().map(|it| (*it).to_owned()).collect()),
            failing: Some(Vec::new()),
        }
    }

    #[test]
    fn nothing_is_wrong_with_what_works() {
        let pools = [pool(&[("healthy", true), ("probation", true)])];
        let certificates = [certificate(30 * 24 * 3600)];
        assert!(wrong(&ready(true, &[]), &pools, &[], &certificates).is_empty());
    }

    #[test]
    fn what_hurts_clients_comes_first() {
        let pools = [
            pool(&[("ejected", false)]),
            pool(&[("healthy", true), ("ejected", false)]),
        ];
        let certificates = [certificate(-1), certificate(3600)];
        let cannot = "pool app: no endpoint can serve".to_owned();
        let told = Ready {
            failing: Some(vec![cannot.clone()]),
            ..ready(true, &["the last reload was refused", &cannot])
        };
        let all = wrong(&told, &pools, &[], &certificates);
        let heads: Vec<&str> = all.iter().map(|it| it.split(',').next().unwrap()).collect();
        assert_eq!(
            heads,
            [
                "pool app: no endpoint can serve",
                "degraded: the last reload was refused",
                "listener web: certificate a.pem expired 1 second ago",
                "listener web: certificate a.pem expires in 60 minutes",
                "pool app: 1 of 2 endpoints are out",
            ]
        );
        let all = wrong(&ready(false, &["draining"]), &pools, &[], &[]);
        assert_eq!(all[0], "not ready: draining");
    }
}
