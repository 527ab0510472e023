//! Order of the queue, and a simulation of a gate under arrivals, ends and clients that leave.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::time::Instant;

use super::*;

const RULES: QueueRules = QueueRules {
    max: 10,
    timeout: Duration::from_secs(1),
};

fn queue() -> (WaitQueue<u32>, Instant) {
    let mut queue = WaitQueue::default();
    queue.set_rules(RULES);
    (queue, Instant::now())
}

fn all(queue: &mut WaitQueue<u32>, now: Instant) -> Vec<u32> {
    std::iter::from_fn(|| queue.next(now)).collect()
}

#[test]
fn a_short_queue_serves_the_oldest_first() {
    let (mut queue, now) = queue();
    for waiter in 0..5 {
        queue.join(waiter, Urgency::default(), now).unwrap();
    }
    assert_eq!(all(&mut queue, now), [0, 1, 2, 3, 4]);
}

#[test]
fn a_queue_more_than_half_full_serves_the_newest_first() {
    let (mut queue, now) = queue();
    for waiter in 0..7 {
        queue.join(waiter, Urgency::default(), now).unwrap();
    }
    // Until it is half full again.
    assert_eq!(all(&mut queue, now), [6, 5, 0, 1, 2, 3, 4]);
}

#[test]
fn a_queue_that_does_not_become_empty_serves_the_newest_first() {
    let (mut queue, start) = queue();
    for waiter in 0..3 {
        queue.join(waiter, Urgency::default(), start).unwrap();
    }
    assert_eq!(queue.next(start + RULES.timeout / 2), Some(0));
    assert_eq!(all(&mut queue, start + RULES.timeout), [2, 1]);
    let later = start + RULES.timeout * 2;
    for waiter in 3..5 {
        queue.join(waiter, Urgency::default(), later).unwrap();
    }
    assert_eq!(all(&mut queue, later), [3, 4]);
}

#[test]
fn the_urgent_go_first_and_take_the_place_of_others_in_a_full_queue() {
    let (mut queue, now) = queue();
    let read = |text: &str| Urgency::read(text.as_bytes());
    for waiter in 0..10 {
        queue.join(waiter, read("5"), now).unwrap();
    }
    assert_eq!(queue.join(10, read("7"), now), Err(10));
    assert_eq!(queue.join(11, read("5"), now), Err(11));
    let (_, displaced) = queue.join(12, read("u=1, i"), now).unwrap();
    assert_eq!((displaced, queue.len()), (Some(9), 10));
    assert_eq!(queue.next(now), Some(12));
}

#[test]
fn a_value_that_is_no_urgency_is_the_default() {
    for bad in ["", "8", "-1", "33", "high", "u=9", "u=", "\u{ff}", "i"] {
        assert_eq!(Urgency::read(bad.as_bytes()), Urgency::default(), "{bad}");
    }
    assert!(Urgency::read(b"0") < Urgency::read(b" u=2"));
}

fn poll(waiting: &mut Waiting) -> Poll<Option<Place>> {
    let mut cx = Context::from_waker(Waker::noop());
    std::pin::Pin::new(waiting).poll(&mut cx)
}

fn wait(gate: &Arc<Gate>) -> Waiting {
    match gate.enter(RULES, Urgency::default(), Instant::now()) {
        Entry::Waiting(waiting) => waiting,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_waiter_that_leaves_as_it_is_woken_leaves_its_place_to_the_next() {
    let gate = Arc::new(Gate::default());
    let place = gate.try_take(1).unwrap();
    let first = wait(&gate);
    let mut second = wait(&gate);
    drop(place);
    // The first has got it, and does not know yet.
    assert!(poll(&mut second).is_pending());
    drop(first);
    let Poll::Ready(Some(place)) = poll(&mut second) else {
        panic!("the place is lost");
    };
    drop((place, second));
    assert_eq!(gate.view(), GateView::default());
}

#[test]
fn more_places_are_for_those_who_wait() {
    let gate = Arc::new(Gate::default());
    let _place = gate.try_take(1).unwrap();
    let mut first = wait(&gate);
    assert!(gate.try_take(3).is_none());
    let mut second = wait(&gate);
    let held = [poll(&mut first), poll(&mut second)];
    assert!(held.iter().all(Poll::is_ready));
    let mut third = wait(&gate);
    assert!(poll(&mut third).is_pending());
    gate.resize(4);
    assert!(poll(&mut third).is_ready());
}

#[test]
fn fewer_places_let_nobody_in_until_enough_have_left() {
    let gate = Arc::new(Gate::default());
    let mut places: Vec<_> = (0..4).map(|_| gate.try_take(4).unwrap()).collect();
    assert!(gate.try_take(2).is_none());
    let mut waiting = wait(&gate);
    places.truncate(2);
    assert!(poll(&mut waiting).is_pending());
    places.truncate(1);
    assert!(poll(&mut waiting).is_ready());
}

/// A generator of numbers (xorshift); `SEED=n` replays it.
struct Draw(u64);

impl Draw {
    fn below(&mut self, end: u64) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end).unwrap()
    }
}

