//! Blocks of directives: each that answers becomes a route.

use std::collections::BTreeSet;

use super::{
    Translator,
    guard::{UNKNOWN, answers_before, gates, is_gate, is_harmless, of_handler},
    header::header,
    matcher::{Conditions, Named},
    meeting::{Meeting, meeting, unsure},
    syntax::Line,
    untranslated,
};
use crate::import::{
    document::{Table, name_of, quoted, quoted_list},
    gate::{Gate, behind},
};

/// Common parts of the routes of a block.
#[derive(Clone)]
pub(super) struct Scope<'a> {
    /// Beginning of their names.
    name: String,
    /// Keys of all of them.
    base: Table,
    /// Lines that do not answer, with the matcher that each has.
    common: Vec<(&'a Line, Option<String>)>,
    /// Named matchers.
    named: Vec<&'a Line>,
    /// Redirects of the blocks around it, which are asked first.
    gates: Vec<Gate>,
    /// True if the lines are asked in the order in which they stand.
    is_ordered: bool,
}

/// Directives that answer a request.
pub(super) const ANSWERS: [&str; 8] = [
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

impl<'a> Scope<'a> {
    pub(super) fn new(name: String, base: Table) -> Self {
        Self {
            name,
            base,
            common: Vec::new(),
            named: Vec::new(),
            gates: Vec::new(),
            is_ordered: false,
        }
    }
}

impl Scope<'_> {
    /// Returns the gates of a block with their lines, apart from redirects: those are asked before
    /// the blocks in it, too.
    fn gates_of<'l>(&mut self, lines: &'l [Line]) -> Vec<(&'l Line, Gate)> {
        let mut own = Vec::new();
        for line in lines {
            if let Some(gate) = gates(line, |it| self.named(it)) {
                match line.name() {
                    "redir" => self.gates.push(gate),
                    _ => own.push((line, gate)),
                }
            }
        }
        own
    }

    /// Returns the gates that other handlers of a block are for a line.
    fn handlers_before(&self, lines: &[Line], line: &Line) -> Vec<Gate> {
        let others = lines.iter().filter(|it| !std::ptr::eq(*it, line));
        let gates = others.filter_map(|it| of_handler(it, |name| self.named(name)));
        gates.collect()
    }

    /// The conditions of a matcher.
    fn named(&self, matcher: Option<&str>) -> Named {
        let sets = match matcher {
            None => vec![Conditions::default()],
            Some(name) if name.starts_with('@') => {
                let line = self.named.iter().rev().find(|it| it.name() == name);
                return line.map_or_else(Named::unknown, |it| Named::of(it));
            }
            Some(path) => vec![Conditions::of_path(path)],
        };
        Named {
            sets,
            ..Named::default()
        }
    }
}

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
            } else if !ANSWERS.contains(&line.name()) && !LISTENER.contains(&line.name()) {
                scope.common.push((line, split(line).0));
            }
        }
        let own_gates = scope.gates_of(lines);
        let mut any = false;
        let takes_all =
            |it: &&Line| matches!(it.name(), "handle" | "route") && split(it).0.is_none();
        let takes_all = lines.iter().find(takes_all);
        for line in lines.iter().filter(|it| ANSWERS.contains(&it.name())) {
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
        let mut left = Table::default();
        for line in lines {
            let files = ["file_server", "php_fastcgi", "root", "try_files"];
            let is_incomplete = line.name() == "tls" && line.args().len() != 2;
            if is_incomplete || (!any && files.contains(&line.name())) {
                untranslated(&mut left, line);
            }
        }
        self.made.leave(left);
    }

    /// Makes routes of their own for the requests that a line with a matcher concerns, where the
    /// block answers them with all others.
    fn apart<'a>(&mut self, scope: &Scope<'a>, lines: &'a [Line]) {
        let answers = lines.iter().filter(|it| ANSWERS.contains(&it.name()));
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
            conditions.write(&mut inner.base, &line.source);
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
                inner
                    .base
                    .set(&line.source, "rewrite.strip_prefix", quoted(&prefix));
            }
            self.block(&inner, &line.block);
            return;
        }
        let name = self.made.name("routes", &wanted);
        let mut table = scope.base.clone();
        table.name = format!("routes.{name}");
        conditions.write(&mut table, &line.source);
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
            "log" => self.access_log(line),
            "skip_log" | "log_skip" | "log_append" => table.untranslated(&line.source, "see [access_log]"),
            name if is_harmless(name) => untranslated(table, line),
            _ => table.close(&line.source, UNKNOWN),
        }
    }

    fn access_log(&mut self, line: &Line) {
        if self.log.has("path") {
            return;
        }
        let output = line.block.iter().find(|it| it.name() == "output");
        let path = match output.map(|it| it.args()) {
            Some(args) if args.first() == Some(&"file") && args.len() > 1 => self.path_of(args[1]),
            _ => "-".to_owned(),
        };
        self.log.set(&line.source, "path", quoted(&path));
        self.log.set_plain("format", "\"json\"");
    }
}

/// Returns the reason why a line never answers.
fn never_reached(
    line: &Line,
    lines: &[Line],
    takes_all: Option<&Line>,
    is_ordered: bool,
) -> Option<String> {
    let answers = ["respond", "reverse_proxy", "abort", "error"];
    if let Some(first) = takes_all.filter(|_| answers.contains(&line.name())) {
        let first = first.name();
        return Some(format!(
            "it is never reached: {first} takes all requests before"
        ));
    }
    let before =
        answers_before(line, lines, is_ordered).filter(|_| line.name() == "reverse_proxy")?;
    let before = before.name();
    Some(format!(
        "it is never reached: {before} answers all requests before"
    ))
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
