//! Logs of which lines are lost, or which cannot be rotated: told as outages while it lasts.

use std::{sync::atomic::Ordering, time::Duration};

use tokio::time::Instant;

use super::outages::Outages;
use crate::{
    telemetry::{
        access_log::{AccessLog, LogStep},
        log,
    },
    worker::SharedState,
};

/// Losses of the access log and of the log of the process.
#[derive(Debug, Default)]
pub(super) struct LogLosses {
    access: Loss,
    process: Loss,
}

/// Lines of one log that were lost.
#[derive(Debug, Default)]
struct Loss {
    /// Number of them when it was looked at last.
    seen: u64,
    /// Time of the last loss that was seen, and its reason.
    last: Option<(Instant, String)>,
}

impl LogLosses {
    /// Notes what is wrong with the logs now.
    pub(super) fn look(&mut self, shared: &SharedState, outages: &Outages, now: Instant) {
        let lost = log::LINES_DROPPED.load(Ordering::Relaxed);
        let process = self.process.turn(lost, None, READ_SLOWLY, now);
        note(outages, UNLOGGED, process);
        let access = shared.access_log.load();
        let access = (**access).as_ref();
        let to = |why: String| {
            let to = access.map(|log| log.settings().target.to_string());
            format!("{}: {why}", to.unwrap_or_default())
        };
        let fault = |step| access.and_then(|log| log.fault(step));
        let lost = access.map_or(0, AccessLog::lost);
        let lines = self
            .access
            .turn(lost, fault(LogStep::Write), WRITTEN_SLOWLY, now);
        note(
            outages,
            UNWRITTEN,
            lines.filter(|_| access.is_some()).map(to),
        );
        note(outages, UNROTATED, fault(LogStep::Rotate).map(to));
        note(outages, NOT_REOPENED, fault(LogStep::Reopen).map(to));
    }
}

impl Loss {
    /// Returns the reason why lines are lost now: `fault` if there is one, `or` else. A disk that is
    /// nearly full takes a batch now and then, so it is over some seconds after the last loss.
    fn turn(&mut self, lost: u64, fault: Option<String>, or: &str, now: Instant) -> Option<String> {
        if lost < self.seen {
            // Another log, which begins at 0.
            self.last = None;
            self.seen = 0;
        }
        let more = lost > self.seen;
        self.seen = lost;
        if fault.is_some() || more {
            let why = fault.unwrap_or_else(|| or.to_owned());
            self.last = Some((now, why));
        } else {
            self.last.take_if(|(last, _)| now - *last >= LASTS);
        }
        self.last.as_ref().map(|(_, why)| why.clone())
    }
}

fn note(outages: &Outages, what: &'static str, why: Option<String>) {
    outages.note(what, &why.map_or(Ok(()), Err));
}

const UNWRITTEN: &str = "lines of the access log are lost";
const UNROTATED: &str = "the access log is not rotated, its file grows on";
const NOT_REOPENED: &str = "the access log is not opened anew, the old file is written to";
const UNLOGGED: &str = "lines of the log are lost";

const WRITTEN_SLOWLY: &str =
    "it takes fewer lines than there are, and those that wait are too many";
const READ_SLOWLY: &str = "standard error is full: who reads it is too slow";

/// Time without a loss after which it is over.
const LASTS: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_loss_lasts_while_the_fault_does_and_some_seconds_after_the_last_line() {
        let (mut loss, start) = (Loss::default(), Instant::now());
        let at = |secs| start + Duration::from_secs(secs);
        let full = || Some("full".to_owned());
        assert_eq!(loss.turn(0, None, "slow", at(0)), None);
        assert_eq!(loss.turn(5, full(), "slow", at(1)), full());
        // Nobody asks for a page, and the disk is as full.
        assert_eq!(loss.turn(5, full(), "slow", at(60)), full());
        assert_eq!(loss.turn(5, None, "slow", at(69)), full());
        assert_eq!(loss.turn(5, None, "slow", at(70)), None);
        assert_eq!(loss.turn(6, None, "slow", at(71)).as_deref(), Some("slow"));
        // Another file.
        assert_eq!(loss.turn(0, None, "slow", at(72)), None);
        assert_eq!(loss.turn(1, None, "slow", at(73)).as_deref(), Some("slow"));
    }
}
