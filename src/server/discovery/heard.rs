//! Answers of sources: taken up, refused, held, and told.

use std::sync::Arc;

use serde_json::json;

use super::{Answer, absent};
use crate::{
    server::control::Control,
    upstream::{
        discovery::{Discovered, Heard, HeardAt, SourceSpec, SourceStatus},
        pool::Pool,
    },
};

impl Control {
    /// Applies an answer of a source, or keeps the last good list and reports the error.
    pub(in crate::server) fn hear_source(&mut self, answer: &Answer) {
        let snapshot = self.shared.snapshot();
        let Answer { pool, source, list } = answer;
        let Some(pool) = snapshot.pool(pool) else {
            return;
        };
        let current = pool.discovery.as_ref();
        if current.is_none_or(|discovery| discovery.source != *source) {
            return;
        }
        let discovered = &pool.shared.discovered;
        let before = discovered.status();
        let was_bad = before.error.is_some() || before.trouble.is_some();
        let hold = current.map(|discovery| discovery.hold).unwrap_or_default();
        let heard = discovered.hear(source, list, hold, HeardAt::now());
        let status = discovered.status();
        tell(&pool.name, source, heard, &status);
        if status.skipped != before.skipped {
            tell_skipped(&pool.name, source, &status);
        }
        self.tell_held(pool, source, &before, &status);
        let result = match heard {
            Heard::Changed => "changed",
            Heard::Unchanged => "unchanged",
            Heard::Failed { .. } => "failed",
        };
        if was_bad && !matches!(heard, Heard::Failed { .. }) {
            let listed = status.endpoints;
            match (&status.held, listed) {
                // That is told in a line of its own.
                _ if status.trouble.is_some() => {}
                (Some(_), _) => {}
                (None, 0) => {
                    tracing::warn!(pool = %pool.name, from = %source, "the source answers again, with an empty list");
                }
                (None, _) => {
                    tracing::info!(pool = %pool.name, from = %source, listed, "the list of endpoints is good again");
                }
            }
        }
        self.discoveries.count(&pool.name, source, result);
        if let Some(state_dir) = &snapshot.config.proxy.state_dir
            && heard == Heard::Changed
            && status.held.is_none()
        {
            let (kept, list) = (&mut self.discoveries.kept, discovered.listed());
            kept.keep(state_dir, &pool.name, source, &list);
        }
        self.tell_trouble(pool, source, &before, &status);
        if let Heard::Failed { is_news: true } = heard {
            self.events.publish(
                "discovery",
                "proxy",
                json!({ "pool": &*pool.name, "source": source.kind(), "error": error_of(discovered) }),
            );
        }
        self.take_up_endpoints(pool);
        if !matches!(heard, Heard::Failed { .. }) {
            pool.shared.health.forget_waiting();
        }
    }

    /// Ends what the source of a pool holds for a time or until a check fails.
    pub(in crate::server) fn look_at_source(&mut self, pool: &Arc<Pool>) {
        let Some(discovery) = &pool.discovery else {
            return;
        };
        let discovered = &pool.shared.discovered;
        let before = discovered.status();
        // After a reload the new source speaks first.
        let is_current = discovered.knows(&discovery.source);
        if before.held.is_some() && is_current && discovered.end_hold(HeardAt::now()) {
            self.tell_held(pool, &discovery.source, &before, &discovered.status());
        } else if before.absent == 0 || !absent::have_failed(pool) {
            return;
        }
        self.take_up_endpoints(pool);
    }

    /// Tells what is wrong though the list is good.
    fn tell_trouble(
        &self,
        pool: &Pool,
        source: &SourceSpec,
        before: &SourceStatus,
        status: &SourceStatus,
    ) {
        let text = |status: &SourceStatus| status.trouble.as_ref().map(|(text, _)| text.clone());
        let Some(trouble) = text(status).filter(|it| text(before).as_ref() != Some(it)) else {
            return;
        };
        let (name, kind, listed) = (&*pool.name, source.kind(), status.endpoints);
        tracing::warn!(pool = name, source = kind, listed, %trouble, "the list of endpoints is used, but all is not well with its source");
        let what = json!({ "pool": name, "source": kind, "trouble": trouble });
        self.events.publish("discovery", "proxy", what);
    }

    /// Tells that endpoints stay for a time though the list has left them out, or that it is over.
    pub(super) fn tell_held(
        &self,
        pool: &Pool,
        source: &SourceSpec,
        before: &SourceStatus,
        status: &SourceStatus,
    ) {
        let held = |status: &SourceStatus| status.held.map(|held| held.count);
        let (name, kind) = (&*pool.name, source.kind());
        match (held(before), held(status)) {
            (was, now) if was == now => return,
            (_, Some(count)) => {
                let hold = pool
                    .discovery
                    .as_ref()
                    .map(|it| it.hold)
                    .unwrap_or_default();
                let hold = humantime::format_duration(hold).to_string();
                tracing::warn!(
                    pool = name,
                    source = kind,
                    held = count,
                    listed = status.endpoints,
                    hold,
                    down = status.held.map_or(0, |held| held.down),
                    "most endpoints are suddenly not listed any more, or marked as down; they stay for a time"
                );
            }
            (Some(count), None) => {
                let listed = status.endpoints;
                match (before.endpoints + count).saturating_sub(listed) {
                    0 => tracing::info!(
                        pool = name,
                        source = kind,
                        listed,
                        "the endpoints that were missing are listed again"
                    ),
                    left => tracing::warn!(
                        pool = name,
                        source = kind,
                        listed,
                        left,
                        "the time is over: endpoints that are not listed leave"
                    ),
                }
            }
            (None, None) => return,
        }
        let what = json!({ "pool": name, "source": kind, "held": held(status).unwrap_or(0) });
        self.events.publish("discovery", "proxy", what);
    }
}

pub(super) fn tell(pool: &str, source: &SourceSpec, heard: Heard, status: &SourceStatus) {
    if let (Heard::Failed { is_news: true }, Some((error, _))) = (heard, &status.error) {
        let kept = status.endpoints;
        let source = source.kind();
        if kept == 0 && status.succeeded.is_some() {
            tracing::warn!(pool, source, %error, "the list of endpoints is refused; the last good one was empty");
        } else if kept == 0 {
            tracing::warn!(pool, source, %error, "no list of endpoints yet");
        } else {
            tracing::warn!(pool, source, kept, %error, "the list of endpoints is refused; the last good one stays");
        }
    }
}

/// Logs the entries of a list that cannot be used.
pub(super) fn tell_skipped(pool: &str, source: &SourceSpec, status: &SourceStatus) {
    let skipped = &status.skipped;
    if !skipped.is_empty() {
        let (source, count) = (source.kind(), skipped.count());
        tracing::warn!(pool, source, skipped = count, entries = %skipped, "entries of the list of endpoints cannot be used; the others are");
    }
}

fn error_of(discovered: &Discovered) -> Option<String> {
    discovered.status().error.map(|(error, _)| error)
}
