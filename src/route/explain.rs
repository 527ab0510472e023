//! Explanation of routing: the reasons for a request's route and against all others.
//!
//! Tests the matchers of each route one after the other, without the index, so that it also checks
//! the index: a property test compares the two.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::table::{Facts, Route, RouteTable};
use super::tree::Place;

/// Decision on one request, with the reason for every route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Explanation {
    /// The route that takes the request.
    pub winner: Option<String>,
    /// Reason why the request is refused before any route takes it.
    pub refused: Option<String>,
    /// The winner first, then those that match too, best first, then the others by precedence.
    pub verdicts: Vec<RouteVerdict>,
}

/// Verdict on one route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RouteVerdict {
    /// Name of the route.
    pub route: String,
    /// Result for the route: no match, match or winner.
    pub outcome: RouteOutcome,
    /// The reason, in words.
    pub reason: String,
}

/// Result for a route.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RouteOutcome {
    /// It takes the request.
    Wins,
    /// It would take the request if the path were not refused.
    Refused,
    /// It matches, but a more specific one does too.
    Outranked,
    /// A condition does not hold.
    NoMatch,
}

impl Explanation {
    pub(super) fn new(table: &RouteTable, facts: &Facts<'_>) -> Self {
        let path = facts.path.as_str();
        let winner = best(table, facts, path);
        let refused = refusal(table, facts, winner);
        let end = if refused.is_some() {
            RouteOutcome::Refused
        } else {
            RouteOutcome::Wins
        };
        let mut verdicts: Vec<(RouteOutcome, Place, RouteVerdict)> = table
            .routes
            .iter()
            .map(|route| judge(table, facts, route, winner, end))
            .collect();
        verdicts.sort_by_key(|(outcome, place, _)| (*outcome, *place));
        Self {
            winner: winner
                .filter(|_| refused.is_none())
                .map(|place| table.name_at(place).to_owned()),
            refused,
            verdicts: verdicts
                .into_iter()
                .map(|(_, _, verdict)| verdict)
                .collect(),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.refused, &self.winner) {
            (Some(reason), _) => writeln!(f, "refused: {reason}")?,
            (None, Some(winner)) => writeln!(f, "route \"{winner}\"")?,
            (None, None) => writeln!(f, "no route")?,
        }
        for verdict in &self.verdicts {
            let mark = match verdict.outcome {
                RouteOutcome::Wins => '+',
                RouteOutcome::Refused => '!',
                RouteOutcome::Outranked => '~',
                RouteOutcome::NoMatch => '-',
            };
            writeln!(f, "  {mark} {}: {}", verdict.route, verdict.reason)?;
        }
        Ok(())
    }
}

/// Returns the best place of all matching routes, by a linear scan.
fn best(table: &RouteTable, facts: &Facts<'_>, path: &str) -> Option<Place> {
    let places = table
        .routes
        .iter()
        .filter_map(|route| route.judge(facts, path).ok());
    places.min()
}

fn judge(
    table: &RouteTable,
    facts: &Facts<'_>,
    route: &Route,
    winner: Option<Place>,
    end: RouteOutcome,
) -> (RouteOutcome, Place, RouteVerdict) {
    let verdict = |outcome, place, reason| {
        let route = route.spec.name.to_string();
        (
            outcome,
            place,
            RouteVerdict {
                route,
                outcome,
                reason,
            },
        )
    };
    match (route.judge(facts, facts.path.as_str()), winner) {
        (Ok(place), Some(winner)) if place != winner => {
            let why = table.rank_at(winner).reason_before(table.rank_at(place));
            let reason = format!(
                "matches, but route \"{}\" is more specific: {why}",
                table.name_at(winner)
            );
            verdict(RouteOutcome::Outranked, place, reason)
        }
        (Ok(place), _) => verdict(end, place, describe_match(route)),
        (Err(mismatch), _) => {
            let listener = table.listener_name(facts.listener);
            let reason = mismatch.describe(&route.spec, facts, listener);
            verdict(RouteOutcome::NoMatch, route.best_place(), reason)
        }
    }
}

/// Describes the conditions of a route, all of which hold.
fn describe_match(route: &Route) -> String {
    let spec = &route.spec;
    let mut conditions = vec![spec.path.to_string()];
    let mut count = |number: usize, one: &str, many: &str| match number {
        0 => {}
        1 => conditions.push(format!("1 {one}")),
        _ => conditions.push(format!("{number} {many}")),
    };
    count(spec.hosts.len(), "host", "hosts");
    count(spec.methods.len(), "method", "methods");
    count(spec.headers.len(), "header", "headers");
    count(spec.query.len(), "query parameter", "query parameters");
    count(spec.cookies.len(), "cookie", "cookies");
    count(spec.source.len(), "source network", "source networks");
    count(
        spec.client_certificate.len(),
        "part of the client's certificate",
        "parts of the client's certificate",
    );
    format!("matches: {}", conditions.join(", "))
}

/// Returns the reason why [`RouteTable::find`] refuses the path, if it does.
fn refusal(table: &RouteTable, facts: &Facts<'_>, winner: Option<Place>) -> Option<String> {
    let decoded = facts.path.with_slashes_decoded()?;
    let other = best(table, facts, decoded);
    let same = match (winner, other) {
        (Some(here), Some(there)) => table.route_at(here) == table.route_at(there),
        (here, there) => here == there,
    };
    let name = |place: Option<Place>| match place {
        Some(place) => format!("route \"{}\"", table.name_at(place)),
        None => "no route".to_owned(),
    };
    (!same).then(|| {
        format!(
            "the path \"{}\" goes to {}, but with its encoded slash decoded, \"{decoded}\", to {}",
            facts.path.as_str(),
            name(winner),
            name(other)
        )
    })
}
