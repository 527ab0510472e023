//! Locations: which paths, and in which order.

use super::{Translator, level::Level, server::Server, syntax::Directive, untranslated};
use crate::import::document::{Source, Table, quoted};

/// Paths of a location.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Matcher {
    /// Any path.
    All,
    /// `= /path`.
    Exact(String),
    /// `/path`.
    Prefix(String),
    /// `^~ /path`: before regular expressions.
    First(String),
    /// `~ expression`.
    Regex(String),
    /// `@name`.
    Named(String),
}

impl Matcher {
    pub(super) fn of(directive: &Directive) -> Self {
        let words = directive.words();
        let owned = |text: &str| text.to_owned();
        match words[..] {
            ["=", path] => Self::Exact(owned(path)),
            ["^~", path] => Self::First(owned(path)),
            ["~", expression] => Self::Regex(owned(expression)),
            ["~*", expression] => Self::Regex(format!("(?i){expression}")),
            [name] if name.starts_with('@') => Self::Named(owned(name)),
            [path] => Self::joined(path),
            _ => Self::All,
        }
    }

    /// Reads a path with its sign before it.
    fn joined(written: &str) -> Self {
        if let Some(path) = written.strip_prefix('=') {
            Self::Exact(path.to_owned())
        } else if let Some(path) = written.strip_prefix("^~") {
            Self::First(path.to_owned())
        } else if let Some(expression) = written.strip_prefix("~*") {
            Self::Regex(format!("(?i){expression}"))
        } else if let Some(expression) = written.strip_prefix('~') {
            Self::Regex(expression.to_owned())
        } else {
            Self::Prefix(written.to_owned())
        }
    }

    /// The part of the path that `proxy_pass` replaces.
    pub(super) fn prefix(&self) -> Option<&str> {
        match self {
            Self::Prefix(path) | Self::First(path) => Some(path),
            Self::All => Some("/"),
            Self::Exact(_) | Self::Regex(_) | Self::Named(_) => None,
        }
    }

    /// The part of a name that tells the location.
    fn name(&self, regexes: usize) -> String {
        match self {
            Self::All => String::new(),
            Self::Exact(path) | Self::Prefix(path) | Self::First(path) | Self::Named(path) => {
                path.clone()
            }
            // The name decides the order of equal ranks.
            Self::Regex(_) => format!("regex_{regexes:02}"),
        }
    }
}

impl<'a> Translator<'a> {
    /// Makes the routes of the locations of a server.
    pub(super) fn locations(
        &mut self,
        server: &Server,
        level: &Level<'a>,
        block: &'a Directive,
        https_only: Option<&Source>,
    ) {
        let mut scope = Scope {
            server,
            block,
            https_only,
            regexes: 0,
        };
        for location in block.inner().iter().filter(|it| it.name == "location") {
            self.location(&mut scope, level, location);
        }
    }

    fn location(&mut self, scope: &mut Scope<'_, 'a>, outer: &Level<'a>, directive: &'a Directive) {
        let level = Level::within(directive.inner(), outer);
        let matcher = Matcher::of(directive);
        for inner in directive.inner().iter().filter(|it| it.name == "location") {
            self.location(scope, &level, inner);
        }
        let is_internal = directive.inner().iter().any(|it| it.name == "internal");
        if self.is_page(&matcher, scope.block) && !is_internal {
            let mut table = Table::default();
            table.needless(&directive.source, "what names it is translated");
            self.made.leave(table);
            return;
        }
        if matches!(matcher, Matcher::Named(_)) {
            // It is looked at where it is named.
            return;
        }
        let server = scope.server;
        if let Matcher::Regex(expression) = &matcher {
            scope.regexes += 1;
            self.regexes_at = scope.regexes;
            if let Err(why) = regex::Regex::new(expression) {
                let mut table = Table::default();
                let why = why.to_string();
                let why = why.lines().last().unwrap_or_default().trim().to_owned();
                table.untranslated(
                    &directive.source,
                    format!("path_regex has no look-around and no back-references: {why}"),
                );
                self.leave_all(table, &level);
                return;
            }
        }
        let since = self.made.routes.len();
        let (own, https) = self.gates(server, &level, None);
        let mut table = self.begin_ordered(scope, &matcher, &level, directive);
        if !self.action(&mut table, server, &matcher, &level, scope.block) {
            // Its requests must not come to the location of a shorter path.
            table.note("no endpoint is known for these requests: they are answered with 404");
            table.set_plain("respond.status", "404");
        }
        self.end_route(table, &level);
        if let Some(line) = https.as_ref().or(scope.https_only) {
            let made = self.made.routes.iter_mut().skip(since);
            for table in made.filter(|it| !it.name.is_empty()) {
                table.set(line, "https_only", "true");
            }
        }
        let gates = [&self.gates[..], &own[..]].concat();
        self.guarded(since, &gates);
    }

