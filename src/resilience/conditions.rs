//! The outcomes after which a route retries: `on` of its `retry` table.
//!
//! | condition | outcomes |
//! |---|---|
//! | `connect` | refused, unroutable, late, name not resolved, TLS handshake failed |
//! | `reset` | the connection broke before the head of a response, or the head is malformed or too large, or TLS broke |
//! | `refused-stream` | the endpoint did not process the stream |
//! | `timeout` | head late, request not read, answer stopped |
//! | `502` | the endpoint's 502, and all for which the proxy would answer 502 |
//! | `5xx` | any 5xx of the endpoint, and the same |
//! | `503`, `504` … | that status of the endpoint; timeouts of the proxy's own are `timeout` |

use http::StatusCode;

use super::AttemptResult;
use crate::failure::{Failure, Side};

/// One outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// No connection was made. Retried anyway while nothing was written.
    Connect,
    /// The connection broke before the head of a response, or the head is invalid.
    Reset,
    /// The endpoint did not process the stream. Retried anyway.
    RefusedStream,
    /// The endpoint took too long.
    Timeout,
    /// Any status from 500 to 599.
    ServerError,
    /// This status.
    Status(StatusCode),
    /// This gRPC status, in the head of the response.
    Grpc(u8),
}

/// A set of outcomes. A test costs a comparison for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Conditions(Box<[Condition]>);

impl Conditions {
    /// Returns true if the outcome is in the set.
    pub fn contains(&self, outcome: AttemptResult) -> bool {
        self.0.iter().any(|condition| condition.matches(outcome))
    }
}

impl FromIterator<Condition> for Conditions {
    fn from_iter<I: IntoIterator<Item = Condition>>(conditions: I) -> Self {
        Self(conditions.into_iter().collect())
    }
}

impl Condition {
    fn matches(self, outcome: AttemptResult) -> bool {
        match outcome {
            AttemptResult::Failed(failure) => self.covers(failure),
            AttemptResult::Status(status) => match self {
                Self::ServerError => status.is_server_error(),
                Self::Status(listed) => listed == status,
                Self::Connect
                | Self::Reset
                | Self::RefusedStream
                | Self::Timeout
                | Self::Grpc(_) => false,
            },
            AttemptResult::Grpc(code) => self == Self::Grpc(code),
        }
    }

    fn covers(self, failure: Failure) -> bool {
        match self {
            Self::Connect => matches!(
                failure,
                Failure::DnsFailed
                    | Failure::DnsTimeout
                    | Failure::ConnectRefused
                    | Failure::Unroutable
                    | Failure::ConnectTimeout
                    | Failure::TlsCertificate
                    | Failure::TlsProtocol
            ),
            Self::Reset => matches!(
                failure,
                Failure::ConnectionClosed
                    | Failure::ResponseMalformed
                    | Failure::ResponseHeadTooLarge
                    | Failure::TlsProtocol
            ),
            Self::RefusedStream => failure == Failure::StreamRefused,
            Self::Timeout => matches!(
                failure,
                Failure::ResponseTimeout | Failure::WriteTimeout | Failure::ReadTimeout
            ),
            Self::ServerError | Self::Status(StatusCode::BAD_GATEWAY) => {
                failure.side() == Side::Upstream && failure.status() == StatusCode::BAD_GATEWAY
            }
            Self::Status(_) | Self::Grpc(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_condition_means_its_outcomes_and_no_others() {
        let outcomes = [
            (
                AttemptResult::Failed(Failure::ConnectRefused),
                vec![Condition::Connect, Condition::ServerError],
            ),
            (
                AttemptResult::Failed(Failure::DnsTimeout),
                vec![Condition::Connect],
            ),
            (
                AttemptResult::Failed(Failure::ConnectionClosed),
                vec![Condition::Reset, Condition::ServerError],
            ),
            (
                AttemptResult::Failed(Failure::StreamRefused),
                vec![Condition::RefusedStream, Condition::ServerError],
            ),
            (
                AttemptResult::Failed(Failure::ResponseTimeout),
                vec![Condition::Timeout],
            ),
            (
                AttemptResult::Failed(Failure::ResponseMalformed),
                vec![Condition::Reset, Condition::ServerError],
            ),
            (
                AttemptResult::Failed(Failure::ResponseHeadTooLarge),
                vec![Condition::Reset, Condition::ServerError],
            ),
            (
                AttemptResult::Failed(Failure::TlsProtocol),
                vec![Condition::Connect, Condition::Reset, Condition::ServerError],
            ),
            (AttemptResult::Failed(Failure::Internal), vec![]),
            (
                AttemptResult::Status(StatusCode::SERVICE_UNAVAILABLE),
                vec![
                    Condition::ServerError,
                    Condition::Status(StatusCode::SERVICE_UNAVAILABLE),
                ],
            ),
            (
                AttemptResult::Status(StatusCode::BAD_GATEWAY),
                vec![Condition::ServerError],
            ),
            (
                AttemptResult::Status(StatusCode::TOO_MANY_REQUESTS),
                vec![Condition::Status(StatusCode::TOO_MANY_REQUESTS)],
            ),
            (AttemptResult::Status(StatusCode::OK), vec![]),
            (AttemptResult::Grpc(14), vec![Condition::Grpc(14)]),
            (AttemptResult::Grpc(0), vec![]),
        ];
        let all = [
            Condition::Connect,
            Condition::Reset,
            Condition::RefusedStream,
            Condition::Timeout,
            Condition::ServerError,
            Condition::Status(StatusCode::SERVICE_UNAVAILABLE),
            Condition::Status(StatusCode::TOO_MANY_REQUESTS),
            Condition::Grpc(14),
        ];
        for (outcome, expected) in outcomes {
            let matching: Vec<_> = all
                .into_iter()
                .filter(|one| [*one].into_iter().collect::<Conditions>().contains(outcome))
                .collect();
            assert_eq!(matching, expected, "{outcome:?}");
        }
        let both: Conditions = [Condition::Reset, Condition::Timeout].into_iter().collect();
        assert!(both.contains(AttemptResult::Failed(Failure::ConnectionClosed)));
        assert!(!Conditions::default().contains(AttemptResult::Failed(Failure::ConnectionClosed)));
    }

    #[test]
    fn a_listed_502_is_also_the_proxys_own_and_a_listed_504_is_not() {
        let own: Conditions = [Condition::Status(StatusCode::BAD_GATEWAY)]
            .into_iter()
            .collect();
        assert!(own.contains(AttemptResult::Failed(Failure::ResponseMalformed)));
        assert!(!own.contains(AttemptResult::Failed(Failure::ResponseTimeout)));
        let late: Conditions = [Condition::Status(StatusCode::GATEWAY_TIMEOUT)]
            .into_iter()
            .collect();
        assert!(!late.contains(AttemptResult::Failed(Failure::ResponseTimeout)));
    }
}
