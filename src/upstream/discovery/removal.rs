//! Sudden losses of most endpoints of a list: the fault of a registry more often than of so many
//! instances at once.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::upstream::endpoint::{Endpoint, Standing};

/// Returns true if a list has less than half of the endpoints that may serve in the one before, or
/// fewer than before while such a loss `goes_on`: a registry that fills again names them one by one.
/// A list that has as many others in their place is none, and those that have announced their end do
/// not count.
pub(super) fn is_mass_removal(
    before: &[Arc<Endpoint>],
    after: &[Arc<Endpoint>],
    goes_on: bool,
) -> bool {
    let is_leaving = |it: &&Arc<Endpoint>| matches!(it.standing, Standing::Leaving(_));
    let leaving: HashSet<&str> = after
        .iter()
        .filter(is_leaving)
        .map(|it| &*it.label)
        .collect();
    let up = |list: &[Arc<Endpoint>]| {
        let up = list.iter().filter(|it| it.is_up());
        up.filter(|it| !leaving.contains(&*it.label)).count()
    };
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
    let is_leaving = |it: &Endpoint| matches!(it.standing, Standing::Leaving(_));
    let known: HashMap<&str, &Arc<Endpoint>> = before.iter().map(|it| (&*it.label, it)).collect();
    let listed: HashSet<&str> = after.iter().map(|it| &*it.label).collect();
    let kept = after.iter().map(|it| {
        let was_up = known.get(&*it.label).is_some_and(|old| old.is_up());
        if it.is_up() || !was_up || is_leaving(it) {
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

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::value::EndpointAddress;

    fn list(standings: &[Standing]) -> Vec<Arc<Endpoint>> {
        let endpoints = standings.iter().zip(1_u16..).map(|(standing, port)| {
            let address = EndpointAddress::parse(&format!("10.0.0.1:{port}"), Path::new("/"));
            Arc::new(Endpoint {
                standing: standing.clone(),
                ..Endpoint::new(address.unwrap(), None)
            })
        });
        endpoints.collect()
    }

    #[test]
    fn endpoints_that_announce_their_end_are_no_loss_and_do_not_stay() {
        let (up, down) = (|| Standing::Up, || Standing::Down("critical".into()));
        let leaving = || Standing::Leaving("terminating".into());
        let before = list(&[up(), up(), up(), up()]);
        assert!(is_mass_removal(&before, &list(&[up()]), false));
        assert!(is_mass_removal(
            &before,
            &list(&[up(), down(), down(), down()]),
            false
        ));
        let scaled = list(&[up(), leaving(), leaving(), leaving()]);
        assert!(!is_mass_removal(&before, &scaled, false));
        assert!(!is_mass_removal(&scaled, &list(&[up()]), false));
        // Of the other two, both are gone: that is a loss, and who ends is not brought back by it.
        let lost = list(&[leaving(), leaving()]);
        assert!(is_mass_removal(&before, &lost, false));
        let all = with_removed(&before, &lost);
        let serving = all.iter().filter(|it| it.is_up()).count();
        assert_eq!((all.len(), serving), (4, 2));
    }
}
