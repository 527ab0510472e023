//! Redirects.

use super::{
    super::reading::{Reading, block},
    super::value::claim,
    UNKNOWN, Way,
};
use crate::import::document::{Source, Table, quoted, quoted_list};

pub(super) fn scheme(table: &mut Table, way: &Way, mut reading: Reading<'_>) {
    let line = block(reading.node, &reading.path);
    let scheme = reading.text("scheme").map_or("https", |(scheme, _)| scheme);
    let port = reading.text("port").map_or("", |(port, _)| port);
    let is_permanent = reading
        .text("permanent")
        .is_some_and(|(it, _)| it.eq_ignore_ascii_case("true"));
    reading.needless(table, &["forcePermanentRedirect"], "308 is permanent");
    match (scheme, port) {
        ("https", _) if way.is_tls => table.needless(&line, "the route is reached by HTTPS alone"),
        ("https", "" | "443") => {
            claim(table, &line, "https_only", "true");
            if !is_permanent {
                table.note("a redirect to HTTPS is permanent here (308)");
            }
        }
        ("http" | "https", port)
            if port.is_empty() || port.bytes().all(|it| it.is_ascii_digit()) =>
        {
            let port = match (scheme, port) {
                (_, "") | ("http", "80") => String::new(),
                (_, port) => format!(":{port}"),
            };
            let to = format!("{scheme}://{{host}}{port}{{path}}{{query}}");
            claim(table, &line, "redirect.to", quoted(&to));
            status(table, is_permanent);
        }
        _ => table.untranslated(
            &line,
            "redirect = { to = \"https://{host}{path}{query}\" } of the route",
        ),
    }
    reading.rest(table, UNKNOWN);
}

pub(super) fn regex(table: &mut Table, way: &mut Way, mut reading: Reading<'_>) {
    let line = block(reading.node, &reading.path);
    let from = reading.text("regex").map_or("", |(it, _)| it);
    let to = reading.text("replacement").map_or("", |(it, _)| it);
    let is_permanent = reading
        .text("permanent")
        .is_some_and(|(it, _)| it.eq_ignore_ascii_case("true"));
    match target(from, to) {
        Some((host, to)) => {
            let is_all = host.as_ref().is_none_or(|host| way.hosts == [host.clone()]);
            if is_all {
                claim(table, &line, "redirect.to", quoted(&to));
                status(table, is_permanent);
            } else if let Some(host) = host {
                // The others go on to the service.
                let mut own = Table::new(table.name.clone());
                own.set(&line, "hosts", quoted_list([&*host]));
                own.set_plain("redirect.to", quoted(&to));
                status(&mut own, is_permanent);
                way.before.push(own);
            }
        }
        None => redirect_by_hand(table, &line),
    }
    reading.rest(table, UNKNOWN);
}

fn redirect_by_hand(table: &mut Table, line: &Source) {
    table.untranslated(
        line,
        "a route with hosts, path_regex and redirect = { to = \"https://…/{path.1}{query}\" }: the expression is on the path alone here",
    );
}

fn status(table: &mut Table, is_permanent: bool) {
    table.set_plain("redirect.status", if is_permanent { "301" } else { "302" });
}

/// Returns the host and the target of a redirect that changes scheme and host, and perhaps adds a
/// path before that of the request.
fn target(from: &str, to: &str) -> Option<(Option<String>, String)> {
    let from = from.trim_start_matches('^').trim_end_matches('$');
    let rest = [
        "https?://",
        "http(s)?://",
        "http(s?)://",
        "(https?)://",
        "http://",
        "https://",
        "(http|https)://",
    ]
    .iter()
    .find_map(|scheme| from.strip_prefix(scheme))?;
    let groups_before = from[..from.len() - rest.len()].matches('(').count();
    let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = host.trim_start_matches("(?:");
    let is_any = matches!(host, ".*" | ".+" | "[^/]+");
    let host = host.replace("\\.", ".");
    let is_host = |it: u8| it.is_ascii_alphanumeric() || it == b'.' || it == b'-';
    if !is_any && (host.is_empty() || !host.bytes().all(is_host)) {
        return None;
    }
    let group = groups_before + 1;
    let takes_rest = matches!(path, "/(.*)" | "/?(.*)" | "(/.*)" | "(.*)");
    let (before, has_rest) = match takes_rest {
        true => [format!("${{{group}}}"), format!("${group}")]
            .iter()
            .find_map(|sign| Some((to.strip_suffix(&**sign)?, true)))
            .unwrap_or((to, false)),
        false if matches!(path, "" | "/" | "/?" | "/.*") => (to, false),
        false => return None,
    };
    if before.contains(['$', '{', '}']) || !before.contains("://") {
        return None;
    }
    let to = match has_rest {
        true => format!("{}{{path}}{{query}}", before.trim_end_matches('/')),
        false => before.to_owned(),
    };
    Some(((!is_any).then_some(host), to))
}

#[cfg(test)]
mod tests {
    use super::target;

    #[test]
    fn expressions_on_the_whole_address_become_host_and_target() {
        for (from, to, host, wanted) in [
            (
                "^https?://www\\.example\\.com/(.*)",
                "https://example.com/${1}",
                Some("www.example.com"),
                "https://example.com{path}{query}",
            ),
            (
                "^http(s)?://a.example/(.*)$",
                "https://b.example/$2",
                Some("a.example"),
                "https://b.example{path}{query}",
            ),
            (
                "^https://.*/(.*)",
                "https://b.example/x/${1}",
                None,
                "https://b.example/x{path}{query}",
            ),
            (
                "^https?://a\\.example/?$",
                "https://b.example/start",
                Some("a.example"),
                "https://b.example/start",
            ),
        ] {
            let found = target(from, to).unwrap();
            assert_eq!((found.0.as_deref(), &*found.1), (host, wanted), "{from}");
        }
        for (from, to) in [
            (
                "^https?://(.+)\\.example\\.com/(.*)",
                "https://$1.example.org/$2",
            ),
            ("^/a/(.*)", "/b/$1"),
            ("^https?://a/b/(.*)", "https://c/$1"),
        ] {
            assert!(target(from, to).is_none(), "{from}");
        }
    }
}
