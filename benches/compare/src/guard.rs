//! The comparison of the instructions of five requests with what is recorded.

use std::{fmt::Write as _, fs, io, path::Path};

use crate::{count, measure::Bench, peer::Peer};

/// How much more than recorded is a change: the count itself moves by a third of it.
const TOLERANCE: f64 = 0.03;
/// How often one is counted that takes more; the least stands.
const TRIES: usize = 3;

/// Counts, and compares with the file or writes it. Gives what is worse, if anything is.
///
/// # Errors
/// If it cannot be counted, or the file not be read.
pub(crate) fn guard(bench: &Bench, peer: &Peer, file: &Path, update: bool) -> io::Result<()> {
    let recorded: toml::Table = if update {
        toml::Table::new()
    } else {
        fs::read_to_string(file)?
            .parse()
            .map_err(io::Error::other)?
    };
    let mut measured = Vec::new();
    for scenario in count::recorded() {
        let mut least = f64::INFINITY;
        // A count hangs a little on who waited for whom; a change shows each time.
        for _ in 0..TRIES {
            least = least.min(count::instructions(bench, peer, &scenario)?);
            let before = recorded
                .get(scenario.name)
                .and_then(toml::Value::as_integer);
            if before.is_some_and(|before| least <= before as f64 * (1.0 + TOLERANCE)) {
                break;
            }
        }
        println!("{:<20} {least:>9.0} instructions a request", scenario.name);
        measured.push((scenario.name, least));
    }
    if update {
        return fs::write(file, text(&measured));
    }
    let worse = worse(&measured, &recorded).map_err(io::Error::other)?;
    if worse.is_empty() {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "the path of a request takes more instructions:\n{worse}\
         if that is wanted, UPDATE=1 bash tests/cost/run records it, and the commit says why"
    )))
}

/// A line for each that takes more than is recorded.
fn worse(measured: &[(&str, f64)], recorded: &toml::Table) -> Result<String, String> {
    let mut worse = String::new();
    for (name, count) in measured {
        let before = recorded.get(*name).and_then(toml::Value::as_integer);
        let before = before.ok_or_else(|| format!("{name} is not recorded"))? as f64;
        let change = count / before - 1.0;
        if change > TOLERANCE {
            // Writing to a String does not fail.
            let _ = writeln!(
                worse,
                "{name}: {count:.0}, recorded {before} ({:+.1} %)",
                change * 100.0
            );
        } else if change < -TOLERANCE {
            println!(
                "{name} takes {:.1} % less than recorded: UPDATE=1 keeps it so",
                -change * 100.0
            );
        }
    }
    Ok(worse)
}

fn text(measured: &[(&str, f64)]) -> String {
    let mut text =
        "# Instructions that the release build takes for a request, outside the kernel.\n\
        # `UPDATE=1 bash tests/cost/run` writes it anew.\n"
            .to_owned();
    for (name, count) in measured {
        let _ = writeln!(text, "{name} = {count:.0}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_more_than_the_tolerance_is_worse() {
        let recorded = text(&[("a", 1_000.0), ("b", 1_000.0), ("c", 1_000.0)]);
        let measured = [("a", 1_029.0), ("b", 1_031.0), ("c", 500.0)];
        let worse = worse(&measured, &recorded.parse().unwrap()).unwrap();
        assert_eq!(worse, "b: 1031, recorded 1000 (+3.1 %)\n");
    }

    #[test]
    fn what_is_not_recorded_is_a_fault() {
        assert!(worse(&[("new", 1.0)], &toml::Table::new()).is_err());
    }
}
