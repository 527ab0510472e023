//! Rules: a route for each, and what those that keep clients out close.

use super::{
    Line, Section, Translator,
    condition::{All, Refused, conditions, is_of_clients, is_possible, only, without_tls},
    frontend::Front,
    kind::{Kind, advice},
    words::{change, format_of},
};
use crate::import::document::{Table, key_part, quoted, quoted_list};

impl<'a> Translator<'a> {
    /// Writes what a rule says of all requests of a frontend.
    pub(super) fn rule_of_all(&self, section: &Section, front: &mut Front, line: &Line) {
        let (action, words) = split(line);
        let common = &mut front.common;
        if is_to_https(&action)
            && let Some(words) = without_tls(&words)
        {
            if words.is_empty() {
                common.set(&line.source, "https_only", "true");
            }
            return;
        }
        if !self.refuses(section, line) {
            return;
        }
        if let Some(rule) = self.limit(section, line) {
            common.push(&line.source, "rate_limit", rule.text);
            for other in &rule.others {
                common.also(other, "rate_limit");
            }
            return;
        }
        if let Some((key, values)) = exactly(section, line, &words) {
            if key == "hosts" {
                if front.hosts.is_some() {
                    common.close(&line.source, advice(line));
                } else {
                    front.hosts = Some((line.clone(), values));
                }
                return;
            }
            addresses(common, line, key, values);
            return;
        }
        let refused = Refused::of(section, &words);
        if refused.is_all() && (refused.is_wider || !is_exact(&action)) {
            common.close(&line.source, advice(line));
        }
    }

    /// Makes the routes of one rule.
    pub(super) fn rule(&mut self, section: &'a Section, front: &mut Front, line: &'a Line) {
        let (action, words) = split(line);
        if is_to_https(&action)
            && let Some(rest) = without_tls(&words)
        {
            if !rest.is_empty() {
                self.redirect_plain(section, front, line, &rest);
            }
            return;
        }
        if self.by_map(section, front, line) {
            return;
        }
        if self.refuses(section, line) {
            return self.refuse(section, front, line);
        }
        let Some(sets) = conditions(section, &words) else {
            let mut table = Table::default();
            table.untranslated(&line.source, "a route with the condition: hosts, paths, methods, headers, cookies, query and addresses are there; no negation");
            self.made.leave(table);
            return;
        };
        for all in &sets {
            if let ["use_backend", backend] = action[..] {
                self.send_to(section, front, all, line, backend, front.rank);
                continue;
            }
            let mut table = self.begin(front, all, line, front.rank);
            if answer(&mut table, line, &action) {
                self.made.routes.push(table);
            } else {
                self.made.leave(table);
            }
        }
    }

    /// Returns true if a rule keeps requests from the endpoints, and no route of its own says so
    /// exactly.
    fn refuses(&self, section: &Section, line: &Line) -> bool {
        let (action, words) = split(line);
        let is_known = conditions(section, &words).is_some();
        match Kind::of(line) {
            Kind::Refuse => true,
            // A permanent redirect moves a page; others may lead to a page where clients log in.
            Kind::Answer => {
                let has_equal = is_known && answer(&mut Table::default(), line, &action);
                !has_equal && !is_permanent(&action)
            }
            Kind::Send if is_known => false,
            Kind::Send => {
                action.get(1).is_some_and(|it| self.is_closed(it)) || is_of_clients(section, &words)
            }
            Kind::Other => false,
        }
    }

    /// True if no request to a backend reaches an endpoint.
    fn is_closed(&self, backend: &str) -> bool {
        let mut sections = self.sections.iter();
        let found =
            sections.find(|it| matches!(&*it.kind, "backend" | "listen") && it.name == backend);
        found.is_some_and(|section| {
            let has = |line: &Line| matches!(&*line.words[0], "server" | "server-template");
            let refuses = |line: &&Line| Kind::of(line) == Kind::Refuse;
            !section.lines.iter().any(has) || section.rules().iter().any(refuses)
        })
    }

    /// Makes the routes of a rule that keeps requests out.
    fn refuse(&mut self, section: &Section, front: &Front, line: &Line) {
        let (action, words) = split(line);
        if exactly(section, line, &words).is_some() || self.limit(section, line).is_some() {
            return;
        }
        let refused = Refused::of(section, &words);
        let is_exact = is_exact(&action) && !refused.is_wider;
        for all in &refused.sets {
            if all.is_empty() && !is_exact {
                // The routes of the frontend are closed.
                continue;
            }
            let mut table = self.begin(front, all, line, front.rank);
            refusal(&mut table, line, &action, is_exact);
            self.made.routes.push(table);
        }
    }

