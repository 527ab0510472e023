//! State of a pool's source: its last good list, and its errors since.
//!
//! In the registry, by the pool's name: a reload that keeps the source keeps the list.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use tokio::time::Instant;

use super::{
    DiscoveryError, EndpointList, HeldEndpoints, Skipped, SourceSpec, Update,
    removal::{is_mass_removal, with_removed},
};
use crate::upstream::endpoint::Endpoint;

/// The last good list of a pool's source.
#[derive(Debug, Default)]
pub struct Discovered(Mutex<Known>);

#[derive(Debug, Default)]
struct Known {
    /// The source heard last; the list may be of the one before.
    source: Option<SourceSpec>,
    /// The list in use: with endpoints that are held, without absent ones.
    list: Vec<Arc<Endpoint>>,
    held: Option<Held>,
    /// Endpoints that are used though they are not listed any more.
    absent: Vec<Arc<Endpoint>>,
    status: SourceStatus,
}

/// A list that leaves out most endpoints of the one before.
#[derive(Debug)]
struct Held {
    /// The list before.
    before: Vec<Arc<Endpoint>>,
    /// The newest list.
    newest: Vec<Arc<Endpoint>>,
    until: Instant,
    /// True if the list before is of another source.
    is_of_another: bool,
}

/// Status of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceStatus {
    /// Endpoints of the last good list.
    pub endpoints: usize,
    /// Time of the last good list.
    pub succeeded: Option<SystemTime>,
    /// Time of the last change of the list.
    pub changed: Option<SystemTime>,
    /// Reason why the newest answer was not a good list, and the time since when; none after a good
    /// one.
    pub error: Option<(String, SystemTime)>,
    /// A trouble of the source though the newest list is good, and the time since when.
    pub trouble: Option<(String, SystemTime)>,
    /// Entries of the last good list that cannot be used.
    pub skipped: Skipped,
    /// Time of the list, if it was kept on disk and the source was not reached since.
    pub restored: Option<SystemTime>,
    /// Endpoints that stay for a time though the list suddenly leaves them out, and the time since
    /// when.
    pub held: Option<HeldEndpoints>,
    /// Endpoints that are used though they are not listed any more: their checks pass.
    pub absent: usize,
}

/// Time of an answer, by both clocks.
#[derive(Clone, Copy, Debug)]
pub struct HeardAt {
    /// For people.
    pub time: SystemTime,
    /// For deadlines.
    pub instant: Instant,
}

/// Result of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Heard {
    /// A list that differs from the one before.
    Changed,
    /// The same list again.
    Unchanged,
    /// No good list: the last one stays.
    Failed {
        /// True if the error differs from the one before.
        is_news: bool,
    },
}

impl HeardAt {
    /// Returns the current time.
    pub fn now() -> Self {
        Self {
            time: SystemTime::now(),
            instant: Instant::now(),
        }
    }
}

impl Discovered {
    /// Returns true if the source was heard before.
    pub fn knows(&self, source: &SourceSpec) -> bool {
        self.lock().source.as_ref() == Some(source)
    }

    /// The last good list, with the endpoints that stay though they are not listed any more; empty
    /// before the first.
    pub fn list(&self) -> Vec<Arc<Endpoint>> {
        let known = self.lock();
        known.list.iter().chain(&known.absent).cloned().collect()
    }

    /// The last good list as it is.
    pub fn listed(&self) -> Vec<Arc<Endpoint>> {
        self.lock().list.clone()
    }

    /// Begins with a list that was kept on disk, if the source was not heard yet.
    pub fn restore(&self, source: &SourceSpec, list: Vec<Arc<Endpoint>>, saved: SystemTime) {
        let known = &mut *self.lock();
        if known.source.is_none() {
            known.source = Some(source.clone());
            known.status.endpoints = list.len();
            known.status.restored = Some(saved);
            known.list = list;
        }
    }

    /// Returns the status of the source.
    pub fn status(&self) -> SourceStatus {
        self.lock().status.clone()
    }

    /// The addresses of endpoints that are used though they are not listed any more.
    pub fn absent(&self) -> HashSet<Arc<str>> {
        let known = self.lock();
        known
            .absent
            .iter()
            .map(|it| Arc::clone(&it.label))
            .collect()
    }

    /// Takes the endpoints of `used`, those in use, that are not listed any more and `stays` wants
    /// to keep. Returns the addresses of those that were listed until now.
    pub fn keep_absent(
        &self,
        used: &[Arc<Endpoint>],
        stays: impl Fn(usize, &Endpoint) -> bool,
    ) -> Vec<Arc<str>> {
        let known = &mut *self.lock();
        let listed: HashSet<&str> = known.list.iter().map(|it| &*it.label).collect();
        let absent = used
            .iter()
            .enumerate()
            .filter(|(at, it)| !listed.contains(&*it.label) && stays(*at, it));
        let absent: Vec<_> = absent.map(|(_, it)| Arc::clone(it)).collect();
        let before = std::mem::replace(&mut known.absent, absent);
        known.status.absent = known.absent.len();
        let before: HashSet<&str> = before.iter().map(|it| &*it.label).collect();
        let new = known
            .absent
            .iter()
            .filter(|it| !before.contains(&*it.label));
        new.map(|it| Arc::clone(&it.label)).collect()
    }

