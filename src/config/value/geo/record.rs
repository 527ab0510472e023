//! Value of a record of a database. Providers name the same thing differently:
//! MaxMind and DB-IP have `country.iso_code` and `autonomous_system_number`, IPinfo has
//! `country_code` or `country`, and `asn` with the letters `AS`.

use std::fmt;

use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::{Asn, Country, UNKNOWN};

/// A thing that a database may tell of networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Field {
    /// The country.
    Country,
    /// The autonomous system.
    Asn,
}

/// The parts of a record that matter; all others are skipped.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Record<'a> {
    #[serde(borrow)]
    country_code: Part<'a>,
    #[serde(borrow)]
    country: Part<'a>,
    #[serde(borrow)]
    registered_country: Part<'a>,
    #[serde(borrow)]
    autonomous_system_number: Part<'a>,
    #[serde(borrow)]
    asn: Part<'a>,
}

impl Record<'_> {
    /// The number that stands for the value.
    pub(super) fn number(&self, field: Field) -> u32 {
        let number = match field {
            // That in which the network is registered counts where no other is known.
            Field::Country => [&self.country_code, &self.country, &self.registered_country]
                .into_iter()
                .find_map(Part::country)
                .map(Country::number),
            Field::Asn => [&self.autonomous_system_number, &self.asn]
                .into_iter()
                .find_map(Part::asn)
                .map(|it| it.0),
        };
        number.unwrap_or(UNKNOWN)
    }
}

/// A value, or the one under `iso_code` or `asn` of a table.
#[derive(Debug, Default)]
enum Part<'a> {
    #[default]
    Other,
    Text(&'a str),
    Number(u64),
}

impl Part<'_> {
    fn country(&self) -> Option<Country> {
        match self {
            Self::Text(text) => Country::of_database(text),
            Self::Number(_) | Self::Other => None,
        }
    }

    fn asn(&self) -> Option<Asn> {
        match self {
            Self::Text(text) => Asn::parse(text).ok(),
            Self::Number(number) => u32::try_from(*number)
                .ok()
                .filter(|number| *number != UNKNOWN)
                .map(Asn),
            Self::Other => None,
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Part<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PartVisitor)
    }
}

struct PartVisitor;

impl<'de> Visitor<'de> for PartVisitor {
    type Value = Part<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Part<'de>, E> {
        Ok(Part::Text(text))
    }

    fn visit_str<E>(self, _: &str) -> Result<Part<'de>, E> {
        Ok(Part::Other)
    }

    fn visit_u64<E>(self, number: u64) -> Result<Part<'de>, E> {
        Ok(Part::Number(number))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Part<'de>, M::Error> {
        let mut found = Part::Other;
        while let Some(key) = map.next_key::<&str>()? {
            if matches!(key, "iso_code" | "asn") {
                found = map.next_value()?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Part<'de>, S::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Part::Other)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Part<'de>, E> {
        Ok(Part::Other)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Part<'de>, E> {
        Ok(Part::Other)
    }

    fn visit_u128<E>(self, _: u128) -> Result<Part<'de>, E> {
        Ok(Part::Other)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Part<'de>, E> {
        Ok(Part::Other)
    }

    fn visit_bytes<E>(self, _: &[u8]) -> Result<Part<'de>, E> {
        Ok(Part::Other)
    }
}
