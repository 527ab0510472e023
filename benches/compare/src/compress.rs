//! The cost of compression: text at equal levels, by the processor time that it takes.

use std::{fmt::Write as _, fs, io, path::Path};

use crate::{
    figures::{Spread, short},
    load::{Load, Version},
    measure::{Bench, Round},
    message::Request,
    peer::{Coding, Compress, Peer, Setup},
    scenario::{self, Scenario},
    system,
};

/// Codings and levels: those that are usual, and the fastest of gzip.
const CASES: [Option<Compress>; 5] = [
    None,
    Some(Compress {
        coding: Coding::Gzip,
        level: 1,
    }),
    Some(Compress {
        coding: Coding::Gzip,
        level: 6,
    }),
    Some(Compress {
        coding: Coding::Brotli,
        level: 4,
    }),
    Some(Compress {
        coding: Coding::Zstd,
        level: 3,
    }),
];

/// Bytes of an answer before it is compressed.
const TEXT: u64 = 64 * 1024;

/// Measures each peer with each coding that it has, in turns; writes a table into the folder.
///
/// # Errors
/// If the table cannot be written. A peer that fails is told, and left out of that line.
pub(crate) fn compress(
    bench: &Bench,
    peers: &[Peer],
    rounds: usize,
    folder: &Path,
) -> io::Result<()> {
    let mut measured = vec![vec![Vec::new(); peers.len()]; CASES.len()];
    for turn in 0..rounds {
        for (case, compress) in CASES.into_iter().enumerate() {
            for at in 0..peers.len() {
                // Who comes first changes from round to round.
                let at = (at + turn) % peers.len();
                let peer = &peers[at];
                if compress.is_some_and(|it| !peer.has(it.coding)) {
                    continue;
                }
                match bench.measure(peer, &scenario_of(compress)) {
                    Ok(round) => {
                        let (speed, failed) = (short(megabytes(&round)), round.failed);
                        let name = name_of(compress);
                        eprintln!("{name} {}: {speed} MB, {failed} failed", peer.name);
                        measured[case][at].push(round);
                    }
                    Err(error) => eprintln!("{}: {error}", peer.name),
                }
            }
        }
    }
    let table = table(bench, peers, rounds, &measured);
    println!("\n{table}");
    fs::create_dir_all(folder)?;
    fs::write(folder.join("compress.md"), table)
}

fn table(bench: &Bench, peers: &[Peer], rounds: usize, measured: &[Vec<Vec<Round>>]) -> String {
    let mut text = format!(
        "# Compression\n\nMB of text per second of processor time, and what is left of it. JSON, {} KiB an answer, HTTP/2 over \
         TLS, 8 × 8 streams, one worker; {rounds} rounds of {:?}, medians. {}.\n\n",
        TEXT / 1024,
        bench.length,
        system::machine(),
    );
    for peer in peers {
        // Writing to a String does not fail.
        let _ = writeln!(text, "- {}: {}", peer.name, peer.version());
    }
    text.push_str("\n| |");
    for peer in peers {
        let _ = write!(text, " {} | left |", peer.name);
    }
    text.push_str("\n|---|");
    text.push_str(&"---:|---:|".repeat(peers.len()));
    for (compress, row) in CASES.into_iter().zip(measured) {
        let _ = write!(text, "\n| {} |", name_of(compress));
        for rounds in row {
            let _ = match (Spread::of(rounds, megabytes), Spread::of(rounds, left)) {
                (Some(speed), Some(left)) => write!(text, " {speed} | {} % |", short(left.median)),
                _ => write!(text, " – | – |"),
            };
        }
    }
    text.push('\n');
    text
}

fn scenario_of(compress: Option<Compress>) -> Scenario {
    let setup = Setup {
        compress,
        ..Setup::default()
    };
    let coding = compress.map_or("identity", |it| it.coding.word());
    let load = Load {
        version: Version::Http2 { streams: 8 },
        ..scenario::load(Request::get_text(TEXT, coding), 8)
    };
    scenario::saturate("compress", "", load)
        .with(setup)
        .over_tls()
}

fn name_of(compress: Option<Compress>) -> String {
    compress.map_or_else(
        || "not compressed".to_owned(),
        |it| format!("{}, level {}", it.coding.word(), it.level),
    )
}

/// Megabytes of text that a second of processor time compresses.
fn megabytes(round: &Round) -> f64 {
    (round.done * TEXT) as f64 / 1e6 / round.cpu.total().as_secs_f64()
}

/// Percent of the text that reach the client, heads among them.
fn left(round: &Round) -> f64 {
    100.0 * round.bytes as f64 / (round.done * TEXT) as f64
}
