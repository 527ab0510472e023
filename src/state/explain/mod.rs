//! `explain`: the destination of a request, and the reasons against the others.
//!
//! Makes the answer that both the command line and the admin API give.

mod candidate;

use std::{collections::BTreeMap, net::IpAddr};

use schemars::JsonSchema;
use semver::VersionReq;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

pub use candidate::ExplainedCandidate;
use candidate::candidates;

use crate::{
    config::{Config, value::ByteSize},
    filter::{AuthFilter, KeptOut, RateRule, RateStore},
    rollout::{self, BadVersion, Rollout},
    route::Explanation,
    semantics::Headers,
    state::{self, Action, ArrivalReason, Asked, Route, Snapshot, decision},
    upstream::{
        HashInput,
        pool::{PoolIndex, ViewIndex},
    },
};

/// Explanation of a request's destination.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Explained {
    /// Listener that it would arrive at.
    pub listener: String,
    /// Reason for that listener.
    pub listener_by: ArrivalReason,
    /// Rules of the listener on the rate of requests; asked before the route is chosen.
    #[serde(default)]
    pub listener_rate_limits: Vec<ExplainedRate>,
    /// The winning route, if any.
    pub route: Option<String>,
    /// Action of the route.
    pub action: Option<ExplainedAction>,
    /// Version that the request asks for, on a route that allows it; an empty text: one that cannot be
    /// read, so that it is refused with 400.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version_asked: Option<String>,
    /// Policies that apply to the request.
    pub policies: Option<ExplainedPolicies>,
    /// The state of the pool's breaker, where that is known.
    #[serde(default)]
    pub breaker: Option<String>,
    /// Endpoints that could serve it.
    pub candidates: Vec<ExplainedCandidate>,
    /// Every route, with the reason why it won or lost.
    pub routes: Explanation,
}

/// Action of a route on a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExplainedAction {
    /// Sends it to this pool.
    Pool(String),
    /// Sends its user to one of several pools.
    Split(ExplainedSplit),
    /// Sends its user to one of two versions.
    Rollout(ExplainedRollout),
    /// Redirects it with this status.
    Redirect(u16),
    /// Answers it with this status.
    Respond(u16),
}

/// Split of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedSplit {
    /// Pool of this request's user; none: he is not recognised, and gets one by chance.
    pub pool: Option<String>,
    /// Part of a request that users are recognised by.
    pub by: String,
    /// Weight of each pool.
    pub weights: BTreeMap<String, u32>,
}

/// Attempts that a route makes beside a slow one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedHedge {
    /// Time without a response head after which another begins: a duration or a quantile.
    pub after: String,
    /// Maximum number of them.
    pub max: u32,
}

/// A rule on the rate of requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedRate {
    /// Its name.
    pub name: String,
    /// Part of a request that has a rate of its own.
    pub key: String,
    /// The rate, such as `100/s`.
    pub rate: String,
    /// Requests that a full bucket is for.
    pub burst: u64,
    /// True if it only counts.
    pub dry_run: bool,
    /// Place of its buckets: `local` or `redis`.
    pub store: String,
}

impl ExplainedRate {
    /// Describes a rule.
    pub fn of(rule: &RateRule) -> Self {
        Self {
            name: rule.name.to_string(),
            key: rule.key.to_string(),
            rate: rule.rate.to_string(),
            burst: rule.burst,
            dry_run: rule.dry_run,
            store: match rule.store {
                RateStore::Local(_) => "local",
                RateStore::Redis(_) => "redis",
            }
            .to_owned(),
        }
    }
}

/// Rollout of a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedRollout {
    /// Name of the rollout.
    pub name: String,
    /// Pool that has both versions.
    pub pool: String,
    /// Requirement of the version of this request's user; none: he is not recognised, and gets one by
    /// chance.
    pub version: Option<String>,
    /// Part of a request that users are recognised by.
    pub by: String,
    /// True if the request asks for a version itself.
    pub pinned: bool,
    /// Share of the users that get the new version, 0 to 1.
    pub share: f64,
}

