//! Refusal of users by what their tokens say of them.

use http::StatusCode;
use serde_json::Value;

use crate::{
    config::value::ValueMatch,
    exchange::{Exchange, Reason, Refusal, find_claim},
    failure::Failure,
    filter::{Verdict, auth::unmet},
};

/// Lets in the users with some claims. It stands behind the authentication.
#[derive(Debug)]
pub struct ClaimAccess {
    /// Conditions on claims, all of which must hold.
    pub claims: Vec<(String, ValueMatch)>,
    /// Groups of which the user must be in one; empty: any, and none.
    pub groups: Vec<String>,
    /// Claim with the groups of the user.
    pub groups_claim: String,
}

impl ClaimAccess {
    pub(in super::super) fn on_request(&self, exchange: &mut Exchange) -> Result<Verdict, Failure> {
        match self.refusal(exchange) {
            None => Ok(Verdict::Continue),
            Some(detail) => {
                let refusal = Refusal::new(StatusCode::FORBIDDEN, Reason::DENIED);
                Err(exchange.refuse(refusal.detail(detail)))
            }
        }
    }

    fn refusal(&self, exchange: &Exchange) -> Option<String> {
        // Whoever came in by a way without claims is in no group.
        let Some(claims) = exchange.claims() else {
            return Some("access: the client has no claims".to_owned());
        };
        if let Some(name) = unmet(&self.claims, claims) {
            return Some(format!(
                "access: the claim \"{name}\" is not as the route wants it"
            ));
        }
        let is_wanted = |group: &Value| {
            let group = group.as_str();
            group.is_some_and(|group| self.groups.iter().any(|it| it == group))
        };
        let is_in = self.groups.is_empty()
            || match find_claim(claims, &self.groups_claim) {
                Some(Value::Array(groups)) => groups.iter().any(is_wanted),
                Some(one) => is_wanted(one),
                None => false,
            };
        (!is_in).then(|| "access: the user is in none of the groups".to_owned())
    }
}
