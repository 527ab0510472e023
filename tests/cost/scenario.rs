//! The five requests that are counted, each through a proxy of its own.

use std::fmt::Write as _;

use http::Request;

use super::client::{self, Client};
use super::proxy::{Proxy, Slots};

/// A request and the way it goes.
pub(crate) struct Scenario {
    /// As it is recorded.
    pub(crate) name: &'static str,
    /// Slot in which its worker counts.
    pub(crate) slot: usize,
    way: Way,
}

enum Way {
    Get,
    Post,
    Tls,
    Http2,
    Logged,
}

/// All of them; `benches/compare` has the same names.
pub(crate) const SCENARIOS: [Scenario; 5] = [
    scenario("http1-get", 1, Way::Get),
    scenario("http1-post", 2, Way::Post),
    scenario("http1-tls", 3, Way::Tls),
    scenario("http2-get", 4, Way::Http2),
    scenario("logged-1k-routes", 5, Way::Logged),
];

const fn scenario(name: &'static str, slot: usize, way: Way) -> Scenario {
    Scenario { name, slot, way }
}

impl Scenario {
    /// Starts the proxy, and a client whose connection to it is open.
    pub(crate) fn start(&self) -> Client {
        let tables = match self.way {
            Way::Logged => access_log_and_routes(),
            Way::Get | Way::Post | Way::Tls | Way::Http2 => String::new(),
        };
        let slots = Slots {
            worker: self.slot,
            ..Slots::default()
        };
        let proxy = Proxy::start(slots, &tables);
        let mark = head("GET /mark");
        client::exchange_http1(&mut client::plain(proxy.web), mark.as_bytes());
        let request = match self.way {
            Way::Post => format!(
                "{}content-length: 4096\r\n\r\n{}",
                head("POST /orders").trim_end_matches("\r\n").to_owned() + "\r\n",
                "x".repeat(4096)
            ),
            Way::Logged => head("GET /r750/orders"),
            Way::Get | Way::Tls => head("GET /orders"),
            Way::Http2 => return client::http2(proxy.web, head_http2()),
        };
        let stream: Box<dyn client::Stream> = match self.way {
            Way::Tls => Box::new(client::tls(&proxy)),
            Way::Get | Way::Post | Way::Http2 | Way::Logged => Box::new(client::plain(proxy.web)),
        };
        Client::Http1 {
            stream,
            request: request.into_bytes(),
        }
    }
}

/// Fields that a browser sends, with the host as the tenth.
const FIELDS: [(&str, &str); 9] = [
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64) Gecko/20100101",
    ),
    ("accept", "text/html,application/json;q=0.9,*/*;q=0.8"),
    ("accept-language", "de,en;q=0.7"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://shop.example/catalogue"),
    ("cookie", "session=0123456789abcdef; theme=dark"),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
];

/// A head of HTTP/1.1, to its empty line.
fn head(method_and_path: &str) -> String {
    let mut text = format!("{method_and_path} HTTP/1.1\r\nhost: shop.example\r\n");
    for (name, value) in FIELDS {
        write!(text, "{name}: {value}\r\n").unwrap();
    }
    text + "\r\n"
}

fn head_http2() -> Request<()> {
    let mut request = Request::get("http://shop.example/orders");
    for (name, value) in FIELDS {
        request = request.header(name, value);
    }
    request.body(()).unwrap()
}

fn access_log_and_routes() -> String {
    let mut text = "[access_log]\npath = \"access.log\"\n".to_owned();
    for at in 0..1_000 {
        writeln!(
            text,
            "[routes.r{at}]\npath_prefix = \"/r{at}\"\npool = \"app\""
        )
        .unwrap();
    }
    text
}
