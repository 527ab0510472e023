//! The price of each feature: one after the other switched on in a proxy that has none.

use std::fmt::Write as _;

use crate::{
    count,
    figures::{Spread, short},
    measure::{Bench, Round},
    message::Request,
    peer::{Elsewhere, Features, Peer, Setup},
    scenario::{self, Scenario},
};

/// What of the defaults can be switched off is off; each line then switches one thing on.
const BARE: Features = Features {
    proxy: "",
    route: "retry = false",
    pool: "ejection = false\npanic_threshold = \"0%\"",
    tables: "",
    field: None,
    elsewhere: None,
};

const fn route(route: &'static str) -> Features {
    Features { route, ..BARE }
}

const fn pool(pool: &'static str) -> Features {
    Features { pool, ..BARE }
}

const fn tables(tables: &'static str) -> Features {
    Features { tables, ..BARE }
}

// Nobody listens at the collector's address: the price is that of the request path.
const NOTHING_TRACED: &str = "[tracing]\notlp = \"http://127.0.0.1:9\"\nsample = \"0%\"\n";
const TAIL_TRACED: &str = "[tracing]\notlp = \"http://127.0.0.1:9\"\nsample = \"0%\"\nalways = { failed = true, slow = \"5s\" }\n";
const LITTLE_TRACED: &str = "[tracing]\notlp = \"http://127.0.0.1:9\"\nsample = \"1%\"\n";
const ALL_TRACED: &str = "[tracing]\notlp = \"http://127.0.0.1:9\"\nsample = \"100%\"\n";

/// Lines of the route, of the pool, or further tables; those of [`BARE`] go on where they are.
const FEATURES: [(&str, Features); 39] = [
    ("nothing", BARE),
    ("retries", route("")),
    ("ejection", pool("panic_threshold = \"0%\"")),
    ("the panic threshold", pool("ejection = false")),
    (
        "health checks",
        pool(
            r#"ejection = false
panic_threshold = "0%"
health = { http = { path = "/bytes/0" } }"#,
        ),
    ),
    (
        "a least-requests picker",
        pool(
            r#"ejection = false
panic_threshold = "0%"
picker = "least_requests""#,
        ),
    ),
    (
        "changes to two headers",
        route(
            r#"retry = false
headers_request = { set = { x-a = "1" } }
headers_response = { set = { x-b = "{request_id}" } }"#,
        ),
    ),
    (
        "a rewritten path",
        route(
            r#"retry = false
rewrite = { strip_prefix = "/bytes", add_prefix = "/bytes" }"#,
        ),
    ),
    (
        "a bound on bodies",
        route("retry = false\nbody_max = \"10MiB\""),
    ),
    (
        "a breaker",
        pool(
            r#"ejection = false
panic_threshold = "0%"
breaker = { failure_ratio = 0.5, volume_min = 20 }"#,
        ),
    ),
    (
        "a limit on concurrency",
        route(
            r#"retry = false
concurrency = { max = 1000, queue = 100, queue_timeout = "1s" }"#,
        ),
    ),
    (
        "a limit on concurrency per client",
        route(
            r#"retry = false
concurrency = { max = 1000, per = "client_ip" }"#,
        ),
    ),
    (
        "an adaptive limit on concurrency",
        route(
            r#"retry = false
concurrency = { adaptive = true, max = 1000, queue = 1000, queue_timeout = "10s" }"#,
        ),
    ),
    (
        "hedging after a time that does not come",
        route(
            r#"retry = false
hedge = { after = "5s" }"#,
        ),
    ),
    (
        "hedging after the 99 % quantile",
        route(
            r#"retry = false
hedge = { after = "p99" }"#,
        ),
    ),
    (
        "deadlines of clients, none sent",
        route(
            r#"retry = false
timeouts = { from_client = true }"#,
        ),
    ),
    (
        "a rate limit by client address",
        route(
            r#"retry = false
rate_limit = { rate = "1000000/s", burst = 1000000 }"#,
        ),
    ),
    (
        "a rate limit that only counts",
        route(
            r#"retry = false
rate_limit = { rate = "1/s", dry_run = true }"#,
        ),
    ),
    (
        "sessions, a cookie for each request",
        pool(
            r#"ejection = false
panic_threshold = "0%"
session = { cookie = "app_session", ttl = "1h", secret = "0123456789abcdef" }"#,
        ),
    ),
    (
        "faults allowed, none configured",
        Features {
            proxy: "faults = true",
            ..BARE
        },
    ),
    (
        "a fault that no request asks for",
        Features {
            proxy: "faults = true",
            route: r#"retry = false
fault = { abort = 503, headers = { x-test = "yes" }, ask = "x-fault" }"#,
            ..BARE
        },
    ),
    (
        "access by address",
        route(
            r#"retry = false
access = { allow = ["127.0.0.0/8"] }"#,
        ),
    ),
    (
        "CORS, requests without an origin",
        route(
            r#"retry = false
cors = { origins = ["https://shop.example"] }"#,
        ),
    ),
    (
        "compression, not asked for",
        route("retry = false\ncompress = {}"),
    ),
    (
        "secure headers",
        route("retry = false\nsecure_headers = true"),
    ),
    (
        "access log, JSON",
        tables("[access_log]\npath = \"access.log\"\n"),
    ),
    (
        "access log, common",
        tables("[access_log]\npath = \"access.log\"\nformat = \"common\"\n"),
    ),
    (
        "access log, a template",
        tables(
            "[access_log]\npath = \"access.log\"\nformat = \"{time} {client} {method} {path} {status} {total_ms}\"\n",
        ),
    ),
    (
        "access log, ECS",
        tables("[access_log]\npath = \"access.log\"\nformat = \"ecs\"\n"),
    ),
    (
        "the debug header, not asked for",
        Features {
            proxy: "debug_header = { from = [\"192.0.2.0/24\"] }",
            ..BARE
        },
    ),
    (
        "the debug header, asked for without leave",
        Features {
            proxy: "debug_header = { from = [\"192.0.2.0/24\"] }",
            field: Some(("x-sluicegate-debug", "a-guess")),
            ..BARE
        },
    ),
    (
        "the debug header, asked for with the token",
        Features {
            proxy: "debug_header = { token = \"0123456789abcdef\" }",
            field: Some(("x-sluicegate-debug", "0123456789abcdef")),
            ..BARE
        },
    ),
    (
        "access log, JSON to syslog",
        tables("[access_log]\nsyslog = { address = \"127.0.0.1:9\" }\n"),
    ),
    (
        "no figures of endpoints",
        tables("[metrics]\nper_endpoint = 0\n"),
    ),
    (
        "tracing, failed and slow ones recorded",
        tables(TAIL_TRACED),
    ),
    ("tracing, nothing recorded", tables(NOTHING_TRACED)),
    ("tracing, 1 % recorded", tables(LITTLE_TRACED)),
    ("tracing, all recorded", tables(ALL_TRACED)),
    (
        "all that is on by default",
        Features {
            proxy: "",
            route: "",
            pool: "",
            tables: "",
            field: None,
            elsewhere: None,
        },
    ),
];

