//! The task of a copy: sends it, reads its answer, and compares.

use std::{future::poll_fn, net::IpAddr, rc::Rc, sync::Arc};

use bytes::Bytes;
use http::{HeaderValue, Method, StatusCode, Uri, Version};
use tokio::{sync::oneshot, time::Instant};

use crate::{
    exchange::{Body, CallRecord, Request, Response},
    failure::{Failure, Side},
    http1::Framing,
    proxy::{
        call::{CallTerms, Home, UpstreamCall},
        response,
    },
    rollout::shadow::{
        Answer, BodyReader, BodySeen, CompareRules, Likeness, Mismatch, ShadowPlace, ShadowResult,
        compare,
    },
    semantics::{Frame, Headers, Known, grpc, target::RawTarget},
    state::{LocalSnapshot, RouteMetrics, Shadow},
    timer,
    upstream::transport::Upload,
    worker::Worker,
};

/// A copy under way.
pub(super) struct Copy {
    pub(super) worker: Rc<Worker>,
    pub(super) snapshot: Rc<LocalSnapshot>,
    pub(super) shadow: Arc<Shadow>,
    pub(super) metrics: Rc<RouteMetrics>,
    pub(super) place: ShadowPlace,
    pub(super) head: Head,
    pub(super) client: IpAddr,
    pub(super) body: Given,
    pub(super) request_id: String,
    /// The answer to the request itself; nothing if there is none, or it was cut short.
    pub(super) ours: oneshot::Receiver<Answer>,
}

/// Body of the request.
pub(super) enum Given {
    /// It has none, or an empty one.
    Empty {
        /// True if the client has announced it.
        announced: bool,
    },
    /// It comes when the client has sent it; nothing if it was cut short.
    Body(oneshot::Receiver<BodySeen>),
}

/// Head of a copy.
pub(super) struct Head {
    method: Method,
    uri: Uri,
    raw_target: Option<Box<RawTarget>>,
    headers: Headers,
}

/// Makes the head of a copy.
pub(super) fn head_of(request: &Request, route: &str) -> Head {
    let mut headers = request.headers.clone();
    // How often the request was tried is another matter.
    headers.remove(Known::XSluicegateAttempt);
    headers.remove(Known::Trailer);
    if let Ok(name) = HeaderValue::from_str(route) {
        headers.insert(Known::XSluicegateShadow, &name);
    }
    Head {
        method: request.method.clone(),
        uri: request.uri.clone(),
        raw_target: request.raw_target.clone(),
        headers,
    }
}

impl Copy {
    /// Makes the copy and counts its result.
    pub(super) async fn run(mut self) {
        let result = self.result().await;
        self.shadow.state.count(result);
        self.metrics.count_shadow(result.word());
        drop(self.place);
    }

    async fn result(&mut self) -> ShadowResult {
        let upload = match self.body().await {
            Ok(upload) => upload,
            Err(result) => return result,
        };
        let deadline = timer::now() + self.shadow.route.timeouts.total;
        let mut record = CallRecord::default();
        let asked = timer::until(deadline, Box::pin(self.ask(upload, deadline, &mut record)));
        let theirs = match asked.await {
            Ok(Ok(theirs)) => theirs,
            Ok(Err(failure)) if failure.side() != Side::Upstream => return ShadowResult::Unsent,
            Ok(Err(_)) | Err(_) => return ShadowResult::Failed,
        };
        let endpoint = record.standing().map(|it| it.address().to_owned());
        // It has answered: others may have its connection and its place.
        drop(record);
        let Some(theirs) = theirs else {
            return ShadowResult::Answered;
        };
        // The client may take long for the answer to its request.
        let patience = timer::now() + self.shadow.route.timeouts.total;
        let Ok(Ok(ours)) = timer::until(patience, &mut self.ours).await else {
            return ShadowResult::Incomparable;
        };
        match self.likeness(ours, theirs).await {
            Likeness::Equal => ShadowResult::Equal,
            Likeness::Unknown => ShadowResult::Incomparable,
            Likeness::Differ(difference) => {
                self.shadow.state.keep(Mismatch {
                    time: self.worker.wall_time(),
                    request_id: std::mem::take(&mut self.request_id),
                    method: self.head.method.to_string(),
                    path: self.head.uri.path().chars().take(PATH_MAX).collect(),
                    difference,
                    endpoint: endpoint.unwrap_or_default(),
                });
                ShadowResult::Mismatch
            }
        }
    }

