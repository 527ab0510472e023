//! Actions: an answer of the proxy, or a pool.

use super::{
    Translator, group,
    level::Level,
    location::Matcher,
    server::Server,
    syntax::Directive,
    untranslated,
    value::{Part, is_plain, parts},
};
use crate::import::document::{Table, quoted};

impl<'a> Translator<'a> {
    /// Writes the action of a location; false if it has none that can be translated.
    pub(super) fn action(
        &mut self,
        table: &mut Table,
        server: &Server,
        matcher: &Matcher,
        level: &Level<'a>,
        block: &'a Directive,
    ) -> bool {
        if let Some(line) = level.own("internal").first() {
            table.set(&line.source, "respond.status", "404");
            for directive in level.rest().filter(|it| !super::is_structure(&it.name)) {
                level.mark(directive);
                table.needless(&directive.source, "clients never come here");
            }
            return true;
        }
        if let Some(answer) = level.own("return").first() {
            return self.answer(table, answer);
        }
        for line in level.own("rewrite") {
            let mut own = self.begin_route(server, matcher, level, Some(&line.source));
            if !self.redirect(&mut own, line) {
                self.made.forget(&own);
                self.rewrite(table, line);
            } else if own.has("path_regex") {
                // Other paths of the location go on. Of equal expressions the name decides.
                if table.has("path_regex") {
                    std::mem::swap(&mut table.name, &mut own.name);
                }
                self.made.routes.push(own);
            } else {
                self.made.forget(&own);
                return self.redirect(table, line);
            }
        }
        let pass = ["proxy_pass", "grpc_pass"];
        let pass = pass
            .iter()
            .find_map(|name| level.own(name).into_iter().next());
        if let Some(pass) = pass {
            return self.pass(table, server, matcher, level, pass);
        }
        if let Some(files) = level.own("try_files").first()
            && let Some(last) = files.args.last()
            && last.starts_with('@')
            && let Some(named) = block
                .inner()
                .iter()
                .find(|it| it.name == "location" && it.first() == last)
        {
            table.untranslated(
                &files.source,
                "no files are served here: all of these requests go where the last name leads",
            );
            let inner = Level::within(named.inner(), level);
            // The bound is that of the location that was found first.
            self.body_max(table, level);
            let done = self.action(table, server, matcher, &inner, block);
            if done {
                self.policies(table, &inner);
            }
            return done;
        }
        for line in level.own("try_files") {
            untranslated(table, line);
        }
        let denies = level.own("deny");
        if let [all] = denies[..]
            && all.first() == "all"
            && level.own("allow").is_empty()
        {
            table.set(&all.source, "respond.status", "403");
            return true;
        }
        for name in ["root", "alias"] {
            for line in level.own(name) {
                untranslated(table, line);
            }
        }
        false
    }

    /// Writes a `return`; false if it cannot be translated.
    pub(super) fn answer(&mut self, table: &mut Table, line: &Directive) -> bool {
        let (code, rest) = match line.words()[..] {
            [url] if url.contains("://") => ("302", url),
            [code] => (code, ""),
            [code, rest] => (code, rest),
            _ => return false,
        };
        match code {
            "301" | "302" | "303" | "307" | "308" => match group::target(table, rest) {
                Ok(to) => {
                    table.set(&line.source, "redirect.to", to);
                    table.set_plain("redirect.status", code);
                    true
                }
                Err(why) => {
                    table.untranslated(&line.source, why);
                    false
                }
            },
            "444" => {
                table.note(
                    "nginx closes the connection without an answer (444); here it is refused",
                );
                table.set(&line.source, "respond.status", "403");
                true
            }
            code if !is_plain(rest) => {
                table.untranslated(
                    &line.source,
                    "respond = { body = \"…\" }: placeholders stand for variables",
                );
                let refuses = code.len() == 3 && code.starts_with(['4', '5']);
                if refuses {
                    table.set_plain("respond.status", code);
                }
                refuses
            }
            code if code.len() == 3
                && code.parse::<u16>().is_ok_and(|it| (200..600).contains(&it)) =>
            {
                table.set(&line.source, "respond.status", code);
                if !rest.is_empty() {
                    table.set_plain("respond.body", quoted(rest));
                }
                true
            }
            _ => {
                table.untranslated(&line.source, "statuses are 200 to 599");
                false
            }
        }
    }

    /// Writes a `rewrite` that redirects.
    fn redirect(&mut self, table: &mut Table, line: &Directive) -> bool {
        let (from, to, status) = match line.words()[..] {
            [from, to, "permanent"] => (from, to, "301"),
            [from, to, "redirect"] => (from, to, "302"),
            [from, to] if to.starts_with("http") => (from, to, "302"),
            _ => return false,
        };
        let takes_all = group::takes_all(from);
        let known = PATHS.iter().find_map(|key| table.text(key));
        let is_within = known.is_none_or(|known| {
            let literal = |text: &str| text.trim_start_matches('^').replace('\\', "");
            literal(from).starts_with(&literal(&known))
        });
        if regex::Regex::new(from).is_err() || !takes_all && !is_within {
            return false;
        }
        let Some((from, to)) = group::redirected(from, to) else {
            return false;
        };
        if !takes_all {
            for key in PATHS {
                table.remove(key);
            }
            table.set(&line.source, "path_regex", quoted(&from));
        }
        table.set(&line.source, "redirect.to", to);
        table.set_plain("redirect.status", status);
        true
    }

