//! Limits, retries, compression.

use super::{
    super::{
        reading::{Reading, block},
        tree::Node,
        value::{bytes, claim, millis, set_duration},
    },
    UNKNOWN,
};
use crate::import::document::{Source, Table, quoted, quoted_list};

pub(super) fn rate(table: &mut Table, mut reading: Reading<'_>) {
    let period = reading.text("period");
    let millis = period.as_ref().map_or(Some(1000), |(text, _)| millis(text));
    if let Some((average, line)) = reading.text("average") {
        let rate = average.parse::<u64>().ok().zip(millis.filter(|it| *it > 0));
        match rate.map(|(average, millis)| (average, rate_of(average, millis))) {
            Some((0, _)) => table.needless(&line, "0 is no limit"),
            Some((_, Some(rate))) => {
                claim(table, &line, "rate_limit.rate", quoted(&rate));
                if let Some((_, line)) = &period {
                    table.also(line, "rate_limit.rate");
                }
            }
            _ => table.untranslated(
                &line,
                "rate_limit = { rate = \"N/s\" }, per second, minute or hour",
            ),
        }
    }
    let limits = table.has("rate_limit.rate");
    if let Some((_, line)) = period.filter(|_| !limits) {
        table.needless(&line, "there is no rate");
    }
    match reading.text("burst") {
        Some((burst, line)) if limits && burst != "0" => {
            claim(table, &line, "rate_limit.burst", burst);
        }
        Some((_, line)) => table.needless(&line, "there is no rate"),
        // Traefik lets one pass at once.
        None if limits && !table.has("rate_limit.burst") => {
            table.set_plain("rate_limit.burst", "1");
        }
        None => {}
    }
    if let Some(mut source) = reading.inner("sourceCriterion") {
        if let Some((name, line)) = source.text("requestHeaderName") {
            let key = format!("header:{}", name.to_ascii_lowercase());
            claim(table, &line, "rate_limit.key", quoted(&key));
        }
        by_host(table, &mut source, "rate_limit");
        source.rest(table, UNKNOWN);
    }
    reading.instead(
        table,
        "redis",
        "rate_limit.store = { redis = { url = \"redis://…\" } }",
    );
    reading.rest(table, UNKNOWN);
}

/// Returns a rate in one of the units that there are.
fn rate_of(average: u64, millis: u64) -> Option<String> {
    let units = [(1000, "s"), (60_000, "m"), (3_600_000, "h")];
    units.iter().find_map(|(length, unit)| {
        let count = average.checked_mul(*length)?;
        let is_whole = count.is_multiple_of(millis) && (1..=1_000_000).contains(&(count / millis));
        is_whole.then(|| format!("{}/{unit}", count / millis))
    })
}

/// Tells what is not counted by address.
fn by_host(table: &mut Table, source: &mut Reading<'_>, what: &str) {
    if let Some(line) = source.on(table, "requestHost") {
        table.untranslated(
            &line,
            format!(
                "{what} counts by client, or for the route as a whole: write a route for each host"
            ),
        );
    }
    let strategy = source.node.get("ipStrategy").map(Node::entries);
    if strategy.is_some_and(<[_]>::is_empty) {
        return source.needless(table, &["ipStrategy"], "the client is counted");
    }
    source.instead(
        table,
        "ipStrategy",
        "name the proxies before this one in proxy.trusted_proxies: the client that they tell is counted",
    );
}

pub(super) fn concurrency(table: &mut Table, mut reading: Reading<'_>) {
    let by_client = reading
        .node
        .at(&["sourceCriterion", "ipStrategy"])
        .is_some();
    if let Some((amount, line)) = reading.text("amount") {
        if amount == "0" {
            table.needless(&line, "0 is no limit");
        } else {
            claim(table, &line, "concurrency.max", amount);
            if by_client {
                claim(table, &line, "concurrency.per", "\"client_ip\"");
            } else {
                table.note("Traefik counts for each host; here all requests of the route are counted together");
            }
        }
    }
    if let Some(mut source) = reading.inner("sourceCriterion") {
        source.needless(
            table,
            &["requestHost"],
            "all requests of the route are counted",
        );
        source.instead(
            table,
            "requestHeaderName",
            "concurrency counts by client, or for the route as a whole",
        );
        by_host(table, &mut source, "concurrency");
        source.rest(table, UNKNOWN);
    }
    reading.rest(table, UNKNOWN);
}

