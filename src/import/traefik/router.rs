//! Routers: a route for each alternative of a rule, in their order.

use super::{
    Translator,
    matcher::{Conditions, Prefixes},
    middleware::{UNKNOWN, Way},
    reading::{Reading, block},
    rule::{Term, alternatives},
    tree::{Node, Value},
};
use crate::import::document::{Source, Table, name_of, quoted_list};

/// A router of HTTP.
pub(super) struct Router<'n> {
    pub(super) name: &'n str,
    pub(super) node: &'n Node,
    /// The names of its entry points; empty: all that are meant by default.
    pub(super) entry_points: Vec<&'n str>,
    pub(super) is_tls: bool,
    /// Place among all routers; a higher one is tried first.
    priority: i64,
}

/// A router while its routes are made.
struct Draft<'r, 'n> {
    router: &'r Router<'n>,
    rank: Option<usize>,
    /// The line of its rule.
    line: Source,
    /// The lines that something must be made of.
    lines: Vec<Source>,
    middlewares: Vec<(&'n str, Source)>,
    service: Option<(&'n str, Source)>,
    tls: Option<&'n Node>,
    /// It may keep clients out.
    protects: bool,
    /// Remarks of all routes.
    common: Table,
}

impl<'n> Translator<'n> {
    /// Reads the routers of all files.
    pub(super) fn routers(&self) -> Vec<Router<'n>> {
        let routers = self.section("http", "routers").map(|(name, node)| {
            let text = |key: &str| node.get(key).and_then(Node::text);
            let length = text("rule").map_or(0, str::len);
            let length = i64::try_from(length).unwrap_or(i64::MAX);
            let own = text("priority").and_then(|it| it.parse().ok());
            let entry_points = node.get("entryPoints").map(Node::items).unwrap_or_default();
            Router {
                name,
                node,
                entry_points: entry_points.into_iter().map(|(name, _)| name).collect(),
                is_tls: node.get("tls").is_some_and(|it| match &it.value {
                    Value::Text(text) => text.eq_ignore_ascii_case("true"),
                    Value::Map(_) | Value::List(_) => true,
                    Value::Null => false,
                }),
                priority: own.filter(|it| *it != 0).unwrap_or(length),
            }
        });
        routers.collect()
    }

    /// Makes the routes of all routers.
    pub(super) fn all_routes(&mut self, routers: &[Router<'n>]) {
        let mut ranks: Vec<i64> = routers.iter().map(|it| it.priority).collect();
        ranks.sort_unstable();
        ranks.dedup();
        // A redirect of a host is tried before the rest of its router.
        let has_redirects = self
            .section("http", "middlewares")
            .any(|(_, node)| node.get("redirectRegex").is_some());
        let step = if has_redirects { 2 } else { 1 };
        for router in routers {
            let rank = (ranks.binary_search(&router.priority).unwrap_or(0) + 1) * step;
            self.routes(router, (ranks.len() > 1).then_some(rank));
        }
        if ranks.len() > 1 {
            self.head
                .note("priority: Traefik tries routers with longer rules first");
        }
    }

    /// Makes the routes of a router.
    fn routes(&mut self, router: &Router<'n>, rank: Option<usize>) {
        let mut reading = Reading::of(router.node, format!("http.routers.{}", router.name));
        let mut common = Table::default();
        let why = "rules of both versions are understood";
        reading.needless(&mut common, &["ruleSyntax"], why);
        let rule = reading.text("rule");
        let priority = reading.text("priority");
        let service = reading.text("service");
        let mut middlewares = self.middlewares_of(router);
        middlewares.extend(reading.items("middlewares"));
        let texts = [&rule, &priority, &service].into_iter().flatten();
        let texts = texts.chain(&middlewares).map(|(_, line)| line.clone());
        let mut lines: Vec<Source> = texts.collect();
        let points = reading.take("entryPoints");
        lines.extend(points.map(|it| block(it, "entryPoints")));
        let names: Vec<&str> = middlewares.iter().map(|(name, _)| *name).collect();
        let tls = reading.take("tls");
        let protects =
            self.protects(&names, 0) || tls.is_some_and(|it| self.asks_for_certificates(it));
        self.observability(&mut common, &mut reading);
        reading.rest(&mut common, UNKNOWN);
        let whole = || block(router.node, &format!("http.routers.{}", router.name));
        // A router without a rule is refused there; it must not take more here.
        let (rule, line) = rule.unwrap_or_else(|| ("", whole()));
        let draft = Draft {
            router,
            rank,
            line,
            lines,
            middlewares,
            service,
            tls,
            protects,
            common,
        };
        match alternatives(rule) {
            Ok(all) => {
                for terms in &all {
                    self.route(&draft, terms);
                }
            }
            Err(why) => {
                let mut table = self.table_of(&draft);
                let why = format!("{why}: write its routes by hand");
                table.untranslated(&draft.line, why);
                self.give_up(table, &draft);
            }
        }
    }

    fn table_of(&mut self, draft: &Draft<'_, 'n>) -> Table {
        let name = self.made.name("routes", &name_of(draft.router.name));
        let mut table = Table::new(format!("routes.{name}"));
        table.append(&draft.common);
        table
    }

    /// Leaves out a route whose requests are not known; what may keep clients out lets nobody in.
    fn give_up(&mut self, mut table: Table, draft: &Draft<'_, 'n>) {
        if draft.protects {
            self.begin(&mut table, draft);
            table.close(&draft.line, "this router may keep clients out");
            table.set_plain("respond.status", "503");
        }
        for line in &draft.lines {
            table.mention(line);
        }
        if let Some(tls) = draft.tls {
            self.tls_of(&mut table, draft.router, tls);
        }
        match draft.protects {
            true => self.made.routes.push(table),
            false => self.made.leave(table),
        }
    }

    /// Makes the route of one alternative of a rule.
    fn route(&mut self, draft: &Draft<'_, 'n>, terms: &[Term]) {
        let prefixes = match draft.protects {
            true => Prefixes::Text,
            false => Prefixes::Segments,
        };
        let conditions = Conditions::of(terms, prefixes);
        let mut table = self.table_of(draft);
        let line = &draft.line;
        for why in &conditions.unclear {
            table.untranslated(line, &**why);
        }
        if !conditions.unclear.is_empty() && !draft.protects {
            table.note("without this condition the route would take too much: it is left out");
            return self.give_up(table, draft);
        }
        conditions.write(&mut table, line);
        self.begin(&mut table, draft);
        let mut way = Way {
            is_tls: draft.router.is_tls,
            hosts: conditions
                .hosts()
                .map(<[String]>::to_vec)
                .unwrap_or_default(),
            before: Vec::new(),
        };
        self.middlewares(&mut table, &mut way, &draft.middlewares, 0);
        if !conditions.unclear.is_empty() {
            let why = "a condition is missing, and what the router does may keep clients out";
            table.close(line, why);
        }
        if let Some(tls) = draft.tls {
            self.tls_of(&mut table, draft.router, tls);
        }
        self.before(&table, way.before);
        match &draft.service {
            Some((name, line)) => self.serve(&mut table, name, line),
            None => self.serve(&mut table, "of this router", line),
        }
        for line in &draft.lines {
            table.mention(line);
        }
        self.made.routes.push(table);
    }

    /// Writes what a route has of its router beside the rule.
    fn begin(&self, table: &mut Table, draft: &Draft<'_, 'n>) {
        let Draft { router, rank, .. } = draft;
        let listeners = self.listeners_of(router);
        let named = router.node.get("entryPoints");
        match (listeners, named) {
            (Some(listeners), Some(node)) => {
                let line = block(node, "entryPoints");
                table.set(
                    &line,
                    "listeners",
                    quoted_list(listeners.iter().map(String::as_str)),
                );
            }
            (Some(listeners), None) => {
                table.set_plain(
                    "listeners",
                    quoted_list(listeners.iter().map(String::as_str)),
                );
            }
            (None, Some(node)) => table.needless(&block(node, "entryPoints"), "all listeners"),
            (None, None) => {}
        }
        if let Some(rank) = rank {
            table.set_plain("priority", rank.to_string());
        }
    }

    /// Adds routes that are tried before one, with its conditions.
    fn before(&mut self, table: &Table, routes: Vec<Table>) {
        for mut route in routes {
            route.append_missing(table, &CONDITIONS);
            let rank: usize = table
                .one("priority")
                .and_then(|it| it.parse().ok())
                .unwrap_or(0);
            route.set_plain("priority", (rank + 1).to_string());
            let wanted = format!("{}_redirect", table.name.trim_start_matches("routes."));
            route.name = format!("routes.{}", self.made.name("routes", &wanted));
            self.made.routes.push(route);
        }
    }

    fn observability(&self, table: &mut Table, reading: &mut Reading<'n>) {
        let Some(mut inner) = reading.inner("observability") else {
            return;
        };
        if let Some((value, line)) = inner.text("accessLogs") {
            match value {
                "false" => table.set(&line, "access_log", "false"),
                _ => table.needless(&line, "as by default"),
            }
        }
        let why = "metrics and traces are of the proxy as a whole";
        inner.needless(table, &["metrics", "tracing", "traceVerbosity"], why);
        inner.rest(table, UNKNOWN);
    }

    /// The middlewares that the entry points of a router have for all.
    fn middlewares_of(&self, router: &Router<'n>) -> Vec<(&'n str, Source)> {
        let mut all: Vec<(&str, Source)> = Vec::new();
        for point in self.points_of(router) {
            let names = point.node.and_then(|it| it.at(&["http", "middlewares"]));
            for (name, node) in names.map(Node::items).unwrap_or_default() {
                if !all.iter().any(|(known, _)| *known == name) {
                    all.push((name, node.source()));
                }
            }
        }
        all
    }
}

/// Keys of a route that say which requests it takes, but for hosts.
const CONDITIONS: [&str; 9] = [
    "listeners",
    "path",
    "path_prefix",
    "path_regex",
    "methods",
    "headers",
    "query",
    "source",
    "access",
];
