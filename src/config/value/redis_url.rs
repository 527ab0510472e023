//! Addresses of Redis servers: `redis://HOST:PORT/DB`, and `rediss://` over TLS.

use std::{fmt, path::Path};

use super::{EndpointAddress, Mismatch};

/// Address of a Redis server, without credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisUrl {
    /// True if it is spoken to over TLS.
    pub tls: bool,
    /// Host and port.
    pub address: EndpointAddress,
    /// Number of the database.
    pub database: u32,
}

impl RedisUrl {
    /// Parses a URL.
    ///
    /// # Errors
    ///
    /// Refuses other schemes, credentials and malformed addresses.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let wrong = |why: &str| {
            let message = format!("not the address of a Redis server: {why}");
            Mismatch::new(
                message,
                "such as \"redis://127.0.0.1:6379\" or \"rediss://redis.internal:6380/2\"",
            )
        };
        let (scheme, rest) = text
            .split_once("://")
            .ok_or_else(|| wrong("it is not a URL"))?;
        let tls = match scheme {
            "redis" => false,
            "rediss" => true,
            _ => return Err(wrong("the scheme is redis, or rediss for TLS")),
        };
        if rest.contains('@') {
            return Err(wrong(
                "user and password have keys of their own, \"username\" and \"password\"",
            ));
        }
        let (host, database) = rest.split_once('/').unwrap_or((rest, ""));
        let database = match database {
            "" => 0,
            number => number
                .parse()
                .map_err(|_| wrong("after the \"/\" stands the number of a database"))?,
        };
        if host.starts_with("unix:") {
            return Err(wrong("it has no host"));
        }
        let has_port = host
            .rsplit_once(':')
            .is_some_and(|(host, _)| !host.starts_with('[') || host.ends_with(']'));
        let host = if has_port {
            host.to_owned()
        } else {
            format!("{host}:{PORT}")
        };
        let address = EndpointAddress::parse(&host, Path::new(""))
            .map_err(|_| wrong("the host is a name or an IP address"))?;
        Ok(Self {
            tls,
            address,
            database,
        })
    }
}

impl fmt::Display for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.tls { "rediss" } else { "redis" };
        write!(f, "{scheme}://{}", self.address)?;
        match self.database {
            0 => Ok(()),
            database => write!(f, "/{database}"),
        }
    }
}

const PORT: u16 = 6379;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_host_and_may_have_port_and_database() {
        for (written, printed) in [
            ("redis://127.0.0.1:7000", "redis://127.0.0.1:7000"),
            ("redis://127.0.0.1", "redis://127.0.0.1:6379"),
            ("redis://[::1]", "redis://[::1]:6379"),
            ("redis://[::1]:7/0", "redis://[::1]:7"),
            (
                "rediss://redis.internal:6380/2",
                "rediss://redis.internal:6380/2",
            ),
            ("redis://redis.internal/", "redis://redis.internal:6379"),
        ] {
            assert_eq!(RedisUrl::parse(written).unwrap().to_string(), printed);
        }
    }

    #[test]
    fn strangers_and_credentials_are_refused_and_not_repeated() {
        for text in [
            "",
            "127.0.0.1:6379",
            "http://a",
            "redis://",
            "redis://a/b",
            "redis://a:0",
            "redis://a:b",
            "redis://unix:/a",
            "redis://me:hunter2@host",
            "redis://a/1/2",
        ] {
            let refused = RedisUrl::parse(text).unwrap_err();
            assert!(!format!("{refused:?}").contains("hunter2"), "{text}");
        }
    }
}
