//! Names whose values are secrets, as far as a configuration says so.

use crate::{
    config::{
        Config,
        schema::{AuthStep, KeySource},
    },
    semantics::secret_names::SecretNames,
};

/// The rule, with the names of keys, those that the access log masks or shows, those of conditions
/// whose values come from elsewhere, and the debug header.
pub(super) fn compile(config: &Config) -> SecretNames {
    let ways = config
        .routes
        .values()
        .filter_map(|route| route.auth.as_ref());
    let ways = ways.flat_map(|auth| auth.ways());
    let sources = ways.filter_map(|way| match way {
        AuthStep::ApiKey(key) => Some(&key.source),
        AuthStep::Jwt(jwt) => jwt.source.as_ref(),
        _ => None,
    });
    let keys = sources.filter_map(|source| match source {
        KeySource::Header(name) => Some(name.as_str()),
        KeySource::Query(name) => Some(name.as_str()),
        // The value of no cookie is kept.
        KeySource::Cookie(_) => None,
    });
    let fields = config.access_log.as_ref().map(|log| &log.fields);
    let masked = fields.into_iter().flat_map(|it| &it.redact);
    let shown = fields.into_iter().flat_map(|it| &it.show);
    let debug = config.proxy.debug_header.iter();
    let debug = debug.map(|header| header.name.as_str());
    let names = keys.chain(masked.map(String::as_str)).chain(debug);
    let names = names.chain(of_conditions(config));
    let mut names: Vec<&str> = names.collect();
    names.sort_unstable();
    names.dedup();
    SecretNames::new(names, shown.map(String::as_str))
}

/// Names of headers and parameters that routes compare with values from elsewhere.
fn of_conditions(config: &Config) -> impl Iterator<Item = &str> {
    config.routes.iter().flat_map(move |(route, written)| {
        let headers = written.headers.iter().map(|(name, _)| name.as_str());
        let headers = headers.map(|name| ("headers", name));
        let query = written.query.iter().map(|(name, _)| ("query", &**name));
        let all = headers.chain(query);
        all.filter_map(move |(kind, name)| {
            let place = ["routes", route, kind, name];
            config.hides(&place).then_some(name)
        })
    })
}
