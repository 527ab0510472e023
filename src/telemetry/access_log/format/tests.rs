//! Tests of the formats, with values as a hostile client would send them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::record::{AttemptView, Line};
use super::{FIELD_NAMES, Format, FormatError, Redaction};
use crate::semantics::secret_names::SecretNames;

const ATTEMPTS: &[AttemptView<'static>] = &[
    AttemptView {
        endpoint: "10.0.0.1:80",
        outcome: "connection_refused",
        took: Duration::from_micros(1250),
        waited: Duration::ZERO,
        hedge: false,
        subrequest: false,
        began: Duration::ZERO,
        span: 0,
        pool: "app",
        version: None,
        secure: false,
    },
    AttemptView {
        endpoint: "10.0.0.2:80",
        outcome: "200",
        took: Duration::from_micros(12_001),
        waited: Duration::ZERO,
        hedge: false,
        subrequest: false,
        began: Duration::ZERO,
        span: 0,
        pool: "app",
        version: None,
        secure: false,
    },
];

fn line() -> Line<'static> {
    Line {
        time: UNIX_EPOCH + Duration::from_millis(951_782_400_250),
        request_id: "0190-x",
        trace_id: None,
        listener: "web",
        client: Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1))),
        method: "GET",
        scheme: "https",
        host: "shop.example",
        path: "/orders?id=1&token=***",
        protocol: "HTTP/1.1",
        status: 200,
        reason: None,
        route: Some("orders"),
        pool: Some("orders"),
        endpoint: Some("10.0.0.2:80"),
        version: Some("1.4.2"),
        attempts: ATTEMPTS,
        not_retried: None,
        bytes_in: 0,
        bytes_out: 512,
        total: Duration::from_micros(13_500),
        upstream: Some(Duration::from_micros(12_001)),
        queue: None,
        tls: None,
        tls_subject: None,
        user: None,
        user_agent: Some(b"curl/8"),
        span_id: None,
        fields: &[("tenant", b"acme")],
    }
}

