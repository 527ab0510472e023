//! Checks on `[tests]`: each expects something, and names tables that exist.

use super::Check;
use crate::config::schema::Expectation;

pub(super) fn check(check: &mut Check<'_>) {
    let config = check.config;
    for (name, test) in &config.tests {
        if let Some(listener) = &test.request.listener {
            check.refer("listeners", listener, &config.listeners, |wanted| {
                format!("test \"{name}\" comes in by listener \"{wanted}\", which is not defined")
            });
        }
        let expect = &test.expect;
        if let Some(route) = &expect.route {
            check.refer("routes", route, &config.routes, |wanted| {
                format!("test \"{name}\" expects route \"{wanted}\", which is not defined")
            });
        }
        if let Some(pool) = &expect.pool {
            check.refer("pools", pool, &config.pools, |wanted| {
                format!("test \"{name}\" expects pool \"{wanted}\", which is not defined")
            });
        }
        if expects_nothing(expect) {
            let message = format!("test \"{name}\" expects nothing, so it could not fail");
            let hint = "such as expect = { route = \"…\" }";
            check.error(expect.spans.anchor(), message, hint);
        }
    }
}

fn expects_nothing(expect: &Expectation) -> bool {
    let Expectation {
        route,
        pool,
        version,
        status,
        header,
        redirect,
        spans: _,
    } = expect;
    route.is_none()
        && pool.is_none()
        && version.is_none()
        && status.is_none()
        && header.is_empty()
        && redirect.is_none()
}
