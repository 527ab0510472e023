//! Place of a client, by the databases of `[geo]`.

use std::net::IpAddr;

use super::Snapshot;
use crate::config::value::{Asn, Country};

impl Snapshot {
    /// The country of a client, if the configuration names a database and that has it.
    pub fn country(&self, client: IpAddr) -> Option<Country> {
        let table = self.config.geo.country.as_ref()?;
        table.content.get(client)
    }

    /// The autonomous system of a client, if the configuration names a database and that has it.
    pub fn asn(&self, client: IpAddr) -> Option<Asn> {
        let table = self.config.geo.asn.as_ref()?;
        table.content.get(client)
    }
}
