//! Sites: addresses, listeners and certificates.

use super::{Translator, remark, route::Scope, syntax::Line, untranslated};
use crate::import::document::{Source, Table, name_of, quoted, quoted_list};

/// An address of a site.
#[derive(Clone, Debug)]
struct Address {
    scheme: Option<String>,
    host: String,
    port: Option<String>,
}

impl Address {
    fn of(written: &str) -> Self {
        let (scheme, rest) = match written.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_owned()), rest),
            None => (None, written),
        };
        let rest = rest.split('/').next().unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') => (host, Some(port.to_owned())),
            _ => (rest, None),
        };
        Self {
            scheme,
            host: host.to_ascii_lowercase(),
            port,
        }
    }

    /// Returns true if Caddy serves it by HTTPS.
    fn is_tls(&self, has_certificate: bool) -> bool {
        match (self.scheme.as_deref(), self.port.as_deref()) {
            (Some("http"), _) | (None, Some("80")) => false,
            (Some("https"), _) | (_, Some("443")) => true,
            _ => has_certificate || !self.host.is_empty(),
        }
    }
}

impl Translator {
    pub(super) fn sites(&mut self, lines: &[Line]) {
        let mut all: Vec<(Vec<Address>, Source, &[Line])> = Vec::new();
        let is_one = lines
            .iter()
            .all(|it| it.block.is_empty() || it.name().starts_with('@'));
        if is_one && let Some((first, rest)) = lines.split_first() {
            // A file of one site needs no braces.
            all.push((addresses(first), first.source.clone(), rest));
        } else {
            for line in lines {
                if line.words.is_empty() {
                    self.options(&line.block);
                } else if line.name() == "import" {
                    untranslated(&mut self.head, line);
                } else {
                    all.push((addresses(line), line.source.clone(), &line.block));
                }
            }
        }
        let mut listeners: Vec<String> = Vec::new();
        let mut own: Vec<Vec<String>> = Vec::new();
        let mut redirects: Vec<bool> = Vec::new();
        for (addresses, source, block) in &all {
            let (names, redirect) = self.listeners_of(addresses, source, block);
            for name in &names {
                if !listeners.contains(name) {
                    listeners.push(name.clone());
                }
            }
            own.push(names);
            redirects.push(redirect);
        }
        for (at, (addresses, source, block)) in all.iter().enumerate() {
            let hosts: Vec<&str> = addresses
                .iter()
                .map(|it| &*it.host)
                .filter(|it| !it.is_empty())
                .collect();
            let name = hosts
                .first()
                .map_or_else(|| "site".to_owned(), |host| name_of(host));
            let mut base = Table::default();
            if own[at].len() < listeners.len() {
                base.set_plain("listeners", quoted_list(own[at].iter().map(String::as_str)));
            }
            if hosts.is_empty() {
                base.note(remark(source));
            } else {
                base.set(source, "hosts", quoted_list(hosts));
            }
            if redirects[at] {
                base.set(source, "https_only", "true");
            }
            let scope = Scope::new(name, base);
            self.block(&scope, block);
        }
    }

    fn options(&mut self, block: &[Line]) {
        for line in block {
            match line.name() {
                "auto_https" if line.args() == ["off"] => {
                    self.head.needless(&line.source, "it is never done");
                }
                "email" | "acme_ca" | "acme_dns" | "on_demand_tls" | "local_certs"
                | "auto_https" | "key_type" | "cert_issuer" => {
                    self.head.untranslated(
                        &line.source,
                        "certificates are not fetched by themselves: name them in tls.certificates",
                    );
                }
                "servers" => {
                    for inner in &line.block {
                        if inner.name() == "trusted_proxies" {
                            for block in inner.args().iter().filter(|it| **it != "static") {
                                self.proxy
                                    .push(&inner.source, "trusted_proxies", quoted(block));
                            }
                        } else {
                            self.head.untranslated(
                                &inner.source,
                                "see [listeners.NAME] in docs/configuration",
                            );
                        }
                    }
                }
                "admin" | "debug" | "order" | "storage" | "grace_period" | "log"
                | "skip_install_trust" => {
                    self.head.needless(
                        &line.source,
                        "[admin], [log] and [proxy] have their own keys",
                    );
                }
                _ => self.head.untranslated(&line.source, "no equal is known"),
            }
        }
    }

    /// Returns the listeners of a site, and true if plain requests are sent to HTTPS.
    fn listeners_of(
        &mut self,
        addresses: &[Address],
        source: &Source,
        block: &[Line],
    ) -> (Vec<String>, bool) {
        let tls = block.iter().find(|it| it.name() == "tls");
        let files = tls.and_then(|line| match line.args()[..] {
            [chain, key] => Some((line, chain.to_owned(), key.to_owned())),
            _ => None,
        });
        let bind = block.iter().find(|it| it.name() == "bind");
        let host = bind.and_then(|it| it.args().first().map(|it| (*it).to_owned()));
        let host = host.unwrap_or_else(|| "[::]".to_owned());
        let mut names = Vec::new();
        let mut redirect = false;
        for address in addresses {
            let wants_tls = address.is_tls(files.is_some());
            let is_tls = wants_tls && files.is_some();
            if wants_tls && !is_tls {
                self.head.untranslated(
                    source,
                    "Caddy fetches a certificate and serves HTTPS; here the site is served by plain HTTP until a listener with tls = { certificates = [{ chain = \"…\", key = \"…\" }] } is there",
                );
            }
            let default = if is_tls { "443" } else { "80" };
            let port = match &address.port {
                Some(port) if is_tls || port != "443" => port.as_str(),
                _ => default,
            };
            let name = self.listener(&format!("{host}:{port}"), is_tls, port, source);
            if let Some((line, chain, key)) = files.as_ref().filter(|_| is_tls) {
                let item = format!(
                    "{{ chain = {}, key = {} }}",
                    quoted(&self.path_of(chain)),
                    quoted(&self.path_of(key))
                );
                let table = format!("listeners.{name}");
                if let Some(table) = self.made.listeners.iter_mut().find(|it| it.name == table) {
                    table.push(&line.source, "tls.certificates", item);
                }
            }
            let mut add = |name: String| {
                if !names.contains(&name) {
                    names.push(name);
                }
            };
            add(name);
            if is_tls && address.scheme.is_none() && address.port.is_none() {
                redirect = true;
                add(self.listener(&format!("{host}:80"), false, "80", source));
            }
        }
        (names, redirect)
    }

    fn listener(&mut self, address: &str, is_tls: bool, port: &str, source: &Source) -> String {
        let scheme = if is_tls { "https" } else { "http" };
        let wanted = match port {
            "80" | "443" => scheme.to_owned(),
            port => format!("{scheme}_{}", name_of(port)),
        };
        let value = quoted(address);
        if let Some(known) = self
            .made
            .listeners
            .iter_mut()
            .find(|it| it.is("address", &value))
        {
            known.also(source, "address");
            return known.name.trim_start_matches("listeners.").to_owned();
        }
        let name = self.made.name("listeners", &wanted);
        let mut table = Table::new(format!("listeners.{name}"));
        table.set(source, "address", value);
        self.made.listeners.push(table);
        name
    }
}

fn addresses(line: &Line) -> Vec<Address> {
    let words = line.words.iter().map(|it| it.trim_end_matches(','));
    words.filter(|it| !it.is_empty()).map(Address::of).collect()
}
