//! Fetches the keys of tokens, and what providers say of themselves.
//!
//! Each URL has a fetch of its own: one that does not answer holds no other up. Whatever was fetched
//! stays until there is something new.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use serde_json::json;
use tokio::time::Instant;

use super::service::Services;
use crate::{
    config::value::Jwks,
    fetch::{Ask, Client, Target},
    filter::Remote,
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
            let mut looks = stop.looks(LOOK);
            while looks.next().await {
                let snapshot = shared.snapshot();
                for provider in snapshot.providers() {
                    let (document, provider) = (provider.document(), Arc::clone(provider));
                    let read = move |text: &str| provider.read(text);
                    follow(document, &PROVIDER, &events, read);
                }
                for keys in snapshot.token_keys() {
                    let read = |text: &str| Jwks::read(text).map_err(|mismatch| mismatch.message);
                    follow(&keys, &KEYS, &events, read);
                }
            }
            Ok(())
        }
    });
}

/// Words for one kind of document.
struct Words {
    event: &'static str,
    up: &'static str,
    down: &'static str,
}

const KEYS: Words = Words {
    event: "token_keys",
    up: "the keys of tokens are fetched again",
    down: "the keys of tokens cannot be fetched; the last good ones stay",
};

const PROVIDER: Words = Words {
    event: "oidc_provider",
    up: "the provider's metadata is fetched again",
    down: "the provider's metadata cannot be fetched; what is known stays",
};

/// Fetches a document, if that is due.
fn follow<T: 'static>(
    remote: &Arc<Remote<T>>,
    words: &'static Words,
    events: &Arc<Events>,
    read: impl Fn(&str) -> Result<T, String> + 'static,
) {
    if remote.begin(Instant::now()) {
        let (remote, events) = (Arc::clone(remote), Arc::clone(events));
        task::spawn_local("token keys", async move {
            let fetched = fetch(&remote).await;
            let fetched = fetched.and_then(|body| {
                let text = std::str::from_utf8(&body).map_err(|_| "it is not text".to_owned())?;
                read(text)
            });
            tell(&remote, words, fetched, &events);
        });
    }
}

async fn fetch<T>(remote: &Remote<T>) -> Result<Bytes, String> {
    let target = Target {
        url: remote.url.clone(),
        ca: remote.ca.clone(),
        secrets: Vec::new(),
    };
    let mut ask = Ask::get(remote.url.path.clone());
    ask.timeout = TIMEOUT;
    ask.body_max = BYTES_MAX;
    let answer = Client::new(target).ask(ask).await;
    let answer = answer.map_err(|error| error.to_string())?;
    if !answer.status.is_success() {
        return Err(format!("it answers {}", answer.status.as_u16()));
    }
    Ok(answer.body)
}

/// Takes over what was fetched; tells of a change between good and bad.
fn tell<T>(remote: &Remote<T>, words: &Words, fetched: Result<T, String>, events: &Events) {
    let url = remote.url.to_string();
    match fetched {
        Ok(fetched) => {
            if remote.end(Ok(fetched)) {
                tracing::info!(%url, "{}", words.up);
                events.publish(words.event, "proxy", json!({ "url": url, "to": "up" }));
            }
        }
        Err(cause) => {
            if remote.end(Err(cause.clone())) {
                tracing::warn!(%url, %cause, "{}", words.down);
                let what = json!({ "url": url, "to": "down", "cause": cause });
                events.publish(words.event, "proxy", what);
            }
        }
    }
}

const LOOK: Duration = Duration::from_millis(250);
const TIMEOUT: Duration = Duration::from_secs(5);
const BYTES_MAX: usize = 1 << 20;
