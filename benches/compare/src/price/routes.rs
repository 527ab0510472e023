//! Features of a route on the way of a request.

use super::{BARE, Named, route};
use crate::peer::{Ask, Features, Labels};

/// Adds lines to those of a route without features.
macro_rules! on_route {
    ($($line:literal),+) => {
        route(concat!("retry = false", $("\n", $line),+))
    };
}

/// Features of the route.
pub(super) fn all() -> Vec<Named> {
    let mut all = kept();
    all.extend(chosen());
    all.extend(changed());
    all
}

/// Limits, faults, and what is done with headers and bodies.
#[expect(clippy::too_many_lines, reason = "a list")]
fn changed() -> Vec<Named> {
    vec![
        ("retries", route("")),
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
            "a path rewritten by a regular expression",
            on_route!(
                "rewrite = { path_regex = { match = \"^/bytes/([0-9]+)$\", to = \"/bytes/$1\" } }"
            ),
        ),
        (
            "secure headers, by a policy",
            Features {
                tables: "[policies.safe]\nsecure_headers = true\n",
                ..on_route!("use = [\"safe\"]")
            },
        ),
        (
            "https_only, over TLS",
            over_tls(on_route!("https_only = true")),
        ),
        (
            "pages for errors, none met",
            on_route!("error_pages = { \"4xx\" = {}, \"502-504\" = {} }"),
        ),
        (
            "maintenance, prepared and off",
            on_route!("maintenance = { on = false }"),
        ),
        (
            "copies of POST requests, GET asked",
            Features {
                tables: OTHER,
                ..on_route!("shadow = { pool = \"other\", methods = [\"POST\"] }")
            },
        ),
    ]
}

/// Answers that are stored.
fn kept() -> Vec<Named> {
    vec![
        ("a cache, answers that are private", on_route!("cache = {}")),
        (
            "a cache, hits in memory",
            Features {
                ask: Ask::Stored {
                    count: 1,
                    bytes: 128,
                },
                ..on_route!("cache = {}")
            },
        ),
        (
            "a cache, hits on disk, 2 KiB each",
            Features {
                // Memory has room for less than half of them.
                ask: Ask::Stored {
                    count: 1_000,
                    bytes: 2048,
                },
                ..on_route!("cache = { max_size = \"1MiB\", disk = \"cache/\" }")
            },
        ),
    ]
}

/// Conditions on requests, and places where they go.
fn chosen() -> Vec<Named> {
    let split = Features {
        tables: OTHER,
        target: "split = { app = 100, other = 0 }",
        ..BARE
    };
    vec![
        (
            "conditions on host, method and a header",
            on_route!(
                "hosts = [\"shop.example\"]",
                "methods = [\"GET\"]",
                "headers = { sec-fetch-mode = \"navigate\" }"
            ),
        ),
        (
            "a condition on a cookie",
            on_route!("cookies = { theme = { regex = \"^(dark|light)$\" } }"),
        ),
        (
            "a version that endpoints must have",
            Features {
                labels: Labels::Versions,
                ..on_route!("version = \"^1\"")
            },
        ),
        (
            "versions that clients may ask for, not asked for",
            Features {
                labels: Labels::Versions,
                ..on_route!("version_header = \"x-api-version\"")
            },
        ),
        ("a split, a cookie for each request", split.clone()),
        (
            "a split by client address",
            Features {
                route: "retry = false\npin = { by = \"client_ip\" }",
                ..split
            },
        ),
        (
            "a rollout, a cookie for each request",
            Features {
                proxy: "state_dir = \"state\"",
                labels: Labels::Versions,
                tables: "[rollouts.app]\npool = \"app\"\nbaseline = \"^1\"\ncandidate = \"^2\"\n\
                         steps = [{ share = \"10%\", hold = \"1h\" }]\n",
                target: "rollout = \"app\"",
                ..BARE
            },
        ),
        (
            "a fixed answer, no endpoint asked",
            Features {
                target: "respond = { body = \"fine\" }",
                ..BARE
            },
        ),
        (
            "the address of a client behind a trusted proxy",
            Features {
                proxy: "trusted_proxies = [\"127.0.0.0/8\"]",
                fields: vec![("x-forwarded-for", "198.51.100.7".to_owned())],
                ..BARE
            },
        ),
        (
            "tests of the configuration",
            Features {
                tables: "[tests.one]\nrequest = { url = \"http://shop.example/\", listener = \"plain\" }\n\
                         expect = { route = \"all\" }\n",
                ..BARE
            },
        ),
    ]
}

fn over_tls(features: Features) -> Features {
    Features {
        tls: Some(""),
        ..features
    }
}

/// A pool that no request goes to.
const OTHER: &str = "[pools.other]\nendpoints = [\"127.0.0.1:9\"]\n";
