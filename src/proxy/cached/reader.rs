//! Bodies that are read from the cache.

use std::{
    cell::RefCell,
    ops::Range,
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::{
    cache::{Content, Fill, Place, Read},
    exchange::{Body, CustomBody},
    failure::Failure,
};

/// Returns a body of the whole content.
pub(super) fn body_of(content: &Arc<Content>) -> Body {
    StoredReader::body(content, 0..content.length())
}

/// A reader of stored content.
pub(super) struct StoredReader {
    content: Arc<Content>,
    rest: Range<u64>,
    trailers: bool,
}

impl StoredReader {
    /// Returns a body of these bytes; trailers follow where it reaches the end of the whole.
    pub(super) fn body(content: &Arc<Content>, range: Range<u64>) -> Body {
        let whole = range == (0..content.length());
        let trailers = whole && content.trailers.is_some();
        let first = content.piece(&range);
        if !trailers && first.len() as u64 == range.end - range.start {
            return Body::full(first);
        }
        Body::Custom(CustomBody::new(Self {
            content: Arc::clone(content),
            rest: range,
            trailers,
        }))
    }
}

impl HttpBody for StoredReader {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let piece = self.content.piece(&self.rest);
        if !piece.is_empty() {
            self.rest.start += piece.len() as u64;
            return Poll::Ready(Some(Ok(Frame::data(piece))));
        }
        let trailers = std::mem::take(&mut self.trailers);
        let trailers = self.content.trailers.as_ref().filter(|_| trailers);
        Poll::Ready(trailers.map(|trailers| Ok(Frame::trailers(trailers.to_map()))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && !self.trailers
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.end - self.rest.start)
    }
}

/// The rest of a body that is too long for the cache, for the one who fetches it.
pub(super) type Rest = Rc<RefCell<Option<Body>>>;

/// A reader of content that still arrives.
pub(super) struct FillReader {
    fill: Arc<Fill>,
    place: Place,
    length: Option<u64>,
    rest: Option<Rest>,
    /// The body itself, once nothing more is kept of it.
    spilled: Option<Body>,
    ended: bool,
}

impl FillReader {
    /// Returns a body of all that arrives.
    pub(super) fn body(fill: &Arc<Fill>, length: Option<u64>, rest: Option<Rest>) -> Body {
        Body::Custom(CustomBody::new(Self {
            fill: Arc::clone(fill),
            place: fill.place(),
            length,
            rest,
            spilled: None,
            ended: false,
        }))
    }
}

impl HttpBody for FillReader {
    type Data = Bytes;
    type Error = Failure;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Failure>>> {
        let this = &mut *self;
        if this.ended {
            return Poll::Ready(None);
        }
        if let Some(body) = &mut this.spilled {
            return HttpBody::poll_frame(Pin::new(body), cx);
        }
        match ready!(this.fill.poll_read(&mut this.place, cx)) {
            Read::Piece(piece) => Poll::Ready(Some(Ok(Frame::data(piece)))),
            Read::End(content) => {
                this.ended = true;
                let trailers = content.trailers.as_ref();
                Poll::Ready(trailers.map(|it| Ok(Frame::trailers(it.to_map()))))
            }
            Read::Failed(failure) => {
                this.ended = true;
                Poll::Ready(Some(Err(failure)))
            }
            Read::Spilled => match this.rest.as_ref().and_then(|rest| rest.borrow_mut().take()) {
                Some(mut body) => {
                    let polled = HttpBody::poll_frame(Pin::new(&mut body), cx);
                    this.spilled = Some(body);
                    polled
                }
                None => Poll::Ready(Some(Err(Failure::ResponseIncomplete))),
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        self.ended
    }

    fn size_hint(&self) -> SizeHint {
        match self.length {
            Some(length) => SizeHint::with_exact(length.saturating_sub(self.place.read)),
            None => SizeHint::new(),
        }
    }
}
