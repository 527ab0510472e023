//! Tables about etcd, as settings of its client.

use std::sync::Arc;

use crate::{
    config::{
        schema,
        value::{Secret, ServerUrl},
    },
    upstream::{
        discovery::{EtcdSpec, SourceSpec},
        etcd::EtcdSettings,
    },
};

/// Returns the source of the keys under a prefix.
pub(super) fn source(written: &schema::DiscoverEtcd) -> SourceSpec {
    SourceSpec::Etcd(EtcdSpec {
        settings: Arc::new(settings(
            &written.endpoints,
            written.user.clone().zip(written.password.clone()),
            written.tls.as_ref(),
        )),
        prefix: written.prefix.clone(),
    })
}

/// Returns the servers that keep a configuration.
pub fn config_store(written: &schema::ConfigEtcd) -> EtcdSettings {
    settings(
        &written.endpoints,
        written.user.clone().zip(written.password.clone()),
        written.tls.as_ref(),
    )
}

/// Returns the servers that keep the progress of rollouts.
pub fn rollout_servers(written: &schema::RolloutEtcd) -> EtcdSettings {
    settings(
        &written.endpoints,
        written.user.clone().zip(written.password.clone()),
        written.tls.as_ref(),
    )
}

/// Returns the way to the registry of a listener.
pub(super) fn registry(written: &schema::RegisterEtcd) -> EtcdSettings {
    settings(
        &written.endpoints,
        written.user.clone().zip(written.password.clone()),
        written.tls.as_ref(),
    )
}

fn settings(
    servers: &[ServerUrl],
    login: Option<(String, Secret)>,
    tls: Option<&schema::PoolTls>,
) -> EtcdSettings {
    EtcdSettings {
        servers: servers.to_vec(),
        login,
        tls: super::client_settings(&tls.cloned().unwrap_or_default()),
    }
}
