//! A small client of ZooKeeper (3.4 or later): the children of a node with their data, watched.
//!
//! One session on one connection. It keeps nothing in the store, so it is not taken along to
//! another connection: a new session reads everything again, and its end or expiry costs nothing.

mod ensemble;
mod jute;
mod make;

use std::{collections::VecDeque, io, time::Duration};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{Instant, timeout_at},
};

use crate::{
    config::value::{EndpointAddress, Secret},
    dial::{Plain, dial},
};
use jute::{Reader, frame, put_buffer, put_text, take_frame};

pub use ensemble::Ensemble;
pub use make::Made;

/// Reasons why ZooKeeper gave no answer.
#[derive(Debug, thiserror::Error)]
pub enum ZooKeeperError {
    /// No connection.
    #[error("{0}")]
    Connect(String),
    /// The connection broke.
    #[error("{0}")]
    Connection(#[from] io::Error),
    /// No answer in time.
    #[error("no answer within {} s", .0.as_secs())]
    Late(Duration),
    /// The answer is malformed or too large.
    #[error("the answer is malformed, or larger than the limit")]
    Garbled,
    /// The server ended the connection in place of a session: it has seen less than others have, or is
    /// not ready.
    #[error("it takes no session: it knows less than was known before, or is not ready")]
    Behind,
    /// The session was refused or has ended.
    #[error("the session has ended")]
    Expired,
    /// The login was refused.
    #[error("the user or the password is wrong")]
    Login,
    /// The password is missing.
    #[error("there is no password: {0}")]
    NoPassword(String),
    /// The server refused a request.
    #[error("refused with error {0}")]
    Refused(i32),
    /// The node may not be read.
    #[error("the node may not be read")]
    Forbidden,
}

/// A session.
#[derive(Debug)]
pub struct Session {
    stream: TcpStream,
    inbox: BytesMut,
    outbox: BytesMut,
    /// Requests without an answer, in order.
    asked: VecDeque<(i32, Asked)>,
    serial: i32,
    /// Silence of the server after which it counts as gone.
    patience: Duration,
    heard: Instant,
    pinged: Instant,
    has_login: bool,
    /// The newest state that was seen.
    pub seen: i64,
}

/// A request.
#[derive(Debug)]
enum Asked {
    Children,
    Exists,
    Data(String),
    Made,
    Replaced,
}

/// A message of the server.
#[derive(Debug, PartialEq, Eq)]
pub enum Told {
    /// Names of the children of a node; none if the node does not exist.
    Children(Option<Vec<String>>),
    /// True if the node exists.
    Exists(bool),
    /// The data of a node, by its path.
    Data(String, Option<Bytes>),
    /// A node was to be made.
    Made(Made),
    /// A node may not be read.
    Forbidden(String),
    /// A watch has fired: it must be set again.
    Fired {
        /// The node.
        path: String,
        /// The change.
        change: NodeChange,
    },
}

/// A change that a watch tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeChange {
    /// It exists now.
    Created,
    /// It is gone.
    Deleted,
    /// It has other data.
    Data,
    /// It has other children.
    Children,
}

impl Session {
    /// Connects to a server that has seen at least the state `seen`, and begins a session that lasts
    /// for so long without a word; the server may change that.
    ///
    /// # Errors
    /// The reason.
    pub async fn open(
        server: &EndpointAddress,
        login: Option<&(String, Secret)>,
        seen: i64,
        lasts: Duration,
    ) -> Result<Self, ZooKeeperError> {
        let deadline = Instant::now() + OPEN_MAX;
        let opening = Box::pin(Self::open_unbounded(server, login, (seen, lasts), deadline));
        let opened = timeout_at(deadline, opening).await;
        opened.map_err(|_| ZooKeeperError::Late(OPEN_MAX))?
    }

