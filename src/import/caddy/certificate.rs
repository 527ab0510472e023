//! Certificates of sites: files, or those that Caddy orders from a CA by itself.

use super::{Translator, site::Address, syntax::Line};
use crate::import::{
    document::{Source, Table, quoted},
    text::variable,
};

/// The certificate of a site.
pub(super) enum Certificate<'l> {
    /// Files with chain and key, with their line.
    Files(&'l Line, String, String),
    /// One that the proxy orders by itself.
    Ordered,
    /// None that could be said here, with what to do.
    Missing(&'static str),
}

/// Options of the Caddyfile about certificates.
#[derive(Default)]
pub(super) struct Orders {
    /// The line with the address that the CA writes to.
    contact: Option<Source>,
    address: String,
    /// Another CA than the usual one.
    directory: Option<(Source, String)>,
    /// Nothing is ordered.
    is_off: bool,
    /// Certificates are signed by Caddy itself.
    is_internal: bool,
    /// Plain requests are not sent to HTTPS.
    pub(super) has_no_redirects: bool,
}

impl Translator {
    /// Reads an option about certificates; false if it is another one.
    pub(super) fn order_option(&mut self, line: &Line) -> bool {
        let one = line.args().first().copied().unwrap_or_default();
        match line.name() {
            "email" => self.orders.contact_of(&line.source, one),
            "acme_ca" => self.orders.directory = Some((line.source.clone(), one.to_owned())),
            "auto_https" => {
                match one {
                    "disable_redirects" => self.orders.has_no_redirects = true,
                    "ignore_loaded_certs" => {}
                    _ => self.orders.is_off = true,
                }
                self.head
                    .needless(&line.source, "acme of a listener, and https_only of a route, stand where it is done");
            }
            "local_certs" => {
                self.orders.is_internal = true;
                self.head.untranslated(&line.source, INTERNAL);
            }
            "acme_dns" => self.head.untranslated(&line.source, DNS),
            "on_demand_tls" => self.head.untranslated(&line.source, NAMES),
            "acme_ca_root" => self
                .head
                .untranslated(&line.source, "directory_ca of tls.acme"),
            "acme_eab" => self.head.untranslated(
                &line.source,
                "eab = { key_id = \"…\", key = { env = \"…\" } } of tls.acme",
            ),
            "key_type" | "cert_issuer" | "cert_lifetime" | "renew_interval" | "ocsp_stapling"
            | "ocsp_interval" | "storage_clean_interval" => self.head.untranslated(
                &line.source,
                "[listeners.NAME.tls.acme] has directory and contact; it renews when a third of the lifetime is left",
            ),
            _ => return false,
        }
        true
    }

    /// Returns the certificate of an address of a site.
    pub(super) fn certificate<'l>(
        &self,
        address: &Address,
        tls: Option<&'l Line>,
    ) -> Certificate<'l> {
        let args = tls.map(Line::args).unwrap_or_default();
        if let (Some(line), [chain, key]) = (tls, &args[..]) {
            return Certificate::Files(line, (*chain).to_owned(), (*key).to_owned());
        }
        let has = |name: &str| tls.is_some_and(|it| it.block.iter().any(|it| it.name() == name));
        let host = &*address.host;
        let is_local = ["localhost", "local", "internal", "arpa"]
            .iter()
            .any(|it| host.rsplit('.').next() == Some(it));
        let is_name = variable(host).is_some() || (host.contains('.') && !is_local);
        let is_number = host.parse::<std::net::IpAddr>().is_ok() || host.starts_with('[');
        Certificate::Missing(if args == ["internal"] || self.orders.is_internal {
            INTERNAL
        } else if host.is_empty() || has("on_demand") {
            NAMES
        } else if host.contains('*') {
            WILDCARD
        } else if !is_name || is_number {
            INTERNAL
        } else if self.orders.is_off || has("issuer") || has("get_certificate") {
            FILES
        } else if address.port.as_deref().is_some_and(|it| it != "443") {
            PORT
        } else {
            return Certificate::Ordered;
        })
    }

    /// Writes that a listener orders a certificate for a host.
    pub(super) fn order(
        &mut self,
        listener: &str,
        host: &str,
        source: &Source,
        tls: Option<&Line>,
    ) {
        self.proxy.set_plain("state_dir", "\"state\"");
        let name = format!("listeners.{listener}");
        let Some(table) = self.made.listeners.iter_mut().find(|it| it.name == name) else {
            return;
        };
        table.push(source, "tls.acme.domains", quoted(host));
        if let Some(line) = tls {
            if let [address] = line.args()[..]
                && address.contains('@')
            {
                self.orders.contact_of(&line.source, address);
            }
            tls_options(table, line);
        }
        if let Some(line) = &self.orders.contact
            && !table.has("tls.acme.contact")
        {
            match variable(&self.orders.address) {
                Some(_) => table.untranslated(
                    line,
                    "contact = { env = \"NAME\" } of tls.acme, with a value such as mailto:ops@shop.example",
                ),
                None => {
                    let contact = format!("mailto:{}", self.orders.address);
                    table.set(line, "tls.acme.contact", quoted(&contact));
                }
            }
        }
        if let Some((line, directory)) = &self.orders.directory {
            table.set(line, "tls.acme.directory", quoted(directory));
        }
        table.note("one certificate for all of these names is ordered from a CA: each must lead to this proxy, and this line is your consent to the terms of the CA (docs/tls.md)");
    }
}

