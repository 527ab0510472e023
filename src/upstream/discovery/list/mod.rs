//! Lists of endpoints as text: our own form in JSON or TOML, or that of Prometheus' `file_sd`.
//!
//! An entry is an address, or a table with the keys of `endpoints` in `proxy.toml`. A group of
//! `file_sd` is a table with `targets` and `labels`; its labels `version`, `zone`, `weight` and
//! `priority` have their usual meaning. One fault refuses the whole text, with its position.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    path::Path,
};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use crate::{
    config::value::{EndpointAddress, picker::WEIGHT_MAX},
    file::Lines,
    upstream::endpoint::Endpoint,
};

/// Form of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `["10.0.0.1:80", { "address": …, "weight": 3 }]`, or groups of `file_sd`.
    Json,
    /// `endpoints = ["10.0.0.1:80", { address = …, weight = 3 }]`.
    Toml,
}

/// A fault of a list, and its position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct ListFault {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// The fault.
    pub message: String,
}

impl Format {
    /// Returns the form of a file of this name: TOML if it ends in `.toml`, else JSON.
    pub fn of(path: &Path) -> Self {
        match path.extension() {
            Some(extension) if extension.eq_ignore_ascii_case("toml") => Self::Toml,
            Some(_) | None => Self::Json,
        }
    }
}

/// Reads a list. Relative paths of unix sockets are taken from `base`.
///
/// # Errors
/// The first fault.
pub fn parse(text: &str, format: Format, base: &Path) -> Result<Vec<Endpoint>, ListFault> {
    let list: List = match format {
        Format::Json => serde_json::from_str(text).map_err(|error| of_json(&error))?,
        Format::Toml => toml::from_str(text).map_err(|error| of_toml(text, &error))?,
    };
    let mut endpoints = Vec::with_capacity(list.0.len());
    let mut known = HashSet::with_capacity(list.0.len());
    for entry in list.0 {
        let fault = |message: String| {
            let (line, column) = find(text, &entry.address);
            ListFault {
                line,
                column,
                message,
            }
        };
        let address = EndpointAddress::parse(&entry.address, base);
        let address = address.map_err(|mismatch| fault(mismatch.message.clone()))?;
        if !known.insert(address.to_string()) {
            return Err(fault(format!("{address} is listed twice")));
        }
        endpoints.push(endpoint(address, entry.about));
    }
    Ok(endpoints)
}

/// Reads the value of a key of a registry: an address, an entry as in a list, or a group of
/// `file_sd`.
///
/// # Errors
/// The fault, in words.
pub(super) fn parse_entry(text: &str, base: &Path) -> Result<Vec<Endpoint>, String> {
    let text = text.trim();
    let list = if text.starts_with(['{', '"']) {
        format!("[{text}]")
    } else {
        serde_json::json!([text]).to_string()
    };
    let endpoints = parse(&list, Format::Json, base).map_err(|fault| fault.message)?;
    if endpoints.is_empty() {
        return Err("it names no endpoint".to_owned());
    }
    Ok(endpoints)
}

fn endpoint(address: EndpointAddress, about: About) -> Endpoint {
    Endpoint {
        weight: about.weight,
        zone: about.zone.map(Into::into),
        priority: about.priority,
        labels: about.labels,
        ..Endpoint::new(address, about.version)
    }
}

/// Returns the position of an address in the text: faults of endpoints are known only when all is
/// read.
fn find(text: &str, address: &str) -> (usize, usize) {
    let written = [format!("\"{address}\""), format!("'{address}'")];
    // Of one that is listed twice the last place is the wrong one.
    let at = written
        .iter()
        .filter_map(|written| text.rfind(written))
        .max();
    Lines::of(text).position(text, at.unwrap_or(0))
}

fn of_json(error: &serde_json::Error) -> ListFault {
    let text = error.to_string();
    let message = text
        .rsplit_once(" at line ")
        .map_or(&*text, |(message, _)| message);
    ListFault {
        line: error.line().max(1),
        column: error.column().max(1),
        message: message.to_owned(),
    }
}

fn of_toml(text: &str, error: &toml::de::Error) -> ListFault {
    let at = error.span().map_or(0, |span| span.start);
    let (line, column) = Lines::of(text).position(text, at);
    ListFault {
        line,
        column,
        message: error.message().replace('\n', ", "),
    }
}

/// All entries, in the order of the text.
struct List(Vec<Entry>);

struct Entry {
    address: String,
    about: About,
}

