//! The text of a configuration and what the proxy is started with.

use std::fs;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;

use super::process::{command, spawn};
use super::{CONFIG, Proxy};
use crate::harness::backend::{Backend, Records};
use crate::harness::port::Port;

/// A configuration text with names for addresses: `$app` becomes the address of the backend given
/// as `app`, any other `$name` a free one of the proxy's own.
pub(crate) struct Settings {
    text: String,
    names: Names,
    environment: Vec<(String, String)>,
    socket: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    folder: TempDir,
}

/// The addresses that names of a configuration stand for.
#[derive(Default)]
pub(super) struct Names {
    pub(super) given: Vec<(String, SocketAddr)>,
    taken: Vec<(String, Port)>,
    pub(super) backends: Vec<Records>,
}

impl Settings {
    /// Starts from this text; a table `[admin]` and an access log are added if missing.
    pub(crate) fn new(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            names: Names::default(),
            environment: Vec::new(),
            socket: None,
            stderr: None,
            folder: tempfile::tempdir().expect("a folder for the proxy"),
        }
    }

    /// Sets the address of `$name`, and has the requests received there checked at the end.
    pub(crate) fn backend(mut self, name: &str, backend: &Backend) -> Self {
        self.names.backends.push(backend.records());
        self.address(name, backend.address())
    }

    /// Sets the address of `$name`.
    pub(crate) fn address(mut self, name: &str, address: SocketAddr) -> Self {
        self.names.given.push((name.to_owned(), address));
        self
    }

    /// Folder of the configuration file, for files that the text names.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Sets a variable of the proxy's environment.
    pub(crate) fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Gives the proxy this socket as a service manager would.
    pub(crate) fn socket(mut self, socket: impl Into<OwnedFd>) -> Self {
        self.socket = Some(socket.into());
        self
    }

    /// Gives the proxy this standard error.
    pub(crate) fn stderr(mut self, stderr: impl Into<OwnedFd>) -> Self {
        self.stderr = Some(stderr.into());
        self
    }

    /// Starts the proxy and waits until `/ready` succeeds.
    pub(crate) async fn start(self) -> Proxy {
        let mut proxy = self.launch();
        proxy.admin_says("/ready").await;
        proxy
    }

    /// Starts the process only.
    pub(crate) fn launch(mut self) -> Proxy {
        let text = self.names.expand(&complete(&self.text));
        let path = self.folder.path().join(CONFIG);
        fs::write(&path, text).expect("the configuration is written");
        let command = command(&path, self.folder.path(), &self.environment, self.socket);
        let child = spawn(command, self.stderr);
        Proxy {
            child,
            names: self.names,
            environment: self.environment,
            folder: self.folder,
            ledger: Arc::default(),
        }
    }
}

impl Names {
    pub(super) fn find(&self, name: &str) -> Option<SocketAddr> {
        let given = self.given.iter().rev().find(|(n, _)| n == name);
        let taken = || self.taken.iter().find(|(n, _)| n == name);
        given
            .map(|(_, address)| *address)
            .or_else(|| taken().map(|(_, port)| port.address()))
    }

    /// Replaces the names by addresses. A `$` that no lower-case letter follows, as in a regex,
    /// stands for itself.
    pub(super) fn expand(&mut self, text: &str) -> String {
        let mut parts = text.split('$');
        let mut out = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            if !part.starts_with(|c: char| c.is_ascii_lowercase()) {
                out.push('$');
                out.push_str(part);
                continue;
            }
            let end = part
                .find(|c: char| !(c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_'))
                .unwrap_or(part.len());
            let (name, rest) = part.split_at(end);
            let address = self.find(name).unwrap_or_else(|| {
                let port = Port::take();
                let address = port.address();
                self.taken.push((name.to_owned(), port));
                address
            });
            out.push_str(&address.to_string());
            out.push_str(rest);
        }
        out
    }
}

/// Adds the tables `[admin]` and `[access_log]` if they are missing.
pub(super) fn complete(text: &str) -> String {
    let mut text = text.to_owned();
    if !text.contains("[admin]") {
        text.push_str("\n[admin]\naddress = \"$admin\"\n");
    }
    // What is in a store is not completed.
    if !text.contains("[access_log]") && !text.contains("[config]") {
        text.push_str("\n[access_log]\npath = \"access.log\"\nformat = \"json\"\n");
    }
    text
}
