//! Instructions per request: the same on a busy machine and on a quiet one.
//!
//! A peer runs twice under valgrind's callgrind, once for N requests and once for 2N. What
//! the second run has more is what N requests cost: start and end are in both. Only the
//! thread with the most counts, the one worker: what others do hangs on how long it takes.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    time::Duration,
};

use crate::{
    load::{self, End, Load, Version},
    measure::{self, Bench},
    message::Request,
    peer::{Features, Peer, Setup, Wrapping},
    scenario::{self, Scenario, Work},
};

/// The five that are recorded; `tests/cost` has the same names.
pub(crate) fn recorded() -> Vec<Scenario> {
    let one = |request| scenario::load(request, 1);
    let http2 = Load {
        version: Version::Http2 { streams: 1 },
        ..one(Request::get(128))
    };
    let logged = Setup {
        routes: 1_000,
        features: Features {
            tables: "[access_log]\npath = \"access.log\"\n",
            ..Features::default()
        },
        ..Setup::default()
    };
    let one_route = one(Request::get(128).on_route(750));
    vec![
        scenario::saturate("http1-get", "GET, keep-alive", one(Request::get(128))),
        scenario::saturate(
            "http1-post",
            "POST of 4 KiB",
            one(Request::get(128).with_body(4096)),
        ),
        scenario::saturate("http1-tls", "GET over TLS 1.3", one(Request::get(128))).over_tls(),
        scenario::saturate("http2-get", "GET over HTTP/2", http2),
        scenario::saturate(
            "logged-1k-routes",
            "GET, access log on, 1,000 routes",
            one_route,
        )
        .with(logged),
    ]
}

/// Requests of the shorter run. The more, the less a difference in the start matters.
const REQUESTS: u64 = 3_000;

/// Counts the instructions of a request outside the kernel.
///
/// # Errors
/// If valgrind is missing, or the peer does not run under it.
pub(crate) fn instructions(bench: &Bench, peer: &Peer, scenario: &Scenario) -> io::Result<f64> {
    let Some(load) = scenario.work.load() else {
        return Err(io::Error::other("nothing to count"));
    };
    let short = count(bench, peer, scenario, load, REQUESTS)?;
    let long = count(bench, peer, scenario, load, 2 * REQUESTS)?;
    // Far below 2^52.
    let more = |(thread, count): (&Thread, &u64)| {
        let before = short.get(thread).copied().unwrap_or_default();
        count.saturating_sub(before) as f64
    };
    let most = long.iter().map(more).fold(0.0, f64::max);
    Ok(most / REQUESTS as f64)
}

/// A thread: which process in the order of their start, and which of its threads.
type Thread = (usize, u32);

/// What each thread takes in a run with this many requests.
fn count(
    bench: &Bench,
    peer: &Peer,
    scenario: &Scenario,
    load: &Load,
    requests: u64,
) -> io::Result<BTreeMap<Thread, u64>> {
    let command = [
        "valgrind",
        "--quiet",
        "--tool=callgrind",
        "--trace-children=yes",
        "--separate-threads=yes",
        "--callgrind-out-file=callgrind.%p",
    ];
    let wrapping = Wrapping {
        command: command.map(str::to_owned).to_vec(),
    };
    let started = bench.start(peer, scenario, &wrapping);
    let mut running = started.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => io::Error::other("valgrind is missing: install it"),
        _ => error,
    })?;
    let load = measure::load_of(&running, scenario, load)?;
    let outcome = load::run(
        &load,
        &bench.target(scenario, &running),
        Duration::ZERO,
        End::Requests(requests),
        |_| Ok(()),
    )?;
    if outcome.failed > 0 {
        let fault = outcome
            .fault
            .map(|fault| fault.to_string())
            .unwrap_or_default();
        return Err(io::Error::other(format!(
            "{} failed: {fault}",
            outcome.failed
        )));
    }
    running.stop();
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(running.folder())? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        // callgrind.PROCESS-THREAD, and without a thread one that is empty.
        let ids = name
            .strip_prefix("callgrind.")
            .and_then(|ids| ids.split_once('-'));
        if let Some((process, thread)) = ids
            && let (Ok(process), Ok(thread)) = (process.parse::<u32>(), thread.parse::<u32>())
        {
            let total = total_in(&fs::read_to_string(&path)?);
            found.insert((process, thread), total);
        }
    }
    if found.is_empty() {
        let log = running.log();
        return Err(io::Error::other(format!("callgrind wrote nothing: {log}")));
    }
    let processes: BTreeSet<u32> = found.keys().map(|&(process, _)| process).collect();
    let order = |process: u32| processes.iter().position(|&one| one == process);
    let ordered = found
        .into_iter()
        .filter_map(|((process, thread), total)| Some(((order(process)?, thread), total)));
    Ok(ordered.collect())
}

/// The sum of the totals of a file of callgrind's.
fn total_in(text: &str) -> u64 {
    let totals = text.lines().filter_map(|line| line.strip_prefix("totals:"));
    totals
        .filter_map(|total| total.trim().parse::<u64>().ok())
        .sum()
}

/// The same for any scenario whose work is a load: on one connection, so that the count does
/// not hang on who was faster.
pub(crate) fn on_one_connection(scenario: &Scenario) -> Option<Scenario> {
    let Work::Saturate(load) = &scenario.work else {
        return None;
    };
    let version = match load.version {
        Version::Http1 => Version::Http1,
        Version::Http2 { .. } => Version::Http2 { streams: 1 },
        Version::Http3 { .. } => Version::Http3 { streams: 1 },
    };
    let load = Load {
        connections: 1,
        version,
        ..load.clone()
    };
    Some(Scenario {
        work: Work::Saturate(load),
        ..scenario.clone()
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn all_parts_of_a_file_count() {
        assert_eq!(super::total_in("x\ntotals: 5\nfn=a\ntotals: 7\n"), 12);
    }
}
