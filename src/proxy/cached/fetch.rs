//! Fetches an answer from an endpoint, and stores it.

use std::{rc::Rc, sync::Arc, time::Duration};

use http::{HeaderValue, StatusCode};

use super::{Visit, background, behind, note, pump::Pump, reader::FillReader, serve};
use crate::{
    cache::{
        Arrival, Conditions, Content, Entry, Fill, Forwarded, Freshness, Head, Lead, Meta, Outcome,
        Uncacheable, Validated, judge, serves_on_error,
    },
    exchange::{Answering, Body, Exchange, LeftAnswering, Request, Response},
    failure::{Failure, Side},
    proxy::{forward as upstream, response},
    semantics::{Headers, Known},
    state::Action,
    timer,
};

impl Visit<'_> {
    /// Fetches the answer; `stored` is a stale one that may still hold, `unstored` the outcome if
    /// this answer is none to store.
    pub(super) async fn fetch(
        &self,
        exchange: &mut Exchange,
        request: &mut Request,
        lead: Lead,
        stored: Option<Arc<Entry>>,
        (reason, unstored): (Forwarded, Outcome),
    ) -> Result<Response, Failure> {
        note(exchange, Outcome::Miss);
        self.strip_unkeyed(exchange, request);
        Conditions::remove(&mut request.headers);
        if let Some(entry) = &stored {
            entry.meta.ask(&mut request.headers);
        }
        let sent = request.headers.clone();
        let began = self.now();
        let called = behind(self.connection, exchange, self.home, request, self.offer).await;
        let fetched = Fetched {
            lead,
            sent,
            began,
            stored,
            reason,
            unstored,
        };
        match called {
            Ok(response) => Ok(self.take(exchange, response, fetched)),
            Err(failure) => self.fail(exchange, failure, fetched),
        }
    }

    /// Serves a stale answer in place of a failure, if it may.
    fn fail(
        &self,
        exchange: &mut Exchange,
        failure: Failure,
        fetched: Fetched,
    ) -> Result<Response, Failure> {
        if failure.side() == Side::Downstream {
            // The client's own: another request may fetch.
            return Err(failure);
        }
        fetched.lead.give_up(None);
        let now = self.now();
        let stored = fetched.stored.filter(|it| serves_on_error(it, now));
        let entry = stored.ok_or(failure)?;
        Ok(self.serve_stale(exchange, &entry, None))
    }

    /// Passes an answer on, and has it stored if it may be.
    fn take(&self, exchange: &mut Exchange, mut response: Response, fetched: Fetched) -> Response {
        let Fetched {
            lead,
            sent,
            began,
            stored,
            reason,
            unstored,
        } = fetched;
        let rules = &self.cache.rules;
        let now = self.now();
        let on_error = stored.as_ref().filter(|it| serves_on_error(it, now));
        response::clean(&mut response);
        let code = response.status.as_u16();
        if let (StatusCode::NOT_MODIFIED, Some(entry)) = (response.status, &stored) {
            return self.validated(exchange, lead, entry, &response.headers, &sent, began);
        }
        if let (Some(entry), 500 | 502 | 503 | 504) = (on_error, code) {
            lead.give_up(None);
            return self.serve_stale(exchange, entry, Some(code));
        }
        self.add_date(&mut response.headers);
        let verdict = match self.is_exceptional(exchange) {
            true => Err(Uncacheable::Exceptional),
            false => judge(self.asked, response.status, &response.headers, rules, now),
        };
        let verdict = verdict.and_then(|fresh| match response.body.length().exact() {
            Some(length) if length > rules.entry_max => Err(Uncacheable::TooLarge),
            _ => Ok(fresh),
        });
        let fresh = match verdict {
            Ok(fresh) => fresh,
            Err(why) => {
                // A server that fails says nothing of its next answer.
                let lasting = why.is_lasting() && !response.status.is_server_error();
                if let Some(entry) = stored.filter(|_| lasting) {
                    self.cache.forget(&self.key, &entry);
                }
                note(exchange, unstored);
                lead.give_up(lasting.then(|| self.pass_until()));
                return self.told(exchange, response, reason, false);
            }
        };
        let meta = self.meta(&response, fresh, &sent, now, began);
        let answering = exchange.call.answering.take();
        let idle = exchange
            .route()
            .map_or(Duration::ZERO, |it| it.timeouts.idle);
        // One of known length is not too long.
        let may_spill = response.body.length().exact().is_none();
        let using = exchange.cached.as_mut().filter(|_| may_spill);
        let left = using.map(|it| Rc::clone(it.left.insert(LeftAnswering::default())));
        let kept = self.store(&mut response, lead, meta, (answering, left), idle);
        if let Kept::No(answering) = kept {
            exchange.call.answering = answering;
            return self.told(exchange, response, reason, false);
        }
        let unchanged = response.status == StatusCode::OK
            && self.conditions.validate(&response.headers) == Validated::NotModified;
        if unchanged {
            serve::not_modified(&mut response);
        }
        self.told(exchange, response, reason, true)
    }

    /// Has the body of an answer stored; the response reads it from there.
    fn store(
        &self,
        response: &mut Response,
        mut lead: Lead,
        meta: Meta,
        (answering, left): (Option<Answering>, Option<LeftAnswering>),
        idle: Duration,
    ) -> Kept {
        let entry_max = self.cache.rules.entry_max;
        let length = response.body.length().exact();
        let meta = Arc::new(meta);
        if response.body.is_end() {
            lead.whole(meta, Arc::new(Content::new(&[], None)));
            return Kept::No(answering);
        }
        if !lead.begin(&meta, length, entry_max) {
            lead.give_up(None);
            return Kept::No(answering);
        }
        let fill = Arc::clone(lead.fill());
        let rest = Pump {
            lead,
            meta,
            body: std::mem::replace(&mut response.body, Body::Empty),
            answering,
            idle,
            entry_max,
            pass_until: self.pass_until(),
        }
        .start(left.as_ref());
        response.body = FillReader::body(&fill, length, Some(rest));
        Kept::Yes
    }

    /// Uses a stored answer of which the endpoint says that it still holds.
    fn validated(
        &self,
        exchange: &mut Exchange,
        lead: Lead,
        entry: &Arc<Entry>,
        answer: &Headers,
        sent: &Headers,
        began: u64,
    ) -> Response {
        let now = self.now();
        let meta = &entry.meta;
        let mut headers = meta.validated(answer);
        if !answer.contains(Known::Date) {
            headers.remove(Known::Date);
            self.add_date(&mut headers);
        }
        // The age is told anew, or none.
        if let Some(age) = answer.get(Known::Age) {
            headers.insert(Known::Age, age);
        }
        let rules = &self.cache.rules;
        let fresh = judge(self.asked, meta.status, &headers, rules, now);
        let renewed = Meta::new(&Arrival {
            status: meta.status,
            headers: &headers,
            freshness: fresh.unwrap_or(meta.freshness),
            request: sent,
            cohort: &self.cohort,
            now,
            delay: now.saturating_sub(began),
        });
        let renewed = Arc::new(Entry {
            meta: Arc::new(renewed),
            content: Arc::clone(&entry.content),
        });
        match fresh {
            Ok(_) => lead.whole(Arc::clone(&renewed.meta), Arc::clone(&renewed.content)),
            Err(why) => {
                if why.is_lasting() {
                    self.cache.forget(&self.key, entry);
                }
                lead.give_up(None);
            }
        }
        let status = Forwarded::Stale.status(Some(304), fresh.is_ok(), false);
        let mut response = self.serve(exchange, &renewed, Outcome::Revalidated, Some(status));
        upstream::tell(self.connection, exchange, &mut response);
        response
    }

    /// Serves a stale answer in place of a failure, or of an error of the endpoint.
    fn serve_stale(
        &self,
        exchange: &mut Exchange,
        entry: &Arc<Entry>,
        code: Option<u16>,
    ) -> Response {
        let status = match code {
            Some(code) => format!("sluicegate; hit; fwd=stale; fwd-status={code}"),
            None => "sluicegate; hit; fwd=stale".to_owned(),
        };
        self.serve(exchange, entry, Outcome::Stale, Some(status))
    }

    /// Answers with what another request fetches.
    pub(super) fn follow(
        &self,
        exchange: &mut Exchange,
        fill: &Arc<Fill>,
        head: &Head,
    ) -> Response {
        note(exchange, Outcome::Collapsed);
        exchange.answered.get_or_insert_with(timer::recent);
        let meta = &head.meta;
        let mut headers = meta.headers.clone();
        headers.insert(Known::Age, HeaderValue::from(meta.age(self.now())));
        serve::say(&mut headers, &Forwarded::UriMiss.status(None, false, true));
        let mut response = Response {
            status: meta.status,
            headers,
            body: Body::Empty,
        };
        let unchanged = meta.status == StatusCode::OK
            && self.conditions.validate(&meta.headers) == Validated::NotModified;
        if unchanged {
            serve::not_modified(&mut response);
        } else {
            response.body = FillReader::body(fill, head.length, None);
        }
        response
    }

    fn told(
        &self,
        exchange: &mut Exchange,
        mut response: Response,
        reason: Forwarded,
        stored: bool,
    ) -> Response {
        upstream::tell(self.connection, exchange, &mut response);
        serve::say(&mut response.headers, &reason.status(None, stored, false));
        response
    }

    fn meta(
        &self,
        response: &Response,
        freshness: Freshness,
        sent: &Headers,
        now: u64,
        began: u64,
    ) -> Meta {
        let mut meta = Meta::new(&Arrival {
            status: response.status,
            headers: &response.headers,
            freshness,
            request: sent,
            cohort: &self.cohort,
            now,
            delay: now.saturating_sub(began),
        });
        // Known once it is stored; while it arrives, the body itself says it.
        if let Some(length) = response.body.length().exact()
            && !response.body.may_have_trailers()
            && !matches!(response.status.as_u16(), 204 | 304)
        {
            meta.headers
                .insert(Known::ContentLength, HeaderValue::from(length));
        }
        meta
    }

    /// A recipient with a clock adds the date (RFC 9110 section 6.6.1).
    fn add_date(&self, headers: &mut Headers) {
        if !headers.contains(Known::Date) {
            headers.insert(Known::Date, self.connection.worker.date_value());
        }
    }

    /// Returns true if another version than that of the user has answered.
    fn is_exceptional(&self, exchange: &Exchange) -> bool {
        let Some(Action::Rollout(rollout)) = exchange.route().map(|route| &route.action) else {
            return false;
        };
        let chosen = exchange.cohort.as_ref().and_then(|it| it.choice);
        let standing = exchange.call.standing();
        let version = standing.and_then(|it| it.endpoint.endpoint.version.as_ref());
        rollout.arm_of(version) != chosen.map(|it| it.arm)
    }

    pub(super) fn pass_until(&self) -> u64 {
        self.now() + background::PASS_SECONDS
    }
}

/// A fetch whose answer, or failure, has come.
struct Fetched {
    lead: Lead,
    /// Head of the request as it was sent.
    sent: Headers,
    /// Second in which it was sent.
    began: u64,
    /// A stale answer.
    stored: Option<Arc<Entry>>,
    reason: Forwarded,
    /// Outcome if it is not stored.
    unstored: Outcome,
}

/// Result of having an answer stored.
enum Kept {
    /// The body is read by the cache.
    Yes,
    /// The response has its body.
    No(Option<Answering>),
}
