//! The store of a fleet in tests.

use crate::harness::{Consul, Etcd};

/// A real store.
pub(super) enum Store {
    Etcd(Etcd),
    Consul(Consul),
}

impl Store {
    /// The value of `rollout_store`.
    pub(super) fn table(&self) -> String {
        match self {
            Self::Etcd(etcd) => at(&etcd.url()),
            Self::Consul(consul) => format!(
                r#"{{ consul = {{ address = "http://{}", prefix = "edge/rollouts/" }} }}"#,
                consul.address()
            ),
        }
    }

    /// Ends it at once.
    pub(super) fn kill(&mut self) {
        match self {
            Self::Etcd(etcd) => etcd.kill(),
            Self::Consul(consul) => consul.kill(),
        }
    }

    /// Starts it again, with its data.
    pub(super) async fn run(&mut self) {
        match self {
            Self::Etcd(etcd) => {
                etcd.run();
                etcd.is_ready().await;
            }
            Self::Consul(consul) => {
                consul.run();
                consul.is_ready().await;
            }
        }
    }
}

/// The value of `rollout_store` for a server of etcd at this URL.
pub(super) fn at(url: &str) -> String {
    format!(r#"{{ etcd = {{ endpoints = ["{url}"], prefix = "edge/rollouts/" }}, lease = "5s" }}"#)
}
