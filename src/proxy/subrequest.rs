//! Subrequests: upstream calls that belong to no client.

use std::{future::Future, pin::Pin};

use http::{Uri, Version};

use super::{
    call::{CallTerms, Home, UpstreamCall},
    response,
    upload::keep_max,
};
use crate::{
    exchange::{Body, CallRecord, Caller, Request, Subanswer, Subrequest, SubrequestTerms},
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
        grpc: false,
        lends_host: !headers.contains(Known::Host),
    };
    let mut record = CallRecord::default();
    let called = UpstreamCall::new(terms, &mut request, upload, &mut record)
        .run()
        .await;
    let mut response = called?;
    response::clean(&mut response);
    Ok(Subanswer::new(response, record, deadline))
}

fn upload_of(subrequest: &Subrequest, keep_max: usize) -> Upload {
    let body = &subrequest.body;
    if body.is_empty() {
        return Upload::new(None::<Body>, Framing::None, keep_max);
    }
    let framing = Framing::Length(body.len() as u64);
    Upload::new(Some(Body::Full(body.clone())), framing, keep_max)
}
