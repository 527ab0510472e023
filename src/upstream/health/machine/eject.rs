//! Passive ejection: outcomes of requests, their effect on an endpoint, and its return.
//!
//! Requests without an answer are a fault of the endpoint alone. Bad answers may be a fault of the
//! request as well: they eject only if others are better, and not by a run if checks that ask for
//! an answer pass.

use tokio::time::Instant;

use super::{PoolHealth, census::Census, comparison::Comparison, note, share};
use crate::upstream::health::{
    check::CheckVerdict,
    ejection::Phase,
    member::Member,
    settings::{CheckKind, EjectionSettings},
    tally::Run,
    transition::{Cause, EndpointState, Transition, Withheld},
    window::Figures,
};

impl PoolHealth {
    /// Judges a run of failed requests.
    pub(in crate::upstream::health) fn failed_in_a_row(
        &mut self,
        address: &str,
        run: Run,
        now: Instant,
    ) -> Vec<Transition> {
        let settings = self.settings.ejection.as_ref();
        let Some(due) = settings
            .map(|own| own.consecutive)
            .filter(|due| *due > 0 && run.bad >= *due)
        else {
            return Vec::new();
        };
        if run.unanswered >= due {
            self.try_eject(address, Cause::ConsecutiveFailures(run.unanswered), now)
        } else if self.is_vouched(address) {
            Vec::new()
        } else {
            self.try_eject_for_answers(address, Cause::ConsecutiveFailures(run.bad), now)
        }
    }

    /// Judges the outcomes of requests to this endpoint since the last call. On probation answers
    /// readmit.
    pub(in crate::upstream::health) fn outcomes(
        &mut self,
        address: &str,
        figures: Figures,
        now: Instant,
    ) -> Vec<Transition> {
        if self.settings.ejection.is_none() {
            return Vec::new();
        }
        let Some(member) = self
            .members
            .get_mut(address)
            .filter(|member| member.current)
        else {
            return Vec::new();
        };
        let well = figures.bad() == 0 && figures.successes > 0;
        if well && matches!(member.ejection.phase(), Phase::Probation { .. }) {
            let changes = self.readmit(address, Cause::Answered, now);
            return self.settled(changes, now);
        }
        #[cfg(test)]
        (self.looks += 1);
        member.window.add(figures, now);
        if figures.bad() > 0
            && let Some((address, _)) = self.members.get_key_value(address)
        {
            self.suspects.insert(address.clone());
        }
        Vec::new()
    }

    /// Ejects endpoints with too large a share of failed requests.
    pub fn judge(&mut self, now: Instant) -> Vec<Transition> {
        let Some(settings) = self.settings.ejection.clone() else {
            return Vec::new();
        };
        if settings.failure_ratio <= 0.0 {
            return Vec::new();
        }
        let exceeds =
            |figures: Figures| figures.exceed(settings.failure_ratio, settings.volume_min);
        let mut due = Vec::new();
        let members = &self.members;
        self.suspects.retain(|address| {
            #[cfg(test)]
            (self.looks += 1);
            let member = members.get(address).filter(|member| member.current);
            let figures = member.map(|member| member.window.figures(now));
            let figures = figures.unwrap_or_default();
            if exceeds(figures) {
                due.push((address.clone(), figures));
            }
            figures.bad() > 0
        });
        // Everyone is looked at again, once for all of them.
        self.comparison = None;
        let mut changes = Vec::new();
        for (address, figures) in due {
            let cause = Cause::FailureRatio {
                failures: figures.bad(),
                total: figures.total(),
            };
            let answered = Figures {
                successes: figures.successes.saturating_add(figures.bad_answers),
                bad_answers: 0,
                ..figures
            };
            changes.extend(if exceeds(answered) {
                self.try_eject(&address, cause, now)
            } else {
                self.try_eject_for_answers(&address, cause, now)
            });
        }
        changes
    }

    /// Notes the result of an endpoint's trial.
    pub fn trial_ended(&mut self, address: &str, passed: bool, now: Instant) -> Vec<Transition> {
        let Some(settings) = self.settings.ejection.clone() else {
            return Vec::new();
        };
        let cause = if passed {
            Cause::TrialPassed
        } else {
            Cause::TrialFailed
        };
        let changes = self.change(address, cause, now, |member| {
            match (member.ejection.phase(), passed) {
                (Phase::Probation { .. }, true) => member.ejection.readmit(now),
                // It was out already, so this takes nobody more out of service.
                (Phase::Probation { .. }, false) => member.ejection.eject(&settings, now),
                (Phase::In | Phase::Out { .. }, _) => {}
            }
        });
        self.settled(changes, now)
    }

    /// Returns true if a check that passed readmits an endpoint on probation.
    pub(super) fn is_vouched_for(&self, address: &str, began: Instant) -> bool {
        let member = self.members.get(address);
        member.is_some_and(|member| member.ejection.is_vouched_for(began))
    }

