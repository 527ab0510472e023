//! The outcomes after which a route retries: `on` of its `retry` table.

use http::StatusCode;

use super::Outcome;
use crate::exchange::Failure;

/// One outcome of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Condition {
    /// No connection came about. Retried anyway while nothing was written.
    Connect,
    /// The connection broke before the head of a response.
    Reset,
    /// The endpoint did not look at the stream. Retried anyway.
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

/// A set of outcomes. Asking it costs a comparison for each.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Conditions(Box<[Condition]>);

impl Conditions {
    /// Whether the outcome is in the set.
    pub fn contains(&self, outcome: Outcome) -> bool {
        self.0.iter().any(|condition| condition.matches(outcome))
    }
}

impl FromIterator<Condition> for Conditions {
    fn from_iter<I: IntoIterator<Item = Condition>>(conditions: I) -> Self {
        Self(conditions.into_iter().collect())
    }
}

impl Condition {
    fn matches(self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Failed(failure) => Self::of(failure) == Some(self),
            Outcome::Status(status) => match self {
                Self::ServerError => status.is_server_error(),
                Self::Status(listed) => listed == status,
                Self::Connect
                | Self::Reset
                | Self::RefusedStream
                | Self::Timeout
                | Self::Grpc(_) => false,
            },
            Outcome::Grpc(code) => self == Self::Grpc(code),
        }
    }

    /// The condition that a failure falls under. None for answers that are there but unusable
    /// (malformed, too large, cut short): the endpoint has worked on the request, and would
    /// most likely answer the same again.
    fn of(failure: Failure) -> Option<Self> {
        match failure {
            Failure::DnsFailed
            | Failure::DnsTimeout
            | Failure::ConnectRefused
            | Failure::Unroutable
            | Failure::ConnectTimeout
            | Failure::TlsCertificate
            | Failure::TlsProtocol => Some(Self::Connect),
            Failure::ConnectionClosed => Some(Self::Reset),
            Failure::StreamRefused => Some(Self::RefusedStream),
            Failure::ResponseTimeout | Failure::WriteTimeout | Failure::ReadTimeout => {
                Some(Self::Timeout)
            }
            _ => None,
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
                Outcome::Failed(Failure::ConnectRefused),
                vec![Condition::Connect],
            ),
            (
                Outcome::Failed(Failure::DnsTimeout),
                vec![Condition::Connect],
            ),
            (
                Outcome::Failed(Failure::ConnectionClosed),
                vec![Condition::Reset],
            ),
            (
                Outcome::Failed(Failure::StreamRefused),
                vec![Condition::RefusedStream],
            ),
            (
                Outcome::Failed(Failure::ResponseTimeout),
                vec![Condition::Timeout],
            ),
            (Outcome::Failed(Failure::ResponseMalformed), vec![]),
            (Outcome::Failed(Failure::Internal), vec![]),
            (
                Outcome::Status(StatusCode::SERVICE_UNAVAILABLE),
                vec![
                    Condition::ServerError,
                    Condition::Status(StatusCode::SERVICE_UNAVAILABLE),
                ],
            ),
            (
                Outcome::Status(StatusCode::BAD_GATEWAY),
                vec![Condition::ServerError],
            ),
            (
                Outcome::Status(StatusCode::TOO_MANY_REQUESTS),
                vec![Condition::Status(StatusCode::TOO_MANY_REQUESTS)],
            ),
            (Outcome::Status(StatusCode::OK), vec![]),
            (Outcome::Grpc(14), vec![Condition::Grpc(14)]),
            (Outcome::Grpc(0), vec![]),
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
        assert!(both.contains(Outcome::Failed(Failure::ConnectionClosed)));
        assert!(!Conditions::default().contains(Outcome::Failed(Failure::ConnectionClosed)));
    }
}
