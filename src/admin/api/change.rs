//! Changes: each is recorded in the log and the events, with its cause and content.
//!
//! Each runs as a task of its own, so that a client that leaves in the middle does not leave a
//! reload half done, or an event unwritten.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::super::model::ReloadRefusal;
use super::super::operations::{BoxFuture, EndpointAction, OperationError, Operations};
use super::super::reply::{self, Reply};
use super::{ApiCall, bug};

/// `POST /reload`
pub(super) async fn reload(call: ApiCall) -> Reply {
    record_after(call, json!({ "action": "reload" }), |proxy| {
        Box::pin(async {
            match proxy.reload().await {
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

/// `POST /pools/{pool}/endpoints/{address}/{action}`
pub(super) async fn endpoint(call: ApiCall, action: EndpointAction) -> Reply {
    let (pool, address) = (call.parameter(0), call.parameter(1));
    let what = json!({ "action": action.to_string(), "pool": pool, "endpoint": address });
    record_after(call, what, move |proxy| {
        Box::pin(async move {
            match proxy.endpoint(&pool, &address, action) {
                Ok(change) => reply::json(StatusCode::OK, &change),
                Err(OperationError::NotFound(sentence)) => {
                    reply::error(StatusCode::NOT_FOUND, sentence)
                }
                Err(OperationError::Conflict(sentence)) => {
                    reply::error(StatusCode::CONFLICT, sentence)
                }
            }
        })
    })
    .await
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
