//! The admin API of the process, made from its table of the configuration.

use std::sync::Arc;

use super::{
    StartError,
    control::Control,
    metrics_listener::{MetricsSocket, admin_socket},
    operations::Api,
    reload::Prepared,
};
use crate::{
    admin::{AdminListener, AdminServer, AdminSettings, Scope, Tokens},
    config::{
        schema,
        value::{Mismatch, Secret},
    },
    socket::passed::Passed,
};

impl Control {
    /// Opens the socket of the admin API, if the configuration has one.
    pub(super) fn start_admin(
        &mut self,
        prepared: &Prepared,
        passed: Option<&Passed>,
    ) -> Result<Option<AdminServer>, StartError> {
        let Some(written) = &prepared.snapshot.config.admin else {
            return Ok(None);
        };
        let failed = |error: &dyn std::fmt::Display| StartError::Admin(error.to_string());
        let address = &written.address;
        let socket = admin_socket(address, written.mode, &self.shared.inherited, passed);
        let listener = socket
            .and_then(AdminListener::new)
            .map_err(|error| failed(&format!("cannot listen on {address}: {error}")))?;
        let offer = listener.offer().map_err(|error| failed(&error))?;
        self.admin_offer = offer.map(|offer| (written.address.clone(), Arc::new(offer)));
        let settings = AdminSettings {
            tokens: tokens(written).map_err(|error| failed(&error))?,
            scope: Scope::Whole,
            connections_max: CONNECTIONS_MAX,
        };
        let api = self.api();
        let server = AdminServer::new(listener, settings, api, Arc::clone(&self.events))
            .map_err(|error| failed(&error))?;
        tracing::info!(address = %server.address(), "admin API");
        self.admin = Some(server.control());
        Ok(Some(server))
    }

    /// Makes the interface by which the admin API and the metrics listener see the process.
    fn api(&self) -> Arc<Api> {
        Arc::new(Api::new(
            Arc::clone(&self.shared),
            Arc::clone(&self.board),
            self.path.clone(),
            self.requests.clone(),
        ))
    }

    /// Replaces the metrics listener, if its address changed.
    pub(super) fn follow_metrics(&self, socket: Option<Option<MetricsSocket>>) {
        let Some(socket) = socket else {
            return;
        };
        let api = self.api();
        if let Err(error) = self.metrics.take_up(socket, api, &self.events) {
            tracing::error!(%error, "the metrics listener cannot serve");
        }
    }
}

/// Reads the tokens of the admin API.
pub(super) fn tokens(written: &schema::Admin) -> Result<Tokens, Mismatch> {
    Ok(Tokens {
        change: reveal(written.token.as_ref())?,
        read: reveal(written.read_token.as_ref())?,
    })
}

fn reveal(secret: Option<&Secret>) -> Result<Option<String>, Mismatch> {
    let text = secret.map(Secret::reveal).transpose();
    let text = text.map_err(Clone::clone)?;
    Ok(text.map(str::to_owned))
}

/// Maximum number of connections to the admin API, and to the metrics listener.
pub(super) const CONNECTIONS_MAX: usize = 64;