    pub(super) fn readmit(&mut self, address: &str, cause: Cause, now: Instant) -> Vec<Transition> {
        self.change(address, cause, now, |member| member.ejection.readmit(now))
    }

    /// Returns true if checks that ask for an answer find it healthy.
    fn is_vouched(&self, address: &str) -> bool {
        let check = self.settings.check.as_ref();
        let asks = check.is_some_and(|check| !matches!(check.kind, CheckKind::Tcp));
        let member = self.members.get(address);
        asks && member.is_some_and(|member| member.check.verdict() == CheckVerdict::Healthy)
    }

    /// Ejects an endpoint for its answers, if others are better.
    fn try_eject_for_answers(
        &mut self,
        address: &str,
        cause: Cause,
        now: Instant,
    ) -> Vec<Transition> {
        let Some(settings) = &self.settings.ejection else {
            return Vec::new();
        };
        let member = self.members.get(address);
        let Some(member) = member.filter(|member| member.current && member.serves()) else {
            return Vec::new();
        };
        let (own, volume_min) = (member.window.figures(now), settings.volume_min);
        let known = self.comparison.take();
        let known = known.filter(|known| known.holds(own, volume_min, now));
        let comparison = known.unwrap_or_else(|| self.compare(now));
        let stands_out = comparison.stands_out(own, volume_min);
        self.comparison = Some(comparison);
        if stands_out {
            self.try_eject(address, cause, now)
        } else {
            self.withhold(address, cause, Withheld::Alike, now)
        }
    }

    /// Compares all endpoints.
    fn compare(&mut self, now: Instant) -> Comparison {
        let members = self.members.values();
        let members = members.filter(|member| member.current && member.is_enabled());
        let comparison = Comparison::of(members.map(|member| member.window.figures(now)), now);
        #[cfg(test)]
        (self.looks += self.members.len());
        comparison
    }

    /// Ejects a serving endpoint, unless it is the last or too many are out.
    fn try_eject(&mut self, address: &str, cause: Cause, now: Instant) -> Vec<Transition> {
        let Some(settings) = self.settings.ejection.clone() else {
            return Vec::new();
        };
        let member = self.members.get(address);
        if !member.is_some_and(|member| member.current && member.serves()) {
            return Vec::new();
        }
        if let Some(reason) = self.withheld(&settings) {
            return self.withhold(address, cause, reason, now);
        }
        let changes = self.change(address, cause, now, |member| {
            member.ejection.eject(&settings, now);
        });
        self.settled(changes, now)
    }

    /// Reports that an ejection was due and does not happen, once in an interval.
    fn withhold(
        &mut self,
        address: &str,
        grounds: Cause,
        reason: Withheld,
        now: Instant,
    ) -> Vec<Transition> {
        let (Some(settings), Some((key, _))) = (
            self.settings.ejection.as_ref(),
            self.members.get_key_value(address),
        ) else {
            return Vec::new();
        };
        let key = key.clone();
        let member = self.members.get_mut(address);
        let news = member.is_some_and(|member| {
            member.current && member.serves() && member.ejection.withhold(settings, now)
        });
        let state = EndpointState::Healthy;
        let cause = Cause::EjectionWithheld(reason, Box::new(grounds));
        let notice = Transition {
            address: key,
            from: state,
            to: state,
            cause,
            at: now,
        };
        if news { vec![notice] } else { Vec::new() }
    }

    /// Returns the reason why no further serving endpoint may be ejected.
    fn withheld(&self, settings: &EjectionSettings) -> Option<Withheld> {
        let all = &self.census;
        if all.serving <= 1 {
            Some(Withheld::LastOne)
        } else if share(all.ejected + 1, all.enabled) > settings.share_max {
            Some(Withheld::Share)
        } else {
            None
        }
    }

    /// Ends an ejection if no other endpoint is left, or will be after a first check: a suspect
    /// endpoint is better than none. The one nearest to its return comes first.
    pub(super) fn settled(
        &mut self,
        mut changes: Vec<Transition>,
        now: Instant,
    ) -> Vec<Transition> {
        self.changed |= !changes.is_empty();
        if self.census.ready > 0 || self.census.returning == 0 {
            return changes;
        }
        let ejected = |member: &Member| {
            matches!(
                member.state(),
                EndpointState::Ejected | EndpointState::Probation
            )
        };
        let best = self
            .members
            .iter_mut()
            .filter(|(_, member)| member.current && ejected(member))
            .min_by_key(|(_, member)| member.ejected_until());
        if let Some((address, member)) = best {
            let (from, before) = (member.state(), Census::of(member));
            member.ejection.readmit(now);
            note(address, member, from, Cause::LastLeft, now, &mut changes);
            self.census.moved(before, member);
            self.due.note(address, member, &self.settings);
            self.changed = true;
        }
        changes
    }
}
