//! Commands for one endpoint.

use tokio::time::Instant;

use super::Api;
use crate::{
    admin::{EndpointAction, OperationError, model::EndpointChange},
    config::value::nearest::alternatives,
    upstream::{condition, health::AdminState},
};

impl Api {
    /// Drains, enables or ejects an endpoint.
    pub(super) fn change_endpoint(
        &self,
        pool: &str,
        address: &str,
        action: EndpointAction,
    ) -> Result<EndpointChange, OperationError> {
        let snapshot = self.shared.snapshot();
        let Some(found) = snapshot.pool(pool) else {
            let names: Vec<&str> = snapshot.pools.iter().map(|it| &*it.name).collect();
            let defined = alternatives("defined", pool, &names);
            let message = format!("there is no pool \"{pool}\"; {defined}");
            return Err(OperationError::NotFound(message));
        };
        let state = match action {
            EndpointAction::Drain => AdminState::Draining,
            EndpointAction::Enable => AdminState::Enabled,
            EndpointAction::Eject => AdminState::Ejected,
        };
        if !found
            .shared
            .health
            .set_admin(address, state, Instant::now())
        {
            let set = found.endpoints.newest();
            let labels: Vec<&str> = set.endpoints.iter().map(|it| &*it.label).collect();
            let has = alternatives("it has", address, &labels);
            let message = format!("pool \"{pool}\" has no endpoint \"{address}\"; {has}");
            return Err(OperationError::NotFound(message));
        }
        Ok(EndpointChange {
            pool: pool.to_owned(),
            endpoint: address.to_owned(),
            action: action.to_string(),
            lasting: snapshot.config.proxy.state_dir.is_some(),
            warning: condition::kept_out(found, false)
                .filter(|_| action != EndpointAction::Enable)
                .map(|why| format!("no endpoint of pool \"{pool}\" can serve now: {why}")),
        })
    }
}