/// How often each is counted; the least stands.
const TRIES: usize = 3;

/// Measures each and adds its line to the table. Most prices are less than what the machine
/// drifts by from one second to the next: their instructions say more. Without rounds only these are
/// counted.
///
/// `only` has parts of the names of those that are asked for; none: all are.
///
/// The last column is the price of a feature that is off: what it costs the requests of one route
/// that another has it.
pub(crate) fn prices(
    bench: &Bench,
    peer: &Peer,
    rounds: usize,
    with_instructions: bool,
    only: &[String],
    text: &mut String,
) {
    // The first line is what the others are compared with.
    let is_asked = |at: usize, name: &str| {
        only.is_empty() || at == 0 || only.iter().any(|only| name.contains(only.as_str()))
    };
    let asked = FEATURES.into_iter().enumerate();
    let asked = asked.filter(|(at, (name, _))| is_asked(*at, name));
    let asked: Vec<(&str, Features)> = asked.map(|(_, feature)| feature).collect();
    let mut measured = vec![Vec::new(); asked.len()];
    for _ in 0..rounds {
        for (at, (name, features)) in asked.iter().copied().enumerate() {
            let scenario = with(features);
            match bench.measure(peer, &scenario) {
                Ok(round) => {
                    let us = short(round.cpu_us());
                    eprintln!("{name}: {us} us, {} failed", round.failed);
                    measured[at].push(round);
                }
                Err(error) => eprintln!("{name}: {error}"),
            }
        }
    }
    text.push_str(
        "\n## By feature\n\n| switched on | µs | price | instructions | price | on another route |\n\
         |---|---:|---:|---:|---:|---:|\n",
    );
    let count = |name: &str, features: Features| {
        let scenario = count::on_one_connection(&with(features)).filter(|_| with_instructions)?;
        // What runs by the clock is in the count: the less of it, the better.
        let counts = (0..TRIES).map(|_| count::instructions(bench, peer, &scenario));
        let counts = counts.filter_map(|counted| {
            let counted = counted.inspect_err(|error| eprintln!("{name}: {error}"));
            counted.ok()
        });
        let counts: Vec<f64> = counts.collect();
        eprintln!("{name}: {counts:.0?} instructions");
        counts.into_iter().reduce(f64::min)
    };
    let bare_us = Spread::of(&measured[0], Round::cpu_us).map(|it| it.median);
    let bare = count("nothing", BARE);
    let bare_elsewhere = count("nothing elsewhere", elsewhere(BARE));
    let more = |counted: Option<f64>, bare: Option<f64>| match (counted, bare) {
        (Some(counted), Some(bare)) => format!("{:+.0}", counted - bare),
        _ => "–".to_owned(),
    };
    for ((name, features), rounds) in asked.into_iter().zip(&measured) {
        let counted = count(name, features);
        let is_local = features.route != BARE.route || features.pool != BARE.pool;
        let off = is_local.then(|| count(name, elsewhere(features))).flatten();
        let (us, price) = match (Spread::of(rounds, Round::cpu_us), bare_us) {
            (Some(spread), Some(bare)) => {
                (spread.to_string(), format!("{:+.2}", spread.median - bare))
            }
            _ => ("–".to_owned(), "–".to_owned()),
        };
        let shown = counted.map_or_else(|| "–".to_owned(), |count| format!("{count:.0}"));
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "| {name} | {us} | {price} | {shown} | {} | {} |",
            more(counted, bare),
            more(off, bare_elsewhere),
        );
    }
}

/// The same features, but of a route that gets no requests.
fn elsewhere(features: Features) -> Features {
    Features {
        elsewhere: Some(Elsewhere {
            route: features.route,
            pool: features.pool,
        }),
        proxy: features.proxy,
        tables: features.tables,
        ..BARE
    }
}

fn with(features: Features) -> Scenario {
    let mut request = Request::get(128);
    if let Some((name, value)) = features.field {
        request.fields.push((name.to_owned(), value.to_owned()));
    }
    let setup = Setup {
        features,
        ..Setup::default()
    };
    let load = scenario::load(request, 64);
    scenario::saturate("features", "", load).with(setup)
}
