//! The comparison: peers take turns, scenario by scenario, round by round.

use std::{fmt::Write as _, fs, io, path::Path};

use crate::{
    count,
    figures::{Spread, short},
    measure::{Bench, Round},
    peer::Peer,
    plot::{self, Bars},
    scenario::{Scenario, Work},
    system,
};

/// What was measured: the rounds of each peer at each scenario.
struct Results<'a> {
    peers: &'a [Peer],
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    scenario: &'a Scenario,
    /// For each peer its rounds.
    rounds: Vec<Vec<Round>>,
    /// For each peer the instructions of a request, where they were counted.
    instructions: Vec<Option<f64>>,
}

/// Measures, and writes the table, the plot and every single round into a folder.
///
/// # Errors
/// If a file cannot be written. A peer that fails is told, and left out of that line.
pub(crate) fn compare(
    bench: &Bench,
    peers: &[Peer],
    scenarios: &[Scenario],
    rounds: usize,
    with_instructions: bool,
    folder: &Path,
) -> io::Result<()> {
    let rows = scenarios.iter().map(|scenario| Row {
        scenario,
        rounds: vec![Vec::new(); peers.len()],
        instructions: vec![None; peers.len()],
    });
    let mut results = Results {
        peers,
        rows: rows.collect(),
    };
    for turn in 0..rounds {
        for row in &mut results.rows {
            for at in 0..peers.len() {
                // Who comes first changes from round to round.
                let at = (at + turn) % peers.len();
                row.measure(bench, &peers[at], at);
            }
        }
    }
    if with_instructions {
        for row in &mut results.rows {
            row.count(bench, peers);
        }
    }
    fs::create_dir_all(folder)?;
    let table = results.table(bench, rounds);
    println!("\n{table}");
    fs::write(folder.join("compare.md"), table)?;
    fs::write(folder.join("compare.csv"), results.every_round())?;
    fs::write(folder.join("compare.svg"), plot::bars(&results.bars()))
}

impl Row<'_> {
    fn measure(&mut self, bench: &Bench, peer: &Peer, at: usize) {
        let name = self.scenario.name;
        match bench.measure(peer, self.scenario) {
            Ok(round) => {
                let what = match self.scenario.work {
                    Work::Saturate(_) => format!("{} us", short(round.cpu_us())),
                    Work::Transfer(_) => format!("{} GB", short(round.gigabytes_per_cpu_second())),
                    Work::Pace(_) => format!("{:?} us", round.latency_us.unwrap_or_default()),
                    Work::Idle(_) => format!("{} KiB", short(round.kib_per_connection())),
                };
                let (foreign, failed) = (short(round.foreign), round.failed);
                let fault = round
                    .fault
                    .map_or_else(String::new, |fault| format!(": {fault}"));
                eprintln!(
                    "{name} {}: {what}, {failed} failed{fault}, others {foreign}",
                    peer.name
                );
                self.rounds[at].push(round);
            }
            Err(error) => eprintln!("{name} {}: {error}", peer.name),
        }
    }

    fn count(&mut self, bench: &Bench, peers: &[Peer]) {
        let Some(scenario) = count::on_one_connection(self.scenario) else {
            return;
        };
        for (at, peer) in peers.iter().enumerate() {
            match count::instructions(bench, peer, &scenario) {
                Ok(count) => self.instructions[at] = Some(count),
                Err(error) => eprintln!("{} {}: {error}", scenario.name, peer.name),
            }
        }
    }

    /// Its line of cells, one for each peer.
    fn cells(&self, figure: impl Fn(&Round) -> f64) -> Vec<String> {
        let spread = |rounds: &Vec<Round>| Spread::of(rounds, &figure);
        let cell =
            |spread: Option<Spread>| spread.map_or_else(|| "–".to_owned(), |it| it.to_string());
        self.rounds.iter().map(spread).map(cell).collect()
    }
}

