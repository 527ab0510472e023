//! Nodes that are made: parents that stay, and one that goes with the session.

use bytes::{BufMut as _, BytesMut};

use super::{
    Asked, Session, Told, ZooKeeperError,
    jute::{Reader, put_buffer, put_text},
};

/// Result of making a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Made {
    /// It is made.
    Made,
    /// There is one.
    Exists,
    /// The node that it would be a child of does not exist.
    NoParent,
}

impl Made {
    pub(super) fn of(error: i32) -> Option<Self> {
        match error {
            0 => Some(Self::Made),
            NODE_EXISTS => Some(Self::Exists),
            NO_NODE => Some(Self::NoParent),
            _ => None,
        }
    }

    /// Reads the result of several steps that are taken together or not at all.
    pub(super) fn of_all(error: i32, answer: &mut Reader) -> Result<Option<Self>, ZooKeeperError> {
        match error {
            0 if answer.int()? == FAILED => Ok(Some(Self::Exists)),
            // What was to be replaced has gone meanwhile.
            NO_NODE => Ok(Some(Self::Exists)),
            error => Ok(Self::of(error)),
        }
    }
}

impl Session {
    /// Asks for a node that goes with the session.
    pub fn ask_ephemeral(&mut self, path: &str, data: &[u8]) {
        let has_login = self.has_login;
        self.request(CREATE, Asked::Made, |out| {
            put_node(out, path, data, EPHEMERAL, has_login);
        });
    }

    /// Asks for a node that stays, without data.
    pub fn ask_node(&mut self, path: &str) {
        let has_login = self.has_login;
        self.request(CREATE, Asked::Made, |out| {
            put_node(out, path, &[], PERSISTENT, has_login);
        });
    }

    /// Asks for a node that goes with the session in place of one that exists: nobody sees a moment
    /// without it.
    pub fn ask_replacement(&mut self, path: &str, data: &[u8]) {
        let has_login = self.has_login;
        self.request(MULTI, Asked::Replaced, |out| {
            put_step(out, DELETE, false);
            put_text(out, path);
            // Any version.
            out.put_i32(-1);
            put_step(out, CREATE, false);
            put_node(out, path, data, EPHEMERAL, has_login);
            put_step(out, FAILED, true);
        });
    }

    /// Waits for the result of the last request to make a node.
    ///
    /// # Errors
    /// The session is at its end, or the request is refused.
    pub async fn made(&mut self) -> Result<Made, ZooKeeperError> {
        loop {
            if let Told::Made(made) = self.next().await? {
                return Ok(made);
            }
        }
    }

    /// Ends the session, and its nodes with it.
    ///
    /// # Errors
    /// The connection broke before the server said so.
    pub async fn close(&mut self) -> Result<(), ZooKeeperError> {
        self.request(CLOSE, Asked::Made, |_| {});
        self.made().await.map(drop)
    }
}

fn put_step(out: &mut BytesMut, kind: i32, is_last: bool) {
    out.put_i32(kind);
    out.put_u8(is_last.into());
    out.put_i32(-1);
}

fn put_node(out: &mut BytesMut, path: &str, data: &[u8], flags: i32, has_login: bool) {
    put_text(out, path);
    put_buffer(out, data);
    // Everybody may do everything; after a login all may read, and the user do the rest.
    let rights: &[(i32, &str, &str)] = if has_login {
        &[(ALL, "auth", ""), (READ, "world", "anyone")]
    } else {
        &[(ALL, "world", "anyone")]
    };
    out.put_i32(i32::try_from(rights.len()).unwrap_or(0));
    for (rights, scheme, id) in rights {
        out.put_i32(*rights);
        put_text(out, scheme);
        put_text(out, id);
    }
    out.put_i32(flags);
}

const CREATE: i32 = 1;
const DELETE: i32 = 2;
const MULTI: i32 = 14;
const CLOSE: i32 = -11;
/// Kind of a step that failed, and of the end of all steps.
const FAILED: i32 = -1;
const PERSISTENT: i32 = 0;
const EPHEMERAL: i32 = 1;
const ALL: i32 = 31;
const READ: i32 = 1;
const NO_NODE: i32 = -101;
const NODE_EXISTS: i32 = -110;
