//! Session cookies of other routes of the same host.
//!
//! Browsers send the cookies of a login to every route of its host. Whoever has them is logged in, so
//! the endpoints of these routes do not get them either.

use super::credentials::Credentials;
use crate::exchange::Request;

/// Removes the cookies of logins on other routes from a request.
#[derive(Debug)]
pub struct WithholdCookies(Box<[Credentials]>);

impl WithholdCookies {
    /// Withholds the cookies of these names; none if there are none.
    pub fn new(names: Vec<Box<str>>) -> Option<Self> {
        let names = names.into_iter().map(Credentials::Session);
        let names: Box<[Credentials]> = names.collect();
        (!names.is_empty()).then_some(Self(names))
    }

    pub(in super::super) fn on_request(&self, request: &mut Request) {
        for cookies in &self.0 {
            cookies.remove(request);
        }
    }
}
