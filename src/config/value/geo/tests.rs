//! Databases as each provider writes them, and damaged ones.

use std::{fs, sync::Arc};

use super::*;
use crate::config::{Config, Rules, parse};

#[path = "../../../../tests/behaviour/harness/mmdb.rs"]
mod mmdb;

use mmdb::Value::{self, List, Map, Number, Text};

/// The country of an address whose network has this record.
fn country(record: Value) -> Option<String> {
    let bytes = mmdb::database(
        "Test",
        &[("::/1", record), ("8000::/1", mmdb::country("AQ"))],
    );
    let table = CountryTable::parse_bytes(&bytes).unwrap();
    let found = table.get("8000::".parse().unwrap()).unwrap();
    assert_eq!(found.to_string(), "AQ");
    let found = table.get("1::".parse().unwrap());
    found.map(|it| it.to_string())
}

/// The autonomous system of an address whose network has this record.
fn asn(record: Value) -> Option<u32> {
    let networks = [("::/1", record), ("8000::/1", mmdb::asn(7))];
    let bytes = mmdb::database("Test", &networks);
    let table = AsnTable::parse_bytes(&bytes).unwrap();
    table.get("1::".parse().unwrap()).map(|it| it.0)
}

#[test]
fn the_country_is_found_in_the_records_of_each_provider() {
    let of = |code| Map(vec![("geoname_id", Number(5)), ("iso_code", Text(code))]);
    let found = |record| country(Map(record)).unwrap_or_default();
    assert_eq!(found(vec![("country", of("DE"))]), "DE");
    let both = vec![("registered_country", of("US")), ("country", of("FR"))];
    assert_eq!(found(both), "FR");
    assert_eq!(found(vec![("registered_country", of("US"))]), "US");
    assert_eq!(found(vec![("country", Text("de"))]), "DE");
    let named = vec![
        ("country", Text("Germany")),
        ("country_code", Text("DE")),
        ("languages", List(vec![Text("de"), Text("en")])),
    ];
    assert_eq!(found(named), "DE");
    let names = Map(vec![("en", Text("DE"))]);
    for nothing in [
        vec![],
        vec![("country", Text("Germany"))],
        vec![("country", Map(vec![("names", names)]))],
        vec![("country", Number(5))],
        vec![("country", List(vec![Text("DE")]))],
    ] {
        assert_eq!(country(Map(nothing)), None);
    }
    let bytes = mmdb::database("Test", &[("::/1", Text("DE"))]);
    assert!(CountryTable::parse_bytes(&bytes).is_err(), "no table");
}

#[test]
fn the_autonomous_system_is_found_in_the_records_of_each_provider() {
    assert_eq!(asn(mmdb::asn(64496)), Some(64496));
    let of = |value| asn(Map(vec![("asn", value)]));
    assert_eq!(of(Text("AS13335")), Some(13335));
    assert_eq!(of(Map(vec![("asn", Text("AS5"))])), Some(5));
    assert_eq!(of(Number(0)), None);
    for nothing in ["AS0", "ASx", "AS+1", "4294967296", ""] {
        assert_eq!(of(Text(nothing)), None, "{nothing}");
    }
}

