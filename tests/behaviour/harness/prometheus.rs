//! A real Prometheus, which scrapes a proxy and answers queries.

use std::{
    fs::{self, File},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use super::{client::Client, eventually::eventually, port::Port};

/// A running server. Killed on drop.
pub(crate) struct Prometheus {
    port: Port,
    child: Child,
    folder: TempDir,
}

impl Prometheus {
    /// Starts one that scrapes this address every second, and keeps exemplars.
    pub(crate) async fn scraping(target: SocketAddr) -> Self {
        let folder = tempfile::tempdir().expect("a folder for Prometheus");
        let config = format!(
            "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\nscrape_configs:\n\
             \x20 - job_name: sluicegate\n    static_configs:\n      - targets: [\"{target}\"]\n"
        );
        fs::write(folder.path().join("prometheus.yml"), config).expect("a file");
        let port = Port::take();
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/prometheus");
        let said = File::create(folder.path().join("log")).expect("a file");
        let child = Command::new(script)
            .arg(format!("--web.listen-address={}", port.address()))
            .args(["--config.file=prometheus.yml", "--storage.tsdb.path=series"])
            .args(["--enable-feature=exemplar-storage", "--log.level=warn"])
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .expect("tests/prometheus runs");
        let prometheus = Self {
            port,
            child,
            folder,
        };
        prometheus.is_ready().await;
        prometheus
    }

    /// Waits until it answers; with many tests beside it, it starts slowly.
    async fn is_ready(&self) {
        let end = Instant::now() + Duration::from_secs(60);
        loop {
            if let Ok(mut client) = Client::try_connect(self.port.address()).await
                && client.get("/-/ready").await.status == 200
            {
                return;
            }
            assert!(Instant::now() < end, "{}", self.log());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Data of an answer of its API.
    pub(crate) async fn ask(&self, target: &str) -> Value {
        let mut client = Client::connect(self.port.address()).await;
        let answer = client.get(target).await.text();
        let answer: Value = serde_json::from_str(&answer).expect("JSON");
        assert_eq!(answer["status"], "success", "{target}: {answer}");
        answer["data"].clone()
    }

    /// Values of a query by their labels.
    pub(crate) async fn query(&self, query: &str) -> Vec<(Value, f64)> {
        let data = self
            .ask(&format!("/api/v1/query?query={}", encode(query)))
            .await;
        let rows = data["result"].as_array().expect("a vector").clone();
        rows.into_iter()
            .map(|row| {
                let value = row["value"][1].as_str().and_then(|it| it.parse().ok());
                (row["metric"].clone(), value.expect("a number"))
            })
            .collect()
    }

    /// Waits until a query has one value, which is this.
    pub(crate) async fn becomes(&self, query: &str, wanted: f64) {
        eventually(format!("{query} is {wanted} ({})", self.log()), || async {
            match self.query(query).await[..] {
                [(_, value)] => ((value - wanted).abs() < 1e-9).then_some(()),
                _ => None,
            }
        })
        .await;
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Percent-encodes a parameter of a query.
pub(crate) fn encode(text: &str) -> String {
    let bytes = text.bytes().map(|byte| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'_' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    });
    bytes.collect()
}
