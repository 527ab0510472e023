//! Growth: the cost of a request against one size at a time, and the price of each feature.

use std::{
    fmt::Write as _,
    fs, io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::Duration,
};

use rustix::process::{Signal, kill_process};

use crate::{
    figures::{Spread, short},
    measure::{Bench, Round},
    message::Request,
    peer::{Peer, Running, Setup},
    plot::{self, Curve},
    price,
    scenario::{self, Scenario},
    system,
};

/// One size that is changed while all else stays.
struct Size {
    name: &'static str,
    unit: &'static str,
    points: Vec<(u64, Scenario)>,
    /// Beside the load, told the point: reloads.
    reloads: bool,
}

/// What is asked for; all of it where nothing is named.
pub(crate) struct Chosen {
    /// Names of curves.
    pub(crate) curves: Vec<String>,
    /// Parts of the names of features.
    pub(crate) features: Vec<String>,
}

/// Measures every curve of our own proxy, and writes table and plots into a folder.
///
/// # Errors
/// If a file cannot be written. A point that fails is told and left out.
pub(crate) fn grow(
    bench: &Bench,
    peer: &Peer,
    chosen: &Chosen,
    rounds: usize,
    with_instructions: bool,
    folder: &Path,
) -> io::Result<()> {
    let (only, features) = (&chosen.curves, &chosen.features);
    let wanted = |name: &str| only.is_empty() || only.iter().any(|one| one == name);
    let mut text = format!(
        "On {}; {}; medians of {rounds} rounds of {} s. Processor time per request, µs.\n",
        system::machine(),
        peer.version(),
        bench.length.as_secs_f64(),
    );
    let mut curves = Vec::new();
    for size in sizes().iter().filter(|size| wanted(size.name)) {
        let curve = size.measure(bench, peer, rounds);
        let _ = write!(
            text,
            "\n## By {} ({})\n\n| {0} | µs |\n|---:|---:|\n",
            size.name, size.unit
        );
        for (x, spread) in &curve.points {
            let _ = writeln!(text, "| {x} | {spread} |");
        }
        curves.push(curve);
    }
    if wanted("features") {
        price::prices(bench, peer, rounds, with_instructions, features, &mut text);
    }
    println!("\n{text}");
    fs::create_dir_all(folder)?;
    fs::write(folder.join("growth.md"), text)?;
    fs::write(folder.join("growth.svg"), plot::curves(&curves))
}

impl Size {
    fn measure(&self, bench: &Bench, peer: &Peer, rounds: usize) -> Curve {
        let mut measured = vec![Vec::new(); self.points.len()];
        // All points of a round, then the next: a drift of the machine touches all alike.
        for _ in 0..rounds {
            for (at, (x, scenario)) in self.points.iter().enumerate() {
                let rate = if self.reloads { *x } else { 0 };
                let beside = |running: &Running| Reloads::start(running, rate);
                match bench.measure_while(peer, scenario, beside) {
                    Ok(round) => {
                        eprintln!(
                            "{} {x}: {} us, {} failed",
                            self.name,
                            short(round.cpu_us()),
                            round.failed
                        );
                        measured[at].push(round);
                    }
                    Err(error) => eprintln!("{} {x}: {error}", self.name),
                }
            }
        }
        let points = self.points.iter().zip(&measured);
        let points =
            points.filter_map(|((x, _), rounds)| Some((*x, Spread::of(rounds, Round::cpu_us)?)));
        Curve {
            title: format!("{} ({})", self.name, self.unit),
            points: points.collect(),
        }
    }
}

fn sizes() -> Vec<Size> {
    let get = || scenario::load(Request::get(128), 64);
    let point = |x, load| (x, scenario::saturate("growth", "", load));
    let with = |x, load, setup| (x, scenario::saturate("growth", "", load).with(setup));
    let size = |name, unit, points| Size {
        name,
        unit,
        points,
        reloads: false,
    };
    let routes = |count: usize| {
        let setup = Setup {
            routes: count,
            ..Setup::default()
        };
        with(count as u64, scenario::load_of_routes(count), setup)
    };
    let endpoints = |count: usize| {
        let setup = Setup {
            endpoints: count,
            ..Setup::default()
        };
        with(count as u64, get(), setup)
    };
    let connections = |count: usize| point(count as u64, scenario::load(Request::get(128), count));
    let body = |bytes| point(bytes, scenario::load(Request::get(bytes), 16));
    let fields = |count: usize| {
        let request = Request::get(128).with_fields(count);
        point(count as u64, scenario::load(request, 64))
    };
    let workers = |count: usize| {
        let setup = Setup {
            workers: count,
            ..Setup::default()
        };
        with(count as u64, get(), setup)
    };
    let bodies = [0, 1 << 10, 16 << 10, 256 << 10, 1 << 20, 16 << 20, 64 << 20];
    vec![
        size(
            "routes",
            "number",
            [10, 100, 1_000, 10_000].map(routes).to_vec(),
        ),
        size(
            "endpoints",
            "number",
            [1, 10, 100, 1_000, 10_000].map(endpoints).to_vec(),
        ),
        size(
            "connections",
            "number",
            [1, 10, 100, 1_000, 10_000].map(connections).to_vec(),
        ),
        size("body", "bytes of the answer", bodies.map(body).to_vec()),
        size(
            "fields",
            "in the request",
            [1, 5, 10, 20, 50, 90].map(fields).to_vec(),
        ),
        size("workers", "number", [1, 2].map(workers).to_vec()),
        Size {
            reloads: true,
            ..size(
                "reloads",
                "per second",
                [0, 1, 2, 5].map(|rate| point(rate, get())).to_vec(),
            )
        },
    ]
}

/// A thread that changes the configuration and says so, until this goes.
struct Reloads {
    over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Reloads {
    fn start(running: &Running, rate: u64) -> Self {
        let over = Arc::new(AtomicBool::new(rate == 0));
        let ended = Arc::clone(&over);
        let (file, pid) = (
            running.folder().join("proxy.toml"),
            system::pid(running.id()),
        );
        let thread = thread::spawn(move || {
            let written = fs::read_to_string(&file).unwrap_or_default();
            for turn in 0_u64.. {
                if ended.load(Relaxed) {
                    return;
                }
                let text = format!(
                    "{written}\n[routes.turn{turn}]\npath = \"/turn/{turn}\"\npool = \"app\"\n"
                );
                if let (Ok(()), Some(pid)) = (fs::write(&file, text), pid) {
                    // It may just have ended.
                    let _ = kill_process(pid, Signal::HUP);
                }
                thread::park_timeout(
                    Duration::from_secs(1) / u32::try_from(rate).unwrap_or(1).max(1),
                );
            }
        });
        Self {
            over,
            thread: Some(thread),
        }
    }
}

impl Drop for Reloads {
    fn drop(&mut self) {
        self.over.store(true, Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It has nothing to tell.
            let _ = thread.join();
        }
    }
}
