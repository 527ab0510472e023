//! The outcomes after which a route retries: `on` of its `retry` table.
//!
//! | condition | outcomes |
//! |---|---|
//! | `connect` | refused, unroutable, late, name not resolved, TLS handshake failed |
//! | `reset` | the connection broke before the head of a response, or the head is malformed or too large, or the answer broke off before it was passed on, or TLS broke |
//! | `refused-stream` | the endpoint did not process the stream |
//! | `timeout` | head late, request not read, answer stopped |
//! | `502` | the endpoint's 502, and all for which the proxy would answer 502 |
//! | `5xx` | any 5xx of the endpoint, and the same |
//! | `503`, `504` … | that status of the endpoint; timeouts of the proxy's own are `timeout` |

use http::StatusCode;

use super::AttemptResult;
use crate::config::value::RetryOn;
use crate::failure::{Failure, Side};

/// A set of outcomes. A test costs a comparison for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Conditions(Box<[RetryOn]>);

impl Conditions {
    /// Returns true if the outcome is in the set.
    pub fn contains(&self, outcome: AttemptResult) -> bool {
        self.0.iter().any(|on| is_meant(*on, outcome))
    }
}

impl FromIterator<RetryOn> for Conditions {
    fn from_iter<I: IntoIterator<Item = RetryOn>>(conditions: I) -> Self {
        Self(conditions.into_iter().collect())
    }
}

/// Tells whether this outcome of an attempt is meant by a word of `on`.
fn is_meant(on: RetryOn, outcome: AttemptResult) -> bool {
    match outcome {
        AttemptResult::Failed(failure) => covers(on, failure),
        AttemptResult::Status(status) => match on {
            RetryOn::ServerError => status.is_server_error(),
            RetryOn::Status(listed) => listed == status,
            RetryOn::Connect
            | RetryOn::Reset
            | RetryOn::RefusedStream
            | RetryOn::Timeout
            | RetryOn::Grpc(_) => false,
        },
        AttemptResult::Grpc(code) => matches!(on, RetryOn::Grpc(listed) if listed.number() == code),
    }
}

fn covers(on: RetryOn, failure: Failure) -> bool {
    match on {
        RetryOn::Connect => matches!(
            failure,
            Failure::DnsFailed
                | Failure::DnsTimeout
                | Failure::ConnectRefused
                | Failure::Unroutable
                | Failure::ConnectTimeout
                | Failure::TlsCertificate
                | Failure::TlsProtocol
        ),
        RetryOn::Reset => matches!(
            failure,
            Failure::ConnectionClosed
                | Failure::ResponseMalformed
                | Failure::ResponseHeadTooLarge
                | Failure::ResponseIncomplete
                | Failure::TlsProtocol
        ),
        RetryOn::RefusedStream => failure == Failure::StreamRefused,
        RetryOn::Timeout => matches!(
            failure,
            Failure::ResponseTimeout | Failure::WriteTimeout | Failure::ReadTimeout
        ),
        RetryOn::ServerError | RetryOn::Status(StatusCode::BAD_GATEWAY) => {
            failure.side() == Side::Upstream && failure.status() == StatusCode::BAD_GATEWAY
        }
        RetryOn::Status(_) | RetryOn::Grpc(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_means_its_outcomes_and_no_others() {
        let unavailable = RetryOn::parse("grpc:unavailable").unwrap();
        let outcomes = [
            (
                AttemptResult::Failed(Failure::ConnectRefused),
                vec![RetryOn::Connect, RetryOn::ServerError],
            ),
            (
                AttemptResult::Failed(Failure::DnsTimeout),
                vec![RetryOn::Connect],
            ),
            (
                AttemptResult::Failed(Failure::ConnectionClosed),
                vec![RetryOn::Reset, RetryOn::ServerError],
            ),
            (
                AttemptResult::Failed(Failure::StreamRefused),
                vec![RetryOn::RefusedStream, RetryOn::ServerError],
            ),
            (
                AttemptResult::Failed(Failure::ResponseTimeout),
                vec![RetryOn::Timeout],
            ),
            (
                AttemptResult::Failed(Failure::ResponseMalformed),
                vec![RetryOn::Reset, RetryOn::ServerError],
            ),
            (
                AttemptResult::Failed(Failure::ResponseHeadTooLarge),
                vec![RetryOn::Reset, RetryOn::ServerError],
            ),
            (
                AttemptResult::Failed(Failure::TlsProtocol),
                vec![RetryOn::Connect, RetryOn::Reset, RetryOn::ServerError],
            ),
            (AttemptResult::Failed(Failure::Internal), vec![]),
            (
                AttemptResult::Status(StatusCode::SERVICE_UNAVAILABLE),
                vec![
                    RetryOn::ServerError,
                    RetryOn::Status(StatusCode::SERVICE_UNAVAILABLE),
                ],
            ),
            (
                AttemptResult::Status(StatusCode::BAD_GATEWAY),
                vec![RetryOn::ServerError],
            ),
            (
                AttemptResult::Status(StatusCode::TOO_MANY_REQUESTS),
                vec![RetryOn::Status(StatusCode::TOO_MANY_REQUESTS)],
            ),
            (AttemptResult::Status(StatusCode::OK), vec![]),
            (AttemptResult::Grpc(14), vec![unavailable]),
            (AttemptResult::Grpc(0), vec![]),
        ];
        let all = [
            RetryOn::Connect,
            RetryOn::Reset,
            RetryOn::RefusedStream,
            RetryOn::Timeout,
            RetryOn::ServerError,
            RetryOn::Status(StatusCode::SERVICE_UNAVAILABLE),
            RetryOn::Status(StatusCode::TOO_MANY_REQUESTS),
            unavailable,
        ];
        for (outcome, expected) in outcomes {
            let matching: Vec<_> = all
                .into_iter()
                .filter(|one| [*one].into_iter().collect::<Conditions>().contains(outcome))
                .collect();
            assert_eq!(matching, expected, "{outcome:?}");
        }
        let both: Conditions = [RetryOn::Reset, RetryOn::Timeout].into_iter().collect();
        assert!(both.contains(AttemptResult::Failed(Failure::ConnectionClosed)));
        assert!(!Conditions::default().contains(AttemptResult::Failed(Failure::ConnectionClosed)));
    }

    #[test]
    fn a_listed_502_is_also_the_proxys_own_and_a_listed_504_is_not() {
        let own: Conditions = [RetryOn::Status(StatusCode::BAD_GATEWAY)]
            .into_iter()
            .collect();
        assert!(own.contains(AttemptResult::Failed(Failure::ResponseMalformed)));
        assert!(!own.contains(AttemptResult::Failed(Failure::ResponseTimeout)));
        let late: Conditions = [RetryOn::Status(StatusCode::GATEWAY_TIMEOUT)]
            .into_iter()
            .collect();
        assert!(!late.contains(AttemptResult::Failed(Failure::ResponseTimeout)));
    }
}
