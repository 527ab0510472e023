//! Fetches a new answer while a stale one serves.

use std::{rc::Rc, sync::Arc, time::Duration};

use http::{Method, Version};

use super::{Visit, pump::Pump};
use crate::{
    cache::{Arrival, Asked, Conditions, Content, Entry, Lead, Meta, RouteCache, Turn, judge},
    exchange::{Answering, Body, CallRecord, Exchange, Request, Response},
    http1::Framing,
    proxy::{
        call::{CallTerms, Home, UpstreamCall},
        response, version,
    },
    semantics::{Headers, Known, date::unix_seconds},
    state::{Decision, LocalSnapshot},
    task, timer,
    upstream::transport::Upload,
    worker::Worker,
};

/// Seconds for which requests do not wait for each other after an answer that is not stored.
pub(super) const PASS_SECONDS: u64 = 10;

/// A fetch without a client.
struct Fetch {
    worker: Rc<Worker>,
    snapshot: Rc<LocalSnapshot>,
    decision: Decision,
    home: Home,
    client: std::net::IpAddr,
    cache: Arc<RouteCache>,
    cohort: String,
    asked: Asked,
    stored: Arc<Entry>,
}

/// Starts to fetch the answer to this request, unless somebody does.
pub(super) fn start(
    visit: &Visit<'_>,
    exchange: &Exchange,
    request: &Request,
    stored: &Arc<Entry>,
) {
    let Some(decision) = exchange.decision else {
        return;
    };
    let Turn::Lead(lead) = visit.cache.turn(&visit.key) else {
        return;
    };
    let mut request = Request {
        method: Method::GET,
        uri: request.uri.clone(),
        raw_target: None,
        version: Version::HTTP_11,
        headers: request.headers.clone(),
        body: Body::Empty,
        handshake: None,
        interim: None,
    };
    visit.strip_unkeyed(exchange, &mut request);
    Conditions::remove(&mut request.headers);
    stored.meta.ask(&mut request.headers);
    let fetch = Fetch {
        worker: Rc::clone(&visit.connection.worker),
        snapshot: Rc::clone(&exchange.snapshot),
        decision,
        home: visit.home,
        client: exchange.client,
        cache: Arc::clone(&visit.cache),
        cohort: visit.cohort.clone(),
        asked: visit.asked,
        stored: Arc::clone(stored),
    };
    task::spawn_local("cache_refresh", async move {
        fetch.run(request, lead).await;
    });
}

impl Fetch {
    fn now(&self) -> u64 {
        unix_seconds(self.worker.wall_time())
    }

    async fn run(self, mut request: Request, lead: Lead) {
        let snapshot = Rc::clone(&self.snapshot);
        let Some(route) = snapshot.shared.routes.get(self.decision.route.0 as usize) else {
            return;
        };
        let sent = request.headers.clone();
        let began = self.now();
        let mut record = CallRecord::default();
        if let Some(name) = &route.version_header {
            version::ask_again(&mut record, &request.headers, name);
        }
        let terms = CallTerms {
            worker: &self.worker,
            snapshot: &self.snapshot,
            home: self.home,
            route,
            end: timer::now() + route.timeouts.total,
            given_up: &None,
            client: &self.client,
            downstream: None,
            trace: None,
            offer: None,
            grpc: false,
            lends_host: !request.headers.contains(Known::Host),
            is_copy: false,
        };
        let upload = Upload::new(None::<Body>, Framing::None, 0);
        let called =
            Box::pin(UpstreamCall::new(terms, &mut request, upload, &mut record).run()).await;
        let Ok(mut response) = called else {
            return lead.give_up(None);
        };
        if let Some(name) = &route.version_header {
            version::vary(&mut response.headers, name);
        }
        let answering = record.answering.take();
        self.take(response, lead, &sent, began, answering);
    }

    /// Stores the answer.
    fn take(
        self,
        mut response: Response,
        mut lead: Lead,
        sent: &Headers,
        began: u64,
        answering: Option<Answering>,
    ) {
        response::clean(&mut response);
        let now = self.now();
        if !response.headers.contains(Known::Date) {
            let date = self.worker.date_value();
            response.headers.insert(Known::Date, date);
        }
        let unchanged = response.status == http::StatusCode::NOT_MODIFIED;
        let stored = &self.stored.meta;
        let (status, headers) = match unchanged {
            true => (stored.status, stored.validated(&response.headers)),
            false => (response.status, response.headers),
        };
        if response.status.is_server_error() {
            return lead.give_up(None);
        }
        let rules = &self.cache.rules;
        let freshness = match judge(self.asked, status, &headers, rules, now) {
            Ok(freshness) => freshness,
            Err(why) => {
                if why.is_lasting() {
                    self.cache.forget(lead.key(), &self.stored);
                }
                return lead.give_up(None);
            }
        };
        let meta = Arc::new(Meta::new(&Arrival {
            status,
            headers: &headers,
            freshness,
            request: sent,
            cohort: &self.cohort,
            now,
            delay: now.saturating_sub(began),
        }));
        if unchanged {
            return lead.whole(meta, Arc::clone(&self.stored.content));
        }
        if response.body.is_end() {
            return lead.whole(meta, Arc::new(Content::new(&[], None)));
        }
        let route = self
            .snapshot
            .shared
            .routes
            .get(self.decision.route.0 as usize);
        let idle = route.map_or(Duration::ZERO, |it| it.timeouts.idle);
        let length = response.body.length().exact();
        let fits = length.is_none_or(|length| length <= rules.entry_max);
        if !fits || !lead.begin(&meta, length, rules.entry_max) {
            return lead.give_up(None);
        }
        Pump {
            lead,
            meta,
            body: response.body,
            answering,
            idle,
            entry_max: rules.entry_max,
            pass_until: now + PASS_SECONDS,
        }
        .start(None);
    }
}
