//! Rates such as `"100/s"`, and the part of a request that one is for.

use std::fmt;

use http::HeaderName;

use super::{Mismatch, header};
use crate::config::value::nearest::alternatives;

/// A number of requests in a second, minute or hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Requests.
    pub count: u32,
    /// Length of the period.
    pub period: Period,
}

/// Period of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Period {
    /// `s`.
    Second,
    /// `m`.
    Minute,
    /// `h`.
    Hour,
}

impl Period {
    /// Returns its seconds.
    pub fn seconds(self) -> u64 {
        match self {
            Self::Second => 1,
            Self::Minute => 60,
            Self::Hour => 3600,
        }
    }

    fn unit(self) -> &'static str {
        match self {
            Self::Second => "s",
            Self::Minute => "m",
            Self::Hour => "h",
        }
    }
}

impl Rate {
    /// Parses a rate.
    ///
    /// # Errors
    ///
    /// Refuses 0, more than a million, and other units.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let wrong = |why: &str| {
            let message = format!("\"{text}\" is not a rate: {why}");
            Mismatch::new(message, "such as \"100/s\", \"60/m\" or \"1000/h\"")
        };
        let (count, unit) = text
            .split_once('/')
            .ok_or_else(|| wrong("it has no \"/\""))?;
        let period = match unit.trim() {
            "s" => Period::Second,
            "m" => Period::Minute,
            "h" => Period::Hour,
            _ => return Err(wrong("the unit is s, m or h")),
        };
        let count: u32 = count
            .trim()
            .parse()
            .map_err(|_| wrong("it begins with a whole number"))?;
        match count {
            0 => Err(wrong("it must be greater than 0")),
            1..=COUNT_MAX => Ok(Self { count, period }),
            _ => Err(wrong("at most 1000000")),
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.count, self.period.unit())
    }
}

/// Part of a request that has a rate of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RateKey {
    /// The address of the client; of IPv6, the network of 64 bits.
    ClientIp,
    /// A header of the request.
    Header(HeaderName),
    /// A cookie of the request.
    Cookie(String),
    /// A parameter of the query.
    Query(String),
    /// A claim of the client's token.
    Claim(String),
    /// Nothing: all requests of the route together.
    Route,
    /// A name: all requests of all routes that give it, together.
    Constant(String),
}

impl RateKey {
    /// Parses a key.
    ///
    /// # Errors
    ///
    /// Names the valid kinds of key.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let plain = |name: &str| header::name(name).is_ok();
        match text.split_once(':') {
            None if text == "client_ip" => return Ok(Self::ClientIp),
            None if text == "route" => return Ok(Self::Route),
            Some(("header", name)) => return header::name(name).map(Self::Header),
            Some(("cookie", name)) if plain(name) => return Ok(Self::Cookie(name.to_owned())),
            Some(("query", name)) if plain(name) => return Ok(Self::Query(name.to_owned())),
            Some(("jwt", name)) if plain(name) => return Ok(Self::Claim(name.to_owned())),
            Some(("constant", name)) if plain(name) => return Ok(Self::Constant(name.to_owned())),
            _ => {}
        }
        let kinds = [
            "client_ip",
            "header:NAME",
            "cookie:NAME",
            "query:NAME",
            "jwt:CLAIM",
            "route",
            "constant:NAME",
        ];
        Err(Mismatch::new(
            format!("\"{text}\" is not a key of a rate limit"),
            alternatives("allowed", text, &kinds),
        ))
    }
}

impl fmt::Display for RateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClientIp => f.write_str("client_ip"),
            Self::Header(name) => write!(f, "header:{name}"),
            Self::Claim(name) => write!(f, "jwt:{name}"),
            Self::Cookie(name) => write!(f, "cookie:{name}"),
            Self::Query(name) => write!(f, "query:{name}"),
            Self::Route => f.write_str("route"),
            Self::Constant(name) => write!(f, "constant:{name}"),
        }
    }
}

/// More in a period cannot be told apart by the clock.
const COUNT_MAX: u32 = 1_000_000;
