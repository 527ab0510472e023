//! `Via` and `Max-Forwards`: the path of a message, and its limit.
//!
//! The proxy adds a pseudonym to every request and refuses requests that have it already. Source:
//! RFC 9110 sections 7.6.2 and 7.6.3.

use http::{HeaderValue, Method, Version};
use memchr::memmem::Finder;

use super::headers::{Headers, Known, ReadyLine, Value};
use super::hop_by_hop::tokens;

/// The name of this proxy in `Via`; made once, not per request.
#[derive(Clone, Debug)]
pub struct Pseudonym {
    name: Box<str>,
    /// Finds the name in a value before the value is parsed.
    finder: Finder<'static>,
    /// Lines with `1.0 name`, `1.1 name`, `2 name`, `3 name`.
    lines: [ReadyLine; 4],
}

impl Pseudonym {
    /// Makes `sluicegate-<id>`; the id must differ between proxies in the same path.
    ///
    /// # Errors
    /// If the id is empty or has anything but letters, digits, `-`, `.` and `_`.
    pub fn new(id: &str) -> Result<Self, InvalidId> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        if id.is_empty() || !id.bytes().all(plain) {
            return Err(InvalidId);
        }
        let name = format!("sluicegate-{id}");
        let line = |version| {
            let value = format!("{version} {name}");
            ReadyLine::new(Known::Via, Value::of_checked(value.as_bytes()))
        };
        Ok(Self {
            lines: ["1.0", "1.1", "2", "3"].map(line),
            finder: Finder::new(&name).into_owned(),
            name: name.into(),
        })
    }

    /// The name itself, also used in `Proxy-Status`.
    pub fn as_str(&self) -> &str {
        &self.name
    }

    /// Adds this proxy as the last hop of the message; `version` is that of the received message.
    pub fn append(&self, headers: &mut Headers, version: Version) {
        let [http_1_0, http_1_1, http_2, http_3] = &self.lines;
        let line = match version {
            Version::HTTP_09 | Version::HTTP_10 => http_1_0,
            Version::HTTP_2 => http_2,
            Version::HTTP_3 => http_3,
            _ => http_1_1,
        };
        headers.append_ready(line);
    }

    /// Tells whether the message has passed this proxy before.
    pub fn is_in(&self, headers: &Headers) -> bool {
        headers.get_all(Known::Via).any(|value| {
            self.finder.find(value.as_bytes()).is_some()
                && tokens(value).any(|hop| self.is_hop(hop))
        })
    }

    /// `received-protocol received-by [comment]`.
    fn is_hop(&self, hop: &[u8]) -> bool {
        let mut words = hop
            .split(u8::is_ascii_whitespace)
            .filter(|word| !word.is_empty());
        words.nth(1) == Some(self.name.as_bytes())
    }
}

/// An id that cannot stand in a header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the id of a proxy is made of letters, digits, \"-\", \".\" and \"_\"")]
pub struct InvalidId;

/// Value of `Max-Forwards`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxForwards {
    /// Pass the request on; the number, if any, has been decremented.
    Forward,
    /// The number is 0: this proxy must answer.
    AnswerHere,
}

/// Applies `Max-Forwards`, which is defined for OPTIONS and TRACE only. A value that is not a
/// number is passed on unchanged.
pub fn obey_max_forwards(method: &Method, headers: &mut Headers) -> MaxForwards {
    if *method != Method::OPTIONS && *method != Method::TRACE {
        return MaxForwards::Forward;
    }
    let Some(number) = headers.get(Known::MaxForwards).and_then(read_number) else {
        return MaxForwards::Forward;
    };
    match number.checked_sub(1) {
        None => MaxForwards::AnswerHere,
        Some(left) => {
            headers.insert(Known::MaxForwards, HeaderValue::from(left));
            MaxForwards::Forward
        }
    }
}

fn read_number(value: Value<'_>) -> Option<u64> {
    let text = value.to_str()?;
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // More digits than fit are more hops than there are.
    digits.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::semantics::headers::fields;

    #[test]
    fn the_own_name_is_found_wherever_it_stands() {
        let own = Pseudonym::new("a1").unwrap();
        for (value, expected) in [
            ("1.1 sluicegate-a1", true),
            ("1.0 x, HTTP/1.1  sluicegate-a1 (comment), 2 y", true),
            ("1.1 sluicegate-a11", false),
            ("1.1 x-sluicegate-a1", false),
            ("1.1 x (sluicegate-a1)", false),
            ("sluicegate-a1", false),
        ] {
            let headers = fields(&[("via", "1.1 first"), ("via", value)]);
            assert_eq!(own.is_in(&headers), expected, "{value}");
        }
        assert!(!own.is_in(&Headers::new()));
    }

    #[test]
    fn appending_keeps_earlier_hops_and_closes_the_loop() {
        let own = Pseudonym::new("a1").unwrap();
        let mut headers = fields(&[("via", "1.0 first")]);
        own.append(&mut headers, Version::HTTP_2);
        let lines: Vec<_> = headers.get_all(Known::Via).collect();
        assert_eq!(lines, ["1.0 first", "2 sluicegate-a1"]);
        assert!(own.is_in(&headers));
        assert!(!Pseudonym::new("a2").unwrap().is_in(&headers));
    }

    #[test]
    fn an_id_that_would_break_the_field_is_refused() {
        for id in ["", "a b", "a,b", "ä", "a\r\n"] {
            assert_eq!(Pseudonym::new(id).map(|name| name.name), Err(InvalidId));
        }
    }

    #[test]
    fn max_forwards_is_lowered_to_zero_and_then_answered() {
        let obey = |method: Method, value: &str| {
            let mut headers = fields(&[("max-forwards", value)]);
            let verdict = obey_max_forwards(&method, &mut headers);
            (
                verdict,
                headers
                    .get(Known::MaxForwards)
                    .and_then(Value::to_str)
                    .unwrap()
                    .to_owned(),
            )
        };
        let forward = |left: &str| (MaxForwards::Forward, left.to_owned());
        assert_eq!(obey(Method::OPTIONS, "2"), forward("1"));
        assert_eq!(obey(Method::OPTIONS, "0").0, MaxForwards::AnswerHere);
        assert_eq!(obey(Method::GET, "0"), forward("0"));
        assert_eq!(obey(Method::OPTIONS, "-1"), forward("-1"));
        assert_eq!(
            obey(Method::OPTIONS, "99999999999999999999"),
            forward("18446744073709551614")
        );
    }
}
