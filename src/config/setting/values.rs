//! TOML forms of the single values of `value/`: mostly strings.

use std::{net::IpAddr, path::PathBuf, time::Duration};

use http::{HeaderName, HeaderValue, Method, StatusCode, Uri};
use ipnet::IpNet;
use serde_json::Value;

use super::choice::print_choice;
use super::elsewhere::is_elsewhere;
use super::{Choice, Form, Found, Node, Reader, Setting, Shape, choice, read_choice};
use crate::config::diagnostic::Fault;
use crate::config::value::{
    BindAddress, DnsName, EndpointAddress, FieldSource, FileMode, HashKey, HostPattern, HttpUrl,
    JwtAlgorithm, MediaPattern, Mismatch, Name, NameServer, OriginPattern, Pattern, PriorityKey,
    Rate, RateKey, RedisUrl, RetryOn, Secret, ServerUrl, StatusSet, Template, ValueMatch, cidr,
    duration, header, secret, status, version,
};

/// Settings that are strings: name, example, parser, printer.
macro_rules! strings {
    ($( $ty:ty: $kind:literal, $example:literal, $parse:expr, $print:expr; )*) => { $(
        impl Setting for $ty {
            fn shape() -> Shape {
                Shape::value($kind, $example)
            }

            fn form() -> Form {
                Form::Text
            }

            fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
                reader.parse_text(node, &Self::shape(), $parse)
            }

            fn print(&self) -> Value {
                let print: fn(&Self) -> String = $print;
                print(self).into()
            }
        }
    )* };
}
pub(super) use strings;

strings! {
    Duration: "duration", "\"5s\"", duration::parse, duration::text;
    Name: "name", "\"app\"", Name::parse, ToString::to_string;
    IpAddr: "IP address", "\"203.0.113.9\"", ip, ToString::to_string;
    DnsName: "name in DNS", "\"orders.internal\"", DnsName::parse, ToString::to_string;
    NameServer: "address of a name server", "\"10.0.0.2:53\"", NameServer::parse, ToString::to_string;
    IpNet: "block of addresses", "\"10.0.0.0/8\"", cidr::parse, ToString::to_string;
    HostPattern: "host", "\"shop.example\"", HostPattern::parse, ToString::to_string;
    HeaderName: "header name", "\"x-user\"", header::name, ToString::to_string;
    MediaPattern: "media type", "\"application/json\"", MediaPattern::parse, ToString::to_string;
    Method: "method", "\"GET\"", header::method, ToString::to_string;
    Pattern: "regular expression", "\"^/v[0-9]+/\"", Pattern::parse, |p| p.as_str().to_owned();
    JwtAlgorithm: "algorithm of signatures", "\"RS256\"", JwtAlgorithm::parse, ToString::to_string;
    HashKey: "key to hash", "\"client_ip\"", HashKey::parse, ToString::to_string;
    FieldSource: "source of a field", "\"header:x-user\"", FieldSource::parse, ToString::to_string;
    PriorityKey: "header with the urgency", "\"header:x-priority\"", PriorityKey::parse, ToString::to_string;
    Rate: "rate", "\"100/s\"", Rate::parse, ToString::to_string;
    RateKey: "key of a rate limit", "\"client_ip\"", RateKey::parse, ToString::to_string;
    Template: "template", "\"{client_ip}\"", Template::parse, ToString::to_string;
    FileMode: "file mode", "\"0660\"", FileMode::parse, ToString::to_string;
    semver::Version: "version", "\"1.4.2\"", version, ToString::to_string;
    semver::VersionReq: "version requirement", "\"^2.1\"", version_req, ToString::to_string;
    Uri: "URL", "\"https://shop.example/\"", url, ToString::to_string;
    HeaderValue: "header value", "\"text\"", header::value, |value| {
        String::from_utf8_lossy(value.as_bytes()).into_owned()
    };
}

fn version(text: &str) -> Result<semver::Version, Mismatch> {
    text.parse().map_err(|error: semver::Error| {
        let message = format!("\"{text}\" is not a version: {error}");
        if let Some(whole) = version::whole(text) {
            return Mismatch::new(message, format!("three numbers: \"{whole}\""));
        }
        Mismatch::new(message, "three numbers, such as \"1.4.2\"")
    })
}

