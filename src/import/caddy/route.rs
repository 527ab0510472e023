//! Blocks of directives: each that answers becomes a route.

use std::collections::BTreeSet;

use super::{
    Translator,
    asked::asks,
    guard::{UNKNOWN, is_gate, is_harmless, never_reached},
    header::header,
    matcher::Conditions,
    meeting::{Meeting, meeting, unsure},
    rate::rate_limit,
    scope::Scope,
    syntax::Line,
    untranslated,
    within::{self, NEVER, Within},
};
use crate::import::{
    document::{Table, name_of, quoted, quoted_list},
    gate::{Gate, behind},
};

/// Directives that answer a request.
const ANSWERS: [&str; 8] = [
    "reverse_proxy",
    "redir",
    "respond",
    "abort",
    "error",
    "handle",
    "handle_path",
    "route",
];
/// Directives that are looked at with the listeners.
const LISTENER: [&str; 2] = ["tls", "bind"];

/// The matcher of a line, and its other words.
pub(super) fn split(line: &Line) -> (Option<String>, Vec<&str>) {
    let args = line.args();
    match args.first() {
        Some(first) if first.starts_with(['/', '@']) || *first == "*" => {
            let matcher = (*first != "*").then(|| (*first).to_owned());
            (matcher, args[1..].to_vec())
        }
        _ => (None, args),
    }
}

