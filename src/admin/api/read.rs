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
    let make = move |proxy: &dyn Operations| {
        reply::text(exposition.media_type(), proxy.metrics(exposition))
    };
    call.made(&call.shared.reads, make).await
}

/// Shows one of the tables as a whole.
pub(super) async fn whole<T: Serialize>(
    call: ApiCall,
    read: impl FnOnce(&dyn Operations) -> T + Send + 'static,
) -> Reply {
    let make = |proxy: &dyn Operations| reply::json(StatusCode::OK, &read(proxy));
    call.made(&call.shared.reads, make).await
}

/// Shows one row of a table, or that there is none of that name.
pub(super) async fn named<T: Serialize>(
    call: ApiCall,
    what: &'static str,
    read: impl FnOnce(&dyn Operations, &str) -> Option<T> + Send + 'static,
) -> Reply {
    let name = call.parameter(0);
    let make = move |proxy: &dyn Operations| row(what, &name, read(proxy, &name));
    call.made(&call.shared.reads, make).await
}

/// `GET /pools/{pool}`, with what the workers know.
pub(super) async fn pool(call: ApiCall) -> Reply {
    let name = call.parameter(0);
    let work = move |proxy: &dyn Operations| row("pool", &name, proxy.pool(&name));
    call.blocking(work).await.unwrap_or_else(|reply| reply)
}

fn row<T: Serialize>(what: &str, name: &str, found: Option<T>) -> Reply {
    match found {
        Some(value) => reply::json(StatusCode::OK, &value),
        None => reply::error(StatusCode::NOT_FOUND, format!("no {what} {name:?}")),
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
    let all = match call.flag("all") {
        Ok(all) => all,
        Err(sentence) => return reply::error(StatusCode::BAD_REQUEST, sentence),
    };
    whole(call, move |proxy| proxy.origins(&place, !all)).await
}

/// `GET /connections?pool=app`
pub(super) async fn connections(call: ApiCall) -> Reply {
    match holder_filter(&call) {
        Ok(filter) => {
            let work = move |proxy: &dyn Operations| {
                reply::json(StatusCode::OK, &proxy.connections(filter))
            };
            call.blocking(work).await.unwrap_or_else(|reply| reply)
        }
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
