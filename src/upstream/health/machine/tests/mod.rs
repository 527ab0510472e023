//! One pool through checks, requests and changes, at times that a test sets.

mod bad_answers;
mod checks;
mod ejection;
mod operation;
mod probation;

use std::time::Duration;

use super::*;
use crate::upstream::health::{
    picture::Picture,
    settings::{CheckKind, CheckSettings},
    tally::Run,
    transition::Withheld,
    window::Figures,
};

const SECOND: Duration = Duration::from_secs(1);

const A: &str = "a:1";

const B: &str = "b:1";

fn addresses(names: &[&str]) -> Vec<Arc<str>> {
    names.iter().map(|name| Arc::from(*name)).collect()
}

/// A pool and its clock.
struct Bench {
    pool: PoolHealth,
    set: Vec<Arc<str>>,
    now: Instant,
}

impl Bench {
    fn new(names: &[&str], settings: HealthSettings) -> Self {
        let now = Instant::now();
        let mut pool = PoolHealth::new(settings);
        let set = addresses(names);
        assert!(pool.replace_endpoints(&set, now).is_empty());
        Self { pool, set, now }
    }

    fn passive(names: &[&str]) -> Self {
        Self::new(names, HealthSettings::default())
    }

    fn checked(names: &[&str]) -> Self {
        let check = Some(CheckSettings::new(CheckKind::Tcp));
        Self::new(
            names,
            HealthSettings {
                check,
                ..HealthSettings::default()
            },
        )
    }

    fn all_pass(mut self) -> Self {
        for address in self.set.clone() {
            self.pass(&address);
        }
        self
    }

    /// So many successes, bad answers and failures, judged at once.
    fn outcomes(
        &mut self,
        address: &str,
        successes: u64,
        bad_answers: u64,
        failures: u64,
    ) -> Vec<Transition> {
        let figures = Figures {
            successes,
            bad_answers,
            failures,
        };
        let mut changes = self.pool.outcomes(address, figures, self.now);
        changes.extend(self.pool.judge(self.now));
        changes
    }

    /// Five bad answers in a row.
    fn answer_badly(&mut self, address: &str) -> Vec<Transition> {
        let run = Run {
            bad: 5,
            unanswered: 0,
        };
        self.pool.failed_in_a_row(address, run, self.now)
    }

    fn pass(&mut self, address: &str) -> Vec<Transition> {
        self.pool.check_passed(address, self.now, self.now)
    }

    fn fail(&mut self, address: &str) -> Vec<Transition> {
        self.pool
            .check_failed(address, &ProbeFailure::Refused, self.now)
    }

    fn fail_requests(&mut self, address: &str) -> Vec<Transition> {
        let run = Run {
            bad: 5,
            unanswered: 5,
        };
        self.pool.failed_in_a_row(address, run, self.now)
    }

    fn after(&mut self, passed: Duration) -> Vec<Transition> {
        self.now += passed;
        self.pool.tick(self.now)
    }

    fn picture(&self) -> Picture {
        self.pool.picture(&self.set, 1, self.now)
    }

    fn eligible(&self) -> Vec<u32> {
        self.picture()
            .eligible
            .iter()
            .map(|index| index.0)
            .collect()
    }

    fn state(&self, address: &str) -> EndpointState {
        self.pool.state(address).unwrap()
    }

    /// Ejects an endpoint once more and returns how long that lasts.
    fn length_of_next_ejection(&mut self, address: &str) -> Duration {
        assert_eq!(self.fail_requests(address).len(), 1);
        let began = self.now;
        while self.state(address) == EndpointState::Ejected {
            self.after(SECOND);
        }
        let length = self.now - began;
        self.pool.trial_ended(address, true, self.now);
        length
    }
}

/// Returns the reason why an ejection did not take place.
fn withheld(notice: &Transition) -> Option<Withheld> {
    match notice.cause {
        Cause::EjectionWithheld(reason, _) => Some(reason),
        _ => None,
    }
}
