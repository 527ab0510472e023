//! `headers`: fields that are set or removed, CORS, and what browsers shall mind.

use super::{
    super::{
        reading::Reading,
        tree::Node,
        value::{claim, literal, replace, set_duration},
    },
    UNKNOWN, Way,
};
use crate::import::document::{Source, Table, key_part, quoted};

pub(super) fn headers(table: &mut Table, way: &Way, mut reading: Reading<'_>) {
    for (key, kind) in [
        ("customRequestHeaders", "headers_request"),
        ("customResponseHeaders", "headers_response"),
    ] {
        if let Some(inner) = reading.inner(key) {
            for (name, node) in inner.node.entries() {
                field(table, kind, name, node);
            }
        }
    }
    cors(table, &mut reading);
    browsers(table, &mut reading);
    transport(table, way, &mut reading);
    hosts(table, way, &mut reading);
    reading.rest(table, UNKNOWN);
}

/// Writes a field of requests or answers; one without a text is removed.
fn field(table: &mut Table, kind: &str, name: &str, node: &Node) {
    let line = node.source();
    let name = name.to_ascii_lowercase();
    let value = node.text().unwrap_or_default();
    if !is_field(&name) {
        return table.untranslated(&line, "the name of a field has letters, digits and \"-\"");
    }
    let of_requests = kind == "headers_request";
    match &*name {
        "x-forwarded-for" | "x-forwarded-host" | "x-forwarded-proto" | "x-real-ip"
            if of_requests && value.is_empty() =>
        {
            table.needless(&line, "what a client writes into it does not count");
        }
        "host" if of_requests && value.is_empty() => {
            table.untranslated(&line, "a request has a host: rewrite.host of the route");
        }
        "host" if of_requests => claim(table, &line, "rewrite.host", literal(value)),
        _ if value.is_empty() => {
            table.remove(&format!("{kind}.set.{}", key_part(&name)));
            table.push(&line, &format!("{kind}.remove"), quoted(&name));
        }
        _ if of_requests => {
            let key = format!("{kind}.set.{}", key_part(&name));
            replace(table, &line, &key, literal(value));
        }
        // Of several middlewares the first has the last word on an answer.
        _ => claim(
            table,
            &line,
            &format!("{kind}.set.{}", key_part(&name)),
            literal(value),
        ),
    }
}

fn is_field(name: &str) -> bool {
    let fits = |it: u8| it.is_ascii_alphanumeric() || b"-_.!#$%&'*+^`|~".contains(&it);
    !name.is_empty() && name.bytes().all(fits)
}

fn cors(table: &mut Table, reading: &mut Reading<'_>) {
    let mut list = |table: &mut Table, key: &str, ours: &str| {
        let items = reading.items(key);
        let [(first, line), ..] = &items[..] else {
            return;
        };
        if *first == "*" && ours != "cors.origins" {
            return table.needless(line, "any, as by default");
        }
        if table.has(ours) {
            return table.untranslated(line, format!("{ours} is set already: join both by hand"));
        }
        for (item, line) in &items {
            table.push(line, ours, quoted(item));
        }
    };
    list(table, "accessControlAllowOriginList", "cors.origins");
    list(table, "accessControlAllowMethods", "cors.methods");
    list(table, "accessControlAllowHeaders", "cors.headers");
    list(table, "accessControlExposeHeaders", "cors.expose");
    for (expression, line) in reading.items("accessControlAllowOriginListRegex") {
        if regex::Regex::new(expression).is_ok() {
            let item = format!("{{ regex = {} }}", quoted(expression));
            table.push(&line, "cors.origins", item);
        } else {
            table.untranslated(&line, "the regular expression is not understood");
        }
    }
    if let Some(line) = reading.on(table, "accessControlAllowCredentials") {
        if table.has_item("cors.origins", "\"*\"") {
            table.untranslated(&line, "cors.credentials = true with a list of origins: with \"*\" every site could read the answers of a user who is logged in");
        } else if table.has("cors.origins") {
            claim(table, &line, "cors.credentials", "true");
        } else {
            table.untranslated(&line, "cors needs origins");
        }
    }
    if let Some((text, line)) = reading.text("accessControlMaxAge") {
        set_duration(table, &line, "cors.max_age", text);
    }
    reading.needless(table, &["addVaryHeader"], "Vary is set where it is needed");
    // Without origins the rest has no sense.
    if table.has_below("cors") && !table.has("cors.origins") {
        table.note("cors without origins lets no other site read the answers");
    }
}

