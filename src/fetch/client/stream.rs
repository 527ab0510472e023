//! An answer that is read line by line while it comes: a watch of a registry.

use bytes::{Buf as _, Bytes, BytesMut};
use http::{HeaderMap, StatusCode, response::Parts};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;

use super::{Connection, drive, told};
use crate::fetch::FetchError;

/// An answer whose body comes piece by piece. The caller bounds each wait.
#[derive(Debug)]
pub struct Stream {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    body: Incoming,
    pub(super) connection: Connection,
    /// Bytes that came and were not returned yet.
    pub(super) unread: BytesMut,
    /// Number of them that are known to have no end of a line.
    searched: usize,
    has_ended: bool,
}

impl Stream {
    pub(super) fn new(head: Parts, body: Incoming, connection: Connection) -> Self {
        Self {
            status: head.status,
            headers: head.headers,
            body,
            connection,
            unread: BytesMut::new(),
            searched: 0,
            has_ended: false,
        }
    }

    /// Waits for the next line and returns it without its end; none after the last one. Cancel safe.
    ///
    /// # Errors
    /// The connection ended before the body did, or a line is longer than `bytes_max`.
    pub async fn line(&mut self, bytes_max: usize) -> Result<Option<Bytes>, FetchError> {
        loop {
            let rest = self.unread.get(self.searched..).unwrap_or_default();
            let end = memchr::memchr(b'\n', rest).map(|at| self.searched + at);
            if end.unwrap_or(self.unread.len()) > bytes_max {
                return Err(FetchError::TooLong(bytes_max));
            }
            if let Some(end) = end {
                self.searched = 0;
                let line = self.unread.split_to(end).freeze();
                self.unread.advance(1);
                return Ok(Some(line));
            }
            self.searched = self.unread.len();
            if self.has_ended {
                self.searched = 0;
                let last = self.unread.split().freeze();
                return Ok(Some(last).filter(|last| !last.is_empty()));
            }
            self.read_more().await?;
        }
    }

    /// Waits for the rest of the body and returns it.
    ///
    /// # Errors
    /// The connection ended before the body did, or the rest is longer than `bytes_max`.
    pub async fn rest(&mut self, bytes_max: usize) -> Result<Bytes, FetchError> {
        while !self.has_ended {
            if self.unread.len() > bytes_max {
                return Err(FetchError::TooLong(bytes_max));
            }
            self.read_more().await?;
        }
        Ok(self.unread.split().freeze())
    }

    async fn read_more(&mut self) -> Result<(), FetchError> {
        let Self {
            body, connection, ..
        } = self;
        match drive(&mut connection.driver, body.frame()).await {
            None => self.has_ended = true,
            Some(frame) => {
                let frame = frame.map_err(|error| told(&error))?;
                if let Some(piece) = frame.data_ref() {
                    self.unread.extend_from_slice(piece);
                }
            }
        }
        Ok(())
    }

    /// True if the whole body was read, so that its connection may be used again.
    pub(super) const fn has_ended(&self) -> bool {
        self.has_ended
    }
}
