//! Checks on servers of etcd.

use super::Check;
use crate::config::schema::DiscoverEtcd;

pub(super) fn check(check: &mut Check<'_>, place: &str, etcd: &DiscoverEtcd) {
    let spans = &etcd.spans;
    if etcd.endpoints.is_empty() && !check.is_broken(&format!("{place}.endpoints")) {
        let message = format!("{place}.endpoints lists no server");
        let hint = "such as [\"http://127.0.0.1:2379\"]";
        check.error(spans.of("endpoints"), message, hint);
    }
    if etcd.prefix.is_empty() && !check.is_broken(&format!("{place}.prefix")) {
        let message = format!("{place}.prefix is empty: every key would be an endpoint");
        check.error(spans.of("prefix"), message, "such as \"/services/orders/\"");
    }
    match (&etcd.user, &etcd.password) {
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
            if etcd.endpoints.iter().any(|it| !it.tls) {
                let message = format!("{place} sends a password in plain text");
                let hint = "servers with https:// keep it secret on the way";
                check.warn(spans.of("endpoints"), message, hint);
            }
        }
        _ => {}
    }
    let Some(tls) = &etcd.tls else { return };
    super::tls::check_client(check, &format!("{place}.tls"), tls);
    if !etcd.endpoints.iter().any(|it| it.tls) {
        let message = format!("{place}.tls is for servers with https://, and there is none");
        check.error(spans.of("tls"), message, "remove it, or write https://");
    }
}
