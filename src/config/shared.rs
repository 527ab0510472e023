//! A configuration in two parts: the tables of each proxy in a file, all others in a store.
//!
//! Both are one text for positions, the file first, so that every check sees the whole; messages
//! name the part and its own lines.

use std::sync::Arc;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::diagnostic::Fault;

/// The part of a configuration that is in a store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedPart {
    /// Place of it, for messages: `etcd:sluicegate/edge`.
    pub name: Arc<str>,
    /// The text.
    pub text: Arc<str>,
    /// Its revision in the store; 0 if it is a copy that was kept.
    pub revision: i64,
}

impl SharedPart {
    /// Takes a copy that was kept.
    pub fn kept(text: &str) -> Self {
        Self {
            name: "the kept shared configuration".into(),
            text: text.into(),
            revision: 0,
        }
    }
}

/// Both parts as one text.
#[derive(Debug)]
pub(super) struct Joined {
    /// The file, a line end, and the shared part.
    pub(super) text: String,
    /// The shared part at its place in that text, with spaces before it.
    placed: String,
    /// First byte of the shared part.
    pub(super) border: usize,
}

impl Joined {
    pub(super) fn of(local: &str, shared: &str) -> Self {
        let border = local.len() + 1;
        Self {
            text: format!("{local}\n{shared}"),
            placed: format!("{}{shared}", " ".repeat(border)),
            border,
        }
    }

    /// Adds the tables of the shared part to those of the file, and refuses those that belong to
    /// the other part.
    pub(super) fn add_to<'t>(
        &'t self,
        local: &mut DeTable<'t>,
        faults: &mut Vec<Fault>,
    ) -> Vec<toml::de::Error> {
        faults.extend(misplaced(local, |name| !is_local(name), STRANGER));
        let own = std::mem::take(local).into_iter();
        local.extend(own.filter(|(name, _)| is_local(name.get_ref())));
        let (shared, errors) = DeTable::parse_recoverable(&self.placed);
        let shared = shared.into_inner();
        faults.extend(misplaced(&shared, is_local, LOCAL));
        let shared = shared.into_iter();
        local.extend(shared.filter(|(name, _)| !is_local(name.get_ref())));
        errors
    }
}

/// Refuses tables of a file that are in the store.
pub(super) fn strangers(local: &DeTable<'_>) -> Vec<Fault> {
    misplaced(local, |name| !is_local(name), STRANGER).collect()
}

/// Returns true if the file says that its other tables are in a store.
pub(super) fn is_shared(tree: &DeTable<'_>) -> bool {
    let config = tree.get("config").map(Spanned::get_ref);
    matches!(config, Some(DeValue::Table(config)) if config.contains_key("source"))
}

fn misplaced<'t>(
    table: &'t DeTable<'_>,
    is_wrong: impl Fn(&str) -> bool + 't,
    (why, hint): (&'static str, &'static str),
) -> impl Iterator<Item = Fault> + 't {
    let wrong = table.keys().filter(move |name| is_wrong(name.get_ref()));
    wrong.map(move |name| {
        let message = format!("[{}] {why}", name.get_ref());
        Fault::error(name.span().into(), message, hint)
    })
}

fn is_local(name: &str) -> bool {
    matches!(name, "proxy" | "admin" | "config")
}

const STRANGER: (&str, &str) = (
    "is not for this file: config.source says that it is in the store",
    "this file holds [proxy], [admin] and [config] only; move it to the store",
);
const LOCAL: (&str, &str) = (
    "is not for the shared configuration: each proxy has its own",
    "move it to the file of each proxy",
);
