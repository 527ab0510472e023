//! A new configuration: everything new is loaded, checked, tested and bound beside the
//! old, then there is one swap, and what left drains. Any fault keeps the old one.

mod prepared;
pub(super) mod steps;

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{board::ReloadReport, control::Control, task, worker::Command};
use crate::config::{self, Config};

pub(super) use prepared::{Prepared, ReloadError};

impl Control {
    /// Takes up what the file says now, or keeps what runs and says why.
    pub(super) async fn reload(&mut self) -> ReloadReport {
        self.notify.reloading();
        let report = match self.try_reload().await {
            Ok(report) => report,
            Err(error) => self.refused(&error),
        };
        self.board.reloaded(&report);
        self.gauges.reloaded(report.result, report.generation);
        let what = serde_json::to_value(&report).unwrap_or_default();
        self.events.publish("reload", "proxy", what);
        self.notify.ready(match report.result {
            "failed" => "the last reload failed; serving the configuration from before it",
            _ => "serving",
        });
        report
    }

    async fn try_reload(&mut self) -> Result<ReloadReport, ReloadError> {
        // An address that has just been left may be wanted again.
        if let Some(leaving) = self.leaving.take() {
            let _ = leaving.await;
        }
        let loaded = self.load().await.map_err(ReloadError::Configuration)?;
        self.hash = loaded.hash;
        let old = self.shared.snapshot();
        if loaded.config == *old.config && self.board.degraded().is_none() {
            let report = report("unchanged", old.generation);
            tracing::info!("configuration unchanged");
            return Ok(report);
        }
        let prepared = Prepared::next(loaded, &self.shared, &mut self.registry)?;
        let new = Arc::clone(&prepared.snapshot);
        let log = steps::open_log(&self.shared, &new)?;
        if let Some(log) = log {
            self.shared.access_log.store(Arc::new(log));
        }
        // From here on nothing can fail.
        steps::adopt_pools(&new, &mut self.schedules);
        self.shared.swap(Arc::clone(&new));
        steps::listen(&self.shared, prepared.bound).await;
        self.shared.sockets.follow_modes(&new);
        steps::tell(&self.shared, |_| Some(Command::Refresh)).await;
        let removed = steps::removed_listeners(&old, &new);
        let connections_closed = steps::connections_leaving(&old, &removed);
        let shared = Arc::clone(&self.shared);
        self.leaving = Some(task::spawn_local("leaving listeners", async move {
            steps::unlisten(&shared, &removed).await;
        }));
        steps::forget_series(&self.shared, &old.config, &new.config);
        steps::keep(&new, &prepared.text);
        self.follow_admin(&new.config);
        self.follow_log(&new.config);
        let diff = steps::diff(&old, &new);
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
        let mut report = report("succeeded", new.generation);
        report.changes = serde_json::to_value(&diff).ok();
        report.connections_closed = connections_closed;
        Ok(report)
    }

    /// Reads the file on a thread for such things: the disk may be slow.
    async fn load(&self) -> Result<config::Loaded, config::Faults> {
        let (path, shared) = (self.path.clone(), Arc::clone(&self.shared));
        let loading = tokio::task::spawn_blocking(move || prepared::load(&path, &shared));
        match loading.await {
            Ok(loaded) => loaded,
            // Only a panic gets here; the file is then read again in this thread.
            Err(_) => prepared::load(&self.path, &self.shared),
        }
    }

    fn refused(&self, error: &ReloadError) -> ReloadReport {
        let generation = self.shared.generation();
        tracing::error!(
            generation,
            "the reload was refused; the old configuration stays"
        );
        for line in error.lines() {
            tracing::error!("{line}");
        }
        let mut report = report("failed", generation);
        if let ReloadError::Configuration(faults) = error {
            report.faults = serde_json::to_value(faults).ok();
        }
        report.error = Some(error.to_string());
        report
    }

    fn follow_admin(&self, config: &Config) {
        let (Some(control), Some(written)) = (&self.admin, &config.admin) else {
            return;
        };
        let token = written
            .token
            .as_ref()
            .map(|token| token.reveal())
            .transpose();
        let followed = match token {
            Ok(token) => control.set_token(token).map_err(|error| error.to_string()),
            Err(error) => Err(error.to_string()),
        };
        if let Err(error) = followed {
            tracing::error!(%error, "the admin token stays what it was");
        }
    }

    fn follow_log(&self, config: &Config) {
        let level = config.log.level.word();
        if let Some(control) = &self.log
            && let Err(error) = control.set_level(level)
        {
            tracing::error!(level, %error, "the level of the log stays what it was");
        }
    }
}

/// Changes of a reload that the log has one by one; the report has all.
const CHANGES_LOGGED_MAX: usize = 200;

fn report(result: &'static str, generation: u64) -> ReloadReport {
    let now = SystemTime::now().max(UNIX_EPOCH);
    ReloadReport {
        result,
        generation,
        time: humantime::format_rfc3339_millis(now).to_string(),
        changes: None,
        connections_closed: 0,
        error: None,
        faults: None,
    }
}
