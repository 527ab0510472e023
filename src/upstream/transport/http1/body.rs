//! Body of a response over HTTP/1.1.

use std::{
    rc::Rc,
    task::{Context, Poll, ready},
};

use super::{super::Progress, Http1Connection, Reuse, Sender};
use crate::{
    failure::Failure,
    http1::{BodyDecoder, Decoded},
    semantics::{BodyLength, Frame, PolledFrame},
    socket::Buffered,
    upstream::{idle::LocalEndpoint, pinned::Pinned},
};

/// Body of a response that is still on its connection.
#[derive(Debug)]
pub struct Http1Body {
    pub(super) decoder: BodyDecoder,
    pub(super) length: Option<u64>,
    pub(super) connection: Option<Http1Connection>,
    pub(super) sender: Sender,
    pub(super) home: Rc<LocalEndpoint>,
    /// Client whose connection it is, if it is bound to one.
    pub(super) client: Option<Rc<Pinned>>,
    pub(super) keep_alive: bool,
}

impl Http1Body {
    /// Reads the next frame; also drives the rest of the request.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        let Some(connection) = &self.connection else {
            return Poll::Ready(None);
        };
        if !self.sender.is_clean() {
            if let Err(failure) = self.sender.drive(connection, cx) {
                return Poll::Ready(Some(Err(failure)));
            }
            if self.sender.broken {
                self.sender.let_go();
            }
        }
        loop {
            let decoded = self.decoder.decode(connection.io().borrow_mut().received());
            match decoded {
                Ok(Decoded::Data(data)) => {
                    self.length = self.length.map(|left| left - data.len() as u64);
                    if self.decoder.is_done() {
                        self.finish();
                    }
                    return Poll::Ready(Some(Ok(Frame::Data(data))));
                }
                Ok(Decoded::Trailers(trailers)) => {
                    self.finish();
                    return Poll::Ready(Some(Ok(Frame::Trailers(trailers))));
                }
                Ok(Decoded::Done) => {
                    self.finish();
                    return Poll::Ready(None);
                }
                Ok(Decoded::NeedMore) => {}
                Err(fault) => return Poll::Ready(Some(Err(fault.of_response()))),
            }
            let filled = connection.io().borrow_mut().poll_fill(cx);
            match ready!(filled) {
                Ok(0) => match self.decoder.on_eof() {
                    Ok(_) => {
                        if let Some(connection) = self.connection.take() {
                            connection.say_goodbye();
                        }
                        return Poll::Ready(None);
                    }
                    Err(fault) => return Poll::Ready(Some(Err(fault.of_response()))),
                },
                Ok(_) => {}
                Err(error) => {
                    let cut = Failure::ResponseIncomplete;
                    return Poll::Ready(Some(Err(self.home.failure_of(&error, cut))));
                }
            }
        }
    }

    /// Limits the bytes per read.
    pub fn limit_reads(&self, bytes: usize) {
        if let Some(connection) = &self.connection {
            connection.io().borrow_mut().limit_reads(bytes);
        }
    }

    /// Returns the progress of the request; none if all of it is with the kernel.
    pub fn uploading(&self) -> Option<Progress> {
        let io = self.connection.as_ref()?.io().borrow();
        let sent = self.sender.done && io.is_flushed();
        (!sent && !self.sender.broken).then(|| Progress {
            sent,
            moved: self.sender.upload.moved() + io.written(),
            awaited: self.sender.upload.is_awaited(),
        })
    }

    /// Number of bytes of the request that the kernel has and the endpoint has not acknowledged.
    /// Costs a system call.
    pub fn unsent(&self) -> u32 {
        let connection = self.connection.as_ref();
        connection.map_or(0, |connection| connection.io().borrow().unsent())
    }

    /// Returns true if the whole body has been read.
    pub fn is_end(&self) -> bool {
        self.connection.is_none()
    }

    /// The exact length of the rest if the endpoint announced it.
    pub fn length(&self) -> BodyLength {
        self.length.into()
    }

    /// Ends the response: a clean connection becomes idle, another is closed. The rest of the
    /// request is not wanted any more.
    pub(super) fn finish(&mut self) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        let clean = self.keep_alive
            && connection.reuse() != Reuse::Never
            && self.sender.is_clean()
            && is_clean(&connection.io().borrow());
        if clean {
            connection.end_exchange();
            match &self.client {
                None => self.home.give_back(connection),
                Some(client) => client.keep(&self.home, connection),
            }
        } else if self.sender.is_clean() && connection.io().borrow().is_flushed() {
            connection.say_goodbye();
        }
        if !self.sender.done {
            self.sender.let_go();
        }
    }
}

/// Returns true if no bytes are left over on it, in either direction.
fn is_clean(io: &Buffered) -> bool {
    io.is_flushed() && !io.has_received() && !io.has_ended()
}
