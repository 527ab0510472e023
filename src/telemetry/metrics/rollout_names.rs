//! The metric families of rollouts.
//!
//! As `names`, which gives them on.

use super::descriptor::{CounterDesc, GaugeDesc};

/// Share of the users that a rollout gives the candidate.
pub static ROLLOUT_SHARE: GaugeDesc<1> = GaugeDesc::new(
    "sluicegate_rollout_share",
    "Share of the users that get the new version, 0 to 1.",
    ["rollout"],
)
.in_millionths();

/// State of a rollout; 1 for the present one.
pub static ROLLOUT_STATE: GaugeDesc<2> = GaugeDesc::new(
    "sluicegate_rollout_state",
    "1 for the state that a rollout is in: `pending`, `running`, `holding`, `waiting`, `promoted`, `rolling_back`, `rolled_back` or `frozen`.",
    ["rollout", "state"],
);

/// 1 while the store of rollouts answers.
pub static ROLLOUT_STORE_UP: GaugeDesc<0> = GaugeDesc::new(
    "sluicegate_rollout_store_up",
    "1 while the store of `proxy.rollout_store` answers.",
    [],
);

/// 1 for the rollouts that this proxy leads in its fleet.
pub static ROLLOUT_LEADS: GaugeDesc<1> = GaugeDesc::new(
    "sluicegate_rollout_leads",
    "1 while this proxy leads the rollout in its fleet.",
    ["rollout"],
);

/// Changes of the leader of a rollout.
pub static ROLLOUT_LEADER_CHANGES_TOTAL: CounterDesc<1> = CounterDesc::new(
    "sluicegate_rollout_leader_changes_total",
    "Changes of the leader of a rollout, as this proxy saw them.",
    ["rollout"],
);
