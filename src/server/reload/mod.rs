//! Reload: all new parts are loaded, checked, tested and bound beside the old, then there is one
//! swap, and removed parts drain. Any fault keeps the old configuration.

mod bound;
mod error;
pub(super) mod leaving;
mod prepared;
mod queue;
#[cfg(feature = "http3")]
mod quic;
pub(super) mod steps;

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use tokio::{sync::oneshot, time::Instant};

use super::{admin::tokens, control::Control, descriptors, discovery::ask_first, faults::log};
use crate::{
    admin::model::{ReloadRefusal, ReloadReport, ReloadResult},
    config::Config,
    state::heads::GateUse,
    task,
    worker::Command,
};

pub(super) use error::ReloadError;
use prepared::PATIENCE;
pub(super) use prepared::{Beside, Prepared, ReloadOutcome};
pub(super) use queue::{Reloads, Wanted};

use queue::join;

/// Way to the next configuration.
#[derive(Clone, Copy)]
struct Way {
    /// The file is read; else the configuration in use stays.
    file: bool,
    /// It is compiled even if it is the one in use.
    anew: bool,
    gate: GateUse,
}

impl Control {
    /// Begins a reload, or schedules one after the one under way.
    pub(super) fn want_reload(&mut self, wanted: Wanted) {
        self.doubt = None;
        if self.draining {
            wanted.tell(&Err(ReloadRefusal::Stopping));
            return;
        }
        let way = Way {
            file: wanted.file,
            anew: wanted.anew.is_some() || self.board.degraded().is_some(),
            gate: wanted.gate,
        };
        if !self.reloads.want(wanted) {
            return;
        }
        self.notify.reloading();
        let (done, preparing) = oneshot::channel();
        self.reloads.begin(preparing, Instant::now() + PATIENCE);
        if self.reloads.is_stuck() {
            let _ = done.send(Err(ReloadError::TooSlow));
            return;
        }
        let (path, shared) = (self.path.clone(), Arc::clone(&self.shared));
        let registry = Arc::clone(&self.registry);
        let leaving = self.leaving.take();
        let part = self.shared_config.newest();
        let (kept, hash) = (self.board.texts(), self.hash);
        task::spawn_local("reload", async move {
            // An address that has just been left may be wanted again.
            if let Some(leaving) = leaving {
                let _ = leaving.await;
            }
            let preparing = if way.file {
                Prepared::next(path, &shared, &registry, part, (way.anew, way.gate))
            } else {
                Prepared::again(&shared, &registry, kept, hash)
            };
            let preparing = match preparing {
                Ok(preparing) => preparing.await,
                Err(error) => Ok(Err(error.into())),
            };
            if let Ok(Ok(ReloadOutcome::Ready(prepared))) = &preparing {
                ask_first(&prepared.snapshot).await;
            }
            let _ = done.send(preparing.unwrap_or(Err(ReloadError::Panicked)));
        });
    }

    /// Applies a prepared configuration, or keeps the old one and reports the reason.
    pub(super) async fn reloaded(&mut self, outcome: Result<ReloadOutcome, ReloadError>) {
        let (mut wanted, next) = self.reloads.ended();
        let next = if outcome.is_err() && wanted.file {
            // A switch does not depend on the file.
            let anew = wanted.anew.take().map(Wanted::anew);
            join(anew, next)
        } else {
            next
        };
        let report = match outcome {
            Err(ReloadError::Configuration(_)) if !wanted.asked && next.is_none() => {
                // The file may have been saved in part: told if it stays so.
                self.doubt = Some(Instant::now() + DOUBT);
                self.notify
                    .ready("the saved file has errors and is read again in 3 s");
                self.upgrade_after_reload();
                return;
            }
            Ok(ReloadOutcome::Unchanged(hash, revision)) => {
                self.hash = hash;
                self.shared_config.uses(revision);
                tracing::info!("configuration unchanged");
                report(ReloadResult::Unchanged, self.shared.generation())
            }
            Ok(ReloadOutcome::Ready(prepared)) => self.take_up(*prepared).await,
            Err(error) => self.refused(&error),
        };
        self.board.reloaded(&report);
        self.gauges
            .reloaded(report.result.word(), report.generation);
        let what = serde_json::to_value(&report).unwrap_or_default();
        self.events.publish("reload", "proxy", what);
        let failed = report.result == ReloadResult::Failed;
        self.notify.ready(if failed {
            "the last reload failed; serving the configuration from before it"
        } else {
            "serving"
        });
        wanted.tell(&if failed {
            Err(ReloadRefusal::Refused(Box::new(report)))
        } else {
            Ok(report)
        });
        // An upgrade that waits for this goes first: the new process reads the file anyway.
        self.upgrade_after_reload();
        if let Some(next) = next {
            self.want_reload(next);
        }
    }

