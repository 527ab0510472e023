//! The way to HTTP/3 that clients of other protocols are told (RFC 7838).

use std::sync::OnceLock;

use http::HeaderValue;

use crate::semantics::{Headers, Known, headers::Value};

/// Value of `Alt-Svc` on a listener, made once.
#[derive(Clone, Debug, Default)]
pub struct AltSvc(OnceLock<HeaderValue>);

impl AltSvc {
    /// HTTP/3 was spoken, and is not any more.
    pub(crate) fn gone() -> Self {
        Self(OnceLock::from(clear()))
    }

    /// Notes that HTTP/3 is spoken at this port from now on; before that, nobody is told.
    pub fn settle(&self, port: u16) {
        let value = format!("h3=\":{port}\"; ma={MAX_AGE_SECONDS}");
        if let Ok(value) = HeaderValue::try_from(value) {
            let _ = self.0.set(value);
        }
    }

    /// The value for an answer with these fields, which may have one of their own; `leaving` if no
    /// new connections are taken. Then an offer of HTTP/3 at this name does not stay, whoever made it:
    /// it is for this listener, perhaps behind a port mapping.
    pub(crate) fn beside(&self, headers: &Headers, leaving: bool) -> Option<HeaderValue> {
        let mut own = headers.get_all(Known::AltSvc);
        let stays = |value: Value<'_>| !leaving || !offers_here(value.as_bytes());
        match own.next() {
            Some(first) if stays(first) && own.all(stays) => None,
            _ => self.value(leaving),
        }
    }

    /// The value; `leaving` if no new connections are taken.
    fn value(&self, leaving: bool) -> Option<HeaderValue> {
        match leaving {
            true => Some(clear()),
            false => self.0.get().cloned(),
        }
    }
}

/// Returns true if a value offers HTTP/3 at the same name: `h3=":443"`.
fn offers_here(value: &[u8]) -> bool {
    let offer = b"h3=\":";
    value.windows(offer.len()).any(|part| part == offer)
}

/// Tells a client to forget all other ways.
fn clear() -> HeaderValue {
    HeaderValue::from_static("clear")
}

/// Time for which a client may remember it.
const MAX_AGE_SECONDS: u32 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_once_it_is_there_and_no_longer() {
        let service = AltSvc::default();
        assert_eq!(service.value(false), None);
        service.settle(4433);
        assert_eq!(service.value(false).unwrap(), "h3=\":4433\"; ma=86400");
        assert_eq!(service.value(true).unwrap(), "clear");
        let beside = |own: &str, leaving| {
            let mut headers = Headers::default();
            headers.append(Known::AltSvc, HeaderValue::from_str(own).unwrap());
            service.beside(&headers, leaving)
        };
        assert_eq!(beside("h3=\":443\"", false), None);
        assert_eq!(beside("h3=\":443\"", true).unwrap(), "clear");
        assert_eq!(beside("h3=\"cdn.example:443\"", true), None);
        assert_eq!(AltSvc::gone().value(false).unwrap(), "clear");
    }
}
