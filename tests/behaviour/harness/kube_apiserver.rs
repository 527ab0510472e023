//! A real kube-apiserver with its etcd, which can hang, die and return. `tests/kube-apiserver`
//! builds it where it is missing.

use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use super::certificate::Authority;
use super::child;
use super::etcd::Etcd;
use super::port::Port;

/// A running server with the namespace `shop`. Killed on drop.
pub(crate) struct KubeApiserver {
    authority: Authority,
    port: Port,
    folder: TempDir,
    etcd: Etcd,
    child: Option<Child>,
}

impl KubeApiserver {
    /// Starts one without data.
    pub(crate) async fn start() -> Self {
        let mut server = Self {
            authority: Authority::new("kubernetes"),
            port: Port::take(),
            folder: tempfile::tempdir().expect("a folder for kube-apiserver"),
            etcd: Etcd::start().await,
            child: None,
        };
        let folder = server.folder.path();
        server.authority.write(folder, "ca.crt");
        let issued = server.authority.issue("kube-apiserver", &["127.0.0.1"]);
        issued.write(folder, "server");
        std::fs::write(folder.join("tokens.csv"), "admin,me,1,\"system:masters\"\n")
            .expect("a file");
        let made = Command::new("openssl")
            .args(["genrsa", "-out", "accounts.key", "2048"])
            .current_dir(folder)
            .stderr(Stdio::null())
            .status();
        assert!(made.expect("openssl runs").success());
        server.run();
        server.is_ready().await;
        let namespace =
            json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": "shop" } });
        server.create("/api/v1/namespaces", &namespace.to_string());
        server
    }

    /// Starts it again after [`Self::kill`], with the data that it had.
    pub(crate) fn run(&mut self) {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/kube-apiserver");
        let log = std::fs::File::create(self.folder.path().join("log")).expect("a file");
        let child = Command::new(script)
            .arg(format!("--etcd-servers={}", self.etcd.url()))
            .arg(format!("--secure-port={}", self.address().port()))
            .args([
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--insecure-port=0",
            ])
            .args([
                "--tls-cert-file=server.pem",
                "--tls-private-key-file=server.key",
                "--cert-dir=.",
            ])
            .args(["--service-account-issuer=https://kubernetes.default.svc"])
            .args(["--service-account-key-file=accounts.key"])
            .args(["--service-account-signing-key-file=accounts.key"])
            .args(["--token-auth-file=tokens.csv", "--authorization-mode=RBAC"])
            .args(["--service-cluster-ip-range=10.0.0.0/24"])
            .args(["--disable-admission-plugins=ServiceAccount"])
            .args(["--feature-gates=EndpointSliceTerminatingCondition=true"])
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn();
        self.child = Some(child.expect("tests/kube-apiserver runs"));
    }

    /// Waits until it answers.
    pub(crate) async fn is_ready(&mut self) {
        let end = Instant::now() + Duration::from_secs(120);
        while self.ask("GET", "/readyz", "admin", "").0 != 200 {
            let child = self.child.as_mut().expect("it runs");
            let ended = child.try_wait().expect("its state");
            assert!(ended.is_none(), "it has ended: {ended:?}");
            assert!(Instant::now() < end, "it is not ready");
            sleep(Duration::from_millis(200)).await;
        }
    }

    /// Makes it hang, or go on.
    pub(crate) fn signal(&self, signal: Signal) {
        child::signal(self.child.as_ref(), signal);
    }

    /// Ends it at once.
    pub(crate) fn kill(&mut self) {
        child::end(self.child.take());
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Creates an object, as JSON or YAML; returns what the server made of it.
    pub(crate) fn create(&self, path: &str, object: &str) -> Value {
        let (status, text) = self.ask("POST", path, "admin", object);
        assert_eq!(status, 201, "{path}: {text}");
        serde_json::from_str(&text).expect("JSON")
    }

    /// Replaces an object.
    pub(crate) fn replace(&self, path: &str, object: &Value) {
        let (status, text) = self.ask("PUT", path, "admin", &object.to_string());
        assert_eq!(status, 200, "{path}: {text}");
    }

    /// Removes an object.
    pub(crate) fn delete(&self, path: &str) {
        let (status, text) = self.ask("DELETE", path, "admin", "");
        assert_eq!(status, 200, "{path}: {text}");
    }

    /// Returns a new token of a service account of `shop`.
    pub(crate) fn token(&self, account: &str) -> String {
        let path = format!("/api/v1/namespaces/shop/serviceaccounts/{account}/token");
        let wanted = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": { "expirationSeconds": 600 } });
        let made = self.create(&path, &wanted.to_string());
        made["status"]["token"]
            .as_str()
            .expect("a token")
            .to_owned()
    }

    /// Writes the files of a service account into `account` of this folder.
    pub(crate) fn write_account(&self, folder: &Path, token: &str) {
        let account = folder.join("account");
        std::fs::create_dir_all(&account).expect("a folder");
        self.authority.write(&account, "ca.crt");
        std::fs::write(account.join("namespace"), "shop").expect("a file");
        std::fs::write(account.join("token.new"), token).expect("a file");
        std::fs::rename(account.join("token.new"), account.join("token")).expect("replaced");
    }

    /// The answer to a request: status, 0 if there is none, and body.
    pub(crate) fn ask(&self, method: &str, path: &str, token: &str, body: &str) -> (u16, String) {
        let kind = if body.starts_with('{') {
            "json"
        } else {
            "yaml"
        };
        let mut curl = Command::new("curl")
            .args([
                "--silent",
                "--show-error",
                "--max-time",
                "20",
                "--cacert",
                "ca.crt",
            ])
            .args([
                "--request",
                method,
                "--data-binary",
                "@-",
                "--write-out",
                "\n%{http_code}",
            ])
            .args(["--header", &format!("Authorization: Bearer {token}")])
            .args(["--header", &format!("Content-Type: application/{kind}")])
            .arg(format!("https://{}{path}", self.address()))
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("curl runs");
        let mut input = curl.stdin.take().expect("its input");
        input.write_all(body.as_bytes()).expect("it reads");
        drop(input);
        let output = curl.wait_with_output().expect("its output");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (body, status) = text.rsplit_once('\n').unwrap_or(("", "0"));
        (status.parse().unwrap_or(0), body.to_owned())
    }
}

impl Drop for KubeApiserver {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            let last = lines.len().saturating_sub(30);
            eprintln!("--- log of kube-apiserver\n{}", lines[last..].join("\n"));
        }
    }
}
