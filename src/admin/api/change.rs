//! Changes: each is recorded in the log and the events, with its cause and content.
//!
//! Each runs as a task of its own, so that a client that leaves in the middle does not leave a
//! reload half done, or an event unwritten.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::super::model::{
    MaintenanceRequest, Purge, ReloadRefusal, UpgradeRefusal, UpgradeRequest,
};
use super::super::operations::{
    BoxFuture, EndpointAction, OperationError, Operations, RolloutAction,
};
use super::super::reply::{self, Reply};
use super::{ApiCall, ask, bug};
use crate::state::heads::GateUse;

/// `POST /reload`
pub(super) async fn reload(call: ApiCall) -> Reply {
    let gate = match call.flag("force") {
        Ok(false) => GateUse::Applies,
        Ok(true) => GateUse::Overridden,
        Err(sentence) => return reply::error(StatusCode::BAD_REQUEST, sentence),
    };
    let mut what = json!({ "action": "reload" });
    if gate == GateUse::Overridden {
        what["force"] = json!(true);
    }
    record_after(call, what, move |proxy| {
        Box::pin(async move {
            match proxy.reload(gate).await {
                Ok(report) => reply::json(StatusCode::OK, &report),
                Err(ReloadRefusal::Refused(report)) => reply::json(StatusCode::CONFLICT, &report),
                Err(ReloadRefusal::Stopping) => {
                    reply::error(StatusCode::CONFLICT, "the proxy is stopping")
                }
            }
        })
    })
    .await
}

/// `POST /upgrade`
pub(super) async fn upgrade(mut call: ApiCall) -> Reply {
    let request: UpgradeRequest = match ask::read_json_or_default(&mut call).await {
        Ok(request) => request,
        Err(reply) => return reply,
    };
    // A token that has leaked must not start programs from afar.
    if request.binary.is_some() && !call.peer.is_local() {
        let sentence = "another binary can be named from the proxy's own machine only";
        return reply::error(StatusCode::FORBIDDEN, sentence);
    }
    if request.timeout_ms.is_some_and(|ms| ms > TIMEOUT_MS_MAX) {
        let sentence = format!("timeout_ms is more than {TIMEOUT_MS_MAX}");
        return reply::error(StatusCode::BAD_REQUEST, sentence);
    }
    let what = json!({ "action": "upgrade", "binary": request.binary });
    record_after(call, what, |proxy| {
        Box::pin(async {
            match proxy.upgrade(request).await {
                Ok(report) => reply::json(StatusCode::OK, &report),
                Err(UpgradeRefusal::Failed(report)) => reply::json(StatusCode::CONFLICT, &report),
                Err(refusal) => reply::error(StatusCode::CONFLICT, refusal.to_string()),
            }
        })
    })
    .await
}

/// `POST /drain`
pub(super) async fn drain(call: ApiCall) -> Reply {
    record_after(call, json!({ "action": "drain" }), |proxy| {
        Box::pin(async {
            match proxy.drain().await {
                Ok(draining) => reply::json(StatusCode::OK, &draining),
                Err(sentence) => reply::error(StatusCode::CONFLICT, sentence),
            }
        })
    })
    .await
}

/// `POST /maintenance`
pub(super) async fn maintenance(mut call: ApiCall) -> Reply {
    let request: MaintenanceRequest = match ask::read_json(&mut call).await {
        Ok(request) => request,
        Err(reply) => return reply,
    };
    let what = json!({ "action": "maintenance", "on": request.on, "route": request.route });
    record_after(call, what, |proxy| {
        Box::pin(async {
            match proxy.maintenance(request).await {
                Ok(report) => reply::json(StatusCode::OK, &report),
                Err(error) => refused(error),
            }
        })
    })
    .await
}

/// `POST /pools/{pool}/endpoints/{address}/{action}`
pub(super) async fn endpoint(call: ApiCall, action: EndpointAction) -> Reply {
    let (pool, address) = (call.parameter(0), call.parameter(1));
    let what = json!({ "action": action.to_string(), "pool": pool, "endpoint": address });
    record_after(call, what, move |proxy| {
        Box::pin(async move {
            match proxy.endpoint(&pool, &address, action) {
                Ok(change) => reply::json(StatusCode::OK, &change),
                Err(error) => refused(error),
            }
        })
    })
    .await
}

/// `POST /rollouts/{rollout}/{action}`
pub(super) async fn rollout(call: ApiCall, action: RolloutAction) -> Reply {
    let name = call.parameter(0);
    let what = json!({ "action": action.to_string(), "rollout": name });
    record_after(call, what, move |proxy| {
        Box::pin(async move {
            match proxy.change_rollout(&name, action).await {
                Ok(rollout) => reply::json(StatusCode::OK, &rollout),
                Err(error) => refused(error),
            }
        })
    })
    .await
}

/// `POST /cache/purge`
pub(super) async fn purge(mut call: ApiCall) -> Reply {
    let asked: Purge = match ask::read_json(&mut call).await {
        Ok(asked) => asked,
        Err(reply) => return reply,
    };
    let what = json!({ "action": "purge", "what": asked });
    record_after(call, what, move |proxy| {
        Box::pin(async move {
            match proxy.purge_cache(&asked) {
                Ok(purged) => reply::json(StatusCode::OK, &purged),
                Err(error) => refused(error),
            }
        })
    })
    .await
}

fn refused(error: OperationError) -> Reply {
    match error {
        OperationError::NotFound(sentence) => reply::error(StatusCode::NOT_FOUND, sentence),
        OperationError::Conflict(sentence) => reply::error(StatusCode::CONFLICT, sentence),
    }
}

/// Makes the change, and records its result.
async fn record_after(
    call: ApiCall,
    mut what: Value,
    operate: impl FnOnce(&dyn Operations) -> BoxFuture<'_, Reply> + Send + 'static,
) -> Reply {
    let ApiCall { shared, peer, .. } = call;
    let task = tokio::spawn(async move {
        let operations = Arc::clone(&shared.operations);
        let reply = operate(&*operations).await;
        let who = format!("admin API, {peer}");
        what["status"] = json!(reply.status().as_u16());
        tracing::info!(%who, %what, "a change was asked for");
        shared.events.publish("admin", &who, what);
        reply
    });
    task.await.unwrap_or_else(|error| bug(&error))
}

/// The answer has to come before its own time is over.
const TIMEOUT_MS_MAX: u32 = 50_000;
