//! Names and passwords (HTTP Basic, RFC 7617).

use std::sync::Arc;

use http::HeaderValue;

use super::{
    Asked,
    credentials::{Credentials, Found},
    denial::Denial,
    password::{PasswordChecks, PasswordVerdict},
};
use crate::{
    config::value::Htpasswd,
    exchange::{Exchange, Reason, Request},
    semantics::base64,
};

/// Checks name and password.
#[derive(Debug)]
pub struct BasicAuth {
    /// The users.
    pub users: Arc<Htpasswd>,
    /// Checks passwords.
    pub checks: Arc<PasswordChecks>,
    /// Value of `WWW-Authenticate`.
    pub challenge: HeaderValue,
    /// True if the endpoint gets name and password.
    pub keep: bool,
}

impl BasicAuth {
    pub(super) async fn ask(&self, exchange: &Exchange, request: &Request) -> Asked {
        let denied = |detail: String| {
            let detail = format!("basic: {detail}");
            Asked::Denied(Denial::unauthorized(&self.challenge, detail))
        };
        let found = match Credentials::AUTHORIZATION.find(request) {
            Found::Nothing => return denied("the request has no Authorization".to_owned()),
            Found::Several => return denied("the request has several Authorization".to_owned()),
            Found::One(found) => found,
        };
        let Some(digits) = after_scheme(&found, b"basic") else {
            return denied("Authorization is not of the scheme Basic".to_owned());
        };
        let Some((name, password)) = name_and_password(digits) else {
            return denied("Authorization is malformed".to_owned());
        };
        let client = exchange.client_ip();
        let checked = self.checks.check(&self.users, &name, &password, client);
        match checked.await {
            PasswordVerdict::Right => Asked::named(Some(name.into())),
            PasswordVerdict::Wrong => denied(format!("wrong password of user {}", told(&name))),
            PasswordVerdict::Unknown => denied(format!("there is no user {}", told(&name))),
            PasswordVerdict::Busy(why) => {
                let reason = Reason::new("connection_limit_reached");
                Asked::Denied(Denial::unavailable(reason, format!("basic: {why}")))
            }
        }
    }
}

/// Returns what stands behind a scheme, which is case-insensitive.
pub(super) fn after_scheme<'a>(value: &'a [u8], scheme: &[u8]) -> Option<&'a [u8]> {
    let (written, rest) = value.split_at_checked(scheme.len())?;
    let rest = rest.strip_prefix(b" ")?.trim_ascii();
    (written.eq_ignore_ascii_case(scheme) && !rest.is_empty()).then_some(rest)
}

/// Returns name and password. A NUL would end a password within a hash function.
fn name_and_password(digits: &[u8]) -> Option<(String, Vec<u8>)> {
    let mut decoder = base64::Decoder::default();
    let mut decoded = Vec::new();
    decoder.feed(digits, &mut decoded).ok()?;
    let at = decoded.iter().position(|byte| *byte == b':')?;
    let password = decoded.split_off(at + 1);
    decoded.pop();
    let name = String::from_utf8(decoded).ok()?;
    let fits = decoder.is_between()
        && password.len() <= PASSWORD_MAX
        && !name.contains(char::is_control)
        && !password.contains(&0);
    fits.then_some((name, password))
}

/// The name for the log. It may be a password in the wrong field, so there is no more of it than
/// one needs.
fn told(name: &str) -> String {
    format!("{:?}", &name[..name.floor_char_boundary(NAME_TOLD_MAX)])
}

/// Bytes of a password; the time of SHA-crypt grows with them.
const PASSWORD_MAX: usize = 512;
/// Bytes of a name in the log.
const NAME_TOLD_MAX: usize = 64;
