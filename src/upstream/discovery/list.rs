//! A list of endpoints as text: ours in JSON or TOML, or the one of Prometheus' `file_sd`.
//!
//! An entry is an address, or a table with the keys of `endpoints` in `proxy.toml`. A group of
//! `file_sd` is a table with `targets` and `labels`; its labels `version`, `zone`, `weight` and
//! `priority` are taken for what they say. One fault refuses the whole text, and says where it is.

use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    path::Path,
};

use serde::{
    Deserialize, Deserializer,
    de::{self, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::position::position;
use crate::{
    config::value::EndpointAddress,
    upstream::endpoint::{Address, Endpoint},
};

/// In which form a list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// `["10.0.0.1:80", { "address": …, "weight": 3 }]`, or groups of `file_sd`.
    Json,
    /// `endpoints = ["10.0.0.1:80", { address = …, weight = 3 }]`.
    Toml,
}

/// What is wrong with a list, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}:{column}: {message}")]
pub struct ListFault {
    /// The line, from 1.
    pub line: usize,
    /// The column, from 1.
    pub column: usize,
    /// What is wrong.
    pub message: String,
}

impl Format {
    /// The form of a file of this name: TOML if it ends in `.toml`, else JSON.
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
    let mut places: HashMap<String, ()> = HashMap::with_capacity(list.0.len());
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
        if places.insert(address.to_string(), ()).is_some() {
            return Err(fault(format!("{address} is listed twice")));
        }
        endpoints.push(endpoint(address, entry.about));
    }
    Ok(endpoints)
}

fn endpoint(address: EndpointAddress, about: About) -> Endpoint {
    let address = match address {
        EndpointAddress::Socket(address) => Address::Socket(address),
        EndpointAddress::Named { host, port } => Address::Name(host.as_str().into(), port),
        EndpointAddress::Unix(path) => Address::Unix(path),
    };
    Endpoint {
        label: address.to_string().into(),
        address,
        weight: about.weight,
        version_label: about.version.as_ref().map(|it| it.to_string().into()),
        version: about.version,
        zone: about.zone.map(Into::into),
        priority: about.priority,
        labels: about.labels,
    }
}

/// Where an address stands in the text: what is said of it is known only when all is read.
fn find(text: &str, address: &str) -> (usize, usize) {
    let written = [format!("\"{address}\""), format!("'{address}'")];
    // Of one that is listed twice the last place is the wrong one.
    let at = written
        .iter()
        .filter_map(|written| text.rfind(written))
        .max();
    position(text, at.unwrap_or(0))
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
    let (line, column) = position(text, at);
    ListFault {
        line,
        column,
        message: error.message().replace('\n', ", "),
    }
}

/// All entries, in the order in which they are written.
struct List(Vec<Entry>);

struct Entry {
    address: String,
    about: About,
}

/// What is said of an endpoint besides its address.
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

/// What the labels of a group say of its endpoints. A version that is none of semver's is a
/// label like any other.
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
/// Endpoints of one list.
pub const ENDPOINTS_MAX: usize = 50_000;
/// As for endpoints in the configuration.
const WEIGHT_MAX: u32 = 1_000_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Vec<String>, String> {
        let format = if text.starts_with("endpoints") || text.starts_with("[[") {
            Format::Toml
        } else {
            Format::Json
        };
        let parsed = parse(text, format, Path::new("/lists"));
        let parsed = parsed.map_err(|fault| fault.to_string())?;
        let shown = parsed.into_iter().map(|it| {
            let version = it.version_label.unwrap_or_default();
            let zone = it.zone.unwrap_or_default();
            let (labels, priority) = (it.labels.len(), it.priority);
            format!(
                "{} {} [{version}] [{zone}] {priority} {labels}",
                it.label, it.weight
            )
        });
        Ok(shown.collect())
    }

    #[test]
    fn json_toml_and_the_groups_of_prometheus_say_the_same() {
        let all = [
            "10.0.0.1:80 1 [] [] 0 0",
            "a.internal:81 3 [1.4.2] [a] 1 1",
            "unix:/lists/app.sock 1 [] [] 0 0",
        ];
        let json = r#"["10.0.0.1:80",
            {"address": "A.internal:81", "weight": 3, "version": "1.4.2", "zone": "a", "priority": 1, "labels": {"rack": "7"}},
            "unix:app.sock"]"#;
        assert_eq!(read(json).unwrap(), all);
        assert_eq!(read(&format!("{{\"endpoints\": {json}}}")).unwrap(), all);
        let toml = r#"endpoints = ["10.0.0.1:80",
            { address = "a.internal:81", weight = 3, version = "1.4.2", zone = "a", priority = 1, labels = { rack = "7" } },
            "unix:app.sock"]"#;
        assert_eq!(read(toml).unwrap(), all);
        let tables = "[[endpoints]]\naddress = \"10.0.0.1:80\"\n[[endpoints]]\naddress = \"b:1\"\nweight = 2";
        let two = ["10.0.0.1:80 1 [] [] 0 0", "b:1 2 [] [] 0 0"];
        assert_eq!(read(tables).unwrap(), two);
        let groups = r#"[{"targets": ["10.0.0.1:80", "10.0.0.2:80"], "labels": {"version": "v2.0.0", "zone": "b", "weight": "5"}},
            {"targets": ["10.0.0.3:80"], "labels": {"version": "stable"}}]"#;
        let grouped = [
            "10.0.0.1:80 5 [2.0.0] [b] 0 3",
            "10.0.0.2:80 5 [2.0.0] [b] 0 3",
            "10.0.0.3:80 1 [] [] 0 1",
        ];
        assert_eq!(read(groups).unwrap(), grouped);
        assert!(read("[]").unwrap().is_empty());
    }

    #[test]
    fn a_fault_is_told_with_its_place() {
        for (text, told) in [
            (
                "[\"10.0.0.1:80\",\n \"10.0.0.1\"]",
                "2:2: \"10.0.0.1\" is not the address of an endpoint: it has no port",
            ),
            ("[\"a:1\",\n \"b:1\", \"a:1\"]", "2:9: a:1 is listed twice"),
            ("[\"a:1\",\n", "2:1: EOF while parsing"),
            (
                "[{\"adress\": \"a:1\"}]",
                "unknown field `adress`, expected one of `address`, `weight`",
            ),
            ("[{\"weight\": 1}]", "missing field `address`"),
            (
                "[{\"address\": \"a:1\", \"weight\": 1000001}]",
                "a weight of 1000001, more than 1000000",
            ),
            (
                "[{\"address\": \"a:1\",\n\"version\": \"x\"}]",
                "2:15: \"x\" is not a version",
            ),
            (
                "[{\"targets\": [\"a:1\"], \"labels\": {\"weight\": \"x\"}}]",
                "the label weight is \"x\", not a number",
            ),
            ("[1]", "expected an address, a table with"),
            ("\"a:1\"", "expected a list of endpoints"),
            ("endpoints = [\n\"a:1\",\n{ adress = \"b:1\" }]", "3:"),
            ("endpoints = [\n\"a:1\"\n\"b:1\"]", "3:"),
        ] {
            let fault = read(text).unwrap_err();
            assert!(fault.contains(told), "{text}: {fault}");
        }
    }

    #[test]
    fn a_list_is_bounded() {
        let many = vec!["\"a:1\""; ENDPOINTS_MAX + 1].join(",");
        let fault = read(&format!("[{many}]")).unwrap_err();
        assert!(fault.contains("more than 50000 endpoints"), "{fault}");
    }
}
