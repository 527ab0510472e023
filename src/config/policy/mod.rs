//! `[policies.NAME]`: what routes take by `use`.
//!
//! As `[defaults]`, they are put into the tree before it is read: a route has the keys of its
//! policies unless it writes them itself, and goes before the defaults. Of two policies of one
//! route, none wins over the other: their tables are joined, their steps of `auth` and rules of
//! `rate_limit` are added up, and what cannot be joined is a fault.

mod lifted;
#[cfg(test)]
mod tests;

pub(super) use lifted::check_access;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue};

use super::{
    defaults::{Defaulted, merge, table_of},
    diagnostic::Fault,
    schema::{Policy, Route, Taken},
    setting::{KeyDoc, Node, Span, Table, is_elsewhere},
};

/// Keys that routes have from policies.
#[derive(Debug, Default)]
pub(super) struct Applied {
    pub(super) taken: BTreeMap<Box<str>, Vec<Taken>>,
    /// Keys that routes write themselves, and have nothing of from their policies.
    pub(super) replaced: BTreeMap<Box<str>, Vec<Taken>>,
    pub(super) used: BTreeSet<Box<str>>,
    pub(super) faults: Vec<Fault>,
}

/// Gives each route the keys of the policies that it uses.
pub(super) fn apply(tree: &mut DeTable<'_>, defaulted: &mut Defaulted) -> Applied {
    let mut applied = Applied::default();
    let policies = tree.get("policies").cloned();
    let policies = policies.as_ref().and_then(|it| it.get_ref().as_table());
    let Some(policies) = policies else {
        return applied;
    };
    defaulted.note(policies);
    let usual = usual_use(tree);
    let routes = tree.get_mut("routes").map(Spanned::get_mut);
    let Some(DeValue::Table(routes)) = routes else {
        return applied;
    };
    let mut joining = Joining {
        policies,
        keys: Route::keys(),
        joined: HashMap::new(),
    };
    for (name, route) in routes.iter_mut() {
        let DeValue::Table(route) = route.get_mut() else {
            continue;
        };
        let written = route
            .get_key_value("use")
            .map(|(key, value)| (key.clone(), value.clone()));
        let Some((key, list)) = written.or_else(|| usual.clone()) else {
            continue;
        };
        let DeValue::Array(items) = list.get_ref() else {
            continue;
        };
        let mut used: Vec<(&str, Span)> = Vec::new();
        let mut rest = DeArray::from_iter([]);
        for item in items.iter() {
            let policy = item
                .get_ref()
                .as_str()
                .filter(|it| policies.contains_key(*it));
            match policy {
                None => rest.push(item.clone()),
                Some(policy) if used.iter().any(|(known, _)| *known == policy) => {
                    let message = format!("policy \"{policy}\" is used twice");
                    applied.fault(Fault::error(item.span().into(), message, "name it once"));
                }
                Some(policy) => used.push((policy, item.span().into())),
            }
        }
        if used.is_empty() {
            continue;
        }
        applied
            .used
            .extend(used.iter().map(|(name, _)| (*name).into()));
        joining.give(name.get_ref(), route, &used, &mut applied);
        // The filters of an embedding program are left.
        let list = Spanned::new(list.span(), DeValue::Array(rest));
        route.insert(key, list);
    }
    applied
}

impl Applied {
    fn fault(&mut self, fault: Fault) {
        let is_known = |known: &Fault| known.span == fault.span && known.message == fault.message;
        if !self.faults.iter().any(is_known) {
            self.faults.push(fault);
        }
    }
}

/// A key with its value.
type Entry<'i> = (Spanned<Cow<'i, str>>, Spanned<DeValue<'i>>);

/// The `use` of routes that write none.
fn usual_use<'i>(tree: &DeTable<'i>) -> Option<Entry<'i>> {
    let defaults = tree.get("defaults")?.get_ref().as_table()?;
    let routes = defaults.get("routes")?.get_ref().as_table()?;
    let (key, list) = routes.get_key_value("use")?;
    Some((key.clone(), list.clone()))
}

/// The policies, and what those that were used together are as one.
struct Joining<'p, 'i> {
    policies: &'p DeTable<'i>,
    keys: Vec<KeyDoc>,
    joined: HashMap<Vec<String>, Joined<'i>>,
}

/// Several policies as one.
#[derive(Default)]
struct Joined<'i> {
    table: DeTable<'i>,
    /// Keys with the policies that have them.
    from: Vec<Taken>,
    conflicts: Vec<Conflict>,
}

/// A key that two policies have.
struct Conflict {
    path: Vec<String>,
    policy: String,
    others: Span,
}

impl Joined<'_> {
    /// The policies that have a key, for a message.
    fn source(&self, key: &str) -> String {
        let from = self.from.iter().find(|it| *it.key == *key);
        let policies = from.map_or(&[][..], |it| &it.policies);
        let names: Vec<String> = policies.iter().map(|it| format!("\"{it}\"")).collect();
        match &names[..] {
            [one] => format!("policy {one}"),
            several => format!("policies {}", several.join(", ")),
        }
    }
}

