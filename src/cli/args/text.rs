//! Arguments read from their text.

use std::{path::Path, time::Duration};

use http::{HeaderName, HeaderValue, Method, Uri};

use crate::config::value::BindAddress;

/// An endpoint of a pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::cli) struct EndpointName {
    pub(in crate::cli) pool: String,
    pub(in crate::cli) address: String,
}

pub(super) fn method(text: &str) -> Result<Method, String> {
    text.parse()
        .map_err(|_| "it is not a method, such as GET".to_owned())
}

pub(super) fn url(text: &str) -> Result<Uri, String> {
    let url = text.parse::<Uri>().ok();
    let whole = |url: &Uri| url.scheme().is_some() || text.starts_with('/');
    url.filter(whole).ok_or_else(|| {
        "it is neither a URL, such as http://shop.example/orders, nor a path".to_owned()
    })
}

pub(super) fn header(text: &str) -> Result<(HeaderName, HeaderValue), String> {
    let (name, value) = text
        .split_once(':')
        .ok_or("it has no colon between name and value")?;
    let name = name.trim().parse().map_err(|_| "the name is malformed")?;
    let value = value.trim().parse();
    Ok((name, value.map_err(|_| "the value is malformed")?))
}

pub(super) fn endpoint(text: &str) -> Result<EndpointName, String> {
    match text.split_once('/') {
        Some((pool, address)) if !pool.is_empty() && !address.is_empty() => Ok(EndpointName {
            pool: pool.to_owned(),
            address: address.to_owned(),
        }),
        _ => Err("it is not a pool and an address, such as app/127.0.0.1:9001".to_owned()),
    }
}

pub(super) fn upgrade_timeout(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok();
    time.filter(|time| !time.is_zero() && *time <= UPGRADE_TIMEOUT_MAX)
        .ok_or_else(|| "it is not a time up to 50s, such as 20s".to_owned())
}

pub(super) fn admin_address(text: &str) -> Result<BindAddress, String> {
    BindAddress::parse(text, Path::new(""))
        .map_err(|_| "it is not an address, such as 127.0.0.1:9901 or unix:admin.sock".to_owned())
}

/// The proxy answers within its own patience.
const UPGRADE_TIMEOUT_MAX: Duration = Duration::from_secs(50);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_may_be_a_unix_socket() {
        let name = endpoint("app/unix:/run/app.sock").unwrap();
        assert_eq!(name.pool, "app");
        assert_eq!(name.address, "unix:/run/app.sock");
        for wrong in ["app", "/a:1", "app/", ""] {
            assert!(endpoint(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn headers_and_urls_are_checked_where_they_are_typed() {
        let (name, value) = header("X-Tenant: a: b ").unwrap();
        assert_eq!(
            (name.as_str(), value.as_bytes()),
            ("x-tenant", &b"a: b"[..])
        );
        for wrong in ["x-tenant", ": a", "a b: c", "a: \u{7f}"] {
            assert!(header(wrong).is_err(), "{wrong}");
        }
        assert!(url("/orders?lang=de").is_ok());
        for wrong in ["shop.example", "shop.example/orders", "", "http://"] {
            assert!(url(wrong).is_err(), "{wrong}");
        }
    }
}
