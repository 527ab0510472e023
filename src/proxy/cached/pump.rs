//! Moves the body of an answer into the cache, as fast as it arrives: a client that reads slowly, or
//! leaves, holds nobody else.

use std::{
    cell::RefCell,
    future::poll_fn,
    rc::{Rc, Weak},
    sync::Arc,
    time::Duration,
};

use super::reader::Rest;
use crate::{
    cache::{Content, Lead, Meta},
    exchange::{AnswerEnd, Answering, Body, LeftAnswering},
    failure::Failure,
    semantics::{Frame, Headers},
    task, timer,
};

/// An answer whose body is still to be read.
pub(super) struct Pump {
    pub(super) lead: Lead,
    pub(super) meta: Arc<Meta>,
    pub(super) body: Body,
    /// The endpoint, which stays loaded until the body has ended.
    pub(super) answering: Option<Answering>,
    /// Longest wait for a piece.
    pub(super) idle: Duration,
    /// Bytes that are kept at most.
    pub(super) entry_max: u64,
    /// Second up to which others need not wait for an answer that is too long.
    pub(super) pass_until: u64,
}

impl Pump {
    /// Starts to read; returns the place in which the rest of a body is left that is too long. The
    /// endpoint is then judged by whoever reads it, with what is left in `left`.
    pub(super) fn start(self, left: Option<&LeftAnswering>) -> Rest {
        let rest = Rc::new(RefCell::new(None));
        let place = Rc::clone(&rest);
        let left = left.map(Rc::downgrade).unwrap_or_default();
        task::spawn_local("cache_fill", async move { self.run(&place, left).await });
        rest
    }

    async fn run(mut self, rest: &Rest, left: Weak<RefCell<Option<Answering>>>) {
        let mut kept: u64 = 0;
        let mut trailers = None;
        let read = loop {
            let frame = poll_fn(|cx| self.body.poll_frame(cx));
            let frame = match self.idle {
                Duration::ZERO => Ok(frame.await),
                idle => timer::until(timer::now() + idle, frame).await,
            };
            match frame {
                Ok(Some(Ok(Frame::Data(data)))) => {
                    kept += data.len() as u64;
                    self.lead.fill().push(data);
                    if kept > self.entry_max {
                        // The client's exchange goes on with it, if there is one.
                        match left.upgrade() {
                            Some(left) => *left.borrow_mut() = self.answering.take(),
                            None => self.judge(Some(Failure::ClientGone)),
                        }
                        *rest.borrow_mut() = Some(self.body);
                        return self.lead.spill(self.pass_until);
                    }
                }
                Ok(Some(Ok(Frame::Trailers(found)))) => trailers = Some(own(&found)),
                Ok(None) => break Ok(()),
                Ok(Some(Err(failure))) => break Err(failure),
                Err(timer::Elapsed) => break Err(Failure::ReadTimeout),
            }
        };
        self.body = Body::Empty;
        self.judge(read.err());
        match read {
            Ok(()) => {
                let content: Content = self.lead.fill().content(trailers);
                self.lead.whole(self.meta, Arc::new(content));
            }
            Err(failure) => self.lead.fail(failure),
        }
    }

    /// Tells how the answer ended, for its endpoint.
    fn judge(&mut self, failure: Option<Failure>) {
        if let Some(answering) = self.answering.take() {
            let end = AnswerEnd {
                failure,
                grpc_status: None,
                given_up: false,
            };
            answering.judge(&end, timer::now());
        }
    }
}

/// Copies the lines: the received ones may be part of a large buffer.
fn own(trailers: &Headers) -> Headers {
    let mut copy = Headers::new();
    for (name, value) in trailers.iter() {
        copy.append(name, value);
    }
    copy
}
