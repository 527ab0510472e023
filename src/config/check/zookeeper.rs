//! Checks on servers of ZooKeeper.

use super::Check;
use crate::config::{
    schema::{DiscoverZooKeeper, RegisterZooKeeper},
    setting::Spans,
    value::{EndpointAddress, Secret},
};

/// The keys that all tables about ZooKeeper have.
struct Servers<'a> {
    spans: &'a Spans,
    servers: &'a [EndpointAddress],
    path: &'a str,
    user: Option<&'a str>,
    password: Option<&'a Secret>,
}

/// Checks a source of endpoints.
pub(super) fn check(check: &mut Check<'_>, place: &str, zookeeper: &DiscoverZooKeeper) {
    let servers = Servers {
        spans: &zookeeper.spans,
        servers: &zookeeper.servers,
        path: &zookeeper.path,
        user: zookeeper.user.as_deref(),
        password: zookeeper.password.as_ref(),
    };
    check_servers(check, place, &servers);
}

/// Checks a registry of listeners.
pub(super) fn check_registry(check: &mut Check<'_>, place: &str, zookeeper: &RegisterZooKeeper) {
    let servers = Servers {
        spans: &zookeeper.spans,
        servers: &zookeeper.servers,
        path: &zookeeper.path,
        user: zookeeper.user.as_deref(),
        password: zookeeper.password.as_ref(),
    };
    check_servers(check, place, &servers);
}

fn check_servers(check: &mut Check<'_>, place: &str, zookeeper: &Servers<'_>) {
    let spans = zookeeper.spans;
    let hint = "such as [\"127.0.0.1:2181\"]";
    if zookeeper.servers.is_empty() && !check.is_broken(&format!("{place}.servers")) {
        let message = format!("{place}.servers lists no server");
        check.error(spans.of("servers"), message, hint);
    }
    let mut servers = zookeeper.servers.iter();
    if servers.any(|it| matches!(it, EndpointAddress::Unix(_))) {
        let message = format!("{place}.servers: ZooKeeper does not listen at unix sockets");
        check.error(spans.of("servers"), message, hint);
    }
    let path = zookeeper.path;
    let is_wrong = !path.starts_with('/')
        || (path != "/" && path.ends_with('/'))
        || path.contains("//")
        || path.contains('\0');
    if is_wrong && !check.is_broken(&format!("{place}.path")) {
        let message = format!(
            "{place}.path: \"{}\" is not the path of a node",
            path.escape_debug()
        );
        let hint = "it begins with \"/\" and does not end with it: \"/services/orders\"";
        check.error(spans.of("path"), message, hint);
    }
    match (zookeeper.user, zookeeper.password) {
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
}
