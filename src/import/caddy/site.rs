//! Sites: addresses, listeners and certificates.

use super::{
    Translator,
    certificate::{Certificate, tls_options},
    matcher::PRIVATE,
    remark,
    scope::Scope,
    syntax::Line,
    untranslated,
};
use crate::import::{
    document::{Source, Table, name_of, quoted, quoted_list},
    text::{WITH_HTTP3, variable},
};

/// An address of a site.
#[derive(Clone, Debug)]
pub(super) struct Address {
    pub(super) scheme: Option<String>,
    pub(super) host: String,
    pub(super) port: Option<String>,
}

impl Address {
    fn of(written: &str) -> Self {
        match variable(written) {
            Some((_, Some(default))) => return Self::of(default),
            Some((_, None)) => {
                return Self {
                    scheme: None,
                    host: written.to_owned(),
                    port: None,
                };
            }
            None => {}
        }
        let (scheme, rest) = match written.split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_owned()), rest),
            None => (None, written),
        };
        let rest = rest.split('/').next().unwrap_or(rest);
        let (host, port) = match rest.rsplit_once(':') {
            Some((host, port)) if !host.ends_with(':') => (host, Some(port.to_owned())),
            _ => (rest, None),
        };
        let host = match host.contains("{$") {
            true => host.to_owned(),
            false => host.to_ascii_lowercase(),
        };
        Self { scheme, host, port }
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
                } else if line.block.is_empty()
                    && line.words.iter().all(|it| variable(it).is_some())
                {
                    self.head.untranslated(
                        &line.source,
                        "what the variable holds is not known: write it into the file and import again",
                    );
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
        self.unused_protocols();
        for (at, (addresses, source, block)) in all.iter().enumerate() {
            let mut hosts: Vec<&str> = addresses
                .iter()
                .map(|it| &*it.host)
                .filter(|it| !it.is_empty())
                .collect();
            let name = hosts
                .first()
                .map_or_else(|| "site".to_owned(), |host| name_of(host));
            if addresses.iter().any(|it| it.host.is_empty()) {
                // One of its addresses is for all hosts.
                hosts.clear();
            }
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
                _ if self.order_option(line) => {}
                "servers" => {
                    let of = line.args().first().map(|it| (*it).to_owned());
                    for option in &line.block {
                        match option.name() {
                            "protocols" => self.protocols.push((of.clone(), option.clone())),
                            _ => self.server_option(option),
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

    fn server_option(&mut self, line: &Line) {
        match line.name() {
            "trusted_proxies" => {
                for block in line.args() {
                    let blocks = match block {
                        "static" => continue,
                        "private_ranges" => &PRIVATE[..],
                        _ => &[block],
                    };
                    for block in blocks {
                        self.proxy
                            .push(&line.source, "trusted_proxies", quoted(block));
                    }
                }
            }
            "trusted_proxies_strict" => self.head.needless(
                &line.source,
                "the proxies that X-Forwarded-For names are believed from the right to the left",
            ),
            "client_ip_headers" => self.head.untranslated(
                &line.source,
                "the client is the one that X-Forwarded-For or Forwarded names, and no other field: let the proxy in front write it",
            ),
            "metrics" | "strict_sni_host" | "log_credentials" => self
                .head
                .needless(&line.source, "[metrics], tls and access_log.redact have their own rules"),
            "timeouts" => self.head.untranslated(
                &line.source,
                "timeouts = { head = \"5s\", idle = \"75s\", body_idle = \"30s\" } of [listeners.NAME]",
            ),
            "listener_wrappers" => self.head.untranslated(
                &line.source,
                "proxy_protocol = { from = [\"10.0.0.0/8\"] } of [listeners.NAME]",
            ),
            "max_header_size" => self
                .head
                .untranslated(&line.source, "limits.head of [listeners.NAME]"),
            _ => self
                .head
                .untranslated(&line.source, "see [listeners.NAME] in docs/configuration"),
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
        let bind = block.iter().find(|it| it.name() == "bind");
        let host = bind.and_then(|it| it.args().first().map(|it| (*it).to_owned()));
        let host = host.unwrap_or_else(|| "[::]".to_owned());
        let mut names = Vec::new();
        let mut redirect = false;
        for address in addresses {
            let certificate = self.certificate(address, tls);
            let wants_tls = address.is_tls(matches!(certificate, Certificate::Files(..)));
            let is_tls = wants_tls && !matches!(certificate, Certificate::Missing(_));
            let default = if is_tls { "443" } else { "80" };
            let port = match &address.port {
                Some(port) if is_tls || port != "443" => port.as_str(),
                _ => default,
            };
            let name = self.listener(&format!("{host}:{port}"), is_tls, port, source);
            match certificate {
                Certificate::Files(line, chain, key) if is_tls => {
                    let item = format!(
                        "{{ chain = {}, key = {} }}",
                        quoted(&self.path_of(&chain)),
                        quoted(&self.path_of(&key))
                    );
                    let table = format!("listeners.{name}");
                    if let Some(table) = self.made.listeners.iter_mut().find(|it| it.name == table)
                    {
                        table.push(&line.source, "tls.certificates", item);
                        tls_options(table, line);
                    }
                }
                Certificate::Ordered if is_tls => self.order(&name, &address.host, source, tls),
                Certificate::Missing(what) if wants_tls => self.head.untranslated(
                    source,
                    format!("{what}; until then the site is served by plain HTTP"),
                ),
                _ => {}
            }
            let mut add = |name: String| {
                if !names.contains(&name) {
                    names.push(name);
                }
            };
            add(name);
            if is_tls && port == "443" && !self.orders.has_no_redirects {
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
        if is_tls && !address.contains("unix") {
            self.protocols_of(&mut table, address);
        }
        self.made.listeners.push(table);
        name
    }

    /// Writes the protocols of a listener with TLS: Caddy speaks HTTP/3 unless it is told not to.
    fn protocols_of(&self, table: &mut Table, address: &str) {
        let port = address.rsplit(':').next();
        let is_of = |of: &Option<String>| match of {
            Some(of) => of.rsplit(':').next() == port,
            None => true,
        };
        let mut written = self.protocols.iter().filter(|(of, _)| is_of(of));
        // What names the address counts more.
        let line = written.clone().find(|(of, _)| of.is_some());
        let Some((_, line)) = line.or_else(|| written.next()) else {
            table.note("Caddy speaks HTTP/3, too, unless it is told not to");
            return table.set_plain("protocols", WITH_HTTP3);
        };
        let ours = line.args().into_iter().filter_map(|it| match it {
            "h1" => Some("http/1.1"),
            "h2" => Some("h2"),
            "h3" => Some("h3"),
            _ => None,
        });
        match &ours.collect::<Vec<_>>()[..] {
            [] | ["h3"] => table.untranslated(
                &line.source,
                format!("a listener with TLS speaks HTTP/1.1 or HTTP/2, and HTTP/3 beside them: protocols = {WITH_HTTP3}"),
            ),
            ours => table.set(&line.source, "protocols", quoted_list(ours.iter().copied())),
        }
    }

    /// Tells the options of protocols that no listener with TLS has.
    fn unused_protocols(&mut self) {
        for (_, line) in &self.protocols {
            let mut listeners = self.made.listeners.iter();
            if !listeners.any(|it| it.names(&line.source.place)) {
                let why = "no listener with TLS has this address; others speak HTTP/1.1 and HTTP/2";
                self.head.needless(&line.source, why);
            }
        }
    }
}

fn addresses(line: &Line) -> Vec<Address> {
    let words = line.words.iter().map(|it| it.trim_end_matches(','));
    words.filter(|it| !it.is_empty()).map(Address::of).collect()
}
