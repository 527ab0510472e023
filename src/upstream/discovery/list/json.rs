//! Lists in JSON.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

use super::{Item, ListFault, Placed};

/// Reads the entries of a list.
pub(super) fn entries(text: &str) -> Result<Vec<Placed>, ListFault> {
    let list: RawList<'_> = serde_json::from_str(text).map_err(|error| {
        let (line, column) = (error.line().max(1), error.column().max(1));
        ListFault {
            line,
            column,
            message: message(&error),
        }
    })?;
    let entries = list.0.into_iter().map(|raw| {
        // It is a part of the text.
        let at = raw.get().as_ptr().addr() - text.as_ptr().addr();
        let item = serde_json::from_str::<Item>(raw.get());
        item.map(|item| (at, item))
            .map_err(|error| (at + place(raw.get(), &error), message(&error)))
    });
    Ok(entries.collect())
}

/// Returns the place of a fault in an entry.
fn place(entry: &str, error: &serde_json::Error) -> usize {
    let lines = entry.split_inclusive('\n');
    let before: usize = lines
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    before + error.column().saturating_sub(1)
}

fn message(error: &serde_json::Error) -> String {
    let text = error.to_string();
    let message = text.rsplit_once(" at line ");
    message.map_or(&*text, |(message, _)| message).to_owned()
}

/// The entries as text.
struct RawList<'a>(Vec<&'a RawValue>);

impl<'de: 'a, 'a> Deserialize<'de> for RawList<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor).map(RawList)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of endpoints")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut list: Option<RawList<'de>> = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != "endpoints" {
                map.next_value::<IgnoredAny>()?;
                return Err(de::Error::unknown_field(&key, &["endpoints"]));
            }
            if list.replace(map.next_value()?).is_some() {
                return Err(de::Error::duplicate_field("endpoints"));
            }
        }
        let list = list.ok_or_else(|| de::Error::missing_field("endpoints"))?;
        Ok(list.0)
    }
}
