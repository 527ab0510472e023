//! The request body of an exchange over HTTP/2: hyper's tasks read it, the exchange watches it.

use std::{
    cell::RefCell,
    pin::Pin,
    rc::Rc,
    task::{Context, Poll, Waker, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use super::super::{Piece, Progress, SendFailure, Upload};
use crate::{exchange::Failure, http1::Framing, wake};

/// An upload that hyper reads from and that a failed attempt takes back.
#[derive(Clone, Debug)]
pub(super) struct SharedUpload(Rc<UploadCell>);

#[derive(Debug)]
struct UploadCell {
    upload: RefCell<Option<Upload>>,
    /// Who waits for the response: its time begins when the upload has ended.
    waiting: RefCell<Option<Waker>>,
}

impl SharedUpload {
    pub(super) fn new(upload: Upload) -> Self {
        Self(Rc::new(UploadCell {
            upload: RefCell::new(Some(upload)),
            waiting: RefCell::new(None),
        }))
    }

    pub(super) fn fail(&self, failure: Failure, written: bool) -> SendFailure {
        let upload = self.0.upload.borrow_mut().take();
        SendFailure {
            failure,
            written,
            received: false,
            upload: upload.unwrap_or_else(Upload::gone),
        }
    }

    /// The upload, if all of it has been taken.
    pub(super) fn take_ended(&self) -> Option<Upload> {
        let mut upload = self.0.upload.borrow_mut();
        let ended = upload.as_ref().is_some_and(Upload::is_ended);
        if ended { upload.take() } else { None }
    }

    /// How far it has been taken.
    pub(super) fn progress(&self, cx: &Context<'_>) -> Progress {
        let upload = self.0.upload.borrow();
        let upload = upload.as_ref();
        let progress = Progress {
            sent: upload.is_none_or(Upload::is_ended),
            moved: upload.map_or(0, Upload::moved),
            awaited: upload.is_some_and(Upload::is_awaited),
        };
        if !progress.sent {
            wake::remember(&mut self.0.waiting.borrow_mut(), cx);
        }
        progress
    }

    /// What went wrong on the client's side of the upload.
    pub(super) fn client_failure(&self) -> Option<Failure> {
        self.0.upload.borrow().as_ref().and_then(Upload::failure)
    }
}

impl HttpBody for SharedUpload {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let mut upload = self.0.upload.borrow_mut();
        let Some(upload) = upload.as_mut() else {
            // Taken back after a failure: the stream must not end as if it were whole.
            return Poll::Ready(Some(Err(Failure::ClientGone)));
        };
        let piece = ready!(upload.poll_piece(cx));
        if upload.is_ended()
            && let Some(waker) = self.0.waiting.borrow_mut().take()
        {
            waker.wake();
        }
        Poll::Ready(piece.map(|piece| {
            piece.map(|piece| match piece {
                Piece::Data(data) => Frame::data(data),
                Piece::Trailers(trailers) => Frame::trailers(trailers),
            })
        }))
    }

    fn is_end_stream(&self) -> bool {
        let upload = self.0.upload.borrow();
        upload.as_ref().is_some_and(Upload::is_ended)
    }

    fn size_hint(&self) -> SizeHint {
        match self.0.upload.borrow().as_ref().map(Upload::framing) {
            Some(Framing::Length(length)) => SizeHint::with_exact(length),
            Some(Framing::None) => SizeHint::with_exact(0),
            Some(Framing::Chunked | Framing::UntilClose) | None => SizeHint::new(),
        }
    }
}