    fn begin_ordered(
        &mut self,
        scope: &Scope<'_, 'a>,
        matcher: &Matcher,
        level: &Level<'a>,
        directive: &Directive,
    ) -> Table {
        let mut table = self.begin_named(scope.server, matcher, level, scope.regexes);
        self.path(
            &mut table,
            scope.server,
            (matcher, scope.regexes),
            &directive.source,
        );
        table
    }

    /// Begins the table of a route.
    pub(super) fn begin_route(
        &mut self,
        server: &Server,
        matcher: &Matcher,
        level: &Level<'a>,
        source: Option<&Source>,
    ) -> Table {
        let mut table = self.begin_named(server, matcher, level, 0);
        if let Some(source) = source {
            self.path(&mut table, server, (matcher, self.regexes_at), source);
        }
        table
    }

    fn begin_named(
        &mut self,
        server: &Server,
        matcher: &Matcher,
        _level: &Level<'a>,
        regexes: usize,
    ) -> Table {
        let wanted = match &*matcher.name(regexes) {
            "" | "/" => server.name.clone(),
            part => super::value::name_of(&format!("{}_{part}", server.name)),
        };
        let name = self.made.name("routes", &wanted);
        let mut table = Table::new(format!("routes.{name}"));
        server.begin(&mut table);
        table
    }

    /// Gives a route the name of the value that it is for.
    pub(super) fn rename(&mut self, table: &mut Table, value: &str) {
        self.made.forget(table);
        let server = table.name.trim_start_matches("routes.");
        let server = server.trim_end_matches(|it: char| it.is_ascii_digit());
        let wanted = super::value::name_of(&format!("{}_{value}", server.trim_end_matches('_')));
        table.name = format!("routes.{}", self.made.name("routes", &wanted));
    }

    /// Writes the paths of a location, and its rank.
    fn path(
        &self,
        table: &mut Table,
        server: &Server,
        (matcher, at): (&Matcher, usize),
        source: &Source,
    ) {
        match matcher {
            Matcher::All | Matcher::Named(_) => {}
            Matcher::Prefix(path) | Matcher::First(path) if path == "/" => {
                table.note(super::remark(source, &source.text));
            }
            Matcher::Exact(path) => table.set(source, "path", quoted(path)),
            Matcher::Prefix(path) | Matcher::First(path) => {
                let (key, value) = self.order.prefix(path, server.may_rank());
                if key == "path_prefix" && !path.ends_with('/') {
                    table.untranslated(
                        source,
                        format!("nginx takes paths such as {path}x here, too: with hosts, path_regex and priority do so"),
                    );
                }
                table.set(source, key, value);
            }
            Matcher::Regex(expression) => table.set(source, "path_regex", quoted(expression)),
        }
        let rank = self.order.rank(matcher, at);
        if rank > 0 && server.may_rank() {
            table.set(source, "priority", rank.to_string());
        } else if rank > 0 {
            table.note(format!(
                "nginx asks locations in another order: with hosts, priority = {rank} does so here"
            ));
        }
    }

    /// Leaves a location as comments: it has no route.
    fn leave_all(&mut self, mut table: Table, level: &Level<'a>) {
        for directive in level.rest() {
            if !super::is_structure(&directive.name) {
                untranslated(&mut table, directive);
            }
        }
        self.made.leave(table);
    }
}

/// Common parts of the locations of a server.
struct Scope<'s, 'a> {
    server: &'s Server,
    block: &'a Directive,
    https_only: Option<&'s Source>,
    /// Number of the last expression.
    regexes: usize,
}
