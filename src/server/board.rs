//! State of the control thread: written by control, read by the admin API.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::SystemTime,
};

use super::{
    failing::Lines, keeper::Texts, outages::Outages, rollouts::Desk,
    upgrade::predecessor::Predecessor,
};
use crate::admin::model::{self, ReloadReport, ReloadResult};
use crate::config::{Config, Diff, Held};
use crate::upstream::registration::RegistrationSpec;

/// State of the process as known to control. Never touched on the request path.
#[derive(Debug)]
pub(crate) struct Board {
    started: SystemTime,
    /// Counts the processes, from the first that was not started by an upgrade.
    pub(crate) process_generation: u64,
    /// The process that started this one by an upgrade.
    pub(crate) parent: Option<u32>,
    /// Helpers that fail.
    pub(crate) outages: Arc<Outages>,
    /// The fleet that rollouts are shared with.
    pub(super) rollouts: Desk,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Reason why the process does not run what its file says.
    degraded: Option<String>,
    last_reload: Option<ReloadReport>,
    /// Parts of the process that have ended or do not respond.
    troubles: Vec<Trouble>,
    /// Pools, routes and limits that fail requests, and endpoints that do worse than others.
    failing: Lines,
    /// Settings that only a restart would change.
    held: Held,
    /// The process that this one took over from, until it has ended.
    predecessor: Option<model::Predecessor>,
    /// Texts of the configuration in use.
    texts: Option<Texts>,
    /// Entries of listeners in registries, by listener.
    registrations: HashMap<Arc<str>, model::Registration>,
}

/// A part of the process that has ended or does not respond.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble {
    /// The trouble, in words.
    pub(crate) what: String,
    /// True if it affects requests.
    pub(crate) hurts_traffic: bool,
}

impl Board {
    /// Notes the restart-only settings that the process uses.
    pub(crate) fn hold(&self, config: &Config) {
        self.lock().held = Held::of(config);
    }

    /// Returns the changes of a reload that applies a configuration, and follows them.
    pub(crate) fn followed(&self, old: &Config, new: &Config) -> Diff {
        let mut inner = self.lock();
        let diff = inner.held.difference(old, new);
        inner.held.follow(new);
        diff
    }

    /// Returns the changes that a reload would make.
    pub(crate) fn difference(&self, old: &Config, new: &Config) -> Diff {
        self.lock().held.difference(old, new)
    }

    pub(crate) fn new(degraded: Option<String>, predecessor: Option<&Predecessor>) -> Self {
        Self {
            started: SystemTime::now(),
            process_generation: predecessor.map_or(1, |it| it.process_generation),
            parent: predecessor.map(|it| it.pid),
            outages: Arc::default(),
            rollouts: Desk::default(),
            inner: Mutex::new(Inner {
                degraded,
                last_reload: None,
                troubles: Vec::new(),
                failing: Lines::default(),
                held: Held::default(),
                texts: None,
                registrations: HashMap::new(),
                predecessor: predecessor.map(|it| model::Predecessor {
                    pid: it.pid,
                    version: it.version.clone(),
                    connections: None,
                }),
            }),
        }
    }

    pub(crate) fn predecessor(&self) -> Option<model::Predecessor> {
        self.lock().predecessor.clone()
    }

    /// The process before drains, and has so many connections left.
    pub(crate) fn predecessor_drains(&self, connections: usize) {
        if let Some(predecessor) = &mut self.lock().predecessor {
            predecessor.connections = Some(connections);
        }
    }

    /// The process before has ended.
    pub(crate) fn predecessor_ended(&self) -> Option<model::Predecessor> {
        self.lock().predecessor.take()
    }

    /// Notes the texts of the configuration in use.
    pub(crate) fn uses(&self, texts: Texts) {
        self.lock().texts = Some(texts);
    }

    /// Returns the texts of the configuration in use.
    pub(crate) fn texts(&self) -> Option<Texts> {
        self.lock().texts.clone()
    }

    /// Notes the state of a listener's entry in a registry, or that it is out; returns false if the
    /// state is known.
    pub(crate) fn registered(
        &self,
        listener: &Arc<str>,
        new: Option<model::Registration>,
        spec: &RegistrationSpec,
    ) -> bool {
        let registrations = &mut self.lock().registrations;
        let known = registrations.get(listener);
        let Some(new) = new else {
            // Another entry may have followed this one.
            if known.is_some_and(|it| it.id == spec.id() && it.to == spec.to_string()) {
                registrations.remove(listener);
            }
            return true;
        };
        let is_known = known.is_some_and(|it| {
            (it.state == new.state && it.error == new.error && it.id == new.id)
                && (it.to == new.to && it.announced == new.announced)
        });
        if !is_known {
            registrations.insert(Arc::clone(listener), new);
        }
        !is_known
    }

    /// Returns the state of a listener's entry in a registry.
    pub(crate) fn registration(&self, listener: &str) -> Option<model::Registration> {
        self.lock().registrations.get(listener).cloned()
    }

    pub(crate) fn uptime_seconds(&self) -> u64 {
        self.started.elapsed().map_or(0, |time| time.as_secs())
    }

    pub(crate) fn degraded(&self) -> Option<String> {
        self.lock().degraded.clone()
    }

    pub(crate) fn last_reload(&self) -> Option<ReloadReport> {
        self.lock().last_reload.clone()
    }

    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        self.lock().troubles.clone()
    }

    /// Returns true if one of them harms requests.
    pub(crate) fn hurts_traffic(&self) -> bool {
        self.lock().troubles.iter().any(|it| it.hurts_traffic)
    }

    pub(crate) fn set_troubles(&self, troubles: Vec<Trouble>) {
        self.lock().troubles = troubles;
    }

    /// Lines about requests that fail, and about endpoints that do worse than others.
    pub(crate) fn failing(&self) -> Lines {
        self.lock().failing.clone()
    }

    pub(crate) fn set_failing(&self, lines: Lines) {
        self.lock().failing = lines;
    }

    /// Notes the result of a reload; a success ends a degraded state.
    pub(crate) fn reloaded(&self, report: &ReloadReport) {
        let mut inner = self.lock();
        if report.result != ReloadResult::Failed {
            inner.degraded = None;
        }
        inner.last_reload = Some(report.clone());
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
