//! The proxy inside this process, with a filter of an embedding program.

use std::fs;
use std::net::SocketAddr;
use std::thread::{self, JoinHandle};

use sluicegate::filter::Filter;
use sluicegate::server::Server;
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::{runtime, task::LocalSet};

use super::eventually::eventually;
use super::port::Port;

/// A proxy with one listener. It is ended by [`Inside::finish`].
pub(crate) struct Inside {
    port: Port,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    _folder: TempDir,
}

impl Inside {
    /// Starts one with these routes and pools; every request and answer meets the filter.
    pub(crate) async fn start(tables: &str, filter: impl Filter + 'static) -> Self {
        let port = Port::take();
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("proxy.toml");
        let address = port.address();
        let text = format!(
            "[proxy]\nworkers = 1\n[admin]\naddress = \"unix:admin.sock\"\n\
             [listeners.web]\naddress = \"{address}\"\n{tables}"
        );
        fs::write(&path, text).expect("the configuration is written");
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            let server = Server::new(path).without_signals();
            let serving = server.with_filter("filter", filter).serve(async move {
                let _ = stopped.await;
            });
            let runtime = runtime::Builder::new_current_thread().enable_all().build();
            let served = LocalSet::new().block_on(&runtime.unwrap(), Box::pin(serving));
            served.expect("it serves to its end");
        });
        eventually("the proxy listens", async || {
            TcpStream::connect(address).await.ok().map(drop)
        })
        .await;
        Self {
            port,
            stop,
            thread,
            _folder: folder,
        }
    }

    /// Its listener.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Has it drain, and waits for its end.
    pub(crate) async fn finish(self) {
        let _ = self.stop.send(());
        let ended = tokio::task::spawn_blocking(move || self.thread.join());
        ended.await.unwrap().expect("no panic");
    }
}
