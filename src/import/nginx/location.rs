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

/// Kinds of locations that a server has, because of which some need a rank.
#[derive(Clone, Debug, Default)]
struct Order {
    has_regex: bool,
    first: Vec<String>,
    regexes: usize,
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
        let mut order = Order::default();
        note_order(block, &mut order);
        let mut scope = Scope {
            server,
            block,
            https_only,
            order,
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
            scope.order.regexes += 1;
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
        self.conditions(server, &level, &matcher, false);
        let mut table = self.begin_ordered(scope, &matcher, &level, directive);
        if let Some(line) = scope.https_only {
            table.set(line, "https_only", "true");
        }
        if !self.action(&mut table, server, &matcher, &level, scope.block) {
            // Its requests must not come to the location of a shorter path.
            table.note("no endpoint is known for these requests: they are answered with 404");
            table.set_plain("respond.status", "404");
        }
        self.end_route(table, &level);
    }

    fn begin_ordered(
        &mut self,
        scope: &Scope<'_, 'a>,
        matcher: &Matcher,
        level: &Level<'a>,
        directive: &Directive,
    ) -> Table {
        let order = &scope.order;
        let mut table = self.begin_named(scope.server, matcher, level, order.regexes);
        self.path(&mut table, matcher, &directive.source);
        let rank = match matcher {
            Matcher::First(_) if order.has_regex => 1,
            Matcher::Exact(path) if order.has_regex => {
                let mut first = order.first.iter();
                2 * i32::from(first.any(|it| path.starts_with(&**it)))
            }
            _ => 0,
        };
        if rank > 0 && scope.server.may_rank() {
            table.set(&directive.source, "priority", rank.to_string());
        } else if rank > 0 {
            table.note("^~ goes before regular expressions in nginx: with hosts, priority = 1 does so here");
        }
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
            self.path(&mut table, matcher, source);
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

    fn path(&self, table: &mut Table, matcher: &Matcher, source: &Source) {
        match matcher {
            Matcher::All | Matcher::Named(_) => {}
            Matcher::Prefix(path) | Matcher::First(path) if path == "/" => {
                table.note(super::remark(source, &source.text));
            }
            Matcher::Exact(path) => table.set(source, "path", quoted(path)),
            Matcher::Prefix(path) | Matcher::First(path) => {
                let path = path.trim_end_matches('/');
                table.set(source, "path_prefix", quoted(path));
            }
            Matcher::Regex(expression) => table.set(source, "path_regex", quoted(expression)),
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
    order: Order,
}

fn note_order(block: &Directive, order: &mut Order) {
    for location in block.inner().iter().filter(|it| it.name == "location") {
        match Matcher::of(location) {
            Matcher::Regex(_) => order.has_regex = true,
            Matcher::First(path) => order.first.push(path),
            _ => {}
        }
        note_order(location, order);
    }
}
