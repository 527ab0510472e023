//! Endpoints of Services in Kubernetes, by their EndpointSlices.
//!
//! All slices are listed, and the changes after that revision are watched. The server ends a watch
//! after 20 to 30 s; it is opened again at the revision of the last event or bookmark, on the same
//! connection. One that breaks off, falls silent or is refused is followed by a new list, after a
//! wait with jitter: a server that was restored may have gone back to an older revision, and would
//! tell nothing until it has passed the one that is asked for. A list that was read is used whatever
//! becomes of its watch.
//!
//! Source: the Kubernetes API, "Efficient detection of changes".

mod account;
mod api;
mod slice;
mod slices;

use std::{fmt, path::PathBuf, sync::Arc};

use bytes::Bytes;
use tokio::time::{Instant, timeout_at};

use super::{BoxFuture, Discovery, DiscoveryError, DnsFamily, Reconnect, Update};
use crate::{
    config::value::{HttpUrl, KubernetesPort, Secret},
    fetch::FetchError,
    resilience::restart::STEADY,
    tls::KeyPair,
};
use account::Account;
use api::{Api, ApiError, Event, Status, Told, Watch, garbled};
use slice::{Object, Slice};
use slices::Slices;

/// Settings of Services in Kubernetes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KubernetesSource {
    /// The Services; at least one.
    pub services: Vec<String>,
    /// Their namespace; none: that of the pod.
    pub namespace: Option<String>,
    /// Port of the endpoints; none: the only one.
    pub port: Option<KubernetesPort>,
    /// Families of the addresses.
    pub family: DnsFamily,
    /// Label of a Service with the version of its endpoints.
    pub version_label: String,
    /// The API server; none: that of the cluster that the proxy runs in.
    pub address: Option<HttpUrl>,
    /// Folder of a service account; none: that of a pod, if `address` is none, too.
    pub account: Option<PathBuf>,
    /// Token instead of the account's.
    pub token: Option<Secret>,
    /// Certificate instead of a token.
    pub client: Option<KeyPair>,
    /// File of the authorities that may certify the server; none: those of the account.
    pub ca: Option<PathBuf>,
}

/// Endpoints of Services in Kubernetes.
#[derive(Debug)]
pub struct Kubernetes {
    settings: Arc<KubernetesSource>,
    /// None until the first request, and after a failure: files and environment are read anew.
    api: Option<Api>,
    watch: Option<Watch>,
    /// Revision to watch from; empty: all must be listed.
    revision: String,
    slices: Slices,
    listed: Instant,
    /// True if the slices have changed since they were returned.
    is_news: bool,
    /// True if a list that was returned had endpoints.
    had_endpoints: bool,
    /// The Services that have no slice, and what is known of them.
    missing: Option<(Vec<String>, Vec<String>)>,
    /// Reason why changes of the list are not told; none while they are watched.
    unwatched: Option<String>,
    reconnect: Reconnect,
}

impl fmt::Display for KubernetesSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Some(url) => url.fmt(f)?,
            None => f.write_str("kubernetes")?,
        }
        write!(f, " service {}", self.services.join(","))?;
        match &self.namespace {
            Some(namespace) => write!(f, " in {namespace}"),
            None => Ok(()),
        }
    }
}

/// Result of a step.
enum Step {
    /// Other slices.
    Changed,
    /// The server was reached, and nothing has changed.
    Unchanged,
    /// Nothing to tell: another step is needed.
    Again,
}

impl Kubernetes {
    /// Returns the source of these endpoints.
    #[must_use]
    pub fn new(settings: Arc<KubernetesSource>) -> Self {
        Self {
            settings,
            api: None,
            watch: None,
            revision: String::new(),
            slices: Slices::default(),
            listed: Instant::now(),
            is_news: false,
            had_endpoints: false,
            missing: None,
            unwatched: None,
            reconnect: Reconnect::default(),
        }
    }

