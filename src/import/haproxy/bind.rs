//! Words of a `bind` line: TLS and the PROXY protocol.

use super::{Line, Translator};
use crate::import::document::{Table, quoted};

impl Translator<'_> {
    /// Writes what the words after the address say.
    pub(super) fn bind_options(&self, table: &mut Table, line: &Line) {
        let words = line.words();
        let value = |key: &str| {
            let at = words.iter().position(|it| *it == key)?;
            words.get(at + 1).copied()
        };
        if let Some(folder) = value("crt").filter(|it| it.ends_with('/')) {
            let files = self
                .files
                .borrow()
                .matching(&format!("{folder}*.pem"), "/etc/haproxy");
            for file in &files {
                let item = format!(
                    "{{ chain = {0}, key = {0} }}",
                    quoted(&file.to_string_lossy())
                );
                table.push(&line.source, "tls.certificates", item);
            }
            if files.is_empty() {
                table.untranslated(
                    &line.source,
                    "tls = { certificates = [{ chain = \"…\", key = \"…\" }] } of the listener, with each file of the folder; until then this is plain HTTP",
                );
            }
        } else if let Some(file) = value("crt") {
            // Certificate and key stand in one file.
            let item = format!("{{ chain = {0}, key = {0} }}", quoted(file));
            table.push(&line.source, "tls.certificates", item);
        } else if words.contains(&"ssl") {
            table.untranslated(
                &line.source,
                "tls = { certificates = [{ chain = \"…\", key = \"…\" }] } of the listener",
            );
        }
        if let Some(file) = value("ca-file")
            && let Some(how @ ("required" | "optional")) = value("verify")
        {
            table.set(&line.source, "tls.client_ca", quoted(file));
            table.set_plain("tls.client_auth", quoted(how));
            if let Some(file) = value("crl-file") {
                table.set_plain("tls.client_crl", quoted(file));
            }
        }
        if value("ssl-min-ver") == Some("TLSv1.3") {
            table.set(&line.source, "tls.minimum_version", "\"1.3\"");
        } else if let Some(version) = self.minimum_version().filter(|_| words.contains(&"ssl")) {
            table.set_plain("tls.minimum_version", version);
        }
        if let Some(protocols) = value("alpn").filter(|_| words.contains(&"ssl"))
            && !protocols.split(',').any(|it| it == "h2")
        {
            table.set(&line.source, "protocols", "[\"http/1.1\"]");
        }
        if words.contains(&"accept-proxy") {
            table.untranslated(
                &line.source,
                "proxy_protocol = { from = [\"10.0.0.0/8\"] } needs the peers that send the header",
            );
        }
    }
}
