//! The price of each feature: one after the other switched on in a proxy that has none.

mod entry;
mod pools;
mod routes;
mod told;

use std::{collections::BTreeMap, fmt::Write as _};

use crate::{
    count,
    figures::{Spread, short},
    load::Load,
    measure::{Bench, Round},
    message::Request,
    peer::{Ask, Elsewhere, Features, Labels, Peer, Setup},
    scenario::{self, Scenario},
};

/// A feature with its name in the table.
type Named = (&'static str, Features);

/// Features without those defaults that can be switched off; each line then switches one thing on.
const BARE: Features = Features {
    proxy: "",
    target: "",
    route: "retry = false",
    pool: "ejection = false\npanic_threshold = \"0%\"",
    tables: "",
    files: Vec::new(),
    fields: Vec::new(),
    ask: Ask::Usual,
    labels: Labels::None,
    tls: None,
    login: false,
    elsewhere: None,
};

fn route(route: &'static str) -> Features {
    Features { route, ..BARE }
}

fn pool(pool: &'static str) -> Features {
    Features { pool, ..BARE }
}

fn tables(tables: &'static str) -> Features {
    Features { tables, ..BARE }
}

/// All of them: lines of the route, of the pool, or further tables; those of [`BARE`] go on where
/// they are.
fn features() -> Vec<Named> {
    let mut all = vec![("nothing", BARE)];
    all.extend(routes::all());
    all.extend(pools::all());
    all.extend(entry::all());
    all.extend(told::all());
    all.push(("all that is on by default", Features::default()));
    all
}

/// Number of counts of each; the least stands.
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
    let asked = features().into_iter().enumerate();
    let asked = asked.filter(|(at, (name, _))| is_asked(*at, name));
    let asked: Vec<Named> = asked.map(|(_, feature)| feature).collect();
    let mut measured = vec![Vec::new(); asked.len()];
    for _ in 0..rounds {
        for (at, (name, features)) in asked.iter().enumerate() {
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
    let count = |name: &str, features: &Features| {
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
    // Over TLS, what a request costs there is what the others are compared with.
    let mut bare = BTreeMap::new();
    let mut bare_of = |tls: Option<&'static str>| {
        *bare.entry(tls).or_insert_with(|| {
            let nothing = Features { tls, ..BARE };
            [nothing.clone(), elsewhere(&nothing)].map(|it| count("nothing", &it))
        })
    };
    let more = |counted: Option<f64>, bare: Option<f64>| match (counted, bare) {
        (Some(counted), Some(bare)) => format!("{:+.0}", counted - bare),
        _ => "–".to_owned(),
    };
    for ((name, features), rounds) in asked.into_iter().zip(&measured) {
        let [bare, bare_elsewhere] = bare_of(features.tls);
        let counted = count(name, &features);
        let off = features.is_local_beside(&BARE);
        let off = off.then(|| count(name, &elsewhere(&features))).flatten();
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
fn elsewhere(features: &Features) -> Features {
    Features {
        elsewhere: Some(Elsewhere {
            target: features.target,
            route: features.route,
            pool: features.pool,
        }),
        proxy: features.proxy,
        tables: features.tables,
        files: features.files.clone(),
        labels: features.labels,
        tls: features.tls,
        // Its configuration names the provider; who asks elsewhere needs no session.
        ..BARE
    }
}

fn with(features: &Features) -> Scenario {
    let mut requests = match features.ask {
        Ask::Usual => vec![Request::get(128)],
        Ask::Stored { count, bytes } => (0..count).map(|at| Request::stored(bytes, at)).collect(),
    };
    for request in &mut requests {
        let fields = features.fields.iter();
        let fields = fields.map(|(name, value)| ((*name).to_owned(), value.clone()));
        request.fields.extend(fields);
    }
    let setup = Setup {
        features: features.clone(),
        ..Setup::default()
    };
    let load = Load {
        requests,
        ..scenario::load(Request::get(128), 64)
    };
    let scenario = scenario::saturate("features", "", load).with(setup);
    match features.tls {
        Some(_) => scenario.over_tls(),
        None => scenario,
    }
}