impl Results<'_> {
    fn table(&self, bench: &Bench, rounds: usize) -> String {
        let mut text = format!(
            "On {}; medians of {rounds} rounds of {} s, in brackets the range.\n\n",
            system::machine(),
            bench.length.as_secs_f64(),
        );
        for peer in self.peers {
            let _ = writeln!(text, "- {}: {}", peer.name, peer.version());
        }
        let saturated = |work: &Work| matches!(work, Work::Saturate(_));
        let moved = |work: &Work| matches!(work, Work::Transfer(_));
        let paced = |work: &Work| matches!(work, Work::Pace(_));
        let idle = |work: &Work| matches!(work, Work::Idle(_));
        self.part(
            &mut text,
            "Processor time per request, µs",
            saturated,
            Round::cpu_us,
        );
        self.part(
            &mut text,
            "Of that, outside the kernel",
            saturated,
            |round| round.cpu.user.as_secs_f64() * 1e6 / round.done as f64,
        );
        self.part(
            &mut text,
            "Requests per second",
            saturated,
            Round::requests_per_second,
        );
        self.part(
            &mut text,
            "Processors that it kept busy meanwhile",
            saturated,
            Round::processors,
        );
        self.counts(&mut text);
        let moves = "Bodies moved per second of processor time, GB";
        self.part(&mut text, moves, moved, Round::gigabytes_per_cpu_second);
        for (at, name) in ["median", "99 %", "99.9 %"].into_iter().enumerate() {
            let title = format!("Latency at a fixed rate, {name}, µs");
            self.part(&mut text, &title, paced, |round| {
                round
                    .latency_us
                    .map_or(f64::NAN, |latency| f64::from(latency[at]))
            });
        }
        self.part(
            &mut text,
            "Memory per connection, KiB",
            idle,
            Round::kib_per_connection,
        );
        self.part(&mut text, "Memory before them, MiB", idle, |round| {
            round.memory[0] as f64 / 1024.0 / 1024.0
        });
        text
    }

    /// A table of those rows that are of this kind; nothing if none is.
    fn part(
        &self,
        text: &mut String,
        title: &str,
        kind: impl Fn(&Work) -> bool,
        figure: impl Fn(&Round) -> f64,
    ) {
        let rows = self.rows.iter().filter(|row| kind(&row.scenario.work));
        let lines = rows.map(|row| (row.scenario, row.cells(&figure)));
        self.write(text, title, lines.collect());
    }

    fn counts(&self, text: &mut String) {
        let counted = |row: &&Row<'_>| row.instructions.iter().any(Option::is_some);
        let cell = |count: &Option<f64>| count.map_or_else(|| "–".to_owned(), short);
        let rows = self.rows.iter().filter(counted);
        let lines = rows.map(|row| (row.scenario, row.instructions.iter().map(cell).collect()));
        self.write(
            text,
            "Instructions per request, on one connection",
            lines.collect(),
        );
    }

    fn write(&self, text: &mut String, title: &str, lines: Vec<(&Scenario, Vec<String>)>) {
        if lines.is_empty() {
            return;
        }
        let names = self
            .peers
            .iter()
            .map(|peer| peer.name.as_str())
            .collect::<Vec<_>>();
        let _ = write!(
            text,
            "\n## {title}\n\n| scenario | | {} |\n|---|---",
            names.join(" | ")
        );
        let _ = writeln!(text, "{}|", "|---:".repeat(names.len()));
        for (scenario, cells) in lines {
            let _ = writeln!(
                text,
                "| {} | {} | {} |",
                scenario.name,
                scenario.about,
                cells.join(" | ")
            );
        }
    }

    fn bars(&self) -> Bars {
        let saturated = self
            .rows
            .iter()
            .filter(|row| matches!(row.scenario.work, Work::Saturate(_)));
        let values = |row: &Row<'_>| {
            let spread = |rounds: &Vec<Round>| Spread::of(rounds, Round::cpu_us);
            row.rounds.iter().map(spread).collect()
        };
        Bars {
            title: "Processor time per request; the first is 1, shorter is better".to_owned(),
            series: self.peers.iter().map(|peer| peer.name.clone()).collect(),
            groups: saturated
                .map(|row| (row.scenario.about.to_owned(), values(row)))
                .collect(),
        }
    }

    fn every_round(&self) -> String {
        let mut text = "scenario,peer,done,failed,seconds,user_s,system_s,bytes,p50_us,p99_us,p999_us,memory_before,memory_with,foreign\n".to_owned();
        for row in &self.rows {
            for (peer, rounds) in self.peers.iter().zip(&row.rounds) {
                for round in rounds {
                    let latency = round
                        .latency_us
                        .map(|latency| latency.map(|us| us.to_string()));
                    let latency = latency.unwrap_or_default().join(",");
                    let _ = writeln!(
                        text,
                        "{},{},{},{},{:.3},{:.3},{:.3},{},{latency},{},{},{:.3}",
                        row.scenario.name,
                        peer.name,
                        round.done,
                        round.failed,
                        round.took.as_secs_f64(),
                        round.cpu.user.as_secs_f64(),
                        round.cpu.system.as_secs_f64(),
                        round.bytes,
                        round.memory[0],
                        round.memory[1],
                        round.foreign,
                    );
                }
            }
        }
        text
    }
}
