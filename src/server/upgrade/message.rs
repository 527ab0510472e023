//! The messages between the two processes of an upgrade.
//!
//! Either may be the older version: fields and messages that one does not know are passed over,
//! and what goes over beside the sockets is a map of sections, each with a version of its own.
//!
//! | from | message | means |
//! |---|---|---|
//! | old | [`Offer`], descriptors | who it is, and the sockets |
//! | new | `ready` | all is loaded, checked and bound; nothing is accepted yet |
//! | old | `commit` | the state to go on with; files of unix sockets are the new one's |
//! | new | `serving` | it accepts |
//! | old | `draining`, several times | what is left, and what was counted meanwhile |

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::socket::file::FileIdentity;

/// The first message of the old process; its standard error and the sockets follow.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Offer {
    /// Version of the messages after this one.
    pub(super) protocol: u32,
    /// Version of the old program.
    pub(super) version: String,
    /// The old process.
    pub(super) pid: u32,
    /// Number of processes so far, the new one included.
    pub(super) process_generation: u64,
    pub(super) sockets: Vec<OfferedSocket>,
}

/// The sockets of one address; their descriptors come in this order.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct OfferedSocket {
    /// Configured address.
    pub(super) address: String,
    /// Actual address; for port 0, with the port assigned.
    pub(super) at: String,
    pub(super) descriptors: usize,
    /// True if a service manager passed the socket, and still has it.
    #[serde(default)]
    pub(super) given: bool,
    /// The file of a unix socket.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) file: Option<FileIdentity>,
}

/// Messages of the new process.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub(super) enum FromNew {
    /// It can serve as soon as it is told to.
    Ready {
        /// Version of the new program.
        version: String,
        /// The addresses that it takes the sockets of.
        taken: Vec<String>,
        /// The entries of its listeners in registries, if it says them.
        #[serde(default)]
        registered: Option<Vec<String>>,
    },
    /// It accepts connections.
    Serving,
    /// Message of a later version.
    #[serde(other)]
    Unknown,
}

/// Messages of the old process after its offer.
#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub(super) enum FromOld {
    /// Take over.
    Commit {
        /// State to continue with.
        sections: Sections,
    },
    /// The old process accepts no more.
    Draining {
        /// Its connections that are open.
        connections: usize,
        /// Additions to the state.
        sections: Sections,
    },
    /// Message of a later version.
    #[serde(other)]
    Unknown,
}

/// Parts of the state by their names.
pub(crate) type Sections = BTreeMap<String, Section>;

/// One part of the state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Section {
    /// Version of the content's format.
    pub(super) version: u32,
    pub(super) content: serde_json::Value,
}

/// The protocol of this version.
pub(super) const PROTOCOL: u32 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_later_version_adds_is_passed_over() {
        let text = r#"{"protocol":1,"version":"9","pid":7,"process_generation":2,"later":{},
            "sockets":[{"address":"unix:a","at":"unix:a","descriptors":1,"label":"x"}]}"#;
        let offer: Offer = serde_json::from_str(text).unwrap();
        assert!(!offer.sockets[0].given && offer.sockets[0].file.is_none());
        let text = r#"{"message":"ready","version":"9","taken":[],"later":1}"#;
        let ready: FromNew = serde_json::from_str(text).unwrap();
        assert!(matches!(
            ready,
            FromNew::Ready {
                registered: None,
                ..
            }
        ));
        let text = r#"{"message":"halfway","share":0.5}"#;
        let unknown: FromNew = serde_json::from_str(text).unwrap();
        assert!(matches!(unknown, FromNew::Unknown));
        let unknown: FromOld = serde_json::from_str(text).unwrap();
        assert!(matches!(unknown, FromOld::Unknown));
    }
}
