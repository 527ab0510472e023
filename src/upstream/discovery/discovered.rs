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
            known.release();
        }
        match answer {
            Ok(Update::List(list)) if list.endpoints.is_empty() && !list.skipped.is_empty() => {
                let error = format!("{source} has no entry that can be used: {}", list.skipped);
                known.fail(error, now.time)
            }
            Ok(Update::List(list)) => {
                // A new source is the operator's decision; one that holds an empty list by itself
                // has done so.
                let by_itself = source.holds_empty_lists() && list.endpoints.is_empty();
                let hold = if is_new || by_itself {
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
        self.status.restored = None;
        let newest = self.known_ones(&list.endpoints);
        let held = self.held.take();
        let until = held.as_ref().map(|held| held.until);
        let goes_on = held.is_some();
        let before = held.map_or_else(|| self.list.clone(), |held| held.before);
        let until = until.unwrap_or(now.instant + hold);
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
mod tests {
    use super::*;
    use crate::config::value::EndpointAddress;

    const HOLD: Duration = Duration::from_secs(30);

    fn list(ports: std::ops::Range<u16>) -> Result<Update, DiscoveryError> {
        let endpoints = ports.map(|port| {
            let address = format!("10.0.0.1:{port}");
            let address = EndpointAddress::parse(&address, std::path::Path::new("/"));
            Endpoint::new(address.unwrap(), None)
        });
        Ok(Update::List(EndpointList::new(endpoints.collect())))
    }

    #[test]
    fn a_sudden_loss_of_most_endpoints_is_held_and_what_is_new_is_not() {
        let source = SourceSpec::File("list.json".into());
        let known = Discovered::default();
        let start = HeardAt::now();
        let at = |secs: u64| HeardAt {
            time: start.time + Duration::from_secs(secs),
            instant: start.instant + Duration::from_secs(secs),
        };
        let hear = |ports, secs| known.hear(&source, &list(ports), HOLD, at(secs));
        let held = || known.status().held.map(|it| (it.count, it.since, it.until));
        assert_eq!(hear(1..11, 0), Heard::Changed);
        // Half of them are no mass.
        assert_eq!(hear(1..6, 1), Heard::Changed);
        assert_eq!((known.list().len(), known.status().held), (5, None));
        assert_eq!(hear(1..3, 2), Heard::Unchanged);
        assert_eq!(known.list().len(), 5);
        assert_eq!(held(), Some((3, at(2).time, at(32).time)));
        assert_eq!(known.status().endpoints, 2);
        // While it fills again, nobody leaves.
        assert_eq!(hear(1..5, 3), Heard::Unchanged);
        assert_eq!(held(), Some((1, at(2).time, at(32).time)));
        // What is new is used, and the time runs from the first such list.
        assert_eq!(hear(20..22, 20), Heard::Changed);
        assert_eq!(known.list().len(), 7);
        assert!(!known.end_hold(at(31)) && known.end_hold(at(32)));
        assert_eq!((known.list().len(), known.status().held), (2, None));
        // One that comes back in time was never away.
        assert_eq!(hear(20..20, 40), Heard::Unchanged);
        assert_eq!(hear(20..22, 41), Heard::Unchanged);
        assert!(!known.end_hold(at(99)));
        // The answer after the time ends it, too.
        hear(20..20, 100);
        assert_eq!(hear(20..20, 130), Heard::Changed);
        assert!(known.list().is_empty());
        // Another source is taken as it is.
        hear(1..11, 140);
        let other = SourceSpec::File("other.json".into());
        known.hear(&other, &list(1..2), HOLD, at(141));
        assert_eq!(known.list().len(), 1);
    }

    #[test]
    fn a_source_fails_since_its_first_error_whatever_the_text() {
        let source = SourceSpec::File("list.json".into());
        let (known, now) = (Discovered::default(), HeardAt::now());
        let later = HeardAt {
            time: now.time + HOLD,
            ..now
        };
        let fail = |text: &str, at| known.lock().fail(text.to_owned(), at);
        assert_eq!(fail("refused", now.time), Heard::Failed { is_news: true });
        assert_eq!(fail("late", later.time), Heard::Failed { is_news: true });
        assert_eq!(known.status().error, Some(("late".to_owned(), now.time)));
        known.hear(&source, &list(1..5), HOLD, later);
        assert_eq!(known.status().error, None);
    }
}
