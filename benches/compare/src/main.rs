//! Sluicegate beside other proxies, its growth curves, and the count of its instructions.
//!
//! In walking order: [`scenario`] says what is asked, [`peer`] starts who is asked,
//! [`load`] asks, after [`login`] with [`token`] where a session is needed, [`endpoint`] is behind, [`measure`] watches; [`compare`], [`compress`], [`growth`]
//! with [`price`], and [`guard`] are the commands, [`figures`] and [`plot`] what they show.
#![allow(
    clippy::cast_possible_truncation,
    reason = "figures of a bench are far from the bounds of their types"
)]

mod compare;
mod compress;
mod count;
mod endpoint;
mod figures;
mod growth;
mod guard;
mod load;
mod login;
mod measure;
mod message;
#[path = "../../../tests/behaviour/harness/mmdb.rs"]
#[expect(clippy::unwrap_used, reason = "as in the tests, which it is of")]
mod mmdb;
mod peer;
mod plot;
mod price;
mod scenario;
mod system;
mod token;

use std::{io, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, Subcommand};

use measure::Bench;
use peer::Peer;

/// Measures Sluicegate beside other proxies, over loopback.
#[derive(Debug, Parser)]
#[command(name = "compare")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures each peer in each scenario, in turns; prints a table and plots it
    Run {
        /// NAME or NAME=PATH; the name begins with sluicegate, nginx, haproxy or envoy
        /// [default: all that are on PATH]
        #[arg(long = "peer", value_name = "NAME[=PATH]", value_parser = Peer::parse)]
        peers: Vec<Peer>,
        /// One scenario, any number of times [default: all]
        #[arg(long = "scenario", value_name = "NAME")]
        scenarios: Vec<String>,
        /// How often everything is measured
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Length of one measurement
        #[arg(long, default_value_t = 3.0)]
        seconds: f64,
        /// Counts instructions per request as well; needs valgrind
        #[arg(long)]
        instructions: bool,
        /// Where table, plot and every round go
        #[arg(long, default_value = "benches/compare/results")]
        into: PathBuf,
    },
    /// Measures what compression of text costs each peer, at equal levels
    Compress {
        /// NAME or NAME=PATH; the name begins with sluicegate, nginx, haproxy or envoy
        /// [default: all that are on PATH]
        #[arg(long = "peer", value_name = "NAME[=PATH]", value_parser = Peer::parse)]
        peers: Vec<Peer>,
        /// How often everything is measured
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Length of one measurement
        #[arg(long, default_value_t = 2.0)]
        seconds: f64,
        /// Where the table goes
        #[arg(long, default_value = "benches/compare/results")]
        into: PathBuf,
    },
    /// Measures the cost of a request against one size after the other, and of each feature
    Growth {
        /// The proxy: sluicegate or sluicegate=PATH
        #[arg(long = "peer", value_name = "NAME[=PATH]", value_parser = Peer::parse, default_value = OURS)]
        peer: Peer,
        /// One curve, any number of times: routes, endpoints, connections, body, fields,
        /// workers, reloads, features [default: all]
        #[arg(long = "curve", value_name = "NAME")]
        curves: Vec<String>,
        /// Part of the name of a feature, any number of times [default: all]
        #[arg(long = "feature", value_name = "NAME")]
        features: Vec<String>,
        /// How often each point is measured
        #[arg(long, default_value_t = 3)]
        rounds: usize,
        /// Length of one measurement
        #[arg(long, default_value_t = 2.0)]
        seconds: f64,
        /// Counts instructions of each feature as well; needs valgrind
        #[arg(long)]
        instructions: bool,
        /// Where table and plots go
        #[arg(long, default_value = "benches/compare/results")]
        into: PathBuf,
    },
    /// Counts the instructions of five requests and compares them with the record
    Guard {
        /// The proxy: sluicegate or sluicegate=PATH
        #[arg(long = "peer", value_name = "NAME[=PATH]", value_parser = Peer::parse, default_value = OURS)]
        peer: Peer,
        /// What is recorded
        #[arg(long, default_value = "tests/cost/instructions.toml")]
        file: PathBuf,
        /// Records instead of comparing
        #[arg(long)]
        update: bool,
    },
}

/// Our own release build, seen from the root of the repository.
const OURS: &str = "sluicegate=target/release/sluicegate";

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> io::Result<()> {
    match command {
        Command::Run {
            peers,
            scenarios,
            rounds,
            seconds,
            instructions,
            into,
        } => {
            let peers = or_installed(peers)?;
            let scenarios = chosen(&scenarios)?;
            let bench = Bench::new(Duration::from_secs_f64(seconds))?;
            compare::compare(&bench, &peers, &scenarios, rounds, instructions, &into)
        }
        Command::Compress {
            peers,
            rounds,
            seconds,
            into,
        } => {
            let peers = or_installed(peers)?;
            let bench = Bench::new(Duration::from_secs_f64(seconds))?;
            compress::compress(&bench, &peers, rounds, &into)
        }
        Command::Growth {
            peer,
            curves,
            features,
            rounds,
            seconds,
            instructions,
            into,
        } => {
            ours_only(&peer)?;
            let bench = Bench::new(Duration::from_secs_f64(seconds))?;
            let chosen = growth::Chosen { curves, features };
            growth::grow(&bench, &peer, &chosen, rounds, instructions, &into)
        }
        Command::Guard { peer, file, update } => {
            ours_only(&peer)?;
            guard::guard(&Bench::new(Duration::from_secs(1))?, &peer, &file, update)
        }
    }
}

/// These peers, all that are installed if there are none.
fn or_installed(peers: Vec<Peer>) -> io::Result<Vec<Peer>> {
    let peers = match peers.is_empty() {
        true => Peer::installed(),
        false => peers,
    };
    if peers.is_empty() {
        return Err(io::Error::other(
            "no peer is on PATH; name one with --peer NAME=PATH",
        ));
    }
    Ok(peers)
}

/// The scenarios with these names, all if none is named.
fn chosen(names: &[String]) -> io::Result<Vec<scenario::Scenario>> {
    let all = scenario::all();
    if let Some(unknown) = names
        .iter()
        .find(|name| all.iter().all(|one| one.name != **name))
    {
        let known: Vec<&str> = all.iter().map(|one| one.name).collect();
        let known = known.join(", ");
        return Err(io::Error::other(format!(
            "no scenario \"{unknown}\"; there are: {known}"
        )));
    }
    let wanted =
        |one: &scenario::Scenario| names.is_empty() || names.iter().any(|name| name == one.name);
    Ok(all.into_iter().filter(wanted).collect())
}

fn ours_only(peer: &Peer) -> io::Result<()> {
    if peer.is_ours() {
        return Ok(());
    }
    Err(io::Error::other(
        "only sluicegate's own configuration knows what is changed here",
    ))
}
