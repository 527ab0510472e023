//! Checks on servers of etcd.

use super::Check;
use crate::config::{
    schema::{ConfigEtcd, DiscoverEtcd, PoolTls, RegisterEtcd, RolloutEtcd},
    setting::Spans,
    value::{Secret, ServerUrl},
};

/// The keys that all tables about etcd have.
struct Servers<'a> {
    spans: &'a Spans,
    endpoints: &'a [ServerUrl],
    user: Option<&'a str>,
    password: Option<&'a Secret>,
    tls: Option<&'a PoolTls>,
}

/// Takes them from one of these tables.
macro_rules! servers_of {
    ($etcd:ident) => {
        Servers {
            spans: &$etcd.spans,
            endpoints: &$etcd.endpoints,
            user: $etcd.user.as_deref(),
            password: $etcd.password.as_ref(),
            tls: $etcd.tls.as_ref(),
        }
    };
}

/// Checks a source of endpoints.
pub(super) fn check(check: &mut Check<'_>, place: &str, etcd: &DiscoverEtcd) {
    if etcd.prefix.is_empty() && !check.is_broken(&format!("{place}.prefix")) {
        let message = format!("{place}.prefix is empty: every key would be an endpoint");
        check.error(
            etcd.spans.of("prefix"),
            message,
            "such as \"/services/orders/\"",
        );
    }
    check_servers(check, place, &servers_of!(etcd));
}

/// Checks a store of the configuration.
pub(super) fn check_store(check: &mut Check<'_>, place: &str, etcd: &ConfigEtcd) {
    super::registry::check_name(
        check,
        place,
        &etcd.spans,
        "key",
        &etcd.key,
        "sluicegate/edge",
    );
    check_servers(check, place, &servers_of!(etcd));
}

/// Checks a registry of listeners.
pub(super) fn check_registry(check: &mut Check<'_>, place: &str, etcd: &RegisterEtcd) {
    super::registry::check_name(
        check,
        place,
        &etcd.spans,
        "prefix",
        &etcd.prefix,
        "/services/orders/",
    );
    check_servers(check, place, &servers_of!(etcd));
}

/// Checks a store of rollouts.
pub(super) fn check_rollouts(check: &mut Check<'_>, place: &str, etcd: &RolloutEtcd) {
    check_servers(check, place, &servers_of!(etcd));
}

fn check_servers(check: &mut Check<'_>, place: &str, etcd: &Servers<'_>) {
    let spans = etcd.spans;
    if etcd.endpoints.is_empty() && !check.is_broken(&format!("{place}.endpoints")) {
        let message = format!("{place}.endpoints lists no server");
        let hint = "such as [\"http://127.0.0.1:2379\"]";
        check.error(spans.of("endpoints"), message, hint);
    }
    let is_sent = check_login(check, place, spans, etcd.user, etcd.password);
    let is_open = |url: &ServerUrl| !url.tls && !url.address.is_local();
    if is_sent && etcd.endpoints.iter().any(is_open) {
        let message = format!("{place} sends a password in plain text");
        let hint = super::registry::SECRET_ON_THE_WAY;
        check.warn(spans.of("endpoints"), message, hint);
    }
    let Some(tls) = etcd.tls else { return };
    super::tls::check_client(check, &format!("{place}.tls"), tls);
    if !etcd.endpoints.iter().any(|it| it.tls) {
        let message = format!("{place}.tls is for servers with https://, and there is none");
        check.error(spans.of("tls"), message, "remove it, or write https://");
    }
}

/// Checks that user and password stand together; returns true if there are both.
pub(super) fn check_login(
    check: &mut Check<'_>,
    place: &str,
    spans: &Spans,
    user: Option<&str>,
    password: Option<&Secret>,
) -> bool {
    match (user, password) {
        (None, Some(_)) => {
            let message = format!("{place} has a password and no user");
            check.error(spans.of("password"), message, "add user = \"…\"");
        }
        (Some(_), None) if !check.is_broken(&format!("{place}.password")) => {
            let message = format!("{place} has a user and no password");
            let hint = "add password = { env = \"NAME\" }";
            check.error(spans.of("user"), message, hint);
        }
        (Some(_), Some(password)) => {
            check.secret(&format!("{place}.password"), spans.of("password"), password);
        }
        _ => {}
    }
    user.is_some() && password.is_some()
}
