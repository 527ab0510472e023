//! The bound of request bodies.

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
        let body = &mut request.body;
        if body.length().least() > self.0 {
            return Err(BadRequest::BodyTooLarge.into());
        }
        *body = std::mem::replace(body, Body::Empty).limited(self.0);
        Ok(Verdict::Continue)
    }
}
