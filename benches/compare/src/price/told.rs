//! Logs, traces, figures.

use super::{BARE, Named, tables};
use crate::peer::Features;

/// Logs, traces and figures.
pub(super) fn all() -> Vec<Named> {
    vec![
        (
            "access log, JSON",
            tables("[access_log]\npath = \"access.log\"\n"),
        ),
        (
            "access log, common",
            tables("[access_log]\npath = \"access.log\"\nformat = \"common\"\n"),
        ),
        (
            "access log, a template",
            tables(
                "[access_log]\npath = \"access.log\"\nformat = \"{time} {client} {method} {path} {status} {total_ms}\"\n",
            ),
        ),
        (
            "access log, ECS",
            tables("[access_log]\npath = \"access.log\"\nformat = \"ecs\"\n"),
        ),
        (
            "the debug header, not asked for",
            Features {
                proxy: "debug_header = { from = [\"192.0.2.0/24\"] }",
                ..BARE
            },
        ),
        (
            "the debug header, asked for without leave",
            Features {
                proxy: "debug_header = { from = [\"192.0.2.0/24\"] }",
                fields: vec![("x-sluicegate-debug", "a-guess".to_owned())],
                ..BARE
            },
        ),
        (
            "the debug header, asked for with the token",
            Features {
                proxy: "debug_header = { token = \"0123456789abcdef\" }",
                fields: vec![("x-sluicegate-debug", "0123456789abcdef".to_owned())],
                ..BARE
            },
        ),
        (
            "access log, JSON to syslog",
            tables("[access_log]\nsyslog = { address = \"127.0.0.1:9\" }\n"),
        ),
        (
            "no figures of endpoints",
            tables("[metrics]\nper_endpoint = 0\n"),
        ),
        (
            "tracing, failed and slow ones recorded",
            tables(TAIL_TRACED),
        ),
        ("tracing, nothing recorded", tables(NOTHING_TRACED)),
        ("tracing, 1 % recorded", tables(LITTLE_TRACED)),
        ("tracing, all recorded", tables(ALL_TRACED)),
        (
            "access log, but not of the route",
            Features {
                route: "retry = false\naccess_log = false",
                ..tables("[access_log]\npath = \"access.log\"\n")
            },
        ),
    ]
}

// Nobody listens at the collector's address: the price is that of the request path.
const NOTHING_TRACED: &str = "[tracing]\notlp = \"http://127.0.0.1:9\"\nsample = \"0%\"\n";
const TAIL_TRACED: &str = "[tracing]\notlp = \"http://127.0.0.1:9\"\nsample = \"0%\"\nalways = { failed = true, slow = \"5s\" }\n";
const LITTLE_TRACED: &str = "[tracing]\notlp = \"http://127.0.0.1:9\"\nsample = \"1%\"\n";
const ALL_TRACED: &str = "[tracing]\notlp = \"http://127.0.0.1:9\"\nsample = \"100%\"\n";
