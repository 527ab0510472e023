//! Reasons why a certificate is not issued.

use instant_acme::{Error, Problem};

/// Reasons why a certificate is not issued.
#[derive(Debug, thiserror::Error)]
pub enum AcmeError {
    /// No answer of the CA, or one that is not ACME.
    #[error("the CA does not answer: {0}")]
    Unreachable(String),
    /// The CA refuses, in its own words.
    #[error("the CA refuses: {0}")]
    Refused(String),
    /// The CA does not know the account.
    #[error("the CA does not know the account: {0}")]
    AccountUnknown(String),
    /// The CA cannot prove a name as configured.
    #[error("the CA offers no {challenge} for {name}")]
    NoChallenge {
        /// The name.
        name: String,
        /// The challenge.
        challenge: &'static str,
    },
    /// The issued certificate cannot be used.
    #[error("the issued certificate cannot be used: {0}")]
    Unusable(String),
    /// The state cannot be read or written.
    #[error("{0}")]
    State(String),
    /// The whole order took too long.
    #[error("the order took longer than {}", humantime::format_duration(*.0))]
    Late(std::time::Duration),
}

impl AcmeError {
    /// Returns true if the CA itself said no: asking again soon would only use up its limits.
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::State(_) => false,
            Self::Refused(_)
            | Self::AccountUnknown(_)
            | Self::NoChallenge { .. }
            | Self::Unusable(_)
            | Self::Late(_) => true,
        }
    }

    pub(super) fn problem(problem: &Problem) -> Self {
        let told = words(problem);
        match problem.r#type.as_deref() {
            Some("urn:ietf:params:acme:error:accountDoesNotExist") => Self::AccountUnknown(told),
            _ => Self::Refused(told),
        }
    }
}

impl From<Error> for AcmeError {
    fn from(error: Error) -> Self {
        match error {
            Error::Api(problem) => Self::problem(&problem),
            Error::Json(_) => Self::Unreachable("its answer is not one of ACME".to_owned()),
            Error::Timeout(_) => Self::Refused("it does not come to a decision in time".to_owned()),
            error => Self::Unreachable(bounded(&error.to_string())),
        }
    }
}

/// Returns the CA's own words.
fn words(problem: &Problem) -> String {
    let kind = problem.r#type.as_deref().unwrap_or("no type");
    let kind = kind.rsplit(':').next().unwrap_or(kind);
    let mut text = match &problem.detail {
        Some(detail) => format!("{detail} ({kind})"),
        None => kind.to_owned(),
    };
    for part in &problem.subproblems {
        if let Some(detail) = &part.detail {
            text.push_str("; ");
            text.push_str(detail);
        }
    }
    bounded(&text)
}

/// Bounds a text of the CA, and keeps it on one line.
fn bounded(text: &str) -> String {
    let plain = text
        .chars()
        .map(|it| if it.is_control() { ' ' } else { it });
    plain.take(WORDS_MAX).collect()
}

/// Maximum length of a text of the CA.
const WORDS_MAX: usize = 500;
