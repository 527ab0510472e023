//! The proxy inside this process, with filters of an embedding program.

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
use super::exposition::Exposition;
use super::port::Port;
use super::proxy::ask;

/// A proxy with one listener. It is ended by [`Inside::finish`].
pub(crate) struct Inside {
    port: Port,
    admin: Port,
    workers: u8,
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
    folder: TempDir,
}

impl Inside {
    /// Starts one with these routes and pools; every request and answer passes the filter.
    pub(crate) async fn start(tables: &str, filter: impl Filter + 'static) -> Self {
        Self::embed(1, tables, |server| server.with_filter("filter", filter)).await
    }

    /// Starts one that `prepare` has added to.
    pub(crate) async fn embed(
        workers: u8,
        tables: &str,
        prepare: impl FnOnce(Server) -> Server,
    ) -> Self {
        let (port, admin) = (Port::take(), Port::take());
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("proxy.toml");
        let address = port.address();
        let text = written(workers, &admin, &port, tables);
        fs::write(&path, text).expect("the configuration is written");
        let (stop, stopped) = oneshot::channel::<()>();
        let server = prepare(Server::new(path).without_signals());
        let thread = thread::spawn(move || {
            let serving = server.serve(async move {
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
            admin,
            workers,
            stop,
            thread,
            folder,
        }
    }

    /// Waits until other tables are in use.
    pub(crate) async fn reload(&self, tables: &str) {
        let name = "sluicegate_config_generation";
        let before = self.metrics().await.sum(name, &[]);
        let text = written(self.workers, &self.admin, &self.port, tables);
        let new = self.folder.path().join("proxy.toml.new");
        fs::write(&new, text).expect("the new file is written");
        fs::rename(new, self.folder.path().join("proxy.toml")).expect("the file is replaced");
        eventually("the new tables are in use", async || {
            (self.metrics().await.sum(name, &[]) > before).then_some(())
        })
        .await;
    }

    /// The last exchanges, from the admin API.
    pub(crate) async fn requests(&self) -> Vec<serde_json::Value> {
        let answer = ask(self.admin.address(), "GET", "/requests?last=100", "").await;
        let text = answer.expect("requests").text();
        serde_json::from_str(&text).expect("a list")
    }

    /// One scrape.
    pub(crate) async fn metrics(&self) -> Exposition {
        let answer = ask(self.admin.address(), "GET", "/metrics", "").await;
        Exposition::parse(&answer.expect("metrics").text())
    }

    /// Waits for the line of the access log of the exchange of that id.
    pub(crate) async fn logged(&self, id: &str) -> serde_json::Value {
        let path = self.folder.path().join("access.log");
        eventually(format!("an access log line of {id}"), async || {
            let text = fs::read_to_string(&path).unwrap_or_default();
            let line = text.lines().find(|line| line.contains(id))?;
            serde_json::from_str(line).ok()
        })
        .await
    }

    /// Its listener.
    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Drains it, and waits for its end.
    pub(crate) async fn finish(self) {
        let _ = self.stop.send(());
        let ended = tokio::task::spawn_blocking(move || self.thread.join());
        ended.await.unwrap().expect("no panic");
    }
}

fn written(workers: u8, admin: &Port, port: &Port, tables: &str) -> String {
    let (admin, address) = (admin.address(), port.address());
    format!(
        "[proxy]\nworkers = {workers}\n[admin]\naddress = \"{admin}\"\n\
         [listeners.web]\naddress = \"{address}\"\n{tables}"
    )
}
