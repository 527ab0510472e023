//! Checks on templates: groups that the route's expression has, databases for the place of a client,
//! and hosts that clients cannot choose.

use super::{
    Check,
    geo::{self, GeoKey},
};
use crate::config::diagnostic::Fault;
use crate::config::schema::{Destination, PathRule, Redirect, Route};
use crate::config::setting::Span;
use crate::config::value::{Pattern, Piece, Placeholder, Template};

pub(super) fn check(check: &mut Check<'_>, place: &str, route: &Route) {
    for (key, changes) in [
        ("headers_request", &route.headers_request),
        ("headers_response", &route.headers_response),
    ] {
        for (kind, pairs) in [("set", &changes.set), ("add", &changes.add)] {
            for (name, template) in pairs {
                let place = format!("{place}.{key}.{kind}.{name}");
                check_fills(check, &place, changes.spans.of(kind), template, route);
            }
        }
    }
    if let Some(rewrite) = &route.rewrite
        && let Some(host) = &rewrite.host
    {
        let place = format!("{place}.rewrite.host");
        check_fills(check, &place, rewrite.spans.of("host"), host, route);
    }
    match &route.destination {
        Destination::Redirect(redirect) => {
            let place = format!("{place}.redirect.to");
            check_fills(check, &place, redirect.spans.of("to"), &redirect.to, route);
            check_host(check, &place, redirect);
        }
        Destination::Respond(respond) => {
            let place = format!("{place}.respond.body");
            let body = Template::of_text(&respond.body);
            check_fills(check, &place, respond.spans.of("body"), &body, route);
        }
        Destination::Pool(_) | Destination::Split(_) | Destination::Rollout(_) => {}
    }
}

/// Refuses placeholders that cannot have a value on this route.
fn check_fills(check: &mut Check<'_>, place: &str, span: Span, template: &Template, route: &Route) {
    check_groups(check, place, span, template, route);
    for fill in template.fills() {
        let database = match fill {
            Placeholder::GeoCountry => GeoKey::Country,
            Placeholder::GeoAsn => GeoKey::Asn,
            _ => continue,
        };
        geo::need(
            check,
            &format!("{place}: {{{}}}", name_of(fill)),
            span,
            database,
        );
    }
}

/// Refuses `{path.1}` where the route has no such group.
fn check_groups(
    check: &mut Check<'_>,
    place: &str,
    span: Span,
    template: &Template,
    route: &Route,
) {
    let regex = match &route.path {
        Some(PathRule::Regex(pattern)) => Some(pattern),
        Some(PathRule::Exact(_) | PathRule::Prefix(_)) | None => None,
    };
    let groups = template.fills().filter(|fill| {
        let is_group = matches!(fill, Placeholder::Group(_));
        is_group && !regex.is_some_and(|regex| has_group(regex, fill.part()))
    });
    for group in groups {
        let message = format!("{place}: {{path.{}}} is no group of the path", group.part());
        let hint = match regex {
            None => "groups are those of path_regex, which this route does not have".to_owned(),
            Some(regex) => {
                let names = regex.capture_names().enumerate().skip(1);
                let names = names.map(|(number, name)| match name {
                    Some(name) => format!("{{path.{name}}}"),
                    None => format!("{{path.{number}}}"),
                });
                match names.collect::<Vec<_>>() {
                    names if names.is_empty() => "path_regex has no group: write (…) in it".into(),
                    names => format!("path_regex has {}", names.join(", ")),
                }
            }
        };
        check.faults.push(Fault::error(span, message, hint));
    }
}

fn has_group(regex: &Pattern, group: &str) -> bool {
    match group.parse::<usize>() {
        Ok(number) => number < regex.captures_len(),
        Err(_) => regex.capture_names().flatten().any(|name| name == group),
    }
}

/// Refuses a redirect whose host a client could choose: it would lead users of a trusted host away.
fn check_host(check: &mut Check<'_>, place: &str, redirect: &Redirect) {
    if let Some(fill) = fill_of_host(&redirect.to) {
        let message = format!("{place}: {{{}}} can lead to any host", name_of(fill));
        let hint = "begin with \"/\", or end the host before it: \"https://shop.example/…\", or behind it: \"….shop.example/\"";
        check.error(redirect.spans.of("to"), message, hint);
    }
}

fn name_of(fill: &Placeholder) -> &str {
    use crate::config::value::template::Fill as _;
    fill.name()
}

/// The placeholder of a client that ends the host of a target.
fn fill_of_host(target: &Template) -> Option<&Placeholder> {
    let mut in_host = false;
    // Browsers take one slash behind a scheme of the web for two: `https:/other.example`.
    let mut has_scheme = false;
    let mut last = None;
    for piece in target.pieces() {
        match piece {
            Piece::Text(text) => {
                let text = match (in_host, text.split_once("//")) {
                    (true, _) => text,
                    (false, Some((_, rest))) => rest,
                    (false, None) => {
                        let first = text.find([':', '/', '?', '#']);
                        let is_scheme = first.is_none_or(|at| text[at..].starts_with(':'));
                        // No host is named: the target stays on the same one.
                        if !is_scheme && !has_scheme {
                            return None;
                        }
                        has_scheme = true;
                        continue;
                    }
                };
                in_host = true;
                let end = text.find(['/', '?', '#']);
                let host = &text[..end.unwrap_or(text.len())];
                if host.len() > 1 {
                    last = last.filter(|_| !host.starts_with('.'));
                }
                if end.is_some() {
                    return last;
                }
            }
            Piece::Fill(Placeholder::Path | Placeholder::Query) if in_host || !has_scheme => {
                return last;
            }
            Piece::Fill(fill) if in_host => last = fill.is_of_client().then_some(fill).or(last),
            Piece::Fill(Placeholder::Scheme) => has_scheme = true,
            // It could be a scheme, or what stands behind one.
            Piece::Fill(fill) if fill.is_of_client() || *fill == Placeholder::Path => {
                return Some(fill);
            }
            Piece::Fill(_) => {}
        }
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_does_not_choose_the_host() {
        for (target, expected) in [
            ("https://{host}{path}", None),
            ("https://shop.example/{path.1}", None),
            ("https://shop.example?to={query:to}", None),
            ("https://{cookie:tenant}.shop.example/", None),
            ("/x/{query:to}", None),
            ("docs/{query:to}", None),
            ("{path}", None),
            ("{query:to}", Some("query:to")),
            ("web{path.1}", Some("path.1")),
            ("{scheme}{path.1}", Some("path.1")),
            ("https:{path.1}", Some("path.1")),
            ("https:/{path.1}", Some("path.1")),
            ("https:{path}", Some("path")),
            ("{scheme}://{host}/{path.1}", None),
            ("https://shop.example{path.1}", Some("path.1")),
            ("{scheme}://{header:x}/", Some("header:x")),
            ("https://{query:to}", Some("query:to")),
            ("//{query:to}/a", Some("query:to")),
            ("https://a.{cookie:b}{path}", Some("cookie:b")),
            ("https://{query:to}.", Some("query:to")),
            ("https://{query:to}:443/", Some("query:to")),
        ] {
            let target = Template::parse(target).unwrap();
            assert_eq!(fill_of_host(&target).map(name_of), expected, "{target}");
        }
    }
}
