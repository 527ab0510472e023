//! `[rollouts.NAME]`: a controlled change from one version of a service to the next.

use std::time::Duration;

use http::HeaderName;

use crate::config::setting::{Spanned, Spans, table, words};
use crate::config::value::{HashKey, HttpUrl, Name, Ratio, Secret};

table! {
    /// A controlled change of the version that users get.
    pub struct Rollout {
        /// Pool that has endpoints of both versions.
        pub pool: Spanned<Name>,
        /// Requirement that the old version meets, such as `"^1"`.
        pub baseline: semver::VersionReq,
        /// Requirement that the new version meets, such as `"^2"`. Pre-releases such as 2.1.0-rc.1 only where it names one.
        pub candidate: semver::VersionReq,
        /// Steps with a growing share of the users; after the last one the new version has all. `[]`: all at once.
        pub steps: Vec<RolloutStep> = RolloutStep::usual(),
        /// Time for which the new version is still watched when it has all users, before the rollout is `promoted`.
        pub watch: Duration = Duration::ZERO,
        /// Conditions under which a step may end.
        pub gate: RolloutGate = RolloutGate::default(),
        /// Recognition of users, and headers by which testers choose.
        pub pin: RolloutPin = RolloutPin::default(),
        /// Reaction to a new version that is worse.
        pub on_failure: OnFailure = OnFailure::Rollback,
        /// Every raise of the share waits for a person: `sluicegate rollout promote NAME`.
        pub approve: bool = false,
        /// Message about each change of state or step.
        pub notify: Option<RolloutNotify> = None,
    }
}

table! {
    /// Message about each change of a rollout: a POST with the JSON of its event, tried three times. Any status from 200 to 299 is success.
    pub struct RolloutNotify {
        /// URL that gets the message, http or https.
        pub webhook: HttpUrl,
        /// Token sent as `Authorization: Bearer`.
        pub token: Option<Secret> = None,
    }
}

table! {
    /// A step of a rollout.
    pub struct RolloutStep {
        /// Share of the users that get the new version; more than in the step before, and less than all.
        pub share: Ratio,
        /// Minimum time of the step.
        pub hold: Duration,
    }
}

table! {
    /// Conditions of a step, and of a rollback.
    pub struct RolloutGate: Default {
        /// Requests of the new version that a step needs; with fewer it holds.
        pub volume_min: u32 = 200,
        /// Largest share of failures of the new version with which a step may end. Not set: any, if the old version is no better.
        pub error_ratio_max: Option<Ratio> = None,
        /// Maximum by which the observed share of failures may exceed that of the old version for a step to end.
        pub error_increase_max: Ratio = Ratio::percent(1),
        /// A step needs proof that the share of failures is not above the old version's by `error_increase_max`, in place of an observed one within it. The chance to promote a version that is so much worse is at most 1 − `confidence`.
        pub proof: bool = false,
        /// Unit that is counted: every request, or the first request of each user in a step. For services whose failures come in bursts of one user.
        pub unit: RolloutUnit = RolloutUnit::Request,
        /// Limit on the latency, against that of the old version at the same time.
        pub latency: Option<RolloutLatency> = None,
        /// Largest share of answers of the new version to copies of requests that differ from the old one's, or are missing; needs a `shadow` with `compare` on a route, to the candidate's version. At least 50 must be compared.
        pub shadow_mismatch_max: Option<Ratio> = None,
        /// One minus the chance of ever rolling back a version that is no worse; below 1.
        pub confidence: Ratio = Ratio::percent(99),
    }
}

table! {
    /// Limit on the latency of the new version.
    pub struct RolloutLatency {
        /// Quantile of the time to the response head, below 1.
        pub quantile: Ratio = Ratio::percent(99),
        /// Multiple of the old version's that is allowed, at least 1.
        pub ratio_max: f64 = 1.3,
    }
}

table! {
    /// Recognition of the users of a rollout.
    pub struct RolloutPin: Default {
        /// Part of a request that names the user: `"cookie:NAME"`, `"header:NAME"`, `"query:NAME"` or `"client_ip"`. Without it, and for requests that do not have it, the proxy sets a cookie of its own.
        pub by: Option<HashKey> = None,
        /// Headers by which testers choose: with this value the new version, with `never` the old one.
        pub header: Vec<(HeaderName, String)> = Vec::new(),
        /// Name of the proxy's own cookie. Its value is a random number of 24 bits.
        pub cookie: String = "sluicegate_rollout".to_owned(),
    }
}

words! {
    /// Unit of the comparison.
    pub enum RolloutUnit {
        /// Each request.
        Request = "request",
        /// Each user, by his first request in a step.
        User = "user",
    }
}

words! {
    /// Reaction to a new version that is worse.
    pub enum OnFailure {
        /// All users go back at once.
        Rollback = "rollback",
        /// The share is halved every 5 s.
        Gradual = "gradual",
        /// The share stays as it is until a person decides.
        Freeze = "freeze",
    }
}

impl RolloutStep {
    fn usual() -> Vec<Self> {
        [(1, 2), (10, 5), (50, 5)]
            .map(|(percent, minutes)| Self {
                share: Ratio::percent(percent),
                hold: Duration::from_secs(60 * minutes),
                spans: Spans::default(),
            })
            .into()
    }
}