fn seed() -> u64 {
    let given = std::env::var("SEED").ok().and_then(|it| it.parse().ok());
    given.unwrap_or(0x9e37_79b9_7f4a_7c15)
}

#[test]
fn no_place_stays_free_while_somebody_waits_whatever_happens() {
    let mut draw = Draw(seed());
    for _ in 0..200 {
        let gate = Arc::new(Gate::default());
        let mut limit = 1 + u32::try_from(draw.below(4)).unwrap();
        let (mut places, mut waiters) = (Vec::new(), Vec::new());
        for _ in 0..200 {
            match draw.below(10) {
                0..5 => match gate.try_take(limit) {
                    Some(place) => places.push(place),
                    None => {
                        let urgency = Urgency::read(draw.below(8).to_string().as_bytes());
                        match gate.enter(RULES, urgency, Instant::now()) {
                            Entry::Place(place) => places.push(place),
                            Entry::Waiting(waiting) => waiters.push(waiting),
                            Entry::Full => {}
                        }
                    }
                },
                5..7 if !places.is_empty() => {
                    places.swap_remove(draw.below(places.len() as u64));
                }
                7 if !waiters.is_empty() => {
                    // It may have been woken already.
                    waiters.swap_remove(draw.below(waiters.len() as u64));
                }
                8 => limit = 1 + u32::try_from(draw.below(4)).unwrap(),
                _ => {
                    for mut waiter in std::mem::take(&mut waiters) {
                        match poll(&mut waiter) {
                            Poll::Ready(place) => places.extend(place),
                            Poll::Pending => waiters.push(waiter),
                        }
                    }
                }
            }
            let view = gate.view();
            assert!(
                view.waiting == 0 || view.in_use >= gate.limit().into(),
                "{view:?} of {}",
                gate.limit()
            );
        }
        drop((places, waiters));
        assert_eq!(gate.view(), GateView::default(), "seed {}", seed());
    }
}

#[test]
fn a_gate_is_exact_over_threads_and_loses_no_place() {
    const LIMIT: u32 = 3;
    let gate = Arc::new(Gate::default());
    let inside = Arc::new(AtomicU32::new(0));
    let threads: Vec<_> = (1..=4)
        .map(|number| {
            let (gate, inside) = (Arc::clone(&gate), Arc::clone(&inside));
            std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .unwrap();
                let mut draw = Draw(seed() ^ number);
                let mut served = 0;
                let local = async {
                    for _ in 0..3000 {
                        let place = match gate.try_take(LIMIT) {
                            Some(place) => place,
                            None => match gate.enter(RULES, Urgency::default(), Instant::now()) {
                                Entry::Place(place) => place,
                                Entry::Full => continue,
                                // Its client leaves, perhaps at the moment of its turn.
                                Entry::Waiting(waiting) if draw.below(2) == 0 => {
                                    std::thread::yield_now();
                                    drop(waiting);
                                    continue;
                                }
                                Entry::Waiting(waiting) => waiting.await.unwrap(),
                            },
                        };
                        assert!(inside.fetch_add(1, SeqCst) < LIMIT);
                        std::thread::yield_now();
                        inside.fetch_sub(1, SeqCst);
                        drop(place);
                        served += 1;
                    }
                };
                runtime.block_on(local);
                served
            })
        })
        .collect();
    let served: u32 = threads.into_iter().map(|it| it.join().unwrap()).sum();
    assert!(served > 0);
    assert_eq!(gate.view(), GateView::default());
}
