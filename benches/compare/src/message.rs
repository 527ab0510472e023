//! The messages: requests as a browser sends them, answers as a service gives them.

use std::fmt::Write as _;

/// What a browser says beside the host: nine fields, with the host ten.
pub(crate) const FIELDS: [(&str, &str); 9] = [
    (
        "user-agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    ),
    (
        "accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    ),
    ("accept-language", "de,en-US;q=0.7,en;q=0.3"),
    ("accept-encoding", "gzip, deflate, br, zstd"),
    ("referer", "https://shop.example/catalogue/shoes?page=2"),
    (
        "cookie",
        "session=0f1e2d3c4b5a69788796a5b4c3d2e1f0; theme=dark",
    ),
    ("sec-fetch-dest", "document"),
    ("sec-fetch-mode", "navigate"),
    ("sec-fetch-site", "same-origin"),
];

/// The host of every request without routes of its own.
pub(crate) const HOST: &str = "shop.example";

/// One request, as far as all versions of HTTP have it in common.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) host: String,
    pub(crate) path: String,
    /// Bytes of its body; with any it is a POST.
    pub(crate) body: u64,
    /// Fields of the head without the host.
    pub(crate) fields: Vec<(String, String)>,
}

impl Request {
    /// A GET for an answer of this many bytes.
    pub(crate) fn get(answer: u64) -> Self {
        let fields = FIELDS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        Self {
            host: HOST.to_owned(),
            path: path(answer),
            body: 0,
            fields: fields.to_vec(),
        }
    }

    /// A GET for this many bytes of text in one coding.
    pub(crate) fn get_text(answer: u64, coding: &str) -> Self {
        let mut request = Self::get(answer);
        request.path = format!("/text/{answer}");
        for (name, value) in &mut request.fields {
            if name == "accept-encoding" {
                coding.clone_into(value);
            }
        }
        request
    }

    /// A GET for answer `at` of those with this many bytes that a cache may store.
    pub(crate) fn stored(answer: u64, at: usize) -> Self {
        let mut request = Self::get(answer);
        request.path = format!("/{at}/stored/{answer}");
        request
    }

    /// The same with a body, as a POST.
    pub(crate) fn with_body(mut self, bytes: u64) -> Self {
        self.body = bytes;
        self
    }

    /// The same to route `at` of those that peers are told to have.
    pub(crate) fn on_route(mut self, at: usize) -> Self {
        self.host = route_host(at);
        self.path = format!("{}{}", route_prefix(at), self.path);
        self
    }

    /// The same with this many fields, the host among them.
    pub(crate) fn with_fields(mut self, count: usize) -> Self {
        self.fields.truncate(count.saturating_sub(1));
        for at in self.fields.len() + 1..count {
            self.fields
                .push((format!("x-field-{at}"), format!("the value of field {at}")));
        }
        self
    }

    /// Adds a cookie to those that it has.
    pub(crate) fn add_cookie(&mut self, cookie: &str) {
        for (name, value) in &mut self.fields {
            if name == "cookie" {
                value.push_str("; ");
                value.push_str(cookie);
            }
        }
    }

    pub(crate) fn method(&self) -> &'static str {
        if self.body == 0 { "GET" } else { "POST" }
    }

    /// The head in HTTP/1.1.
    pub(crate) fn http1_head(&self, close: bool) -> String {
        let mut head = format!(
            "{} {} HTTP/1.1\r\nhost: {}\r\n",
            self.method(),
            self.path,
            self.host
        );
        for (name, value) in &self.fields {
            // Writing to a String does not fail.
            let _ = write!(head, "{name}: {value}\r\n");
        }
        if self.body > 0 {
            let _ = write!(head, "content-length: {}\r\n", self.body);
        }
        if close {
            head.push_str("connection: close\r\n");
        }
        head + "\r\n"
    }
}

/// The path that asks an endpoint for an answer of this many bytes.
pub(crate) fn path(answer: u64) -> String {
    format!("/bytes/{answer}")
}

/// Body of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// Dots.
    Dots,
    /// JSON.
    Text,
    /// Dots that a cache may store.
    Stored,
}

