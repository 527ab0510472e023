//! HTTP/3 of entry points.

use super::{
    entry_point::EntryPoint,
    middleware::UNKNOWN,
    reading::{Reading, block},
    tree::below,
};
use crate::import::{document::Table, text::WITH_HTTP3};

/// Turns HTTP/3 on.
pub(super) fn http3(table: &mut Table, point: &EntryPoint<'_>, reading: &mut Reading<'_>) {
    let place = below(&reading.path, "http3");
    let Some(node) = reading.node.get("http3") else {
        return;
    };
    let line = block(node, &place);
    if !point.is_tls {
        let what = format!(
            "HTTP/3 needs TLS, and no router here serves HTTPS at this entry point: protocols = {WITH_HTTP3} of a listener with tls"
        );
        return reading.instead(table, "http3", &what);
    }
    table.set(&line, "protocols", WITH_HTTP3);
    let Some(mut inner) = reading.inner("http3") else {
        return;
    };
    if let Some((port, line)) = inner.text("advertisedPort") {
        if point.address.ends_with(&format!(":{port}")) {
            table.also(&line, "protocols");
        } else {
            table.untranslated(&line, format!(
                "clients are told the port of the listener; of another one they hear by headers_response = {{ set = {{ alt-svc = 'h3=\":{port}\"; ma=86400' }} }} of the routes"
            ));
        }
    }
    if node.entries().is_empty() {
        return;
    }
    inner.rest(table, UNKNOWN);
}