    /// Swaps in the prepared configuration; no step of this can fail.
    async fn take_up(&mut self, prepared: Prepared) -> ReloadReport {
        self.hash = prepared.hash;
        let old = self.shared.snapshot();
        let new = Arc::clone(&prepared.snapshot);
        self.named_files.replace(&new.config.named_files());
        if let Some(log) = prepared.log {
            self.shared.access_log.store(Arc::new(log));
        }
        self.follow_traces(Some(&old), &new);
        steps::adopt_pools(&new, &mut self.schedules);
        self.shared.swap(Arc::clone(&new));
        #[cfg(feature = "http3")]
        quic::unlisten(&self.shared, &old, &new).await;
        prepared.sockets.listen(self).await;
        self.shared.sockets.follow_modes(&new);
        self.follow_sources(&new);
        steps::tell(&self.shared, |_| Some(Command::Refresh)).await;
        let removed = steps::removed_listeners(&old, &new);
        let connections_closed = steps::connections_leaving(&old, &removed);
        let shared = Arc::clone(&self.shared);
        let unregistered = self.registrations.follow(&new);
        self.leaving = Some(task::spawn_local("leaving listeners", async move {
            unregistered.await;
            leaving::unlisten(&shared, &removed).await;
        }));
        steps::forget_series(&self.shared, &old, &new);
        if new.connections_max != old.connections_max {
            descriptors::tell(&new, self.shared.workers.len());
        }
        self.keeper.keep(&new, &prepared.texts);
        self.gauges.closed(&new);
        self.board.uses(prepared.texts.clone());
        self.shared_config.takes_secrets(&new.config);
        self.shared_config
            .uses(prepared.texts.shared.map_or(0, |it| it.revision));
        self.follow_admin(&new.config);
        self.follow_metrics(prepared.metrics);
        self.follow_log(&new.config);
        let former = &self.shared.heads.former;
        former.replaced(
            (&old.config, &new.config),
            prepared.replayed.as_ref(),
            Instant::now(),
        );
        let diff = self.board.followed(&old.config, &new.config);
        tracing::info!(
            generation = new.generation,
            connections_closed,
            "configuration reloaded"
        );
        for line in diff.to_string().lines().take(CHANGES_LOGGED_MAX) {
            tracing::info!("changed: {line}");
        }
        if diff.needs_restart() {
            tracing::warn!("some of these changes take effect after a restart only");
        }
        if let Some(replayed) = &prepared.replayed {
            tracing::info!("{}", replayed.headline());
        }
        let mut report = report(ReloadResult::Succeeded, new.generation);
        report.traffic = prepared.replayed;
        report.changes = Some(diff);
        report.connections_closed = connections_closed;
        report
    }

    fn refused(&self, error: &ReloadError) -> ReloadReport {
        let generation = self.shared.generation();
        tracing::error!(generation, "reload refused: configuration unchanged");
        match error {
            ReloadError::Configuration(faults) => log(faults),
            error => error
                .lines()
                .iter()
                .for_each(|line| tracing::error!("{line}")),
        }
        let mut report = report(ReloadResult::Failed, generation);
        if let ReloadError::Configuration(faults) = error {
            self.named_files.add(faults.named_files());
            report.faults = Some(faults.views().collect());
        }
        if let ReloadError::Gate(replayed) = error {
            report.traffic = Some((**replayed).clone());
        }
        report.error = Some(match error {
            // Warnings have refused nothing; they are among the faults.
            ReloadError::Configuration(faults) => faults.errors_text(),
            error => error.to_string(),
        });
        report
    }

    fn follow_admin(&mut self, config: &Config) {
        let Some(written) = &config.admin else {
            if let Some(control) = self.admin.take() {
                tracing::info!("the configuration has no admin API any more: closing it");
                control.close();
                self.admin_offer = None;
            }
            return;
        };
        let Some(control) = &self.admin else {
            return;
        };
        let followed = tokens(written)
            .map_err(|error| error.to_string())
            .and_then(|tokens| {
                control
                    .set_tokens(tokens)
                    .map_err(|error| error.to_string())
            });
        if let Err(error) = followed {
            tracing::error!(%error, "admin tokens unchanged");
        }
    }

    pub(super) fn reopen_logs(&self) {
        if let Some(log) = &**self.shared.access_log.load() {
            log.reopen();
        }
    }

    pub(super) fn follow_log(&self, config: &Config) {
        let level = config.log.level.word();
        if let Some(control) = &self.log
            && let Err(error) = control.set_level(level)
        {
            tracing::error!(level, %error, "log level unchanged");
        }
    }
}

/// Time that a file saved with faults has to be saved without them before it is reported.
const DOUBT: Duration = Duration::from_secs(3);
/// Maximum number of changes of a reload logged one by one; the report has all.
const CHANGES_LOGGED_MAX: usize = 200;

fn report(result: ReloadResult, generation: u64) -> ReloadReport {
    let now = SystemTime::now().max(UNIX_EPOCH);
    ReloadReport {
        result,
        generation,
        time: humantime::format_rfc3339_millis(now).to_string(),
        changes: None,
        connections_closed: 0,
        error: None,
        faults: None,
        traffic: None,
    }
}
