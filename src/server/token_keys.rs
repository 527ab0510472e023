//! Fetches the keys of tokens.
//!
//! Each URL has a fetch of its own: one that does not answer holds no other up. Keys stay as they
//! were until new ones are there.

use std::{sync::Arc, time::Duration};

use serde_json::json;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::service::Services;
use crate::{
    config::value::Jwks,
    fetch::{Ask, Client, Target},
    filter::RemoteKeys,
    task,
    telemetry::events::Events,
    worker::SharedState,
};

/// Starts to fetch for the snapshot in use.
pub(super) fn start(services: &mut Services, shared: &Arc<SharedState>, events: &Arc<Events>) {
    let (shared, events) = (Arc::clone(shared), Arc::clone(events));
    services.start("token keys", move |stop| {
        let (shared, events) = (Arc::clone(&shared), Arc::clone(&events));
        async move {
            let mut looks = interval(LOOK);
            looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = stop.told() => return Ok(()),
                    _ = looks.tick() => {}
                }
                for keys in shared.snapshot().token_keys() {
                    if keys.begin(Instant::now()) {
                        let (keys, events) = (Arc::clone(keys), Arc::clone(&events));
                        task::spawn_local("token keys", async move {
                            let fetched = fetch(&keys).await;
                            tell(&keys, fetched, &events);
                        });
                    }
                }
            }
        }
    });
}

async fn fetch(keys: &RemoteKeys) -> Result<Jwks, String> {
    let target = Target {
        url: keys.url.clone(),
        ca: keys.ca.clone(),
        secrets: Vec::new(),
    };
    let mut ask = Ask::get(keys.url.path.clone());
    ask.timeout = TIMEOUT;
    ask.body_max = BYTES_MAX;
    let answer = Client::new(target).ask(ask).await;
    let answer = answer.map_err(|error| error.to_string())?;
    if !answer.status.is_success() {
        return Err(format!("it answers {}", answer.status.as_u16()));
    }
    let text = std::str::from_utf8(&answer.body).map_err(|_| "it is not text".to_owned())?;
    Jwks::read(text).map_err(|mismatch| mismatch.message)
}

/// Takes over what was fetched; tells of a change between good and bad.
fn tell(keys: &RemoteKeys, fetched: Result<Jwks, String>, events: &Events) {
    let url = keys.url.to_string();
    match fetched {
        Ok(fetched) => {
            if keys.end(Some(fetched)) {
                tracing::info!(%url, "the keys of tokens are fetched again");
                events.publish("token_keys", "proxy", json!({ "url": url, "to": "up" }));
            }
        }
        Err(cause) => {
            if keys.end(None) {
                tracing::warn!(%url, %cause, "the keys of tokens cannot be fetched; the last good ones stay");
                let what = json!({ "url": url, "to": "down", "cause": cause });
                events.publish("token_keys", "proxy", what);
            }
        }
    }
}

const LOOK: Duration = Duration::from_millis(250);
const TIMEOUT: Duration = Duration::from_secs(5);
const BYTES_MAX: usize = 1 << 20;
