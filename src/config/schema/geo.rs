//! `[geo]`: databases about addresses.

use crate::config::setting::table;
use crate::config::value::{AsnTable, CountryTable, ReadFile};

table! {
    /// Databases in the format MMDB, as MaxMind, DB-IP and IPinfo offer them, that tell where a client's address is. One that has both may stand in both keys. A file of up to 256 MiB is read into memory and watched: a replaced one causes a reload, a bad one leaves the last good one in use.
    pub struct Geo: Default {
        /// Database with the country of addresses: `country.iso_code`, else `registered_country.iso_code`; or `country_code`, or `country` with a code.
        pub country: Option<ReadFile<CountryTable>> = None,
        /// Database with the autonomous system of addresses: `autonomous_system_number`, or `asn`.
        pub asn: Option<ReadFile<AsnTable>> = None,
    }
}
