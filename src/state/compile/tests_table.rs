//! `[tests.NAME]`: what must hold of the routing, asked of the snapshot itself.

use std::fmt;

use regex::Regex;

use crate::{
    config::{
        schema::{RouteTest, TestRequest},
        value::Placeholder,
    },
    filter::{Redirect, Said, put_group, put_parameter, put_query},
    route::PathMatch,
    semantics::{Headers, Value},
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
    let index = match asked.decide(snapshot) {
        Ok(decision) => decision.route,
        Err(None) => return Err("the configuration has no listener".to_owned()),
        Err(Some(failure)) => {
            return match expect.status {
                Some(status) if status == failure.status() && expect.route.is_none() => Ok(()),
                _ => Err(format!("{failure} ({})", failure.status().as_u16())),
            };
        }
    };
    let route = &snapshot.routes[index.0 as usize];
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
    let regex = snapshot
        .table
        .spec(index)
        .and_then(|spec| match &spec.path {
            PathMatch::Regex(regex) => Some(regex),
            PathMatch::Any | PathMatch::Exact(_) | PathMatch::Prefix(_) => None,
        });
    check_action(snapshot, test, (route, regex), &asked.user())
}

fn check_action(
    snapshot: &Snapshot,
    test: &RouteTest,
    (route, regex): (&Route, Option<&Regex>),
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
                let path = path.as_deref().unwrap_or_else(|| url.path());
                location(redirect, regex, &test.request, path)
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
fn location(redirect: &Redirect, regex: Option<&Regex>, test: &TestRequest, path: &str) -> String {
    let url = &test.url;
    let headers: Headers = test.headers.iter().cloned().collect();
    let made = redirect.location(|place, out| {
        let text = match place {
            Placeholder::Host => url.host(),
            Placeholder::HostPort => url.authority().map(|it| it.as_str()),
            Placeholder::Path => Some(path),
            Placeholder::Query => return put_query(url.query(), out),
            Placeholder::Scheme => url.scheme_str(),
            Placeholder::Method => Some(test.method.as_str()),
            Placeholder::Parameter(_) => return put_parameter(url.query(), place.part(), out),
            Placeholder::Group(_) => return put_group(regex, url.path(), place.part(), out),
            place => return Said::Fields(&headers).put(place, out),
        };
        out.extend_from_slice(text.unwrap_or_default().as_bytes());
    });
    let made = made.as_ref().and_then(|made| made.to_str().ok());
    made.unwrap_or_default().to_owned()
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