    /// Redirects requests of plain listeners that meet a condition.
    fn redirect_plain(&mut self, section: &Section, front: &Front, line: &Line, words: &[&str]) {
        let Some(sets) = conditions(section, words) else {
            let mut table = Table::default();
            table.untranslated(
                &line.source,
                "https_only = true of a route with the condition",
            );
            return self.made.leave(table);
        };
        for all in sets.iter().filter(|_| !front.plain.is_empty()) {
            let mut table = self.begin(front, all, line, front.rank);
            table.remove("listeners");
            let plain = front.plain.iter().map(String::as_str);
            table.set_plain("listeners", quoted_list(plain));
            answer(&mut table, line, &split(line).0);
            self.made.routes.push(table);
        }
    }

    /// Writes what the rules of a backend keep out, into a route to it and beside it.
    pub(super) fn rules_of_backend(
        &mut self,
        table: &mut Table,
        front: &Front,
        (all, rank): (&All, usize),
        backend: &str,
    ) {
        let sections = self.sections;
        let found = sections
            .iter()
            .find(|it| matches!(&*it.kind, "backend" | "listen") && it.name == backend);
        let Some(section) = found else { return };
        for line in &section.lines {
            change(table, line, front.secure);
        }
        self.cache(section, table);
        for line in section.rules() {
            let (action, words) = split(line);
            if Kind::of(line) == Kind::Answer && is_permanent(&action) {
                continue;
            }
            if is_to_https(&action) && without_tls(&words).is_some_and(|rest| rest.is_empty()) {
                table.set(&line.source, "https_only", "true");
                continue;
            }
            if let Some(rule) = self.limit(section, line) {
                table.push(&line.source, "rate_limit", rule.text);
                for other in &rule.others {
                    table.also(other, "rate_limit");
                }
                continue;
            }
            let only = exactly(section, line, &words);
            if let Some((key, values)) = only.filter(|(key, _)| *key != "hosts") {
                addresses(table, line, key, values);
                continue;
            }
            let mut refused = Refused::of(section, &words);
            refused.sets.retain(|it| !are_apart(all, it));
            let both: Vec<All> = refused
                .sets
                .iter()
                .map(|it| [&all[..], &it[..]].concat())
                .collect();
            if refused.is_all() || !both.iter().all(is_possible) {
                table.close(&line.source, advice(line));
                continue;
            }
            let is_exact = is_exact(&action) && !refused.is_wider;
            for all in &both {
                let mut own = self.begin(front, all, line, rank + 1);
                let is_told = Kind::of(line) == Kind::Answer && !refused.is_wider;
                if !is_told || !answer(&mut own, line, &action) {
                    refusal(&mut own, line, &action, is_exact);
                }
                self.made.routes.push(own);
            }
        }
    }
}

/// The words of a rule, and those of its condition.
pub(super) fn split(line: &Line) -> (Vec<&str>, Vec<&str>) {
    let words = line.words();
    let at = words.iter().position(|it| matches!(*it, "if" | "unless"));
    let (action, words) = words.split_at(at.unwrap_or(words.len()));
    (action.to_vec(), words.to_vec())
}

/// Returns the addresses or methods that alone are let in, if a rule says just that.
fn exactly(section: &Section, line: &Line, words: &[&str]) -> Option<(&'static str, Vec<String>)> {
    let is_auth = line.words.get(1).is_some_and(|it| it == "auth");
    only(section, words).filter(|_| Kind::of(line) == Kind::Refuse && !is_auth)
}

/// Lets only some clients in.
fn addresses(table: &mut Table, line: &Line, key: &str, values: Vec<String>) {
    if table.has(key) {
        return table.close(
            &line.source,
            "access = { allow = [], methods = [] } of the route",
        );
    }
    for value in values {
        table.push(&line.source, key, value);
    }
}

