//! The bound of request bodies that a route writes; the default is held by `proxy/body_bound`.

use super::Verdict;
use crate::{
    exchange::{Body, Request},
    failure::{BadRequest, Failure},
};

/// Refuses a body that announces more bytes, and ends one that brings more.
#[derive(Debug)]
pub struct BodyMax(pub u64);

impl BodyMax {
    pub(super) fn on_request(&self, request: &mut Request) -> Result<Verdict, Failure> {
        self.hold(&mut request.body)?;
        Ok(Verdict::Continue)
    }

    /// Holds a body to the bound.
    pub(crate) fn hold(&self, body: &mut Body) -> Result<(), Failure> {
        if body.length().least() > self.0 {
            return Err(BadRequest::BodyMax.into());
        }
        *body = std::mem::replace(body, Body::Empty).bounded(self.0, BadRequest::BodyMax);
        Ok(())
    }
}
