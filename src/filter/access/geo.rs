//! Refusal of clients by their country and autonomous system.

use std::{fmt, net::IpAddr, sync::Arc};

use super::AddressBlocks;
use crate::config::value::{Asn, AsnTable, Country, CountryTable};

/// Rules on countries and on autonomous systems, all of which must let a client in.
#[derive(Debug)]
pub struct GeoRules {
    /// The rule on the country.
    pub country: Option<GeoRule<CountryTable>>,
    /// The rule on the autonomous system.
    pub asn: Option<GeoRule<AsnTable>>,
}

/// A rule on what a database tells of addresses.
#[derive(Debug)]
pub struct GeoRule<T: GeoTable> {
    /// The database.
    pub table: Arc<T>,
    /// Values that are listed, in ascending order.
    pub listed: Box<[T::Value]>,
    /// True if the listed are let in and the others refused, false for the contrary.
    pub listed_is_allowed: bool,
    /// True if clients of which nothing is known are let in.
    pub unknown_is_allowed: bool,
    /// Addresses to which the rule does not apply.
    pub except: Option<AddressBlocks>,
}

/// A database about addresses.
pub trait GeoTable: fmt::Debug {
    /// Knowledge of an address.
    type Value: Copy + Ord + fmt::Debug;

    /// The knowledge of this address.
    fn find(&self, address: IpAddr) -> Option<Self::Value>;
}

/// Reason for which a client is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GeoRefusal {
    /// Its country, if it is known.
    Country(Option<Country>),
    /// Its autonomous system, if it is known.
    Asn(Option<Asn>),
}

impl GeoRules {
    /// Returns the reason to refuse a client.
    pub fn refusal(&self, client: IpAddr) -> Option<GeoRefusal> {
        let by_country = self.country.as_ref().and_then(|it| it.refused(client));
        by_country.map(GeoRefusal::Country).or_else(|| {
            let by_asn = self.asn.as_ref().and_then(|it| it.refused(client));
            by_asn.map(GeoRefusal::Asn)
        })
    }
}

impl<T: GeoTable> GeoRule<T> {
    /// Returns what is known of a client that is refused for it.
    fn refused(&self, client: IpAddr) -> Option<Option<T::Value>> {
        let found = self.table.find(client);
        let is_allowed = match found {
            Some(value) => self.listed.binary_search(&value).is_ok() == self.listed_is_allowed,
            None => self.unknown_is_allowed,
        };
        let is_excepted = || self.except.as_ref().is_some_and(|it| it.allows(client));
        (!is_allowed && !is_excepted()).then_some(found)
    }
}

impl GeoTable for CountryTable {
    type Value = Country;

    fn find(&self, address: IpAddr) -> Option<Country> {
        self.get(address)
    }
}

impl GeoTable for AsnTable {
    type Value = Asn;

    fn find(&self, address: IpAddr) -> Option<Asn> {
        self.get(address)
    }
}

impl fmt::Display for GeoRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Country(Some(country)) => write!(f, "country {country}"),
            Self::Country(None) => f.write_str("country not known"),
            Self::Asn(Some(asn)) => write!(f, "AS{asn}"),
            Self::Asn(None) => f.write_str("autonomous system not known"),
        }
    }
}
