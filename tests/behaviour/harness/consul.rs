//! A real Consul agent on ports of its own, which can hang, die and return.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::backend::Backend;
use super::child;
use super::client::{Answer, Client, request_bytes};
use super::eventually::eventually;
use super::port::Port;

/// A running agent, which is server and client. Killed on drop.
pub(crate) struct Consul {
    http: Port,
    others: [Port; 4],
    folder: TempDir,
    child: Option<Child>,
    /// More of its configuration.
    more: String,
}

impl Consul {
    /// Starts one without data.
    pub(crate) async fn start() -> Self {
        Self::started(String::new()).await
    }

    /// Starts one that takes no larger values and transactions than these.
    pub(crate) async fn start_with_limit(bytes: usize) -> Self {
        Self::started(limits(bytes)).await
    }

    /// Starts it again with such a limit or without one, and with the data that it had.
    pub(crate) async fn restart_with_limit(&mut self, bytes: Option<usize>) {
        self.kill();
        self.more = bytes.map(limits).unwrap_or_default();
        self.run();
        self.is_ready().await;
    }

    /// Starts one that refuses what no token allows; requests from here may do everything.
    pub(crate) async fn start_with_acl() -> Self {
        let consul = Self::started(ACL.to_owned()).await;
        eventually("its tokens are known", || async {
            let answer = consul.ask("GET", "/v1/acl/tokens", "").await?;
            (answer.status == 200).then_some(())
        })
        .await;
        consul
    }

    async fn started(more: String) -> Self {
        let mut consul = Self {
            http: Port::take(),
            others: [Port::take(), Port::take(), Port::take(), Port::take()],
            folder: tempfile::tempdir().expect("a folder for Consul"),
            child: None,
            more,
        };
        consul.run();
        consul.is_ready().await;
        consul
    }

    /// Its address for clients.
    pub(crate) fn address(&self) -> SocketAddr {
        self.http.address()
    }

    /// Starts it again after [`Self::kill`], with the data that it had.
    pub(crate) fn run(&mut self) {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/consul");
        let port = |port: &Port| port.address().port().to_string();
        let [rpc, lan, wan, grpc] = &self.others;
        let mut command = Command::new(script);
        command
            .args([
                "agent",
                "-server",
                "-bootstrap",
                "-data-dir",
                "data",
                "-node=t",
            ])
            .args([
                "-bind=127.0.0.1",
                "-client=127.0.0.1",
                "-disable-host-node-id",
            ])
            .args(["-http-port", &port(&self.http), "-dns-port=-1"])
            .args(["-server-port", &port(rpc), "-grpc-port", &port(grpc)])
            .args(["-serf-lan-port", &port(lan), "-serf-wan-port", &port(wan)])
            .args(["-hcl", "performance { raft_multiplier = 1 }"])
            .args(["-hcl", &self.more])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.child = Some(command.spawn().expect("tests/consul runs"));
    }

    /// Waits until it has a leader.
    pub(crate) async fn is_ready(&self) {
        eventually("Consul has a leader", || async {
            let answer = self.ask("GET", "/v1/status/leader", "").await?;
            (answer.text().len() > 4).then_some(())
        })
        .await;
    }

    /// Makes it hang, or go on.
    pub(crate) fn signal(&self, signal: Signal) {
        child::signal(self.child.as_ref(), signal);
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        child::end(self.child.take());
    }

    /// Removes the data of one that does not run.
    pub(crate) fn forget(&self) {
        std::fs::remove_dir_all(self.folder.path().join("data")).expect("its data");
    }

    /// Registers a server as an instance of `orders`; `more` adds to the usual keys.
    pub(crate) async fn register(&self, id: &str, backend: &Backend, more: Value) {
        let mut service = json!({
            "ID": id,
            "Name": "orders",
            "Address": backend.address().ip().to_string(),
            "Port": backend.address().port(),
            "Check": { "CheckID": id, "TTL": "1h", "Status": "passing" },
        });
        let keys = service.as_object_mut().expect("an object");
        keys.extend(more.as_object().expect("an object").clone());
        self.done("/v1/agent/service/register", &service.to_string())
            .await;
    }

    /// Removes an instance.
    pub(crate) async fn deregister(&self, id: &str) {
        self.done(&format!("/v1/agent/service/deregister/{id}"), "")
            .await;
    }

    /// Sets the state of the check of an instance: `pass`, `warn` or `fail`.
    pub(crate) async fn check(&self, id: &str, state: &str) {
        self.done(&format!("/v1/agent/check/{state}/{id}"), "")
            .await;
    }

    /// Makes a change, which must succeed.
    pub(crate) async fn done(&self, path: &str, body: &str) {
        let answer = self
            .ask("PUT", path, body)
            .await
            .expect("an answer of Consul");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }

    /// The answer to a request.
    pub(crate) async fn ask(&self, method: &str, path: &str, body: &str) -> Option<Answer> {
        let mut client = Client::try_connect(self.address()).await.ok()?;
        let token = if self.more == ACL { TOKEN } else { "" };
        let lines = format!("host: consul\n{token}connection: close\n");
        let request = request_bytes(method, path, &lines, body.as_bytes());
        client.send(request).await;
        client.try_answer_to(method).await.ok()
    }
}

impl Drop for Consul {
    fn drop(&mut self) {
        self.kill();
    }
}

fn limits(bytes: usize) -> String {
    let sizes = format!("kv_max_value_size = {bytes}, txn_max_req_len = {bytes}");
    format!("limits {{ {sizes} }}")
}

/// Refuses everything that no token allows; this one may do everything.
const ACL: &str = r#"acl { enabled = true default_policy = "deny" tokens { master = "00000000-aaaa-bbbb-cccc-000000000000" agent = "00000000-aaaa-bbbb-cccc-000000000000" } }"#;
const TOKEN: &str = "x-consul-token: 00000000-aaaa-bbbb-cccc-000000000000\n";
