//! Lists of endpoints as text: our own form in JSON or TOML, or that of Prometheus' `file_sd`.
//!
//! An entry is an address, or a table with the keys of `endpoints` in `proxy.toml`. A group of
//! `file_sd` is a table with `targets` and `labels`; its labels `version`, `zone`, `weight` and
//! `priority` have their usual meaning. A fault of an entry costs that entry; one of the text, all of
//! it. Both are told with their position.

mod json;

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    path::Path,
};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, Visitor},
};
use toml::Spanned;

use super::EndpointList;

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

/// Reads a list. Relative paths of unix sockets are taken from `base`. An entry that cannot be used
/// is left out, and noted with its position.
///
/// # Errors
/// The fault because of which no entry can be read.
pub fn parse(text: &str, format: Format, base: &Path) -> Result<EndpointList, ListFault> {
    let entries = match format {
        Format::Json => json::entries(text)?,
        Format::Toml => toml_entries(text)?,
    };
    let lines = Lines::of(text);
    let mut list = EndpointList::default();
    let mut known = HashSet::with_capacity(entries.len());
    for entry in entries {
        let fault = |at: usize, message: String| {
            let (line, column) = lines.position(text, at);
            ListFault {
                line,
                column,
                message,
            }
        };
        let members = match entry {
            Ok((at, Item(members))) => members.into_iter().map(move |member| (at, member)),
            Err((at, message)) => {
                list.skipped.add_with(|| fault(at, message));
                continue;
            }
        };
        for (at, member) in members {
            let written = || find(text, at, &member.address);
            let address = match EndpointAddress::parse(&member.address, base) {
                Ok(address) => address,
                Err(mismatch) => {
                    list.skipped.add_with(|| fault(written(), mismatch.message));
                    continue;
                }
            };
            if !known.insert(address.to_string()) {
                let message = || format!("{address} is listed twice");
                list.skipped.add_with(|| fault(written(), message()));
                continue;
            }
            if list.endpoints.len() == ENDPOINTS_MAX {
                let message = format!("more than {ENDPOINTS_MAX} endpoints");
                return Err(fault(written(), message));
            }
            list.endpoints.push(endpoint(address, member.about));
        }
    }
    Ok(list)
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
    let list = parse(&list, Format::Json, base).map_err(|fault| fault.message)?;
    match list.endpoints.is_empty() {
        true if list.skipped.is_empty() => Err("it names no endpoint".to_owned()),
        true => Err(list.skipped.to_string()),
        false => Ok(list.endpoints),
    }
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

/// Returns the position of an address in the text, from that of its entry.
fn find(text: &str, entry: usize, address: &str) -> usize {
    let written = [format!("\"{address}\""), format!("'{address}'")];
    let rest = text.get(entry..).unwrap_or_default();
    let found = written
        .iter()
        .filter_map(|written| rest.find(written))
        .min();
    entry + found.unwrap_or(0)
}

/// An entry with its position in the text, or its fault.
type Placed = Result<(usize, Item), (usize, String)>;

/// Reads the entries of a list in TOML.
fn toml_entries(text: &str) -> Result<Vec<Placed>, ListFault> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Table {
        endpoints: Vec<Spanned<toml::Value>>,
    }
    let table: Table = toml::from_str(text).map_err(|error| of_toml(text, &error))?;
    let entries = table.endpoints.into_iter().map(|entry| {
        let at = entry.span().start;
        let item = Item::deserialize(entry.into_inner());
        let fault = |error: toml::de::Error| (at, error.message().replace('\n', ", "));
        item.map(|item| (at, item)).map_err(fault)
    });
    Ok(entries.collect())
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
