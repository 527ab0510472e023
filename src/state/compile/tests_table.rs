//! `[tests.NAME]`: what must hold of the routing, asked of the snapshot itself.

use std::fmt;

use http::Uri;

use crate::{
    config::schema::{RouteTest, TestRequest},
    semantics::Value,
    state::{Action, Asked, Route, Snapshot},
    tls::ClientCertificate,
    upstream::HashInput,
};

/// A test in the configuration that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestFailure {
    /// Its name.
    pub test: String,
    /// The expected and the actual result.
    pub message: String,
}

impl fmt::Display for TestFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "test \"{}\": {}", self.test, self.message)
    }
}

/// Runs every test of the configuration; gives those that fail.
pub fn run(snapshot: &Snapshot) -> Vec<TestFailure> {
    let tests = snapshot.config.tests.iter();
    tests
        .filter_map(|(name, test)| {
            let message = check(snapshot, test).err()?;
            Some(TestFailure {
                test: name.to_string(),
                message,
            })
        })
        .collect()
}

fn check(snapshot: &Snapshot, test: &RouteTest) -> Result<(), String> {
    let expect = &test.expect;
    let asked = asked(&test.request);
    let route = match asked.decide(snapshot) {
        Ok(decision) => &snapshot.routes[decision.route.0 as usize],
        Err(None) => return Err("the configuration has no listener".to_owned()),
        Err(Some(failure)) => {
            return match expect.status {
                Some(status) if status == failure.status() && expect.route.is_none() => Ok(()),
                _ => Err(format!("{failure} ({})", failure.status().as_u16())),
            };
        }
    };
    let wanted = |what: &str, expected: &str, found: &str| {
        if expected == found {
            Ok(())
        } else {
            Err(format!("expected {what} \"{expected}\", found \"{found}\""))
        }
    };
    if let Some(expected) = &expect.route {
        wanted("route", expected, &route.name)?;
    }
    let written = snapshot.config.routes.get(&*route.name);
    if let Some(expected) = &expect.version {
        let found = written.and_then(|written| written.version.as_ref());
        let found = found.map_or_else(|| "any version".to_owned(), ToString::to_string);
        wanted("version", &expected.to_string(), &found)?;
    }
    check_action(snapshot, test, route, &asked.user())
}

fn check_action(
    snapshot: &Snapshot,
    test: &RouteTest,
    route: &Route,
    user: &HashInput<'_>,
) -> Result<(), String> {
    let (expect, action) = (&test.expect, &route.action);
    if let Some(expected) = &expect.pool {
        let pool = action
            .home(user)
            .map(|(pool, _)| &snapshot.pools[pool.0 as usize]);
        let found = match (pool, action) {
            (Some(pool), _) => &*pool.name,
            // A new user may get any of them.
            (None, Action::Split(split)) => split.arm(expected).map_or("others", |arm| &arm.name),
            (None, Action::Rollout(rollout)) => &*snapshot.pools[rollout.pool.0 as usize].name,
            (None, _) => "none",
        };
        if *found != ***expected {
            return Err(format!(
                "expected pool \"{}\", found \"{found}\"",
                &***expected
            ));
        }
    }
    let status = match action {
        Action::Pool(..) | Action::Split(_) | Action::Rollout(_) => None,
        Action::Redirect(redirect) => Some(redirect.status),
        Action::Respond(respond) => Some(respond.status()),
    };
    if let Some(expected) = expect.status
        && status != Some(expected)
    {
        let found = status.map_or_else(
            || "the pool's own answer".to_owned(),
            |status| status.to_string(),
        );
        return Err(format!("expected status {expected}, found {found}"));
    }
    if let Some(expected) = &expect.redirect {
        let found = match action {
            Action::Redirect(redirect) => {
                let url = &test.request.url;
                let path = route.filters.rewritten(url.path());
                let path = path.map_err(|rule| rule.sentence().to_owned())?;
                location(redirect, url, path.as_deref().unwrap_or_else(|| url.path()))
            }
            Action::Pool(..) | Action::Split(_) | Action::Rollout(_) | Action::Respond(_) => {
                "no redirect".to_owned()
            }
        };
        if found != *expected {
            return Err(format!(
                "expected redirect \"{expected}\", found \"{found}\""
            ));
        }
    }
    for (name, value) in &expect.header {
        let found = match action {
            Action::Respond(respond) => respond.headers().get(name),
            Action::Pool(..) | Action::Split(_) | Action::Rollout(_) | Action::Redirect(_) => None,
        };
        if !value.matches(found.map(Value::as_bytes)) {
            let found = found.and_then(Value::to_str).unwrap_or("none");
            return Err(format!(
                "expected header {name} to match, found \"{found}\""
            ));
        }
    }
    Ok(())
}

/// Returns the location of a redirect for the rewritten path, as far as it is known without an
/// exchange.
fn location(redirect: &crate::filter::Redirect, url: &Uri, path: &str) -> String {
    use crate::config::value::template::{Piece, Placeholder};
    let pieces = redirect.to.pieces().iter().map(|piece| match piece {
        Piece::Text(text) => text.clone(),
        Piece::Fill(Placeholder::Host) => url.host().unwrap_or_default().to_owned(),
        Piece::Fill(Placeholder::HostPort) => {
            let authority = url.authority();
            authority.map_or_else(String::new, |it| it.as_str().to_owned())
        }
        Piece::Fill(Placeholder::Path) => path.to_owned(),
        Piece::Fill(Placeholder::Query) => url
            .query()
            .map_or_else(String::new, |query| format!("?{query}")),
        Piece::Fill(Placeholder::Scheme) => url.scheme_str().unwrap_or("http").to_owned(),
        Piece::Fill(_) => String::new(),
    });
    pieces.collect()
}

/// The request of a test, as `explain` would be asked about it.
fn asked(request: &TestRequest) -> Asked {
    let certificate = request.client_certificate.as_ref();
    let certificate = certificate.map(|written| ClientCertificate {
        subject: written.subject.as_str().into(),
        dns: written
            .dns
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect(),
        uri: written.uri.clone(),
        email: written.email.clone(),
        ip: written.ip.clone(),
    });
    Asked {
        method: request.method.clone(),
        url: request.url.clone(),
        headers: request.headers.iter().cloned().collect(),
        listener: request.listener.as_ref().map(|name| name.to_string()),
        source: request.source,
        certificate,
    }
}