impl Translator {
    /// Makes the routes of a block.
    pub(super) fn block<'a>(&mut self, outer: &Scope<'a>, lines: &'a [Line]) {
        let mut scope = outer.clone();
        for line in lines {
            if line.name().starts_with('@') {
                scope.named.push(line);
            } else if !is_answer(line) && (!LISTENER.contains(&line.name()) || asks_clients(line)) {
                scope.common.push((line, split(line).0));
            }
        }
        let own_gates = scope.gates_of(lines);
        let mut any = false;
        let takes_all =
            |it: &&Line| matches!(it.name(), "handle" | "route") && split(it).0.is_none();
        let takes_all = lines.iter().find(takes_all);
        for line in lines.iter().filter(|it| is_answer(it)) {
            any = true;
            let (matcher, args) = split(line);
            if let Some(why) = never_reached(line, lines, takes_all, scope.is_ordered) {
                let mut table = Table::default();
                table.needless(&line.source, why);
                self.made.leave(table);
                continue;
            }
            let Some(all) = conditions_of(&scope, matcher.as_deref()) else {
                if scope.named(matcher.as_deref()).not.is_some() && is_gate(line) {
                    // It stands at the routes that it guards.
                    continue;
                }
                let mut table = Table::default();
                table.untranslated(&line.source, "the matcher has a condition that routes do not have: hosts, paths, methods, headers, query and addresses are there");
                self.made.leave(table);
                continue;
            };
            let mut inner = scope.clone();
            if matcher.as_deref().is_none_or(|it| it.starts_with('@')) {
                // Those with a path are asked before.
                inner.gates.extend(scope.handlers_before(lines, line));
            }
            if line.name() == "reverse_proxy" {
                let before = |it: &Line| !scope.is_ordered || is_before(lines, it, line);
                let fitting = own_gates.iter().filter(|(it, _)| before(it));
                inner.gates.extend(fitting.map(|(_, gate)| gate.clone()));
            }
            for one in all {
                self.answer(&inner, line, matcher.as_deref(), &args, &one);
            }
        }
        scope
            .gates
            .extend(own_gates.into_iter().map(|(_, gate)| gate));
        self.apart(&scope, lines);
        let files = [
            "file_server",
            "php_fastcgi",
            "php_server",
            "root",
            "try_files",
        ];
        let mut left = Table::default();
        for line in lines {
            if !any && files.contains(&line.name()) {
                untranslated(&mut left, line);
            }
        }
        if left.is_empty() {
            return;
        }
        // Their requests must not come to the endpoints of another block.
        let name = self.made.name("routes", &scope.name);
        let mut table = scope.base.clone();
        table.name = format!("routes.{name}");
        table.entries.extend(left.entries);
        table.note("no endpoint is known for these requests: they are answered with 404");
        table.set_plain("respond.status", "404");
        self.made.routes.push(table);
    }

    /// Makes routes of their own for the requests that a line with a matcher concerns, where the
    /// block answers them with all others.
    fn apart<'a>(&mut self, scope: &Scope<'a>, lines: &'a [Line]) {
        let answers = lines.iter().filter(|it| is_answer(it));
        let answers: Vec<_> = answers.map(|it| (it, split(it))).collect();
        let Some((rest, (_, args))) = answers.iter().find(|(_, (matcher, _))| matcher.is_none())
        else {
            return;
        };
        if matches!(rest.name(), "handle" | "handle_path" | "route") {
            return;
        }
        let matchers: BTreeSet<&str> = scope
            .common
            .iter()
            .filter_map(|(_, its)| its.as_deref())
            .collect();
        for matcher in matchers {
            let has_route = |(_, (its, _)): &&(&Line, (Option<String>, Vec<&str>))| {
                its.as_deref() == Some(matcher)
            };
            if answers.iter().any(|it| has_route(&it)) {
                continue;
            }
            for one in conditions_of(scope, Some(matcher)).into_iter().flatten() {
                self.answer(scope, rest, Some(matcher), args, &one);
            }
        }
    }

    fn answer<'a>(
        &mut self,
        scope: &Scope<'a>,
        line: &'a Line,
        matcher: Option<&str>,
        args: &[&str],
        conditions: &Conditions,
    ) {
        let part = matcher.map_or_else(String::new, |it| format!("_{it}"));
        let wanted = name_of(&format!("{}{part}", scope.name));
        if matches!(line.name(), "handle" | "handle_path" | "route") {
            let mut inner = scope.clone();
            inner.name = wanted;
            inner.is_ordered = line.name() == "route";
            match conditions.within(&scope.base, &line.source) {
                Within::Both(base) => inner.base = base,
                other => return self.not_reached(line, &other),
            }
            inner
                .common
                .retain(|(_, its)| meeting(its.as_deref(), matcher) != Meeting::None);
            for (_, its) in &mut inner.common {
                if meeting(its.as_deref(), matcher) == Meeting::All {
                    *its = None;
                }
            }
            if line.name() == "handle_path"
                && let Some(prefix) = conditions.prefix()
            {
                inner.stripped.clone_from(&prefix);
                inner.base.remove("rewrite.strip_prefix");
                inner
                    .base
                    .set(&line.source, "rewrite.strip_prefix", quoted(&prefix));
            }
            self.block(&inner, &line.block);
            return;
        }
        let mut table = match conditions.within(&scope.base, &line.source) {
            Within::Both(table) => table,
            other => return self.not_reached(line, &other),
        };
        let name = self.made.name("routes", &wanted);
        table.name = format!("routes.{name}");
        let done = match line.name() {
            "reverse_proxy" => self.reverse_proxy(&mut table, line, args),
            _ => super::guard::answer(&mut table, line, args),
        };
        if !done {
            return self.made.leave(table);
        }
        for (common, its) in &scope.common {
            match meeting(its.as_deref(), matcher) {
                Meeting::All => self.on_the_way(&mut table, common),
                Meeting::None => {}
                // These requests have a route of their own.
                Meeting::Some
                    if matcher.is_none() && conditions_of(scope, its.as_deref()).is_some() => {}
                Meeting::Some => unsure(&mut table, common),
            }
        }
        let gates: &[Gate] = match table.has("pool") {
            true => &scope.gates,
            false => &[],
        };
        let guarded = table.clone();
        let made = &mut self.made;
        let mut all = behind(table, gates, |it| {
            let name = it.name.trim_start_matches("routes.");
            format!("routes.{}", made.name("routes", name))
        });
        for refusal in all.iter_mut().filter(|it| !it.has("pool")) {
            refusal.append_missing(&guarded, &["headers_response"]);
        }
        self.made.routes.extend(all);
    }

    /// Tells a line whose matcher does not fit that of the block around it.
    fn not_reached(&mut self, line: &Line, how: &Within) {
        let mut table = Table::default();
        match how {
            Within::Never => table.needless(&line.source, NEVER),
            _ => table.untranslated(&line.source, within::UNKNOWN),
        }
        self.made.leave(table);
    }

    /// Writes what a route does on the way.
    fn on_the_way(&mut self, table: &mut Table, line: &Line) {
        let (_, args) = split(line);
        match line.name() {
            "header" => header(table, line, &args, "headers_response"),
            "request_header" => header(table, line, &args, "headers_request"),
            "encode" => {
                let words = args.iter().filter(|it| ["gzip", "zstd", "br"].contains(*it));
                let mut words: Vec<&str> = words.copied().collect();
                if words.is_empty() {
                    words = vec!["zstd", "gzip"];
                }
                table.set(&line.source, "compress.encodings", quoted_list(words));
                for inner in &line.block {
                    if inner.name() == "minimum_length" && let [bytes] = inner.args()[..] {
                        table.set(&inner.source, "compress.min", quoted(&format!("{bytes}B")));
                    }
                }
            }
            "request_body" => {
                let max = line.block.iter().find(|it| it.name() == "max_size");
                match max.and_then(|it| bytes(it.args().first()?)) {
                    Some(0) => table.needless(&line.source, "0 is no bound"),
                    Some(bytes) => table.set(&line.source, "body_max", quoted(&format!("{bytes}B"))),
                    None => untranslated(table, line),
                }
            }
            "uri" => match args[..] {
                ["strip_prefix", prefix] => table.set(&line.source, "rewrite.strip_prefix", quoted(prefix)),
                _ => table.untranslated(&line.source, "rewrite = { path_regex = { match = \"…\", to = \"…\" } } of the route"),
            },
            "rewrite" => match args.last().and_then(|to| to.strip_suffix("{uri}")) {
                Some(prefix) if prefix.starts_with('/') && !prefix.contains('{') => {
                    table.set(&line.source, "rewrite.add_prefix", quoted(prefix));
                }
                _ => table.untranslated(&line.source, "rewrite = { path_regex = { match = \"…\", to = \"…\" } } of the route"),
            },
            "basic_auth" | "basicauth" => table.close(
                &line.source,
                "write the lines as USER:HASH into a file: auth = { basic = { file = \"users.htpasswd\" } } of the route",
            ),
            "forward_auth" => self.forward_auth(table, line, &args),
            "reverse_proxy" => self.asked(table, line, &args),
            "tls" => table.close(
                &line.source,
                "clients must show a certificate: tls = { client_ca = \"ca.pem\", client_auth = \"optional\" } of the listener, and auth = { mtls = {} } of the route",
            ),
            "rate_limit" => rate_limit(table, line),
            "log" => self.access_log(table, line),
            "skip_log" | "log_skip" | "log_append" => table.untranslated(&line.source, "see [access_log]"),
            name if is_harmless(name) => untranslated(table, line),
            _ => table.close(&line.source, UNKNOWN),
        }
    }
}