    async fn open_unbounded(
        server: &EndpointAddress,
        login: Option<&(String, Secret)>,
        (seen, lasts): (i64, Duration),
        deadline: Instant,
    ) -> Result<Self, ZooKeeperError> {
        let dialled = dial(server, deadline).await;
        let stream = match dialled {
            Ok(Plain::Tcp(stream)) => stream,
            Ok(Plain::Unix(_)) => {
                let why = "a unix socket is not for this";
                return Err(ZooKeeperError::Connect(why.to_owned()));
            }
            Err(fault) => return Err(ZooKeeperError::Connect(fault.told(server))),
        };
        let now = Instant::now();
        let mut session = Self {
            stream,
            inbox: BytesMut::new(),
            outbox: BytesMut::new(),
            asked: VecDeque::new(),
            serial: 0,
            patience: lasts,
            has_login: login.is_some(),
            heard: now,
            pinged: now,
            seen,
        };
        let timeout_ms = i32::try_from(lasts.as_millis()).unwrap_or(i32::MAX);
        frame(&mut session.outbox, |out| {
            out.put_i32(0);
            out.put_i64(seen);
            out.put_i32(timeout_ms);
            // No session before, so no password of one.
            out.put_i64(0);
            put_buffer(out, &[0; 16]);
            // Never with a server that has lost its cluster.
            out.put_u8(0);
        });
        if let Some((user, password)) = login {
            let password = password.reveal();
            let password = password.map_err(|it| ZooKeeperError::NoPassword(it.message.clone()))?;
            frame(&mut session.outbox, |out| {
                out.put_i32(AUTH_SERIAL);
                out.put_i32(AUTH);
                out.put_i32(0);
                put_text(out, "digest");
                put_text(out, &format!("{user}:{password}"));
            });
        }
        let first = session.frame().await;
        let mut answer = Reader(first.map_err(|error| match error {
            ZooKeeperError::Connection(_) => ZooKeeperError::Behind,
            error => error,
        })?);
        answer.int()?;
        let agreed_ms = u64::try_from(answer.int()?).unwrap_or(0);
        if agreed_ms == 0 {
            return Err(ZooKeeperError::Expired);
        }
        session.patience = Duration::from_millis(agreed_ms) * 2 / 3;
        Ok(session)
    }

    /// Asks for the children of a node, and watches them.
    pub fn ask_children(&mut self, path: &str) {
        self.ask(GET_CHILDREN, path, Asked::Children);
    }

    /// Asks if a node exists, and watches it.
    pub fn ask_exists(&mut self, path: &str) {
        self.ask(EXISTS, path, Asked::Exists);
    }

    /// Asks for the data of a node, and watches it.
    pub fn ask_data(&mut self, path: String) {
        self.ask(GET_DATA, &path.clone(), Asked::Data(path));
    }

    /// Returns true if every request has its answer.
    pub fn is_idle(&self) -> bool {
        self.asked.is_empty()
    }

    fn ask(&mut self, kind: i32, path: &str, asked: Asked) {
        self.request(kind, asked, |out| {
            put_text(out, path);
            // Watched.
            out.put_u8(1);
        });
    }

    fn request(&mut self, kind: i32, asked: Asked, fill: impl FnOnce(&mut BytesMut)) {
        self.serial = self.serial.checked_add(1).unwrap_or(1);
        frame(&mut self.outbox, |out| {
            out.put_i32(self.serial);
            out.put_i32(kind);
            fill(out);
        });
        self.asked.push_back((self.serial, asked));
    }

    /// Waits for the next message. A quiet server is pinged; one that says nothing for two thirds of
    /// the session counts as gone. Cancel safe.
    ///
    /// # Errors
    /// The session is at its end.
    pub async fn next(&mut self) -> Result<Told, ZooKeeperError> {
        loop {
            let mut answer = Reader(self.frame().await?);
            let (serial, seen, error) = (answer.int()?, answer.long()?, answer.int()?);
            if seen > self.seen {
                self.seen = seen;
            }
            match serial {
                PING_SERIAL => {}
                AUTH_SERIAL if error == 0 => {}
                AUTH_SERIAL => return Err(ZooKeeperError::Login),
                EVENT_SERIAL => {
                    if let Some(fired) = fired(&mut answer)? {
                        return Ok(fired);
                    }
                }
                serial => match self.asked.pop_front() {
                    Some((wanted, asked)) if wanted == serial => {
                        return answered(asked, error, &mut answer);
                    }
                    Some(_) | None => return Err(ZooKeeperError::Garbled),
                },
            }
        }
    }

