//! Checks for pools that fail over to themselves, directly or through others.

use std::collections::{BTreeMap, HashMap};

use super::Check;
use crate::config::schema::Pool;
use crate::config::value::Name;

pub(super) fn check(check: &mut Check<'_>) {
    let pools = &check.config.pools;
    let mut chains = Chains::of(pools);
    for (name, pool) in pools {
        for first in &pool.failover {
            let Some(circle) = chains.find(name, &first.value) else {
                continue;
            };
            let names: Vec<_> = circle.iter().map(|name| format!("\"{name}\"")).collect();
            let message = format!(
                "pool \"{name}\" fails over to itself: {}",
                names.join(" -> ")
            );
            check.error(first.span, message, "the chain of failover must end");
        }
        // Of a circle only the first pool by name speaks.
        chains.forget(name);
    }
}

/// Pools that may be part of a circle. A pool without a predecessor or a successor is not, so each
/// pool and each link is visited a few times only, however long the chains are.
struct Chains<'a>(HashMap<&'a Name, Links<'a>>);

#[derive(Default)]
struct Links<'a> {
    next: Vec<&'a Name>,
    before: Vec<&'a Name>,
    /// Number of entries left in `next` and `before`.
    next_left: usize,
    before_left: usize,
}

impl<'a> Chains<'a> {
    fn of(pools: &'a BTreeMap<Name, Pool>) -> Self {
        let mut links: HashMap<&Name, Links<'_>> = HashMap::new();
        for (name, pool) in pools {
            links.entry(name).or_default();
            let defined = pool.failover.iter().map(|next| &next.value);
            for next in defined.filter(|next| pools.contains_key(*next)) {
                links.entry(name).or_default().next.push(next);
                links.entry(next).or_default().before.push(name);
            }
        }
        for own in links.values_mut() {
            (own.next_left, own.before_left) = (own.next.len(), own.before.len());
        }
        let mut chains = Self(links);
        let ends = chains.0.iter().filter(|(_, own)| own.is_end());
        let ends: Vec<&Name> = ends.map(|(name, _)| *name).collect();
        for end in ends {
            chains.forget(end);
        }
        chains
    }

    /// Removes a pool, and the pools that cannot be part of a circle without it.
    fn forget(&mut self, name: &'a Name) {
        let mut open = vec![name];
        while let Some(name) = open.pop() {
            let Some(own) = self.0.remove(name) else {
                continue;
            };
            for before in own.before {
                if let Some(links) = self.0.get_mut(before) {
                    links.next_left -= 1;
                    open.extend(links.is_end().then_some(before));
                }
            }
            for next in own.next {
                if let Some(links) = self.0.get_mut(next) {
                    links.before_left -= 1;
                    open.extend(links.is_end().then_some(next));
                }
            }
        }
    }

    /// Follows failover from `first` until `home` is met again; looks at each pool once.
    fn find(&self, home: &'a Name, first: &'a Name) -> Option<Vec<&'a Name>> {
        if !self.0.contains_key(home) {
            return None;
        }
        let mut came_from: HashMap<&Name, Option<&Name>> = HashMap::from([(first, None)]);
        let mut open = vec![first];
        while let Some(last) = open.pop() {
            if last == home {
                let back = |name: &&'a Name| came_from.get(*name).copied().flatten();
                let mut circle: Vec<_> = std::iter::successors(Some(last), back).collect();
                circle.reverse();
                return Some(circle);
            }
            for next in self.0.get(last).into_iter().flat_map(|own| &own.next) {
                came_from.entry(next).or_insert_with(|| {
                    open.push(next);
                    Some(last)
                });
            }
        }
        None
    }
}

impl Links<'_> {
    fn is_end(&self) -> bool {
        self.next_left == 0 || self.before_left == 0
    }
}

#[cfg(test)]
mod tests {
    use std::{fmt::Write as _, path::Path};

    use crate::config::{Rules, parse};

    /// A chain of pools; the last one fails over to `last`.
    fn chain(length: usize, last: &str) -> String {
        let mut text = "[listeners.web]\naddress = \"127.0.0.1:80\"\n\
                        [routes.r]\npool = \"p0\"\n"
            .to_owned();
        for pool in 0..length {
            let next = match pool + 1 {
                next if next == length => last.to_owned(),
                next => format!("\"p{next}\""),
            };
            let endpoint = "endpoints = [\"127.0.0.2:1\"]";
            let _ = writeln!(text, "[pools.p{pool}]\n{endpoint}\nfailover = [{next}]");
        }
        text
    }

    /// Checks that the work grows with the number of pools, not with its square or cube.
    #[test]
    fn thousands_of_pools_in_one_chain_are_checked() {
        let rules = Rules::default();
        let loaded = parse(chain(5000, ""), Path::new("p.toml"), &rules);
        assert_eq!(loaded.unwrap().config.pools.len(), 5000);
        let faults = parse(chain(5000, "\"p0\""), Path::new("p.toml"), &rules).unwrap_err();
        let told = faults.to_string();
        assert_eq!(told.matches("fails over to itself").count(), 1);
        assert!(told.contains("pool \"p0\" fails over to itself: \"p1\" -> \"p2\" -> "));
    }
}
