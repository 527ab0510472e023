//! `use_backend` by a map of hosts: a route for each of its lines.

use super::{Line, Section, Translator, frontend::Front, rule::split, sample::list};
use crate::import::document::quoted;

/// A map that a rule asks for the backend.
struct Asked<'l> {
    /// The comparison: `str`, `dom` or `end`.
    how: &'l str,
    file: &'l str,
    default: Option<&'l str>,
}

impl<'l> Asked<'l> {
    /// Reads `%[req.hdr(host),lower,map_dom(/etc/haproxy/hosts.map,app)]`.
    fn of(written: &'l str) -> Option<Self> {
        let inner = written.strip_prefix("%[")?.strip_suffix(']')?;
        let (sample, rest) = inner.split_once(',')?;
        let is_host = ["req.hdr(host)", "hdr(host)"]
            .iter()
            .any(|it| it.eq_ignore_ascii_case(sample));
        let rest = rest.trim_start_matches("lower,");
        let rest = rest.trim_start_matches("field(1,:),");
        let rest = rest.trim_start_matches("lower,");
        let (name, arguments) = rest.strip_suffix(')')?.split_once('(')?;
        let how = match name {
            "map" | "map_str" => "str",
            "map_dom" => "dom",
            "map_end" => "end",
            _ => return None,
        };
        let (file, default) = match arguments.split_once(',') {
            Some((file, default)) => (file, Some(default)),
            None => (arguments, None),
        };
        (is_host && !file.contains(['(', ','])).then_some(Self { how, file, default })
    }
}

impl Translator<'_> {
    /// Makes the routes of a rule that asks a map; false if it is another rule.
    pub(super) fn by_map(&mut self, section: &Section, front: &Front, line: &Line) -> bool {
        let (action, words) = split(line);
        let ["use_backend", written] = action[..] else {
            return false;
        };
        if !written.contains("%[") {
            return false;
        }
        let asked = Asked::of(written).filter(|_| words.is_empty());
        let pairs = asked.as_ref().and_then(|it| self.pairs(it.file));
        let (Some(asked), Some(pairs)) = (asked, pairs) else {
            let mut table = self.begin(front, &Vec::new(), line, front.rank);
            table.untranslated(
                &line.source,
                "a route for each backend; lines of a map of hosts become routes if its file is beside this one",
            );
            table.set_plain("respond.status", "503");
            self.made.routes.push(table);
            return true;
        };
        for (host, backend) in pairs {
            let both = [host.clone(), format!("*.{host}")];
            let all = match asked.how {
                "str" => list("hosts", [&*host].into_iter()),
                "dom" => list("hosts", both.iter().map(String::as_str)),
                _ => {
                    let expression = format!("(?i){}(:[0-9]+)?$", regex::escape(&host));
                    let value = format!("{{ regex = {} }}", quoted(&expression));
                    Some(vec![("headers.host".to_owned(), value)])
                }
            };
            if let Some(all) = all {
                self.send_to(section, front, &all, line, &backend, front.rank);
            }
        }
        if let Some(default) = asked.default {
            self.send_to(section, front, &Vec::new(), line, default, front.rank);
        }
        true
    }

    /// The lines of a map: each a host and a backend.
    fn pairs(&self, file: &str) -> Option<Vec<(String, String)>> {
        let mut files = self.files.borrow_mut();
        let path = files.matching(file, "/etc/haproxy").into_iter().next()?;
        let read = files.read(&path, 1).ok()?;
        let lines = read.text.lines().map(str::trim);
        let lines = lines.filter(|it| !it.is_empty() && !it.starts_with('#'));
        let pairs = lines.map(|it| {
            let (host, backend) = it.split_once(char::is_whitespace)?;
            let is_host = host
                .bytes()
                .all(|it| it.is_ascii_alphanumeric() || b".-_".contains(&it));
            is_host.then(|| (host.to_ascii_lowercase(), backend.trim().to_owned()))
        });
        pairs.collect()
    }
}
