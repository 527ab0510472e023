//! The admin API of the process, made from its table of the configuration.

use std::sync::Arc;

use tokio::sync::mpsc;

use super::{
    StartError,
    control::{Control, Request},
    operations::Api,
    reload::Prepared,
};
use crate::{
    admin::{AdminListener, AdminServer, AdminSettings},
    config::value::{BindAddress, FileMode},
    socket::{bind::BindOptions, passed::Passed},
};

impl Control {
    /// Opens the socket of the admin API, if the configuration has one.
    pub(super) fn start_admin(
        &mut self,
        prepared: &Prepared,
        requests: mpsc::Sender<Request>,
        passed: Option<&Passed>,
    ) -> Result<Option<AdminServer>, StartError> {
        let Some(written) = &prepared.snapshot.config.admin else {
            return Ok(None);
        };
        let failed = |error: &dyn std::fmt::Display| StartError::Admin(error.to_string());
        let address = &written.address;
        let listener = self
            .admin_listener(address, written.mode, passed)
            .map_err(|error| failed(&format!("cannot listen on {address}: {error}")))?;
        let offer = listener.offer().map_err(|error| failed(&error))?;
        self.admin_offer = offer.map(|offer| (written.address.clone(), Arc::new(offer)));
        let token = written.token.as_ref().map(|token| token.reveal());
        let token = token.transpose().map_err(|error| failed(&error))?;
        let settings = AdminSettings {
            token: token.map(str::to_owned),
            connections_max: ADMIN_CONNECTIONS_MAX,
        };
        let api = Api::new(
            Arc::clone(&self.shared),
            Arc::clone(&self.board),
            self.path.clone(),
            requests,
        );
        let server = AdminServer::new(listener, settings, Arc::new(api), Arc::clone(&self.events))
            .map_err(|error| failed(&error))?;
        tracing::info!(address = %server.address(), "admin API");
        self.admin = Some(server.control());
        Ok(Some(server))
    }

    /// Returns the inherited or passed socket for this address, else a new one.
    fn admin_listener(
        &self,
        address: &BindAddress,
        mode: Option<FileMode>,
        passed: Option<&Passed>,
    ) -> std::io::Result<AdminListener> {
        let given = self.shared.inherited.take(address, 1).transpose()?;
        if let Some(socket) = given.and_then(|mut sockets| sockets.pop()) {
            return AdminListener::inherit(address, socket);
        }
        let options = BindOptions::default();
        let passed = passed.map(|passed| passed.take(address, options, 1));
        if let Some(mut bound) = passed.transpose()?.flatten()
            && let Some(socket) = bound.sockets.pop()
        {
            return AdminListener::adopt(address, socket, bound.file);
        }
        AdminListener::bind(address, mode)
    }
}

const ADMIN_CONNECTIONS_MAX: usize = 64;