impl<'i> Joining<'_, 'i> {
    /// Gives a route the keys of policies.
    fn give(
        &mut self,
        route_name: &str,
        route: &mut DeTable<'i>,
        used: &[(&str, Span)],
        applied: &mut Applied,
    ) {
        let names: Vec<String> = used.iter().map(|(name, _)| (*name).to_owned()).collect();
        if !self.joined.contains_key(&names) {
            let joined = self.join(&names);
            self.joined.insert(names.clone(), joined);
        }
        let Some(joined) = self.joined.get(&names) else {
            return;
        };
        let access = joined.source("access");
        for fault in check_access(route_name, route, &joined.table, &access) {
            applied.fault(fault);
        }
        let auth = joined.source("auth");
        if let Some(fault) = lifted::check_auth(route_name, route, &joined.table, &auth) {
            applied.fault(fault);
        }
        for conflict in joined.conflicts.iter().filter(|it| !has(route, &it.path)) {
            let key = conflict.path.join(".");
            let at = used.iter().find(|(name, _)| *name == conflict.policy);
            let message = format!(
                "policy \"{}\" and one before it both have \"{key}\"",
                conflict.policy
            );
            let hint = format!("write \"{key}\" in one of them, or in the route");
            let span = at.map_or(conflict.others, |(_, span)| *span);
            let fault = Fault::error(span, message, hint);
            applied.fault(fault.with_related(conflict.others, "the first one"));
        }
        let (mut taken, mut replaced) = (Vec::new(), Vec::new());
        for (name, value) in &joined.table {
            let mut one = DeTable::new();
            one.insert(name.clone(), value.clone());
            let has_some = merge(route, &one, &self.keys);
            let list = if has_some { &mut taken } else { &mut replaced };
            let from = joined.from.iter().find(|it| *it.key == **name.get_ref());
            list.extend(from.cloned());
        }
        applied.taken.insert(route_name.into(), taken);
        applied.replaced.insert(route_name.into(), replaced);
    }

    fn join(&self, names: &[String]) -> Joined<'i> {
        let mut joined = Joined::default();
        for name in names {
            let policy = self.policies.get(&**name);
            let Some(policy) = policy.and_then(|it| it.get_ref().as_table()) else {
                continue;
            };
            for (key, value) in policy {
                let text: &str = key.get_ref();
                if !Policy::KEYS.contains(&text) {
                    continue;
                }
                match joined.from.iter_mut().find(|it| *it.key == *text) {
                    Some(taken) => taken.policies.push(name.as_str().into()),
                    None => joined.from.push(Taken {
                        key: text.into(),
                        policies: vec![name.as_str().into()],
                    }),
                }
                let mut path = Vec::new();
                let conflicts = &mut joined.conflicts;
                let mut conflict = |path: &[String], others: Span| {
                    conflicts.push(Conflict {
                        path: path.to_vec(),
                        policy: name.clone(),
                        others,
                    });
                };
                add(
                    &mut joined.table,
                    key,
                    value,
                    &self.keys,
                    &mut path,
                    &mut conflict,
                );
            }
        }
        joined
    }
}

/// Adds a key to those of other policies.
fn add<'i>(
    table: &mut DeTable<'i>,
    key: &Spanned<Cow<'i, str>>,
    value: &Spanned<DeValue<'i>>,
    keys: &[KeyDoc],
    path: &mut Vec<String>,
    conflict: &mut impl FnMut(&[String], Span),
) {
    let name: &str = key.get_ref();
    let Some(known) = table.get_mut(name) else {
        table.insert(key.clone(), value.clone());
        return;
    };
    path.push(name.to_owned());
    let doc = keys.iter().find(|doc| doc.name == name);
    let inner = doc.and_then(|doc| table_of(&doc.form));
    let elsewhere = is_elsewhere(&Node::item(known)) || is_elsewhere(&Node::item(value));
    let others = Span::from(known.span());
    let adds_up = path.len() == 1 && ADDED_UP.contains(&name);
    let both = adds_up.then(|| items(known).zip(items(value))).flatten();
    match (known.get_mut(), value.get_ref()) {
        (known, _) if both.is_some() => {
            let (known_items, items) = both.unwrap_or_default();
            *known = DeValue::Array(known_items.into_iter().chain(items).collect());
        }
        (DeValue::Table(known), DeValue::Table(value)) if inner.is_some() && !elsewhere => {
            let keys = inner.unwrap_or_default();
            for (key, value) in value {
                add(known, key, value, &keys, path, conflict);
            }
        }
        (DeValue::Boolean(known), DeValue::Boolean(value)) if known == value => {}
        _ => conflict(path, others),
    }
    path.pop();
}

/// The items of a setting that is one table, or a list of them.
fn items<'i>(value: &Spanned<DeValue<'i>>) -> Option<Vec<Spanned<DeValue<'i>>>> {
    match value.get_ref() {
        DeValue::Table(_) => Some(vec![value.clone()]),
        DeValue::Array(items) => Some(items.to_vec()),
        _ => None,
    }
}

/// Returns true if a table has the key at this path, or something other than a table on the way.
fn has(table: &DeTable<'_>, path: &[String]) -> bool {
    let Some((first, rest)) = path.split_first() else {
        return true;
    };
    match table.get(&**first).map(Spanned::get_ref) {
        None => false,
        Some(DeValue::Table(inner)) => has(inner, rest),
        Some(_) => true,
    }
}

/// Keys of which those of several policies all count.
const ADDED_UP: [&str; 2] = ["auth", "rate_limit"];
