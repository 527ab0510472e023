//! A small client of etcd (API version 3): keys with a prefix, and their changes.
//!
//! It speaks gRPC on the crate `h2`, which serves endpoints too. One connection at a time, to one
//! of several servers; the caller goes to the next one after an error. Nothing waits without a
//! limit: connections, calls, and watches that fall silent.

mod keys;
mod message;
mod watch;
mod wire;

use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderName, HeaderValue};

pub use crate::fetch::grpc::Channel;
pub use keys::{Act, Condition, Lease, Put, Read};
pub use message::{Change, KeyValue};
pub use watch::{Watch, WatchStep};

use crate::{
    config::value::{Secret, ServerUrl},
    fetch::grpc::GrpcError,
    tls::{ClientSettings, ClientTls},
};
use keys::RANGE;
use message::RangeAnswer;

/// A group of servers, and how to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EtcdSettings {
    /// The servers; at least one.
    pub servers: Vec<ServerUrl>,
    /// User and password, if a login is needed.
    pub login: Option<(String, Secret)>,
    /// Files and names for TLS.
    pub tls: ClientSettings,
}

/// Reasons why etcd gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum EtcdError {
    /// A call gave no good answer.
    #[error("{0}")]
    Call(#[from] GrpcError),
    /// The password is missing.
    #[error("there is no password: {0}")]
    NoPassword(String),
    /// A watch ended.
    #[error("the watch ended: {0}")]
    WatchEnded(String),
}

impl EtcdError {
    /// The answer is malformed or too large.
    const GARBLED: Self = Self::Call(GrpcError::Garbled);

    /// Status of gRPC by which the server refused a call, if it did.
    pub fn code(&self) -> Option<u32> {
        match self {
            Self::Call(GrpcError::Refused { code, .. }) => Some(*code),
            _ => None,
        }
    }
}

impl From<h2::Error> for EtcdError {
    fn from(error: h2::Error) -> Self {
        Self::Call(error.into())
    }
}

impl From<wire::Garbled> for EtcdError {
    fn from(_: wire::Garbled) -> Self {
        Self::GARBLED
    }
}

/// All keys with a prefix, at a revision.
#[derive(Debug, Default)]
pub struct Listed {
    /// The revision.
    pub revision: i64,
    /// The keys with their values, in order.
    pub pairs: Vec<KeyValue>,
}

/// A group of servers that are tried in turn.
#[derive(Debug)]
pub struct Cluster {
    settings: Arc<EtcdSettings>,
    /// Number of the server to try next.
    next: usize,
}

impl Cluster {
    /// Begins with any of the servers, so that many proxies spread over them.
    pub fn new(settings: Arc<EtcdSettings>) -> Self {
        let next = rand::random_range(0..settings.servers.len().max(1));
        Self { settings, next }
    }

    /// Number of servers.
    pub fn servers(&self) -> usize {
        self.settings.servers.len()
    }

    /// Connects to the next server, and logs in.
    ///
    /// # Errors
    /// The server and the reason.
    pub async fn connect(&mut self) -> Result<Channel, (ServerUrl, EtcdError)> {
        let servers = &self.settings.servers;
        let server = servers[self.next % servers.len()].clone();
        self.next = (self.next + 1) % servers.len();
        match self.open(&server).await {
            Ok(channel) => Ok(channel),
            Err(error) => Err((server, error)),
        }
    }

    async fn open(&self, server: &ServerUrl) -> Result<Channel, EtcdError> {
        let tls = if server.tls {
            let settings = self.settings.tls.clone();
            // Read for each connection: renewed files are used.
            let loading = tokio::task::spawn_blocking(move || ClientTls::load(settings));
            let loaded = loading
                .await
                .map_err(|it| GrpcError::Connect(it.to_string()))?;
            Some(loaded.map_err(|fault| GrpcError::Connect(fault.to_string()))?)
        } else {
            None
        };
        let mut channel = Channel::open(server, tls.as_ref()).await?;
        // A server that has lost its cluster ends streams, and refuses calls.
        channel.set(HAS_LEADER, HeaderValue::from_static("true"));
        let Some((user, password)) = &self.settings.login else {
            return Ok(channel);
        };
        let password = password.reveal();
        let password = password.map_err(|why| EtcdError::NoPassword(why.message.clone()))?;
        let login = channel.call(LOGIN, &message::login(user, password)).await;
        match login {
            Ok(answer) => {
                let token = HeaderValue::try_from(message::token(&answer)?);
                let mut token = token.map_err(|_| EtcdError::GARBLED)?;
                token.set_sensitive(true);
                channel.set(TOKEN, token);
            }
            // Nobody has to log in.
            Err(GrpcError::Refused { code, .. }) if code == FAILED_PRECONDITION => {}
            Err(error) => return Err(error.into()),
        }
        Ok(channel)
    }
}

impl Channel {
    /// Reads all keys with a prefix.
    ///
    /// # Errors
    /// The reason, also if there are more than `bytes_max` bytes.
    pub async fn list(&self, prefix: &[u8], bytes_max: usize) -> Result<Listed, EtcdError> {
        let end = message::prefix_end(prefix);
        let mut from = prefix.to_vec();
        let mut listed = Listed::default();
        let mut bytes = 0;
        loop {
            let request = message::range(&from, &end, PAGE_KEYS, listed.revision);
            let answer = RangeAnswer::read(&self.call(RANGE, &request).await?)?;
            if listed.revision == 0 {
                listed.revision = answer.revision;
            }
            let sizes = answer.pairs.iter().map(|it| it.key.len() + it.value.len());
            bytes += sizes.sum::<usize>();
            if bytes > bytes_max {
                return Err(EtcdError::GARBLED);
            }
            listed.pairs.extend(answer.pairs.iter().map(apart));
            match listed.pairs.last() {
                Some(last) if answer.has_more => {
                    from.clear();
                    from.extend_from_slice(&last.key);
                    from.push(0);
                }
                Some(_) | None => return Ok(listed),
            }
        }
    }

    /// Follows all changes of keys with a prefix after a revision.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn watch(&self, prefix: &[u8], after: i64) -> Result<Watch, EtcdError> {
        self.watch_range(prefix, &message::prefix_end(prefix), after)
            .await
    }

    /// Follows all changes of one key after a revision.
    ///
    /// # Errors
    /// The connection broke.
    pub async fn watch_key(&self, key: &[u8], after: i64) -> Result<Watch, EtcdError> {
        self.watch_range(key, &[], after).await
    }

    async fn watch_range(&self, key: &[u8], end: &[u8], after: i64) -> Result<Watch, EtcdError> {
        let mut stream = self.stream(WATCH).await?;
        stream.send(&message::watch(key, end, after + 1), false)?;
        Ok(Watch::new(stream))
    }
}

/// Copies a pair out of the message that it came in, which is freed then.
fn apart(pair: &KeyValue) -> KeyValue {
    KeyValue {
        key: Bytes::copy_from_slice(&pair.key),
        value: Bytes::copy_from_slice(&pair.value),
        changed_at: pair.changed_at,
        lease: pair.lease,
    }
}

const WATCH: &str = "/etcdserverpb.Watch/Watch";
const LOGIN: &str = "/etcdserverpb.Auth/Authenticate";
const HAS_LEADER: HeaderName = HeaderName::from_static("hasleader");
const TOKEN: HeaderName = HeaderName::from_static("token");
/// Status of gRPC: the state of the system does not allow the call.
const FAILED_PRECONDITION: u32 = 9;
/// Keys asked for at once.
const PAGE_KEYS: i64 = 2000;
