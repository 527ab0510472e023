//! Servers: which requests are theirs, and their locations.

use std::cell::RefCell;

use super::{
    Translator,
    level::Level,
    listen::{Listen, Listener, both_families, bound},
    location::Matcher,
    name::Names,
    order::Order,
    syntax::Directive,
    untranslated,
    value::name_of,
};
use crate::import::document::{Source, Table, quoted};

/// A server with the conditions of its routes.
#[derive(Clone, Debug)]
pub(super) struct Server {
    /// Beginning of the names of its routes.
    pub(super) name: String,
    /// Listeners, if others are not its own.
    listeners: Option<Vec<String>>,
    /// Names with the line that has them; none: all hosts.
    hosts: Vec<(Source, String)>,
    /// An expression on the field Host, where its names are more than hosts can say.
    pattern: Option<(Source, String)>,
    /// A remark about its names, for the first of its routes.
    remark: RefCell<Option<String>>,
    /// True if no other server takes requests that come here.
    is_alone: bool,
}

/// A server as it is written.
struct Written<'a> {
    block: &'a Directive,
    listens: Vec<Listen>,
    names: Vec<(Source, String)>,
    pattern: Option<(Source, String)>,
}

impl Server {
    /// Begins the table of a route with the conditions of the server.
    pub(super) fn begin(&self, table: &mut Table) {
        if let Some(listeners) = &self.listeners {
            let listeners: Vec<&str> = listeners.iter().map(String::as_str).collect();
            let list = crate::import::document::quoted_list(listeners);
            table.set_plain("listeners", list);
        }
        if let Some(remark) = self.remark.take() {
            table.note(remark);
        }
        for (source, host) in &self.hosts {
            table.push(source, "hosts", quoted(host));
        }
        if let Some((source, pattern)) = &self.pattern {
            let value = format!("{{ regex = {} }}", quoted(pattern));
            table.set(source, "headers.host", value);
        }
    }

    /// The rank of its routes above those of a server for all hosts; 0 if none is needed.
    fn rank(&self) -> usize {
        match &self.pattern {
            Some(_) => PATTERN_RANK,
            None => 0,
        }
    }

    /// Returns true if a rank of its routes cannot take requests of other servers.
    pub(super) fn may_rank(&self) -> bool {
        self.is_alone || !self.hosts.is_empty() || self.pattern.is_some()
    }
}

impl<'a> Translator<'a> {
    pub(super) fn servers(&mut self, http: &'a [Directive], level: &Level<'a>) {
        self.trusted(level);
        let mut all = Vec::new();
        for block in http.iter().filter(|it| it.name == "server") {
            let inner = Level::within(block.inner(), level);
            let Names {
                hosts,
                pattern,
                left,
            } = Names::of(&inner);
            self.made.routes.extend(left);
            all.push(Written {
                block,
                listens: Listen::of(&inner, block),
                names: hosts,
                pattern,
            });
        }
        let listens: Vec<&Listen> = all.iter().flat_map(|it| &it.listens).collect();
        let both = both_families(&listens);
        let mut listeners = Vec::new();
        let mut own = Vec::new();
        for written in &all {
            let inner = Level::within(written.block.inner(), level);
            let mut names: Vec<String> = Vec::new();
            for listen in &written.listens {
                let name = self.listener(listen, &both, &mut listeners, &inner);
                if !names.contains(&name) {
                    names.push(name);
                }
            }
            own.push(names);
        }
        for written in &all {
            let inner = Level::within(written.block.inner(), level);
            let rest = self.quic(&inner, &both, &listeners);
            self.made.leave(rest);
        }
        for (at, written) in all.iter().enumerate() {
            let inner = Level::within(written.block.inner(), level);
            let server = self.server(&all, at, &own[at], &listeners, &both);
            self.trusted(&inner);
            let since = self.made.routes.len();
            self.server_routes(&server, &inner, written.block);
            if server.rank() > 0 {
                for table in self.made.routes.iter_mut().skip(since) {
                    table.raise(server.rank());
                }
            }
            let mut rest = Table::default();
            self.unknown(&inner, &mut rest);
            self.made.leave(rest);
        }
    }

