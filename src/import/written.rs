//! The text of a table.

use std::{collections::HashSet, fmt::Write as _};

use super::{
    table::{Entry, Source, Table},
    text::comment,
};

impl Table {
    /// The lines that are not translated.
    pub(super) fn untranslated_lines(&self) -> impl Iterator<Item = &Source> {
        self.entries.iter().filter_map(|it| match it {
            Entry::Untranslated(line, _) => Some(line),
            _ => None,
        })
    }

    /// Writes the table; `told` has the lines that were told as not translated before.
    pub(super) fn write<'t>(&'t self, text: &mut String, told: &mut HashSet<&'t Source>) {
        // Writing to a text does not fail.
        let _ = match &*self.name {
            "" if text.is_empty() => Ok(()),
            "" => writeln!(text),
            name => writeln!(text, "\n[{name}]"),
        };
        for entry in &self.entries {
            match entry {
                Entry::Key { from, key, value } => {
                    for source in from {
                        comment(text, &format!("{}: {}", source.place, source.text));
                    }
                    let _ = writeln!(text, "{key} = {}", value.text());
                }
                Entry::Needless(line, why) => {
                    let Source {
                        place,
                        text: written,
                    } = line;
                    comment(text, &format!("{place}: {written} (nothing to do: {why})"));
                }
                Entry::Untranslated(line, what_to_do) => {
                    let Source {
                        place,
                        text: written,
                    } = line;
                    // A line that concerns several tables is one line to see to.
                    let sign = match told.insert(line) {
                        true => "NOT TRANSLATED",
                        false => "As above,",
                    };
                    comment(text, &format!("{sign} {place}: {written} — {what_to_do}"));
                }
                Entry::Note(note) => comment(text, note),
            }
        }
    }
}
