//! A picker of one's own, which pools name as they name the built-in ones.
//!
//! `fill_first` gives an endpoint work until it has [`FULL`] requests in flight, and only
//! then goes on to the next: what is at the end of the list stays idle and can be
//! switched off.
//!
//! `cargo run --example custom_picker [examples/config/fill_first.toml]`
#![expect(clippy::print_stderr, reason = "a program for the terminal")]

use std::process::ExitCode;

use sluicegate::{
    server::Server,
    telemetry::log::{self, LogFormat},
    upstream::picker::{Candidate, EndpointIndex, PickInput, Picker},
};

/// Requests in flight on this worker from which an endpoint is full.
const FULL: u32 = 8;

/// Fills one endpoint after the other. There is one per worker and pool, so it needs no lock.
#[derive(Debug, Default)]
struct FillFirst {
    candidates: Vec<Candidate>,
}

impl Picker for FillFirst {
    /// Takes the endpoints that may be picked: healthy, not ejected, not draining. Called when they change.
    fn update(&mut self, candidates: &[Candidate]) {
        self.candidates.clear();
        self.candidates.extend_from_slice(candidates);
    }

    /// Called for each attempt; must neither block nor allocate.
    fn pick(&mut self, input: &PickInput<'_>) -> Option<EndpointIndex> {
        let in_flight = |index: EndpointIndex| {
            let load = usize::try_from(index.0)
                .ok()
                .and_then(|at| input.loads.get(at));
            load.map_or(0, |load| load.in_flight())
        };
        let indices = self.candidates.iter().map(|candidate| candidate.index);
        let mut untried = indices.filter(|index| !input.tried.contains(index));
        let first = untried.next()?;
        if in_flight(first) < FULL {
            return Some(first);
        }
        let room = untried.clone().find(|index| in_flight(*index) < FULL);
        // All are full: the least full of them.
        room.or_else(|| untried.chain([first]).min_by_key(|index| in_flight(*index)))
    }
}

fn main() -> ExitCode {
    let config = std::env::args_os().nth(1);
    let config = config.unwrap_or_else(|| "examples/config/fill_first.toml".into());
    if let Err(error) = log::init("info", LogFormat::Text) {
        eprintln!("{error}");
    }
    let server = Server::new(config).with_picker("fill_first", |_seed| Box::<FillFirst>::default());
    match server.run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}
