//! Frontends: listeners, and rules in their order.

use super::{
    Line, Section, Translator,
    condition::{All, write},
    duration,
    kind::{Kind, changed},
    rule::{refusal, split},
    words::{Secure, change, is_known},
};
use crate::import::{
    document::{Source, Table, name_of, quoted, quoted_list},
    text::WITH_HTTP3,
};

/// Common parts of the routes of a frontend.
pub(super) struct Front {
    pub(super) name: String,
    listeners: Option<Vec<String>>,
    /// Those without TLS.
    pub(super) plain: Vec<String>,
    /// Those with TLS: all, some or none.
    pub(super) secure: Secure,
    /// Hosts that alone are let in, with the rule that says so.
    pub(super) hosts: Option<(Line, Vec<String>)>,
    /// Rank of the next rule; a later one has less.
    pub(super) rank: usize,
    pub(super) common: Table,
}

impl<'a> Translator<'a> {
    pub(super) fn frontend(&mut self, section: &'a Section, has_others: bool) {
        if section
            .find(&["mode"])
            .is_some_and(|it| it.words.get(1).is_some_and(|it| it != "http"))
        {
            self.head
                .untranslated(&section.source, "only HTTP is proxied");
            return;
        }
        let names = self.bind(section);
        if names.is_empty() {
            let what = "none of its addresses is understood: write a listener, and routes with listeners = [\"…\"]";
            return self.head.untranslated(&section.source, what);
        }
        let rules = section.rules();
        // Between two rules is room for those of the backend.
        let refuses = |it: &Section| it.kind == "backend" && !it.rules().is_empty();
        let step = 1 + usize::from(self.sections.iter().any(refuses));
        let plain = names.iter().filter(|it| !it.starts_with("https"));
        let plain: Vec<String> = plain.cloned().collect();
        let secure = match plain.len() {
            0 => Secure::All,
            count if count == names.len() => Secure::None,
            _ => Secure::Some,
        };
        let mut front = Front {
            name: name_of(&section.name),
            plain,
            secure,
            hosts: None,
            listeners: has_others.then_some(names),
            rank: rules.len() * step,
            common: Table::default(),
        };
        self.common(section, &mut front);
        for line in rules {
            self.rule(section, &mut front, line);
            front.rank -= step;
        }
        let default = section.find(&["default_backend"]);
        match (&*section.kind, default) {
            (_, Some(line)) => {
                let backend = line.words.get(1).cloned().unwrap_or_default();
                self.send_to(section, &front, &All::new(), line, &backend, 0);
            }
            ("listen", None) => {
                let line = Line {
                    words: Vec::new(),
                    source: section.source.clone(),
                };
                self.send_to(section, &front, &All::new(), &line, &section.name, 0);
            }
            _ => self.no_backend(&front),
        }
        self.other_hosts(&front);
        self.left(section, front.secure);
    }

    /// Makes the route of a frontend that has no backend for the requests that no rule takes.
    fn no_backend(&mut self, front: &Front) {
        if !front.common.has("https_only") {
            return;
        }
        let line = Line {
            words: Vec::new(),
            source: Source::default(),
        };
        let mut table = self.begin(front, &All::new(), &line, 0);
        table.append(&front.common);
        if front.secure == Secure::None {
            // All that it does.
            table.change_key("https_only", "redirect.to");
            table.change("redirect.to", quoted("https://{host}{path}{query}"));
            table.set_plain("redirect.status", "301");
        } else {
            table.note("HAProxy answers so where no backend is named");
            table.set_plain("respond.status", "503");
        }
        self.made.routes.push(table);
    }

    /// Makes the route that refuses the hosts that a rule keeps out.
    fn other_hosts(&mut self, front: &Front) {
        let Some((line, _)) = &front.hosts else {
            return;
        };
        let mut table = self.begin(front, &All::new(), line, 0);
        refusal(&mut table, line, &split(line).0, true);
        self.made.routes.push(table);
    }

