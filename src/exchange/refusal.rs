//! A refusal by a filter: an answer of the proxy with a reason of the filter's own.

use std::borrow::Cow;

use http::StatusCode;

use super::{BadRequest, Exchange, Failure};
use crate::semantics::{
    Headers,
    headers::{AsName, AsValue},
};

/// Reason of a refusal in one word: the same in `Proxy-Status`, the access log and
/// the label `reason` of the metrics.
///
/// The words of a program are part of it, so their number is bounded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reason(&'static str);

impl Reason {
    /// The request is not allowed (RFC 9209 section 2.3.18); what the proxy's own filters say.
    pub const DENIED: Self = Self("http_request_denied");

    /// A word of one's own.
    ///
    /// # Panics
    /// If it is not made of 1 to 64 lower-case letters, digits and `_`, with a letter first. In a
    /// constant, the compiler tells.
    pub const fn new(word: &'static str) -> Self {
        let bytes = word.as_bytes();
        assert!(
            !bytes.is_empty() && bytes.len() <= 64 && bytes[0].is_ascii_lowercase(),
            "a reason has 1 to 64 characters and begins with a lower-case letter"
        );
        let mut at = 0;
        while at < bytes.len() {
            let byte = bytes[at];
            assert!(
                byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_',
                "a reason is made of lower-case letters, digits and _"
            );
            at += 1;
        }
        Self(word)
    }

    /// The word.
    pub const fn as_str(self) -> &'static str {
        self.0
    }
}

/// The answer with which a filter ends an exchange; see [`Exchange::refuse`].
#[derive(Clone, Debug)]
pub struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) reason: Reason,
    pub(crate) sentence: Cow<'static, str>,
    pub(crate) headers: Headers,
    pub(crate) detail: Option<Box<str>>,
}

impl Refusal {
    /// A refusal with a status from 400 to 599; any other status becomes 500.
    pub fn new(status: StatusCode, reason: Reason) -> Self {
        let is_error = status.is_client_error() || status.is_server_error();
        Self {
            status: if is_error {
                status
            } else {
                StatusCode::INTERNAL_SERVER_ERROR
            },
            reason,
            sentence: Cow::Borrowed(Failure::Refused.sentence()),
            headers: Headers::new(),
            detail: None,
        }
    }

    /// Tells the client why, in one sentence: in the body and in `Proxy-Status`. What cannot
    /// stand in a field there, such as a control character, is replaced by a space.
    #[must_use]
    pub fn sentence(mut self, sentence: &'static str) -> Self {
        let fits = |it: char| (' '..='~').contains(&it) && it != '"' && it != '\\';
        self.sentence = if sentence.chars().all(fits) {
            Cow::Borrowed(sentence)
        } else {
            let kept = sentence.chars().map(|it| if fits(it) { it } else { ' ' });
            Cow::Owned(kept.collect())
        };
        self
    }

    /// Adds a header field to the answer, such as Retry-After or WWW-Authenticate.
    #[must_use]
    pub fn header(mut self, name: impl AsName, value: impl AsValue) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Tells the access log and `why` more, as `reason_detail`. The client never sees it. At most
    /// 256 bytes are kept.
    #[must_use]
    pub fn detail(mut self, detail: impl AsRef<str>) -> Self {
        let detail = detail.as_ref();
        self.detail = Some(detail[..detail.floor_char_boundary(DETAIL_MAX)].into());
        self
    }
}

impl Exchange {
    /// Refuses the request: `return Err(exchange.refuse(refusal))` ends the exchange with this
    /// answer, on the way there as on the way back.
    pub fn refuse(&mut self, refusal: Refusal) -> Failure {
        self.refusal = Some(Box::new(refusal));
        Failure::Refused
    }

    /// Failure for which the proxy answers itself, or cut the answer short; none where it passes on the answer
    /// of an endpoint, a filter, a redirect or a fixed reply.
    pub fn failure(&self) -> Option<Failure> {
        self.failure
    }

    /// The word for [`Self::failure`]; that of the refusal, if a filter refused.
    pub fn reason(&self) -> Option<&'static str> {
        let failure = self.failure?;
        let refused = self.refused().map(|refusal| refusal.reason.as_str());
        Some(refused.unwrap_or_else(|| failure.word()))
    }

    /// The sentence for the client about [`Self::failure`]: of the refusal, if a filter refused;
    /// with the size, if a bound of the route did.
    pub(crate) fn sentence(&self) -> Option<Cow<'static, str>> {
        let failure = self.failure?;
        if let Some(refusal) = self.refused() {
            return Some(refusal.sentence.clone());
        }
        let sentence = failure.sentence();
        Some(match (failure, self.body_max()) {
            (Failure::BadRequest(BadRequest::BodyMax), Some(max)) => {
                format!("{sentence}, which is {max}").into()
            }
            _ => sentence.into(),
        })
    }

    /// The refusal that the exchange ends with.
    pub(crate) fn refused(&self) -> Option<&Refusal> {
        let refusal = self.refusal.as_deref();
        refusal.filter(|_| self.failure == Some(Failure::Refused))
    }
}

/// Bytes of a detail that are kept.
const DETAIL_MAX: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_always_an_error_and_fits_a_field() {
        let long = "é".repeat(200);
        let refusal = Refusal::new(StatusCode::OK, Reason::DENIED)
            .sentence("no \"quota\"\r\nleft")
            .detail(&long);
        assert_eq!(refusal.status, StatusCode::INTERNAL_SERVER_ERROR);
        assert_eq!(refusal.sentence, "no  quota   left");
        assert_eq!(refusal.detail.unwrap().len(), 256);
        assert_eq!(Reason::new("quota_2").as_str(), "quota_2");
        for word in ["", "Quota", "2", "a b", "a-b"] {
            assert!(std::panic::catch_unwind(|| Reason::new(word)).is_err());
        }
    }
}
