//! Requests that the proxy makes itself while an exchange is under way.
//!
//! A subrequest goes to a pool like any request: with retries, health, limits and the retry budget.
//! It has no client: nothing of its answer goes downstream.

use std::{fmt, future::Future, pin::Pin, rc::Rc, time::Duration};

use bytes::Bytes;
use http::{Method, StatusCode, uri::PathAndQuery};
use tokio::time::Instant;

use super::{AnswerEnd, AttemptOutcome, Body, CallRecord, Exchange};
use crate::{
    failure::Failure,
    semantics::{Headers, Known, grpc},
    state::{LocalSnapshot, Route},
    timer,
};

/// A request of the proxy itself to a pool.
#[derive(Debug)]
pub struct Subrequest {
    /// The method.
    pub method: Method,
    /// Path and query.
    pub target: PathAndQuery,
    /// The header fields. Without a `Host`, the endpoint's address is sent.
    pub headers: Headers,
    /// The body.
    pub body: Bytes,
    /// Time until the end of the answer's body, all attempts included.
    pub timeout: Duration,
}

/// Answer to a [`Subrequest`]. Its endpoint stays loaded until this is dropped.
#[derive(Debug)]
pub struct Subanswer {
    /// The status.
    pub status: StatusCode,
    /// The header fields, without those for the connection only.
    pub headers: Headers,
    body: Body,
    end: AnswerEnd,
    deadline: Instant,
    record: CallRecord,
}

/// Terms on which a subrequest is made.
pub(crate) struct SubrequestTerms<'a> {
    pub(crate) exchange: &'a Exchange,
    pub(crate) pool: &'a str,
    /// Route whose retries and time limits apply.
    pub(crate) route: &'a Route,
    pub(crate) snapshot: &'a LocalSnapshot,
    /// Time at which the answer must have ended.
    pub(crate) deadline: Instant,
}

/// Maker of upstream calls. The walk implements it, which stands above the exchange.
pub(crate) trait Caller: fmt::Debug {
    /// Makes an upstream call out of a subrequest. Dropping the future cancels it.
    fn call<'a>(
        &'a self,
        terms: SubrequestTerms<'a>,
        subrequest: Subrequest,
    ) -> Pin<Box<dyn Future<Output = Result<Subanswer, Failure>> + 'a>>;
}

impl Subrequest {
    /// A GET for this target, without header fields, that has 5 s.
    pub fn get(target: PathAndQuery) -> Self {
        Self {
            method: Method::GET,
            target,
            headers: Headers::new(),
            body: Bytes::new(),
            timeout: Duration::from_secs(5),
        }
    }
}

impl Exchange {
    /// Sends a request of the proxy itself to a pool, and returns the head of the answer.
    ///
    /// Retries, health, limits and the retry budget of the pool are those of any request; the
    /// rules for retries and the time limits of an attempt are those of the exchange's route. A
    /// deadline of the client holds for it too. Dropping the future cancels it.
    ///
    /// # Errors
    /// The failure of its last attempt, or why there was none; [`Failure::Internal`] if no pool
    /// has that name, or no route is chosen yet.
    pub async fn subrequest(
        &self,
        pool: &str,
        mut subrequest: Subrequest,
    ) -> Result<Subanswer, Failure> {
        let route = self.route().ok_or(Failure::Internal)?;
        let deadline = timer::now() + subrequest.timeout;
        let headers = &mut subrequest.headers;
        if !headers.contains(Known::XRequestId) {
            headers.insert(Known::XRequestId, self.request_id.as_value());
        }
        let terms = SubrequestTerms {
            exchange: self,
            pool,
            route,
            snapshot: &self.snapshot,
            deadline: self.client_deadline.map_or(deadline, |it| it.min(deadline)),
        };
        let caller = Rc::clone(&self.caller);
        caller.call(terms, subrequest).await
    }
}

impl Subanswer {
    pub(crate) fn new(response: super::Response, record: CallRecord, deadline: Instant) -> Self {
        Self {
            end: AnswerEnd {
                failure: None,
                grpc_status: grpc::status_in(&response.headers),
                given_up: false,
            },
            status: response.status,
            headers: response.headers,
            body: response.body,
            deadline,
            record,
        }
    }

    /// Reads the body to its end.
    ///
    /// # Errors
    /// [`Failure::LimitReached`] if it has more than `bytes_max`; [`Failure::ReadTimeout`] if
    /// the time of the subrequest is over; the failure that cut it short.
    pub async fn read(&mut self, bytes_max: usize) -> Result<Bytes, Failure> {
        let reading = timer::until(self.deadline, self.body.collect(bytes_max)).await;
        let read = reading.unwrap_or(Err(Failure::ReadTimeout));
        self.end.failure = read.as_ref().err().copied();
        read
    }

    /// The attempts that were made: the address of each endpoint, and how it ended, as in the
    /// access log.
    pub fn attempts(&self) -> impl Iterator<Item = (&str, String)> {
        let attempts = self.record.attempts.iter();
        attempts.map(|attempt| {
            let outcome = match attempt.outcome {
                Some(AttemptOutcome::Answered(status)) => status.as_str().to_owned(),
                Some(AttemptOutcome::Failed(failure)) => failure.word().to_owned(),
                Some(AttemptOutcome::Lost) => "lost".to_owned(),
                None => "cancelled".to_owned(),
            };
            (attempt.address(), outcome)
        })
    }
}

impl Drop for Subanswer {
    fn drop(&mut self) {
        if !self.body.is_end() {
            self.end.failure.get_or_insert(Failure::ClientGone);
        }
        if let Some(answering) = &self.record.answering {
            answering.judge(&self.end, timer::now());
        }
    }
}
