//! One certificate: its plan, the work under way, and what is told of it.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::json;
use tokio::{
    sync::oneshot::{self, error::TryRecvError},
    task::JoinHandle,
};

use super::{
    Tools,
    job::{self, Done},
    plan::{Plan, Step},
};
use crate::{
    acme::{
        AcmeError, Order, Status, schedule,
        store::{Attempts, Held},
    },
    state::AcmeCertificate,
    task,
    telemetry::metrics::names,
};

/// A certificate that is wanted.
pub(super) struct Seat {
    order: Arc<Order>,
    plan: Plan,
    work: Option<Work>,
    /// The last failure that was told: of the CA, or on the way to it.
    told: Option<bool>,
    /// The first failure in a row since the start of the process.
    failing_since: Option<SystemTime>,
}

/// Work under way; given up when dropped.
struct Work {
    step: Step,
    task: JoinHandle<()>,
    done: oneshot::Receiver<Done>,
}

impl Drop for Work {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Seat {
    pub(super) fn new(certificate: &AcmeCertificate) -> Self {
        Self {
            order: Arc::new(certificate.order.clone()),
            plan: Plan::default(),
            work: None,
            told: None,
            failing_since: None,
        }
    }

    /// Returns the folder of the directory that it is being ordered from.
    pub(super) fn ordering(&self) -> Option<&Path> {
        let work = self.work.as_ref().filter(|it| it.step == Step::Order);
        work.map(|_| self.order.folder.as_path())
    }

    /// Takes the result of the work that has ended, and begins what is due; an order only if there
    /// is none from the same directory among `ordering`.
    pub(super) fn look(
        &mut self,
        certificate: &AcmeCertificate,
        ordering: &mut HashSet<PathBuf>,
        tools: &Rc<Tools>,
    ) {
        let now = unix_s(SystemTime::now());
        if *self.order != certificate.order {
            // Changed settings may mend what failed.
            self.order = Arc::new(certificate.order.clone());
            self.plan.attempts = Attempts::default();
            self.told = None;
            self.work = None;
        }
        if let Some(work) = &mut self.work {
            let done = match work.done.try_recv() {
                Err(TryRecvError::Empty) => return,
                Ok(done) => done,
                Err(TryRecvError::Closed) => {
                    Done::Failed(AcmeError::State("the task panicked".to_owned()), None)
                }
            };
            self.work = None;
            self.take(done, now, tools);
        }
        let step = self.plan.step(now);
        let is_free = step != Step::Order || ordering.insert(self.order.folder.clone());
        if step != Step::Wait && is_free {
            self.begin(step, tools);
        }
        self.failing_since = match self.plan.attempts.failures {
            0 => None,
            _ => self.failing_since.or_else(|| Some(SystemTime::now())),
        };
        certificate.standing.set(self.status());
    }

    fn begin(&mut self, step: Step, tools: &Rc<Tools>) {
        if step == Step::Order {
            let (names, ca) = (self.order.label(), &self.order.directory);
            match self.plan.attempts.failures {
                0 => tracing::info!(names, %ca, "a certificate is ordered"),
                failures => tracing::debug!(names, %ca, failures, "a certificate is ordered again"),
            }
        }
        let (order, used) = (Arc::clone(&self.order), self.plan.held.clone());
        let tools = Rc::clone(tools);
        let (tells, done) = oneshot::channel();
        let task = task::spawn_local("certificate order", async move {
            // Nobody listens any more if it is given up.
            let _ = tells.send(Box::pin(job::run(step, order, used, &tools)).await);
        });
        self.work = Some(Work { step, task, done });
    }

    fn take(&mut self, done: Done, now: i64, tools: &Rc<Tools>) {
        match done {
            Done::Read(held, attempts) => {
                let attempts = attempts.of(&self.order);
                self.plan.read(held, attempts, rand::random());
            }
            Done::Unread(error) => {
                tracing::debug!(names = self.order.label(), %error, "the state is not read");
                self.plan.busy(now);
            }
            Done::Told(told) => self.plan.told(told, now),
            Done::Busy => self.plan.busy(now),
            Done::Found(held) => self.plan.issued(held, now, rand::random()),
            Done::Issued(held) => {
                self.tell_issued(&held, tools);
                self.plan.issued(held, now, rand::random());
                self.keep_attempts(tools);
            }
            Done::Failed(error, after) => {
                let after =
                    after.map(|at| at.duration_since(SystemTime::now()).unwrap_or_default());
                let failures = self.plan.attempts.failures.saturating_add(1);
                let wait = schedule::wait(failures, error.is_refusal(), after, rand::random());
                self.tell_failed(&error, wait, tools);
                self.plan.failed(error.to_string(), wait, now);
                self.keep_attempts(tools);
            }
        }
    }

    fn keep_attempts(&self, tools: &Rc<Tools>) {
        let (order, tools) = (Arc::clone(&self.order), Rc::clone(tools));
        let attempts = &self.plan.attempts;
        let attempts = (attempts.failures > 0).then(|| attempts.under(&order));
        drop(task::spawn_local("certificate order", async move {
            job::keep(order, attempts, &tools).await;
        }));
    }

    fn tell_issued(&mut self, held: &Held, tools: &Tools) {
        self.told = None;
        let (names, expires) = (self.order.label(), text(held.expires));
        tracing::info!(names, expires, ca = %self.order.directory, "a certificate was issued");
        count(tools, "succeeded");
        let what = json!({
            "names": self.order.names, "to": "issued", "expires": expires,
            "directory": self.order.directory.to_string(),
        });
        tools.events.publish("acme", "proxy", what);
    }

    /// Tells a failure: the first in a row, and the first of another kind.
    fn tell_failed(&mut self, error: &AcmeError, wait: Duration, tools: &Tools) {
        count(tools, "failed");
        let kind = Some(error.is_refusal());
        if self.told == kind {
            tracing::debug!(names = self.order.label(), %error, "a certificate was not issued");
            return;
        }
        self.told = kind;
        let again = humantime::format_duration(Duration::from_secs(wait.as_secs()));
        let left = match &self.plan.held {
            Some(held) => format!("the old one stays until {}", text(held.expires)),
            None => "there is none yet".to_owned(),
        };
        tracing::error!(
            names = self.order.label(), ca = %self.order.directory, %error, again = %again,
            "a certificate was not issued; {left}"
        );
        let what = json!({
            "names": self.order.names, "to": "failed", "error": error.to_string(),
            "directory": self.order.directory.to_string(),
        });
        tools.events.publish("acme", "proxy", what);
    }

    fn status(&self) -> Status {
        let attempts = &self.plan.attempts;
        let next = u64::try_from(self.plan.next()).ok().filter(|at| *at > 0);
        Status {
            expires: self.plan.held.as_ref().map(|held| held.expires),
            ordering: self.ordering().is_some(),
            next: next.map(|at| UNIX_EPOCH + Duration::from_secs(at)),
            failures: attempts.failures,
            failing_since: self.failing_since,
            error: (attempts.failures > 0).then(|| attempts.error.clone()),
        }
    }
}

fn count(tools: &Tools, result: &str) {
    tools
        .metrics
        .counter(&names::ACME_ORDERS_TOTAL, [result])
        .inc();
}

fn text(unix_s: i64) -> String {
    let since = Duration::from_secs(u64::try_from(unix_s).unwrap_or(0));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

fn unix_s(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
