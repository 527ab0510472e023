//! Tables about etcd, as settings of its client.

use std::sync::Arc;

use crate::{
    config::schema,
    upstream::{
        discovery::{EtcdSpec, SourceSpec},
        etcd::EtcdSettings,
    },
};

/// Returns the source of the keys under a prefix.
pub(super) fn source(written: &schema::DiscoverEtcd) -> SourceSpec {
    let login = written.user.clone().zip(written.password.clone());
    let settings = EtcdSettings {
        servers: written.endpoints.clone(),
        login,
        tls: super::client_settings(&written.tls.clone().unwrap_or_default()),
    };
    SourceSpec::Etcd(EtcdSpec {
        settings: Arc::new(settings),
        prefix: written.prefix.clone(),
    })
}
