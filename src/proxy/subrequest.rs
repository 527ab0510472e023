//! Subrequests: upstream calls that belong to no client.

use std::{future::Future, pin::Pin};

use http::{Uri, Version};

use super::{
    call::{CallTerms, Home, UpstreamCall},
    response,
    upload::keep_max,
};
use crate::{
    exchange::{
        Attempt, AttemptKind, Body, CallRecord, Caller, Exchange, Request, Subanswer, Subrequest,
        SubrequestTerms,
    },
    failure::Failure,
    http1::Framing,
    semantics::Known,
    upstream::{
        pool::{PoolIndex, ViewIndex},
        transport::Upload,
    },
    worker::Worker,
};

impl Caller for Worker {
    fn call<'a>(
        &'a self,
        terms: SubrequestTerms<'a>,
        subrequest: Subrequest,
    ) -> Pin<Box<dyn Future<Output = Result<Subanswer, Failure>> + 'a>> {
        Box::pin(subrequest_of(self, terms, subrequest))
    }
}

async fn subrequest_of(
    worker: &Worker,
    terms: SubrequestTerms<'_>,
    subrequest: Subrequest,
) -> Result<Subanswer, Failure> {
    let SubrequestTerms {
        exchange,
        pool,
        route,
        snapshot,
        deadline,
    } = terms;
    let place = snapshot
        .pools
        .binary_search_by(|known| (*known.pool.name).cmp(pool))
        .map_err(|_| Failure::Internal)?;
    let place = u32::try_from(place).map_err(|_| Failure::Internal)?;
    let upload = upload_of(&subrequest, keep_max(&route.retry));
    let mut request = Request {
        method: subrequest.method,
        uri: Uri::from(subrequest.target),
        raw_target: None,
        version: Version::HTTP_11,
        headers: subrequest.headers,
        body: Body::Empty,
        handshake: None,
        interim: None,
    };
    let headers = &mut request.headers;
    worker.pseudonym().append(headers, request.version);
    let terms = CallTerms {
        worker,
        snapshot,
        home: Home {
            pool: PoolIndex(place),
            view: ViewIndex::default(),
        },
        route,
        end: deadline,
        given_up: &exchange.client_deadline,
        client: &exchange.client,
        downstream: None,
        offer: None,
        trace: exchange.trace.as_deref(),
        grpc: false,
        lends_host: !headers.contains(Known::Host),
        is_copy: false,
    };
    let mut noted = Noted {
        record: CallRecord::of(exchange.call.exchange),
        exchange,
    };
    let called = UpstreamCall::new(terms, &mut request, upload, &mut noted.record)
        .run()
        .await;
    worker.under_way().leaves_endpoint(exchange.call.exchange);
    let mut response = called?;
    response::clean(&mut response);
    noted.note();
    Ok(Subanswer::new(
        response,
        std::mem::take(&mut noted.record),
        deadline,
    ))
}

/// The record of a subrequest, whose attempts the log of its exchange shows however it ends.
struct Noted<'a> {
    record: CallRecord,
    exchange: &'a Exchange,
}

impl Noted<'_> {
    fn note(&self) {
        let beside = self.record.beside.borrow();
        let attempts = self.record.attempts.iter().chain(&*beside);
        let mut aside = self.exchange.aside.borrow_mut();
        let room = ASIDE_MAX.saturating_sub(aside.len());
        aside.extend(attempts.take(room).map(|attempt| Attempt {
            kind: AttemptKind::Subrequest,
            ..attempt.clone()
        }));
    }
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        // Nothing, if the answer has the record.
        self.note();
    }
}

/// Attempts of subrequests that one exchange remembers.
const ASIDE_MAX: usize = 64;

fn upload_of(subrequest: &Subrequest, keep_max: usize) -> Upload {
    let body = &subrequest.body;
    if body.is_empty() {
        return Upload::new(None::<Body>, Framing::None, keep_max);
    }
    let framing = Framing::Length(body.len() as u64);
    Upload::new(Some(Body::Full(body.clone())), framing, keep_max)
}
