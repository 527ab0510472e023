//! Sudden losses of most endpoints of a list: the fault of a registry more often than of so many
//! instances at once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::upstream::endpoint::{Endpoint, Standing};

/// Returns true if a list has less than half of the endpoints that may serve in the one before, or
/// fewer than before while such a loss `goes_on`: a registry that fills again names them one by one.
/// A list that has as many others in their place is none.
pub(super) fn is_mass_removal(
    before: &[Arc<Endpoint>],
    after: &[Arc<Endpoint>],
    goes_on: bool,
) -> bool {
    let up = |list: &[Arc<Endpoint>]| list.iter().filter(|it| it.is_up()).count();
    let (before, after) = (up(before), up(after));
    if goes_on {
        after < before
    } else {
        after * 2 < before
    }
}

/// Returns the list `after`, with those of `before` that it has no more, or as down.
pub(super) fn with_removed(
    before: &[Arc<Endpoint>],
    after: &[Arc<Endpoint>],
) -> Vec<Arc<Endpoint>> {
    let known: HashMap<&str, &Arc<Endpoint>> = before.iter().map(|it| (&*it.label, it)).collect();
    let listed: HashSet<&str> = after.iter().map(|it| &*it.label).collect();
    let kept = after.iter().map(|it| {
        let was_up = known.get(&*it.label).is_some_and(|old| old.is_up());
        if it.is_up() || !was_up {
            return Arc::clone(it);
        }
        Arc::new(Endpoint {
            standing: Standing::Up,
            ..Endpoint::clone(it)
        })
    });
    let removed = before.iter().filter(|it| !listed.contains(&*it.label));
    kept.chain(removed.cloned()).collect()
}
