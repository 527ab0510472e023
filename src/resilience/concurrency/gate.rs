//! Places for requests at once, shared by all workers.
//!
//! One atomic holds the places in use and the number of waiters. While nobody waits, a place is
//! taken and given back with one exchange of it and no lock. A place that is given back while
//! somebody waits goes to one waiter, inside the channel that wakes it: a waiter that leaves at
//! that moment drops the place with the channel, and the next one gets it. So no wake-up is lost,
//! and none is made in vain.

use std::{
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering::SeqCst},
    },
    task::{Context, Poll},
};

use smallvec::SmallVec;
use tokio::{sync::oneshot, time::Instant};

use super::{QueueRules, Ticket, Urgency, WaitQueue};

/// A limit on requests at once, and those that wait for a place.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Gate {
    /// Places in use in the low half, waiters in the high half.
    counts: AtomicU64,
    /// Number of places, as the newest configuration has it.
    limit: AtomicU32,
    refused: AtomicU64,
    queue: Mutex<WaitQueue<oneshot::Sender<Place>>>,
}

/// A place; the next waiter gets it on drop.
#[derive(Debug)]
pub struct Place(Arc<Gate>);

/// A place, or a wait for one.
#[derive(Debug)]
pub enum Entry {
    /// There was one.
    Place(Place),
    /// There will be one, perhaps.
    Waiting(Waiting),
    /// The queue is full.
    Full,
}

/// A place in the queue; left on drop. Resolves to none if a more urgent request took it over.
#[derive(Debug)]
pub struct Waiting {
    gate: Arc<Gate>,
    ticket: Ticket,
    place: oneshot::Receiver<Place>,
}

/// State of a gate.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GateView {
    /// Places in use.
    pub in_use: u64,
    /// Requests that wait.
    pub waiting: u64,
}

impl Gate {
    /// Takes one of `limit` places, if one is free and nobody waits.
    pub fn try_take(self: &Arc<Self>, limit: u32) -> Option<Place> {
        if self.limit.load(SeqCst) != limit {
            self.limit.store(limit, SeqCst);
        }
        let take = |counts| (waiting(counts) == 0 && in_use(counts) < limit).then(|| counts + 1);
        let taken = self.counts.fetch_update(SeqCst, SeqCst, take);
        taken.is_ok().then(|| Place(Arc::clone(self)))
    }

    /// Takes a place, or one in the queue.
    pub fn enter(self: &Arc<Self>, rules: QueueRules, urgency: Urgency, now: Instant) -> Entry {
        let mut queue = self.queue();
        queue.set_rules(rules);
        let limit = self.limit.load(SeqCst);
        let free = |counts| waiting(counts) == 0 && in_use(counts) < limit;
        let enter = |counts| Some(counts + if free(counts) { 1 } else { WAITER });
        // The closure never refuses.
        let (Ok(before) | Err(before)) = self.counts.fetch_update(SeqCst, SeqCst, enter);
        if free(before) {
            return Entry::Place(Place(Arc::clone(self)));
        }
        let (sender, place) = oneshot::channel();
        let joined = queue.join(sender, urgency, now);
        let displaced = match &joined {
            Ok((_, None)) => false,
            Ok((_, Some(_))) | Err(_) => true,
        };
        if displaced {
            self.counts.fetch_sub(WAITER, SeqCst);
        }
        // There may be more places than when the others began to wait.
        let next = self.admit(&mut queue, now);
        drop(queue);
        self.hand_out(next);
        match joined {
            Ok((ticket, _)) => Entry::Waiting(Waiting {
                gate: Arc::clone(self),
                ticket,
                place,
            }),
            Err(_) => Entry::Full,
        }
    }

    /// Changes the number of places; more of them are for those who wait.
    pub fn resize(self: &Arc<Self>, limit: u32) {
        self.limit.store(limit, SeqCst);
        if waiting(self.counts.load(SeqCst)) > 0 {
            let mut queue = self.queue();
            let next = self.admit(&mut queue, Instant::now());
            drop(queue);
            self.hand_out(next);
        }
    }

    /// Counts a request that got no place.
    pub fn count_refused(&self) {
        self.refused.fetch_add(1, SeqCst);
    }

    /// Places in use, and waiters.
    pub fn view(&self) -> GateView {
        let counts = self.counts.load(SeqCst);
        GateView {
            in_use: in_use(counts).into(),
            waiting: waiting(counts),
        }
    }

    /// Number of places, as last set.
    pub fn limit(&self) -> u32 {
        self.limit.load(SeqCst)
    }

    /// Number of requests that got no place.
    pub fn refused(&self) -> u64 {
        self.refused.load(SeqCst)
    }

    /// Gives a place back while somebody waits.
    #[cold]
    fn pass_on(self: &Arc<Self>) {
        let mut queue = self.queue();
        self.counts.fetch_sub(1, SeqCst);
        let next = self.admit(&mut queue, Instant::now());
        drop(queue);
        self.hand_out(next);
    }

    /// Takes waiters out of the queue as long as there are places for them, and counts these.
    fn admit(&self, queue: &mut WaitQueue<oneshot::Sender<Place>>, now: Instant) -> Admitted {
        let limit = self.limit.load(SeqCst);
        let mut admitted = Admitted::new();
        let admit = |counts| {
            let some = waiting(counts) > 0 && in_use(counts) < limit;
            some.then(|| counts + 1 - WAITER)
        };
        while self.counts.fetch_update(SeqCst, SeqCst, admit).is_ok() {
            // As many wait as are counted: both change under the lock.
            admitted.extend(queue.next(now));
        }
        admitted
    }

    /// Gives places to those who were admitted. That of a waiter who has left goes to the next, by
    /// its drop; so the lock must not be held.
    fn hand_out(self: &Arc<Self>, admitted: Admitted) {
        for waiter in admitted {
            drop(waiter.send(Place(Arc::clone(self))));
        }
    }

    fn queue(&self) -> MutexGuard<'_, WaitQueue<oneshot::Sender<Place>>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let give_back = |counts| (waiting(counts) == 0).then(|| counts - 1);
        let counts = &self.0.counts;
        if counts.fetch_update(SeqCst, SeqCst, give_back).is_err() {
            self.0.pass_on();
        }
    }
}

impl Future for Waiting {
    type Output = Option<Place>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Place>> {
        Pin::new(&mut self.place).poll(cx).map(Result::ok)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut queue = self.gate.queue();
        if queue.leave(self.ticket).is_some() {
            self.gate.counts.fetch_sub(WAITER, SeqCst);
        }
    }
}

/// Those who get a place; mostly one.
type Admitted = SmallVec<[oneshot::Sender<Place>; 1]>;

fn in_use(counts: u64) -> u32 {
    // The low half.
    u32::try_from(counts % WAITER).unwrap_or(u32::MAX)
}

fn waiting(counts: u64) -> u64 {
    counts / WAITER
}

/// One waiter in the counts.
const WAITER: u64 = 1 << 32;
