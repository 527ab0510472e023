//! Condition of an endpoint in words: the same in `status`, `top`, `explain`, `/pools`, the
//! dashboard and the messages about a pool.

use std::{borrow::Cow, collections::HashMap};

use super::{
    endpoint::{Endpoint, Standing},
    health::EndpointView,
    pool::Pool,
};

/// Condition of an endpoint of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// Its state, or what else keeps new requests away.
    pub words: Cow<'static, str>,
    /// True if it may get new requests.
    pub serves: bool,
}

impl Condition {
    /// Tells the condition of an endpoint; `in_panic` if its pool ignores health.
    pub fn of(endpoint: &Endpoint, view: &EndpointView, in_panic: bool) -> Self {
        let state = match view.state.word() {
            "ejected_by_operator" => "ejected by operator",
            word => word,
        };
        let out = |words: Cow<'static, str>| Self {
            words,
            serves: false,
        };
        match &endpoint.standing {
            _ if !view.state.is_enabled() => out(state.into()),
            Standing::Down(why) | Standing::Leaving(why) => out(format!("down: {why}").into()),
            Standing::Up if endpoint.weight == 0 && view.eligible => out("weight 0".into()),
            Standing::Up if endpoint.weight == 0 => out(format!("{state}, weight 0").into()),
            Standing::Up => Self {
                words: state.into(),
                serves: view.eligible || in_panic,
            },
        }
    }
}

/// Returns the words for what keeps all endpoints of a pool away, the most frequent first; none if
/// one may get requests.
pub fn kept_out(pool: &Pool, in_panic: bool) -> Option<String> {
    let set = pool.endpoint_set();
    let picture = set.health.picture();
    let mut counts: HashMap<_, usize> = HashMap::new();
    for (endpoint, view) in set.endpoints.iter().zip(&picture.endpoints) {
        let condition = Condition::of(endpoint, view, in_panic);
        if condition.serves {
            return None;
        }
        *counts.entry(condition.words).or_default() += 1;
    }
    if counts.is_empty() {
        let source = pool.discovery.as_ref().map(|it| it.source.to_string());
        let was_read = pool.shared.discovered.status().succeeded.is_some();
        return Some(match source {
            Some(source) if was_read => format!("{source} has none"),
            Some(source) => format!("no list of {source} was read yet"),
            None => "it has none; list one in `endpoints`".to_owned(),
        });
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
    let more = counts.len().saturating_sub(WORDS_MAX);
    let words = counts.iter().take(WORDS_MAX);
    let mut words: Vec<String> = words
        .map(|(what, count)| format!("{count} {what}"))
        .collect();
    if more > 0 {
        words.push(format!("{more} other states"));
    }
    Some(words.join(", "))
}

/// Maximum number of states that are named.
const WORDS_MAX: usize = 4;

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{config::value::EndpointAddress, upstream::health::EndpointState};

    #[test]
    fn an_endpoint_that_gets_nothing_says_why_whatever_its_health() {
        use EndpointState::{Draining, EjectedByOperator, Healthy, Unhealthy};
        let address = EndpointAddress::parse("10.0.0.1:80", Path::new("/")).unwrap();
        for (weight, down, state, in_panic, words, serves) in [
            (1, None, Healthy, false, "healthy", true),
            (1, None, Unhealthy, false, "unhealthy", false),
            (1, None, Unhealthy, true, "unhealthy", true),
            (0, None, Healthy, false, "weight 0", false),
            (0, None, Unhealthy, true, "unhealthy, weight 0", false),
            (1, Some("critical"), Healthy, true, "down: critical", false),
            (1, Some("critical"), Draining, false, "draining", false),
            (
                0,
                None,
                EjectedByOperator,
                true,
                "ejected by operator",
                false,
            ),
        ] {
            let endpoint = Endpoint {
                weight,
                standing: down.map_or(Standing::Up, |why| Standing::Down(why.into())),
                ..Endpoint::new(address.clone(), None)
            };
            let view = EndpointView {
                address: "10.0.0.1:80".into(),
                state,
                eligible: state == Healthy,
                cause: None,
                ejected_until: None,
                overdue: false,
                ejections: 0,
                recovered: None,
            };
            let words = Cow::Borrowed(words);
            let told = Condition::of(&endpoint, &view, in_panic);
            assert_eq!(told, Condition { words, serves });
        }
    }
}
