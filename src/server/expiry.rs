//! Warnings about certificates that expire soon or have expired, and about revocation lists whose
//! successor is overdue: in log and event, when it is noticed and every day.
//!
//! Owns the times of the warnings; whether one is due is a function of these, the certificates and
//! the clock.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::json;

use crate::{
    telemetry::events::Events,
    tls::{Certificate, RevocationLists},
};

/// Content of a file that is valid for a time.
#[derive(Clone)]
pub(super) enum Dated {
    Certificate(Arc<Certificate>),
    Revocations(Arc<RevocationLists>),
}

/// A certificate or revocation list in use, and its owner.
#[derive(Clone)]
pub(super) struct Subject {
    /// `listener` or `pool`.
    pub(super) kind: &'static str,
    /// Its name.
    pub(super) name: String,
    pub(super) content: Dated,
}

/// Messages logged about the certificates in use.
#[derive(Debug, Default)]
pub(super) struct Expiries {
    told: HashMap<Key, SystemTime>,
}

/// Key of a message that is logged only once a day.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    kind: &'static str,
    name: String,
    file: PathBuf,
    state: State,
}

/// State of a certificate or revocation list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum State {
    /// It expires at this time, in seconds of Unix time.
    Soon(i64),
    /// It has expired.
    Expired(i64),
    /// The OCSP response stapled to it is no longer sent.
    StapleOver,
    /// The successor of the list was due at this time.
    SuccessorDue(i64),
}

impl Expiries {
    /// Logs the warnings that are due about the certificates in use.
    pub(super) fn tell(
        &mut self,
        subjects: impl Iterator<Item = Subject>,
        now: SystemTime,
        events: &Events,
    ) {
        for (subject, state) in self.due(subjects, now) {
            tell(&subject, state, now, events);
        }
    }

    fn due(
        &mut self,
        subjects: impl Iterator<Item = Subject>,
        now: SystemTime,
    ) -> Vec<(Subject, State)> {
        let mut held = HashMap::new();
        let mut due = Vec::new();
        for subject in subjects {
            for state in states(&subject.content, now) {
                let key = Key {
                    kind: subject.kind,
                    name: subject.name.clone(),
                    file: subject.content.file().to_owned(),
                    state,
                };
                let last = self.told.get(&key).copied();
                let recent = last.filter(|last| now < *last + AGAIN);
                held.insert(key, recent.unwrap_or(now));
                if recent.is_none() {
                    due.push((subject.clone(), state));
                }
            }
        }
        // What was renewed, or has left, is forgotten.
        self.told = held;
        due
    }
}

impl Dated {
    fn file(&self) -> &Path {
        match self {
            Self::Certificate(certificate) => &certificate.files.chain,
            Self::Revocations(lists) => &lists.path,
        }
    }
}

fn states(content: &Dated, now: SystemTime) -> impl Iterator<Item = State> + use<> {
    let [first, second] = match content {
        Dated::Certificate(certificate) => states_of(certificate, now),
        Dated::Revocations(lists) => {
            let due = lists.overdue(now).and_then(|_| lists.next_update());
            [due.map(State::SuccessorDue), None]
        }
    };
    first.into_iter().chain(second)
}

fn states_of(certificate: &Certificate, now: SystemTime) -> [Option<State>; 2] {
    let expires = certificate.expires;
    let at = instant(expires);
    let certificate_state = if at < now {
        Some(State::Expired(expires))
    } else if certificate.expires_soon(unix_seconds(now)) {
        Some(State::Soon(expires))
    } else {
        None
    };
    let staple = certificate.staple_overdue(now).map(|_| State::StapleOver);
    [certificate_state, staple]
}

