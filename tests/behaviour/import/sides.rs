//! An imported configuration that runs, beside the proxy that it comes from.

use std::{fs, net::SocketAddr, path::Path};

use super::{command, started};
use crate::harness::{OtherProxy, Port, Proxy};

/// Both sides.
pub(super) struct Sides {
    /// The imported configuration.
    pub(super) text: String,
    ports: (Port, Port),
    other: Option<OtherProxy>,
    proxy: Proxy,
}

impl Sides {
    /// Imports the configuration of another proxy, checks what it became and starts both; `config`
    /// gives it for an address.
    pub(super) async fn of(
        dialect: &str,
        folder: &Path,
        config: impl Fn(SocketAddr) -> String,
    ) -> Self {
        let ports = (Port::take(), Port::take());
        let (own, peer) = (ports.0.address(), ports.1.address());
        fs::write(folder.join("own.conf"), config(own)).expect("written");
        fs::write(folder.join("peer.conf"), config(peer)).expect("written");
        let text = imported(folder, dialect, "own.conf");
        let proxy = started(&text, own).await;
        let other = OtherProxy::start(dialect, folder, "peer.conf", peer).await;
        Self {
            text,
            ports,
            other,
            proxy,
        }
    }

    /// The address of the imported configuration, and that of the other proxy if it is installed.
    pub(super) fn addresses(&self) -> impl Iterator<Item = SocketAddr> + use<> {
        let other = self.other.as_ref().map(|_| self.ports.1.address());
        [Some(self.own()), other].into_iter().flatten()
    }

    /// The address of the imported configuration.
    pub(super) fn own(&self) -> SocketAddr {
        self.ports.0.address()
    }

    /// Ends both.
    pub(super) fn end(self) {
        drop(self.other);
        drop(self.proxy);
    }
}

/// Imports a file of a folder; `check` takes the result.
pub(super) fn imported(folder: &Path, dialect: &str, file: &str) -> String {
    let (code, text) = command(folder, &["import", dialect, file]);
    assert_eq!(code, Some(0), "{text}");
    // The number of lines that are not translated is told behind it.
    let is_told = |line: &&str| line.contains("not translated: look for");
    let lines = text.lines().filter(|line| !is_told(line));
    let text: String = lines.flat_map(|line| [line, "\n"]).collect();
    fs::write(folder.join("imported.toml"), &text).expect("written");
    let (code, checked) = command(folder, &["check", "--offline", "imported.toml"]);
    assert_eq!(code, Some(0), "{checked}\n{text}");
    text
}
