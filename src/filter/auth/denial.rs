//! Refusal of a client that may not pass.

use http::{HeaderValue, StatusCode};

use crate::{
    exchange::{Exchange, Reason, Refusal},
    failure::Failure,
    semantics::Known,
};

/// A client may not pass.
#[derive(Debug)]
pub(super) struct Denial {
    status: StatusCode,
    reason: Reason,
    sentence: &'static str,
    /// Values of `WWW-Authenticate`.
    challenges: Vec<HeaderValue>,
    /// Value of `Allow`.
    allow: Option<&'static str>,
    /// Values of `Set-Cookie`.
    cookies: Vec<HeaderValue>,
    /// For log and `why`.
    detail: String,
}

impl Denial {
    /// There are no valid credentials: 401 with a challenge.
    pub(super) fn unauthorized(challenge: &HeaderValue, detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::UNAUTHORIZED,
            sentence: "this needs valid credentials",
            challenges: vec![challenge.clone()],
            ..Self::forbidden(detail)
        }
    }

    /// A login did not succeed.
    pub(super) fn login(status: StatusCode, detail: impl Into<String>) -> Self {
        Self {
            status,
            sentence: "the login did not succeed: open the page again",
            ..Self::forbidden(detail)
        }
    }

    /// A path of the proxy's own takes other methods only: 405.
    pub(super) fn method(allowed: &'static str, detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::METHOD_NOT_ALLOWED,
            sentence: "this takes other methods only",
            allow: Some(allowed),
            ..Self::forbidden(detail)
        }
    }

    /// Answers with another status.
    pub(super) fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// Adds cookies for the client.
    pub(super) fn cookies(mut self, cookies: Vec<HeaderValue>) -> Self {
        self.cookies.extend(cookies);
        self
    }

    /// Other credentials of the same kind would not help: 403.
    pub(super) fn forbidden(detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::FORBIDDEN,
            reason: Reason::DENIED,
            sentence: Failure::Refused.sentence(),
            challenges: Vec::new(),
            allow: None,
            cookies: Vec::new(),
            detail: detail.into(),
        }
    }

    /// The proxy has no means to check credentials now: 503.
    pub(super) fn unavailable(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            status: StatusCode::SERVICE_UNAVAILABLE,
            reason,
            sentence: "credentials cannot be checked now",
            ..Self::forbidden(detail)
        }
    }

    /// A service gave no answer that counts.
    pub(super) fn failed(status: StatusCode, reason: Reason, detail: String) -> Self {
        Self {
            status,
            ..Self::unavailable(reason, detail)
        }
    }

    /// All methods of which one would have been enough have refused. If one of them could not
    /// check, the client may be right; else he is told all ways in.
    pub(super) fn of_all(denials: Vec<Self>) -> Self {
        let rank = |denial: &Self| match denial.status {
            StatusCode::FORBIDDEN => 0,
            StatusCode::UNAUTHORIZED => 1,
            _ => 2,
        };
        let details: Vec<&str> = denials.iter().map(|it| &*it.detail).collect();
        let detail = details.join("; ");
        let challenges = denials.iter().flat_map(|it| it.challenges.clone());
        let challenges = challenges.collect();
        match denials.into_iter().max_by_key(rank) {
            Some(strongest) => Self {
                challenges,
                detail,
                ..strongest
            },
            None => Self::forbidden("auth: no way in"),
        }
    }

    /// Ends the exchange with it.
    #[cold]
    pub(super) fn refuse(self, exchange: &mut Exchange) -> Failure {
        let mut refusal = Refusal::new(self.status, self.reason)
            .sentence(self.sentence)
            .detail(self.detail);
        if self.status == StatusCode::UNAUTHORIZED {
            for challenge in &self.challenges {
                refusal = refusal.header(Known::WwwAuthenticate, challenge);
            }
        } else if self.status == StatusCode::SERVICE_UNAVAILABLE {
            refusal = refusal.header(Known::RetryAfter, HeaderValue::from_static("1"));
        }
        if let Some(allowed) = self.allow {
            refusal = refusal.header(Known::Allow, HeaderValue::from_static(allowed));
        }
        for cookie in &self.cookies {
            refusal = refusal.header(Known::SetCookie, cookie);
        }
        exchange.refuse(refusal)
    }
}