    /// Makes the listeners.
    fn bind(&mut self, section: &Section) -> Vec<String> {
        let mut names = Vec::new();
        for line in section.lines.iter().filter(|it| it.words[0] == "bind") {
            let words = line.words();
            for address in words.get(1).map_or("", |it| *it).split(',') {
                if address.starts_with("quic") {
                    continue;
                }
                let address = bound(address);
                let is_tls = words.contains(&"ssl");
                let port = address.rsplit(':').next().unwrap_or_default();
                let scheme = if is_tls { "https" } else { "http" };
                let wanted = match port {
                    "80" | "443" => scheme.to_owned(),
                    port => name_of(&format!("{scheme}_{port}")),
                };
                let name = self.made.name("listeners", &wanted);
                let mut table = Table::new(format!("listeners.{name}"));
                table.set(&line.source, "address", quoted(&address));
                self.bind_options(&mut table, line);
                for (key, to) in [
                    ("client", "timeouts.body_idle"),
                    ("http-keep-alive", "timeouts.idle"),
                    ("http-request", "timeouts.head"),
                ] {
                    if let Some(line) = section.find(&["timeout", key])
                        && let Some(time) = line.words.get(2).and_then(|it| duration(it))
                    {
                        table.set(&line.source, to, time);
                    }
                }
                if let Some(line) = section.find(&["maxconn"])
                    && let Some(count) = line.words.get(1)
                {
                    table.set(&line.source, "limits.connections", &**count);
                }
                self.made.listeners.push(table);
                names.push(name);
            }
        }
        self.quic(section, &names);
        names
    }

    /// Turns HTTP/3 on where a frontend speaks TLS at the same address.
    fn quic(&mut self, section: &Section, names: &[String]) {
        for line in section.lines.iter().filter(|it| it.words[0] == "bind") {
            for written in line.words().get(1).map_or("", |it| *it).split(',') {
                let address = match written.split_once('@') {
                    Some(("quic4", address)) => bound(&format!("ipv4@{address}")),
                    Some(("quic6", address)) => bound(&format!("ipv6@{address}")),
                    _ => continue,
                };
                let address = quoted(&address);
                let is_own = |table: &Table| {
                    let name = table.name.trim_start_matches("listeners.");
                    names.iter().any(|it| it == name) && table.is("address", &address)
                };
                let mut tables = self.made.listeners.iter_mut();
                match tables.find(|it| is_own(it) && it.has_below("tls")) {
                    Some(table) => {
                        // A word `alpn` of the bind over TCP says nothing about QUIC.
                        table.remove("protocols");
                        table.set(&line.source, "protocols", WITH_HTTP3);
                    }
                    None => self.head.untranslated(
                        &line.source,
                        format!(
                            "HTTP/3 is spoken at address and port of a listener with TLS, and no bind of this frontend makes one at {address}: protocols = {WITH_HTTP3} of such a listener; until then clients use HTTP/2"
                        ),
                    ),
                }
            }
        }
    }

    /// Writes the steps that all routes of a frontend have on the way.
    fn common(&mut self, section: &Section, front: &mut Front) {
        for line in section.rules() {
            self.rule_of_all(section, front, line);
        }
        self.cache(section, &mut front.common);
        let common = &mut front.common;
        for line in section.lines.iter().chain(&*section.defaults) {
            match line.words()[..] {
                ["compression", "algo", ..] => {
                    let known = ["gzip", "deflate", "identity", "raw-deflate"];
                    let words = line.words();
                    let algorithms = words[2..]
                        .iter()
                        .copied()
                        .filter(|it| known[..1].contains(it));
                    common.set(&line.source, "compress.encodings", quoted_list(algorithms));
                }
                ["compression", "type", ref types @ ..] => {
                    let whole = |it: &&str| match it.ends_with('/') {
                        true => format!("{it}*"),
                        false => (*it).to_owned(),
                    };
                    let types: Vec<String> = types.iter().map(whole).collect();
                    let types = quoted_list(types.iter().map(String::as_str));
                    common.set(&line.source, "compress.types", types);
                }
                _ => {
                    change(common, line, front.secure);
                }
            }
        }
    }

    /// Begins the table of a route.
    pub(super) fn begin(&mut self, front: &Front, all: &All, line: &Line, rank: usize) -> Table {
        let name = self.made.name("routes", &front.name);
        let mut table = Table::new(format!("routes.{name}"));
        if let Some(listeners) = &front.listeners {
            table.set_plain(
                "listeners",
                quoted_list(listeners.iter().map(String::as_str)),
            );
        }
        write(all, &mut table, &line.source);
        if rank > 0 {
            table.set_plain("priority", rank.to_string());
        }
        table
    }