/// Policies that apply to a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedPolicies {
    /// Time limits.
    pub timeouts: ExplainedTimeouts,
    /// Maximum number of attempts.
    pub attempts: u32,
    /// Attempts beside a slow one; none: the route does not hedge.
    pub hedge: Option<ExplainedHedge>,
    /// Rules on the rate of requests, in the order in which they are asked.
    #[serde(default)]
    pub rate_limits: Vec<ExplainedRate>,
    /// Ways to authenticate the client, which must all pass.
    #[serde(default)]
    pub auth: Vec<String>,
    /// Filters in the order in which the request passes them.
    pub filters: Vec<String>,
    /// Reason for which the client's address is refused, whatever else is in its request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Policies of `[policies]` that keys of the route come from, by the key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub from_policies: BTreeMap<String, Vec<String>>,
    /// Policies whose keys have no effect here, as the route writes them itself, by the key.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub replaced_policies: BTreeMap<String, Vec<String>>,
    /// True if gRPC-Web is turned into gRPC.
    pub grpc_web: bool,
    /// Maximum size of its body in bytes.
    pub body_max: Option<u64>,
    /// True if that is the default, which does not hold for calls of gRPC.
    #[serde(default)]
    pub body_max_is_default: bool,
    /// Copies of requests like this one.
    #[serde(default)]
    pub shadow: Option<ExplainedShadow>,
}

/// Copies of requests to another pool or version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedShadow {
    /// Pool, and version if there is a requirement.
    pub to: String,
    /// Share of the requests, 0 to 1.
    pub share: f64,
}

/// Time limits of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExplainedTimeouts {
    /// Limit of all attempts, until the head of the response.
    pub total_ms: u64,
    /// Limit of one attempt.
    pub attempt_ms: u64,
    /// Limit without a byte in either direction.
    pub idle_ms: u64,
    /// True if a client may shorten the first limit.
    #[serde(default)]
    pub from_client: bool,
}

/// Knowledge of the endpoints' health: only a running snapshot has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HealthKnown {
    /// It runs.
    Yes,
    /// It was only compiled from a file: the endpoints are not checked.
    No,
}

/// Explains a request, by the function that routes.
///
/// # Errors
/// The reason why the request would be refused before routing.
pub fn explain(
    snapshot: &Snapshot,
    asked: &Asked,
    health: HealthKnown,
) -> Result<Explained, String> {
    let authority = asked.authority();
    let authority = authority.map_err(|rule| rule.sentence().to_owned())?;
    let arrival = asked.arrive(snapshot, authority.as_ref())?;
    let view = asked.view(authority.as_ref(), arrival.listener);
    let routes =
        decision::explain(snapshot, &view).map_err(|failure| failure.sentence().to_owned())?;
    let decision = state::route(snapshot, &view).ok();
    let route = decision.map(|decision| &snapshot.routes[decision.route.0 as usize]);
    let wanted = route.map_or(Ok(None), |route| wanted(route, asked.user().headers));
    let home = route.and_then(|route| match &route.action {
        Action::Rollout(rollout) if wanted != Ok(None) => {
            Some((rollout.pool, ViewIndex::default()))
        }
        action => action.home(&asked.user()),
    });
    let explained = Explained {
        listener: arrival.listener.name.to_string(),
        listener_by: arrival.reason,
        listener_rate_limits: {
            let rates = arrival.listener.rates.iter();
            let rules = rates.flat_map(|rates| rates.rules());
            rules.map(ExplainedRate::of).collect()
        },
        route: route.map(|route| route.name.to_string()),
        action: route.map(|route| action(snapshot, &route.action, &asked.user())),
        version_asked: match &wanted {
            Ok(wanted) => wanted.as_ref().map(ToString::to_string),
            Err(BadVersion) => Some(String::new()),
        },
        policies: route.map(|route| policies(snapshot, route, view.client)),
        breaker: home.and_then(|(pool, _)| breaker(snapshot, pool, health)),
        candidates: home.map_or_else(Vec::new, |home| {
            let wanted = wanted.as_ref().ok().and_then(Option::as_ref);
            candidates(snapshot, home, wanted, health)
        }),
        routes,
    };
    masked(&explained, &snapshot.config)
}

/// The version that a request asks for, if the route allows that.
fn wanted(route: &Route, headers: &Headers) -> Result<Option<VersionReq>, BadVersion> {
    match &route.version_header {
        Some(name) => rollout::asked(headers, name),
        None => Ok(None),
    }
}

