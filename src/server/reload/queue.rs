//! Queue of reloads: one at a time, with the requesters that wait for its result.
//!
//! A reload is prepared on a thread of its own while control goes on. A request meanwhile gets the
//! reload after it, since the file may have changed since it was read.

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{
    error::ReloadError,
    prepared::{Preparing, ReloadOutcome},
};
use crate::{
    admin::model::{ReloadRefusal, ReloadReport},
    server::control::Answer,
    state::heads::GateUse,
};

/// Receivers of a reload's result, and the delay of reporting faults.
#[derive(Debug, Default)]
pub(in crate::server) struct Wanted {
    pub(super) answers: Vec<Answer>,
    /// True if the reload was asked for; else the file changed, and may still be changing.
    pub(super) asked: bool,
    /// True if the file is to be read.
    pub(super) file: bool,
    /// Receivers who wait only for the configuration in use to be compiled anew: what an operator
    /// has switched goes into that. None: nobody wants it.
    pub(super) anew: Option<Vec<Answer>>,
    /// Effect of the gate on it.
    pub(super) gate: GateUse,
}

/// The reload under way and the next one.
#[derive(Debug, Default)]
pub(in crate::server) struct Reloads {
    under_way: Option<(Preparing, Instant)>,
    wanted: Wanted,
    next: Option<Wanted>,
    /// None begins for as long as the process is handed over.
    held: bool,
    /// A preparation that was given up and has not ended: the disk hangs.
    stuck: Option<Preparing>,
}

impl Wanted {
    /// A request whose sender waits for the answer.
    pub(in crate::server) fn by(answer: Answer, gate: GateUse) -> Self {
        Self {
            answers: vec![answer],
            asked: true,
            file: true,
            anew: None,
            gate,
        }
    }

    /// A request without an answer.
    pub(in crate::server) fn silently() -> Self {
        Self {
            asked: true,
            file: true,
            ..Self::default()
        }
    }

    /// A request to compile the configuration in use anew.
    pub(in crate::server) fn anew(answers: Vec<Answer>) -> Self {
        Self {
            anew: Some(answers),
            asked: true,
            ..Self::default()
        }
    }

    /// A change of the file.
    pub(in crate::server) fn by_file() -> Self {
        Self {
            file: true,
            ..Self::default()
        }
    }

    fn join(&mut self, other: Self) {
        self.answers.extend(other.answers);
        self.asked |= other.asked;
        self.file |= other.file;
        if other.gate == GateUse::Overridden {
            self.gate = GateUse::Overridden;
        }
        if let Some(anew) = other.anew {
            self.anew.get_or_insert_default().extend(anew);
        }
    }

    /// Sends the outcome to the requesters.
    pub(super) fn tell(self, outcome: &Result<ReloadReport, ReloadRefusal>) {
        for answer in self
            .answers
            .into_iter()
            .chain(self.anew.into_iter().flatten())
        {
            // It may have gone away.
            let _ = answer.send(outcome.clone());
        }
    }
}

/// Joins two requests, the first of which comes first.
pub(super) fn join(first: Option<Wanted>, second: Option<Wanted>) -> Option<Wanted> {
    match (first, second) {
        (Some(mut first), Some(second)) => {
            first.join(second);
            Some(first)
        }
        (first, second) => first.or(second),
    }
}

impl Reloads {
    /// Notes that a reload is wanted; returns true if it must begin now.
    pub(super) fn want(&mut self, wanted: Wanted) -> bool {
        if self.under_way.is_some() || self.held {
            self.next.get_or_insert_default().join(wanted);
            return false;
        }
        self.wanted = wanted;
        true
    }

    /// Holds back all that come; false if one is under way.
    pub(in crate::server) fn hold(&mut self) -> bool {
        self.held = self.under_way.is_none();
        self.held
    }

    /// Ends the hold, and gives the reload that was held back, to be begun.
    pub(in crate::server) fn release(&mut self) -> Option<Wanted> {
        self.held = false;
        self.next.take()
    }

    /// Returns true if the reload before was given up and still waits for the disk.
    pub(super) fn is_stuck(&mut self) -> bool {
        if let Some(stuck) = &mut self.stuck
            && !matches!(stuck.try_recv(), Err(oneshot::error::TryRecvError::Empty))
        {
            self.stuck = None;
        }
        self.stuck.is_some()
    }

    pub(super) fn begin(&mut self, preparing: Preparing, deadline: Instant) {
        self.under_way = Some((preparing, deadline));
    }

    /// Waits for the end of the preparation under way. Cancel safe.
    pub(in crate::server) async fn prepared(&mut self) -> Result<ReloadOutcome, ReloadError> {
        let Some((preparing, deadline)) = &mut self.under_way else {
            return std::future::pending().await;
        };
        let outcome = timeout_at(*deadline, preparing).await;
        let under_way = self.under_way.take();
        match outcome {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(ReloadError::Panicked),
            Err(_) => {
                self.stuck = under_way.map(|(preparing, _)| preparing);
                Err(ReloadError::TooSlow)
            }
        }
    }

    /// Returns the requesters of the reload that has ended, and the one to begin next.
    pub(super) fn ended(&mut self) -> (Wanted, Option<Wanted>) {
        (std::mem::take(&mut self.wanted), self.next.take())
    }
}
