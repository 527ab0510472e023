//! Readiness of the process, with reasons.

use std::{
    collections::{BTreeSet, HashSet},
    time::SystemTime,
};

use tokio::time::Instant;

use super::Api;
use crate::admin::model::Ready;

impl Api {
    /// Returns a line for each certificate that a CA has not issued, or not renewed.
    fn missing_certificates(&self) -> BTreeSet<String> {
        let snapshot = self.shared.snapshot();
        let listeners = snapshot.listeners.iter();
        let certificates = listeners.filter_map(|listener| listener.acme.as_ref());
        let lines = certificates.filter_map(|it| {
            let (status, names) = (it.standing.status(), it.order.label());
            match (status.error, status.expires) {
                (None, Some(_)) => None,
                (Some(error), Some(_)) => Some(format!(
                    "the certificate for {names} is not renewed: {error}"
                )),
                (Some(error), None) => Some(format!(
                    "the certificate for {names} is not issued: {error}"
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
        let hurt = self.board.failing();
        reasons.extend_from_slice(&hurt);
        // The last good list stays in use.
        let snapshot = self.shared.snapshot();
        let sources = snapshot.pools.iter().filter(|it| it.discovery.is_some());
        reasons.extend(sources.filter_map(|pool| {
            let status = pool.shared.discovered.status();
            let name = &pool.name;
            let error = status.error.map(|(error, since)| {
                let since = humantime::format_rfc3339_seconds(since);
                format!("pool \"{name}\" since {since}: {error}")
            });
            let held = status.held.map(|held| format!("pool \"{name}\": {held}"));
            error.or(held)
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
                "listener \"{name}\": {file} has a revocation list whose successor was due at {due}"
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
        let failing = snapshot.token_keys().filter(|it| it.is_failing());
        reasons.extend(
            failing.map(|it| format!("the keys of tokens cannot be fetched from {}", it.url)),
        );
        let failing = snapshot.providers().map(|it| it.document());
        reasons.extend(failing.filter(|it| it.is_failing()).map(|it| {
            let url = &it.url;
            format!("the metadata of the OpenID provider cannot be fetched from {url}")
        }));
        let troubles = self.board.troubles();
        let ready = !draining && !troubles.iter().any(|trouble| trouble.hurts_traffic);
        reasons.extend(troubles.into_iter().map(|trouble| trouble.what));
        if let Some(report) = self.board.last_reload()
            && let Some(error) = report.error
        {
            reasons.push(format!("the last reload was refused: {error}"));
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
