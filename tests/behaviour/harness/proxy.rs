//! The real binary with its own configuration file, folder and ports.

mod clients;
mod process;
mod settings;

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Child;
use std::sync::Arc;

use rustix::process::{Signal, kill_process};
use tempfile::TempDir;

use super::backend::Backend;
use super::eventually::eventually;
use super::invariant::{Ledger, check_forwarded};

pub(super) use clients::ask;
pub(crate) use settings::Settings;
use settings::{Names, complete};

/// A running proxy. Killed on drop; its log is printed if the test failed.
pub(crate) struct Proxy {
    child: Child,
    names: Names,
    environment: Vec<(String, String)>,
    folder: TempDir,
    ledger: Arc<Ledger>,
}

impl Proxy {
    /// Returns the address of `$name`.
    pub(crate) fn address(&self, name: &str) -> SocketAddr {
        self.names
            .find(name)
            .unwrap_or_else(|| panic!("no ${name}"))
    }

    /// The lines of the access log so far.
    pub(crate) fn access_log(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.folder.path().join("access.log")).unwrap_or_default();
        let complete = text.rfind('\n').map_or("", |at| &text[..at]);
        complete
            .lines()
            .map(|line| {
                serde_json::from_str(line).unwrap_or_else(|e| panic!("log line: {e}: {line}"))
            })
            .collect()
    }

    /// Waits for the access log line that fits.
    pub(crate) async fn logged(
        &self,
        what: &str,
        fits: impl Fn(&serde_json::Value) -> bool,
    ) -> serde_json::Value {
        eventually(format!("an access log line: {what}"), || async {
            self.access_log().into_iter().find(&fits)
        })
        .await
    }

    /// Standard error of the proxy so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join(LOG)).unwrap_or_default()
    }

    /// Waits until the log contains this text.
    pub(crate) async fn log_says(&self, what: &str) {
        eventually(format!("the log says {what}"), || async {
            self.log().contains(what).then_some(())
        })
        .await;
    }

    /// The folder of the configuration file.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Replaces the configuration file as careful editors do: a new file, then a rename.
    pub(crate) fn replace(&mut self, text: &str) {
        let text = self.names.expand(&complete(text));
        let new = self.folder.path().join("proxy.toml.new");
        fs::write(&new, text).expect("the new file is written");
        fs::rename(new, self.folder.path().join(CONFIG)).expect("the file is replaced");
    }

    /// Writes the configuration file in place.
    pub(crate) fn overwrite(&mut self, text: &str) {
        let text = self.names.expand(&complete(text));
        fs::write(self.folder.path().join(CONFIG), text).expect("the file is written");
    }

    /// Adds an address name for later configurations.
    pub(crate) fn name(&mut self, name: &str, backend: &Backend) {
        self.names.backends.push(backend.records());
        self.names.given.push((name.to_owned(), backend.address()));
    }

    /// The generation of the configuration that is in use.
    pub(crate) async fn generation(&self) -> f64 {
        self.metric("sluicegate_config_generation", &[]).await
    }

    /// Replaces the configuration and waits until it is in use.
    pub(crate) async fn reload(&mut self, text: &str) {
        let before = self.generation().await;
        self.replace(text);
        self.generation_passes(before).await;
    }

    /// Waits until a generation later than `before` is in use.
    pub(crate) async fn generation_passes(&self, before: f64) {
        eventually("a new generation of the configuration", || async {
            (self.generation().await > before).then_some(())
        })
        .await;
    }

    /// Waits until the last reload is known to have failed.
    pub(crate) async fn reload_fails(&self) {
        self.metric_becomes("sluicegate_config_last_reload_success", &[], 0.0)
            .await;
    }

    /// Checks the invariants after every test: no exchange is left, nothing panicked, each answer
    /// has its line in the access log, and nothing reached an endpoint that must not.
    pub(crate) async fn finish(self) {
        let gauge = "sluicegate_requests_in_flight";
        self.metric_becomes(gauge, &[], 0.0).await;
        assert!(
            self.metric("sluicegate_panics_total", &[]).await < 0.5,
            "no panic: {}",
            self.log()
        );
        eventually("each answer has its access log line", || async {
            match self.ledger.fault_in(&self.access_log()) {
                None => Some(()),
                Some(_) => None,
            }
        })
        .await;
        for records in &self.names.backends {
            records.requests().iter().for_each(check_forwarded);
        }
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        for process in self.others() {
            let _ = kill_process(process, Signal::KILL);
        }
        if std::thread::panicking() {
            eprintln!("--- log of the proxy\n{}", self.log());
        }
    }
}

const CONFIG: &str = "proxy.toml";
const LOG: &str = "proxy.log";