/// Properties of an endpoint besides its address.
#[derive(Clone)]
struct About {
    weight: u32,
    version: Option<semver::Version>,
    zone: Option<String>,
    priority: u32,
    labels: BTreeMap<String, String>,
}

impl Default for About {
    fn default() -> Self {
        Self {
            weight: 1,
            version: None,
            zone: None,
            priority: 0,
            labels: BTreeMap::new(),
        }
    }
}

impl<'de> Deserialize<'de> for List {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor)
    }
}

struct ListVisitor;

impl<'de> Visitor<'de> for ListVisitor {
    type Value = List;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of endpoints")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<List, A::Error> {
        let mut list = Vec::new();
        while let Some(Item(entries)) = items.next_element()? {
            list.extend(entries);
            if list.len() > ENDPOINTS_MAX {
                let message = format!("more than {ENDPOINTS_MAX} endpoints");
                return Err(de::Error::custom(message));
            }
        }
        Ok(List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<List, A::Error> {
        let mut list = None;
        while let Some(key) = map.next_key::<String>()? {
            if key != "endpoints" {
                return Err(de::Error::unknown_field(&key, &["endpoints"]));
            }
            if list.replace(map.next_value()?).is_some() {
                return Err(de::Error::duplicate_field("endpoints"));
            }
        }
        list.ok_or_else(|| de::Error::missing_field("endpoints"))
    }
}

/// An address, a table about one endpoint, or a group of `file_sd`.
struct Item(Vec<Entry>);

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an address, a table with \"address\", or one with \"targets\"")
    }

    fn visit_str<E: de::Error>(self, address: &str) -> Result<Item, E> {
        Ok(Item(vec![Entry {
            address: address.to_owned(),
            about: About::default(),
        }]))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
        let mut address: Option<String> = None;
        let mut targets: Option<Vec<String>> = None;
        let mut about = About::default();
        while let Some(key) = map.next_key::<String>()? {
            match &*key {
                "address" => address = Some(map.next_value()?),
                "targets" => targets = Some(map.next_value()?),
                "weight" => {
                    about.weight = map.next_value()?;
                    check_weight(about.weight)?;
                }
                "version" => about.version = Some(version(&map.next_value::<String>()?)?),
                "zone" => about.zone = map.next_value()?,
                "priority" => about.priority = map.next_value()?,
                "labels" => about.labels = map.next_value()?,
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    return Err(de::Error::unknown_field(&key, &KEYS));
                }
            }
        }
        match (address, targets) {
            (Some(address), None) => Ok(Item(vec![Entry { address, about }])),
            (None, Some(targets)) => {
                let about = labelled(about)?;
                let entries = targets.into_iter().map(|address| Entry {
                    address,
                    about: about.clone(),
                });
                Ok(Item(entries.collect()))
            }
            (Some(_), Some(_)) => Err(de::Error::custom("both \"address\" and \"targets\"")),
            (None, None) => Err(de::Error::missing_field("address")),
        }
    }
}

/// Applies the labels of a group to its endpoints. A version that is not valid semver is a label
/// like any other.
fn labelled<E: de::Error>(mut about: About) -> Result<About, E> {
    let number = |label: &str, text: &str| {
        let number = text.parse::<u32>();
        number.map_err(|_| E::custom(format!("the label {label} is \"{text}\", not a number")))
    };
    if let Some(text) = about.labels.get("weight") {
        about.weight = number("weight", text)?;
        check_weight(about.weight)?;
    }
    if let Some(text) = about.labels.get("priority") {
        about.priority = number("priority", text)?;
    }
    if let Some(text) = about.labels.get("version") {
        about.version = text.strip_prefix('v').unwrap_or(text).parse().ok();
    }
    about.zone = about.labels.get("zone").cloned().or(about.zone);
    Ok(about)
}

fn check_weight<E: de::Error>(weight: u32) -> Result<(), E> {
    if weight > WEIGHT_MAX {
        return Err(E::custom(format!(
            "a weight of {weight}, more than {WEIGHT_MAX}"
        )));
    }
    Ok(())
}

fn version<E: de::Error>(text: &str) -> Result<semver::Version, E> {
    let parsed = text.parse();
    parsed.map_err(|error| E::custom(format!("\"{text}\" is not a version: {error}")))
}

const KEYS: [&str; 7] = [
    "address", "weight", "version", "zone", "priority", "labels", "targets",
];
/// Maximum number of endpoints of one list.
pub const ENDPOINTS_MAX: usize = 50_000;

#[cfg(test)]
mod tests;
