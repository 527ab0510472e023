//! Answers about a configuration that is not in use.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Diff, FaultView};

/// Result of a check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Checked {
    /// True if a reload would apply it.
    pub ok: bool,
    /// Faults and warnings in the order of the text.
    pub faults: Vec<FaultView>,
    /// A fault without a place in the text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Result of a comparison with the configuration in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Compared {
    /// The changes that a reload would make.
    Differs(Diff),
    /// The text has faults: `ok` is false.
    Faulty(Checked),
}
