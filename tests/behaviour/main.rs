//! Promises to users, one per file: the real binary between real clients and real upstream servers
//! that misbehave.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stderr,
    reason = "a test fails by panicking, and says why on standard error"
)]

mod access_log;
mod activation;
mod admin;
mod admin_schemas;
mod attack_campaign;
mod balancing;
mod blame;
mod bodies;
mod breaker;
mod broken_answers;
mod browser;
mod campaigns;
mod certificate_expiry;
mod certificate_files;
mod client_certificates;
mod clients_gone;
mod concurrency;
mod connection_auth;
mod deadlines;
mod discovery;
mod discovery_dns;
mod discovery_etcd;
mod discovery_lists;
mod drain;
mod early_answers;
mod ejection;
mod everything_at_once;
mod failover;
mod fault_campaign;
mod faults;
mod filter_failures;
mod filters;
mod framing;
mod grpc;
mod grpc_peers;
mod grpc_web;
mod harness;
mod headers;
mod health;
mod hedging;
mod http10;
mod http2;
mod http2_floods;
mod http2_rules;
mod http2_streams;
mod http2_upstream;
mod interim;
mod interop;
mod large_bodies;
mod last_chance;
mod layers;
mod limits;
mod metrics;
mod names;
mod ocsp;
mod overload;
mod process;
mod proxy_protocol;
mod rate_limit;
mod rate_limit_redis;
mod reload;
mod reload_listeners;
mod retries;
mod retry_limits;
mod reuse;
mod routing;
mod saturation;
mod scale;
mod secrets;
mod secure_headers;
mod selftest;
mod sessions;
mod slow_start;
mod sockets;
mod spares;
mod splits;
mod stuck;
mod subrequests;
mod takeover;
mod takeover_failures;
mod targets;
mod timeouts;
mod tls;
mod tls_alerts;
mod tls_certificates;
mod tls_client_auth;
mod tls_openssl;
mod tls_upstream;
mod tls_upstream_sessions;
mod trailers;
mod transforms;
mod unsteady_endpoints;
mod upgrade;
mod websocket;
mod websocket_ends;
mod websocket_upstream;
mod why;
mod windows;
