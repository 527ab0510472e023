//! Keys of a table by their text, and lines by their place.

use super::table::{Entry, Source, Table, Value};

impl Table {
    /// Returns true if a key or a remark is of this line, or of lines with it among them.
    pub(super) fn names(&self, place: &str) -> bool {
        let covers = |source: &Source| {
            let (Some(known), Some(wanted)) = (split(&source.place), split(place)) else {
                return false;
            };
            known.0 == wanted.0 && known.1 <= wanted.1 && wanted.2 <= known.2
        };
        self.entries.iter().any(|entry| match entry {
            Entry::Key { from, .. } => from.iter().any(covers),
            Entry::Needless(known, _) | Entry::Untranslated(known, _) => covers(known),
            Entry::Note(text) => text.starts_with(&format!("{place}:")),
        })
    }

    /// The text of a key that is one.
    pub(super) fn text(&self, wanted: &str) -> Option<String> {
        let value = format!("key = {}", self.one(wanted)?);
        let table = toml::from_str::<toml::Table>(&value).ok()?;
        table.get("key")?.as_str().map(str::to_owned)
    }

    /// Gives a key another value; its lines stay.
    pub(super) fn change(&mut self, wanted: &str, text: String) {
        for entry in &mut self.entries {
            if let Entry::Key { key, value, .. } = entry
                && key == wanted
            {
                *value = Value::One(text);
                return;
            }
        }
    }
}

/// The file, the first line and the last one of a place such as `a.yml:3-5`.
fn split(place: &str) -> Option<(&str, usize, usize)> {
    let (file, lines) = place.rsplit_once(':')?;
    let (from, to) = lines.split_once('-').unwrap_or((lines, lines));
    Some((file, from.parse().ok()?, to.parse().ok()?))
}