    /// Reads a frame, and writes what is to be written meanwhile.
    async fn frame(&mut self) -> Result<Bytes, ZooKeeperError> {
        loop {
            if let Some(frame) = take_frame(&mut self.inbox)? {
                return Ok(frame);
            }
            let now = Instant::now();
            if now >= self.heard + self.patience {
                return Err(ZooKeeperError::Late(self.patience));
            }
            if now >= self.pinged + self.patience / 2 {
                self.pinged = now;
                frame(&mut self.outbox, |out| {
                    out.put_i32(PING_SERIAL);
                    out.put_i32(PING);
                });
            }
            let wake = (self.heard + self.patience).min(self.pinged + self.patience / 2);
            let (mut reading, mut writing) = self.stream.split();
            tokio::select! {
                read = reading.read_buf(&mut self.inbox) => {
                    if read? == 0 {
                        return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
                    }
                    self.heard = Instant::now();
                }
                written = writing.write(&self.outbox), if !self.outbox.is_empty() => {
                    self.outbox.advance(written?);
                }
                () = tokio::time::sleep_until(wake) => {}
            }
        }
    }
}

fn answered(asked: Asked, error: i32, answer: &mut Reader) -> Result<Told, ZooKeeperError> {
    match (asked, error) {
        (Asked::Children, 0) => Ok(Told::Children(Some(answer.texts()?))),
        (Asked::Children, NO_NODE) => Ok(Told::Children(None)),
        (Asked::Exists, 0) => Ok(Told::Exists(true)),
        (Asked::Exists, NO_NODE) => Ok(Told::Exists(false)),
        (Asked::Data(path), 0) => Ok(Told::Data(path, Some(answer.buffer()?))),
        (Asked::Data(path), NO_NODE) => Ok(Told::Data(path, None)),
        (Asked::Data(path), NO_AUTH) => Ok(Told::Forbidden(path)),
        (Asked::Made, error) if let Some(made) = Made::of(error) => Ok(Told::Made(made)),
        (Asked::Replaced, error) if let Some(made) = Made::of_all(error, answer)? => {
            Ok(Told::Made(made))
        }
        (_, NO_AUTH) => Err(ZooKeeperError::Forbidden),
        (_, SESSION_EXPIRED) => Err(ZooKeeperError::Expired),
        (_, error) => Err(ZooKeeperError::Refused(error)),
    }
}

fn fired(event: &mut Reader) -> Result<Option<Told>, ZooKeeperError> {
    let (kind, state) = (event.int()?, event.int()?);
    let change = match kind {
        1 => NodeChange::Created,
        2 => NodeChange::Deleted,
        3 => NodeChange::Data,
        4 => NodeChange::Children,
        _ if state == STATE_EXPIRED => return Err(ZooKeeperError::Expired),
        _ => return Ok(None),
    };
    let path = event.text()?;
    Ok(Some(Told::Fired { path, change }))
}

/// Length of a session of a reader.
pub const SESSION: Duration = Duration::from_secs(6);
/// Maximum time for look-up, connection and the begin of the session.
const OPEN_MAX: Duration = Duration::from_secs(3);
const EVENT_SERIAL: i32 = -1;
const PING_SERIAL: i32 = -2;
const AUTH_SERIAL: i32 = -4;
const EXISTS: i32 = 3;
const GET_DATA: i32 = 4;
const GET_CHILDREN: i32 = 8;
const PING: i32 = 11;
const AUTH: i32 = 100;
const NO_NODE: i32 = -101;
const NO_AUTH: i32 = -102;
const SESSION_EXPIRED: i32 = -112;
const STATE_EXPIRED: i32 = -112;
