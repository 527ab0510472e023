//! Figures of the proxy: reads its metrics, as a monitoring system does.

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::task;

/// Reads the figures of one proxy.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    admin: SocketAddr,
}

/// Figures at one time.
#[derive(Clone, Debug, Default)]
pub(super) struct Reading(String);

impl Figures {
    /// Makes a reader for the proxy with this admin API.
    pub(super) fn new(admin: SocketAddr) -> Self {
        Self { admin }
    }

    /// Returns true if the proxy is ready for traffic.
    pub(super) async fn is_ready(&self) -> bool {
        let answer = get(self.admin, "/ready").await;
        answer.is_some_and(|(status, _)| status == StatusCode::OK)
    }

    /// Reads the figures; none if the proxy does not answer.
    pub(super) async fn read(&self) -> Option<Reading> {
        let (status, text) = get(self.admin, "/metrics").await?;
        (status == StatusCode::OK).then_some(Reading(text))
    }
}

impl Reading {
    /// Returns the sum over the series of a family whose labels contain all of these texts.
    pub(super) fn sum(&self, family: &str, labels: &[&str]) -> f64 {
        let series = self.0.lines().filter_map(|line| {
            let rest = line.strip_prefix(family)?;
            // Another family may begin with the name of this one.
            let (labelled, value) = rest.rsplit_once(' ')?;
            let ours = labelled.is_empty() || labelled.starts_with('{');
            let meant = labels.iter().all(|label| labelled.contains(label));
            (ours && meant).then(|| value.parse::<f64>().ok())?
        });
        // Not `sum`: of nothing that would be -0.
        series.fold(0.0, |sum, value| sum + value)
    }

    /// Returns true if the endpoint takes traffic, or if nothing is known of it.
    pub(super) fn is_healthy(&self, endpoint: SocketAddr) -> bool {
        let label = format!("endpoint=\"{endpoint}\"");
        let known = self.0.contains(&label);
        !known || self.sum("sluicegate_endpoint_healthy", &[&label]) > 0.5
    }

    /// Retries, over all pools.
    pub(super) fn retries(&self) -> f64 {
        self.sum("sluicegate_retries_total", &[])
    }

    /// Ejections, over all pools.
    pub(super) fn ejections(&self) -> f64 {
        self.sum("sluicegate_ejections_total", &[])
    }

    /// The generation of the configuration in use.
    pub(super) fn generation(&self) -> f64 {
        self.sum("sluicegate_config_generation", &[])
    }

    /// Returns true if the rollout of the orders is in this state.
    pub(super) fn is_rollout(&self, state: &str) -> bool {
        let state = format!("state=\"{state}\"");
        self.sum("sluicegate_rollout_state", &[&state]) > 0.5
    }

    /// Returns true if the last reload was refused.
    pub(super) fn is_refused(&self) -> bool {
        self.sum("sluicegate_config_last_reload_success", &[]) < 0.5
    }
}

/// Sends one request on a connection of its own, with a timeout of one second.
pub(super) async fn get(address: SocketAddr, target: &str) -> Option<(StatusCode, String)> {
    let asking = async {
        let stream = TcpStream::connect(address).await.ok()?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
        let carrying = task::spawn_local("demo question", async {
            let _ = connection.await;
        });
        let request = Request::get(target)
            .header(header::HOST, address.to_string())
            .header(header::CONNECTION, "close")
            .body(Empty::<Bytes>::new())
            .ok()?;
        let response = sender.send_request(request).await.ok()?;
        let status = response.status();
        let body = response.into_body().collect().await.ok()?.to_bytes();
        carrying.abort();
        Some((status, String::from_utf8_lossy(&body).into_owned()))
    };
    tokio::time::timeout(ASK_MAX, asking).await.ok()?
}

const ASK_MAX: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_summed_by_family_and_label() {
        let reading = Reading(
            "# TYPE a_total counter\n\
             a_total{pool=\"x\",outcome=\"failed\"} 2\n\
             a_total{pool=\"y\",outcome=\"failed\"} 3\n\
             a_total_created{pool=\"x\"} 100\n\
             b 7\n"
                .to_owned(),
        );
        let close = |value: f64, expected: f64| (value - expected).abs() < f64::EPSILON;
        assert!(close(reading.sum("a_total", &[]), 5.0));
        assert!(close(reading.sum("a_total", &["pool=\"y\""]), 3.0));
        assert!(close(reading.sum("b", &[]), 7.0));
        assert!(close(reading.sum("c", &[]), 0.0));
    }

    #[test]
    fn an_endpoint_is_out_only_when_that_is_known() {
        let reading = Reading(
            "sluicegate_endpoint_healthy{pool=\"a\",endpoint=\"127.0.0.1:1\"} 0\n\
             sluicegate_endpoint_healthy{pool=\"a\",endpoint=\"127.0.0.1:2\"} 1\n"
                .to_owned(),
        );
        for (port, healthy) in [(1, false), (2, true), (3, true)] {
            assert_eq!(reading.is_healthy(([127, 0, 0, 1], port).into()), healthy);
        }
    }
}
