//! Answers about a configuration that is not in use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    config::{Diff, FaultView},
    state::heads::Replayed,
};

/// Result of a check.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Checked {
    /// True if a reload would apply it.
    pub ok: bool,
    /// Faults and warnings in the order of the text.
    pub faults: Vec<FaultView>,
    /// A fault without a place in the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its effect on recent requests, if that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Replayed>,
}

/// Difference to the configuration in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Difference {
    /// The changes that a reload would make.
    #[serde(flatten)]
    pub changes: Diff,
    /// Its effect on recent requests, if that was asked for and it can be compiled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub traffic: Option<Replayed>,
}

/// Result of a comparison with the configuration in use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Compared {
    /// The changes that a reload would make.
    Differs(Difference),
    /// The text has faults: `ok` is false.
    Faulty(Checked),
}
