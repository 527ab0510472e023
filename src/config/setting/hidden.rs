//! Parts of a configuration that must not be shown: values from the environment and from files,
//! secrets, and header fields that carry credentials.
//!
//! A value is known by its place in the printed tree, so that it is masked there for every type;
//! and by its text, so that it can be removed from messages. The files read for values are kept as
//! well, to notice changes.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
};

use serde_json::Value;

use crate::config::value::secret::MASK;
use crate::tls::Stamps;

/// The values of one configuration that must not be shown.
#[derive(Clone, Default)]
pub struct Hidden {
    /// By place: the steps to it, each followed by a NUL.
    texts: BTreeMap<String, String>,
    files: BTreeMap<PathBuf, Stamps>,
}

impl Hidden {
    /// Hides the value at a place of the printed tree.
    pub(super) fn add(&mut self, place: &[String], text: String) {
        self.texts.insert(joined(place), text);
    }

    /// Notes a file that was read for a value, with its stamps from before the reading.
    pub(in crate::config) fn add_file(&mut self, path: &Path, looked: Stamps) {
        self.files.insert(path.to_owned(), looked);
    }

    /// Gives the files that values were read from, and how they looked then.
    pub fn files(&self) -> &BTreeMap<PathBuf, Stamps> {
        &self.files
    }

    /// Tells whether nothing is hidden.
    pub fn is_empty(&self) -> bool {
        self.texts.is_empty()
    }

    /// Returns the hidden values at this place, around it or within it, in the clear.
    pub(in crate::config) fn at<S: AsRef<str>>(&self, place: &[S]) -> Vec<&str> {
        if self.texts.is_empty() {
            return Vec::new();
        }
        let whole = joined(place);
        let within = self.texts.range(whole.clone()..);
        let within = within.take_while(|(at, _)| at.starts_with(&whole));
        let around = (1..place.len()).filter_map(|end| self.texts.get(&joined(&place[..end])));
        let within = within.map(|(_, text)| text);
        around.chain(within).map(String::as_str).collect()
    }

    /// Masks the hidden places of a printed configuration.
    #[must_use]
    pub fn mask(&self, mut printed: Value) -> Value {
        for (place, text) in &self.texts {
            let mut steps = place.split_terminator('\0');
            if let Some(value) = find(&mut printed, &mut steps) {
                mask_value(value, text);
            }
        }
        printed
    }

    /// Masks the hidden texts within a message: between quotes, or as whole words if they are
    /// not too short for that.
    pub fn mask_text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let mut masked = Cow::Borrowed(text);
        for hidden in self.texts.values().filter(|hidden| !hidden.is_empty()) {
            if masked.contains(hidden.as_str()) {
                masked = Cow::Owned(replace(&masked, hidden));
            }
        }
        masked
    }

    /// Masks the hidden texts within every sentence of a value; a string that is nothing else
    /// is a name.
    pub fn mask_sentences(&self, value: &mut Value) {
        if self.texts.is_empty() {
            return;
        }
        match value {
            Value::String(text) => {
                let is_sentence = text.contains(' ');
                if is_sentence && let Cow::Owned(masked) = self.mask_text(text) {
                    *text = masked;
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.mask_sentences(item)),
            Value::Object(map) => map.values_mut().for_each(|item| self.mask_sentences(item)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} hidden", self.texts.len())
    }
}

fn joined<S: AsRef<str>>(place: &[S]) -> String {
    let mut text = String::new();
    for step in place {
        text.push_str(step.as_ref());
        text.push('\0');
    }
    text
}

fn find<'v, 's>(
    value: &'v mut Value,
    place: &mut impl Iterator<Item = &'s str>,
) -> Option<&'v mut Value> {
    let Some(step) = place.next() else {
        return Some(value);
    };
    let inner = match value {
        Value::Object(map) => map.get_mut(step)?,
        Value::Array(items) => items.get_mut(step.parse::<usize>().ok()?)?,
        // It prints as less than it was written as.
        other => return Some(other),
    };
    find(inner, place)
}

/// Masks a value written in its short form, which prints as a table: only its text is masked there.
fn mask_value(value: &mut Value, text: &str) {
    if let Value::Object(map) = value {
        let mut said = map.values_mut().filter(|it| it.as_str() == Some(text));
        if let Some(said) = said.next() {
            *said = MASK.into();
            return;
        }
    }
    *value = MASK.into();
}

fn replace(text: &str, hidden: &str) -> String {
    let mut masked = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(hidden) {
        let end = at + hidden.len();
        let before = rest[..at]
            .chars()
            .next_back()
            .or_else(|| masked.chars().next_back());
        let after = rest[end..].chars().next();
        let is_quoted = before == Some('"') && after == Some('"');
        let is_edge = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
        let is_word = hidden.len() >= WORD_BYTES_MIN && is_edge(before) && is_edge(after);
        masked.push_str(&rest[..at]);
        masked.push_str(if is_quoted || is_word { MASK } else { hidden });
        rest = &rest[end..];
    }
    masked.push_str(rest);
    masked
}

/// Shorter texts, such as a number, occur in messages by chance.
const WORD_BYTES_MIN: usize = 4;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn hidden(places: &[(&str, &str)]) -> Hidden {
        let mut hidden = Hidden::default();
        for (place, text) in places {
            let place: Vec<String> = place.split('.').map(str::to_owned).collect();
            hidden.add(&place, (*text).to_owned());
        }
        hidden
    }

    #[test]
    fn a_place_is_masked_whatever_stands_there() {
        let hidden = hidden(&[("a.0", "x"), ("b", "y"), ("c", "503"), ("gone.1", "z")]);
        let printed = json!({ "a": [{ "address": "x", "weight": 1 }, "x"], "b": "y", "c": 503 });
        let masked =
            json!({ "a": [{ "address": "***", "weight": 1 }, "x"], "b": "***", "c": "***" });
        assert_eq!(hidden.mask(printed), masked);
        assert_eq!(hidden.at(&["b"]), ["y"]);
        assert_eq!(hidden.at(&["a", "0", "address"]), ["x"]);
        assert_eq!(hidden.at(&["a"]), ["x"]);
        assert!(hidden.at(&["a", "1"]).is_empty());
    }

    #[test]
    fn a_text_is_masked_in_messages_where_it_is_no_accident() {
        let hidden = hidden(&[("a", "80"), ("b", "hunter2")]);
        let masked = |text: &str| hidden.mask_text(text).into_owned();
        assert_eq!(masked("port 80 and \"80\""), "port 80 and \"***\"");
        assert_eq!(masked("hunter2: hunter2, hunter22"), "***: ***, hunter22");
        assert_eq!(format!("{hidden:?}"), "2 hidden");
    }
}
