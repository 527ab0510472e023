//! Checks on servers of ZooKeeper.

use super::{Check, etcd::check_login};
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

/// Takes these keys of a table about ZooKeeper.
macro_rules! servers {
    ($zookeeper:ident) => {
        Servers {
            spans: &$zookeeper.spans,
            servers: &$zookeeper.servers,
            path: &$zookeeper.path,
            user: $zookeeper.user.as_deref(),
            password: $zookeeper.password.as_ref(),
        }
    };
}

/// Checks a source of endpoints.
pub(super) fn check(check: &mut Check<'_>, place: &str, zookeeper: &DiscoverZooKeeper) {
    check_servers(check, place, &servers!(zookeeper));
}

/// Checks a registry of listeners.
pub(super) fn check_registry(check: &mut Check<'_>, place: &str, zookeeper: &RegisterZooKeeper) {
    check_servers(check, place, &servers!(zookeeper));
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
    check_login(check, place, spans, zookeeper.user, zookeeper.password);
}
