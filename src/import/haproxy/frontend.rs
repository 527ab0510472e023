//! Frontends: listeners, and rules in their order.

use super::{
    Line, Section, Translator,
    condition::{All, conditions, write},
    duration,
    words::{format_of, is_known, is_rule, set},
};
use crate::import::document::{Table, name_of, quoted, quoted_list};

/// Common parts of the routes of a frontend.
struct Front {
    name: String,
    listeners: Option<Vec<String>>,
    /// Rank of the next rule; a later one has less.
    rank: usize,
    common: Table,
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
        let rules = section.lines.iter().filter(|it| is_rule(it)).count();
        let mut front = Front {
            name: name_of(&section.name),
            listeners: has_others.then_some(names),
            rank: rules,
            common: Table::default(),
        };
        self.common(section, &mut front);
        for line in section.lines.iter().filter(|it| is_rule(it)) {
            self.rule(section, &mut front, line);
            front.rank -= 1;
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
            _ => {}
        }
        self.rest(section);
    }

    /// Makes the listeners.
    fn bind(&mut self, section: &Section) -> Vec<String> {
        let mut names = Vec::new();
        for line in section.lines.iter().filter(|it| it.words[0] == "bind") {
            let words = line.words();
            for address in words.get(1).map_or("", |it| *it).split(',') {
                let address = match address.rsplit_once(':') {
                    Some(("" | "*" | "ipv4@" | "ipv4@*" | "0.0.0.0", port)) => {
                        format!("0.0.0.0:{port}")
                    }
                    Some(("::" | "[::]" | "ipv6@" | "ipv6@*", port)) => format!("[::]:{port}"),
                    _ if address.starts_with('/') => format!("unix:{address}"),
                    _ => address.to_owned(),
                };
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
        names
    }

    fn bind_options(&self, table: &mut Table, line: &Line) {
        let words = line.words();
        let value = |key: &str| {
            let at = words.iter().position(|it| *it == key)?;
            words.get(at + 1).copied()
        };
        if let Some(file) = value("crt") {
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
        }
        if value("ssl-min-ver") == Some("TLSv1.3") {
            table.set(&line.source, "tls.minimum_version", "\"1.3\"");
        }
        if words.contains(&"accept-proxy") {
            table.untranslated(
                &line.source,
                "proxy_protocol = { from = [\"10.0.0.0/8\"] } needs the peers that send the header",
            );
        }
    }

    /// Writes the steps that all routes of a frontend have on the way.
    fn common(&mut self, section: &Section, front: &mut Front) {
        let common = &mut front.common;
        let lines = section.lines.iter().chain(&*section.defaults);
        for line in lines {
            match line.words()[..] {
                ["http-request", "deny" | "auth" | "tarpit", ..]
                    if of_rule(section, line).is_none() =>
                {
                    common.close(&line.source, "a route with the condition and access, auth, or respond = { status = 403 }");
                }
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
                    common.set(
                        &line.source,
                        "compress.types",
                        quoted_list(types.iter().copied()),
                    );
                }
                ["http-request", "set-header", name, value] => {
                    set(common, line, "headers_request.set", name, value);
                }
                ["http-request", "add-header", name, value] => {
                    set(common, line, "headers_request.add", name, value);
                }
                ["http-request", "del-header", name] => {
                    common.push(
                        &line.source,
                        "headers_request.remove",
                        quoted(&name.to_ascii_lowercase()),
                    );
                }
                ["http-response", "set-header", name, value] => {
                    set(common, line, "headers_response.set", name, value);
                }
                ["http-response", "add-header", name, value] => {
                    set(common, line, "headers_response.add", name, value);
                }
                ["http-response", "del-header", name] => {
                    common.push(
                        &line.source,
                        "headers_response.remove",
                        quoted(&name.to_ascii_lowercase()),
                    );
                }
                ["redirect", "scheme", "https", ..]
                | ["http-request", "redirect", "scheme", "https", ..]
                    if line.words.iter().any(|it| it == "ssl_fc") =>
                {
                    common.set(&line.source, "https_only", "true");
                }
                _ => {}
            }
        }
    }

    /// Makes the routes of one rule.
    fn rule(&mut self, section: &'a Section, front: &mut Front, line: &'a Line) {
        let words = line.words();
        let at = words.iter().position(|it| matches!(*it, "if" | "unless"));
        let (action, _) = words.split_at(at.unwrap_or(words.len()));
        let Some(sets) = of_rule(section, line) else {
            let mut table = Table::default();
            if !matches!(action, ["http-request", "deny" | "auth" | "tarpit", ..]) {
                table.untranslated(&line.source, "a route with the condition: hosts, paths, methods, headers, cookies, query and addresses are there; no negation");
            }
            self.made.leave(table);
            return;
        };
        for all in &sets {
            if let ["use_backend", backend] = action {
                self.send_to(section, front, all, line, backend, front.rank);
                continue;
            }
            let mut table = self.begin(front, all, line, front.rank);
            match action {
                ["http-request", "deny" | "tarpit", rest @ ..] => {
                    let status = rest
                        .iter()
                        .position(|it| matches!(*it, "deny_status" | "status"));
                    let status = status
                        .and_then(|at| rest.get(at + 1))
                        .copied()
                        .unwrap_or("403");
                    table.set(&line.source, "respond.status", status);
                }
                ["http-request", "return", rest @ ..] => {
                    let value = |key: &str| {
                        let at = rest.iter().position(|it| *it == key)?;
                        rest.get(at + 1).copied()
                    };
                    table.set(
                        &line.source,
                        "respond.status",
                        value("status").unwrap_or("200"),
                    );
                    if let Some(text) = value("string").or_else(|| value("lf-string")) {
                        table.set_plain("respond.body", quoted(text));
                    }
                }
                ["redirect", rest @ ..] | ["http-request", "redirect", rest @ ..] => {
                    let code = rest
                        .iter()
                        .position(|it| *it == "code")
                        .and_then(|at| rest.get(at + 1));
                    let to = match rest {
                        ["location", to, ..] => format_of(to),
                        ["prefix", to, ..] => {
                            format_of(to).map(|to| format!("{to}{{path}}{{query}}"))
                        }
                        ["scheme", scheme, ..] => {
                            Some(format!("{scheme}://{{host}}{{path}}{{query}}"))
                        }
                        _ => None,
                    };
                    let Some(to) = to else {
                        table.untranslated(&line.source, "redirect = { to = \"…\", status = 302 }");
                        self.made.leave(table);
                        continue;
                    };
                    table.set(&line.source, "redirect.to", quoted(&to));
                    table.set_plain("redirect.status", *code.unwrap_or(&"302"));
                }
                _ => {
                    table.untranslated(&line.source, "a route with the condition and this change");
                    self.made.leave(table);
                    continue;
                }
            }
            self.made.routes.push(table);
        }
    }

    fn begin(&mut self, front: &Front, all: &All, line: &Line, rank: usize) -> Table {
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

    fn send_to(
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
            self.made.leave(table);
            return;
        };
        table.set(&line.source, "pool", quoted(&pool));
        self.of_backend(&mut table, backend);
        table.append(&front.common);
        self.made.routes.push(table);
    }

    /// Tells what is left of a frontend.
    fn rest(&mut self, section: &Section) {
        let mut table = Table::default();
        for line in &section.lines {
            if is_rule(line)
                || is_known(line)
                || (section.kind == "listen" && super::backend::is_known(line))
            {
                continue;
            }
            match &*line.words[0] {
                "option" | "log" | "log-format" | "capture" | "unique-id-format"
                | "unique-id-header" | "monitor-uri" | "description" => {
                    table.needless(&line.source, "X-Forwarded-For and the request id are sent; [access_log] and [admin] have the rest");
                }
                "stats" => table.untranslated(
                    &line.source,
                    "[admin] has the dashboard, /metrics and /status",
                ),
                "stick-table" | "tcp-request" => table.untranslated(
                    &line.source,
                    "rate_limit = { key = \"client_ip\", rate = \"10/s\" } of the route",
                ),
                "errorfile" | "http-errors" | "errorfiles" => table.untranslated(
                    &line.source,
                    "error_pages = { \"503\" = { file = \"sorry.html\" } }",
                ),
                _ => table.untranslated(
                    &line.source,
                    "no equal is known: see docs/coming-from-haproxy.md",
                ),
            }
        }
        self.made.leave(table);
    }
}

/// Returns the conditions of a rule, if a route can have them.
fn of_rule(section: &Section, line: &Line) -> Option<Vec<All>> {
    let words = line.words();
    let is_auth = matches!(words[..], ["http-request", "auth", ..]);
    let at = words.iter().position(|it| matches!(*it, "if" | "unless"));
    let found = conditions(section, &words[at.unwrap_or(words.len())..]);
    found.filter(|_| !is_auth)
}
