//! The head of an answer on a stream of its own, as HTTP/2 and HTTP/3 send it, and how far an answer
//! has come.

use http::StatusCode;

use super::is_bodiless;
use crate::{exchange::Response, failure::Failure, proxy::Outgoing, semantics::Headers};

/// The head of an answer, until it is sent.
pub(super) struct AnswerHead {
    pub(super) status: StatusCode,
    pub(super) headers: Headers,
    /// Length of the body, if known.
    pub(super) length: Option<u64>,
    /// No body follows.
    pub(super) end: bool,
}

/// Part of an answer that was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    Whole,
    Part(Failure),
    Nothing(Failure),
}

impl AnswerHead {
    /// Parts a response into head and body; `head_only` for a HEAD request.
    pub(super) fn part(response: Response<Outgoing>, head_only: bool) -> (Self, Outgoing) {
        let Response {
            status,
            headers,
            body: outgoing,
        } = response;
        let end = is_bodiless(head_only, status) || outgoing.is_end();
        let length = outgoing.length().exact().filter(|_| !end);
        let head = Self {
            status,
            headers,
            length,
            end,
        };
        (head, outgoing)
    }
}
