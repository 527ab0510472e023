//! Checks on TLS: certificates and keys can be read, belong together and are valid now.

use std::path::Path;
use std::time::SystemTime;

use super::{Check, PastTime, Secrets, acme};
use crate::config::schema::{ListenerTls, Pool, PoolTls};
use crate::config::setting::{Span, Spans};
use crate::config::value::{EndpointAddress, Name, PoolProtocol};
use crate::tls::{self, Certificate, OcspFault, TlsFault};

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (name, listener) in &config.listeners {
        if let Some(tls) = &listener.tls {
            check_listener(check, name, tls);
            if let Some(written) = &tls.acme {
                acme::check(check, name, listener, tls, written);
            }
        }
    }
    for (name, pool) in &config.pools {
        match &pool.tls {
            Some(tls) => check_pool(check, name, pool, tls),
            None if pool.protocol == PoolProtocol::Auto => {
                let message =
                    format!("pools.{name}.protocol \"auto\" needs TLS, which agrees on it");
                let hint = "add tls = { }, or write \"http/1.1\" or \"h2\"";
                check.error(pool.spans.of("protocol"), message, hint);
            }
            None => {}
        }
    }
}

fn check_listener(check: &mut Check<'_>, name: &Name, tls: &ListenerTls) {
    let place = format!("listeners.{name}.tls");
    let has_other = tls.acme.is_some() || check.is_broken(&format!("{place}.acme"));
    if tls.certificates.is_empty()
        && !has_other
        && !check.is_broken(&format!("{place}.certificates"))
    {
        let (message, span) = match tls.spans.has("certificates") {
            true => (
                format!("{place}.certificates is empty"),
                tls.spans.of("certificates"),
            ),
            false => (format!("{place} has no certificate"), tls.spans.anchor()),
        };
        let hint = "certificates = [{ chain = …, key = … }], or acme = { domains = […] }";
        check.error(span, message, hint);
    }
    for certificate in &tls.certificates {
        let files = tls::KeyPair {
            chain: certificate.chain.clone(),
            key: certificate.key.clone(),
            ocsp: certificate.ocsp.clone(),
        };
        check_pair(check, &place, &files, &certificate.spans);
    }
    check_clients(check, &place, tls);
}

/// Checks the authorities of clients, and the lists of what they revoked.
fn check_clients(check: &mut Check<'_>, place: &str, tls: &ListenerTls) {
    let mut authorities = None;
    match &tls.client_ca {
        Some(ca) => {
            let place = format!("{place}.client_ca");
            authorities = check_client_authorities(check, &place, ca, tls.spans.of("client_ca"));
        }
        None => {
            for key in ["client_auth", "client_crl"] {
                if tls.spans.has(key) {
                    let message = format!("{place}.{key} is set without client_ca");
                    let hint = "client_ca says whose certificates are accepted";
                    check.error(tls.spans.of(key), message, hint);
                }
            }
        }
    }
    if let Some(crl) = &tls.client_crl {
        let span = tls.spans.of("client_crl");
        let place = format!("{place}.client_crl");
        check_revocation_lists(check, &place, crl, authorities.as_ref(), span);
    }
}

fn check_pool(check: &mut Check<'_>, name: &Name, pool: &Pool, tls: &PoolTls) {
    let place = format!("pools.{name}.tls");
    let mut addresses = pool.endpoints.iter().map(|endpoint| &endpoint.address);
    let unnamed = addresses.any(|address| matches!(address, EndpointAddress::Unix(_)));
    if unnamed && tls.server_name.is_none() {
        let message = format!("{place} has no server_name to verify on a unix socket");
        check.error(tls.spans.anchor(), message, "add server_name = \"…\"");
    }
    check_client(check, &place, tls);
}

/// Checks TLS towards servers: names and files.
pub(super) fn check_client(check: &mut Check<'_>, place: &str, tls: &PoolTls) {
    if let Some(written) = &tls.server_name
        && !tls::is_server_name(written)
    {
        let message = format!("{place}.server_name \"{written}\" is not a name or an IP address");
        check.error(
            tls.spans.of("server_name"),
            message,
            "such as \"app.internal\"",
        );
    }
    if let Some(pair) = &tls.client {
        let files = tls::KeyPair {
            chain: pair.chain.clone(),
            key: pair.key.clone(),
            ocsp: None,
        };
        check_pair(check, &format!("{place}.client"), &files, &pair.spans);
    }
    if let Some(ca) = &tls.ca {
        check_authorities(check, &format!("{place}.ca"), ca, tls.spans.of("ca"));
    }
    if !tls.verify {
        let message = format!("{place} does not verify the endpoints");
        let hint = "an attacker in between can read and change everything; use ca = \"…\" instead";
        check.warn(tls.spans.of("verify"), message, hint);
    }
}

fn check_pair(check: &mut Check<'_>, place: &str, files: &tls::KeyPair, spans: &Spans) {
    if is_withheld(check, place, spans.of("chain")) {
        return;
    }
    let certificate = match Certificate::load(files) {
        Ok(certificate) => certificate,
        Err(fault) if is_excused(check, &fault, files) => return,
        Err(fault) => {
            let span = spans.of(key_of(&fault, files));
            return check.error(span, format!("{place}: {fault}"), hint(&fault));
        }
    };
    let now = SystemTime::now();
    let Some(fault) = certificate.overdue(now) else {
        return;
    };
    let span = spans.of(key_of(&fault, files));
    let message = format!("{place}: {fault}");
    let in_use = |used: &&Certificate| used.files == *files;
    let served = match check.rules.past_time {
        PastTime::Refused => false,
        PastTime::Served => true,
        PastTime::InUse(used) => {
            let used = used.iter().map(|used| &**used).find(in_use);
            used.is_some() && certificate.overdue_beside(used, now).is_none()
        }
    };
    match (served, &fault) {
        (false, _) => check.error(span, message, hint(&fault)),
        (true, TlsFault::Ocsp { .. }) => {
            check.warn(
                span,
                message,
                "it is not shown to clients until it is renewed",
            );
        }
        (true, TlsFault::Early { .. }) => {
            let hint = "it is used all the same, and most clients will refuse it until then";
            check.warn(span, message, hint);
        }
        (true, _) => {
            let hint = "it is used all the same, and most clients will refuse it; renew it";
            check.warn(span, message, hint);
        }
    }
}

