//! The header with which an operator asks what becomes of a request.

use std::{fmt, net::IpAddr};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use http::HeaderName;

use crate::{
    config::{Config, schema},
    semantics::{Headers, forwarded::TrustedProxies},
};

/// Header of requests and responses, and who has leave to ask.
pub struct DebugHeader {
    /// Name of the header.
    pub name: HeaderName,
    token: Option<Box<str>>,
    from: TrustedProxies,
}

impl DebugHeader {
    pub(super) fn compile(config: &Config) -> Option<Self> {
        let written: &schema::DebugHeader = config.proxy.debug_header.as_ref()?;
        // A token that cannot be read lets nobody in; the check refuses it beforehand.
        let token = written.token.as_ref().and_then(|it| it.reveal().ok());
        let token = token.filter(|it| !it.trim().is_empty()).map(Box::from);
        Some(Self {
            name: written.name.clone(),
            token,
            from: TrustedProxies::new(written.from.iter().copied()),
        })
    }

    /// Returns true if a request asks, and has leave: by the token, or by its client's address.
    pub(crate) fn is_asked(&self, headers: &Headers, client: IpAddr) -> bool {
        let Some(said) = headers.get(&self.name) else {
            return false;
        };
        self.from.contains(client)
            || self.token.as_ref().is_some_and(|token| {
                verify_slices_are_equal(said.as_bytes(), token.as_bytes()).is_ok()
            })
    }
}

impl fmt::Debug for DebugHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DebugHeader")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