    /// Waits for the body of the request.
    async fn body(&mut self) -> Result<Upload, ShadowResult> {
        let body = match &mut self.body {
            Given::Empty { announced: false } => {
                return Ok(Upload::new(None::<Body>, Framing::None, 0));
            }
            Given::Empty { announced: true } => Bytes::new(),
            Given::Body(body) => {
                // As long as the request itself may take.
                let seen = body.await.map_err(|_| ShadowResult::Abandoned)?;
                seen.kept.ok_or(ShadowResult::TooLarge)?
            }
        };
        let framing = Framing::Length(body.len() as u64);
        Ok(Upload::new(Some(Body::Full(body)), framing, 0))
    }

    /// Sends the copy and reads its answer to the end; returns what is compared of it.
    async fn ask(
        &self,
        upload: Upload,
        deadline: Instant,
        record: &mut CallRecord,
    ) -> Result<Option<Answer>, Failure> {
        let shadow = &*self.shadow;
        let mut request = Request {
            method: self.head.method.clone(),
            uri: self.head.uri.clone(),
            raw_target: self.head.raw_target.clone(),
            version: Version::HTTP_11,
            headers: self.head.headers.clone(),
            body: Body::Empty,
            handshake: None,
            interim: None,
        };
        let terms = CallTerms {
            worker: &self.worker,
            snapshot: &self.snapshot,
            home: Home {
                pool: shadow.pool,
                view: shadow.view,
            },
            route: &shadow.route,
            end: deadline,
            given_up: &None,
            client: &self.client,
            downstream: None,
            trace: None,
            offer: None,
            grpc: false,
            lends_host: !request.headers.contains(Known::Host),
            is_copy: true,
        };
        let mut response = UpstreamCall::new(terms, &mut request, upload, record)
            .run()
            .await?;
        response::clean(&mut response);
        let mut answer = shadow
            .compare
            .as_ref()
            .map(|rules| Answer::new(rules, response.status, &response.headers));
        read(shadow.compare.as_ref(), &mut answer, &mut response).await?;
        Ok(answer)
    }

    /// Compares both answers; JSON on a thread where nobody waits for it.
    async fn likeness(&self, ours: Answer, theirs: Answer) -> Likeness {
        let is_long = ours.body.as_ref().is_some_and(|body| body.kept.is_some());
        let shadow = Arc::clone(&self.shadow);
        let compared = move || match &shadow.compare {
            Some(rules) => compare(rules, &ours, &theirs),
            None => Likeness::Unknown,
        };
        match is_long {
            false => compared(),
            true => {
                let compared = tokio::task::spawn_blocking(compared);
                compared.await.unwrap_or(Likeness::Unknown)
            }
        }
    }
}

/// Reads the body of an answer to its end.
async fn read(
    rules: Option<&CompareRules>,
    answer: &mut Option<Answer>,
    response: &mut Response,
) -> Result<(), Failure> {
    if response.status == StatusCode::SWITCHING_PROTOCOLS {
        return Err(Failure::UpgradeFailed);
    }
    let keeps = rules.and_then(CompareRules::keeps);
    let mut reader = keeps.map(BodyReader::compared);
    while let Some(frame) = poll_fn(|cx| response.body.poll_frame(cx)).await {
        match frame? {
            Frame::Data(data) => {
                if let Some(reader) = &mut reader {
                    reader.read(&data);
                }
            }
            Frame::Trailers(trailers) => {
                if let Some(answer) = answer {
                    answer.grpc_status = answer.grpc_status.or_else(|| grpc::status_in(&trailers));
                }
            }
        }
    }
    if let Some(answer) = answer {
        answer.body = reader.map(BodyReader::end);
    }
    Ok(())
}

/// Characters of a path that a mismatch shows.
const PATH_MAX: usize = 200;
