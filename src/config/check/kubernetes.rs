//! Checks on endpoints from Kubernetes.

use super::Check;
use crate::config::schema::DiscoverKubernetes;

pub(super) fn check(check: &mut Check<'_>, place: &str, kubernetes: &DiscoverKubernetes) {
    let spans = &kubernetes.spans;
    let has_account = kubernetes.account.is_some();
    if let Some(url) = &kubernetes.address {
        if kubernetes.namespace.is_none()
            && !has_account
            && !check.is_broken(&format!("{place}.namespace"))
        {
            let message =
                format!("[{place}] has no \"namespace\", and with \"address\" no pod gives it one");
            let hint = "add namespace = \"default\", or the folder of an account";
            check.error(spans.anchor(), message, hint);
        }
        let is_known = kubernetes.token.is_some() || kubernetes.client.is_some() || has_account;
        let is_broken = ["token", "client", "account"]
            .iter()
            .any(|key| check.is_broken(&format!("{place}.{key}")));
        if url.tls && !is_known && !is_broken {
            let message = format!(
                "[{place}] has nothing to log in with: with \"address\" no pod gives it a token"
            );
            let hint = "add token = { file = \"…\" }, client = { chain = \"…\", key = \"…\" }, or the folder of an account";
            check.error(spans.anchor(), message, hint);
        }
        if !url.tls && kubernetes.client.is_some() {
            let message = format!("{place}.client is for TLS, and the URL is not https://");
            check.error(spans.of("client"), message, "remove it, or write https://");
        }
    }
    super::registry::check_access(
        check,
        place,
        spans,
        kubernetes.address.iter(),
        kubernetes.token.as_ref(),
        // In a cluster the server is always spoken to over TLS.
        kubernetes.address.as_ref().and(kubernetes.ca.as_ref()),
    );
}