    /// Writes a `rewrite` that changes the path on the way to the pool.
    fn rewrite(&mut self, table: &mut Table, line: &Directive) {
        let (from, to) = match line.words()[..] {
            [from, to, "break" | "last"] | [from, to] => (from, to),
            _ => ("", ""),
        };
        let groups = parts(to);
        let is_number = |it: &str| it.bytes().all(|it| it.is_ascii_digit());
        let only_groups = groups.iter().all(|it| {
            matches!(it, Part::Text(_)) || matches!(it, Part::Variable(name) if is_number(name))
        });
        if !from.is_empty()
            && only_groups
            && !to.contains('?')
            && regex::Regex::new(from).is_ok()
            && !table.has_below("rewrite.path_regex")
        {
            table.set(&line.source, "rewrite.path_regex.match", quoted(from));
            let to: String = groups
                .iter()
                .map(|it| match it {
                    Part::Text(text) => (*text).to_owned(),
                    Part::Variable(number) => format!("${{{number}}}"),
                })
                .collect();
            table.set_plain("rewrite.path_regex.to", quoted(&to));
            if line.args.last().is_some_and(|it| it == "last") {
                table.note("nginx looks for the location of the new path; here the pool of this route stays");
            }
        } else {
            untranslated(table, line);
        }
    }

    /// Makes a route of each `rewrite` of a server that redirects; true if there is one.
    pub(super) fn rewrites_of_server(&mut self, server: &Server, level: &Level<'a>) -> bool {
        let mut any = false;
        for line in level.own("rewrite") {
            let mut table = self.begin_route(server, &Matcher::All, level, None);
            if self.redirect(&mut table, line) {
                any = true;
            } else {
                untranslated(&mut table, line);
                self.made.leave(table);
                continue;
            }
            if server.may_rank() {
                table.set_plain("priority", self.order.top().to_string());
            }
            self.made.routes.push(table);
        }
        any
    }

    /// Writes a `proxy_pass`.
    fn pass(
        &mut self,
        table: &mut Table,
        server: &Server,
        matcher: &Matcher,
        level: &Level<'a>,
        pass: &'a Directive,
    ) -> bool {
        let url = pass.first();
        let (scheme, rest) = url.split_once("://").unwrap_or(("http", url));
        let (authority, uri) = match rest.strip_prefix("unix:") {
            Some(path) => match path.rsplit_once(':') {
                Some((_, uri)) => (&rest[..rest.len() - uri.len() - 1], uri),
                None => (rest, ""),
            },
            None => rest.find('/').map_or((rest, ""), |at| rest.split_at(at)),
        };
        let uri = match uri {
            "$request_uri" | "$uri$is_args$args" | "$uri" => "",
            uri => uri,
        };
        let whole_uri = ["$request_uri", "$uri$is_args$args"];
        let authority = whole_uri
            .iter()
            .fold(authority, |it, end| it.strip_suffix(end).unwrap_or(it));
        if !is_plain(uri) {
            table.untranslated(
                &pass.source,
                "a path with variables: see rewrite of the route",
            );
            return false;
        }
        if let [Part::Variable(variable)] = parts(authority)[..] {
            return self.pass_by_map(table, server, matcher, level, pass, (variable, scheme));
        }
        if !is_plain(authority) {
            table.untranslated(
                &pass.source,
                "an address with variables: write a route for each value, with a pool of its own",
            );
            return false;
        }
        let pool = self.pool(authority, scheme, level, pass);
        table.set(&pass.source, "pool", quoted(&pool));
        if pass.is_filled && !uri.is_empty() {
            // With a variable the path takes the place of the whole one.
            table.set(&pass.source, "rewrite.path_regex.match", quoted("^.*$"));
            table.set_plain("rewrite.path_regex.to", quoted(&uri.replace('$', "$$")));
            table
                .note("nginx drops the query here, as the address has a variable; here it is sent");
        } else {
            Self::prefix(table, matcher, uri, pass);
        }
        self.host_of_request(table, level, authority);
        true
    }

    /// Writes what `proxy_pass` with a path changes.
    fn prefix(table: &mut Table, matcher: &Matcher, uri: &str, pass: &Directive) {
        if uri.is_empty() {
            return;
        }
        if let Matcher::Exact(path) = matcher {
            if path != uri {
                table.set(
                    &pass.source,
                    "rewrite.path_regex.match",
                    quoted(&format!("^{}$", regex::escape(path))),
                );
                table.set_plain("rewrite.path_regex.to", quoted(&uri.replace('$', "$$")));
            }
            return;
        }
        let Some(prefix) = matcher.prefix() else {
            table.untranslated(
                &pass.source,
                "the path behind the address: see rewrite of the route",
            );
            return;
        };
        if !prefix.ends_with('/') {
            // A part of a segment may follow.
            if prefix != uri {
                let begin = format!("^{}", regex::escape(prefix));
                table.set(&pass.source, "rewrite.path_regex.match", quoted(&begin));
                table.set_plain("rewrite.path_regex.to", quoted(&uri.replace('$', "$$")));
            }
            return;
        }
        let (prefix, uri) = (prefix.trim_end_matches('/'), uri.trim_end_matches('/'));
        if prefix == uri {
            return;
        }
        if !prefix.is_empty() {
            table.set_plain("rewrite.strip_prefix", quoted(prefix));
        }
        if !uri.is_empty() {
            table.set_plain("rewrite.add_prefix", quoted(uri));
        }
    }
}

/// Keys that say which paths a route takes.
const PATHS: [&str; 3] = ["path", "path_prefix", "path_regex"];