    async fn step(&mut self) -> Result<Step, DiscoveryError> {
        if self.watch.is_some() {
            return self.follow().await;
        }
        self.reconnect.wait().await;
        let begun = match &mut self.api {
            Some(api) if !self.revision.is_empty() => {
                let opened = api.watch(&self.settings, &self.revision).await;
                opened.map(|watch| {
                    self.watch = Some(watch);
                    Step::Unchanged
                })
            }
            _ => self.begin().await?,
        };
        match begun {
            Err(ApiError::Gone) if !self.revision.is_empty() => Ok(self.list_anew()),
            begun => begun.map_err(|error| self.fail(error)),
        }
    }

    /// Lists all slices and begins to watch them.
    async fn begin(&mut self) -> Result<Result<Step, ApiError>, DiscoveryError> {
        if self.api.is_none() {
            let found = Account::find(&self.settings, |name| std::env::var(name).ok()).await;
            let account = found.map_err(|why| {
                self.reconnect.failed();
                DiscoveryError::unreachable(self.settings.to_string(), why)
            })?;
            self.api = Some(Api::new(account, &self.settings));
        }
        let Some(api) = &mut self.api else {
            return Ok(Ok(Step::Again));
        };
        let (slices, revision) = match api.list(&self.settings).await {
            Ok(listed) => listed,
            Err(error) => return Ok(Err(error)),
        };
        let watch = api.watch(&self.settings, &revision).await;
        self.slices = slices;
        self.listed = Instant::now();
        self.missing = None;
        match watch {
            Ok(watch) => {
                self.revision = revision;
                self.watch = Some(watch);
                self.unwatched = None;
            }
            // It is listed again after a wait.
            Err(error) => {
                self.look_for_services().await;
                self.unwatched = Some(self.fail(error).to_string());
            }
        }
        self.is_news = true;
        Ok(Ok(Step::Changed))
    }

    /// Waits until the open watch has news, or ends. Of many events at once one list is made.
    async fn follow(&mut self) -> Result<Step, DiscoveryError> {
        let mut step = Step::Again;
        for count in 0..EVENTS_MAX {
            let Some(watch) = &mut self.watch else {
                return Ok(step);
            };
            let reading = watch.stream.line(LINE_MAX);
            let line = if count == 0 {
                timeout_at(watch.until, reading).await.unwrap_or_else(|_| {
                    let silent = watch.until.saturating_duration_since(watch.since);
                    Err(FetchError::Late(silent))
                })
            } else {
                tokio::select! {
                    biased;
                    line = reading => line,
                    () = std::future::ready(()) => return Ok(step),
                }
            };
            match line {
                Ok(Some(line)) => match self.take(&line) {
                    Ok(Step::Changed) => step = Step::Changed,
                    Ok(Step::Unchanged) if matches!(step, Step::Again) => step = Step::Unchanged,
                    Ok(_) => {}
                    Err(ApiError::Gone) => return Ok(self.list_anew()),
                    Err(error) => return Err(self.fail(error)),
                },
                Ok(None) => {
                    self.end_watch();
                    return Ok(step);
                }
                Err(error) => return self.lose_watch(error.into()).map(|()| step),
            }
        }
        Ok(step)
    }

    /// Takes an event.
    fn take(&mut self, line: &Bytes) -> Result<Step, ApiError> {
        let no_event = |error| garbled("no event of a watch", &error);
        let event: Event<'_> = serde_json::from_slice(line).map_err(no_event)?;
        if event.kind == "ERROR" {
            return Err(Status::error(event.object));
        }
        let object: Object = serde_json::from_str(event.object.get()).map_err(no_event)?;
        let metadata = object.metadata;
        if !metadata.resource_version.is_empty() {
            self.revision.clone_from(&metadata.resource_version);
        }
        self.reconnect.succeeded();
        let name = metadata.name.clone();
        match &*event.kind {
            "ADDED" | "MODIFIED" => {
                // The watch is one of this server.
                let namespace = self.api.as_ref().map_or("", Api::namespace);
                let slice = Slice::read(event.object, metadata, &self.settings, namespace);
                self.slices.put(name, slice);
            }
            "DELETED" => self.slices.remove(&name),
            // A bookmark, or what later versions may have.
            _ => return Ok(Step::Unchanged),
        }
        if let Err(error) = self.slices.bounded() {
            // They are listed anew; the list that was returned last stays.
            self.slices = Slices::default();
            return Err(error);
        }
        self.is_news = true;
        Ok(Step::Changed)
    }

