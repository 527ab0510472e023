//! Checks on the whole configuration: rules that no single value can test.
//!
//! Each file checks one kind of thing; all of them always run, so that all faults of a file are
//! found at once. Apart from testing that named files exist, nothing here reads more than the text.

mod access;
mod acme;
mod auth;
mod cache;
mod certificate_match;
mod circle;
mod discover;
mod error_page;
mod etcd;
mod filter;
mod geo;
mod header;
mod kubernetes;
mod listener;
mod oidc;
mod pool;
mod reference;
mod register;
mod registry;
mod rollout;
mod rollout_store;
mod route;
mod session;
mod shadow;
mod shared;
mod split;
mod surroundings;
mod template;
mod test;
mod tls;
mod tracing;
mod zookeeper;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::diagnostic::Fault;
use super::include::IncludedFile;
use super::schema::Config;
use super::setting::{Span, Spanned, Spans};
use super::value::nearest::alternatives;
use super::value::{Name, Secret};
use crate::tls::Certificate;

/// Checks that depend on what surrounds a file: pickers, certificates, secrets.
#[derive(Debug, Clone, Copy, Default)]
pub struct Rules<'a> {
    /// Names of pickers that the embedding program registered.
    pub pickers: &'a [&'a str],
    /// Names of filters that the embedding program registered for use by routes.
    pub filters: &'a [&'a str],
    /// Treatment of expired certificates.
    pub past_time: PastTime<'a>,
    /// Requirement that values kept outside the file are present.
    pub secrets: Secrets,
    /// Copies of the included files, in place of those on the disk.
    pub included: Option<&'a [IncludedFile]>,
    /// The included files of the configuration in use. A pattern that found some of them and finds
    /// none any more is a fault: more often they are being replaced than gone.
    pub before: &'a [IncludedFile],
}

/// Requirement that private keys and values kept outside the file are present.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Secrets {
    /// They must be present.
    #[default]
    Needed,
    /// A missing one is no fault: for checks outside the service's own environment. `***` stands in
    /// for a text.
    Excused,
    /// They are not read, and a text that is kept elsewhere is a fault: messages about other values
    /// would reveal them to a caller who may not be allowed to see them.
    Withheld,
}

/// Treatment of expired certificates and of expired OCSP responses stapled to them.
#[derive(Debug, Clone, Copy, Default)]
pub enum PastTime<'a> {
    /// They are faults.
    #[default]
    Refused,
    /// Reported and served: at a start the alternative is to serve nothing at all.
    Served,
    /// Reported and served if they are these; others are faults.
    InUse(&'a [Arc<Certificate>]),
}

/// Runs all checks; `broken` names the tables and lists that could not be read in full.
/// Those about the process alone run also if the tables in a store are not known (`is_whole`).
pub(super) fn check(
    config: &Config,
    broken: &BTreeSet<String>,
    rules: &Rules<'_>,
    is_whole: bool,
) -> Vec<Fault> {
    let mut check = Check {
        config,
        broken,
        rules,
        faults: Vec::new(),
    };
    shared::check(&mut check);
    rollout_store::check(&mut check);
    if !is_whole {
        return check.faults;
    }
    listener::check(&mut check);
    route::check(&mut check);
    pool::check(&mut check);
    circle::check(&mut check);
    reference::check(&mut check);
    rollout::check(&mut check);
    test::check(&mut check);
    tls::check(&mut check);
    surroundings::check(&mut check);
    tracing::check(&mut check);
    geo::check_log(&mut check);
    check.faults
}

/// State of the checks: the configuration and the faults found.
struct Check<'a> {
    config: &'a Config,
    broken: &'a BTreeSet<String>,
    rules: &'a Rules<'a>,
    faults: Vec<Fault>,
}

impl<'a> Check<'a> {
    fn error(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.faults.push(Fault::error(span, message, hint));
    }

    /// Notes a secret that is written in the file, or missing where it is needed.
    fn secret(&mut self, place: &str, span: Span, secret: &Secret) {
        if secret.is_written() {
            let hint = "{ env = \"NAME\" } or { file = \"path\" } keeps it out of the file";
            self.warn(span, format!("{place} is written in the file"), hint);
        } else if self.rules.secrets == Secrets::Needed
            && let Err(error) = secret.reveal()
        {
            self.error(span, format!("{place}: {error}"), error.expected.as_str());
        }
    }

    fn warn(&mut self, span: Span, message: impl Into<String>, hint: impl Into<String>) {
        self.faults.push(Fault::warning(span, message, hint));
    }

    /// Tells whether the table or list at `place` could not be read in full.
    fn is_broken(&self, place: &str) -> bool {
        self.broken.contains(place)
    }

    /// Tells whether any of the tables of `kind` could not be read in full.
    fn has_broken(&self, kind: &str) -> bool {
        let inside = |place: &String| {
            place
                .strip_prefix(kind)
                .is_some_and(|rest| rest.starts_with('.'))
        };
        self.broken
            .iter()
            .any(|place| place == kind || inside(place))
    }

    /// Notes a reference to a name that is not among `defined` in the tables of `kind`.
    fn refer<T>(
        &mut self,
        kind: &str,
        reference: &Spanned<Name>,
        defined: &BTreeMap<Name, T>,
        message: impl FnOnce(&str) -> String,
    ) {
        if defined.contains_key(&reference.value) || self.is_broken(&format!("{kind}.{reference}"))
        {
            return;
        }
        let names: Vec<&str> = defined.keys().map(|name| &**name).collect();
        let hint = alternatives("defined", reference, &names);
        self.error(reference.span, message(reference), hint);
    }

    /// Refuses durations of zero where they would mean "give up at once".
    fn positive(&mut self, place: &str, spans: &Spans, durations: &[(&str, Duration)]) {
        for (key, duration) in durations {
            if duration.is_zero() {
                let message = format!("{place}.{key} cannot be 0s");
                self.error(spans.of(key), message, "it must be greater than 0");
            }
        }
    }

    /// Refuses counts outside `min` to `max`.
    fn within(
        &mut self,
        place: &str,
        spans: &Spans,
        key: &str,
        count: u64,
        (min, max): (u64, u64),
    ) {
        if (min..=max).contains(&count) {
            return;
        }
        let hint = if max == u64::MAX {
            format!("at least {min}")
        } else {
            format!("from {min} to {max}")
        };
        self.error(
            spans.of(key),
            format!("{place}.{key} cannot be {count}"),
            hint,
        );
    }

    /// Refuses a lower bound above its upper bound.
    fn ordered(
        &mut self,
        place: &str,
        spans: &Spans,
        (low_key, low): (&str, Duration),
        (high_key, high): (&str, Duration),
    ) {
        if low <= high {
            return;
        }
        let [low, high] = [low, high].map(|bound| super::value::duration::text(&bound));
        let key = if spans.has(low_key) {
            low_key
        } else {
            high_key
        };
        let message = format!("{place}.{low_key} ({low}) is longer than {high_key} ({high})");
        let hint = format!("{low_key} must be at most {high_key}");
        self.error(spans.of(key), message, hint);
    }
}
