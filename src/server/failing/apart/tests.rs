use super::*;

fn slot(all: u64, failed: u64, refused: u64, ms: u64) -> Slot {
    Slot {
        all,
        failed,
        refused,
        time_ns: all * ms * 1_000_000,
        timed: all,
    }
}

/// Shows slots of the endpoints `a` and `b` one after the other; the lines after each.
fn lines(slots: &[[Slot; 2]]) -> Vec<Vec<String>> {
    let (mut apart, events) = (Apart::default(), Events::new());
    let mut seen = Vec::new();
    for (at, [a, b]) in slots.iter().enumerate() {
        let newest = [("a", *a), ("b", *b)].map(|(name, slot)| (("app".into(), name.into()), slot));
        let newest = newest
            .into_iter()
            .filter(|(_, slot)| slot.all > 0)
            .collect();
        let now = SystemTime::UNIX_EPOCH + super::super::SLOT * u32::try_from(at).unwrap();
        apart.note(newest, now, &events);
        seen.push(apart.lines());
    }
    seen
}

#[test]
fn one_that_fails_refuses_or_is_slow_is_told_and_what_all_do_is_not() {
    let fine = slot(20, 0, 0, 3);
    for (own, begin) in [
        (
            slot(20, 10, 0, 3),
            "about 50 % of the attempts at a fail since 1970-01-01T00:00:00Z, none of the others'",
        ),
        (
            slot(20, 0, 20, 3),
            "all of the answers of a are 4xx since 1970-01-01T00:00:00Z, none of the others'",
        ),
        (
            slot(20, 0, 0, 412),
            "attempts at a take 400 ms on average since 1970-01-01T00:00:00Z, those at the others 3 ms",
        ),
    ] {
        let told = lines(&[[own, fine]]);
        assert_eq!(
            told[0],
            [format!(
                "pool app: {begin}; `sluicegate endpoint drain app/a` takes it out"
            )]
        );
        assert!(lines(&[[own, own]])[0].is_empty(), "all do so");
    }
    // Three times as slow is no news, nor is a fast one beside one that is faster still.
    assert!(lines(&[[slot(20, 0, 0, 300), slot(20, 0, 0, 100)]])[0].is_empty());
    assert!(lines(&[[slot(20, 0, 0, 90), fine]])[0].is_empty());
    // Nor are few attempts.
    assert!(lines(&[[slot(9, 9, 0, 3), fine]])[0].is_empty());
}

#[test]
fn it_ends_with_the_trouble_and_with_the_traffic() {
    let (bad, fine) = (slot(20, 20, 0, 3), slot(20, 0, 0, 3));
    let well = lines(&[
        [bad, fine],
        [fine, fine],
        [fine, fine],
        [fine, fine],
        [fine, fine],
        [fine, fine],
    ]);
    assert_eq!(well[0].len(), 1);
    assert!(well[5].is_empty(), "{well:?}");
    let none = Slot::default();
    let drained = lines(&[
        [bad, fine],
        [none, fine],
        [none, fine],
        [none, fine],
        [none, fine],
        [none, fine],
    ]);
    assert_eq!(drained[4].len(), 1);
    assert!(drained[5].is_empty(), "{drained:?}");
}
