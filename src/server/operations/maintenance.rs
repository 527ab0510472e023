//! Opening and closing of routes.

use tokio::sync::oneshot;

use super::Api;
use crate::{
    admin::{
        OperationError,
        model::{MaintenanceReport, MaintenanceRequest, ReloadRefusal},
    },
    config::value::{cidr, duration},
    server::{control::Request, maintenance::Switch},
    state::{Closing, Snapshot},
};

impl Api {
    /// Closes routes or opens them, and returns when it is so for every new request.
    pub(super) async fn switch(
        &self,
        request: MaintenanceRequest,
    ) -> Result<MaintenanceReport, OperationError> {
        let conflict = |message: &str| OperationError::Conflict(message.to_owned());
        let snapshot = self.shared.snapshot();
        let switch = read(request, &snapshot)?;
        let (answer, report) = oneshot::channel();
        let sent = self
            .requests
            .send(Request::Maintenance(switch.clone(), answer));
        sent.await.map_err(|_| conflict(STOPPING))?;
        let report = match report.await.unwrap_or(Err(ReloadRefusal::Stopping)) {
            Ok(report) => report,
            Err(ReloadRefusal::Stopping) => return Err(conflict(STOPPING)),
            Err(ReloadRefusal::Refused(report)) => {
                let why = report.error.unwrap_or_default();
                let message = format!("noted, and done with the next reload that succeeds: {why}");
                return Err(OperationError::Conflict(message));
            }
        };
        let snapshot = self.shared.snapshot();
        let closed = closed(&snapshot);
        let meant = |route: &&String| switch.route.as_ref().is_none_or(|it| it == *route);
        let left: Vec<&str> = match switch.closing {
            Some(_) => Vec::new(),
            None => closed.iter().filter(meant).map(|it| &**it).collect(),
        };
        if !left.is_empty() {
            let message = format!(
                "still closed: {}; `maintenance off --all` opens what `maintenance on --all` has closed, and `maintenance` in the configuration keeps closed what it closes",
                left.join(", ")
            );
            return Err(OperationError::Conflict(message));
        }
        Ok(MaintenanceReport {
            closed,
            lasting: snapshot.config.proxy.state_dir.is_some(),
            generation: report.generation,
        })
    }
}

/// Names of the routes that are closed.
pub(super) fn closed(snapshot: &Snapshot) -> Vec<String> {
    let closed = snapshot.routes.iter().filter(|it| it.filters.is_closed());
    closed.map(|route| route.name.to_string()).collect()
}

fn read(request: MaintenanceRequest, snapshot: &Snapshot) -> Result<Switch, OperationError> {
    if let Some(name) = &request.route
        && request.on
        && !snapshot.routes.iter().any(|route| *route.name == **name)
    {
        return Err(OperationError::NotFound(format!("no route \"{name}\"")));
    }
    if request.allow.len() > BLOCKS_MAX {
        let message = format!("at most {BLOCKS_MAX} blocks of addresses can be let in");
        return Err(OperationError::Conflict(message));
    }
    let allow = request.allow.iter().map(|block| cidr::parse(block));
    let allow: Result<Vec<_>, _> = allow.collect();
    let retry_after = request.retry_after.as_deref().map(duration::parse);
    let wrong = |message: String| OperationError::Conflict(message);
    let closing = Closing {
        allow: allow.map_err(|error| wrong(error.to_string()))?,
        retry_after: retry_after
            .transpose()
            .map_err(|error| wrong(error.to_string()))?,
    };
    Ok(Switch {
        route: request.route,
        closing: request.on.then_some(closing),
    })
}

const STOPPING: &str = "the proxy is stopping";
/// Maximum number of blocks in a command.
const BLOCKS_MAX: usize = 1000;
