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

/// Lines of the route, of the pool, or further tables; those of [`BARE`] go on where they are.
const FEATURES: [(&str, Features); 12] = [
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
        "access log, JSON",
        tables("[access_log]\npath = \"access.log\"\n"),
    ),
    (
        "access log, common",
        tables("[access_log]\npath = \"access.log\"\nformat = \"common\"\n"),
    ),
    (
        "all that is on by default",
        Features {
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