/// Returns true if no path fits the conditions of both.
fn are_apart(one: &All, other: &All) -> bool {
    let beginning = |all: &All| {
        let (key, value) = all.iter().find(|(key, _)| key.starts_with("path"))?;
        let text = value.trim_matches(['"', '\'']);
        let is_expression = key == "path_regex";
        let text = if is_expression {
            text.strip_prefix('^')?
        } else {
            text
        };
        let is_plain = |it: char| it.is_ascii_alphanumeric() || "/-_".contains(it);
        let end = text.find(|it| !is_plain(it)).unwrap_or(text.len());
        // A sign behind a letter may say that it can be missing.
        let end = if is_expression && end < text.len() {
            end.checked_sub(1)?
        } else {
            end
        };
        Some(text[..end].to_owned())
    };
    match (beginning(one), beginning(other)) {
        (Some(one), Some(other)) => !one.starts_with(&other) && !other.starts_with(&one),
        _ => false,
    }
}

/// True for a rule that refuses by itself: nothing of it is lost in a refusal.
fn is_exact(action: &[&str]) -> bool {
    matches!(
        action,
        [
            "http-request",
            "deny" | "tarpit" | "reject" | "silent-drop",
            ..
        ] | ["tcp-request", _, "reject" | "silent-drop", ..]
            | ["block", ..]
    )
}

/// Refuses the requests of a route.
pub(super) fn refusal(table: &mut Table, line: &Line, action: &[&str], is_exact: bool) {
    if !is_exact {
        table.untranslated(
            &line.source,
            format!("{}; until then this keeps everybody out", advice(line)),
        );
        table.set_plain("respond.status", "403");
        return;
    }
    let at = action
        .iter()
        .position(|it| matches!(*it, "deny_status" | "status"));
    let status = at.and_then(|at| action.get(at + 1)).copied();
    if matches!(
        action,
        [_, "reject" | "silent-drop", ..] | ["tcp-request", ..]
    ) {
        table.note("HAProxy closes the connection without an answer; here it is refused");
    }
    table.set(&line.source, "respond.status", status.unwrap_or("403"));
}

/// Redirects that say that a page has moved.
fn is_permanent(action: &[&str]) -> bool {
    action
        .windows(2)
        .any(|it| matches!(it, ["code", "301" | "308"]))
}

fn is_to_https(action: &[&str]) -> bool {
    is_redirect(action) && action.windows(2).any(|it| it == ["scheme", "https"])
}

fn is_redirect(action: &[&str]) -> bool {
    matches!(action, ["redirect", ..] | ["http-request", "redirect", ..])
}

/// Writes an answer; false if there is no equal.
fn answer(table: &mut Table, line: &Line, action: &[&str]) -> bool {
    let value = |key: &str| {
        let at = action.iter().position(|it| *it == key)?;
        action.get(at + 1).copied()
    };
    if let ["http-request", "return", ..] = action {
        let status = value("status").unwrap_or("200");
        table.set(&line.source, "respond.status", status);
        if let Some(text) = value("string").or_else(|| value("lf-string")) {
            table.set_plain("respond.body", quoted(text));
        }
        let file = [
            "file",
            "lf-file",
            "errorfile",
            "errorfiles",
            "default-errorfiles",
        ];
        if action.iter().any(|it| file.contains(it)) {
            table.untranslated(
                &line.source,
                "the answer has no body yet: respond = { body = \"…\" }, with the text of the file",
            );
        }
        for pair in action.windows(2) {
            if let ["content-type", kind] = pair {
                table.set_plain("respond.headers.content-type", quoted(kind));
            }
        }
        for three in action.windows(3) {
            if let ["hdr", name, text] = three {
                let key = format!("respond.headers.{}", key_part(&name.to_ascii_lowercase()));
                match format_of(text) {
                    Some(text) => table.set_plain(&key, quoted(&text)),
                    None => table.note(format!("there is no placeholder for {text}")),
                }
            }
        }
        return true;
    }
    // Its options stand before or behind the target.
    let target = |it: &&str| matches!(*it, "location" | "prefix" | "scheme");
    let at = action.iter().position(target);
    let rest = match at.filter(|_| is_redirect(action)) {
        Some(at) => &action[at..],
        None => &[],
    };
    let path = match action.contains(&"drop-query") {
        true => "{path}",
        false => "{path}{query}",
    };
    let to = match rest {
        ["location", to, ..] => format_of(to),
        ["prefix", to, ..] => format_of(to).map(|to| format!("{to}{path}")),
        ["scheme", scheme, ..] => format_of(scheme).map(|it| format!("{it}://{{host}}{path}")),
        _ => None,
    };
    let Some(to) = to else {
        table.untranslated(&line.source, "redirect = { to = \"…\", status = 302 }");
        return false;
    };
    table.set(&line.source, "redirect.to", quoted(&to));
    table.set_plain("redirect.status", value("code").unwrap_or("302"));
    true
}
