//! A configuration that many proxies share: its newest text, and what the others see of this one.
//!
//! A service follows the store and keeps the newest text in memory; a reload takes it from there
//! and never waits for the network. Only the start does, within a limit, and then uses the copy on
//! disk.

mod follow;
mod place;
mod store;

use std::{
    path::Path,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{mpsc, watch};

use super::{
    control::{Control, Request},
    faults::log,
    last_good,
    outages::Outages,
    service::Services,
};
use crate::{
    admin::model::ReloadResult,
    config::{self, Config, Fault, Faults, Loaded, Rules, SharedPart},
    telemetry::metrics::{ControlMetrics, names},
};

pub(crate) use store::{Author, Member, Pushed, Store, names_of_several, process};

/// The shared part of the configuration, as control has it.
#[derive(Debug, Default)]
pub(super) struct SharedConfiguration {
    /// The store, if the configuration is in one, with the newest secrets of the way to it.
    store: Option<watch::Sender<Arc<Store>>>,
    newest: Newest,
    /// The revision in use.
    revision: i64,
    /// Tells the service what the others are to see.
    told: watch::Sender<Option<Member>>,
}

/// The newest text of the store.
#[derive(Clone, Debug, Default)]
struct Newest(Arc<Mutex<Option<SharedPart>>>);

impl Newest {
    fn get(&self) -> Option<SharedPart> {
        let part = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        part.clone()
    }

    /// Keeps a text; returns false if its revision is known.
    fn set(&self, new: SharedPart) -> bool {
        let mut part = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = part.as_ref().is_none_or(|it| it.revision != new.revision);
        *part = Some(new);
        is_news
    }
}

impl SharedConfiguration {
    /// Notes what the process starts with.
    pub(super) fn begin(&mut self, config: &Config, part: Option<SharedPart>) {
        let store = Store::of(config).map(Arc::new);
        self.store = store.map(|store| watch::channel(store).0);
        if let Some(part) = part {
            self.revision = part.revision;
            self.newest.set(part);
        }
    }

    /// Follows the store, if there is one, and asks for a reload when its text has changed.
    pub(super) fn follow(
        &self,
        services: &mut Services,
        metrics: &ControlMetrics,
        requests: &mpsc::Sender<Request>,
        outages: &Arc<Outages>,
    ) {
        let Some(store) = &self.store else { return };
        let follower = Arc::new(follow::Follower {
            newest: self.newest.clone(),
            requests: requests.clone(),
            up: metrics.gauge(&names::CONFIG_STORE_UP, []),
            outages: Arc::clone(outages),
        });
        let (told, stores) = (self.told.subscribe(), store.subscribe());
        services.start("shared configuration", move |stop| {
            Arc::clone(&follower).run(stores.clone(), told.clone(), stop)
        });
    }

    /// Takes over the secrets of the way to the store. Another store is used after a restart.
    pub(super) fn takes_secrets(&self, config: &Config) {
        let (Some(stores), Some(new)) = (&self.store, Store::of(config)) else {
            return;
        };
        stores.send_if_modified(|store| {
            let is_news = **store != new && store.is_same_place(&new);
            if is_news {
                *store = Arc::new(new);
            }
            is_news
        });
    }

    /// The newest text; none if the configuration is in no store.
    pub(super) fn newest(&self) -> Option<SharedPart> {
        self.newest.get()
    }

    /// Notes the revision in use.
    pub(super) fn uses(&mut self, revision: i64) {
        self.revision = revision;
    }
}

impl Control {
    /// Tells the other proxies of the state of this one, if it has changed.
    pub(super) fn tell_fleet(&self) {
        let SharedConfiguration {
            store: Some(store),
            revision,
            told,
            ..
        } = &self.shared_config
        else {
            return;
        };
        let last = self.board.last_reload();
        let failed = last.filter(|it| it.result == ReloadResult::Failed);
        let degraded = self.board.degraded();
        let state = match (self.shared.is_draining(), &degraded, &failed) {
            (true, _, _) => "draining",
            (false, Some(_), _) => "degraded",
            (false, None, Some(_)) => "refused",
            (false, None, None) => "running",
        };
        let member = Member {
            name: store.borrow().member.clone(),
            process: process(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            generation: self.shared.generation(),
            revision: *revision,
            state: state.to_owned(),
            healthy: !self.shared.is_draining() && !self.board.hurts_traffic(),
            error: failed.and_then(|it| it.error).or(degraded),
        };
        told.send_if_modified(|told| {
            let is_news = told.as_ref() != Some(&member);
            *told = Some(member);
            is_news
        });
    }
}

/// Completes the configuration that a process starts with: from the store, or from the last good
/// copy, with the reason. Blocks on the network.
pub(super) fn first(
    store: &Store,
    loaded: Loaded,
    path: &Path,
    rules: &Rules<'_>,
    upgrading: bool,
) -> Result<(Loaded, Option<String>), Faults> {
    let local = loaded.text;
    let (faults, why) = match store.fetch_blocking() {
        Ok(part) => match config::parse_with(Arc::clone(&local), Some(part), path, rules) {
            Ok(loaded) => return Ok((loaded, None)),
            Err(faults) => {
                let why = format!("{} has {} errors", store.name(), faults.errors());
                (faults, why)
            }
        },
        Err(why) => {
            let fault = Fault::of_file(format!("the shared configuration is missing: {why}"));
            (Faults::new(path, Arc::clone(&local), vec![fault]), why)
        }
    };
    // The process before still serves, with what is good.
    if upgrading {
        return Err(faults);
    }
    let Some(kept) = last_good::shared_text(path) else {
        return Err(faults);
    };
    let part = SharedPart::kept(&kept);
    let Ok(loaded) = config::parse_with(local, Some(part), path, rules) else {
        return Err(faults);
    };
    tracing::error!(
        store = %store.name(),
        "the shared configuration cannot be used; starting with the last good one"
    );
    log(&faults);
    let reason = format!("started with the last good shared configuration: {why}");
    Ok((loaded, Some(reason)))
}
