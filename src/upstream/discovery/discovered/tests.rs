//! Lists over time: sudden losses, other sources, faults.

use super::*;
use crate::config::value::EndpointAddress;

const HOLD: Duration = Duration::from_secs(30);

fn list(ports: std::ops::Range<u16>) -> Result<Update, DiscoveryError> {
    let endpoints = ports.map(|port| {
        let address = format!("10.0.0.1:{port}");
        let address = EndpointAddress::parse(&address, std::path::Path::new("/"));
        Endpoint::new(address.unwrap(), None)
    });
    Ok(Update::List(EndpointList::new(endpoints.collect())))
}

#[test]
fn a_sudden_loss_of_most_endpoints_is_held_and_what_is_new_is_not() {
    let source = SourceSpec::File("list.json".into());
    let known = Discovered::default();
    let start = HeardAt::now();
    let at = |secs: u64| HeardAt {
        time: start.time + Duration::from_secs(secs),
        instant: start.instant + Duration::from_secs(secs),
    };
    let hear = |ports, secs| known.hear(&source, &list(ports), HOLD, at(secs));
    let held = || known.status().held.map(|it| (it.count, it.since, it.until));
    assert_eq!(hear(1..11, 0), Heard::Changed);
    // Half of them are no mass.
    assert_eq!(hear(1..6, 1), Heard::Changed);
    assert_eq!((known.list().len(), known.status().held), (5, None));
    assert_eq!(hear(1..3, 2), Heard::Unchanged);
    assert_eq!(known.list().len(), 5);
    assert_eq!(held(), Some((3, at(2).time, at(32).time)));
    assert_eq!(known.status().endpoints, 2);
    // While it fills again, nobody leaves.
    assert_eq!(hear(1..5, 3), Heard::Unchanged);
    assert_eq!(held(), Some((1, at(2).time, at(32).time)));
    // What is new is used, and the time runs from the first such list.
    assert_eq!(hear(20..22, 20), Heard::Changed);
    assert_eq!(known.list().len(), 7);
    assert!(!known.end_hold(at(31)) && known.end_hold(at(32)));
    assert_eq!((known.list().len(), known.status().held), (2, None));
    // One that comes back in time was never away.
    assert_eq!(hear(20..20, 40), Heard::Unchanged);
    assert_eq!(hear(20..22, 41), Heard::Unchanged);
    assert!(!known.end_hold(at(99)));
    // The answer after the time ends it, too.
    hear(20..20, 100);
    assert_eq!(hear(20..20, 130), Heard::Changed);
    assert!(known.list().is_empty());
}

#[test]
fn another_source_is_taken_as_it_is_unless_it_has_nobody() {
    let known = Discovered::default();
    let start = HeardAt::now();
    let at = |secs: u64| HeardAt {
        time: start.time + Duration::from_secs(secs),
        instant: start.instant + Duration::from_secs(secs),
    };
    let source = |name: &str| SourceSpec::File(name.into());
    let hear = |name: &str, ports, secs| {
        known.hear(&source(name), &list(ports), HOLD, at(secs));
        (known.list().len(), known.status().held.map(|it| it.count))
    };
    assert_eq!(hear("one", 1..11, 0), (10, None));
    assert_eq!(hear("two", 1..2, 1), (1, None));
    assert_eq!(hear("one", 1..11, 2), (10, None));
    // Nobody there: the name may be misspelt. The way back costs nothing, whatever it says first.
    assert_eq!(hear("typo", 1..1, 3), (10, Some(10)));
    known.hear(&source("one"), &Ok(Update::Unchanged), HOLD, at(4));
    assert_eq!((known.list().len(), known.status().held), (10, None));
    assert_eq!(hear("one", 1..11, 5), (10, None));
    // The first who serve there end it, however few.
    assert_eq!(hear("new", 1..1, 6), (10, Some(10)));
    assert_eq!(hear("new", 20..21, 7), (1, None));
    // With the time over it is believed.
    assert_eq!(hear("none", 1..1, 8), (1, Some(1)));
    assert!(!known.end_hold(at(37)) && known.end_hold(at(38)));
    assert_eq!(hear("none", 1..1, 39), (0, None));
}

#[test]
fn a_trouble_beside_a_good_list_is_told_since_it_began() {
    let source = SourceSpec::File("list.json".into());
    let (known, now) = (Discovered::default(), HeardAt::now());
    let later = HeardAt {
        time: now.time + HOLD,
        ..now
    };
    let troubled = |why: Option<&str>, at| {
        let Ok(Update::List(good)) = list(1..3) else {
            panic!("a list");
        };
        let list = EndpointList {
            trouble: why.map(str::to_owned),
            ..good
        };
        known.hear(&source, &Ok(Update::List(list)), HOLD, at);
        known.status().trouble
    };
    assert_eq!(troubled(Some("a"), now), Some(("a".to_owned(), now.time)));
    assert_eq!(troubled(Some("b"), later), Some(("b".to_owned(), now.time)));
    assert_eq!((known.status().error, known.list().len()), (None, 2));
    assert_eq!(troubled(None, later), None);
}

#[test]
fn a_source_fails_since_its_first_error_whatever_the_text() {
    let source = SourceSpec::File("list.json".into());
    let (known, now) = (Discovered::default(), HeardAt::now());
    let later = HeardAt {
        time: now.time + HOLD,
        ..now
    };
    let fail = |text: &str, at| known.lock().fail(text.to_owned(), at);
    assert_eq!(fail("refused", now.time), Heard::Failed { is_news: true });
    assert_eq!(fail("late", later.time), Heard::Failed { is_news: true });
    assert_eq!(known.status().error, Some(("late".to_owned(), now.time)));
    known.hear(&source, &list(1..5), HOLD, later);
    assert_eq!(known.status().error, None);
}
