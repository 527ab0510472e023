//! Routes that an operator has closed by a command; it outlives reloads.

use std::{collections::BTreeMap, time::Duration};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// The routes that are closed by command.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closed {
    /// All of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub all: Option<Closing>,
    /// By name.
    #[serde(default)]
    pub routes: BTreeMap<String, Closing>,
}

/// Terms on which a route is closed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Closing {
    /// Addresses that are still let in, besides those of the configuration.
    #[serde(default)]
    pub allow: Vec<IpNet>,
    /// Time after which clients may try again; none: that of the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<Duration>,
}

impl Closed {
    /// Returns the terms for this route, if it is closed: its own go before those of all.
    pub fn of(&self, route: &str) -> Option<&Closing> {
        self.routes.get(route).or(self.all.as_ref())
    }

    /// Returns true if nothing is closed.
    pub fn is_empty(&self) -> bool {
        self.all.is_none() && self.routes.is_empty()
    }
}