fn tell(subject: &Subject, state: State, now: SystemTime, events: &Events) {
    let Subject {
        kind,
        name,
        content,
    } = subject;
    let chain = content.file().display();
    let mut what = json!({ "of": kind, "name": name, "certificate": chain.to_string() });
    match state {
        State::Soon(expires) => {
            let at = instant(expires);
            let left = at.duration_since(now).unwrap_or_default();
            let days = left.as_secs() / DAY.as_secs();
            let expires = humantime::format_rfc3339_seconds(at).to_string();
            tracing::warn!(of = kind, name, certificate = %chain, expires, days, "a certificate expires soon");
            what["state"] = "expires_soon".into();
            what["expires"] = expires.into();
            what["days"] = days.into();
        }
        State::Expired(expires) => {
            let expires = humantime::format_rfc3339_seconds(instant(expires)).to_string();
            tracing::error!(
                of = kind, name, certificate = %chain, expires,
                "a certificate has expired; most peers refuse it"
            );
            what["state"] = "expired".into();
            what["expires"] = expires.into();
        }
        State::StapleOver => {
            let reason = match content {
                Dated::Certificate(it) => it.staple_overdue(now).map(|fault| fault.to_string()),
                Dated::Revocations(_) => None,
            };
            let reason = reason.unwrap_or_default();
            tracing::warn!(
                of = kind, name, certificate = %chain, reason,
                "nothing is stapled to a certificate until its OCSP response is renewed"
            );
            what["state"] = "not_stapled".into();
            what["reason"] = reason.into();
        }
        State::SuccessorDue(due) => {
            let due = humantime::format_rfc3339_seconds(instant(due)).to_string();
            tracing::warn!(
                of = kind, name, file = %chain, due,
                "a newer revocation list is overdue; what was revoked since is not known"
            );
            what = json!({ "of": kind, "name": name, "revocation_list": chain.to_string(),
                "state": "overdue", "due": due });
        }
    }
    events.publish("certificate_expiry", "proxy", what);
}

fn unix_seconds(now: SystemTime) -> i64 {
    let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}

fn instant(unix_s: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(u64::try_from(unix_s).unwrap_or(0))
}

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Interval between two warnings about the same certificate.
const AGAIN: Duration = DAY;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tls::KeyPair;

    fn subject(folder: &Path) -> Subject {
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let files = KeyPair {
            chain: folder.join("a.pem"),
            key: folder.join("a.key"),
            ocsp: None,
        };
        std::fs::write(&files.chain, made.cert.pem()).unwrap();
        std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
        Subject {
            kind: "listener",
            name: "web".into(),
            content: Dated::Certificate(Arc::new(Certificate::load(&files).unwrap())),
        }
    }

    fn end(subject: &Subject) -> i64 {
        match &subject.content {
            Dated::Certificate(certificate) => certificate.expires,
            Dated::Revocations(_) => unreachable!("a certificate"),
        }
    }

    #[test]
    fn it_is_told_from_two_weeks_before_the_end_once_a_day() {
        let folder = tempfile::tempdir().unwrap();
        let mut expiries = Expiries::default();
        let one = subject(folder.path());
        let end = end(&one);
        let expires = instant(end);
        let mut look = |now| {
            let due = expiries.due(std::iter::once(one.clone()), now);
            due.into_iter().map(|(_, state)| state).collect::<Vec<_>>()
        };
        let soon = 14 * DAY;
        assert!(look(expires - soon - Duration::from_secs(1)).is_empty());
        let first = expires - soon + Duration::from_secs(1);
        assert_eq!(look(first), [State::Soon(end)]);
        assert!(look(first + AGAIN - Duration::from_secs(1)).is_empty());
        assert_eq!(look(first + AGAIN), [State::Soon(end)]);
        // The end is told at once, whatever was told before.
        assert_eq!(look(expires - Duration::from_secs(1)), [State::Soon(end)]);
        let after = expires + Duration::from_secs(1);
        assert_eq!(look(after), [State::Expired(end)]);
        assert!(look(after + Duration::from_secs(1)).is_empty());
    }

    #[test]
    fn a_renewed_certificate_is_not_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let mut expiries = Expiries::default();
        let old = subject(folder.path());
        let soon = instant(end(&old)) - DAY;
        assert_eq!(expiries.due(std::iter::once(old), soon).len(), 1);
        assert!(expiries.due(std::iter::empty(), soon).is_empty());
        let back = subject(folder.path());
        assert_eq!(expiries.due(std::iter::once(back), soon).len(), 1);
    }
}
