//! End of one attempt, as read from an answer.

use std::time::Duration;

use http::StatusCode;

use super::terms::CallTerms;
use crate::{
    exchange::Pending,
    failure::Failure,
    resilience::{self, AttemptResult, Carrier, ResponseProgress, Written},
    semantics::{BodySource as _, Known, grpc},
    upstream::transport::{Inbound, SendFailure, Upload},
};

/// End of one attempt.
pub(super) struct AttemptEnd {
    pub(super) ended: AttemptResult,
    pub(super) response: Option<Inbound>,
    pub(super) written: Written,
    pub(super) carrier: Carrier,
    pub(super) progress: ResponseProgress,
    pub(super) upload: Option<Upload>,
    pub(super) retry_after: Option<Duration>,
    /// The endpoint asked for no other attempt.
    pub(super) pushed_back: bool,
    /// Outcome that its head leaves open.
    pub(super) pending: Option<Pending>,
}

impl AttemptEnd {
    /// Makes the end of an attempt that had a connection, from the result of the request on it.
    pub(super) fn new(
        terms: &CallTerms<'_>,
        sent: Result<Inbound, SendFailure>,
        carrier: Carrier,
    ) -> Self {
        match sent {
            Ok(response) => Self::answered(terms, response, carrier),
            Err(failed) => {
                let written = if failed.written {
                    Written::Something
                } else {
                    Written::Nothing
                };
                let mut end = Self::failed(failed.failure, written, carrier, failed.upload);
                if failed.received {
                    end.progress = ResponseProgress::Held;
                }
                end
            }
        }
    }

    /// Makes the end of an attempt without a connection.
    pub(super) fn unsent(failure: Failure, upload: Upload) -> Self {
        Self::failed(failure, Written::Nothing, Carrier::New, upload)
    }

    fn answered(terms: &CallTerms<'_>, mut response: Inbound, carrier: Carrier) -> Self {
        let upload = response.upload.take();
        let mut ended = AttemptResult::Status(response.status);
        let mut pending = (!response.body.is_end()).then_some(Pending::Answer(response.status));
        let mut pushback = None;
        if response.status == StatusCode::OK && grpc::is_grpc(&response.headers) {
            match grpc::status_in(&response.headers) {
                Some(0) => {}
                Some(status) => {
                    ended = AttemptResult::Grpc(status);
                    pushback = grpc::read_pushback(&response.headers);
                }
                None => pending = pending.map(|_| Pending::Call),
            }
        }
        let retry_after = match pushback {
            Some(grpc::Pushback::Wait(wait)) => Some(wait),
            Some(grpc::Pushback::Never) => None,
            None if response.status.is_success() => None,
            None => response.headers.get(Known::RetryAfter).and_then(|value| {
                resilience::retry_after(value.as_bytes(), terms.worker.wall_time())
            }),
        };
        if response.status == StatusCode::SWITCHING_PROTOCOLS {
            let checked = match terms.offer {
                Some(offer) => offer.check_answer(response.status, &response.headers),
                None => Err(Failure::UpgradeFailed),
            };
            if let Err(failure) = checked {
                ended = AttemptResult::Failed(failure);
            }
        }
        Self {
            ended,
            response: Some(response),
            written: Written::Something,
            carrier,
            progress: ResponseProgress::Held,
            upload,
            retry_after,
            pushed_back: pushback == Some(grpc::Pushback::Never),
            pending,
        }
    }

    fn failed(failure: Failure, written: Written, carrier: Carrier, upload: Upload) -> Self {
        Self {
            ended: AttemptResult::Failed(failure),
            response: None,
            written,
            carrier,
            progress: ResponseProgress::Nothing,
            upload: Some(upload),
            retry_after: None,
            pushed_back: false,
            pending: None,
        }
    }

    /// Returns true if the endpoint had said beforehand that it would not switch.
    pub(super) fn is_declined(&self) -> bool {
        self.ended == AttemptResult::Failed(Failure::UpgradeFailed)
            && self.written == Written::Nothing
    }

    /// Returns true if the endpoint did what it was asked for, as far as its head tells.
    pub(super) fn went_well(&self) -> bool {
        match self.ended {
            AttemptResult::Status(status) => !status.is_server_error(),
            AttemptResult::Grpc(status) => !grpc::is_failure(status),
            AttemptResult::Failed(_) => false,
        }
    }
}
