//! `[policies.NAME]`: filters that routes take by name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::Route;
use crate::config::diagnostic::Fault;
use crate::config::setting::{Form, KeyDoc, Node, Reader, Setting, Shape, Span, Table};
use crate::config::value::Name;

/// The policies. Their filters are in the routes that use them, so there is nothing left to show.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    tables: BTreeMap<Name, Policy>,
    taken: BTreeMap<Box<str>, Vec<Taken>>,
    replaced: BTreeMap<Box<str>, Vec<Taken>>,
    used: BTreeSet<Box<str>>,
}

/// A policy.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// Position of its name.
    pub span: Span,
}

/// A key that a route has from policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The key, such as `compress`.
    pub key: Box<str>,
    /// The policies, in the order of their use.
    pub policies: Vec<Box<str>>,
}

impl Policies {
    /// The policies by name.
    pub fn tables(&self) -> &BTreeMap<Name, Policy> {
        &self.tables
    }

    /// The keys that a route has from policies.
    pub fn taken_by(&self, route: &str) -> &[Taken] {
        self.taken.get(route).map_or(&[], Vec::as_slice)
    }

    /// The policies of each key that a route has from some, by the key.
    pub fn of_route(&self, route: &str) -> BTreeMap<String, Vec<String>> {
        by_key(self.taken_by(route))
    }

    /// The policies of each key that a route writes itself in place of theirs, by the key.
    pub fn replaced_in(&self, route: &str) -> BTreeMap<String, Vec<String>> {
        by_key(self.replaced.get(route).map_or(&[], Vec::as_slice))
    }

    /// Sets what routes have from policies, and the policies that any of them names.
    pub(in crate::config) fn set_taken(
        &mut self,
        taken: BTreeMap<Box<str>, Vec<Taken>>,
        replaced: BTreeMap<Box<str>, Vec<Taken>>,
        used: BTreeSet<Box<str>>,
    ) {
        (self.taken, self.replaced, self.used) = (taken, replaced, used);
    }

    /// Returns true if any route names this policy.
    pub(in crate::config) fn is_used(&self, name: &str) -> bool {
        self.used.contains(name)
    }
}

fn by_key(keys: &[Taken]) -> BTreeMap<String, Vec<String>> {
    let texts = |names: &[Box<str>]| names.iter().map(|it| it.to_string()).collect();
    keys.iter()
        .map(|it| (it.key.to_string(), texts(&it.policies)))
        .collect()
}

/// The place of a value in a file is no part of it.
impl PartialEq for Policies {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Policy {
    /// The keys of a route that a policy may have.
    pub const KEYS: [&'static str; 20] = [
        "access",
        "access_log",
        "auth",
        "body_max",
        "cache",
        "compress",
        "concurrency",
        "cors",
        "error_pages",
        "fault",
        "headers_request",
        "headers_response",
        "hedge",
        "https_only",
        "maintenance",
        "rate_limit",
        "retry",
        "rewrite",
        "secure_headers",
        "timeouts",
    ];

    fn keys() -> Vec<KeyDoc> {
        let mut keys = Route::keys();
        keys.retain(|key| Self::KEYS.contains(&key.name));
        keys
    }
}

impl Setting for Policies {
    fn shape() -> Shape {
        // Its keys are those of routes, and have their rows there.
        Shape::value("table of NAME = table", "")
    }

    fn form() -> Form {
        Form::Map(Box::new(Form::Part(Policy::keys)))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            tables: Setting::read(node, reader)?,
            ..Self::default()
        })
    }

    fn print(&self) -> Value {
        Value::Null
    }
}

impl Setting for Policy {
    fn shape() -> Shape {
        Shape::value("table", "")
    }

    fn form() -> Form {
        Form::Part(Self::keys)
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let names = Route::names();
        for key in node.table().into_iter().flat_map(|table| table.keys()) {
            let name: &str = key.get_ref();
            if names.contains(&name) && !Self::KEYS.contains(&name) {
                let message = format!("\"{name}\" in {} is not for a policy", reader.table_place());
                let hint =
                    "a policy has filters; conditions, destination and `use` are the route's";
                reader.fault(Fault::error(key.span().into(), message, hint));
            }
        }
        // Read to find its faults. A part may lack any key.
        reader.in_part(|reader| Route::read(node, reader));
        Some(Self { span: node.anchor })
    }

    fn print(&self) -> Value {
        Value::Null
    }
}