    /// Notes an answer of the source. Endpoints that a list suddenly leaves out stay for `hold`.
    pub fn hear(
        &self,
        source: &SourceSpec,
        answer: &Result<Update, DiscoveryError>,
        hold: Duration,
        now: HeardAt,
    ) -> Heard {
        let known = &mut *self.lock();
        let is_new = known.source.as_ref() != Some(source);
        if is_new {
            known.source = Some(source.clone());
            known.status.error = None;
            known.status.trouble = None;
            // What is held stays until the new source has a list.
            known.held = None;
            known.status.held = None;
        }
        match answer {
            Ok(Update::List(list)) if list.endpoints.is_empty() && !list.skipped.is_empty() => {
                let error = format!("{source} has no entry that can be used: {}", list.skipped);
                known.fail(error, now.time)
            }
            Ok(Update::List(list)) => {
                // A new source is the operator's decision, unless it has nobody who serves: that is
                // a misspelt name more often. One that holds an empty list by itself has done so.
                let by_itself = source.holds_empty_lists() && list.endpoints.is_empty();
                let serves = list.endpoints.iter().any(Endpoint::is_up);
                let follows_another =
                    is_new || known.held.as_ref().is_some_and(|held| held.is_of_another);
                let hold = if by_itself || (follows_another && serves) {
                    Duration::ZERO
                } else {
                    hold
                };
                known.take(list, is_new, hold, now)
            }
            Ok(Update::Unchanged) => {
                known.status.succeeded = Some(now.time);
                known.status.error = None;
                Heard::Unchanged
            }
            Err(error) => known.fail(error.to_string(), now.time),
        }
    }

    /// Ends the time for which endpoints stay that a list has left out; returns true if it is over
    /// just now.
    pub fn end_hold(&self, now: HeardAt) -> bool {
        let known = &mut *self.lock();
        let is_over = known
            .held
            .as_ref()
            .is_some_and(|held| now.instant >= held.until);
        if is_over {
            known.release();
            known.status.changed = Some(now.time);
        }
        is_over
    }

    /// Forgets the source: the pool has none any more.
    pub fn forget(&self) {
        *self.lock() = Known::default();
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn take(&mut self, list: &EndpointList, is_new: bool, hold: Duration, now: HeardAt) -> Heard {
        self.status.endpoints = list.endpoints.len();
        self.status.skipped.clone_from(&list.skipped);
        self.status.succeeded = Some(now.time);
        self.status.error = None;
        let since = self.status.trouble.take().map_or(now.time, |(_, it)| it);
        self.status.trouble = list.trouble.clone().map(|trouble| (trouble, since));
        self.status.restored = None;
        let newest = self.known_ones(&list.endpoints);
        let held = self.held.take();
        let until = held.as_ref().map(|held| held.until);
        let goes_on = held.is_some();
        let is_of_another = is_new || held.as_ref().is_some_and(|held| held.is_of_another);
        let before = held.map_or_else(|| self.list.clone(), |held| held.before);
        let until = until.unwrap_or(now.instant + hold);
        let until = if hold.is_zero() { now.instant } else { until };
        let in_use = if until > now.instant && is_mass_removal(&before, &newest, goes_on) {
            let all = with_removed(&before, &newest);
            let since = self.status.held.map_or(now.time, |held| held.since);
            let end = now.time + until.saturating_duration_since(now.instant);
            let held = HeldEndpoints::of(&before, &newest, &all, (since, end));
            self.status.held = Some(held);
            self.held = Some(Held {
                before,
                newest,
                until,
                is_of_another,
            });
            all
        } else {
            self.status.held = None;
            newest
        };
        if self.list == in_use && !is_new {
            return Heard::Unchanged;
        }
        self.list = in_use;
        self.status.changed = Some(now.time);
        Heard::Changed
    }

    /// Returns these endpoints, the known ones as the same objects.
    fn known_ones(&self, endpoints: &[Endpoint]) -> Vec<Arc<Endpoint>> {
        let same = self.list.iter().zip(endpoints);
        let same = same.take_while(|(old, new)| ***old == **new).count();
        let (begin, rest) = endpoints.split_at(same);
        debug_assert!(begin.len() <= self.list.len());
        let begin = self.list.iter().take(same).cloned();
        begin.chain(rest.iter().cloned().map(Arc::new)).collect()
    }

    /// Uses the newest list alone.
    fn release(&mut self) {
        if let Some(held) = self.held.take() {
            self.list = held.newest;
        }
        self.status.held = None;
    }

    fn fail(&mut self, text: String, now: SystemTime) -> Heard {
        let is_news = match &self.status.error {
            Some((before, _)) => *before != text,
            None => true,
        };
        if is_news {
            let since = self.status.error.take().map_or(now, |(_, since)| since);
            self.status.error = Some((text, since));
        }
        Heard::Failed { is_news }
    }
}

#[cfg(test)]
mod tests;
