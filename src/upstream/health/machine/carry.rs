//! State of endpoints for the next process of an upgrade, and its use there.
//!
//! An endpoint that is known to be dead gets no traffic because the proxy was upgraded. Counts
//! towards a verdict are not carried: those begin anew.

use std::{sync::Arc, time::Duration};

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::{PoolHealth, note};
use crate::upstream::health::{
    check::{Check, CheckVerdict},
    member::Member,
    transition::{AdminState, Cause, Transition},
};

/// State of an endpoint that goes from one process to the next.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CarriedEndpoint {
    address: Box<str>,
    /// Verdict of the checks; none while there is no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    passes: Option<bool>,
    #[serde(default, skip_serializing_if = "is_enabled")]
    admin: AdminState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ejection: Option<CarriedEjection>,
    /// Since when it is back in service, for a slow start.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recovered_ms: Option<u64>,
    /// Cause of its state, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<Box<str>>,
}

/// An ejection that lasts, or that counts for the next one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::upstream::health) struct CarriedEjection {
    /// Ejections not yet forgiven.
    pub(in crate::upstream::health) times: u32,
    /// Time left of it; 0 on probation, none when it is over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::upstream::health) left_ms: Option<u64>,
}

impl PoolHealth {
    /// Returns the state of the endpoints of the newest set.
    #[must_use]
    pub fn carried(&self, now: Instant) -> Vec<CarriedEndpoint> {
        let current = self.members.iter().filter(|(_, member)| member.current);
        let current = current.map(|(address, member)| CarriedEndpoint::of(address, member, now));
        let current = current.filter(CarriedEndpoint::says_something);
        let waiting = self.waiting.iter();
        let waiting = waiting.map(|(address, admin)| CarriedEndpoint::decided(address, *admin));
        current.chain(waiting).collect()
    }

    /// Goes on with what another process knew of these endpoints. Of those that are not of the
    /// newest set only decisions of operators are taken, which wait; what the settings do not ask
    /// for is passed over.
    pub fn take_over(&mut self, carried: &[CarriedEndpoint], now: Instant) -> Vec<Transition> {
        let mut changes = Vec::new();
        self.decided = true;
        for one in carried {
            let Some((key, _)) = self.members.get_key_value(&*one.address) else {
                if one.admin != AdminState::Enabled {
                    self.waiting.insert(one.address.clone(), one.admin);
                }
                continue;
            };
            let key = Arc::clone(key);
            let checks = self.settings.check.is_some();
            let ejects = self.settings.ejection.is_some();
            let member = self.members.get_mut(&key).filter(|member| member.current);
            if let Some(member) = member {
                let from = member.state();
                one.apply(member, checks, ejects, now);
                let cause = one.cause.clone().unwrap_or_else(|| UNSAID.into());
                let cause = Cause::Carried(cause);
                note(&key, member, from, cause, now, &mut changes);
                member.recovered = one.recovered_ms.and_then(|ms| earlier(now, ms));
            }
        }
        self.count_anew(now);
        self.changed = true;
        self.settled(changes, now)
    }
}

impl CarriedEndpoint {
    fn of(address: &Arc<str>, member: &Member, now: Instant) -> Self {
        Self {
            address: Box::from(&**address),
            passes: match member.check.verdict() {
                CheckVerdict::Healthy => Some(true),
                CheckVerdict::Unhealthy => Some(false),
                CheckVerdict::Unasked | CheckVerdict::Pending { .. } | CheckVerdict::Assumed => {
                    None
                }
            },
            admin: member.admin,
            ejection: member.ejection.carried(now),
            recovered_ms: member.recovered.map(|since| {
                let time = now.saturating_duration_since(since);
                u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
            }),
            cause: member.reason().map(|cause| cause.to_string().into()),
        }
    }

    /// An endpoint that has not joined, of which an operator has said something.
    fn decided(address: &str, admin: AdminState) -> Self {
        Self {
            address: address.into(),
            passes: None,
            admin,
            ejection: None,
            recovered_ms: None,
            cause: None,
        }
    }

    fn says_something(&self) -> bool {
        self.passes.is_some()
            || self.admin != AdminState::Enabled
            || self.ejection.is_some()
            || self.recovered_ms.is_some()
    }

