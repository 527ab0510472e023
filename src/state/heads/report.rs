//! The report of a dry run.

use std::fmt::{self, Write as _};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Effect of a new configuration on recent requests.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Replayed {
    /// Number of kept request heads that were routed by both configurations.
    pub requests: u64,
    /// Age of the oldest of them, in seconds.
    pub over_seconds: u64,
    /// Number of them that would go to another route, pool or version, or be refused, or not be
    /// refused any more.
    pub moved: u64,
    /// Share of them, 0 to 1.
    pub share: f64,
    /// Those of them that are served now and would be refused.
    pub refused: u64,
    /// Those of them that would go where the configuration before the one in use sent them. A gate
    /// does not count them.
    #[serde(default)]
    pub returned: u64,
    /// The moves, the most frequent first.
    pub moves: Vec<HeadMove>,
    /// Rules that would apply otherwise to requests, whether they move or not.
    pub policies: Vec<PolicyChange>,
    /// Kept heads that cannot be judged, by the reason.
    pub unclear: Vec<UnclearHeads>,
    /// Judgement by the gate of the configuration in use, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<ReplayedGate>,
}

/// Requests that would go elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HeadMove {
    /// Their place now.
    pub from: RoutedTo,
    /// Their place by the new configuration.
    pub to: RoutedTo,
    /// Number of them.
    pub requests: u64,
    /// Some of them: method and URL, with secrets masked.
    pub examples: Vec<String>,
}

/// Place that a request goes to.
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
pub struct RoutedTo {
    /// Its route, if it has one.
    pub route: Option<String>,
    /// Pool, or answer of the proxy; for a refused request the reason.
    pub to: String,
    /// True if it is refused.
    pub refused: bool,
}

/// A rule that would apply otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PolicyChange {
    /// Key of the rule in the configuration of a route, or of a listener.
    pub policy: String,
    /// Route that the requests would have.
    pub route: String,
    /// Number of requests.
    pub requests: u64,
    /// One of them.
    pub example: String,
}

/// Heads that cannot be judged.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct UnclearHeads {
    /// Reason.
    pub why: String,
    /// Number of heads.
    pub requests: u64,
}

/// Judgement by `config.gate`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ReplayedGate {
    /// Maximum share of requests that may move, 0 to 1.
    pub routes_changed_max: f64,
    /// Judgement.
    pub verdict: GateVerdict,
}

/// Effect of `config.gate` on a reload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GateUse {
    /// It may refuse.
    #[default]
    Applies,
    /// The operator wants the reload whatever it says.
    Overridden,
}

/// Use of recent requests by a check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrafficUse {
    /// They are routed by the configuration that is checked.
    Replayed,
    /// They are left.
    Left,
}

/// Judgement of a gate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GateVerdict {
    /// Too few requests to judge: it does not stand in the way.
    TooFew,
    /// No more requests move than may.
    Passes,
    /// More requests move than may.
    Refuses,
}

impl RoutedTo {
    pub(super) fn served(route: Option<String>, to: String) -> Self {
        Self {
            route,
            to,
            refused: false,
        }
    }

    pub(super) fn refused(route: Option<String>, why: &str) -> Self {
        Self {
            route,
            to: why.to_owned(),
            refused: true,
        }
    }
}

impl Replayed {
    /// Has a gate judge it.
    #[must_use]
    pub fn judged(mut self, routes_changed_max: f64) -> Self {
        let away = self.moved.saturating_sub(self.returned);
        let share = away as f64 / self.requests.max(1) as f64;
        let verdict = if self.requests < REQUESTS_MIN {
            GateVerdict::TooFew
        } else if share > routes_changed_max {
            GateVerdict::Refuses
        } else {
            GateVerdict::Passes
        };
        self.gate = Some(ReplayedGate {
            routes_changed_max,
            verdict,
        });
        self
    }

    /// Returns true if a gate refuses the new configuration.
    pub fn is_refused(&self) -> bool {
        self.gate
            .is_some_and(|gate| gate.verdict == GateVerdict::Refuses)
    }

    /// Its first line: how many requests move.
    pub fn headline(&self) -> String {
        let Self {
            requests,
            moved,
            over_seconds,
            ..
        } = self;
        if *requests == 0 {
            return "no recent request to judge by".to_owned();
        }
        let mut line = format!(
            "{moved} of {requests} recent requests ({}) would be routed otherwise",
            percent(self.share)
        );
        // Writing to a text cannot fail.
        if self.refused > 0 {
            let _ = write!(line, ", {} of them refused", self.refused);
        }
        if self.returned > 0 {
            let _ = write!(
                line,
                ", {} of them as before the last change",
                self.returned
            );
        }
        let _ = write!(line, " (sample of the last {over_seconds} s)");
        if let Some(gate) = &self.gate {
            let max = percent(gate.routes_changed_max);
            let _ = match gate.verdict {
                GateVerdict::TooFew => write!(
                    line,
                    "; too few to judge: config.gate asks for {REQUESTS_MIN}"
                ),
                GateVerdict::Passes => write!(line, "; config.gate allows {max}"),
                GateVerdict::Refuses => write!(line, "; config.gate allows only {max}"),
            };
        }
        line
    }
}

impl fmt::Display for Replayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        for HeadMove {
            from,
            to,
            requests,
            examples,
        } in &self.moves
        {
            write!(f, "\n  {requests}: {from} -> {to}")?;
            for example in examples {
                write!(f, "\n      {example}")?;
            }
        }
        for PolicyChange {
            policy,
            route,
            requests,
            example,
        } in &self.policies
        {
            write!(
                f,
                "\n  {requests}: other {policy} on route \"{route}\"\n      {example}"
            )?;
        }
        for UnclearHeads { why, requests } in &self.unclear {
            write!(f, "\n  {requests} more cannot be judged: {why}")?;
        }
        Ok(())
    }
}

impl fmt::Display for RoutedTo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(route) = &self.route {
            write!(f, "route \"{route}\", ")?;
        }
        match self.refused {
            true => write!(f, "refused: {}", self.to),
            false => f.write_str(&self.to),
        }
    }
}

fn percent(share: f64) -> String {
    let tenths = (share * 1000.0).round() / 10.0;
    format!("{tenths} %")
}

/// Number of requests that a judgement needs.
const REQUESTS_MIN: u64 = 100;