fn write(format: &str, line: &Line<'_>, redaction: &Redaction) -> String {
    let mut out = Vec::new();
    Format::parse(format)
        .unwrap()
        .write(line, redaction, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn the_subject_of_a_client_s_certificate_is_a_field() {
    let line = Line {
        tls_subject: Some("CN=a \\\"b\\\"\\, c,O=d"),
        ..line()
    };
    let none = Redaction::default();
    let json: Value = serde_json::from_str(&write("json", &line, &none)).unwrap();
    assert_eq!(json["tls_subject"], line.tls_subject.unwrap());
    let text = write("{tls_subject} {status}", &line, &none);
    assert!(text.starts_with("CN=a "), "{text}");
    assert!(text.ends_with(",O=d 200\n"), "{text}");
}

#[test]
fn json_has_every_field_that_applies() {
    let text = write("json", &line(), &Redaction::default());
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value,
        json!({
            "time": "2000-02-29T00:00:00.250Z", "request_id": "0190-x", "listener": "web",
            "client": "192.0.2.1", "method": "GET", "host": "shop.example",
            "path": "/orders?id=1&token=***", "protocol": "HTTP/1.1", "status": 200,
            "route": "orders", "pool": "orders", "endpoint": "10.0.0.2:80", "version": "1.4.2",
            "attempts": [
                { "endpoint": "10.0.0.1:80", "outcome": "connection_refused", "ms": 1.25 },
                { "endpoint": "10.0.0.2:80", "outcome": "200", "ms": 12.001 },
            ],
            "bytes_in": 0, "bytes_out": 512, "total_ms": 13.5, "upstream_ms": 12.001,
            "user_agent": "curl/8", "tenant": "acme",
        })
    );
    assert!(text.ends_with("}\n"));
}

#[test]
fn json_without_attempts_has_an_empty_list() {
    let line = Line {
        attempts: &[],
        client: None,
        ..line()
    };
    let value: Value = serde_json::from_str(&write("json", &line, &Redaction::default())).unwrap();
    assert_eq!(value["attempts"], json!([]));
    assert_eq!(value.get("client"), None);
}

#[test]
fn the_combined_format_is_the_common_one_with_referrer_and_user_agent() {
    let line = Line {
        user: Some("anna"),
        user_agent: Some(b"a\"b\\c\n\xff"),
        ..line()
    };
    assert_eq!(
        write("combined", &line, &Redaction::default()),
        "192.0.2.1 - anna [29/Feb/2000:00:00:00 +0000] \"GET /orders?id=1&token=*** HTTP/1.1\" \
         200 512 \"-\" \"a\\x22b\\x5cc\\x0a\\xff\"\n"
    );
    assert_eq!(
        write("common", &line, &Redaction::default()),
        "192.0.2.1 - anna [29/Feb/2000:00:00:00 +0000] \"GET /orders?id=1&token=*** HTTP/1.1\" \
         200 512\n"
    );
}

/// The patterns with which analysers of logs read these formats.
#[test]
fn the_formats_of_web_servers_are_those_that_analysers_read() {
    let common = r#"(\S+) \S+ (\S+) \[(\d{2}/[A-Z][a-z]{2}/\d{4}(?::\d{2}){3} [+-]\d{4})\] "([A-Z]+) ([^ "]+) (HTTP/\d\.\d)" (\d{3}) (\d+|-)"#;
    let combined = format!(r#"^{common} "([^"]*)" "([^"]*)"$"#);
    let common = format!("^{common}$");
    let line = Line {
        user_agent: Some(b"Mozilla/5.0 (\"quoted\" and \\ more)"),
        fields: &[("referer", b"https://a.example/?q=\"x\"")],
        path: "/a?b=%22c%22",
        ..line()
    };
    let none = Redaction::default();
    for (format, pattern) in [("common", common), ("combined", combined)] {
        let pattern = regex::Regex::new(&pattern).unwrap();
        let text = write(format, &line, &none);
        let found = pattern
            .captures(text.trim_end())
            .unwrap_or_else(|| panic!("{text}"));
        assert_eq!(
            (&found[1], &found[5], &found[7]),
            ("192.0.2.1", "/a?b=%22c%22", "200")
        );
    }
}

#[test]
fn ecs_has_the_names_of_the_elastic_common_schema() {
    let line = Line {
        host: "shop.example:8443",
        protocol: "HTTP/2.0",
        trace_id: Some("4bf92f3577b34da6a3ce929d0e0e4736"),
        reason: None,
        user: Some("anna"),
        tls: Some("TLSv1.3/AES_128_GCM_SHA256"),
        ..line()
    };
    let redaction = Redaction::default();
    let text = write("ecs", &line, &redaction);
    assert!(text.ends_with("}\n"));
    let value: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(
        value,
        json!({
            "@timestamp": "2000-02-29T00:00:00.250Z", "log.level": "info", "ecs.version": "8.11.0",
            "message": "GET /orders?id=1&token=*** 200",
            "event.kind": "event", "event.category": ["web"], "event.type": ["access"],
            "event.dataset": "sluicegate.access", "event.outcome": "success",
            "event.duration": 13_500_000,
            "url.domain": "shop.example", "url.port": 8443, "url.original": "/orders?id=1&token=***",
            "http.version": "2", "http.request.id": "0190-x", "http.request.method": "GET",
            "http.request.body.bytes": 0, "http.response.status_code": 200,
            "http.response.body.bytes": 512, "client.ip": "192.0.2.1",
            "user_agent.original": "curl/8", "user.name": "anna",
            "tls.version": "1.3", "tls.version_protocol": "tls",
            "tls.cipher": "TLS_AES_128_GCM_SHA256",
            "trace.id": "4bf92f3577b34da6a3ce929d0e0e4736",
            "sluicegate.listener": "web", "sluicegate.route": "orders", "sluicegate.pool": "orders",
            "sluicegate.endpoint": "10.0.0.2:80", "sluicegate.version": "1.4.2",
            "sluicegate.attempts": [
                { "endpoint": "10.0.0.1:80", "outcome": "connection_refused", "ms": 1.25 },
                { "endpoint": "10.0.0.2:80", "outcome": "200", "ms": 12.001 },
            ],
            "sluicegate.upstream_ms": 12.001, "sluicegate.tenant": "acme",
        })
    );
    let failed = Line {
        status: 502,
        reason: Some("connection_refused"),
        ..line
    };
    let value: Value = serde_json::from_str(&write("ecs", &failed, &redaction)).unwrap();
    assert_eq!(value["event.outcome"], "failure");
    assert_eq!(value["event.reason"], "connection_refused");
}

#[test]
fn a_template_replaces_fields_and_keeps_the_rest() {
    let format = "{{{status}}} {client} {reason} {field.Tenant} {attempts} {total_ms}ms";
    assert_eq!(
        write(format, &line(), &Redaction::default()),
        "{200} 192.0.2.1 - acme \
         10.0.0.1:80=connection_refused/1.250,10.0.0.2:80=200/12.001 13.500ms\n"
    );
}

#[test]
fn faults_of_a_template_say_where_and_what_is_allowed() {
    let fault = |text: &str| Format::parse(text).unwrap_err();
    assert_eq!(fault("jsonn"), FormatError::Unknown("jsonn".to_owned()));
    assert_eq!(fault("{time} }"), FormatError::Brace { at: 7 });
    assert_eq!(fault("{time"), FormatError::Brace { at: 0 });
    let unknown = fault("{time} {stauts}");
    assert!(matches!(unknown, FormatError::UnknownField { at: 7, .. }));
    let message = unknown.to_string();
    assert!(message.starts_with("field {stauts} is not known; allowed: time, request_id,"));
    assert!(Format::parse("{field.}").is_err());
    for name in FIELD_NAMES {
        assert!(Format::parse(&format!("{{{name}}}")).is_ok(), "{name}");
    }
}

#[test]
fn a_user_of_several_words_stays_in_its_column() {
    let line = Line {
        user: Some("a b [c] \"d\""),
        ..line()
    };
    let text = write("common", &line, &Redaction::default());
    assert!(
        text.contains(" - a\\x20b\\x20\\x5bc\\x5d\\x20\\x22d\\x22 ["),
        "{text}"
    );
}

#[test]
fn redacted_values_are_hidden_however_the_name_is_written() {
    let names = SecretNames::new(["page", "two words"], ["key"]);
    let redaction = Redaction::new(Arc::new(names), ["kept_back", "user_agent"]);
    let hidden = |path: &'static str| {
        let line = Line { path, ..line() };
        write("{path}", &line, &redaction)
    };
    assert_eq!(hidden("/a?token=x"), "/a?token=***\n");
    assert_eq!(hidden("/a?b=1&TOKEN=x&c"), "/a?b=1&TOKEN=***&c\n");
    assert_eq!(
        hidden("/a?%74o%6Ben=x=y&token=z"),
        "/a?%74o%6Ben=***&token=***\n"
    );
    assert_eq!(
        hidden("/a?two+words=x;token=y"),
        "/a?two+words=***;token=***\n"
    );
    assert_eq!(
        hidden("/a?Page=x&key=y&code=z"),
        "/a?Page=***&key=y&code=***\n"
    );
    assert_eq!(hidden("/token=x?side=y&"), "/token=x?side=y&\n");
    assert_eq!(hidden("/a?%7=1&%"), "/a?%7=1&%\n");
    let line = Line {
        fields: &[("kept-back", b"secret"), ("kept", b"v")],
        ..line()
    };
    let value: Value = serde_json::from_str(&write("json", &line, &redaction)).unwrap();
    assert_eq!(value["kept-back"], "***");
    assert_eq!(value["user_agent"], "***");
    assert_eq!(value["kept"], "v");
}

#[test]
fn added_fields_show_no_secrets_of_their_headers() {
    let headers = [
        ("from", "referer"),
        ("to", "location"),
        ("who", "authorization"),
        ("crumbs", "cookie"),
        ("proof", "dpop"),
    ];
    let headers = headers.map(|(field, header)| (field.into(), header.into()));
    let redaction = Redaction::new(Arc::default(), [""; 0]).with_headers(headers);
    let line = Line {
        fields: &[
            ("from", b"https://h/?access_token=s3cret&page=1"),
            ("to", b"/cb?code=s3cret&state=1#id_token=s3cret"),
            ("who", b"Bearer s3cret"),
            ("crumbs", b"sid=s3cret; theme=s3cret"),
            ("proof", b"s3cret"),
            ("cache", b"hit"),
        ],
        ..line()
    };
    for format in ["json", "ecs"] {
        let text = write(format, &line, &redaction);
        assert!(!text.contains("s3cret"), "{text}");
        assert!(
            text.contains("https://h/?access_token=***&page=1"),
            "{text}"
        );
        assert!(text.contains("/cb?code=***&state=1#id_token=***"), "{text}");
        assert!(
            text.contains("sid=***; theme=***") && text.contains("hit"),
            "{text}"
        );
    }
    let text = write("{field.who} {field.proof}", &line, &redaction);
    assert_eq!(text, "*** ***\n");
}

proptest! {
    #[test]
    fn no_bytes_break_a_line_apart(agent: Vec<u8>, path: String, value: Vec<u8>) {
        let fields = [("added", value.as_slice())];
        let line = Line { user_agent: Some(&agent), path: &path, fields: &fields, ..line() };
        let json = write("json", &line, &Redaction::default());
        prop_assert_eq!(json.matches('\n').count(), 1);
        let parsed: Value = serde_json::from_str(&json).unwrap();
        let shown = SecretNames::default().masked_url(&path).into_owned();
        prop_assert_eq!(parsed["path"].as_str(), Some(shown.as_str()));
        if let Ok(agent) = str::from_utf8(&agent) {
            prop_assert_eq!(parsed["user_agent"].as_str(), Some(agent));
        }
        let ecs = write("ecs", &line, &Redaction::default());
        prop_assert_eq!(ecs.matches('\n').count(), 1);
        let parsed: Value = serde_json::from_str(&ecs).unwrap();
        prop_assert_eq!(parsed["url.original"].as_str(), Some(shown.as_str()));
        let combined = write("combined", &line, &Redaction::default());
        prop_assert_eq!(combined.matches('\n').count(), 1);
        prop_assert_eq!(combined.matches('"').count(), 6);
        prop_assert!(combined.trim_end().chars().all(|c| !c.is_control()));
    }
}
