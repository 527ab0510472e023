//! Exchanges that hold an upstream connection, or a stream of one, while their client sends
//! nothing.
//!
//! A head without its body costs a client nothing, but it costs the proxy an upstream connection: a
//! few clients could take all of a pool's `limits.connections`, and leave 503 for the others. If
//! there is no room, the exchange whose client has stood still longest therefore loses its place,
//! and is answered with 408. As long as there is room none does. Nor does a head take part in that
//! ([`Claim::Spare`](super::acquire::Claim)): without room it waits for its body, and takes no
//! place that another request waits for.
//!
//! An exchange is noted when its upload first waits for the client, until there is a response or
//! the next piece. Each worker has its own notes; others ask it for connections. So "longest" is
//! among those of one worker, and a stream makes room on its own connection alone: a worker that
//! has no connection to an HTTP/2 endpoint gets none by it.

use std::{
    cell::RefCell,
    rc::Rc,
    task::{Context, Waker},
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

/// Exchanges of one worker at one pool whose clients stand still.
#[derive(Debug, Default)]
pub struct Standing(RefCell<Places>);

#[derive(Debug, Default)]
struct Places {
    /// At most as many as connections.
    entries: Vec<Option<Entry>>,
    free: Vec<usize>,
}

#[derive(Debug)]
struct Entry {
    since: Instant,
    held: Held,
    waker: Waker,
    /// Dropped with the exchange that has lost its place.
    lost: Option<oneshot::Sender<()>>,
}

/// Connection or stream that an exchange holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// A connection of its own: its place is good for any endpoint of the pool.
    Connection,
    /// A stream of a connection to the endpoint of this number.
    Stream(usize),
}

/// One exchange among them, until it is dropped.
#[derive(Debug)]
pub struct StandsStill {
    standing: Rc<Standing>,
    place: usize,
}

/// Result of the wish for a place.
#[derive(Debug)]
pub enum Dismissal {
    /// An exchange loses its place; it is free when this resolves.
    Gone(oneshot::Receiver<()>),
    /// The one that has stood still longest has not done so long enough: it may lose its place at
    /// this time.
    At(Instant),
    /// No client stands still.
    Nobody,
}

impl Standing {
    /// Notes an exchange whose client stands still from now on.
    pub fn note(self: &Rc<Self>, held: Held, cx: &Context<'_>) -> StandsStill {
        let entry = Some(Entry {
            since: Instant::now(),
            held,
            waker: cx.waker().clone(),
            lost: None,
        });
        let places = &mut *self.0.borrow_mut();
        let place = if let Some(place) = places.free.pop() {
            places.entries[place] = entry;
            place
        } else {
            places.entries.push(entry);
            places.entries.len() - 1
        };
        StandsStill {
            standing: Rc::clone(self),
            place,
        }
    }

    /// Takes the place of the exchange whose client has stood still longest among those that hold
    /// one of this kind.
    pub fn dismiss(&self, held: Held, now: Instant) -> Dismissal {
        let mut places = self.0.borrow_mut();
        let entries = places.entries.iter_mut().flatten();
        let longest = entries
            .filter(|entry| entry.held == held && entry.lost.is_none())
            .min_by_key(|entry| entry.since);
        let Some(longest) = longest else {
            return Dismissal::Nobody;
        };
        let end = longest.since + STILL_MIN;
        if now < end {
            return Dismissal::At(end);
        }
        let (lost, gone) = oneshot::channel();
        longest.lost = Some(lost);
        longest.waker.wake_by_ref();
        Dismissal::Gone(gone)
    }
}

impl StandsStill {
    /// Returns true if the exchange has lost its place; otherwise the task is woken when it does.
    pub fn has_lost(&self, cx: &Context<'_>) -> bool {
        let mut places = self.standing.0.borrow_mut();
        let Some(Some(entry)) = places.entries.get_mut(self.place) else {
            return false;
        };
        entry.waker.clone_from(cx.waker());
        entry.lost.is_some()
    }
}

impl Drop for StandsStill {
    fn drop(&mut self) {
        let places = &mut *self.standing.0.borrow_mut();
        places.entries[self.place] = None;
        places.free.push(self.place);
    }
}

/// Minimum time that a client may stand still: longer than one round trip.
const STILL_MIN: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_stood_still_longest_loses_its_place_first() {
        let standing = Rc::new(Standing::default());
        let cx = Context::from_waker(Waker::noop());
        assert!(matches!(
            standing.dismiss(Held::Connection, Instant::now()),
            Dismissal::Nobody
        ));
        let [first, second, third] = [(); 3].map(|()| standing.note(Held::Connection, &cx));
        drop(first);
        let now = Instant::now();
        assert!(matches!(standing.dismiss(Held::Connection, now), Dismissal::At(at) if at > now));
        let later = now + STILL_MIN;
        let Dismissal::Gone(mut gone) = standing.dismiss(Held::Connection, later) else {
            panic!("the second loses its place");
        };
        assert!(second.has_lost(&cx) && !third.has_lost(&cx));
        assert!(gone.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        drop(second);
        assert!(gone.try_recv() == Err(oneshot::error::TryRecvError::Closed));
        let fourth = standing.note(Held::Connection, &cx);
        assert!(matches!(
            standing.dismiss(Held::Connection, later),
            Dismissal::Gone(_)
        ));
        assert!(third.has_lost(&cx) && !fourth.has_lost(&cx));
    }

    #[test]
    fn a_stream_makes_room_at_its_own_endpoint_only() {
        let standing = Rc::new(Standing::default());
        let cx = Context::from_waker(Waker::noop());
        let [here, there] = [1, 2].map(Held::Stream);
        let still = standing.note(there, &cx);
        let later = Instant::now() + STILL_MIN;
        for held in [here, Held::Connection] {
            assert!(matches!(standing.dismiss(held, later), Dismissal::Nobody));
        }
        assert!(matches!(standing.dismiss(there, later), Dismissal::Gone(_)));
        assert!(still.has_lost(&cx));
    }
}