    /// Notes that the server has ended the watch, as agreed. It is opened again at once, unless that
    /// was much too early.
    fn end_watch(&mut self) {
        let Some(watch) = self.watch.take() else {
            return;
        };
        if watch.since.elapsed() < STEADY {
            self.reconnect.failed();
        } else {
            self.reconnect.succeeded();
        }
        if let Some(api) = &mut self.api {
            api.reuse(watch);
        }
    }

    /// Notes that the watch broke off or fell silent: all is listed anew, after a wait at random.
    /// It is an error only if it was short.
    fn lose_watch(&mut self, error: ApiError) -> Result<(), DiscoveryError> {
        let since = self.watch.as_ref().map(|watch| watch.since);
        if since.is_some_and(|since| since.elapsed() < STEADY) {
            return Err(self.fail(error));
        }
        tracing::debug!(source = %self.settings, ?error, "a watch of Kubernetes ended");
        self.reconnect.succeeded();
        let _ = self.fail(error);
        Ok(())
    }

    /// Notes that the history that the watch needs is not there any more. Soon after a list there
    /// is a wait.
    fn list_anew(&mut self) -> Step {
        self.watch = None;
        self.revision.clear();
        if self.listed.elapsed() < STEADY {
            self.reconnect.failed();
        }
        Step::Again
    }

    fn fail(&mut self, error: ApiError) -> DiscoveryError {
        self.reconnect.failed();
        self.watch = None;
        self.revision.clear();
        let source = self.settings.to_string();
        let told = match self.api.take() {
            Some(api) => api.told(error),
            None => Told::Answers(format!("{error:?}")),
        };
        match told {
            Told::Unreachable(why) => DiscoveryError::unreachable(source, why),
            Told::Answers(what) => DiscoveryError::Refused(source, what),
        }
    }

    /// Returns the list of the slices as they are.
    async fn list(&mut self) -> Update {
        self.look_for_services().await;
        self.is_news = false;
        let mut list = self.slices.list(self.settings.family);
        list.trouble.clone_from(&self.unwatched);
        let missing = self.missing.as_ref().map_or(&[][..], |(_, told)| told);
        // A list that is empty because its Service was removed is an empty list, not a fault.
        let is_good = !list.endpoints.is_empty() || (list.skipped.is_empty() && self.had_endpoints);
        if is_good && !missing.is_empty() {
            let told = format!("{}: {}", self.settings, missing.join("; "));
            let unwatched = list.trouble.map(|it| format!("; {it}"));
            list.trouble = Some(told + &unwatched.unwrap_or_default());
        } else {
            missing.iter().for_each(|told| list.skipped.add(told));
        }
        self.had_endpoints |= !list.endpoints.is_empty();
        Update::List(list)
    }

    /// Asks for the Services that have no slice.
    async fn look_for_services(&mut self) {
        let without = self.settings.services.iter();
        let without = without.filter(|name| !self.slices.has(name));
        let without: Vec<String> = without.cloned().collect();
        if self
            .missing
            .as_ref()
            .is_some_and(|(known, _)| *known == without)
        {
            return;
        }
        let mut told = Vec::new();
        if let Some(api) = &mut self.api {
            for name in &without {
                if api.lacks_service(name).await {
                    let namespace = api.namespace();
                    told.push(format!(
                        "there is no Service {name} in the namespace {namespace}"
                    ));
                }
            }
        }
        self.missing = Some((without, told));
    }
}

impl Discovery for Kubernetes {
    fn next(&mut self) -> BoxFuture<'_, Result<Update, DiscoveryError>> {
        Box::pin(async move {
            loop {
                if self.is_news {
                    return Ok(self.list().await);
                }
                match self.step().await? {
                    Step::Changed | Step::Again => {}
                    Step::Unchanged => return Ok(Update::Unchanged),
                }
            }
        })
    }
}

/// Maximum size of a line of a watch: one slice.
const LINE_MAX: usize = 4 << 20;
/// Events of which one list is made, if they are there at once.
const EVENTS_MAX: usize = 1000;

#[cfg(test)]
mod tests;