/// How many bytes this path asks for, and of what, whatever a route has before it.
pub(crate) fn asked_for(path: &[u8]) -> Option<(u64, Content)> {
    let path = std::str::from_utf8(path).ok()?;
    let kinds = [
        ("/text/", Content::Text),
        ("/stored/", Content::Stored),
        ("/bytes/", Content::Dots),
    ];
    let mut kinds = kinds.into_iter();
    let (content, number) = kinds.find_map(|(word, content)| {
        let (_, number) = path.rsplit_once(word)?;
        Some((content, number))
    })?;
    Some((number.parse().ok()?, content))
}

/// JSON as services send it: names that come again, and values that differ.
pub(crate) fn text(length: usize) -> Vec<u8> {
    let mut text = String::with_capacity(length + 256);
    let mut draw = 1_u32;
    let mut next = |below: u32| {
        draw = draw.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (draw >> 8) % below
    };
    const WORDS: [&str; 8] = [
        "red", "running", "shoes", "leather", "summer", "light", "city", "trail",
    ];
    while text.len() < length {
        let words: Vec<&str> = (0..6).map(|_| WORDS[next(8) as usize]).collect();
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "{{\"id\":{},\"title\":\"{}\",\"price\":{}.{:02},\"stock\":{},\"image\":\"/images/{:08x}.jpg\"}},",
            next(10_000_000),
            words.join(" "),
            next(300),
            next(100),
            next(50),
            next(u32::MAX),
        );
    }
    text.truncate(length);
    text.into_bytes()
}

/// The host of a route.
pub(crate) fn route_host(at: usize) -> String {
    format!("h{at}.shop.example")
}

/// The prefix of its paths.
pub(crate) fn route_prefix(at: usize) -> String {
    format!("/r{at}")
}

/// The head of an answer with eight fields.
pub(crate) fn answer_head(length: u64, content: Content) -> String {
    let kind = match content {
        Content::Dots | Content::Stored => "octet-stream",
        Content::Text => "json",
    };
    // By that date it would be stale.
    let (date, cached) = match content {
        Content::Stored => ("", "max-age=86400"),
        Content::Dots | Content::Text => (
            "date: Sat, 21 Nov 2026 12:00:00 GMT\r\n",
            "private, max-age=60",
        ),
    };
    format!(
        "HTTP/1.1 200 OK\r\n\
         {date}\
         server: endpoint\r\n\
         content-type: application/{kind}\r\n\
         content-length: {length}\r\n\
         cache-control: {cached}\r\n\
         etag: \"5f2d-8ab0\"\r\n\
         vary: accept-encoding\r\n\
         x-content-type-options: nosniff\r\n\r\n"
    )
}

/// The value of `content-length` in a head; `None` if there is none, an error if the body is
/// framed in another way.
pub(crate) fn content_length(head: &[u8]) -> Result<Option<u64>, String> {
    let mut length = None;
    for line in head.split(|&byte| byte == b'\n').skip(1) {
        let Some(colon) = line.iter().position(|&byte| byte == b':') else {
            continue;
        };
        let (name, value) = (&line[..colon], line[colon + 1..].trim_ascii());
        if name.eq_ignore_ascii_case(b"content-length") {
            let text = String::from_utf8_lossy(value);
            length = Some(
                text.parse()
                    .map_err(|_| format!("content-length \"{text}\""))?,
            );
        } else if name.eq_ignore_ascii_case(b"transfer-encoding") {
            return Err("a body without content-length".to_owned());
        }
    }
    Ok(length)
}

/// Where the head ends that these bytes begin with.
pub(crate) fn head_end(bytes: &[u8]) -> Option<usize> {
    let at = bytes.windows(4).position(|window| window == b"\r\n\r\n");
    at.map(|at| at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_as_many_fields_as_it_is_told() {
        for count in [1, 5, 10, 40] {
            let head = Request::get(0).with_fields(count).http1_head(false);
            assert_eq!(head.matches("\r\n").count(), count + 2, "{head}");
        }
    }

    #[test]
    fn the_answer_has_the_length_that_the_path_asks_for() {
        let asked = asked_for(Request::get(4096).on_route(7).path.as_bytes());
        assert_eq!(asked, Some((4096, Content::Dots)));
        let head = answer_head(4096, Content::Dots);
        assert_eq!(content_length(head.as_bytes()), Ok(Some(4096)));
        assert_eq!(head_end(head.as_bytes()), Some(head.len()));
    }
}
