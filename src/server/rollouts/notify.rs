//! Messages about rollouts to a webhook.
//!
//! One task sends them in their order. A webhook that does not answer holds back its own messages
//! only as long as its tries take, and the rollout never: what does not fit into the queue is
//! dropped, and the log says so.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{
    HeaderValue, Method,
    header::{AUTHORIZATION, CONTENT_TYPE},
};
use tokio::{sync::mpsc, task::JoinHandle, time::sleep};

use crate::{
    config::schema::RolloutNotify,
    fetch::{Ask, Client, Target},
    task,
};

/// Sends messages to webhooks; dropping it drops those that wait.
pub(super) struct Notifier {
    sender: mpsc::Sender<Message>,
    task: JoinHandle<()>,
}

struct Message {
    rollout: Arc<str>,
    to: RolloutNotify,
    body: Bytes,
}

impl Notifier {
    /// Starts the task.
    pub(super) fn start() -> Self {
        let (sender, mut messages) = mpsc::channel::<Message>(WAITING_MAX);
        let task = task::spawn_local("rollout messages", async move {
            while let Some(message) = messages.recv().await {
                message.deliver().await;
            }
        });
        Self { sender, task }
    }

    /// Queues a message.
    pub(super) fn send(&self, rollout: &Arc<str>, to: &RolloutNotify, what: &serde_json::Value) {
        let message = Message {
            rollout: Arc::clone(rollout),
            to: to.clone(),
            body: what.to_string().into(),
        };
        if self.sender.try_send(message).is_err() {
            tracing::warn!(%rollout, webhook = %to.webhook, "a message is dropped: too many wait for webhooks");
        }
    }
}

impl Drop for Notifier {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Message {
    /// Sends it, again after a wait if there is no answer of success.
    async fn deliver(self) {
        let Self { rollout, to, body } = self;
        let token = to.token.map(|token| (AUTHORIZATION, "Bearer ", token));
        let path = to.webhook.path.to_string();
        let mut client = Client::new(Target {
            url: to.webhook.clone(),
            ca: None,
            secrets: token.into_iter().collect(),
        });
        for attempt in 1..=TRIES {
            let mut ask = Ask::new(Method::POST, &*path)
                .with(CONTENT_TYPE, HeaderValue::from_static("application/json"));
            ask.body = body.clone();
            ask.timeout = TIMEOUT;
            ask.body_max = ANSWER_MAX;
            let fault = match client.ask(ask).await {
                Ok(answer) if answer.status.is_success() => return,
                Ok(answer) => format!("it answers {}", answer.status),
                Err(error) => error.to_string(),
            };
            tracing::warn!(%rollout, webhook = %to.webhook, attempt, tries = TRIES, error = fault, "a message did not reach its webhook");
            if attempt < TRIES {
                sleep(WAIT * attempt).await;
            }
        }
    }
}

/// Messages that wait.
const WAITING_MAX: usize = 64;
/// Tries for one message.
const TRIES: u32 = 3;
/// Time for one try.
const TIMEOUT: Duration = Duration::from_secs(5);
/// Wait after the first try; twice as long after the second.
const WAIT: Duration = Duration::from_secs(1);
/// The answer is read so that the connection ends well; nothing is made of it.
const ANSWER_MAX: usize = 64 << 10;
