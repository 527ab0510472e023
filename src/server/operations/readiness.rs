//! Readiness of the process, with reasons.

use std::{
    collections::{BTreeSet, HashSet},
    time::SystemTime,
};

use tokio::time::Instant;

use super::Api;
use crate::{admin::model::Ready, server::failing::Lines, state::Snapshot};

impl Api {
    /// Returns a line for each certificate that a CA has not issued, or not renewed.
    fn missing_certificates(&self) -> BTreeSet<String> {
        let snapshot = self.shared.snapshot();
        let listeners = snapshot.listeners.iter();
        let certificates = listeners.filter_map(|listener| listener.acme.as_ref());
        let lines = certificates.filter_map(|it| {
            let (status, names) = (it.standing.status(), it.order.label());
            let since = status.failing_since.map(humantime::format_rfc3339_seconds);
            let since = since.map_or_else(String::new, |since| format!(" since {since}"));
            match (status.error, status.expires) {
                (None, Some(_)) => None,
                (Some(error), Some(_)) => Some(format!(
                    "the certificate for {names} is not renewed{since}: {error}"
                )),
                (Some(error), None) => Some(format!(
                    "the certificate for {names} is not issued{since}: {error}"
                )),
                (None, None) => Some(format!("the certificate for {names} is not issued yet")),
            }
        });
        lines.collect()
    }

    /// Returns whether traffic is welcome, and what is amiss.
    pub(super) fn readiness(&self) -> Ready {
        let mut reasons = Vec::new();
        let draining = self.shared.is_draining();
        if draining {
            reasons.push("draining".to_owned());
        }
        // A start with the last good configuration serves: it must not take a fleet out of
        // rotation.
        reasons.extend(self.board.degraded());
        let Lines {
            failing: hurt,
            apart,
        } = self.board.failing();
        reasons.extend_from_slice(&hurt);
        reasons.extend(apart);
        // The last good list stays in use.
        let snapshot = self.shared.snapshot();
        let sources = snapshot.pools.iter().filter(|it| it.discovery.is_some());
        reasons.extend(sources.flat_map(|pool| {
            let status = pool.shared.discovered.status();
            let name = &pool.name;
            let what = status.error.or(status.trouble).map(|(what, since)| {
                let since = humantime::format_rfc3339_seconds(since);
                format!("pool \"{name}\" since {since}: {what}")
            });
            let held = status.held.map(|held| format!("pool \"{name}\": {held}"));
            what.into_iter().chain(held)
        }));
        reasons.extend(self.board.outages.lines());
        let listeners = snapshot.listeners.iter();
        reasons.extend(listeners.filter_map(|listener| {
            let name = &listener.name;
            let entry = self.board.registration(name)?;
            let error = entry.error?;
            let since = entry.since;
            Some(format!(
                "listener \"{name}\" is not registered since {since}: {error}"
            ))
        }));
        reasons.extend(self.missing_certificates());
        let now = SystemTime::now();
        reasons.extend(snapshot.listeners.iter().filter_map(|listener| {
            let lists = listener.tls.as_ref()?.revocation_lists()?;
            let due = humantime::format_rfc3339_seconds(lists.overdue(now)?);
            let (name, file) = (&listener.name, lists.path.display());
            Some(format!(
                "listener \"{name}\": {file} has a revocation list whose successor was due at {due}; it stays in use until a newer one is written there"
            ))
        }));
        let stores = snapshot.rate_stores.iter();
        reasons.extend(stores.filter(|it| it.breaker().is_open()).map(|store| {
            let why = store.breaker().cause().unwrap_or_default();
            let failed = store.breaker().open_for(Instant::now()).unwrap_or_default();
            let since = humantime::format_rfc3339_seconds(SystemTime::now() - failed);
            format!(
                "rate limits: the store {} fails since {since}: {why}",
                store.url()
            )
        }));
        reasons.extend(unfetched(&snapshot));
        let troubles = self.board.troubles();
        let ready = !draining && !troubles.iter().any(|trouble| trouble.hurts_traffic);
        reasons.extend(troubles.into_iter().map(|trouble| trouble.what));
        if let Some(report) = self.board.last_reload()
            && let Some(error) = report.error
        {
            let at = &report.time;
            reasons.push(format!("the last reload was refused at {at}: {error}"));
        }
        // Routes may share what fails, such as keys of tokens.
        let mut told = HashSet::new();
        reasons.retain(|reason| told.insert(reason.clone()));
        Ready {
            ready,
            reasons: Some(reasons),
            failing: Some(hurt),
        }
    }
}

/// A line for each document that is not fetched: keys of tokens, metadata of providers.
fn unfetched(snapshot: &Snapshot) -> Vec<String> {
    let mut lines = Vec::new();
    lines.extend(snapshot.token_keys().filter_map(|it| {
        let (since, why) = failing(it.trouble())?;
        let url = &it.url;
        Some(format!(
            "the keys of tokens cannot be fetched from {url} since {since}: {why}"
        ))
    }));
    let providers = snapshot.providers().map(|it| it.document());
    lines.extend(providers.filter_map(|it| {
        let (since, why) = failing(it.trouble())?;
        let url = &it.url;
        Some(format!(
            "the metadata of the OpenID provider cannot be fetched from {url} since {since}: {why}"
        ))
    }));
    lines
}

/// The time since when something fails, as text, with the reason.
fn failing(trouble: Option<(SystemTime, String)>) -> Option<(String, String)> {
    let (since, why) = trouble?;
    Some((humantime::format_rfc3339_seconds(since).to_string(), why))
}