/// Writes the options of a `tls` into its listener.
pub(super) fn tls_options(table: &mut Table, line: &Line) {
    for inner in &line.block {
        let args = inner.args();
        match (inner.name(), args.first().copied()) {
            ("dns", _) => table.untranslated(&inner.source, DNS),
            ("ca", Some(directory)) => {
                table.set(&inner.source, "tls.acme.directory", quoted(directory));
            }
            ("protocols", Some("tls1.3")) => {
                table.set(&inner.source, "tls.minimum_version", "\"1.3\"");
            }
            (
                "protocols" | "ciphers" | "curves" | "alpn" | "key_type" | "reuse_private_keys",
                _,
            ) => {
                table.needless(
                    &inner.source,
                    "TLS 1.2 and 1.3 are spoken, with safe ciphers",
                );
            }
            // It closes the routes of its site.
            ("client_auth", _) => {}
            _ => table.untranslated(
                &inner.source,
                "see [listeners.NAME.tls] and its acme in docs/configuration",
            ),
        }
    }
}

impl Orders {
    fn contact_of(&mut self, source: &Source, address: &str) {
        self.contact = Some(source.clone());
        self.address = address.to_owned();
    }
}

const INTERNAL: &str = "Caddy signs this certificate by itself: make one with a tool such as mkcert or openssl, and name it in tls = { certificates = [{ chain = \"…\", key = \"…\" }] } of the listener";
const NAMES: &str = "certificates are ordered for names that are listed: acme = { domains = [\"…\"] } in [listeners.NAME.tls]";
const WILDCARD: &str = "acme of [listeners.NAME.tls] orders no wildcards: list the names as its domains, or order the certificate with another tool and name the files in tls = { certificates = [{ chain = \"…\", key = \"…\" }] }";
const FILES: &str = "Caddy serves HTTPS here: tls = { acme = { domains = [\"…\"] } } or tls = { certificates = [{ chain = \"…\", key = \"…\" }] } of the listener";
const PORT: &str = "Caddy fetches a certificate and serves HTTPS here: tls = { acme = { domains = [\"…\"] } } of the listener, with a listener on port 80 that the CA reaches, or tls = { certificates = [{ chain = \"…\", key = \"…\" }] }";
const DNS: &str = "the CA is not answered by DNS: it must reach port 80 of each name (or port 443 with challenge = \"tls-alpn-01\" of tls.acme); else order with another tool and name the files in tls.certificates";
