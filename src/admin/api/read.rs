//! Reads of the proxy's state.

use http::{StatusCode, header::ACCEPT};
use serde::Serialize;

use super::super::operations::Operations;
use super::super::reply::{self, Reply};
use super::{super::router::decode, ApiCall};
use crate::{state::HolderFilter, telemetry::metrics::Exposition};

/// `GET /metrics`
pub(super) async fn metrics(call: ApiCall) -> Reply {
    let accept = call.request.headers().get_all(ACCEPT).iter();
    let accept: Vec<_> = accept.filter_map(|line| line.to_str().ok()).collect();
    let exposition = Exposition::chosen_by(&accept.join(","));
    match call.blocking(move |proxy| proxy.metrics(exposition)).await {
        Ok(text) => reply::text(exposition.media_type(), text),
        Err(reply) => reply,
    }
}

/// Shows one of the tables as a whole.
pub(super) async fn whole<T: Serialize + Send + 'static>(
    call: ApiCall,
    read: impl FnOnce(&dyn Operations) -> T + Send + 'static,
) -> Reply {
    match call.blocking(read).await {
        Ok(value) => reply::json(StatusCode::OK, &value),
        Err(reply) => reply,
    }
}

/// Shows one row of a table, or that there is none of that name.
pub(super) async fn named<T: Serialize + Send + 'static>(
    call: ApiCall,
    what: &str,
    read: impl FnOnce(&dyn Operations, &str) -> Option<T> + Send + 'static,
) -> Reply {
    let name = call.parameter(0);
    let asked = name.clone();
    match call.blocking(move |proxy| read(proxy, &asked)).await {
        Ok(Some(value)) => reply::json(StatusCode::OK, &value),
        Ok(None) => reply::error(StatusCode::NOT_FOUND, format!("no {what} {name:?}")),
        Err(reply) => reply,
    }
}

/// `GET /requests?last=100`
pub(super) async fn requests(call: ApiCall) -> Reply {
    match call.last() {
        Ok(last) => whole(call, move |proxy| proxy.requests(last)).await,
        Err(sentence) => reply::error(StatusCode::BAD_REQUEST, sentence),
    }
}

/// `GET /config/origins?place=routes.shop&all=true`
pub(super) async fn origins(call: ApiCall) -> Reply {
    let place = call.query("place").map_or(Some(String::new()), decode);
    let Some(place) = place else {
        return reply::error(StatusCode::BAD_REQUEST, "place is malformed");
    };
    let all = match call.query("all") {
        None | Some("false") => false,
        Some("true") => true,
        Some(_) => return reply::error(StatusCode::BAD_REQUEST, "all is true or false"),
    };
    whole(call, move |proxy| proxy.origins(&place, !all)).await
}

/// `GET /connections?pool=app`
pub(super) async fn connections(call: ApiCall) -> Reply {
    match holder_filter(&call) {
        Ok(filter) => whole(call, move |proxy| proxy.connections(filter)).await,
        Err(sentence) => reply::error(StatusCode::BAD_REQUEST, sentence),
    }
}

/// Reads which connections are asked for.
fn holder_filter(call: &ApiCall) -> Result<HolderFilter, String> {
    let text = |name: &str| {
        let value = call.query(name);
        let decoded = value.map(|it| decode(it).ok_or_else(|| format!("{name} is malformed")));
        decoded.transpose()
    };
    let generation = call.query("generation").map(str::parse).transpose();
    Ok(HolderFilter {
        generation: generation.map_err(|_| "generation must be a number")?,
        route: text("route")?,
        pool: text("pool")?,
        endpoint: text("endpoint")?,
    })
}
