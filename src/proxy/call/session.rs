//! The session of a client with an endpoint: read before the pick, renewed behind the answer.

use http::HeaderValue;

use super::CallTerms;
use crate::{
    exchange::{Answering, Exchange, Response},
    semantics::{Headers, Known, cookie, date::unix_seconds, forwarded::Scheme},
    upstream::{
        pool::Pool,
        session::{Carrier, EndpointSession},
    },
    worker::Worker,
};

/// The session that a request asks for; none if it has none that counts here.
pub(super) fn asked(
    pool: &Pool,
    headers: &Headers,
    terms: &CallTerms<'_>,
) -> Option<EndpointSession> {
    let sessions = pool.sessions.as_ref()?;
    let token = match &sessions.carrier {
        Carrier::Cookie { name, .. } => cookie::find(headers, name),
        Carrier::Header(name) => headers.get(name).map(|value| value.as_bytes()),
    };
    sessions.open(token?, now_secs(terms.worker))
}

/// Tells the client where its session is from now on, if that is news to it.
pub(in crate::proxy) fn tell(exchange: &Exchange, worker: &Worker, response: &mut Response) {
    let Some(pick) = exchange.call.answering.as_ref().map(Answering::pick) else {
        return;
    };
    let Some(sessions) = &pick.pool.pool.sessions else {
        return;
    };
    let endpoint = pick.endpoint.described().endpoint.key();
    let same = |session: &EndpointSession| session.endpoint == endpoint;
    let known = exchange.call.session.filter(same);
    if known.is_some_and(|session| !session.is_old) {
        return;
    }
    if known.is_none() {
        pick.endpoint.shared.sessions.given(now_secs(worker));
    }
    let Some(token) = sessions.seal(endpoint, now_secs(worker)) else {
        return;
    };
    match &sessions.carrier {
        Carrier::Header(name) => {
            if let Ok(token) = HeaderValue::try_from(token) {
                response.headers.insert(name, token);
            }
        }
        Carrier::Cookie {
            name,
            attributes,
            needs_secure,
        } => {
            let mut line = format!("{name}={token}{attributes}");
            let ttl = sessions.ttl.as_secs();
            if ttl > 0 {
                line.push_str(&format!("; Max-Age={ttl}"));
            }
            if exchange.scheme == Scheme::Https || *needs_secure {
                line.push_str("; Secure");
            }
            if let Ok(line) = HeaderValue::try_from(line) {
                response.headers.append(Known::SetCookie, line);
            }
        }
    }
}

fn now_secs(worker: &Worker) -> u64 {
    unix_seconds(worker.wall_time())
}
