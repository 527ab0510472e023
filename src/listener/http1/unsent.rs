//! An answer that is sent apart from its task, while that waits for the next request.
//!
//! On a busy worker sends leave in bursts. The task of a connection need not come back only to
//! see its answer off: the burst sends it and closes its record. Word reaches the task when
//! the client does not take all of it at once.

use std::{
    cell::RefCell,
    rc::{Rc, Weak},
    task::{Context, Poll, Waker},
};

use crate::{exchange::Failure, listener::Exchanging, socket::Apart};

impl Apart for RefCell<Exchanging> {
    fn send(&self, waker: &Waker) {
        let unsent = {
            let exchanging = &mut *self.borrow_mut();
            exchanging.io.send_apart(waker);
            let sent = exchanging.io.is_flushed();
            if !sent || exchanging.io.has_received() || exchanging.io.has_ended() {
                // A client that does not take it has its time; what it sent was not looked at.
                waker.wake_by_ref();
            }
            exchanging.unsent.take_if(|_| sent)
        };
        if let Some(unsent) = unsent {
            unsent.complete();
        }
    }
}

/// Leaves what waits to the burst, or sends it.
pub(super) fn poll_flush(
    shared: &Rc<RefCell<Exchanging>>,
    exchanging: &mut Exchanging,
    cx: &mut Context<'_>,
) -> Poll<Result<(), Failure>> {
    let apart = || -> Weak<dyn Apart> { Rc::<RefCell<Exchanging>>::downgrade(shared) };
    let flushed = exchanging.io.poll_flush_apart(apart, cx);
    flushed.map_err(|_| Failure::ClientGone)
}

impl Exchanging {
    /// Closes the record of the answer that was unsent.
    pub(super) fn end_unsent(&mut self, sent: Result<(), Failure>) {
        match (self.unsent.take(), sent) {
            (Some(unsent), Ok(())) => unsent.complete(),
            (Some(unsent), Err(failure)) => unsent.cut(failure),
            (None, _) => {}
        }
    }
}