    /// Makes the route to a backend.
    pub(super) fn send_to(
        &mut self,
        section: &Section,
        front: &Front,
        all: &All,
        line: &Line,
        backend: &str,
        rank: usize,
    ) {
        let mut table = self.begin(front, all, line, rank);
        let wanted = format!("{}_{backend}", front.name);
        if rank > 0 {
            self.made.forget(&table);
            table.name = format!("routes.{}", self.made.name("routes", &name_of(&wanted)));
        }
        let Some(pool) = self.pool(backend, section) else {
            table.untranslated(
                &line.source,
                "there is no such backend with servers: write a route for each",
            );
            // Its requests must not come to another rule.
            table.set_plain("respond.status", "503");
            self.made.routes.push(table);
            return;
        };
        table.set(&line.source, "pool", quoted(&pool));
        self.of_backend(&mut table, backend);
        table.append(&front.common);
        if let Some((line, hosts)) = &front.hosts {
            if table.has("hosts") {
                if !hosts.iter().all(|it| table.has_item("hosts", it))
                    || table.has_wildcard("hosts")
                {
                    table.close(&line.source, super::kind::advice(line));
                }
            } else {
                for host in hosts {
                    table.push(&line.source, "hosts", &**host);
                }
            }
        }
        if backend != section.name || section.kind == "backend" {
            self.rules_of_backend(&mut table, front, (all, rank), backend);
        }
        self.made.routes.push(table);
    }

    /// Tells what is left of a frontend.
    fn left(&mut self, section: &Section, secure: Secure) {
        let mut table = Table::default();
        for line in &section.lines {
            if Kind::of(line) != Kind::Other
                || self
                    .made
                    .routes
                    .iter()
                    .any(|it| it.names(&line.source.place))
                || is_known(line, secure)
                || (section.kind == "listen" && super::backend::is_known(line))
            {
                continue;
            }
            match &*line.words[0] {
                "option" | "log" | "log-format" | "capture" | "unique-id-format"
                | "unique-id-header" | "monitor-uri" | "description" => {
                    table.needless(&line.source, "X-Forwarded-For and the request id are sent; [access_log] and [admin] have the rest");
                }
                super::kind::CONDITION => table.untranslated(
                    &line.source,
                    "the lines of the condition are read as if it held",
                ),
                "stats" => table.untranslated(
                    &line.source,
                    "[admin] has the dashboard, /metrics and /status",
                ),
                "reqrep" | "reqirep" | "rsprep" | "rspirep" | "reqadd" | "rspadd" | "rspdel" | "rspidel" => table.untranslated(
                    &line.source,
                    "headers_request, headers_response or rewrite of the route: rewrite = { host = \"…\" } sends another Host",
                ),
                "stick-table" | "tcp-request" => table.untranslated(
                    &line.source,
                    "rate_limit = { key = \"client_ip\", rate = \"10/s\" } of the route",
                ),
                "errorfile" | "http-errors" | "errorfiles" => table.untranslated(
                    &line.source,
                    "error_pages = { \"503\" = { file = \"sorry.html\" } }",
                ),
                "http-request" => table.untranslated(&line.source, changed(line)),
                _ => table.untranslated(
                    &line.source,
                    "no equal is known: see docs/coming-from-haproxy.md",
                ),
            }
        }
        self.made.leave(table);
    }
}

/// Returns the address to bind.
fn bound(written: &str) -> String {
    match written.rsplit_once(':') {
        Some(("" | "*" | "ipv4@" | "ipv4@*" | "0.0.0.0", port)) => format!("0.0.0.0:{port}"),
        Some(("::" | "[::]" | "ipv6@" | "ipv6@*" | "ipv6@::" | "ipv6@[::]", port)) => {
            format!("[::]:{port}")
        }
        _ if written.starts_with('/') => format!("unix:{written}"),
        _ => match written.split_once('@') {
            Some(("unix", path)) => format!("unix:{path}"),
            Some(("ipv4" | "ipv6", address)) => address.to_owned(),
            _ => written.to_owned(),
        },
    }
}
