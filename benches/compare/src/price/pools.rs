//! Features of a pool.

use super::{Named, pool};
use crate::peer::{Features, Labels};

/// Adds lines to those of a pool without features.
macro_rules! in_pool {
    ($lines:literal) => {
        pool(concat!(
            "ejection = false\npanic_threshold = \"0%\"\n",
            $lines
        ))
    };
}

/// Features of the pool.
#[expect(clippy::too_many_lines, reason = "a list")]
pub(super) fn all() -> Vec<Named> {
    vec![
        ("ejection", pool("panic_threshold = \"0%\"")),
        ("the panic threshold", pool("ejection = false")),
        (
            "health checks",
            pool(
                r#"ejection = false
panic_threshold = "0%"
health = { http = { path = "/bytes/0" } }"#,
            ),
        ),
        (
            "a least-requests picker",
            pool(
                r#"ejection = false
panic_threshold = "0%"
picker = "least_requests""#,
            ),
        ),
        (
            "a breaker",
            pool(
                r#"ejection = false
panic_threshold = "0%"
breaker = { failure_ratio = 0.5, volume_min = 20 }"#,
            ),
        ),
        (
            "sessions, a cookie for each request",
            pool(
                r#"ejection = false
panic_threshold = "0%"
session = { cookie = "app_session", ttl = "1h", secret = "0123456789abcdef" }"#,
            ),
        ),
        ("a random picker", in_pool!("picker = \"random\"")),
        (
            "a weighted round-robin picker",
            in_pool!("picker = \"weighted_round_robin\""),
        ),
        (
            "a power-of-two picker",
            in_pool!("picker = \"power_of_two\""),
        ),
        ("a peak-EWMA picker", in_pool!("picker = \"peak_ewma\"")),
        (
            "a ring-hash picker by client address",
            in_pool!("picker = { ring_hash = { key = \"client_ip\" } }"),
        ),
        (
            "a Maglev picker by client address",
            in_pool!("picker = { maglev = { key = \"client_ip\" } }"),
        ),
        (
            "limits of requests at a pool and at each endpoint",
            in_pool!(
                "limits = { requests = 1000, per_endpoint = 500, queue = 100, queue_timeout = \"1s\" }"
            ),
        ),
        (
            "a slow start, none under way",
            in_pool!("slow_start = \"30s\""),
        ),
        (
            "a pool to fail over to",
            Features {
                tables: "[pools.spare]\nendpoints = [\"127.0.0.1:9\"]\n",
                ..in_pool!("failover = [\"spare\"]")
            },
        ),
        (
            "a preferred zone",
            Features {
                labels: Labels::Zones,
                ..in_pool!("zone = { prefer = \"a\" }")
            },
        ),
    ]
}
