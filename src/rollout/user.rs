//! Recognition of a user: the part of a request whose hash decides.

use std::{borrow::Cow, net::IpAddr};

use http::HeaderValue;

use crate::{
    config::value::HashKey,
    semantics::{Headers, cookie},
    upstream::{HashInput, endpoint::stable_hash},
};

/// Rules by which a route recognises its users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserRules {
    /// Part of a request that names the user.
    pub by: Option<HashKey>,
    /// Cookie of the proxy for users without that part.
    pub cookie: String,
}

/// A user, as far as cohorts know him.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User {
    /// Hash of what he is recognised by.
    pub hash: u64,
    /// The part of the request that he is recognised by.
    pub known_by: KnownBy,
}

/// Part of a request by which a user was recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KnownBy {
    /// The part that the configuration names.
    Key,
    /// The cookie of the proxy.
    Cookie,
    /// None: he is given a cookie with this number.
    New(u32),
}

impl KnownBy {
    /// Its word in logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Cookie => "cookie",
            Self::New(_) => "new",
        }
    }
}

impl UserRules {
    /// Returns the user of a request; none if it has nothing to recognise him by.
    pub fn known(&self, input: &HashInput<'_>) -> Option<User> {
        let by_key = self.by.as_ref().and_then(|key| input.hash(key));
        if let Some(hash) = by_key {
            let known_by = KnownBy::Key;
            return Some(User { hash, known_by });
        }
        let value = cookie::find(input.headers, &self.cookie)?;
        Some(User {
            hash: stable_hash(value),
            known_by: KnownBy::Cookie,
        })
    }

    /// Makes a user from a random draw.
    ///
    /// The number in his cookie is short on purpose: it places him in one of 16 million groups, and
    /// is too short to follow a person by.
    pub fn new_user(draw: u64) -> User {
        let number = u32::try_from(draw >> 40).unwrap_or(0);
        User {
            hash: stable_hash(cookie_value(number).as_bytes()),
            known_by: KnownBy::New(number),
        }
    }

    /// Returns the line that gives a new user his cookie.
    pub fn set_cookie(&self, number: u32, secure: bool) -> Option<HeaderValue> {
        let (name, value) = (&self.cookie, cookie_value(number));
        let secure = if secure { "; Secure" } else { "" };
        let line = format!(
            "{name}={value}; Path=/; HttpOnly; SameSite=Lax; Max-Age={COOKIE_AGE_SECS}{secure}"
        );
        HeaderValue::try_from(line).ok()
    }

    /// Name of the part that users are recognised by.
    pub fn label(&self) -> Cow<'_, str> {
        match &self.by {
            Some(key) => key.to_string().into(),
            None => format!("cookie:{}", self.cookie).into(),
        }
    }
}

impl<'a> HashInput<'a> {
    /// The parts of a request without a path, which names no user.
    pub fn of_user(headers: &'a Headers, query: Option<&'a str>, client: IpAddr) -> Self {
        Self {
            headers,
            path: "",
            query,
            client,
        }
    }
}

fn cookie_value(number: u32) -> String {
    format!("{number:06x}")
}

/// A year: longer than any rollout, within what browsers keep.
const COOKIE_AGE_SECS: u32 = 31_536_000;