    fn apply(&self, member: &mut Member, checks: bool, ejects: bool, now: Instant) {
        member.admin = self.admin;
        if let Some(passes) = self.passes
            && checks
        {
            member.check = Check::new(if passes {
                CheckVerdict::Healthy
            } else {
                CheckVerdict::Unhealthy
            });
        }
        if let Some(ejection) = self.ejection
            && ejects
        {
            member.ejection.take_over(ejection, now);
        }
    }
}

fn is_enabled(admin: &AdminState) -> bool {
    *admin == AdminState::Enabled
}

fn earlier(now: Instant, ms: u64) -> Option<Instant> {
    now.checked_sub(Duration::from_millis(ms))
}

/// The cause when the other process said none.
const UNSAID: &str = "known from the process before";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::health::{
        probe::ProbeFailure,
        settings::{CheckKind, CheckSettings, EjectionSettings, HealthSettings},
        tally::Run,
        transition::EndpointState,
    };

    const NAMES: [&str; 5] = ["a:1", "b:1", "c:1", "d:1", "e:1"];

    fn pool(now: Instant, check: bool) -> PoolHealth {
        let mut pool = PoolHealth::new(HealthSettings {
            check: check.then(|| CheckSettings::new(CheckKind::Tcp)),
            ejection: Some(EjectionSettings::default()),
        });
        pool.replace_endpoints(&NAMES.map(Arc::from), now);
        pool
    }

    fn states(pool: &PoolHealth) -> [EndpointState; 5] {
        NAMES.map(|name| pool.state(name).unwrap())
    }

    #[test]
    fn what_is_out_in_one_process_is_out_in_the_next_for_as_long() {
        let start = Instant::now();
        let mut old = pool(start, true);
        for name in ["a:1", "b:1", "c:1", "d:1"] {
            old.check_passed(name, start, start);
        }
        for _ in 0..3 {
            old.check_failed("a:1", &ProbeFailure::Refused, start);
        }
        let run = Run {
            bad: 5,
            unanswered: 5,
        };
        assert_eq!(old.failed_in_a_row("b:1", run, start).len(), 1);
        old.set_admin("c:1", AdminState::Draining, start);
        use EndpointState::{Draining, Ejected, Healthy, Pending, Probation, Unhealthy};
        let expected = [Unhealthy, Ejected, Draining, Healthy, Pending];
        assert_eq!(states(&old), expected);

        let base = EjectionSettings::default().base;
        let text = serde_json::to_string(&old.carried(start + base / 2)).unwrap();
        assert!(!text.contains("e:1"), "nothing is known of it: {text}");
        let carried: Vec<CarriedEndpoint> = serde_json::from_str(&text).unwrap();
        // The clock of the other process may have begun at any time.
        let now = start + Duration::from_secs(86_400);
        let mut new = pool(now, true);
        new.take_over(&carried, now);
        assert_eq!(states(&new), expected);
        let reason = new.members["a:1"].reason().unwrap().to_string();
        assert_eq!(reason, "check failed: connection refused");
        new.tick(now + base / 3);
        assert_eq!(new.state("b:1"), Some(Ejected));
        new.tick(now + base / 2);
        assert_eq!(new.state("b:1"), Some(Probation));
        assert_eq!(new.members["b:1"].ejection.times(), 1);
    }

    #[test]
    fn what_the_settings_no_longer_ask_for_is_passed_over() {
        let now = Instant::now();
        let mut old = pool(now, true);
        old.check_failed("a:1", &ProbeFailure::Refused, now);
        let mut new = pool(now, false);
        let mut carried = old.carried(now);
        carried[0].address = "a:1".into();
        new.take_over(&carried, now);
        assert_eq!(new.state("a:1"), Some(EndpointState::Healthy));
        carried[0].address = "elsewhere:1".into();
        assert!(new.take_over(&carried, now).is_empty());
        // The list of a source may come later than what the process before knew.
        carried[0].admin = AdminState::Draining;
        new.take_over(&carried, now);
        new.replace_endpoints(&["elsewhere:1".into()], now);
        assert_eq!(new.state("elsewhere:1"), Some(EndpointState::Draining));
    }
}
