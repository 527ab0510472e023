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

    /// The places of all lines that a key or a remark is of.
    pub(super) fn places(&self) -> impl Iterator<Item = String> {
        self.entries.iter().flat_map(|entry| match entry {
            Entry::Key { from, .. } => from.iter().map(|it| it.place.clone()).collect(),
            Entry::Needless(known, _) | Entry::Untranslated(known, _) => vec![known.place.clone()],
            Entry::Note(text) => match text.split(": ").next() {
                Some(place) => vec![place.to_owned()],
                None => Vec::new(),
            },
        })
    }

    /// The value of a key, in TOML.
    pub(super) fn value_text(&self, wanted: &str) -> Option<String> {
        self.entries.iter().find_map(|it| match it {
            Entry::Key { key, value, .. } if key == wanted => Some(value.text()),
            _ => None,
        })
    }

    /// The text of a key that is one.
    pub(super) fn text(&self, wanted: &str) -> Option<String> {
        let value = format!("key = {}", self.one(wanted)?);
        let table = toml::from_str::<toml::Table>(&value).ok()?;
        table.get("key")?.as_str().map(str::to_owned)
    }

    /// Gives a value another key; its lines stay.
    pub(super) fn change_key(&mut self, wanted: &str, other: &str) {
        for entry in &mut self.entries {
            if let Entry::Key { key, .. } = entry
                && key == wanted
            {
                other.clone_into(key);
            }
        }
    }

    /// Raises the rank of a route.
    pub(super) fn raise(&mut self, by: usize) {
        if self.name.is_empty() {
            return;
        }
        let rank: usize = self
            .one("priority")
            .and_then(|it| it.parse().ok())
            .unwrap_or(0);
        self.change("priority", (rank + by).to_string());
        self.set_plain("priority", by.to_string());
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
