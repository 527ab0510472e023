//! Sending of one attempt: a connection to the picked endpoint, and the request on it.

use std::{rc::Rc, sync::LazyLock};

use http::{Uri, Version, uri::PathAndQuery};

use super::{UpstreamCall, attempt_end::AttemptEnd, client::Client, pick, place};
use crate::{
    downstream::STREAM_READ_MIN,
    exchange::Request,
    failure::Failure,
    http1::HeadLimits,
    memory,
    resilience::Carrier,
    semantics::Headers,
    upstream::{
        acquire::{Acquired, Claim, Need},
        pick::Pick,
        standing::Held,
        transport::{Outbound, Patience, Purpose, Upload},
    },
};

impl UpstreamCall<'_> {
    /// Sends the request to the picked endpoint, with this header; ends with a response head or a
    /// failure.
    /// `fresh` asks for a connection that has not waited among the idle ones.
    pub(super) async fn send(
        &self,
        pick: &Pick,
        headers: &Headers,
        mut upload: Upload,
        fresh: bool,
        patience: &mut Patience,
    ) -> AttemptEnd {
        let terms = &self.terms;
        let purpose = match terms.offer {
            Some(offer) if offer.is_websocket() => Purpose::WebSocket,
            _ => Purpose::Exchange,
        };
        let claim = place::claim_of(&upload);
        let need = Need {
            purpose,
            claim,
            fresh,
            announcement: None,
            deadline: patience.deadline,
        };
        let mut acquired = pick::connection(terms, &self.record.queued, pick, need).await;
        if claim == Claim::Spare && matches!(acquired, Err(Failure::LimitReached)) {
            // In memory of its own: most requests find a place.
            let contending = Box::pin(self.contend(pick, &mut upload, purpose, fresh, patience));
            acquired = contending.await;
        }
        let acquired = match acquired {
            Ok(acquired) => acquired,
            Err(failure) => return AttemptEnd::unsent(failure, upload),
        };
        let request = outbound(self.request, headers, purpose);
        let home = Rc::clone(&pick.endpoint);
        let client = Client {
            worker: terms.worker,
            connection: terms.downstream,
            stream: self.request.interim.as_ref(),
        };
        let (carrier, sent) = match acquired {
            Acquired::Http1(connection) => {
                let upload = upload.holding_place(&pick.pool.standing, Held::Connection);
                let carrier = carrier(connection.is_fresh());
                let sending =
                    connection.send(&request, upload, &RESPONSE_LIMITS, *patience, home, &client);
                (carrier, sending.await)
            }
            Acquired::Http2(connection) => {
                let held = Held::Stream(pick.endpoint.number());
                let upload = upload.holding_place(&pick.pool.standing, held);
                let carrier = carrier(connection.is_fresh());
                // In memory of its own: the walk would have room for it over HTTP/1.1 too.
                let sending =
                    memory::pinned(|| connection.send(&request, upload, *patience, &client));
                (carrier, sending.await)
            }
        };
        AttemptEnd::new(terms, sent, carrier)
    }
}

fn carrier(fresh: bool) -> Carrier {
    if fresh { Carrier::New } else { Carrier::Reused }
}

fn outbound<'a>(request: &'a Request, headers: &'a Headers, purpose: Purpose) -> Outbound<'a> {
    Outbound {
        method: &request.method,
        target: target_of(&request.uri),
        raw_target: request.raw_target.as_deref(),
        purpose,
        headers,
        read_ahead: if request.version >= Version::HTTP_2 {
            STREAM_READ_MIN
        } else {
            usize::MAX
        },
    }
}

fn target_of(uri: &Uri) -> &PathAndQuery {
    uri.path_and_query().unwrap_or(&ROOT)
}

static ROOT: LazyLock<PathAndQuery> = LazyLock::new(|| PathAndQuery::from_static("/"));

/// Size limits of a response head.
const RESPONSE_LIMITS: HeadLimits = HeadLimits {
    bytes_max: 64 * 1024,
    headers_max: 256,
    target_max: 0,
};
