//! The price of each feature: one after the other switched on in a proxy that has none.

use std::fmt::Write as _;

use crate::{
    count,
    figures::{Spread, short},
    measure::{Bench, Round},
    message::Request,
    peer::{Features, Peer, Setup},
    scenario::{self, Scenario},
};

/// What of the defaults can be switched off is off; each line then switches one thing on.
const BARE: Features = Features {
    proxy: "",
    route: "retry = false",
    pool: "ejection = false\npanic_threshold = \"0%\"",
    tables: "",
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
const LITTLE_TRACED: &str = "[tracing]\notlp = \"http://127.0.0.1:9\"\nsample = \"1%\"\n";
const ALL_TRACED: &str = "[tracing]\notlp = \"http://127.0.0.1:9\"\nsample = \"100%\"\n";

/// Lines of the route, of the pool, or further tables; those of [`BARE`] go on where they are.
const FEATURES: [(&str, Features); 32] = [
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
fault = { abort = 503, ask = "x-fault" }"#,
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
        },
    ),
];

/// Measures each and adds its line to the table. Most prices are less than what the machine
/// drifts by from one second to the next: their instructions say more.
pub(crate) fn prices(
    bench: &Bench,
    peer: &Peer,
    rounds: usize,
    with_instructions: bool,
    text: &mut String,
) {
    let mut measured = vec![Vec::new(); FEATURES.len()];
    for _ in 0..rounds {
        for (at, (name, features)) in FEATURES.into_iter().enumerate() {
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
        "\n## By feature\n\n| switched on | µs | price | instructions | price |\n|---|---:|---:|---:|---:|\n",
    );
    let counted = FEATURES.map(|(name, features)| {
        let scenario = count::on_one_connection(&with(features)).filter(|_| with_instructions)?;
        let counted = count::instructions(bench, peer, &scenario);
        counted
            .inspect_err(|error| eprintln!("{name}: {error}"))
            .ok()
    });
    let spreads = measured
        .iter()
        .map(|rounds| Spread::of(rounds, Round::cpu_us));
    let spreads: Vec<Option<Spread>> = spreads.collect();
    for (at, (name, _)) in FEATURES.iter().enumerate() {
        let (Some(spread), Some(bare)) = (spreads[at], spreads[0]) else {
            continue;
        };
        let price = spread.median - bare.median;
        let instructions = match (counted[at], counted[0]) {
            (Some(count), Some(bare)) => format!("{count:.0} | {:+.0}", count - bare),
            _ => "– | –".to_owned(),
        };
        // Writing to a String does not fail.
        let _ = writeln!(text, "| {name} | {spread} | {price:+.2} | {instructions} |");
    }
}

fn with(features: Features) -> Scenario {
    let setup = Setup {
        features,
        ..Setup::default()
    };
    let load = scenario::load(Request::get(128), 64);
    scenario::saturate("features", "", load).with(setup)
}