fn version_req(text: &str) -> Result<semver::VersionReq, Mismatch> {
    text.parse().map_err(|error: semver::Error| {
        let message = format!("\"{text}\" is not a version requirement: {error}");
        Mismatch::new(message, "such as \"^2.1\", \"1.4.2\" or \">=1, <3\"")
    })
}

fn ip(text: &str) -> Result<IpAddr, Mismatch> {
    text.parse().map_err(|_| {
        let message = format!("\"{text}\" is not an IP address");
        Mismatch::new(message, "such as \"203.0.113.9\" or \"2001:db8::1\"")
    })
}

fn url(text: &str) -> Result<Uri, Mismatch> {
    text.parse::<Uri>()
        .ok()
        .filter(|url| url.host().is_some() && url.scheme().is_some())
        .ok_or_else(|| {
            let message = format!("\"{text}\" is not a URL with scheme and host");
            Mismatch::new(message, "such as \"https://shop.example/orders/1\"")
        })
}

/// Settings that are strings with a path in them, relative to the folder of the file.
macro_rules! located {
    ($( $ty:ty: $kind:literal, $example:literal; )*) => { $(
        impl Setting for $ty {
            fn shape() -> Shape {
                Shape::value($kind, $example)
            }

            fn form() -> Form {
                Form::Text
            }

            fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
                let base = reader.resolve("");
                reader.parse_text(node, &Self::shape(), |text| Self::parse(text, &base))
            }

            fn print(&self) -> Value {
                self.to_string().into()
            }
        }
    )* };
}

located! {
    BindAddress: "address", "\"0.0.0.0:8080\"";
    EndpointAddress: "address", "\"10.0.0.7:8080\"";
}

/// URLs whose faults must not show the credentials that may be in them.
macro_rules! urls {
    ($( $ty:ty: $kind:literal, $example:literal; )*) => { $(
        impl Setting for $ty {
            fn shape() -> Shape {
                Shape::value($kind, $example)
            }

            fn form() -> Form {
                Form::Text
            }

            fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
                if node.text().is_some_and(|text| text.contains('@')) {
                    // It is refused, and the message must not show the password in it.
                    reader.hide(node.span);
                }
                reader.parse_text(node, &Self::shape(), Self::parse)
            }

            fn print(&self) -> Value {
                self.to_string().into()
            }
        }
    )* };
}

urls! {
    RedisUrl: "address of a Redis server", "\"redis://127.0.0.1:6379\"";
    HttpUrl: "URL", "\"http://127.0.0.1:8500\"";
    ServerUrl: "URL of a server", "\"http://127.0.0.1:2379\"";
}

impl Setting for PathBuf {
    fn shape() -> Shape {
        Shape::value("path", "\"state\"")
    }

    fn form() -> Form {
        Form::Text
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let path = reader.parse_text(node, &Self::shape(), |text| {
            if text.is_empty() || text.contains('\0') {
                return Err(Mismatch::new("a path cannot be empty", "such as \"state\""));
            }
            Ok(text.to_owned())
        })?;
        Some(reader.resolve(&path))
    }

    fn print(&self) -> Value {
        self.display().to_string().into()
    }
}

impl Setting for StatusCode {
    fn shape() -> Shape {
        Shape::value("status", "503")
    }

    fn form() -> Form {
        Form::Integer
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let Some(number) = node.integer() else {
            reader.wrong_type(node, &Self::shape());
            return None;
        };
        reader.accept(node, status::single(number))
    }

    fn print(&self) -> Value {
        self.as_u16().into()
    }
}

impl Setting for StatusSet {
    fn shape() -> Shape {
        Shape::value("status, range or list of these", "503 or \"200-299\"")
    }

    fn form() -> Form {
        let one = Form::Text.or(Form::Integer);
        one.clone().or(Form::List(Box::new(one)))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if let Some(number) = node.integer() {
            return reader.accept(node, Self::from_integer(number));
        }
        if let Some(items) = node.list() {
            let sets: Vec<_> = items.map(|item| Self::read(&item, reader)).collect();
            if sets.is_empty() {
                reader.mismatch(
                    node,
                    &Mismatch::new("no status is listed", "such as [200, 204]"),
                );
                return None;
            }
            return sets
                .into_iter()
                .collect::<Option<Vec<_>>>()
                .map(Self::union);
        }
        reader.parse_text(node, &Self::shape(), Self::parse)
    }

