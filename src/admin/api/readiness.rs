//! Probes of orchestrators: liveness and readiness.

use http::StatusCode;

use super::super::model::{Live, Ready};
use super::super::reply::{self, Reply};
use super::super::router::Access;
use super::ApiCall;

/// `GET /live`
pub(super) fn live(call: &ApiCall) -> Reply {
    let live = call.shared.operations.live();
    reply::json(status(live), &Live { live })
}

/// `GET /ready`: the reasons are sent only to clients with the right to read.
pub(super) fn ready(call: &ApiCall) -> Reply {
    let told = call.shared.operations.ready();
    let (method, headers) = (call.request.method(), call.request.headers());
    let gate = call.shared.gate.load();
    let may_read = gate.admit(Access::Read, call.peer, method, headers).is_ok();
    let shown = Ready {
        ready: told.ready,
        reasons: told.reasons.filter(|_| may_read),
        failing: told.failing.filter(|_| may_read),
    };
    reply::json(status(shown.ready), &shown)
}

fn status(well: bool) -> StatusCode {
    if well {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    }
}
