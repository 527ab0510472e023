//! Conditions on clients: users, other services, addresses.

use super::{
    super::{
        Translator,
        reading::{Reading, block},
        value::{Url, claim},
    },
    UNKNOWN,
};
use crate::import::document::{Source, Table, key_part, quoted, quoted_list};

impl<'n> Translator<'n> {
    pub(super) fn basic_auth(&mut self, table: &mut Table, mut reading: Reading<'n>) {
        if let Some(users) = reading.take("users") {
            let line = block(users, &format!("{}.users", reading.path));
            table.close(
                &line,
                "write these users, one a line, into a file and name it: auth = { basic = { file = \"users.htpasswd\" } }",
            );
        }
        let file = reading.text("usersFile");
        let realm = reading.text("realm");
        let removes = reading.text("removeHeader");
        if let Some((file, line)) = &file {
            let mut item = format!("{{ basic = {{ file = {}", quoted(&self.path_of(file)));
            if let Some((realm, _)) = &realm {
                item += &format!(", realm = {}", quoted(realm));
            }
            let keeps = !removes
                .as_ref()
                .is_some_and(|(it, _)| it.eq_ignore_ascii_case("true"));
            if keeps {
                item += ", keep = true";
            }
            table.push(line, "auth", format!("{item} }} }}"));
        }
        for (_, line) in realm.into_iter().chain(removes) {
            match file {
                Some(_) => table.also(&line, "auth"),
                None => table.needless(&line, "it belongs to the users"),
            }
        }
        if let Some((name, line)) = reading.text("headerField") {
            let key = format!(
                "headers_request.set.{}",
                key_part(&name.to_ascii_lowercase())
            );
            claim(table, &line, &key, "\"{auth.user}\"");
        }
        reading.rest_closes(table, UNKNOWN);
    }

    pub(super) fn forward_auth(&mut self, table: &mut Table, mut reading: Reading<'n>) {
        let what = "auth = { forward = { pool = \"…\", path = \"…\" } } of the route";
        let address = reading.text("address");
        let Some((url, line)) = address.and_then(|(text, line)| Some((Url::of(text)?, line)))
        else {
            table.close(&block(reading.node, &reading.path), what);
            return;
        };
        let mut pool = Table::default();
        pool.push(&line, "endpoints", quoted(&url.address));
        if url.is_tls() {
            match reading.inner("tls") {
                Some(tls) => client_tls(&mut pool, tls),
                None => pool.set_plain("tls", "{}"),
            }
        } else if let Some(tls) = reading.inner("tls") {
            tls.rest(&mut pool, "the address is not https");
        }
        let name = self.pool_like(pool, &url.address);
        forward(table, &mut reading, (&name, url.target), &line);
        refuse_rest(table, reading);
    }
}

/// Writes which service is asked, and what of its answer the endpoint gets.
fn forward(
    table: &mut Table,
    reading: &mut Reading<'_>,
    (pool, target): (&str, &str),
    line: &Source,
) {
    let target = if target.is_empty() { "/" } else { target };
    let target = match target.starts_with('?') {
        true => format!("/{target}"),
        false => target.to_owned(),
    };
    let mut item = format!("pool = {}, path = {}", quoted(pool), quoted(&target));
    let headers = reading.items("authResponseHeaders");
    if !headers.is_empty() {
        let names: Vec<String> = headers
            .iter()
            .map(|(it, _)| it.to_ascii_lowercase())
            .collect();
        item += &format!(
            ", headers = {}",
            quoted_list(names.iter().map(String::as_str))
        );
    }
    table.push(line, "auth", format!("{{ forward = {{ {item} }} }}"));
    for (_, line) in &headers {
        table.also(line, "auth");
    }
}

/// Tells what has no equal.
fn refuse_rest(table: &mut Table, mut reading: Reading<'_>) {
    reading.needless(
        table,
        &["trustForwardHeader"],
        "what trusted proxies say counts: proxy.trusted_proxies",
    );
    reading.needless(
        table,
        &["addAuthCookiesToResponse"],
        "cookies of the service go to the client",
    );
    reading.needless(
        table,
        &["preserveLocationHeader"],
        "Location passes as the service wrote it",
    );
    reading.close(
        table,
        "authResponseHeadersRegex",
        "list the fields in auth.forward.headers: what a client wrote into others would pass",
    );
    reading.instead(
        table,
        "authRequestHeaders",
        "the service gets all fields of the request",
    );
    let what = "the service is asked by GET, without a body";
    for key in ["forwardBody", "preserveRequestMethod"] {
        if let Some(line) = reading.on(table, key) {
            table.untranslated(&line, what);
        }
    }
    reading.needless(table, &["maxBodySize"], what);
    reading.needless(table, &["maxResponseBodySize"], "bodies are bounded");
    reading.rest_closes(table, UNKNOWN);
}

/// Writes how the certificate of a service is verified.
fn client_tls(pool: &mut Table, mut tls: Reading<'_>) {
    if let Some(line) = tls.on(pool, "insecureSkipVerify") {
        pool.set(&line, "tls.verify", "false");
    }
    if let Some((ca, line)) = tls.text("ca") {
        pool.set(&line, "tls.ca", quoted(ca));
    }
    if let (Some((chain, line)), Some((key, second))) = (tls.text("cert"), tls.text("key")) {
        let value = format!("{{ chain = {}, key = {} }}", quoted(chain), quoted(key));
        pool.set(&line, "tls.client", value);
        pool.also(&second, "tls.client");
    }
    tls.rest(pool, "see [pools.NAME.tls] in docs/configuration");
    if !pool.has_below("tls") {
        pool.set_plain("tls", "{}");
    }
}

pub(super) fn addresses(table: &mut Table, mut reading: Reading<'_>) {
    let blocks = reading.items("sourceRange");
    if let Some((_, line)) = blocks.first() {
        if table.has("access.allow") {
            table.close(
                line,
                "addresses must be in this list, too: write those of both into access.allow",
            );
        } else if !table.has("access.deny") {
            for (block, line) in &blocks {
                table.push(line, "access.allow", quoted(block));
            }
        }
        // A route that is closed stays closed.
        if !table.has("access.allow") {
            for (_, line) in &blocks {
                table.needless(line, "the route is closed");
            }
        }
    } else {
        table.close(
            &block(reading.node, &reading.path),
            "access = { allow = [\"…\"] } of the route",
        );
    }
    if let Some((status, line)) = reading.text("rejectStatusCode") {
        match status {
            "403" => table.needless(&line, "as by default"),
            _ => table.untranslated(&line, "others are answered with 403"),
        }
    }
    reading.close(
        table,
        "ipStrategy",
        "name the proxies before this one in proxy.trusted_proxies: access then looks at the client that they tell",
    );
    reading.rest_closes(table, UNKNOWN);
}
