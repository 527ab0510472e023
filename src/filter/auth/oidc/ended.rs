//! Sessions that have ended before their time: by a logout here, or by word of the provider.
//!
//! A session is a cookie, of which there may be copies. So its end is remembered, by this process
//! only: for as long as no session lasts longer, or until [`ENDED_MAX`] newer ends have come.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use aws_lc_rs::digest::{SHA256, digest};

use super::session::Session;

/// Ends of sessions of one provider. Times are seconds of Unix time.
#[derive(Debug, Default)]
pub(super) struct Ended(Mutex<Ends>);

#[derive(Debug, Default)]
struct Ends {
    /// Time of the end, by the hash of whom it concerns.
    times: HashMap<Key, u64>,
    /// The same in the order in which they came.
    order: VecDeque<(Key, u64)>,
}

/// The sessions that an end concerns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose<'a> {
    /// The one of this login.
    Login(&'a str),
    /// Those of one session at the provider (`sid`).
    Sid(&'a str),
    /// All of a user (`sub`) that began before.
    Subject(&'a str),
}

type Key = [u8; 16];

impl Ended {
    /// Ends the sessions of a client of the provider.
    pub(super) fn end(&self, client: &str, whose: Whose<'_>, at: u64, now: u64) {
        let key = whose.key(client);
        let mut ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some((oldest, time)) = ends.order.front().copied()
            && (ends.order.len() >= ENDED_MAX || time + LIFETIME_MAX_SECS < now)
        {
            ends.order.pop_front();
            // A later end of the same has its own place in the order.
            if ends.times.get(&oldest) == Some(&time) {
                ends.times.remove(&oldest);
            }
        }
        let latest = ends.times.entry(key).or_default();
        *latest = at.max(*latest);
        let at = *latest;
        ends.order.push_back((key, at));
    }

    /// Returns true if a session has ended.
    pub(super) fn has(&self, client: &str, session: &Session) -> bool {
        let ends = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if ends.times.is_empty() {
            return false;
        }
        let time = |whose: Option<Whose<'_>>| ends.times.get(&whose?.key(client));
        let written = &session.written;
        let login = written.login.as_deref().map(Whose::Login);
        let sid = written.sid.as_deref().map(Whose::Sid);
        let of_user = time(session.subject().map(Whose::Subject));
        time(login).is_some()
            || time(sid).is_some()
            || of_user.is_some_and(|ended| written.began <= *ended)
    }
}

impl Whose<'_> {
    fn key(self, client: &str) -> Key {
        let (kind, name) = match self {
            Self::Login(name) => ("login", name),
            Self::Sid(name) => ("sid", name),
            Self::Subject(name) => ("sub", name),
        };
        let text = format!("{kind}\n{}\n{client}{name}", client.len());
        let mut key = [0; 16];
        key.copy_from_slice(&digest(&SHA256, text.as_bytes()).as_ref()[..16]);
        key
    }
}

/// Ends that are remembered for one provider.
const ENDED_MAX: usize = 100_000;
/// The longest that a session lasts.
const LIFETIME_MAX_SECS: u64 = 30 * 86_400;

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;
    use crate::filter::auth::oidc::session::Written;

    fn session(login: &str, sid: Option<&str>, subject: &str, began: u64) -> Session {
        let written = Written {
            id_token: String::new(),
            refresh_token: None,
            began,
            got: began,
            until: began + 3600,
            login: Some(login.to_owned()),
            sid: sid.map(str::to_owned),
        };
        let claims = Map::from_iter([("sub".to_owned(), json!(subject))]);
        Session::new(written, claims)
    }

    #[test]
    fn an_end_concerns_its_sessions_and_no_others() {
        let anna = session("1", Some("s1"), "anna", 1000);
        let other = session("2", Some("s2"), "anna", 1000);
        let later = session("3", None, "anna", 1001);
        let ended = Ended::default();
        ended.end("shop", Whose::Sid("s1"), 1000, 1000);
        assert!(ended.has("shop", &anna) && !ended.has("other", &anna));
        assert!(!ended.has("shop", &other) && !ended.has("shop", &later));
        ended.end("shop", Whose::Login("2"), 1000, 1000);
        assert!(ended.has("shop", &other) && !ended.has("shop", &later));
        ended.end("shop", Whose::Subject("s1"), 2000, 2000);
        ended.end("shop", Whose::Subject("anna"), 1000, 2000);
        assert!(!ended.has("shop", &later));
        ended.end("shop", Whose::Subject("anna"), 1001, 2000);
        assert!(ended.has("shop", &later));
        // An older word does not take back a newer one.
        ended.end("shop", Whose::Subject("anna"), 900, 2000);
        assert!(ended.has("shop", &later));
    }

    #[test]
    fn ends_are_bounded_in_number_and_time() {
        let ended = Ended::default();
        for number in 0..ENDED_MAX + 10 {
            ended.end("shop", Whose::Login(&number.to_string()), 1000, 1000);
        }
        assert!(!ended.has("shop", &session("9", None, "anna", 0)));
        assert!(ended.has("shop", &session("10", None, "anna", 0)));
        // The same one again and again has no more room than others.
        for _ in 0..ENDED_MAX + 10 {
            ended.end("shop", Whose::Sid("s1"), 1000, 1000);
        }
        let sizes = |ended: &Ended| {
            let ends = ended.0.lock().unwrap();
            (ends.times.len(), ends.order.len())
        };
        assert_eq!(sizes(&ended).1, ENDED_MAX);
        assert!(ended.has("shop", &session("x", Some("s1"), "anna", 0)));
        let much_later = 1001 + LIFETIME_MAX_SECS;
        ended.end("shop", Whose::Sid("s2"), much_later, much_later);
        assert_eq!(sizes(&ended), (1, 1));
    }
}
