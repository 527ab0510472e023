//! Country and autonomous system of an address, from a database in the format MMDB.
//!
//! A database is read once into a table of ranges: a damaged one is refused as a whole when it is
//! read, nothing can fail in a look-up, and names, cities and languages take no memory.

mod country;
mod read;
mod record;

use std::{fmt, net::IpAddr};

pub use country::Country;

use self::record::Field;
use super::{AddressMap, FileFormat, Mismatch};

/// Countries by address.
#[derive(Clone, PartialEq, Eq)]
pub struct CountryTable(AddressMap<u32>);

/// Autonomous systems by address.
#[derive(Clone, PartialEq, Eq)]
pub struct AsnTable(AddressMap<u32>);

/// The number of an autonomous system.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Asn(pub u32);

impl CountryTable {
    /// The country of an address, if the database has one.
    pub fn get(&self, address: IpAddr) -> Option<Country> {
        Country::of_number(self.0.get(address))
    }
}

impl AsnTable {
    /// The autonomous system of an address, if the database has one.
    pub fn get(&self, address: IpAddr) -> Option<Asn> {
        let number = self.0.get(address);
        (number != UNKNOWN).then_some(Asn(number))
    }
}

impl Asn {
    /// Parses a number with or without `AS`.
    ///
    /// # Errors
    ///
    /// Refuses what is no such number; 0 is no system (RFC 7607).
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let digits = match text.get(..2) {
            Some(prefix) if prefix.eq_ignore_ascii_case("AS") => &text[2..],
            _ => text,
        };
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        match digits.parse() {
            Ok(number) if number != UNKNOWN && is_number => Ok(Self(number)),
            _ => Err(Mismatch::new(
                format!("\"{text}\" is not the number of an autonomous system"),
                "a number from 1 to 4294967295, such as 64496 or \"AS64496\"",
            )),
        }
    }
}

impl fmt::Display for Asn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Makes a table the content of a file with one field of its records. An empty one knows nothing.
macro_rules! table {
    ($table:ident, $field:expr, $kind:literal, $example:literal) => {
        impl Default for $table {
            fn default() -> Self {
                Self(AddressMap::new(UNKNOWN))
            }
        }

        impl fmt::Debug for $table {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({} ranges)", stringify!($table), self.0.ranges())
            }
        }

        impl FileFormat for $table {
            const KIND: &'static str = $kind;
            const EXAMPLE: &'static str = $example;
            const IS_SECRET: bool = false;
            const BYTES_MAX: u64 = read::BYTES_MAX;
            const IS_LARGE: bool = true;

            fn parse(text: &str) -> Result<Self, (usize, Mismatch)> {
                Self::parse_bytes(text.as_bytes())
            }

            fn parse_bytes(bytes: &[u8]) -> Result<Self, (usize, Mismatch)> {
                read::table(bytes, $field).map(Self)
            }
        }
    };
}

table!(
    CountryTable,
    Field::Country,
    "database of countries (MMDB)",
    "\"GeoLite2-Country.mmdb\""
);
table!(
    AsnTable,
    Field::Asn,
    "database of autonomous systems (MMDB)",
    "\"GeoLite2-ASN.mmdb\""
);

/// Number of no country and of no autonomous system.
const UNKNOWN: u32 = 0;

#[cfg(test)]
mod tests;
