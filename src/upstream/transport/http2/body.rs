//! Body of a response over HTTP/2.

use std::task::{Context, Poll};

use bytes::Bytes;
use h2::RecvStream;
use http::header::CONTENT_LENGTH;
use http::{HeaderMap, Method};

use super::{super::Progress, StreamShare, sender::Sender, silence::BODY_SILENCE};
use crate::{
    failure::Failure,
    semantics::{BodyLength, Frame, Headers, PolledFrame},
};

/// A body that is still on its stream; also drives the rest of the request.
///
/// The window is widened as the body is read, and the stream is reset if this is dropped before the
/// end.
#[derive(Debug)]
pub struct Http2Body {
    stream: Option<Stream>,
    length: Option<u64>,
}

/// Pieces of a body that were read with the head, to see whether the answer breaks off.
#[derive(Debug, Default)]
pub(super) struct Early([Option<Bytes>; 2]);

/// Fields are in drop order: the connection gets room for another stream last.
struct Stream {
    receiver: RecvStream,
    early: Early,
    sender: Sender,
    share: StreamShare,
}

impl Http2Body {
    pub(super) fn new(
        receiver: RecvStream,
        early: Early,
        sender: Sender,
        share: StreamShare,
        length: Option<u64>,
    ) -> Self {
        Self {
            stream: Some(Stream {
                receiver,
                early,
                sender,
                share,
            }),
            length,
        }
    }

    /// Reads the next frame.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> PolledFrame {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(None);
        };
        if let Err(failure) = stream.sender.drive(cx) {
            return Poll::Ready(Some(Err(failure)));
        }
        stream.sender.let_go_of_unwanted();
        let data = match stream.early.take() {
            Some(data) => Poll::Ready(Some(Ok(data))),
            None => stream.receiver.poll_data(cx),
        };
        match data {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(data))) => {
                // Can only fail for a stream that has gone.
                let _ = stream.receiver.flow_control().release_capacity(data.len());
                self.length = self
                    .length
                    .map(|left| left.saturating_sub(data.len() as u64));
                if stream.receiver.is_end_stream() && stream.early.is_empty() {
                    self.finish();
                }
                Poll::Ready(Some(Ok(Frame::Data(data))))
            }
            Poll::Ready(Some(Err(_))) => Poll::Ready(Some(Err(stream.cut()))),
            Poll::Ready(None) => match stream.receiver.poll_trailers(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Ok(trailers)) => {
                    self.finish();
                    let trailers = trailers.map(|trailers| Headers::from(&trailers));
                    Poll::Ready(trailers.map(|trailers| Ok(Frame::Trailers(trailers))))
                }
                Poll::Ready(Err(_)) => Poll::Ready(Some(Err(stream.cut()))),
            },
        }
    }

    /// Returns the progress of the request; none if all of it has been handed over.
    pub fn uploading(&self) -> Option<Progress> {
        let sender = &self.stream.as_ref()?.sender;
        sender.is_sending().then(|| sender.progress())
    }

    /// Number of bytes of the request that were handed over and that the endpoint has not
    /// acknowledged. Costs a system call.
    pub fn unsent(&self) -> u32 {
        let stream = self.stream.as_ref();
        stream.map_or(0, |stream| {
            stream.sender.unsent(&stream.share.connection().driven)
        })
    }

    /// Returns true if the whole body has been read.
    pub fn is_end(&self) -> bool {
        self.stream.is_none()
    }

    /// The exact length of the rest if the endpoint announced it.
    pub fn length(&self) -> BodyLength {
        match &self.stream {
            None => BodyLength::Exact(0),
            Some(_) => self.length.into(),
        }
    }

    /// Ends the answer and with it the request: bytes that the endpoint has not read by then are
    /// not wanted.
    fn finish(&mut self) {
        if let Some(mut stream) = self.stream.take() {
            stream.sender.end_answer();
        }
    }
}

impl Early {
    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }

    pub(super) fn has_room(&self) -> bool {
        self.0.iter().any(Option::is_none)
    }

    /// Adds a piece behind the others, while there is room.
    pub(super) fn push(&mut self, data: Bytes) {
        if let Some(place) = self.0.iter_mut().find(|it| it.is_none()) {
            *place = Some(data);
        }
    }

    /// Takes the first piece.
    fn take(&mut self) -> Option<Bytes> {
        self.0.iter_mut().find_map(Option::take)
    }
}

impl Stream {
    /// Returns the reason why the answer ends here.
    fn cut(&self) -> Failure {
        self.share.failure_or(Failure::ResponseIncomplete)
    }
}

impl Drop for Http2Body {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream {
            stream.share.connection().driven.doubt(BODY_SILENCE);
        }
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

/// Returns the length of an answer's body, as its head says; invalid lengths have been refused.
pub(super) fn length_of(headers: &HeaderMap, method: &Method) -> Option<u64> {
    if *method == Method::HEAD {
        return None;
    }
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
