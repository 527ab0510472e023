//! Changes: each lands in the log and the events with who and what.
//!
//! Each runs as a task of its own, so that a client who goes away in the middle does not
//! leave a reload half done, or an event unwritten.

use std::sync::Arc;

use http::StatusCode;
use serde_json::{Value, json};

use super::super::operations::{BoxFuture, EndpointAction, OperationError, Operations};
use super::super::reply::{self, Reply};
use super::{Call, bug};

/// `POST /reload`
pub(super) async fn reload(call: Call) -> Reply {
    whole_proxy(call, "reload", |proxy| proxy.reload()).await
}

/// `POST /drain`
pub(super) async fn drain(call: Call) -> Reply {
    whole_proxy(call, "drain", |proxy| proxy.drain()).await
}

/// `POST /pools/{pool}/endpoints/{address}/{action}`
pub(super) async fn endpoint(call: Call, action: EndpointAction) -> Reply {
    let (pool, address) = (call.parameter(0), call.parameter(1));
    let what = json!({ "action": action.to_string(), "pool": pool, "endpoint": address });
    record_after(call, what, move |proxy| {
        Box::pin(async move {
            match proxy.endpoint(&pool, &address, action) {
                Ok(value) => (StatusCode::OK, value),
                Err(error) => {
                    let status = match error {
                        OperationError::NotFound(_) => StatusCode::NOT_FOUND,
                        OperationError::Conflict(_) => StatusCode::CONFLICT,
                    };
                    (status, json!({ "error": error.to_string() }))
                }
            }
        })
    })
    .await
}

async fn whole_proxy(
    call: Call,
    action: &'static str,
    operate: impl FnOnce(&dyn Operations) -> BoxFuture<'_, Result<Value, Value>> + Send + 'static,
) -> Reply {
    record_after(call, json!({ "action": action }), move |proxy| {
        Box::pin(async move {
            match operate(proxy).await {
                Ok(value) => (StatusCode::OK, value),
                Err(value) => {
                    let sentence = format!("{action} was not done");
                    (StatusCode::CONFLICT, refusal(&sentence, value))
                }
            }
        })
    })
    .await
}

/// Does it, and writes down what came of it.
async fn record_after(
    call: Call,
    mut what: Value,
    operate: impl FnOnce(&dyn Operations) -> BoxFuture<'_, (StatusCode, Value)> + Send + 'static,
) -> Reply {
    let Call { shared, peer, .. } = call;
    let task = tokio::spawn(async move {
        let operations = Arc::clone(&shared.operations);
        let (status, value) = operate(&*operations).await;
        let who = format!("admin API, {peer}");
        what["status"] = json!(status.as_u16());
        tracing::info!(%who, %what, "a change was asked for");
        shared.events.publish("admin", &who, what);
        (status, value)
    });
    match task.await {
        Ok((status, value)) => reply::json(status, &value),
        Err(error) => bug(&error),
    }
}

/// Every error has the member `error`; a report keeps its own members beside it.
fn refusal(sentence: &str, report: Value) -> Value {
    match report {
        Value::Object(mut report) => {
            report.entry("error").or_insert_with(|| json!(sentence));
            Value::Object(report)
        }
        Value::String(reason) => json!({ "error": reason }),
        Value::Null => json!({ "error": sentence }),
        other => json!({ "error": sentence, "report": other }),
    }
}
