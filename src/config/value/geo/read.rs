//! Reading of a database into ranges.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
};

use maxminddb::{MaxMindDbError, Reader, WithinOptions};

use super::{
    UNKNOWN,
    record::{Field, Record},
};
use crate::config::value::{AddressMap, Mismatch};

/// Bytes of a database: the largest with cities have half of that.
pub(super) const BYTES_MAX: u64 = 256 << 20;

/// Reads the value of every network.
pub(super) fn table(bytes: &[u8], field: Field) -> Result<AddressMap<u32>, (usize, Mismatch)> {
    let refuse = |mismatch| (0, mismatch);
    let reader = Reader::from_source(bytes).map_err(|error| refuse(no_database(&error)))?;
    let table = ranges(&reader, field).map_err(refuse)?;
    if table == AddressMap::new(UNKNOWN) {
        let kind = &reader.metadata().database_type;
        return Err(refuse(other_kind(kind, field)));
    }
    Ok(table)
}

fn ranges(reader: &Reader<&[u8]>, field: Field) -> Result<AddressMap<u32>, Mismatch> {
    let mut table = AddressMap::new(UNKNOWN);
    // Many networks share a record.
    let mut numbers: HashMap<usize, u32> = HashMap::new();
    // A tree of that many nodes has one leaf more, unless some writer lets branches meet; a broken one
    // may lead round and round.
    let mut leaves_left = reader
        .metadata()
        .node_count
        .saturating_add(1)
        .saturating_mul(4);
    let all = WithinOptions::default().include_networks_without_data();
    for network in reader.networks(all).map_err(|it| damaged(&it))? {
        let network = network.map_err(|it| damaged(&it))?;
        leaves_left = leaves_left.checked_sub(1).ok_or_else(|| {
            let error = MaxMindDbError::invalid_database("its tree leads round");
            damaged(&error)
        })?;
        let Some(offset) = network.offset() else {
            continue;
        };
        let number = match numbers.get(&offset) {
            Some(number) => *number,
            None => {
                let record: Option<Record<'_>> = network.decode().map_err(|it| damaged(&it))?;
                let number = record.unwrap_or_default().number(field);
                numbers.insert(offset, number);
                number
            }
        };
        let block = network.network().map_err(|it| damaged(&it))?;
        table.put(block.network(), number);
        if let Some(next) = after(block.broadcast()) {
            table.put(next, UNKNOWN);
        }
        if table.ranges() > RANGES_MAX {
            let message = format!("it has more than {RANGES_MAX} networks with different values");
            return Err(Mismatch::new(message, "take a smaller one"));
        }
    }
    table.shrink();
    Ok(table)
}

/// The address after this one.
fn after(address: IpAddr) -> Option<IpAddr> {
    Some(match address {
        IpAddr::V4(address) => Ipv4Addr::from(u32::from(address).checked_add(1)?).into(),
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address).checked_add(1)?).into(),
    })
}

fn no_database(error: &MaxMindDbError) -> Mismatch {
    let message = "it is no database in the format MMDB, or only the beginning of one";
    Mismatch::new(message, error.to_string())
}

fn damaged(error: &MaxMindDbError) -> Mismatch {
    let message = format!("the database is damaged: {error}");
    Mismatch::new(
        message,
        "fetch it again, and rename it into place when it is whole",
    )
}

fn other_kind(kind: &str, field: Field) -> Mismatch {
    let kind: String = kind.chars().filter(|c| !c.is_control()).take(64).collect();
    let (missing, example) = match field {
        Field::Country => (
            "countries",
            "GeoLite2-Country, GeoLite2-City, DBIP-Country-Lite",
        ),
        Field::Asn => ("autonomous systems", "GeoLite2-ASN, DBIP-ASN-Lite"),
    };
    let message = format!("the database has no {missing}: it is of the type \"{kind}\"");
    Mismatch::new(message, format!("one such as {example}"))
}

/// Number of ranges: several times those of the most detailed country database.
const RANGES_MAX: usize = 8_000_000;
