//! The way to HTTP/3 that clients of other protocols are told (RFC 7838).

use std::sync::OnceLock;

use http::HeaderValue;

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

    /// The value; `leaving` if no new connections are taken.
    pub(crate) fn value(&self, leaving: bool) -> Option<HeaderValue> {
        match leaving {
            true => Some(clear()),
            false => self.0.get().cloned(),
        }
    }
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
        assert_eq!(AltSvc::gone().value(false).unwrap(), "clear");
    }
}
