//! `tls`: certificates of listeners, and what clients must show.

use super::{
    Translator,
    middleware::{UNKNOWN, plain},
    reading::{Reading, block},
    router::Router,
    tree::{Node, Value},
};
use crate::import::document::{Table, quoted};

impl<'n> Translator<'n> {
    /// Writes the certificates of a listener, and what all clients must show.
    pub(super) fn certificates(&self, table: &mut Table) {
        for tree in self.trees {
            let default = tree.at(&["tls", "stores", "default", "defaultCertificate"]);
            let listed = match tree.at(&["tls", "certificates"]).map(|it| &it.value) {
                Some(Value::List(items)) => &items[..],
                _ => &[],
            };
            for node in default.into_iter().chain(listed) {
                self.certificate(table, node);
            }
            if let Some(options) = tree.at(&["tls", "options", "default"]) {
                self.options(table, Reading::of(options, "tls.options.default"));
            }
        }
        if !table.has("tls.certificates") {
            table.remove_below("tls");
            table.note("NO TLS: there is no certificate in these files. Write tls = { acme = { domains = [\"…\"] } }, which orders one (docs/tls.md), or tls = { certificates = [{ chain = \"…\", key = \"…\" }] }; until then this is plain HTTP.");
        }
    }

    fn certificate(&self, table: &mut Table, node: &Node) {
        let line = block(node, "tls.certificates");
        let text = |key: &str| node.get(key).and_then(Node::text);
        match (text("certFile"), text("keyFile")) {
            (Some(chain), Some(key)) if !chain.contains('\n') && !key.contains('\n') => {
                let item = format!(
                    "{{ chain = {}, key = {} }}",
                    quoted(&self.path_of(chain)),
                    quoted(&self.path_of(key))
                );
                table.push(&line, "tls.certificates", item);
            }
            _ => table.untranslated(&line, "write certificate and key into files"),
        }
    }

    fn options(&self, table: &mut Table, mut options: Reading<'n>) {
        if let Some((version, line)) = options.text("minVersion") {
            match version {
                "VersionTLS12" => table.set(&line, "tls.minimum_version", "\"1.2\""),
                "VersionTLS13" => table.set(&line, "tls.minimum_version", "\"1.3\""),
                _ => table.needless(&line, "TLS 1.2 is the oldest that is spoken"),
            }
        }
        if let Some(mut auth) = options.inner("clientAuth") {
            let files = auth.items("caFiles");
            let kind = auth.text("clientAuthType");
            let wanted = kind.as_ref().map_or("", |(kind, _)| kind);
            let optional = match wanted {
                "RequireAndVerifyClientCert" => Some("required"),
                "VerifyClientCertIfGiven" => Some("optional"),
                _ => None,
            };
            if let ([(file, line)], Some(optional)) = (&files[..], optional) {
                table.set(line, "tls.client_ca", quoted(&self.path_of(file)));
                table.set_plain("tls.client_auth", quoted(optional));
                if let Some((_, line)) = kind {
                    table.also(&line, "tls.client_ca");
                }
            } else {
                let line = block(auth.node, "tls.options.default.clientAuth");
                table.untranslated(&line, "tls.client_ca is one file with all authorities; until then the routes are closed");
            }
            auth.rest(table, UNKNOWN);
        }
        let why = "only ciphers and curves that are safe are spoken";
        options.needless(
            table,
            &[
                "cipherSuites",
                "curvePreferences",
                "preferServerCipherSuites",
            ],
            why,
        );
        options.needless(table, &["alpnProtocols"], "see protocols of the listener");
        options.instead(
            table,
            "sniStrict",
            "a client whose name no certificate has gets the first one",
        );
        options.rest(table, UNKNOWN);
    }