/// Returns true for a directive that answers a request.
pub(super) fn is_answer(line: &Line) -> bool {
    ANSWERS.contains(&line.name()) && !asks(line)
}

/// Returns true for a `tls` that lets in only clients with a certificate.
fn asks_clients(line: &Line) -> bool {
    let auth = line.block.iter().find(|it| it.name() == "client_auth");
    let is_request = |it: &Line| it.name() == "mode" && it.args() == ["request"];
    line.name() == "tls" && auth.is_some_and(|it| !it.block.iter().any(is_request))
}

/// Returns the conditions of a matcher, if a route can have them.
fn conditions_of(scope: &Scope<'_>, matcher: Option<&str>) -> Option<Vec<Conditions>> {
    let named = scope.named(matcher);
    (!named.is_wider).then_some(named.sets)
}

/// Returns true if a line stands before another.
fn is_before(lines: &[Line], one: &Line, other: &Line) -> bool {
    let at = |wanted: &Line| lines.iter().position(|it| std::ptr::eq(it, wanted));
    at(one) < at(other)
}

fn bytes(text: &str) -> Option<u64> {
    let number = text.trim_end_matches(|it: char| it.is_ascii_alphabetic());
    let factor = match &*text[number.len()..].to_ascii_lowercase() {
        "" | "b" => 1,
        "k" | "kb" => 1000,
        "m" | "mb" => 1_000_000,
        "g" | "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}
