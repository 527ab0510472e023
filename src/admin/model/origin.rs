//! Origins of the values of a configuration.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::{self, Config};

/// Values of the configuration with their origins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Origins {
    /// The values, in the order of their places.
    pub origins: Vec<Origin>,
    /// Number of further values, left out because there are too many.
    pub left_off: usize,
}

/// A value with its origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Origin {
    /// Its place, such as `routes.shop.timeouts.total`.
    pub place: String,
    /// The value in effect, masked if it must not be shown.
    pub value: Value,
    /// All of the origin in words.
    pub from: String,
    /// The file that it is written in, or the part in a store; none: it is a default that is built in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The table of defaults or the policy that it is from, such as `policies.slim`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// The place outside of the file that it is kept in, such as `environment variable TOKEN`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kept: Option<String>,
}

impl Origins {
    /// The values at and below a place; with `only_written`, without those that are built in.
    pub fn of(config: &Config, within: &str, only_written: bool) -> Self {
        let mut origins = config.origins(within, only_written);
        let left_off = origins.len().saturating_sub(ORIGINS_MAX);
        origins.truncate(ORIGINS_MAX);
        Self {
            origins: origins.into_iter().map(Origin::from).collect(),
            left_off,
        }
    }
}

impl From<config::Origin> for Origin {
    fn from(origin: config::Origin) -> Self {
        let from = origin.to_string();
        let written = origin.written;
        Self {
            from,
            file: written.as_ref().map(|it| it.file.clone()),
            line: written.as_ref().map(|it| it.line),
            by: written.as_ref().and_then(|it| it.by.clone()),
            kept: written.and_then(|it| it.kept),
            place: origin.place,
            value: origin.value,
        }
    }
}

/// Maximum number of values in one answer.
const ORIGINS_MAX: usize = 10_000;