    /// Writes what a router says of TLS.
    pub(super) fn tls_of(&mut self, table: &mut Table, router: &Router<'n>, tls: &'n Node) {
        let mut reading = Reading::of(tls, format!("http.routers.{}.tls", router.name));
        if let Value::Text(_) = tls.value {
            let why = if router.is_tls {
                "see listeners"
            } else {
                "no TLS"
            };
            return table.needless(&block(tls, &reading.path), why);
        }
        let resolver = reading
            .take("certResolver")
            .map(|it| block(it, "tls.certResolver"));
        if let Some(line) = resolver {
            let hosts = table
                .value_text("hosts")
                .unwrap_or_else(|| "[\"…\"]".to_owned());
            table.untranslated(&line, format!("{ACME_BEFORE}{hosts}{ACME_BEHIND}"));
        }
        reading.needless(
            table,
            &["domains"],
            "certificates are chosen by the names in them",
        );
        if let Some((name, line)) = reading.text("options") {
            let asks = self.asks_for_certificates(tls);
            match plain(name) {
                "default" if !asks => table.needless(&line, "see the listener"),
                _ if asks => table.close(&line, "clients must show a certificate: client_ca and client_auth = \"optional\" in tls of the listener, and auth = { mtls = {} } of the route"),
                _ => table.untranslated(&line, "TLS is set for a whole listener: tls.minimum_version there"),
            }
        } else if self.asks_for_certificates(tls) {
            let line = block(tls, &reading.path);
            table.close(
                &line,
                "clients must show a certificate: client_ca in tls of the listener",
            );
        }
        reading.rest(table, UNKNOWN);
    }

    /// Returns true if the options of a router ask for certificates of clients in a way that its
    /// listener cannot be told.
    pub(super) fn asks_for_certificates(&self, tls: &Node) -> bool {
        let name = tls
            .get("options")
            .and_then(Node::text)
            .map_or("default", plain);
        let mut trees = self.trees.iter();
        let auth = trees.find_map(|it| it.at(&["tls", "options", name, "clientAuth"]));
        let Some(auth) = auth else {
            return name.contains('@') || (name != "default" && !self.has_options(name));
        };
        let kind = auth
            .get("clientAuthType")
            .and_then(Node::text)
            .unwrap_or_default();
        let files = auth.get("caFiles").map(Node::items).unwrap_or_default();
        match kind {
            "NoClientCert" | "" | "RequestClientCert" => false,
            "RequireAndVerifyClientCert" | "VerifyClientCertIfGiven" => {
                name != "default" || files.len() != 1
            }
            _ => true,
        }
    }

    fn has_options(&self, name: &str) -> bool {
        let mut trees = self.trees.iter();
        trees.any(|it| it.at(&["tls", "options", name]).is_some())
    }

    /// Writes what an entry point says of TLS for its routers.
    pub(super) fn tls_of_point(&self, table: &mut Table, mut tls: Reading<'n>) {
        if let Value::Text(_) = tls.node.value {
            return table.needless(&block(tls.node, &tls.path), "see tls of the listener");
        }
        let what = format!("{ACME_BEFORE}[\"…\"]{ACME_BEHIND}");
        tls.instead(table, "certResolver", &what);
        tls.needless(
            table,
            &["domains"],
            "certificates are chosen by the names in them",
        );
        tls.instead(table, "options", "see tls of the listener");
        tls.rest(table, UNKNOWN);
    }

    /// Tells what of `tls` no listener has.
    pub(super) fn tls_rest(&mut self) {
        let served = self
            .made
            .listeners
            .iter()
            .any(|it| it.has("tls.certificates"));
        for tree in self.trees {
            let Some(tls) = tree.get("tls") else { continue };
            let mut rest = Reading::of(tls, "tls");
            if served {
                rest.take("certificates");
            } else {
                rest.instead(
                    &mut self.head,
                    "certificates",
                    "no router has TLS: tls.certificates of a listener",
                );
            }
            for (key, what) in [("stores", "defaultCertificate"), ("options", "default")] {
                let Some(node) = rest.take(key) else { continue };
                for (name, node) in node.entries() {
                    if name == "default" && served {
                        let mut inner = Reading::of(node, format!("tls.{key}.default"));
                        match key {
                            "options" => continue,
                            _ => drop(inner.take(what)),
                        }
                        inner.rest(
                            &mut self.head,
                            "certificates are files: tls.certificates of the listener",
                        );
                        continue;
                    }
                    let line = block(node, &format!("tls.{key}.{name}"));
                    let what = "TLS is set for a whole listener: minimum_version, client_ca, client_auth and certificates of [listeners.NAME.tls]";
                    self.head.untranslated(&line, what);
                }
            }
            rest.rest(&mut self.head, UNKNOWN);
        }
    }
}

const ACME_BEFORE: &str = "tls = { acme = { domains = ";
const ACME_BEHIND: &str = ", contact = \"mailto:…\" } } of the listener, with proxy.state_dir, orders the certificate (docs/tls.md); for a DNS challenge let a tool such as certbot write files, and name them in tls.certificates";
