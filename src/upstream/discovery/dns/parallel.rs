//! Look-ups at once.

use std::{
    collections::HashSet,
    future::{Future, poll_fn},
    pin::Pin,
    task::Poll,
};

use super::{
    lookup::{Outcome, Servers},
    memory::Key,
};

/// Looks up all of these, some at a time. When the servers are silent, the rest fails at once.
pub(super) async fn look_up_all(servers: &Servers, keys: HashSet<Key>) -> Vec<(Key, Outcome)> {
    type LookingUp<'a> = Pin<Box<dyn Future<Output = Outcome> + Send + 'a>>;
    let mut ahead = keys.into_iter();
    let mut running: Vec<(Key, LookingUp<'_>)> = Vec::new();
    let mut done = Vec::new();
    let mut fault = None;
    poll_fn(|cx| {
        loop {
            while fault.is_none() && running.len() < PARALLEL {
                let Some(key) = ahead.next() else { break };
                let asked = key.clone();
                let asking = async move { servers.look_up(&asked.0, asked.1).await };
                running.push((key, Box::pin(asking)));
            }
            let before = done.len();
            let mut at = 0;
            while let Some((_, asking)) = running.get_mut(at) {
                match asking.as_mut().poll(cx) {
                    Poll::Pending => at += 1,
                    Poll::Ready(outcome) => {
                        if let Outcome::Failed(why) = &outcome
                            && why.is_silence()
                        {
                            fault = Some(why.clone());
                        }
                        done.push((running.swap_remove(at).0, outcome));
                    }
                }
            }
            if running.is_empty() && (fault.is_some() || ahead.len() == 0) {
                return Poll::Ready(());
            }
            if done.len() == before {
                return Poll::Pending;
            }
        }
    })
    .await;
    if let Some(fault) = fault {
        done.extend(ahead.map(|key| (key, Outcome::Failed(fault.clone()))));
    }
    done
}

/// Questions at once.
const PARALLEL: usize = 16;
