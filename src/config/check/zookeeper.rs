//! Checks on servers of ZooKeeper.

use super::Check;
use crate::config::{schema::DiscoverZooKeeper, value::EndpointAddress};

pub(super) fn check(check: &mut Check<'_>, place: &str, zookeeper: &DiscoverZooKeeper) {
    let spans = &zookeeper.spans;
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
    let path = &zookeeper.path;
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
    match (&zookeeper.user, &zookeeper.password) {
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