pub(super) fn buffering(table: &mut Table, mut reading: Reading<'_>) {
    if let Some((text, line)) = reading.text("maxRequestBodyBytes") {
        match bytes(text) {
            _ if text == "0" => table.needless(&line, "0 is no limit"),
            Some(value) => claim(table, &line, "body_max", value),
            None => table.untranslated(&line, "body_max = \"1MiB\""),
        }
    }
    let why = "bodies stream and are not buffered";
    reading.needless(table, &["memRequestBodyBytes", "memResponseBodyBytes"], why);
    reading.instead(
        table,
        "maxResponseBodyBytes",
        "bodies of answers have no bound; they are not buffered",
    );
    reading.instead(
        table,
        "retryExpression",
        "retry = { attempts = 2, on = [\"connect\", \"reset\", \"502\"] }",
    );
    reading.rest(table, UNKNOWN);
}

pub(super) fn retry(table: &mut Table, mut reading: Reading<'_>) {
    if let Some((text, line)) = reading.text("attempts") {
        match text.parse::<u32>() {
            Ok(count @ 1..=10) => claim(table, &line, "retry.attempts", count.to_string()),
            Ok(11..) => {
                claim(table, &line, "retry.attempts", "10");
                table.note("10 attempts are the most here");
            }
            _ => table.untranslated(&line, "retry.attempts is 1 to 10"),
        }
    }
    if let Some((text, line)) = reading.text("initialInterval") {
        set_duration(table, &line, "retry.backoff.base", text);
        // The bound of all waits is no shorter than the first.
        if let Some(millis @ 250..) = millis(text) {
            let longest = crate::import::text::duration_of(millis.saturating_mul(2));
            table.set_plain("retry.backoff.max", longest);
        }
    }
    reading.rest(table, "see [routes.NAME.retry] in docs/configuration");
}

pub(super) fn breaker(table: &mut Table, mut reading: Reading<'_>) {
    let expression = reading.text("expression");
    if let Some((text, line)) = expression {
        let ratio = text.rsplit_once('>').and_then(|(function, share)| {
            let share: f64 = share.trim().parse().ok()?;
            let counts = function.starts_with("NetworkErrorRatio")
                || function.starts_with("ResponseCodeRatio");
            counts.then(|| format!("{}%", share * 100.0))
        });
        let advice = match ratio {
            Some(ratio) => format!("a breaker is of the pool: breaker = {{ failure_ratio = \"{ratio}\" }} there"),
            None => "a breaker is of the pool: breaker = { slow = \"100ms\", failure_ratio = \"50%\" } there".to_owned(),
        };
        table.untranslated(&line, advice);
    }
    reading.instead(table, "fallbackDuration", "breaker.open of the pool");
    reading.instead(
        table,
        "recoveryDuration",
        "one trial closes the breaker; slow_start of the pool lets the load grow",
    );
    reading.instead(table, "checkPeriod", "breaker.window of the pool");
    reading.instead(
        table,
        "responseCode",
        "a pool whose breaker is open is answered with 503",
    );
    reading.rest(table, UNKNOWN);
}

pub(super) fn compress(table: &mut Table, mut reading: Reading<'_>) {
    let list = |items: &[(&str, Source)]| quoted_list(items.iter().map(|(item, _)| *item));
    let types = reading.items("includedContentTypes");
    if let Some((_, line)) = types.first() {
        claim(table, line, "compress.types", list(&types));
        for (_, line) in &types {
            table.also(line, "compress.types");
        }
    }
    let excluded = reading.items("excludedContentTypes");
    for (name, line) in &excluded {
        match *name {
            "text/event-stream" | "application/grpc" | "application/grpc+proto" => {
                let why = "each event is sent at once, and gRPC stays as it is";
                table.needless(line, why);
            }
            _ => table.untranslated(line, "compress.types lists the types that are compressed"),
        }
    }
    if let Some((text, line)) = reading.text("minResponseBodyBytes") {
        match bytes(text) {
            Some(value) => claim(table, &line, "compress.min", value),
            None => table.untranslated(&line, "compress.min = \"1KiB\""),
        }
    }
    let encodings = reading.items("encodings");
    if let Some((_, line)) = encodings.first() {
        claim(table, line, "compress.encodings", list(&encodings));
        for (_, line) in &encodings {
            table.also(line, "compress.encodings");
        }
    }
    let why = "a client that accepts no encoding by name gets none";
    reading.needless(table, &["defaultEncoding"], why);
    if !table.has_below("compress") {
        let line = block(reading.node, &reading.path);
        claim(table, &line, "compress", "{}");
    }
    reading.rest(table, UNKNOWN);
}

pub(super) fn errors(table: &mut Table, mut reading: Reading<'_>) {
    let statuses = reading.items("status");
    let statuses: Vec<&str> = statuses.into_iter().map(|(status, _)| status).collect();
    let what = format!(
        "pages are files: error_pages = {{ \"{}\" = {{ file = \"sorry.html\", of = \"all\" }} }} of the route",
        statuses.join(",")
    );
    for key in ["status", "service", "query", "statusRewrites"] {
        reading.take(key);
    }
    table.untranslated(&block(reading.node, &reading.path), what);
    reading.rest(table, UNKNOWN);
}