#[test]
fn the_most_specific_network_counts_for_both_families() {
    let networks = [
        ("10.0.0.0/8", mmdb::country("DE")),
        ("10.1.0.0/16", mmdb::country("FR")),
        ("10.1.2.3/32", mmdb::country("DE")),
        ("255.255.255.255/32", mmdb::country("BR")),
        ("2001:db8::/32", mmdb::country("JP")),
        ("2001:db8:1::/48", mmdb::country("KR")),
    ];
    let bytes = mmdb::database("Test", &networks);
    let table = CountryTable::parse_bytes(&bytes).unwrap();
    for (address, expected) in [
        ("10.0.0.0", "DE"),
        ("10.0.255.255", "DE"),
        ("10.1.0.0", "FR"),
        ("10.1.2.2", "FR"),
        ("10.1.2.3", "DE"),
        ("10.1.2.4", "FR"),
        ("::ffff:10.1.2.4", "FR"),
        ("10.2.0.0", "DE"),
        ("255.255.255.255", "BR"),
        ("2001:db8::1", "JP"),
        ("2001:db8:1::1", "KR"),
        ("2001:db8:2::", "JP"),
        ("9.255.255.255", ""),
        ("11.0.0.0", ""),
        ("127.0.0.1", ""),
        ("192.168.1.1", ""),
        ("::1", ""),
        ("2001:db9::", ""),
        ("ffff::", ""),
    ] {
        let found = table.get(address.parse().unwrap());
        let found = found.map_or_else(String::new, |it| it.to_string());
        assert_eq!(found, expected, "{address}");
    }
}

#[test]
fn a_file_that_is_no_such_database_is_refused_with_the_reason() {
    let bytes = mmdb::database("GeoLite2-ASN", &[("::/1", mmdb::asn(7))]);
    let told = |bytes: &[u8]| CountryTable::parse_bytes(bytes).unwrap_err().1.message;
    let kind = "the database has no countries: it is of the type \"GeoLite2-ASN\"";
    assert_eq!(told(&bytes), kind);
    assert!(AsnTable::parse_bytes(&bytes).is_ok());
    // Cut anywhere: no whole database is left.
    for end in 0..bytes.len() {
        assert!(AsnTable::parse_bytes(&bytes[..end]).is_err(), "{end}");
    }
    for text in ["", "country,code"] {
        assert!(told(text.as_bytes()).starts_with("it is no database"));
    }
}

#[test]
fn a_damaged_database_is_refused_or_read_and_never_a_panic() {
    let bytes = mmdb::database("Test", &[("::/1", mmdb::country("DE"))]);
    for at in 0..bytes.len() {
        for flip in [0x01, 0x04, 0x20, 0x80, 0xff] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            if let Ok(table) = CountryTable::parse_bytes(&damaged) {
                let _ = table.get("1::".parse().unwrap());
            }
        }
    }
    // The only node leads to itself.
    let round = [&[0; 8], &bytes[8..]].concat();
    let told = CountryTable::parse_bytes(&round).unwrap_err().1.message;
    assert!(told.starts_with("the database is damaged"), "{told}");
}

#[test]
fn a_number_of_a_system_is_written_with_or_without_its_letters() {
    for text in ["64496", "AS64496", "as64496"] {
        assert_eq!(Asn::parse(text).unwrap(), Asn(64496), "{text}");
    }
    for text in ["", "AS", "0", "AS-1", "4294967296", "AÄ1"] {
        assert!(Asn::parse(text).is_err(), "{text}");
    }
}

#[test]
fn a_large_file_is_parsed_again_only_when_it_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("country.mmdb");
    let write = |code| {
        let new = folder.path().join("new");
        fs::write(
            &new,
            mmdb::database("Test", &[("::/1", mmdb::country(code))]),
        )
        .unwrap();
        fs::rename(new, &file).unwrap();
    };
    let load = || -> Config {
        let text = "geo = { country = \"country.mmdb\" }\n[listeners.web]\naddress = \"127.0.0.1:0\"\n\
                    [routes.all]\nrespond = {}\n";
        let path = folder.path().join("proxy.toml");
        parse(text, &path, &Rules::default()).unwrap().config
    };
    let table = |config: &Config| -> Arc<CountryTable> {
        Arc::clone(&config.geo.country.as_ref().unwrap().content)
    };
    write("DE");
    let first = load();
    assert!(Arc::ptr_eq(&table(&first), &table(&load())));
    write("FR");
    let second = load();
    assert_ne!(table(&first), table(&second));
    // Nothing keeps it beyond its use.
    let in_use = Arc::downgrade(&table(&second));
    drop(second);
    assert!(in_use.upgrade().is_none());
}
