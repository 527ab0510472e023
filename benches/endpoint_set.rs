//! Cost on a worker of one change in a large pool: a replaced endpoint, and one that health takes
//! out.
//!
//! A worker takes the change up in the first pick after it, and serves nothing meanwhile: the
//! processor time of that pick is the stall. One view, and three by version.
//!
//! `cargo bench --bench endpoint_set`
#![allow(clippy::panic, reason = "a bench that cannot start says why and ends")]
#![allow(clippy::print_stdout, reason = "the table is its result")]

use std::{fmt::Write as _, path::Path, rc::Rc, sync::Arc, time::Duration};

use sluicegate::{
    config::{self, Rules, value::EndpointAddress},
    state::{self, Registered, Registry, Snapshot, Source},
    telemetry::metrics::Metrics,
    upstream::{
        endpoint::Endpoint,
        health::AdminState,
        local::LocalPool,
        local_set::LocalEndpoints,
        pick::{MayTry, PickRequest, Picked, Regard},
        picker::{AnyPicker, mix},
        pool::{Pool, ViewIndex},
        room::Siblings,
        tried::Tried,
    },
};
use tokio::time::Instant;

const PICKERS: [&str; 8] = [
    "\"random\"",
    "\"round_robin\"",
    "\"weighted_round_robin\"",
    "\"least_requests\"",
    "\"power_of_two\"",
    "\"peak_ewma\"",
    "{ ring_hash = { key = \"path\", load_max = 1.25 } }",
    "{ maglev = { key = \"path\", load_max = 1.25 } }",
];
const ENDPOINTS: usize = 10_000;
const ROUNDS: usize = 41;

fn main() {
    println!(
        "{ENDPOINTS} endpoints; processor time of the first pick after a change, median and worst, ms (control: median)"
    );
    for views in [1, 3] {
        for picker in PICKERS {
            let pool = pool(picker, views);
            let mut worker = Worker::new(&pool);
            let replaced = worker.measure(|round| replace_one(&pool, round));
            let down = worker.measure(|round| take_one_out(&pool, round));
            println!("{views} views, {picker:58} replaced {replaced}   down {down}");
        }
    }
}

/// A worker's side of the pool, and its draws.
struct Worker {
    local: Rc<LocalPool>,
    views: u32,
    draw: u64,
}

impl Worker {
    fn new(pool: &Arc<Pool>) -> Self {
        let metrics = Metrics::new(10);
        let known = Rc::new(LocalEndpoints::new(&pool.shared, &metrics.worker()));
        let spec = pool.picker.clone();
        let build = move || match AnyPicker::build(&spec, 1, &Registered::default().pickers) {
            Ok(picker) => picker,
            Err(error) => panic!("{error}"),
        };
        let siblings = Siblings::new(|_, _| {});
        let local = LocalPool::new(Arc::clone(pool), 0, &known, build, siblings);
        let views = u32::try_from(pool.rules.requirements.len()).unwrap_or(1);
        let local = Rc::new(local);
        Self {
            local,
            views,
            draw: 1,
        }
    }

    fn measure(&mut self, change: impl Fn(usize)) -> String {
        let mut times: Vec<Duration> = Vec::with_capacity(ROUNDS);
        let mut changes: Vec<Duration> = Vec::with_capacity(ROUNDS);
        for round in 0..ROUNDS {
            // A little traffic, so that it is not the first pick at all.
            for view in 0..self.views {
                for _ in 0..100 {
                    self.pick(ViewIndex(view));
                }
            }
            let start = cpu_time();
            change(round);
            changes.push(cpu_time() - start);
            for view in 0..self.views {
                let start = cpu_time();
                self.pick(ViewIndex(view));
                times.push(cpu_time() - start);
            }
        }
        times.sort_unstable();
        // Of each round the slowest view.
        let worst = times.split_off(times.len() - ROUNDS);
        changes.sort_unstable();
        let ms = |time: Option<&Duration>| time.map_or(0.0, |it| it.as_secs_f64() * 1e3);
        let (median, worst) = (ms(worst.get(ROUNDS / 2)), ms(worst.last()));
        format!(
            "{median:6.2} {worst:6.2} ({:.1})",
            ms(changes.get(ROUNDS / 2))
        )
    }

    fn pick(&mut self, view: ViewIndex) {
        self.draw = mix(self.draw);
        let request = PickRequest {
            now: Instant::now(),
            draw: self.draw,
            key: Some(self.draw),
            regard: Regard::Sound,
            trial: MayTry::No,
            version: None,
        };
        let picked = self.local.pick(view, &request, &mut Tried::default());
        assert!(matches!(picked, Picked::Endpoint(_)), "nothing picked");
    }
}

/// Processor time of this thread: other processes do not count.
fn cpu_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    Duration::new(
        u64::try_from(time.tv_sec).unwrap_or(0),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}

/// Replaces one endpoint by one at another address, as discovery does.
fn replace_one(pool: &Pool, round: usize) {
    let mut endpoints = pool.endpoint_set().endpoints.clone();
    let at = (round * 7919) % endpoints.len();
    let old = &endpoints[at];
    let low = u8::try_from(round).unwrap_or(u8::MAX);
    let address = EndpointAddress::Socket(([127, 1, 0, low], 7).into());
    endpoints[at] = Arc::new(Endpoint::new(address, old.version.clone()));
    pool.replace_endpoints(endpoints, Instant::now());
}

/// Disables one endpoint, and enables the one before.
fn take_one_out(pool: &Pool, round: usize) {
    let set = pool.endpoint_set();
    let at = |round: usize| &*set.endpoints[(round * 7919) % set.endpoints.len()].label;
    let health = &pool.shared.health;
    let now = Instant::now();
    if round.is_multiple_of(2) {
        health.set_admin(at(round), AdminState::Ejected, now);
    } else {
        health.set_admin(at(round - 1), AdminState::Enabled, now);
    }
    // A large pool publishes at the next tick.
    health.tick(now);
}

fn pool(picker: &str, views: usize) -> Arc<Pool> {
    let mut text = String::from("[listeners.web]\naddress = \"127.0.0.1:0\"\n");
    for view in 0..views {
        let version = match view {
            0 => String::new(),
            other => format!("version = \"{other}\""),
        };
        let _ = writeln!(
            text,
            "[routes.r{view}]\npath_prefix = \"/{view}\"\npool = \"app\"\n{version}"
        );
    }
    let _ = writeln!(text, "[pools.app]\npicker = {picker}\nendpoints = [");
    for at in 0..ENDPOINTS {
        let (high, low, version) = (at / 200, at % 200 + 1, at % 2 + 1);
        let _ = writeln!(
            text,
            "{{ address = \"127.0.{high}.{low}:7\", version = \"{version}.0.0\" }},"
        );
    }
    text.push_str("]\n");
    let snapshot = build(&text);
    match snapshot.pools.first() {
        Some(pool) => Arc::clone(pool),
        None => panic!("no pool"),
    }
}

fn build(text: &str) -> Snapshot {
    let config = match config::parse(text, Path::new("proxy.toml"), &Rules::default()) {
        Ok(loaded) => Arc::new(loaded.config),
        Err(faults) => panic!("{faults}"),
    };
    let source = Source {
        config,
        registered: &Registered::default(),
        last: None,
        files: state::TlsFiles::Read,
        lists: state::Lists::Read,
        generation: 1,
        now: Instant::now(),
    };
    match state::build(&source, &mut Registry::new(2)) {
        Ok(snapshot) => snapshot,
        Err(error) => panic!("{error}"),
    }
}
