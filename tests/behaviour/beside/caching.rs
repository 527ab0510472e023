//! `cache` beside `proxy_cache` of nginx. Caddy as Debian builds it has no cache.

mod cases;

use std::net::SocketAddr;

use super::{Known, Seen, unlisted};
use crate::harness::{
    Answer, Backend, Client, OtherProxy, Settings, answer_bytes, request_bytes, within,
};
use cases::CASES;

/// Differences to nginx.
const NGINX: &[Known] = &[
    Known {
        why: "the age that an answer comes with counts (RFC 9111 section 4.2.3)",
        requests: &["an age"],
        lines: &[
            (
                "answers",
                "200 \"answer 1\", 200 \"answer 2\"",
                "200 \"answer 1\", 200 \"answer 1\"",
            ),
            ("asked", "GET, GET", "GET"),
        ],
    },
    Known {
        why: "an answer to a request with Authorization is for others if it says so (RFC 9111 section 3.5)",
        requests: &["Authorization"],
        lines: &[
            (
                "answers",
                "200 \"answer 1\", 200 \"answer 2\"",
                "200 \"answer 1\", 200 \"answer 1\"",
            ),
            ("asked", "GET, GET", "GET"),
        ],
    },
    Known {
        why: "nginx asks GET for a HEAD; a server may answer them differently",
        requests: &["HEAD first"],
        lines: &[
            (
                "answers",
                "200 \"\", 200 \"answer 2\"",
                "200 \"\", 200 \"answer 1\"",
            ),
            ("asked", "HEAD, GET", "GET"),
        ],
    },
    Known {
        why: "an answer that must be validated is stored for that (RFC 9111 section 4.3)",
        requests: &["a tag, stale at once", "a tag, to be validated"],
        lines: &[
            (
                "answers",
                "200 \"answer 1\", 200 \"answer 1\"",
                "200 \"answer 1\", 200 \"answer 2\"",
            ),
            ("asked", "GET, GET if", "GET, GET"),
        ],
    },
    Known {
        why: "a method that is not safe invalidates (RFC 9111 section 4.4)",
        requests: &["POST between"],
        lines: &[
            (
                "answers",
                "200 \"answer 1\", 200 \"answer 2\", 200 \"answer 3\"",
                "200 \"answer 1\", 200 \"answer 2\", 200 \"answer 1\"",
            ),
            ("asked", "GET, POST, GET", "GET, POST"),
        ],
    },
    Known {
        why: "a method that is not safe invalidates (RFC 9111 section 4.4)",
        requests: &["DELETE between"],
        lines: &[
            (
                "answers",
                "200 \"answer 1\", 200 \"answer 2\", 200 \"answer 3\"",
                "200 \"answer 1\", 200 \"answer 2\", 200 \"answer 1\"",
            ),
            ("asked", "GET, DELETE, GET", "GET, DELETE"),
        ],
    },
    Known {
        why: "only-if-cached is obeyed (RFC 9111 section 5.2.1.7)",
        requests: &["a client that wants a stored one, none"],
        lines: &[
            (
                "answers",
                "504 \"504 Gateway Timeout: nothing is stored\\n\"",
                "200 \"answer 1\"",
            ),
            ("asked", "", "GET"),
        ],
    },
    Known {
        why: "CDN-Cache-Control is for caches such as this (RFC 9213)",
        requests: &["for CDNs"],
        lines: &[
            (
                "answers",
                "200 \"answer 1\", 200 \"answer 1\"",
                "200 \"answer 1\", 200 \"answer 2\"",
            ),
            ("asked", "GET", "GET, GET"),
        ],
    },
    Known {
        why: "a part is not stored; nginx does not pass Range on, and takes the part for a whole",
        requests: &["206"],
        lines: &[
            (
                "answers",
                "206 \"answer 1\" bytes 0-7/100, 206 \"answer 2\" bytes 0-7/100",
                "206 \"answer 1\" bytes 0-7/100, 206 \"answer 1\" bytes 0-7/100",
            ),
            ("asked", "GET range, GET range", "GET"),
        ],
    },
];

/// Answers as the case says that the target names; the body is the number of the request for it.
async fn origin() -> Backend {
    let counts = std::sync::Mutex::new(std::collections::HashMap::<String, u32>::new());
    Backend::start(move |seen: &crate::harness::Seen| {
        let number: usize = seen.target[1..].split('?').next().unwrap().parse().unwrap();
        let (status, fields) = CASES[number].answer;
        let mut counts = counts.lock().unwrap();
        let count = counts.entry(seen.target.clone()).or_default();
        *count += 1;
        let body = format!("answer {count}");
        let known = seen.fields.get("if-none-match").unwrap_or_default();
        if known.contains("\"one\"") && fields.contains("etag") {
            return answer_bytes(&format!("HTTP/1.1 304 Not Modified\r\n{fields}\r\n"));
        }
        let length = body.len();
        let body = if seen.method == "HEAD" { "" } else { &*body };
        answer_bytes(&format!(
            "HTTP/1.1 {status}\r\ncontent-length: {length}\r\n{fields}\r\n{body}"
        ))
    })
    .await
}

fn told(answer: &Answer) -> String {
    let range = answer.field("content-range");
    // A page of nginx.
    let body = match answer.status {
        416 => String::new(),
        _ => answer.text(),
    };
    format!("{} {body:?} {range}", answer.status)
}

/// The answers to a case, and what its server was asked.
async fn ask(at: SocketAddr, app: &Backend, number: usize) -> Seen {
    let mut client = Client::connect(at).await;
    let mut answers = Vec::new();
    for (method, query, lines) in CASES[number].requests {
        let target = format!("/{number}{query}");
        client
            .send(request_bytes(method, &target, lines, b""))
            .await;
        answers.push(
            told(&within("an answer", client.answer_to(method)).await)
                .trim()
                .to_owned(),
        );
    }
    let asked = app.seen();
    let path = format!("/{number}");
    let asked = asked
        .iter()
        .filter(|it| it.target.split('?').next() == Some(&path));
    let asked = asked.map(|it| {
        let condition = if it.fields.has("if-none-match") || it.fields.has("if-modified-since") {
            " if"
        } else {
            ""
        };
        let range = if it.fields.has("range") { " range" } else { "" };
        format!("{}{condition}{range}", it.method)
    });
    Seen::from([
        ("asked", asked.collect::<Vec<_>>().join(", ")),
        ("answers", answers.join(", ")),
    ])
}

#[tokio::test]
async fn answers_are_stored_as_nginx_does() {
    let (one, other) = (origin().await, origin().await);
    let http = format!(
        "proxy_cache_path cache keys_zone=all:1m;
        server {{
            listen $listen;
            location / {{
                proxy_pass http://{};
                proxy_http_version 1.1;
                proxy_set_header Host $host;
                proxy_cache all;
                proxy_cache_revalidate on;
                proxy_cache_lock on;
                proxy_force_ranges on;
                if_modified_since before;
            }}
        }}",
        other.address()
    );
    let Some(nginx) = OtherProxy::nginx(&http).await else {
        return;
    };
    let text = crate::cache::text("cache = {}");
    let proxy = Settings::new(&text).backend("app", &one).start().await;
    let mut asked = Vec::new();
    for (number, case) in CASES.iter().enumerate() {
        let ours = ask(proxy.address("web"), &one, number).await;
        let theirs = ask(nginx.address(), &other, number).await;
        asked.push((case.name, ours, theirs));
    }
    let unlisted = unlisted(&asked, NGINX);
    assert!(unlisted.is_empty(), "\n{unlisted}");
    proxy.finish().await;
}