fn browsers(table: &mut Table, reading: &mut Reading<'_>) {
    let set = |table: &mut Table, line: &Source, name: &str, value: &str| {
        let key = format!("headers_response.set.{name}");
        claim(table, line, &key, literal(value));
    };
    for (key, name) in [
        ("customFrameOptionsValue", "x-frame-options"),
        ("customBrowserXSSValue", "x-xss-protection"),
        ("contentSecurityPolicy", "content-security-policy"),
        (
            "contentSecurityPolicyReportOnly",
            "content-security-policy-report-only",
        ),
        ("referrerPolicy", "referrer-policy"),
        ("permissionsPolicy", "permissions-policy"),
        ("featurePolicy", "feature-policy"),
        ("publicKey", "public-key-pins"),
    ] {
        match reading.text(key) {
            Some(("", line)) => table.needless(&line, "empty"),
            Some((value, line)) => set(table, &line, name, value),
            None => {}
        }
    }
    for (key, name, value) in [
        ("frameDeny", "x-frame-options", "DENY"),
        ("contentTypeNosniff", "x-content-type-options", "nosniff"),
        ("browserXssFilter", "x-xss-protection", "1; mode=block"),
    ] {
        let Some(line) = reading.on(table, key) else {
            continue;
        };
        // A value of one's own goes before.
        let known = format!("headers_response.set.{name}");
        match table.has(&known) {
            true => table.also(&line, &known),
            false => set(table, &line, name, value),
        }
    }
    if let Some(line) = reading.on(table, "isDevelopment") {
        table.untranslated(
            &line,
            "there is no such mode: the fields for browsers above are sent",
        );
    }
}

/// `Strict-Transport-Security` and redirects to HTTPS.
fn transport(table: &mut Table, way: &Way, reading: &mut Reading<'_>) {
    let force = reading.on(table, "forceSTSHeader");
    let subdomains = reading.on(table, "stsIncludeSubdomains");
    let preload = reading.on(table, "stsPreload");
    match reading.text("stsSeconds") {
        Some((seconds, line)) if seconds != "0" && seconds.parse::<u64>().is_ok() => {
            let mut value = format!("max-age={seconds}");
            if subdomains.is_some() {
                value.push_str("; includeSubDomains");
            }
            if preload.is_some() {
                value.push_str("; preload");
            }
            let key = "headers_response.set.strict-transport-security";
            claim(table, &line, key, quoted(&value));
            for more in [&force, &subdomains, &preload].into_iter().flatten() {
                table.also(more, key);
            }
            if !way.is_tls && force.is_none() {
                table.note("browsers mind Strict-Transport-Security over TLS only; here it is sent over plain HTTP, too");
            }
        }
        other => {
            let rest = other.map(|(_, line)| line);
            for line in [rest, force, subdomains, preload].into_iter().flatten() {
                table.needless(&line, "no time is set");
            }
        }
    }
    let redirect = reading.on(table, "sslRedirect");
    for key in ["sslTemporaryRedirect", "sslForceHost"] {
        if let Some(line) = reading.on(table, key) {
            table.untranslated(&line, "a route with redirect");
        }
    }
    if let Some(line) = redirect {
        claim(table, &line, "https_only", "true");
    }
    reading.instead(
        table,
        "sslHost",
        "redirect = { to = \"https://HOST{path}{query}\" } of a route",
    );
    let why = "what trusted proxies say counts: proxy.trusted_proxies";
    reading.needless(table, &["sslProxyHeaders", "hostsProxyHeaders"], why);
}

/// `allowedHosts`: other hosts are kept out.
fn hosts(table: &mut Table, way: &Way, reading: &mut Reading<'_>) {
    let allowed = reading.items("allowedHosts");
    let Some((_, line)) = allowed.first() else {
        return;
    };
    let allows = |host: &String| allowed.iter().any(|(it, _)| it.eq_ignore_ascii_case(host));
    if !way.hosts.is_empty() && way.hosts.iter().all(allows) {
        for (_, line) in &allowed {
            table.needless(line, "the route has no other hosts");
        }
    } else {
        table.close(
            line,
            "name these in hosts of the route, which takes no others then",
        );
        for (_, line) in &allowed[1..] {
            table.needless(line, "see above");
        }
    }
}
