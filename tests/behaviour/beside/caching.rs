//! `cache` beside `proxy_cache` of nginx. Caddy as Debian builds it has no cache.

use std::net::SocketAddr;

use super::{Known, Seen, unlisted};
use crate::harness::{
    Answer, Backend, Client, OtherProxy, Settings, answer_bytes, request_bytes, within,
};

/// Requests for one URL, and how its server answers.
struct Case {
    name: &'static str,
    /// Status, and fields.
    answer: (&'static str, &'static str),
    /// Method, query, and lines of each request.
    requests: &'static [(&'static str, &'static str, &'static str)],
}

const fn case(
    name: &'static str,
    fields: &'static str,
    requests: &'static [(&'static str, &'static str, &'static str)],
) -> Case {
    Case {
        name,
        answer: ("200 OK", fields),
        requests,
    }
}

const fn of(
    status: &'static str,
    name: &'static str,
    fields: &'static str,
    requests: &'static [(&'static str, &'static str, &'static str)],
) -> Case {
    Case {
        name,
        answer: (status, fields),
        requests,
    }
}

const GET: (&str, &str, &str) = ("GET", "", "");
const TWICE: &[(&str, &str, &str)] = &[GET, GET];
const FRESH: &str = "cache-control: max-age=600\r\n";
const TAGGED: &str = "cache-control: max-age=600\r\netag: \"one\"\r\nlast-modified: Sat, 21 Nov 2026 12:00:00 GMT\r\n";

