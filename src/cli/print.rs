//! Output to the terminal, in one place. A reader that has left (`| head`) is not an error: the
//! rest of the output is dropped.

use std::{
    borrow::Cow,
    io::{self, ErrorKind, IsTerminal, Write},
    time::Duration,
};

use serde::Serialize;

use crate::config::Faults;

/// Writes an answer and a line end to standard output.
pub(super) fn answer(text: &str) -> io::Result<()> {
    write_line(&mut io::stdout().lock(), text)
}

/// Text of a time, without the part of a second.
pub(super) fn seconds(ms: u64) -> humantime::FormattedDuration {
    humantime::format_duration(Duration::from_secs(ms / 1000))
}

/// Text of a time in the one unit that a reader thinks in: `13 days`, `5 hours`, `1 minute`.
pub(super) fn rough_time(seconds: u64) -> String {
    let units = [(24 * 3600, "day"), (3600, "hour"), (60, "minute")];
    let unit = units.into_iter().find(|(size, _)| seconds >= 2 * size);
    let (size, name) = unit.unwrap_or((1, "second"));
    let count = usize::try_from(seconds / size).unwrap_or(usize::MAX);
    counted(count, name)
}

/// Writes an answer for programs to standard output.
pub(super) fn json(value: &impl Serialize) -> io::Result<()> {
    let text = serde_json::to_string_pretty(value).map_err(io::Error::other)?;
    answer(&text)
}

/// Writes other output to standard error: faults, warnings, progress.
pub(super) fn remark(text: &str) -> io::Result<()> {
    write_line(&mut io::stderr().lock(), text)
}

/// Shows faults under their lines, in colours on a terminal.
pub(super) fn faults(faults: &Faults) -> io::Result<()> {
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let coloured = io::stderr().is_terminal() && !plain;
    remark(&faults.render(coloured))
}

/// Formats a count with its noun.
pub(super) fn counted(count: usize, what: &str) -> String {
    match count {
        1 => format!("1 {what}"),
        _ => format!("{count} {what}s"),
    }
}

/// Aligns rows in columns, with two spaces between them and before the first.
pub(super) fn columns(rows: &[Vec<Cow<'_, str>>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (cell, width) in row.iter().zip(&widths) {
            line.push_str("  ");
            line.push_str(cell);
            let missing = width.saturating_sub(cell.chars().count());
            line.extend(std::iter::repeat_n(' ', missing));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

fn write_line(out: &mut impl Write, text: &str) -> io::Result<()> {
    let written = out
        .write_all(text.trim_end_matches('\n').as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Refusing(ErrorKind);

    impl Write for Refusing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_reader_that_went_away_is_no_error_and_a_full_disk_is() {
        assert!(write_line(&mut Refusing(ErrorKind::BrokenPipe), "a").is_ok());
        assert!(write_line(&mut Refusing(ErrorKind::StorageFull), "a").is_err());
    }

    #[test]
    fn columns_are_as_wide_as_their_widest_cell() {
        let rows = vec![
            vec!["a".into(), "long".into(), "x".into()],
            vec!["über".into(), String::new().into(), "y".into()],
            vec!["c".into()],
        ];
        assert_eq!(columns(&rows), "  a     long  x\n  über        y\n  c\n");
        assert_eq!(columns(&[]), "");
    }
}
