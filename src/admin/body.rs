//! Bodies of the admin API: a complete answer, or an endless stream of events.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use super::api::EventStream;
use super::reads::RoomPermit;

/// Body of an answer.
pub(super) enum Body {
    Whole(Whole),
    Events(EventStream),
}

/// A complete answer, of which the part that the client has not taken yet is left.
pub(super) struct Whole {
    left: Bytes,
    _room: Option<RoomPermit>,
}

impl Body {
    pub(super) fn whole(text: impl Into<Bytes>) -> Self {
        Self::Whole(Whole {
            left: text.into(),
            _room: None,
        })
    }

    /// Keeps room taken until the answer is handed over.
    pub(super) fn hold(&mut self, room: RoomPermit) {
        if let Self::Whole(whole) = self {
            whole._room = Some(room);
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match self.get_mut() {
            // Piece by piece, as the client reads: what is not read stays in sight.
            Self::Whole(Whole { left, .. }) => Poll::Ready((!left.is_empty()).then(|| {
                let piece = left.split_to(left.len().min(PIECE));
                Ok(Frame::data(piece))
            })),
            Self::Events(stream) => stream.poll_next(context).map(|next| {
                let bytes = next?;
                Some(Ok(Frame::data(bytes)))
            }),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole(whole) => whole.left.is_empty(),
            Self::Events(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(whole) => SizeHint::with_exact(whole.left.len() as u64),
            Self::Events(_) => SizeHint::default(),
        }
    }
}

/// Bytes handed over at a time.
const PIECE: usize = 64 * 1024;