const CASES: &[Case] = &[
    case("max-age", FRESH, TWICE),
    case(
        "max-age in capitals",
        "cache-control: Max-Age=600\r\n",
        TWICE,
    ),
    case("max-age of 0", "cache-control: max-age=0\r\n", TWICE),
    case(
        "s-maxage over max-age",
        "cache-control: max-age=0, s-maxage=600\r\n",
        TWICE,
    ),
    case(
        "s-maxage of 0",
        "cache-control: max-age=600, s-maxage=0\r\n",
        TWICE,
    ),
    case(
        "Expires",
        "expires: Thu, 01 Jan 2099 00:00:00 GMT\r\n",
        TWICE,
    ),
    case(
        "Expires long ago",
        "expires: Thu, 01 Jan 1998 00:00:00 GMT\r\n",
        TWICE,
    ),
    case("Expires of 0", "expires: 0\r\n", TWICE),
    case(
        "max-age over Expires",
        "cache-control: max-age=600\r\nexpires: Thu, 01 Jan 1998 00:00:00 GMT\r\n",
        TWICE,
    ),
    case("nothing said", "", TWICE),
    case(
        "a date alone",
        "last-modified: Sat, 21 Nov 2026 12:00:00 GMT\r\n",
        TWICE,
    ),
    case("private", "cache-control: private, max-age=600\r\n", TWICE),
    case(
        "no-store",
        "cache-control: no-store, max-age=600\r\n",
        TWICE,
    ),
    case(
        "no-cache",
        "cache-control: no-cache, max-age=600\r\n",
        TWICE,
    ),
    case(
        "two lines",
        "cache-control: public\r\ncache-control: max-age=600\r\n",
        TWICE,
    ),
    case(
        "Set-Cookie",
        "cache-control: max-age=600\r\nset-cookie: a=b\r\n",
        TWICE,
    ),
    case(
        "an age",
        "cache-control: max-age=600\r\nage: 700\r\n",
        TWICE,
    ),
    case(
        "Vary, the same",
        "cache-control: max-age=600\r\nvary: x-lang\r\n",
        &[("GET", "", "x-lang: de"), ("GET", "", "x-lang: de")],
    ),
    case(
        "Vary, others",
        "cache-control: max-age=600\r\nvary: x-lang\r\n",
        &[
            ("GET", "", "x-lang: de"),
            ("GET", "", "x-lang: fr"),
            ("GET", "", "x-lang: de"),
            ("GET", "", "x-lang: fr"),
        ],
    ),
    case(
        "Vary of all",
        "cache-control: max-age=600\r\nvary: *\r\n",
        TWICE,
    ),
    case(
        "Authorization",
        FRESH,
        &[("GET", "", "authorization: Basic YTpi"), GET],
    ),
    case(
        "Authorization, public",
        "cache-control: public, max-age=600\r\n",
        &[("GET", "", "authorization: Basic YTpi"), GET],
    ),
    case(
        "cookies of the request",
        FRESH,
        &[("GET", "", "cookie: a=1"), ("GET", "", "cookie: a=2")],
    ),
    case(
        "other queries",
        FRESH,
        &[
            ("GET", "?a=1", ""),
            ("GET", "?a=2", ""),
            ("GET", "?a=1", ""),
        ],
    ),
    case(
        "queries in another order",
        FRESH,
        &[("GET", "?a=1&b=2", ""), ("GET", "?b=2&a=1", "")],
    ),
    case("HEAD of a stored one", FRESH, &[GET, ("HEAD", "", "")]),
    case("HEAD first", FRESH, &[("HEAD", "", ""), GET]),
    case(
        "a range of a stored one",
        TAGGED,
        &[GET, ("GET", "", "range: bytes=2-4")],
    ),
    case(
        "a range at the end",
        TAGGED,
        &[GET, ("GET", "", "range: bytes=-2")],
    ),
    case(
        "a range beyond the end",
        TAGGED,
        &[GET, ("GET", "", "range: bytes=100-")],
    ),
    case(
        "a range that is none",
        TAGGED,
        &[GET, ("GET", "", "range: lines=1-2")],
    ),
    case(
        "If-Range that holds",
        TAGGED,
        &[GET, ("GET", "", "range: bytes=2-4\nif-range: \"one\"")],
    ),
    case(
        "If-Range that does not",
        TAGGED,
        &[GET, ("GET", "", "range: bytes=2-4\nif-range: \"two\"")],
    ),
    case(
        "If-None-Match that holds",
        TAGGED,
        &[GET, ("GET", "", "if-none-match: \"zero\", \"one\"")],
    ),
    case(
        "If-None-Match, weak",
        TAGGED,
        &[GET, ("GET", "", "if-none-match: W/\"one\"")],
    ),
    case(
        "If-None-Match of all",
        TAGGED,
        &[GET, ("GET", "", "if-none-match: *")],
    ),
    case(
        "If-None-Match that does not",
        TAGGED,
        &[GET, ("GET", "", "if-none-match: \"two\"")],
    ),
    case(
        "If-None-Match first",
        TAGGED,
        &[("GET", "", "if-none-match: \"one\""), GET],
    ),
    case(
        "If-Modified-Since that holds",
        TAGGED,
        &[
            GET,
            (
                "GET",
                "",
                "if-modified-since: Sat, 21 Nov 2026 12:00:00 GMT",
            ),
        ],
    ),
    case(
        "If-Modified-Since, later",
        TAGGED,
        &[
            GET,
            (
                "GET",
                "",
                "if-modified-since: Sun, 22 Nov 2026 12:00:00 GMT",
            ),
        ],
    ),
    case(
        "If-Modified-Since, before",
        TAGGED,
        &[
            GET,
            (
                "GET",
                "",
                "if-modified-since: Fri, 20 Nov 2026 12:00:00 GMT",
            ),
        ],
    ),
    case(
        "a tag, stale at once",
        "cache-control: max-age=0\r\netag: \"one\"\r\n",
        TWICE,
    ),
    case(
        "a tag, to be validated",
        "cache-control: no-cache\r\netag: \"one\"\r\n",
        TWICE,
    ),
    case("POST between", FRESH, &[GET, ("POST", "", ""), GET]),
    case("POST twice", FRESH, &[("POST", "", ""), ("POST", "", "")]),
    case("DELETE between", FRESH, &[GET, ("DELETE", "", ""), GET]),
    case("OPTIONS between", FRESH, &[GET, ("OPTIONS", "", ""), GET]),
    case(
        "a client that wants it new",
        FRESH,
        &[GET, ("GET", "", "cache-control: no-cache")],
    ),
    case(
        "a client that wants it new, as in 1996",
        FRESH,
        &[GET, ("GET", "", "pragma: no-cache")],
    ),
    case(
        "a client of max-age 0",
        FRESH,
        &[GET, ("GET", "", "cache-control: max-age=0")],
    ),
    case(
        "a client of no-store",
        FRESH,
        &[("GET", "", "cache-control: no-store"), GET],
    ),
    case(
        "a client that wants a stored one",
        FRESH,
        &[GET, ("GET", "", "cache-control: only-if-cached")],
    ),
    case(
        "a client that wants a stored one, none",
        FRESH,
        &[("GET", "", "cache-control: only-if-cached")],
    ),
    case(
        "for CDNs",
        "cache-control: no-store\r\ncdn-cache-control: max-age=600\r\n",
        TWICE,
    ),
    case(
        "for nginx",
        "cache-control: no-store\r\nx-accel-expires: 600\r\n",
        TWICE,
    ),
    of("404 Not Found", "404", FRESH, TWICE),
    of("410 Gone", "410, nothing said", "", TWICE),
    of(
        "301 Moved Permanently",
        "301",
        "cache-control: max-age=600\r\nlocation: /x\r\n",
        TWICE,
    ),
    of("302 Found", "302, nothing said", "location: /x\r\n", TWICE),
    of("500 Internal Server Error", "500", FRESH, TWICE),
    of(
        "206 Partial Content",
        "206",
        "cache-control: max-age=600\r\ncontent-range: bytes 0-7/100\r\n",
        &[
            ("GET", "", "range: bytes=0-7"),
            ("GET", "", "range: bytes=0-7"),
        ],
    ),
];

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
