//! Failures of the store: it is silent, or it refuses what it is asked.

use crate::upstream::{consul::ConsulError, etcd::EtcdError};

/// Reason why the store has not done what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum StoreFault {
    /// It does not answer, or not with sense: the same may succeed later.
    #[error("{0}")]
    Away(String),
    /// It answers that it does not do this, such as for want of a right, or because a value is too
    /// large. Nothing is changed.
    #[error("{0}")]
    Refused(String),
}

impl StoreFault {
    /// The same fault, with the server that it is of.
    pub(super) fn of(self, server: &str) -> Self {
        match self {
            Self::Away(why) => Self::Away(format!("{server}: {why}")),
            Self::Refused(why) => Self::Refused(format!("{server}: {why}")),
        }
    }

    /// Verb of the store in messages.
    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Away(_) => "does not answer",
            Self::Refused(_) => "refuses",
        }
    }
}

impl From<ConsulError> for StoreFault {
    fn from(error: ConsulError) -> Self {
        let told = error.to_string();
        match error {
            // Other errors, such as of an agent without a leader, pass.
            ConsulError::Refused(status, _)
                if status.is_client_error() && !matches!(status.as_u16(), 408 | 429) =>
            {
                Self::Refused(told)
            }
            _ => Self::Away(told),
        }
    }
}

impl From<EtcdError> for StoreFault {
    fn from(error: EtcdError) -> Self {
        let told = error.to_string();
        match error.code() {
            Some(code) if FINAL.contains(&code) => Self::Refused(told),
            _ => Self::Away(told),
        }
    }
}

impl From<String> for StoreFault {
    fn from(why: String) -> Self {
        Self::Away(why)
    }
}

/// Statuses of gRPC that the same call gets again: invalid, denied, exhausted (as by a quota),
/// unauthenticated.
const FINAL: [u32; 4] = [3, 7, 8, 16];

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::fetch::grpc::GrpcError;

    #[test]
    fn a_refusal_is_told_from_silence() {
        let consul = |status| ConsulError::Refused(status, String::new()).into();
        let etcd = |code| {
            let message = String::new();
            EtcdError::Call(GrpcError::Refused { code, message }).into()
        };
        for (fault, verb) in [
            (consul(StatusCode::PAYLOAD_TOO_LARGE), "refuses"),
            (consul(StatusCode::FORBIDDEN), "refuses"),
            (consul(StatusCode::TOO_MANY_REQUESTS), "does not answer"),
            (consul(StatusCode::INTERNAL_SERVER_ERROR), "does not answer"),
            (ConsulError::Garbled.into(), "does not answer"),
            (etcd(3), "refuses"),
            (etcd(14), "does not answer"),
            (
                EtcdError::Call(GrpcError::Garbled).into(),
                "does not answer",
            ),
        ] {
            let fault: StoreFault = fault;
            assert_eq!(fault.verb(), verb, "{fault:?}");
        }
    }
}