    fn print(&self) -> Value {
        let single = |range: &std::ops::RangeInclusive<u16>| {
            if range.start() == range.end() {
                Value::from(*range.start())
            } else {
                status::range_text(range).into()
            }
        };
        match self.ranges() {
            [only] => single(only),
            ranges => ranges.iter().map(single).collect(),
        }
    }
}

impl Setting for RetryOn {
    fn shape() -> Shape {
        Shape::value("outcome", "\"connect\", \"503\"")
    }

    fn form() -> Form {
        let words = Form::Words(Self::words().collect());
        words.or(Form::Text).or(Form::Integer)
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match node.integer() {
            Some(number) => reader.accept(node, Self::parse(&number.to_string())),
            None => reader.parse_text(node, &Self::shape(), Self::parse),
        }
    }

    fn print(&self) -> Value {
        self.to_string().into()
    }
}

impl Setting for Secret {
    fn shape() -> Shape {
        Shape::value("secret", "{ env = \"NAME\" } or { file = \"path\" }")
    }

    fn form() -> Form {
        Form::Text
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        let secret = match node.text() {
            Some("") => {
                reader.fault(Fault::error(node.span, "a secret cannot be empty", ""));
                return None;
            }
            Some(text) => {
                reader.hide(node.span);
                Self::written(text)
            }
            None if is_elsewhere(node) => match reader.fetch(node) {
                Ok(text) => Self::fetched(text),
                Err(Some(withheld)) if reader.withholds() => {
                    reader.mismatch(node, &withheld);
                    return None;
                }
                // Whether it is needed is for those to say who use it.
                Err(Some(mismatch)) => Self::missing(mismatch),
                Err(None) => return None,
            },
            None => {
                // It may be one, in the wrong clothes.
                reader.hide(node.span);
                reader.wrong_type(node, &Self::shape());
                return None;
            }
        };
        reader.conceal(secret.reveal().unwrap_or_default());
        Some(secret)
    }

    fn print(&self) -> Value {
        secret::MASK.into()
    }
}

choice! {
    /// Ways to match other than equality.
    pub(super) enum LooseMatch {
        /// Found by this regular expression.
        "regex" => Regex(Pattern),
        /// Present or absent.
        "present" => Present(bool),
    }
}

choice! {
    /// Ways to match an origin other than by its text.
    pub(super) enum LooseOrigin {
        /// Matched as a whole by this regular expression.
        "regex" => Regex(Pattern),
    }
}

impl Setting for OriginPattern {
    fn shape() -> Shape {
        Shape::value("origin", "\"https://shop.example\" or { regex = \"…\" }")
    }

    fn form() -> Form {
        Form::Text.or(Form::Table(LooseOrigin::keys))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if node.text().is_some() {
            return reader.parse_text(node, &Self::shape(), Self::parse);
        }
        let LooseOrigin::Regex(pattern) = read_choice(node, &Self::shape(), reader)?;
        Some(Self::Regex(pattern))
    }

    fn print(&self) -> Value {
        match self {
            Self::Regex(pattern) => print_choice(&LooseOrigin::Regex(pattern.clone())),
            origin => origin.to_string().into(),
        }
    }
}

impl Setting for ValueMatch {
    fn shape() -> Shape {
        Shape::value("match", "\"text\", { regex = \"…\" } or { present = true }")
    }

    fn form() -> Form {
        Form::Text.or(Form::Table(LooseMatch::keys))
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        match reader.string(node) {
            Found::Value(text) => return Some(Self::Exact(text.into())),
            Found::Bad => return None,
            Found::Absent => {}
        }
        Some(match read_choice(node, &Self::shape(), reader)? {
            LooseMatch::Regex(pattern) => Self::Regex(pattern),
            LooseMatch::Present(wanted) => Self::Present(wanted),
        })
    }

    fn print(&self) -> Value {
        match self {
            Self::Exact(text) => (**text).into(),
            Self::Regex(pattern) => print_choice(&LooseMatch::Regex(pattern.clone())),
            Self::Present(wanted) => print_choice(&LooseMatch::Present(*wanted)),
        }
    }
}
