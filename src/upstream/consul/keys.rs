//! Keys: read, also when they change, and written only if nobody else has; sessions that hold them.

use std::time::Duration;

use http::{HeaderMap, Method, StatusCode};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{ConsulAgent, ConsulError, PATIENCE};
use crate::{fetch::encode, semantics::base64};

/// A key with its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsulPair {
    /// The key.
    pub key: String,
    /// The value.
    pub value: Vec<u8>,
    /// The index of its last change.
    pub changed_at: u64,
    /// The session that holds it.
    pub session: Option<String>,
}

/// Keys, and the index to wait after.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConsulRead {
    /// The index for the next query that waits; 0: it comes at once.
    pub index: u64,
    /// The keys that exist, in order.
    pub pairs: Vec<ConsulPair>,
}

/// A value to write.
#[derive(Clone, Copy, Debug)]
pub struct ConsulPut<'a> {
    /// The key.
    pub key: &'a str,
    /// The value.
    pub value: &'a [u8],
}

/// A step of a transaction. All are done, or none.
#[derive(Clone, Copy, Debug)]
pub enum ConsulStep<'a> {
    /// Writes a key that was last changed at this index; 0: that does not exist.
    Swap(ConsulPut<'a>, u64),
    /// Writes a key.
    Set(ConsulPut<'a>),
    /// Requires that a session holds a key.
    HeldBy(&'a str, &'a ConsulSession),
    /// Removes a key.
    Delete(&'a str),
}

/// A session: what it holds is deleted when it ends, and it ends when it is not renewed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsulSession(pub String);

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Written {
    key: String,
    value: Option<String>,
    modify_index: u64,
    session: Option<String>,
}

impl ConsulAgent {
    /// Reads a key.
    ///
    /// # Errors
    /// The reason.
    pub async fn read(&mut self, key: &str) -> Result<ConsulRead, ConsulError> {
        self.keys(key, "consistent", None).await
    }

    /// Reads a key when it may have changed after this index, or after `wait` at the latest. Cancel
    /// safe.
    ///
    /// # Errors
    /// The reason.
    pub async fn read_after(
        &mut self,
        key: &str,
        index: u64,
        wait: Duration,
    ) -> Result<ConsulRead, ConsulError> {
        self.keys(key, "", Some((index, wait))).await
    }

    /// Reads all keys with a prefix.
    ///
    /// # Errors
    /// The reason.
    pub async fn list(&mut self, prefix: &str) -> Result<ConsulRead, ConsulError> {
        self.keys(prefix, "recurse", None).await
    }

    /// Reads all keys with a prefix when one may have changed after this index, or after `wait` at
    /// the latest. Cancel safe.
    ///
    /// # Errors
    /// The reason.
    pub async fn list_after(
        &mut self,
        prefix: &str,
        index: u64,
        wait: Duration,
    ) -> Result<ConsulRead, ConsulError> {
        self.keys(prefix, "recurse", Some((index, wait))).await
    }

    async fn keys(
        &mut self,
        key: &str,
        query: &str,
        after: Option<(u64, Duration)>,
    ) -> Result<ConsulRead, ConsulError> {
        let mut path = format!("{}?{query}", path_of(key));
        let mut ask_timeout = PATIENCE;
        if let Some((index, wait)) = after.filter(|(index, _)| *index > 0) {
            path.push_str(&format!("&index={index}&wait={}s", wait.as_secs()));
            // The agent adds up to a sixteenth.
            ask_timeout = wait + wait / 8 + PATIENCE;
        }
        let mut ask = self.to(Method::GET, &path);
        ask.timeout = ask_timeout;
        let last = after.map_or(0, |(index, _)| index);
        let answer = self.client.ask(ask).await?;
        let index = following(last, index_of(&answer.headers));
        match answer.status {
            StatusCode::OK => {}
            // No such key. Without an index of the store the status is that of something else.
            StatusCode::NOT_FOUND if index_of(&answer.headers) > 0 => {
                return Ok(ConsulRead {
                    index,
                    pairs: Vec::new(),
                });
            }
            status => return Err(ConsulError::Refused(status, super::reason(&answer))),
        }
        let written: Vec<Written> =
            serde_json::from_slice(&answer.body).map_err(|_| ConsulError::Garbled)?;
        let pairs: Option<Vec<_>> = written.into_iter().map(pair).collect();
        Ok(ConsulRead {
            index,
            pairs: pairs.ok_or(ConsulError::Garbled)?,
        })
    }

    /// Writes keys, at most 64, if the first of them was last changed at `index` (0: does not
    /// exist). Returns its new index, or none if somebody else has written.
    ///
    /// # Errors
    /// The reason; it may be written nevertheless.
    pub async fn swap(
        &mut self,
        index: u64,
        puts: &[ConsulPut<'_>],
    ) -> Result<Option<u64>, ConsulError> {
        let steps = puts.iter().enumerate().map(|(at, put)| match at {
            0 => ConsulStep::Swap(*put, index),
            _ => ConsulStep::Set(*put),
        });
        let steps: Vec<_> = steps.collect();
        let Some(answer) = self.commit(&steps).await? else {
            return Ok(None);
        };
        let index = answer["Results"][0]["KV"]["ModifyIndex"].as_u64();
        index.map(Some).ok_or(ConsulError::Garbled)
    }

    /// Makes the steps of a transaction, at most 64. Returns the answer of the agent, or none if a
    /// step could not be made.
    ///
    /// # Errors
    /// The reason; they may be made nevertheless.
    pub async fn commit(&mut self, steps: &[ConsulStep<'_>]) -> Result<Option<Value>, ConsulError> {
        let operations = steps.iter().map(|step| {
            let put = |verb: &str, put: &ConsulPut<'_>| {
                json!({ "Verb": verb, "Key": put.key, "Value": base64::encode(put.value) })
            };
            let operation = match step {
                ConsulStep::Swap(written, index) => {
                    let mut operation = put("cas", written);
                    operation["Index"] = (*index).into();
                    operation
                }
                ConsulStep::Set(written) => put("set", written),
                ConsulStep::HeldBy(key, session) => {
                    json!({ "Verb": "check-session", "Key": key, "Session": session.0 })
                }
                ConsulStep::Delete(key) => json!({ "Verb": "delete", "Key": key }),
            };
            json!({ "KV": operation })
        });
        let operations = Value::Array(operations.collect());
        match self.put("/v1/txn", &operations).await {
            Ok(answer) => {
                let answer = serde_json::from_slice(&answer.body);
                answer.map(Some).map_err(|_| ConsulError::Garbled)
            }
            Err(ConsulError::Refused(StatusCode::CONFLICT, _)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Begins a session that ends when it is not renewed within `ttl` (10 s at least).
    ///
    /// # Errors
    /// The reason.
    pub async fn begin_session(
        &mut self,
        name: &str,
        ttl: Duration,
    ) -> Result<ConsulSession, ConsulError> {
        let session = json!({
            "Name": name,
            "TTL": format!("{}s", ttl.as_secs()),
            "Behavior": "delete",
            "LockDelay": "0s",
        });
        let answer = self.put("/v1/session/create", &session).await?;
        let answer: Value =
            serde_json::from_slice(&answer.body).map_err(|_| ConsulError::Garbled)?;
        let id = answer["ID"].as_str().ok_or(ConsulError::Garbled)?;
        Ok(ConsulSession(id.to_owned()))
    }

    /// Keeps a session for another of its times; returns false if it has ended.
    ///
    /// # Errors
    /// The reason.
    pub async fn renew_session(&mut self, session: &ConsulSession) -> Result<bool, ConsulError> {
        let path = format!("/v1/session/renew/{}", encode(&session.0));
        match self.call(self.to(Method::PUT, &path)).await {
            Ok(_) => Ok(true),
            Err(ConsulError::Refused(StatusCode::NOT_FOUND, _)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Ends a session.
    ///
    /// # Errors
    /// The reason; it ends by itself then.
    pub async fn end_session(&mut self, session: &ConsulSession) -> Result<(), ConsulError> {
        let path = format!("/v1/session/destroy/{}", encode(&session.0));
        self.call(self.to(Method::PUT, &path)).await.map(drop)
    }

    /// Writes a key that a session holds; returns false if another session holds it.
    ///
    /// # Errors
    /// The reason, also that the session has ended.
    pub async fn hold(
        &mut self,
        put: ConsulPut<'_>,
        session: &ConsulSession,
    ) -> Result<bool, ConsulError> {
        let path = format!("{}?acquire={}", path_of(put.key), encode(&session.0));
        let mut ask = self.to(Method::PUT, &path);
        ask.body = put.value.to_vec().into();
        let answer = self.call(ask).await?;
        Ok(answer.body.trim_ascii() == b"true")
    }
}

/// Path of a key, whose slashes are part of it.
fn path_of(key: &str) -> String {
    let parts: Vec<String> = key.split('/').map(encode).collect();
    format!("/v1/kv/{}", parts.join("/"))
}

fn pair(written: Written) -> Option<ConsulPair> {
    let value = match &written.value {
        Some(value) => decoded(value)?,
        None => Vec::new(),
    };
    Some(ConsulPair {
        key: written.key,
        value,
        changed_at: written.modify_index,
        session: written.session,
    })
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut decoder = base64::Decoder::default();
    let mut bytes = Vec::new();
    decoder.feed(text.as_bytes(), &mut bytes).ok()?;
    decoder.is_between().then_some(bytes)
}

/// Returns the index for the next query, from that of the last one and of its answer.
pub(in crate::upstream) fn following(last: u64, answered: u64) -> u64 {
    if answered < last { 0 } else { answered }
}

/// Returns the index of an answer; 0 if it has none.
pub(in crate::upstream) fn index_of(headers: &HeaderMap) -> u64 {
    let index = headers.get("x-consul-index");
    let index = index.and_then(|index| index.to_str().ok()?.parse().ok());
    index.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_that_goes_backwards_or_is_zero_begins_anew() {
        for (last, answered, next) in [(0, 7, 7), (7, 7, 7), (7, 9, 9), (9, 3, 0), (9, 0, 0)] {
            assert_eq!(following(last, answered), next, "{last} {answered}");
        }
    }

    #[test]
    fn slashes_of_a_key_stay_and_the_rest_is_encoded() {
        assert_eq!(
            path_of("sluicegate/my edge/a?b"),
            "/v1/kv/sluicegate/my%20edge/a%3Fb"
        );
    }
}