/// Tells that a file is not read, if the caller may not learn what it is: what is wrong with it says
/// whether it is there, and what it holds.
fn is_withheld(check: &mut Check<'_>, place: &str, span: Span) -> bool {
    let withheld = check.rules.secrets == Secrets::Withheld;
    if withheld {
        let message = format!("{place}: its files are read only for who shows admin.token");
        let hint = "ask with the token, or let `sluicegate check` read the files";
        check.error(span, message, hint);
    }
    withheld
}

/// Returns true if a missing private key is no fault because secrets are excused.
fn is_excused(check: &Check<'_>, fault: &TlsFault, files: &tls::KeyPair) -> bool {
    let of_key = matches!(fault, TlsFault::Unreadable { path, .. } if *path == files.key);
    of_key && check.rules.secrets == Secrets::Excused
}

/// Returns the key of `proxy.toml` that names the file at fault.
fn key_of(fault: &TlsFault, files: &tls::KeyPair) -> &'static str {
    match fault {
        TlsFault::Key { .. } | TlsFault::Encrypted { .. } | TlsFault::Mismatch { .. } => "key",
        TlsFault::Ocsp { .. } => "ocsp",
        TlsFault::Unreadable { path, .. }
        | TlsFault::Malformed { path, .. }
        | TlsFault::Empty { path, .. } => {
            if *path == files.key {
                "key"
            } else if Some(path) == files.ocsp.as_ref() {
                "ocsp"
            } else {
                "chain"
            }
        }
        TlsFault::Expired { .. }
        | TlsFault::Early { .. }
        | TlsFault::RevocationList { .. }
        | TlsFault::ServerName(_)
        | TlsFault::Refused(_) => "chain",
    }
}

pub(super) fn check_authorities(check: &mut Check<'_>, place: &str, path: &Path, span: Span) {
    if is_withheld(check, place, span) {
        return;
    }
    if let Err(fault) = tls::Authorities::load(path) {
        check.error(span, format!("{place}: {fault}"), hint(&fault));
    }
}

/// Checks the authorities of clients as [`check_authorities`] does, and also that clients can be
/// sent their names. Returns them if they can be used.
fn check_client_authorities(
    check: &mut Check<'_>,
    place: &str,
    path: &Path,
    span: Span,
) -> Option<tls::Authorities> {
    if is_withheld(check, place, span) {
        return None;
    }
    match tls::Authorities::load(path) {
        Err(fault) => {
            check.error(span, format!("{place}: {fault}"), hint(&fault));
            None
        }
        Ok(authorities) => {
            if !authorities.are_announced() {
                let message = format!(
                    "{place}: the names of its authorities take more room than a TLS message has"
                );
                let hint = "clients are not told of them, and choose a certificate by themselves";
                check.warn(span, message, hint);
            }
            Some(authorities)
        }
    }
}

fn check_revocation_lists(
    check: &mut Check<'_>,
    place: &str,
    path: &Path,
    authorities: Option<&tls::Authorities>,
    span: Span,
) {
    if is_withheld(check, place, span) {
        return;
    }
    let lists = match tls::RevocationLists::load(path, authorities) {
        Ok(lists) => lists,
        Err(fault) => return check.error(span, format!("{place}: {fault}"), hint(&fault)),
    };
    for warning in &lists.warnings {
        check.warn(span, format!("{place}: {} {warning}", path.display()), "");
    }
    if let Some(due) = lists.overdue(SystemTime::now()) {
        let due = humantime::format_rfc3339_seconds(due);
        let message = format!("{place}: a newer list was due at {due}");
        let hint = "it is used all the same, without what was revoked since; renew it";
        check.warn(span, message, hint);
    }
}

fn hint(fault: &TlsFault) -> &'static str {
    match fault {
        TlsFault::Unreadable { .. } => "paths are relative to this file",
        TlsFault::Malformed { .. } | TlsFault::Empty { .. } => "a PEM file is expected",
        TlsFault::Key { .. } => "an RSA, ECDSA or Ed25519 key as PEM",
        TlsFault::Encrypted { .. } => {
            "`openssl pkey -in FILE -out NEW` writes it without; protect it by its owner and mode"
        }
        TlsFault::Mismatch { .. } => "chain and key must belong together",
        TlsFault::Expired { .. } => "renew it",
        TlsFault::Early { .. } => "is the clock of this machine right?",
        TlsFault::Ocsp { fault, .. } => match fault {
            OcspFault::Malformed(_) => "a response in DER, as `openssl ocsp -respout` writes it",
            OcspFault::NoAnswer(_) => "ask the responder again",
            OcspFault::Stranger => "ask for the certificate in chain",
            OcspFault::Revoked(_) | OcspFault::Unknown => "clients would refuse the certificate",
            OcspFault::Early(_) => "is the clock of this machine right?",
            OcspFault::Over(_) => "renew it",
        },
        TlsFault::RevocationList { fault, .. } => fault.hint(),
        TlsFault::ServerName(_) | TlsFault::Refused(_) => "",
    }
}
