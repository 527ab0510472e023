//! Decision on another attempt.
//!
//! The first rule: a request that may have had an effect is not sent twice (RFC 9110 section
//! 9.2.2). Three cases lead to another attempt:
//!
//! 1. Nothing of the request was written, or the endpoint says that it did not look at it
//!    (`REFUSED_STREAM`, RFC 9113 section 8.7): any method, whatever `on` says, at once. While an
//!    endpoint is left that was not tried, an attempt at which nothing was written does not even
//!    count, up to [`RetryPolicy::uncounted_max`] of them.
//! 2. A reused idle connection died before a byte of a response (RFC 9112 section 9.3.1): the
//!    endpoint closed it while the request was on its way. Once per exchange, on a new
//!    connection, not counted as an attempt, if the request may be repeated.
//! 3. An outcome in `on`, if the request may be repeated, after a backoff, within the budget.
//!
//! Always: the body can be sent again, no byte of a response was sent downstream, time is left.

use std::time::Duration;

use http::{Method, StatusCode};

use super::{Backoff, Conditions};
use crate::{
    config::value::HedgeAfter,
    failure::{Failure, Side},
    semantics::{Headers, Known},
};

/// The retry settings of a route.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RetryPolicy {
    /// Total number of attempts; 1 is no retry.
    pub attempts: u32,
    /// Total number of attempts that do not count, as nothing was written.
    pub uncounted_max: u32,
    /// Outcomes after which a repeatable request is retried.
    pub on: Conditions,
    /// Wait before a retry.
    pub backoff: Backoff,
    /// Maximum number of request body bytes kept to be sent again.
    pub body_max: u64,
    /// True if `Idempotency-Key` makes any method repeatable.
    pub idempotency_key: bool,
    /// Attempts beside a slow one, for requests of a safe method without a body; none: never.
    pub hedge: Option<HedgePolicy>,
}

/// Attempts beside a first one that is slow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct HedgePolicy {
    /// Time without a response head after which another begins.
    pub after: HedgeAfter,
    /// Maximum number of them.
    pub max: u32,
}

/// Facts about an attempt that has failed, or whose response head has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// Attempts made, with this one and those that the endpoint reports as its own; without
    /// reconnections and those that do not count.
    pub attempts: u32,
    /// Attempts made that do not count.
    pub uncounted: u32,
    /// True if an endpoint is left that was not tried.
    pub one_left: bool,
    /// Result of this attempt.
    pub outcome: AttemptResult,
    /// Part of the request that may have reached the endpoint.
    pub written: Written,
    /// Connection of the attempt: new or reused.
    pub connection: Carrier,
    /// True if this exchange has had its [`RetryVerdict::Reconnect`].
    pub reconnected: bool,
    /// True if the request may be repeated: see [`RetryPolicy::is_repeatable`].
    pub repeatable: bool,
    /// State of the body: whether it can be sent from its start.
    pub body: Body,
    /// Progress of the response.
    pub response: ResponseProgress,
    /// True if the endpoint asked for no other attempt (gRPC proposal A6, pushback).
    pub pushed_back: bool,
    /// True if the caller is a proxy that repeats this request already.
    pub caller_retries: bool,
    /// True if the total time is over.
    pub time_over: bool,
}

/// Result of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptResult {
    /// Without a response head.
    Failed(Failure),
    /// With a response head.
    Status(StatusCode),
    /// With a gRPC status in the response head.
    Grpc(u8),
}

/// Part of the request that the endpoint may have seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// No byte has left the proxy.
    Nothing,
    /// At least one byte may have.
    Something,
}

/// Connection of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// A connection made for it.
    New,
    /// An idle connection.
    Reused,
}

/// State of the request body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body {
    /// There is none, it was not read, or all of it was kept.
    Intact,
    /// Part of it has been dropped.
    Spent,
}

/// Progress of the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseProgress {
    /// No byte from the endpoint.
    Nothing,
    /// Some bytes or the head, held by the proxy.
    Held,
    /// Part of it was sent downstream.
    Sent,
}

/// Verdict on another attempt: whether there is one, and of which kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryVerdict {
    /// An attempt at an untried endpoint, at once. This attempt does not count: nothing of it was
    /// written.
    MoveOn,
    /// Another attempt, at another endpoint while one is left. It counts.
    Retry {
        /// Nothing was done upstream: no backoff, nothing withdrawn from the budget. Else wait as
        /// [`RetryPolicy::wait`] says and withdraw first.
        immediately: bool,
    },
    /// The same attempt on a new connection, at once. It does not count.
    Reconnect,
    /// The outcome stands.
    No(Why),
}

