//! Entry points: listeners.

use super::{
    Translator,
    http3::http3,
    middleware::UNKNOWN,
    reading::{Reading, block},
    router::Router,
    tree::Node,
    value::{claim, set_duration},
};
use crate::import::{
    document::{Source, Table, name_of, quoted, quoted_list},
    text::WITH_HTTP3,
};

/// An entry point.
pub(super) struct EntryPoint<'n> {
    name: String,
    /// Its settings; none if it stands in none of the files.
    pub(super) node: Option<&'n Node>,
    /// Name of the listener.
    pub(super) listener: String,
    /// Address of the listener.
    pub(super) address: String,
    pub(super) is_tls: bool,
    /// It is meant by routers that name none.
    is_default: bool,
}

impl<'n> Translator<'n> {
    /// Finds the entry points, and which of them speak TLS.
    pub(super) fn entry_points(&mut self, routers: &mut [Router<'n>]) {
        let mut points: Vec<EntryPoint<'n>> = Vec::new();
        for tree in self.trees {
            for (name, node) in tree
                .get("entryPoints")
                .map(Node::entries)
                .unwrap_or_default()
            {
                let address = node.get("address").and_then(Node::text).unwrap_or_default();
                if address.ends_with("/udp") {
                    let line = block(node, &format!("entryPoints.{name}"));
                    self.head.untranslated(&line, "UDP is not forwarded here");
                    continue;
                }
                points.push(self.point(name, Some(node), address));
            }
        }
        let has_static = !points.is_empty();
        let wants_tls = routers.iter().any(|it| it.is_tls);
        let mut names: Vec<&str> = routers
            .iter()
            .flat_map(|it| it.entry_points.iter().copied())
            .collect();
        if !has_static && routers.iter().any(|it| it.entry_points.is_empty()) {
            names.push(if wants_tls { "websecure" } else { "web" });
            if routers
                .iter()
                .any(|it| it.entry_points.is_empty() && !it.is_tls)
            {
                names.push("web");
            }
        }
        for name in names {
            if !points.iter().any(|it| it.name.eq_ignore_ascii_case(name)) {
                points.push(self.point(name, None, ""));
            }
        }
        let by_default: Vec<bool> = points
            .iter()
            .map(|it| {
                it.node
                    .and_then(|it| it.get("asDefault"))
                    .is_some_and(Node::is_true)
            })
            .collect();
        for (point, is_default) in points.iter_mut().zip(&by_default) {
            point.is_default = *is_default || !by_default.contains(&true);
            let tls = point.node.and_then(|it| it.at(&["http", "tls"]));
            point.is_tls = tls.is_some_and(|it| !matches!(it.value, super::tree::Value::Null));
        }
        let means =
            |router: &Router<'n>, point: &EntryPoint<'n>| match router.entry_points.is_empty() {
                true => point.is_default,
                false => router
                    .entry_points
                    .iter()
                    .any(|it| point.name.eq_ignore_ascii_case(it)),
            };
        for router in routers.iter_mut() {
            let mut meant = points.iter().filter(|it| means(router, it)).peekable();
            router.is_tls |= meant.peek().is_some() && meant.all(|it| it.is_tls);
        }
        for point in &mut points {
            let name = point.name.to_ascii_lowercase();
            let usual =
                point.address.ends_with("443") || name.contains("secure") || name.contains("https");
            let mut meant = routers.iter().filter(|it| means(it, point));
            // One that serves both is what its name says.
            point.is_tls |= match meant.clone().any(|it| !it.is_tls) {
                true => usual && meant.any(|it| it.is_tls),
                false => meant.any(|it| it.is_tls && (usual || !it.entry_points.is_empty())),
            };
        }
        guess(&mut points);
        self.entry_points = points;
    }

    fn point(&mut self, name: &str, node: Option<&'n Node>, address: &str) -> EntryPoint<'n> {
        let address = match address.trim_end_matches("/tcp") {
            "" => String::new(),
            address => match address.strip_prefix(':') {
                Some(port) => format!("[::]:{port}"),
                None => address.to_owned(),
            },
        };
        EntryPoint {
            name: name.to_owned(),
            node,
            listener: self.made.name("listeners", &name_of(name)),
            address,
            is_tls: false,
            is_default: true,
        }
    }

    /// The entry points of a router.
    pub(super) fn points_of(&self, router: &Router<'n>) -> impl Iterator<Item = &EntryPoint<'n>> {
        let names = router.entry_points.clone();
        self.entry_points
            .iter()
            .filter(move |it| match names.is_empty() {
                true => it.is_default,
                false => names.iter().any(|name| it.name.eq_ignore_ascii_case(name)),
            })
    }

    /// The listeners of a router; none for all that there are.
    pub(super) fn listeners_of(&self, router: &Router<'n>) -> Option<Vec<String>> {
        let all: Vec<&EntryPoint<'n>> = self.points_of(router).collect();
        let alike = all.iter().filter(|it| it.is_tls == router.is_tls);
        let mut names: Vec<String> = alike.map(|it| it.listener.clone()).collect();
        if names.is_empty() {
            names = all.iter().map(|it| it.listener.clone()).collect();
        }
        (names.len() < self.entry_points.len()).then_some(names)
    }

    /// Makes the listeners.
    pub(super) fn listeners(&mut self) {
        let points = std::mem::take(&mut self.entry_points);
        for point in &points {
            let mut table = Table::new(format!("listeners.{}", point.listener));
            let place = format!("entryPoints.{}", point.name);
            match point.node {
                Some(node) => self.listener(&mut table, point, Reading::of(node, place), &points),
                None => {
                    table.note(format!(
                        "The address of the entry point {} stands in the static configuration, which is in none of these files: write yours.",
                        point.name
                    ));
                    if point.is_tls {
                        table.note(format!("If it has http3 there: protocols = {WITH_HTTP3}"));
                    }
                    table.set_plain("address", quoted(&point.address));
                }
            }
            if point.is_tls {
                self.certificates(&mut table);
            }
            self.made.listeners.push(table);
        }
        if points.is_empty() {
            let mut table = Table::new("listeners.web");
            table.note("no router names an entry point: write the address");
            table.set_plain("address", "\"[::]:80\"");
            self.made.listeners.push(table);
        }
        self.tls_rest();
    }

    fn listener(
        &mut self,
        table: &mut Table,
        point: &EntryPoint<'n>,
        mut reading: Reading<'n>,
        all: &[EntryPoint<'n>],
    ) {
        match reading.text("address") {
            Some((_, line)) => table.set(&line, "address", quoted(&point.address)),
            None => table.set_plain("address", quoted(&point.address)),
        }
        if let Some(mut http) = reading.inner("http") {
            if let Some(mut inner) = http.inner("redirections") {
                if let Some(to) = inner.inner("entryPoint") {
                    self.redirection(point, to, all);
                }
                inner.rest(table, UNKNOWN);
            }
            if let Some(names) = http.take("middlewares") {
                let why = "they are written into each route";
                table.needless(&block(names, "http.middlewares"), why);
            }
            if let Some(tls) = http.inner("tls") {
                self.tls_of_point(table, tls);
            }
            let why = "targets whose meaning is not clear are refused";
            http.needless(
                table,
                &["sanitizePath", "encodeQuerySemicolons", "encodedCharacters"],
                why,
            );
            if let Some((bytes, line)) = http.text("maxHeaderBytes") {
                match super::value::bytes(bytes) {
                    Some(size) => claim(table, &line, "limits.head", size),
                    None => table.untranslated(&line, "limits.head"),
                }
            }
            http.rest(table, UNKNOWN);
        }
        if let Some(mut http2) = reading.inner("http2") {
            if let Some((count, line)) = http2.text("maxConcurrentStreams") {
                claim(table, &line, "limits.streams", count);
            }
            http2.rest(table, UNKNOWN);
        }
        self.believed(table, &mut reading);
        if let Some(transport) = reading.inner("transport") {
            self.transport_of(table, transport);
        }
        http3(table, point, &mut reading);
        reading.needless(table, &["asDefault"], "see listeners of the routes");
        reading.needless(table, &["reusePort"], "each worker has a socket of its own");
        reading.needless(table, &["udp"], "UDP is not forwarded here");
        let why = "certificates are not fetched";
        reading.needless(table, &["allowACMEByPass"], why);
        reading.rest(table, UNKNOWN);
    }

    /// Peers whose word on the client counts.
    fn believed(&mut self, table: &mut Table, reading: &mut Reading<'n>) {
        if let Some(mut inner) = reading.inner("proxyProtocol") {
            for (block, line) in inner.items("trustedIPs") {
                table.push(&line, "proxy_protocol.from", quoted(block));
            }
            if let Some(line) = inner.on(table, "insecure") {
                table.untranslated(&line, "name the peers: proxy_protocol.from");
            }
            inner.rest(table, UNKNOWN);
        }
        if let Some(mut inner) = reading.inner("forwardedHeaders") {
            for (block, line) in inner.items("trustedIPs") {
                self.proxy.push(&line, "trusted_proxies", quoted(block));
            }
            if let Some(line) = inner.on(table, "insecure") {
                table.untranslated(&line, "name the proxies before this one: proxy.trusted_proxies; from all others X-Forwarded-* is overwritten");
            }
            inner.instead(
                table,
                "connection",
                "fields that Connection names are removed",
            );
            inner.rest(table, UNKNOWN);
        }
    }

    fn transport_of(&mut self, table: &mut Table, mut transport: Reading<'n>) {
        if let Some(mut times) = transport.inner("respondingTimeouts") {
            for (key, ours) in [
                ("idleTimeout", "timeouts.idle"),
                ("readTimeout", "timeouts.body_idle"),
            ] {
                match times.text(key) {
                    Some((time, line)) if super::value::millis(time) == Some(0) => {
                        table.untranslated(&line, format!("{ours} is bounded"));
                    }
                    Some((time, line)) => set_duration(table, &line, ours, time),
                    None => {}
                }
            }
            times.instead(
                table,
                "writeTimeout",
                "timeouts.total and timeouts.idle of the routes",
            );
            times.rest(table, UNKNOWN);
        }
        if let Some(mut life) = transport.inner("lifeCycle") {
            for (key, ours) in [
                ("requestAcceptGraceTimeout", "drain.grace"),
                ("graceTimeOut", "drain.timeout"),
            ] {
                if let Some((time, line)) = life.text(key) {
                    set_duration(&mut self.proxy, &line, ours, time);
                }
            }
            life.rest(table, UNKNOWN);
        }
        if let Some((count, line)) = transport.text("keepAliveMaxRequests") {
            claim(table, &line, "limits.requests_per_connection", count);
        }
        if let Some((time, line)) = transport.text("keepAliveMaxTime") {
            set_duration(table, &line, "timeouts.lifetime", time);
        }
        transport.rest(table, UNKNOWN);
    }

    /// Sends what comes to one entry point to another.
    fn redirection(&mut self, point: &EntryPoint<'n>, mut to: Reading<'n>, all: &[EntryPoint<'n>]) {
        let name = self
            .made
            .name("routes", &format!("{}_redirect", point.listener));
        let mut table = Table::new(format!("routes.{name}"));
        table.set_plain("listeners", quoted_list([&*point.listener]));
        // Before all routers.
        table.set_plain("priority", "1000000");
        let line: Source = block(to.node, &to.path);
        let target = to.text("to").map_or("", |(it, _)| it);
        let other = all.iter().find(|it| it.name.eq_ignore_ascii_case(target));
        let address = other.map_or(target, |it| &it.address);
        let port = address.rsplit(':').next().unwrap_or_default();
        let scheme = to.text("scheme").map_or("https", |(it, _)| it);
        let port = match (scheme, port) {
            ("https", "443") | ("http", "80") | (_, "") => String::new(),
            (_, port) => format!(":{port}"),
        };
        let location = format!("{scheme}://{{host}}{port}{{path}}{{query}}");
        table.set(&line, "redirect.to", quoted(&location));
        let permanent = to
            .text("permanent")
            .is_none_or(|(it, _)| it.eq_ignore_ascii_case("true"));
        table.set_plain("redirect.status", if permanent { "301" } else { "302" });
        if let Some((_, line)) = to.text("priority") {
            table.untranslated(&line, "the redirect goes before all routes: see priority");
        }
        to.rest(&mut table, UNKNOWN);
        self.made.routes.push(table);
    }
}

/// Writes addresses of entry points whose own are not known: those that are usual.
fn guess(points: &mut [EntryPoint<'_>]) {
    let mut port = 8000;
    for at in 0..points.len() {
        if !points[at].address.is_empty() {
            continue;
        }
        let usual = if points[at].is_tls {
            "[::]:443"
        } else {
            "[::]:80"
        };
        let mut address = usual.to_owned();
        while points.iter().any(|it| it.address == address) {
            address = format!("[::]:{port}");
            port += 1;
        }
        points[at].address = address;
    }
}