/// Masks hidden values in its sentences.
fn masked(explained: &Explained, config: &Config) -> Result<Explained, String> {
    let told = serde_json::to_value(explained).and_then(|mut told| {
        config.mask_sentences(&mut told);
        serde_json::from_value(told)
    });
    told.map_err(|error| error.to_string())
}

fn action(snapshot: &Snapshot, action: &Action, user: &HashInput<'_>) -> ExplainedAction {
    let name = |pool: PoolIndex| snapshot.pools[pool.0 as usize].name.to_string();
    match action {
        Action::Pool(pool, _) => ExplainedAction::Pool(name(*pool)),
        Action::Split(split) => ExplainedAction::Split(ExplainedSplit {
            pool: action.home(user).map(|(pool, _)| name(pool)),
            by: split.users.label().into_owned(),
            weights: split
                .arms
                .iter()
                .map(|arm| (arm.name.to_string(), arm.arm.weight))
                .collect(),
        }),
        Action::Rollout(rollout) => ExplainedAction::Rollout(of_rollout(snapshot, rollout, user)),
        Action::Redirect(redirect) => ExplainedAction::Redirect(redirect.status.as_u16()),
        Action::Respond(respond) => ExplainedAction::Respond(respond.status().as_u16()),
    }
}

fn of_rollout(snapshot: &Snapshot, rollout: &Rollout, user: &HashInput<'_>) -> ExplainedRollout {
    let pinned = rollout.pinned(user.headers);
    let known = || {
        let user_known = rollout.users.known(user)?;
        Some(rollout.choose(&user_known, user.headers).arm)
    };
    let arm = pinned.or_else(known);
    ExplainedRollout {
        name: rollout.name.to_string(),
        pool: snapshot.pools[rollout.pool.0 as usize].name.to_string(),
        version: arm.map(|arm| rollout.versions[arm as usize].to_string()),
        by: rollout.users.label().into_owned(),
        pinned: pinned.is_some(),
        share: rollout.state.shared.share().ratio(),
    }
}

fn policies(snapshot: &Snapshot, route: &Route, client: IpAddr) -> ExplainedPolicies {
    ExplainedPolicies {
        timeouts: ExplainedTimeouts {
            total_ms: millis(route.timeouts.total),
            attempt_ms: millis(route.timeouts.attempt),
            idle_ms: millis(route.timeouts.idle),
            from_client: route.deadlines,
        },
        attempts: route.retry.attempts,
        hedge: route.retry.hedge.map(|hedge| ExplainedHedge {
            after: hedge.after.to_string(),
            max: hedge.max,
        }),
        rate_limits: route.filters.rate_rules().map(ExplainedRate::of).collect(),
        auth: route.filters.auth().flat_map(AuthFilter::names).collect(),
        filters: route
            .filters
            .names()
            .into_iter()
            .map(str::to_owned)
            .collect(),
        refused: match route.filters.keeps_out(client, true) {
            Some(KeptOut::Access(why)) => Some(why.to_string()),
            Some(KeptOut::ToHttps | KeptOut::Maintenance) | None => None,
        },
        from_policies: snapshot.config.policies.of_route(&route.name),
        replaced_policies: snapshot.config.policies.replaced_in(&route.name),
        grpc_web: route.grpc_web,
        body_max: route.body_max().map(ByteSize::bytes),
        body_max_is_default: route.bounds_bodies,
        shadow: route.shadow.as_ref().map(|shadow| ExplainedShadow {
            to: shadow.to_string(),
            share: shadow.share,
        }),
    }
}

/// State of the pool's breaker, with its cause.
fn breaker(snapshot: &Snapshot, index: PoolIndex, known: HealthKnown) -> Option<String> {
    let pool = &snapshot.pools[index.0 as usize];
    if pool.breaker.is_none() || known == HealthKnown::No {
        return None;
    }
    let view = pool.shared.breaker.view(Instant::now())?;
    let cause = view.cause.map(|cause| format!(": {cause}"));
    Some(format!("{}{}", view.state, cause.unwrap_or_default()))
}

fn millis(time: std::time::Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
