//! Figures for the overview of the admin API, read from metrics, workers and the snapshot.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::time::Instant;

use crate::{
    admin::{Figures, LatencyCounts, RequestCounts, model},
    semantics::date::unix_seconds,
    state::{AcmeCertificate, Snapshot},
    telemetry::metrics::{Metrics, names},
    tls::{Certificate, RevocationLists},
};

/// Reads the counts of requests and attempts.
pub(super) fn read(metrics: &Metrics) -> Figures {
    let mut routes: BTreeMap<String, RequestCounts> = BTreeMap::new();
    for (labels, count) in metrics.totals(&names::REQUESTS_TOTAL) {
        let [_, route, class, reason] = &*labels else {
            continue;
        };
        let route = routes.entry(route.to_string()).or_default();
        route.total += count;
        match &**class {
            "4xx" => route.refused += count,
            "5xx" => route.failed += count,
            // Begun, and cut short.
            _ if !reason.is_empty() => route.failed += count,
            _ => {}
        }
    }
    let durations = &names::REQUEST_DURATION_SECONDS;
    for (labels, counts) in metrics.histograms(durations) {
        if let [route] = &*labels {
            let route = routes.entry(route.to_string()).or_default();
            route.latency = latency(durations.bounds_ns(), counts);
        }
    }
    let durations = &names::ATTEMPT_DURATION_SECONDS;
    let mut attempts = BTreeMap::new();
    for (labels, counts) in metrics.histograms(durations) {
        if let [pool, version] = &*labels {
            let key = (pool.to_string(), version.to_string());
            attempts.insert(key, latency(durations.bounds_ns(), counts));
        }
    }
    let mut attempts_failed: BTreeMap<String, u64> = BTreeMap::new();
    for (labels, count) in metrics.totals(&names::ATTEMPTS_TOTAL) {
        if let [pool, reason] = &*labels
            && !reason.is_empty()
        {
            *attempts_failed.entry(pool.to_string()).or_default() += count;
        }
    }
    for (labels, count) in metrics.totals(&names::ENDPOINT_REQUESTS_TOTAL) {
        if let [pool, _, class] = &*labels
            && &**class == "5xx"
        {
            *attempts_failed.entry(pool.to_string()).or_default() += count;
        }
    }
    Figures {
        taken: Instant::now(),
        routes,
        attempts,
        attempts_failed,
    }
}

fn latency(bounds_ns: &'static [u64], mut cells: Vec<u64>) -> LatencyCounts {
    // The first cell is the sum of the durations.
    let counts = cells.split_off(cells.len().min(1));
    LatencyCounts { bounds_ns, counts }
}

/// Lists the certificates and revocation lists in use, the one that expires first in front.
pub(super) fn certificates(snapshot: &Snapshot) -> Vec<model::CertificateExpiry> {
    let now = i64::try_from(unix_seconds(SystemTime::now())).unwrap_or(i64::MAX);
    let mut all = Vec::new();
    for listener in &snapshot.listeners {
        let certificates = listener.tls.iter().flat_map(|tls| tls.certificates());
        all.extend(certificates.map(|it| {
            let issued = listener.acme.as_ref();
            let issued = issued.filter(|acme| acme.order.certificate() == it.files.chain);
            model::CertificateExpiry {
                acme: issued.map(|acme| self::acme(acme)),
                ..view("listener", &listener.name, &it, now)
            }
        }));
        if let Some(held) = listener.tls.as_ref().and_then(|it| it.revocation_lists()) {
            all.extend(lists(&listener.name, &held, now));
        }
    }
    for pool in &snapshot.pools {
        let certificate = pool.tls.as_ref().and_then(|tls| tls.certificate());
        all.extend(certificate.map(|it| view("pool", &pool.name, &it, now)));
    }
    all.sort_by_key(|certificate| certificate.expires_in_seconds);
    all.truncate(CERTIFICATES_MAX);
    all
}

fn view(of: &str, name: &str, certificate: &Certificate, now: i64) -> model::CertificateExpiry {
    let since_epoch = u64::try_from(certificate.expires).unwrap_or_default();
    let expires = UNIX_EPOCH + Duration::from_secs(since_epoch.min(YEAR_9999));
    model::CertificateExpiry {
        of: of.to_owned(),
        name: name.to_owned(),
        certificate: certificate.files.chain.display().to_string(),
        names: certificate.names.clone(),
        expires: humantime::format_rfc3339_seconds(expires).to_string(),
        expires_in_seconds: certificate.expires.saturating_sub(now),
        expires_soon: certificate.expires_soon(now),
        acme: None,
        revocation_list: None,
    }
}

/// Shows the revocation lists of a listener's clients.
fn lists<'a>(
    listener: &str,
    lists: &'a RevocationLists,
    now: i64,
) -> impl Iterator<Item = model::CertificateExpiry> + use<'a> {
    let name = listener.to_owned();
    lists.in_use().map(move |list| model::CertificateExpiry {
        of: "listener".to_owned(),
        name: name.clone(),
        certificate: lists.path.display().to_string(),
        names: Vec::new(),
        expires: list.next_update_text,
        expires_in_seconds: list.next_update.saturating_sub(now),
        expires_soon: list.next_update <= now,
        acme: None,
        revocation_list: Some(model::RevocationList {
            issuer: list.issuer,
            number: list.number,
        }),
    })
}

/// Shows a certificate that a CA issues.
pub(super) fn acme(certificate: &AcmeCertificate) -> model::Acme {
    let status = certificate.standing.status();
    let time = |at: SystemTime| humantime::format_rfc3339_seconds(at).to_string();
    let expires = status.expires.map(|at| {
        let since = u64::try_from(at).unwrap_or_default().min(YEAR_9999);
        time(UNIX_EPOCH + Duration::from_secs(since))
    });
    let state = match (&status.error, status.expires) {
        _ if status.ordering => "ordering",
        (Some(_), _) => "failed",
        (None, Some(_)) => "issued",
        (None, None) => "wanted",
    };
    model::Acme {
        names: certificate.order.names.clone(),
        directory: certificate.order.directory.to_string(),
        state: state.to_owned(),
        expires,
        next_order: status.next.map(time),
        failures: status.failures,
        error: status.error,
    }
}

const CERTIFICATES_MAX: usize = 1000;

/// The last year that the format can hold, in seconds of Unix time.
const YEAR_9999: u64 = 253_402_300_799;
