//! A writer of databases about addresses, in the format MMDB. Unit tests use it, too.

use std::net::IpAddr;

/// A value of a record.
#[derive(Clone)]
pub(crate) enum Value {
    Text(&'static str),
    Number(u32),
    Short(u16),
    Long(u64),
    List(Vec<Self>),
    Map(Vec<(&'static str, Self)>),
}

/// The record of a country as MaxMind and DB-IP write it.
pub(crate) fn country(code: &'static str) -> Value {
    let names = Value::Map(vec![("en", Value::Text("A name"))]);
    let country = vec![("iso_code", Value::Text(code)), ("names", names)];
    Value::Map(vec![("country", Value::Map(country))])
}

/// The record of an autonomous system as they write it.
pub(crate) fn asn(number: u32) -> Value {
    let organization = Value::Text("An organization");
    Value::Map(vec![
        ("autonomous_system_number", Value::Number(number)),
        ("autonomous_system_organization", organization),
    ])
}

/// Writes a database of these networks, such as `192.0.2.0/24`. Of two that lie in each other, the
/// later one counts.
pub(crate) fn database(kind: &'static str, networks: &[(&str, Value)]) -> Vec<u8> {
    let mut nodes = vec![[Place::Nothing; 2]];
    let mut data = Vec::new();
    for (network, record) in networks {
        let (bits, length) = parsed(network);
        let record_at = data.len();
        put(record, &mut data);
        let mut at = 0;
        for depth in 0..length {
            let side = usize::from(bits >> (127 - depth) & 1 == 1);
            if depth + 1 == length {
                nodes[at][side] = Place::Data(record_at);
                break;
            }
            at = match nodes[at][side] {
                Place::Node(next) => next,
                leaf => {
                    nodes.push([leaf; 2]);
                    nodes[at][side] = Place::Node(nodes.len() - 1);
                    nodes.len() - 1
                }
            };
        }
    }
    let mut bytes = Vec::new();
    for place in nodes.iter().flatten() {
        let number = match place {
            Place::Nothing => nodes.len(),
            Place::Node(at) => *at,
            Place::Data(at) => nodes.len() + 16 + at,
        };
        bytes.extend(u32::try_from(number).unwrap().to_be_bytes());
    }
    bytes.extend([0; 16]);
    bytes.extend(data);
    bytes.extend(b"\xab\xcd\xefMaxMind.com");
    let node_count = u32::try_from(nodes.len()).unwrap();
    let metadata = Value::Map(vec![
        ("binary_format_major_version", Value::Short(2)),
        ("binary_format_minor_version", Value::Short(0)),
        ("build_epoch", Value::Long(1)),
        ("database_type", Value::Text(kind)),
        (
            "description",
            Value::Map(vec![("en", Value::Text("A test"))]),
        ),
        ("ip_version", Value::Short(6)),
        ("languages", Value::List(Vec::new())),
        ("node_count", Value::Number(node_count)),
        ("record_size", Value::Short(32)),
    ]);
    put(&metadata, &mut bytes);
    bytes
}

#[derive(Clone, Copy)]
enum Place {
    Nothing,
    Node(usize),
    Data(usize),
}

/// The bits of a network and their number; IPv4 lies in `::/96`.
fn parsed(network: &str) -> (u128, u32) {
    let (address, length) = network.split_once('/').unwrap();
    let length: u32 = length.parse().unwrap();
    match address.parse().unwrap() {
        IpAddr::V4(address) => (u32::from(address).into(), 96 + length),
        IpAddr::V6(address) => (address.into(), length),
    }
}

fn put(value: &Value, out: &mut Vec<u8>) {
    match value {
        Value::Text(text) => {
            control(2, text.len(), out);
            out.extend(text.as_bytes());
        }
        Value::Number(number) => {
            control(6, 4, out);
            out.extend(number.to_be_bytes());
        }
        Value::Short(number) => {
            control(5, 2, out);
            out.extend(number.to_be_bytes());
        }
        // Types above 7 have a second byte.
        Value::Long(number) => {
            out.extend([8, 9 - 7]);
            out.extend(number.to_be_bytes());
        }
        Value::List(items) => {
            out.extend([u8::try_from(items.len()).unwrap(), 11 - 7]);
            items.iter().for_each(|item| put(item, out));
        }
        Value::Map(entries) => {
            control(7, entries.len(), out);
            for (key, value) in entries {
                put(&Value::Text(key), out);
                put(value, out);
            }
        }
    }
}

fn control(kind: u8, length: usize, out: &mut Vec<u8>) {
    let length = u8::try_from(length).unwrap();
    match length.checked_sub(29) {
        None => out.push(kind << 5 | length),
        Some(more) => out.extend([kind << 5 | 29, more]),
    }
}