/// Reasons why there is no other attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Why {
    /// Part of the response went downstream.
    ResponseSent,
    /// The endpoint asked for no other attempt.
    PushedBack,
    /// The outcome is not the endpoint's fault; another would change nothing.
    NotUpstream,
    /// The outcome is an answer to pass on: not in `on`.
    NotListed,
    /// The request may have had an effect.
    NotRepeatable,
    /// The body cannot be sent again.
    BodySpent,
    /// The proxy in front of this one repeats the request already.
    CallerRetries,
    /// All `attempts` are made.
    AttemptsUsed,
    /// The total time is over, or would be before the next attempt.
    TimeOver,
    /// The retry budget of the pool is used up; set by the caller, after withdrawing failed.
    BudgetUsed,
    /// The breaker of the pool is open; said by the caller.
    BreakerOpen,
}

/// Decides on another attempt. Pure, O(1).
pub fn decide(policy: &RetryPolicy, facts: &Facts) -> RetryVerdict {
    match cause(policy, facts).and_then(|cause| allow(policy, facts, cause)) {
        Ok(verdict) => verdict,
        Err(why) => RetryVerdict::No(why),
    }
}

/// Causes for another attempt: the three ways of the module's doc.
#[derive(Clone, Copy)]
enum Cause {
    Untouched,
    Died,
    Listed,
}

fn cause(policy: &RetryPolicy, facts: &Facts) -> Result<Cause, Why> {
    if facts.pushed_back {
        return Err(Why::PushedBack);
    }
    let untouched = facts.written == Written::Nothing;
    let died = facts.connection == Carrier::Reused
        && facts.response == ResponseProgress::Nothing
        && !facts.reconnected
        && (facts.repeatable || untouched);
    match facts.outcome {
        AttemptResult::Failed(failure) if failure.side() != Side::Upstream => Err(Why::NotUpstream),
        AttemptResult::Failed(Failure::StreamRefused) => Ok(Cause::Untouched),
        AttemptResult::Failed(Failure::ConnectionClosed | Failure::TlsProtocol) if died => {
            Ok(Cause::Died)
        }
        AttemptResult::Failed(_) if untouched => Ok(Cause::Untouched),
        outcome if policy.on.contains(outcome) => Ok(Cause::Listed),
        _ => Err(Why::NotListed),
    }
}

/// Tests the conditions against another attempt.
fn allow(policy: &RetryPolicy, facts: &Facts, cause: Cause) -> Result<RetryVerdict, Why> {
    if facts.response == ResponseProgress::Sent {
        return Err(Why::ResponseSent);
    }
    // Every gRPC call is a POST: whoever lists a gRPC status says that these may be repeated.
    let declared = facts.repeatable || matches!(facts.outcome, AttemptResult::Grpc(_));
    if matches!(cause, Cause::Listed) && !declared {
        return Err(Why::NotRepeatable);
    }
    if facts.body == Body::Spent {
        return Err(Why::BodySpent);
    }
    if facts.time_over {
        return Err(Why::TimeOver);
    }
    if matches!(cause, Cause::Died) {
        return Ok(RetryVerdict::Reconnect);
    }
    let unseen = matches!(cause, Cause::Untouched) && facts.written == Written::Nothing;
    if unseen && facts.one_left && facts.uncounted < policy.uncounted_max {
        return Ok(RetryVerdict::MoveOn);
    }
    if facts.caller_retries {
        return Err(Why::CallerRetries);
    }
    if facts.attempts >= policy.attempts {
        return Err(Why::AttemptsUsed);
    }
    Ok(RetryVerdict::Retry {
        immediately: matches!(cause, Cause::Untouched),
    })
}

impl Why {
    /// Returns the word for log and record.
    pub fn word(self) -> &'static str {
        match self {
            Self::ResponseSent => "response_sent",
            Self::PushedBack => "pushed_back",
            Self::NotUpstream => "not_upstream",
            Self::NotListed => "not_listed",
            Self::NotRepeatable => "not_repeatable",
            Self::BodySpent => "body_spent",
            Self::CallerRetries => "caller_retries",
            Self::AttemptsUsed => "attempts_used",
            Self::TimeOver => "time_over",
            Self::BudgetUsed => "budget_used",
            Self::BreakerOpen => "breaker_open",
        }
    }
}

/// Maximum number of attempts that do not count per exchange: more refusals in a row are an outage
/// that no further connection mends.
pub const UNCOUNTED_MAX: u32 = 32;

impl RetryPolicy {
    /// Returns true if a request may be sent twice: the method is idempotent, or the client says so
    /// with an `Idempotency-Key` and the route believes it.
    pub fn is_repeatable(&self, method: &Method, headers: &Headers) -> bool {
        let key = || {
            headers
                .get(Known::IdempotencyKey)
                .is_some_and(|key| !key.is_empty())
        };
        method.is_idempotent() || (self.idempotency_key && key())
    }

    /// Returns the wait before the attempt that follows this many attempts: the backoff, or the
    /// delay that the endpoint asked for if that is longer. `None` if it exceeds the time left.
    pub fn wait(
        &self,
        attempts: u32,
        draw: u64,
        retry_after: Option<Duration>,
        left: Duration,
    ) -> Option<Duration> {
        let wait = self
            .backoff
            .delay(attempts, draw)
            .max(retry_after.unwrap_or_default());
        (wait < left).then_some(wait)
    }
}

#[cfg(test)]
mod tests;