    fn server(
        &self,
        all: &[Written<'_>],
        at: usize,
        own: &[String],
        listeners: &[Listener],
        both: &[String],
    ) -> Server {
        let written = &all[at];
        let share = |other: &Written<'_>, address: &str| {
            let mut theirs = other.listens.iter();
            theirs.any(|it| bound(&it.address, both) == address)
        };
        let is_default = |listen: &Listen| {
            let address = bound(&listen.address, both);
            let mut there = all.iter().enumerate();
            let explicit = there.find(|(_, other)| {
                let mut theirs = other.listens.iter();
                theirs.any(|it| it.is_default && bound(&it.address, both) == address)
            });
            let first = all.iter().position(|other| share(other, &address));
            explicit.map(|(at, _)| at).or(first) == Some(at)
        };
        let addresses = written.listens.iter().map(|it| bound(&it.address, both));
        let addresses: Vec<String> = addresses.collect();
        let others = all.iter().enumerate().filter(|(number, other)| {
            *number != at && addresses.iter().any(|address| share(other, address))
        });
        let others: Vec<&Written<'_>> = others.map(|(_, other)| other).collect();
        let everywhere = written.listens.iter().all(is_default);
        let has_wildcards = others
            .iter()
            .flat_map(|it| &it.names)
            .any(|(_, name)| name.starts_with('*'));
        let named = !written.names.is_empty();
        let others_have = |pattern: &regex::Regex| {
            let mut names = others.iter().flat_map(|it| &it.names);
            names.any(|(_, name)| pattern.is_match(name.trim_start_matches("*.")))
        };
        let pattern = written.pattern.clone().filter(|(_, pattern)| {
            !everywhere && regex::Regex::new(pattern).is_ok_and(|it| !others_have(&it))
        });
        let (hosts, remark) = if pattern.is_some() {
            (Vec::new(), None)
        } else if everywhere && named && !has_wildcards {
            let (source, _) = &written.names[0];
            let hosts: Vec<&str> = written.names.iter().map(|(_, it)| &**it).collect();
            let hosts = crate::import::document::quoted_list(hosts);
            let remark = format!(
                "{}: {} (the default server takes other hosts as well; to refuse them: hosts = {hosts})",
                source.place, source.text
            );
            (Vec::new(), Some(remark))
        } else if named {
            let remark = written.listens.iter().any(is_default).then(|| {
                "nginx sends requests for other hosts here, too; here they are answered with 404"
                    .to_owned()
            });
            (written.names.clone(), remark)
        } else if everywhere {
            (Vec::new(), None)
        } else {
            let remark = "nginx never chooses this server by a name; here its routes take the hosts that no other has";
            (Vec::new(), Some(remark.to_owned()))
        };
        let first = written.names.first().map(|(_, name)| name_of(name));
        Server {
            name: first.unwrap_or_else(|| own.first().cloned().unwrap_or_default()),
            listeners: (own.len() < listeners.len()).then(|| own.to_vec()),
            hosts,
            pattern,
            remark: RefCell::new(remark),
            is_alone: others.is_empty(),
        }
    }

    /// Makes the routes of a server.
    fn server_routes(&mut self, server: &Server, level: &Level<'a>, block: &'a Directive) {
        let locations = block.inner().iter().any(|it| it.name == "location");
        self.order = Order::of(block);
        let rank = i32::try_from(self.order.top()).unwrap_or(i32::MAX);
        let (gates, https) = self.gates(server, level, locations.then_some(rank));
        self.gates = gates;
        self.closing_of(level, block);
        let returned = level.own("return");
        if let Some(answer) = returned.first() {
            let mut table = self.begin_route(server, &Matcher::All, level, None);
            if self.answer(&mut table, answer) {
                let since = self.made.routes.len();
                self.end_route(table, level);
                let gates = self.gates.clone();
                self.guarded(since, &gates);
            } else {
                self.made.leave(table);
            }
            if locations {
                let mut table = Table::default();
                table.note(format!(
                    "{}: nginx never reaches the locations of this server: it answers before",
                    answer.source.place
                ));
                self.made.leave(table);
            }
            return;
        }
        let redirects = self.rewrites_of_server(server, level);
        if let Some(line) = https {
            self.locations(server, level, block, Some(&line));
        } else {
            self.locations(server, level, block, None);
        }
        if !locations && !redirects {
            let mut table = Table::default();
            for directive in level.own("root") {
                untranslated(&mut table, directive);
            }
            self.made.leave(table);
        }
    }
}

/// Rank of the routes of a server whose names are an expression.
const PATTERN_RANK: usize = 1000;
