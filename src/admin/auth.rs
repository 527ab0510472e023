//! Access control.
//!
//! Changes always need the token. Reads need it or the one for reading, except from this machine
//! (loopback or a Unix socket). Two attacks come through an operator's browser, which runs on that machine: requests
//! made by a foreign page are refused by `Origin` and `Sec-Fetch-Site`, and names that an attacker
//! rebinds to 127.0.0.1 are refused by `Host`.

use std::fmt;
use std::hint::black_box;
use std::net::{IpAddr, SocketAddr};

use http::header::{AUTHORIZATION, HOST, ORIGIN};
use http::{HeaderMap, Method, StatusCode};

use super::router::Access;

/// Origin of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Peer {
    Unix,
    Tcp(SocketAddr),
}

/// Tokens that callers may present.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Tokens {
    /// For changes and reads.
    pub change: Option<String>,
    /// For reads.
    pub read: Option<String>,
}

/// Decides by token and origin.
pub(super) struct Gate {
    tokens: Tokens,
}

/// Reasons why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    TokenWrong,
    TokenMissing,
    TokenReadsOnly,
    NoTokenConfigured,
    NotLocal,
    CrossSite,
    ForeignHost,
}

impl Gate {
    pub(super) fn new(tokens: Tokens) -> Self {
        Self { tokens }
    }

    /// Admits a request, or returns the reason for its refusal.
    pub(super) fn admit(
        &self,
        access: Access,
        peer: Peer,
        method: &Method,
        headers: &HeaderMap,
    ) -> Result<(), Refusal> {
        if access == Access::Open {
            return Ok(());
        }
        if method == Method::POST && is_cross_site(headers) {
            return Err(Refusal::CrossSite);
        }
        let Tokens { change, read } = &self.tokens;
        let any = change.is_some() || read.is_some();
        match presented(headers) {
            Presented::Token(given) if any => {
                let is = |own: &Option<String>| {
                    let own = own.as_ref();
                    own.is_some_and(|own| equal(own.as_bytes(), given))
                };
                // Both are compared, whatever the first comparison says.
                match (is(change), is(read), access) {
                    (true, _, _) | (_, true, Access::Read | Access::Open) => Ok(()),
                    (_, true, Access::Change) => Err(Refusal::TokenReadsOnly),
                    (false, false, Access::Change) if change.is_none() => {
                        Err(Refusal::NoTokenConfigured)
                    }
                    (false, false, _) => Err(Refusal::TokenWrong),
                }
            }
            Presented::Other if any => Err(Refusal::TokenWrong),
            _ if access == Access::Change && change.is_none() => Err(Refusal::NoTokenConfigured),
            Presented::Nothing if access == Access::Change => Err(Refusal::TokenMissing),
            _ if !peer.is_local() && any => Err(Refusal::TokenMissing),
            _ if !peer.is_local() => Err(Refusal::NotLocal),
            _ => {
                // A browser cannot speak to a Unix socket.
                let own = peer == Peer::Unix || is_own_host(headers);
                own.then_some(()).ok_or(Refusal::ForeignHost)
            }
        }
    }
}

impl Peer {
    pub(super) fn is_local(self) -> bool {
        match self {
            Self::Unix => true,
            Self::Tcp(address) => address.ip().to_canonical().is_loopback(),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix => f.write_str("unix socket"),
            Self::Tcp(address) => address.fmt(f),
        }
    }
}

impl Refusal {
    pub(super) fn status(self) -> StatusCode {
        match self {
            Self::TokenWrong | Self::TokenMissing => StatusCode::UNAUTHORIZED,
            Self::TokenReadsOnly | Self::NoTokenConfigured | Self::NotLocal | Self::CrossSite => {
                StatusCode::FORBIDDEN
            }
            Self::ForeignHost => StatusCode::MISDIRECTED_REQUEST,
        }
    }

    pub(super) fn sentence(self) -> &'static str {
        match self {
            Self::TokenWrong => "the token is not the one of admin.token",
            Self::TokenMissing => "this needs the header `Authorization: Bearer TOKEN`",
            Self::TokenReadsOnly => "this token is admin.read_token; changes need admin.token",
            Self::NoTokenConfigured => {
                "the configuration has no admin.token, so nothing can be changed here"
            }
            Self::NotLocal => "without admin.token in the configuration only this machine may read",
            Self::CrossSite => "requests from the pages of another site are refused",
            Self::ForeignHost => {
                "without a token, Host must be an IP address or localhost (DNS rebinding)"
            }
        }
    }
}

enum Presented<'a> {
    Token(&'a [u8]),
    Nothing,
    /// Several tokens, or another scheme.
    Other,
}

fn presented(headers: &HeaderMap) -> Presented<'_> {
    let mut all = headers.get_all(AUTHORIZATION).iter();
    match (all.next(), all.next()) {
        (None, _) => Presented::Nothing,
        (Some(value), None) => match value.as_bytes().split_at_checked(BEARER.len()) {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case(BEARER) => {
                Presented::Token(token.trim_ascii())
            }
            _ => Presented::Other,
        },
        (Some(_), Some(_)) => Presented::Other,
    }
}

/// Compares in a time that depends on the lengths only.
fn equal(own: &[u8], given: &[u8]) -> bool {
    let mut difference = usize::from(own.len() != given.len());
    for (at, byte) in given.iter().enumerate() {
        let own = own.get(at % own.len().max(1)).copied().unwrap_or_default();
        difference |= usize::from(black_box(own ^ byte));
    }
    black_box(difference) == 0
}

fn is_cross_site(headers: &HeaderMap) -> bool {
    if let Some(site) = headers.get("sec-fetch-site")
        && site != "same-origin"
        && site != "none"
    {
        return true;
    }
    let Some(origin) = headers.get(ORIGIN) else {
        return false;
    };
    let own = headers.get(HOST).map(|host| host.as_bytes());
    let authority = origin.as_bytes();
    let authority = authority
        .strip_prefix(b"http://")
        .or_else(|| authority.strip_prefix(b"https://"));
    authority.is_none() || authority != own
}

/// Returns true if Host is a name that an attacker's DNS cannot answer for.
fn is_own_host(headers: &HeaderMap) -> bool {
    let mut all = headers.get_all(HOST).iter();
    let (Some(host), None) = (all.next(), all.next()) else {
        return false;
    };
    let Ok(host) = host.to_str() else {
        return false;
    };
    if host.parse::<SocketAddr>().is_ok() || host.parse::<IpAddr>().is_ok() {
        return true;
    }
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.parse::<u16>().is_ok() => name,
        _ => host,
    };
    let address = name
        .strip_prefix('[')
        .and_then(|name| name.strip_suffix(']'));
    let name = name.to_ascii_lowercase();
    address.is_some_and(|address| address.parse::<IpAddr>().is_ok())
        || name == "localhost"
        || name.ends_with(".localhost")
}

const BEARER: &[u8] = b"Bearer ";

#[cfg(test)]
mod tests {
    use super::*;

    const LOCAL: Peer = Peer::Tcp(SocketAddr::new(
        IpAddr::V4(std::net::Ipv4Addr::LOCALHOST),
        5,
    ));

    fn remote() -> Peer {
        Peer::Tcp("10.0.0.9:5".parse().unwrap())
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut map = HeaderMap::new();
        for (name, value) in pairs {
            map.append(*name, value.parse().unwrap());
        }
        map
    }

    fn admit(
        token: Option<&str>,
        access: Access,
        peer: Peer,
        pairs: &[(&'static str, &str)],
    ) -> Result<(), Refusal> {
        let method = match access {
            Access::Change => Method::POST,
            Access::Read | Access::Open => Method::GET,
        };
        let change = token.map(str::to_owned);
        let gate = Gate::new(Tokens { change, read: None });
        gate.admit(access, peer, &method, &headers(pairs))
    }

    #[test]
    fn the_token_for_reading_changes_nothing() {
        for change in [None, Some("secret".to_owned())] {
            let read = Some("peek".to_owned());
            let gate = Gate::new(Tokens { change, read });
            let of = |given: &str| headers(&[("authorization", given), ("host", "a.example")]);
            let peek = of("Bearer peek");
            for peer in [LOCAL, remote(), Peer::Unix] {
                let reads = gate.admit(Access::Read, peer, &Method::GET, &peek);
                assert_eq!(reads, Ok(()));
                let changes = gate.admit(Access::Change, peer, &Method::POST, &peek);
                assert_eq!(changes, Err(Refusal::TokenReadsOnly));
                let guess = gate.admit(Access::Read, peer, &Method::GET, &of("Bearer pee"));
                assert_eq!(guess, Err(Refusal::TokenWrong));
            }
            let silent = gate.admit(Access::Read, remote(), &Method::GET, &headers(&[]));
            assert_eq!(silent, Err(Refusal::TokenMissing));
        }
    }

    #[test]
    fn changes_need_the_token_from_everywhere() {
        let host = ("host", "127.0.0.1:9901");
        for peer in [LOCAL, remote(), Peer::Unix] {
            let change =
                |token, pairs: &[(&'static str, &str)]| admit(token, Access::Change, peer, pairs);
            assert_eq!(change(None, &[host]), Err(Refusal::NoTokenConfigured));
            let guess = [host, ("authorization", "Bearer x")];
            assert_eq!(change(None, &guess), Err(Refusal::NoTokenConfigured));
            assert_eq!(change(Some("secret"), &[host]), Err(Refusal::TokenMissing));
            assert_eq!(change(Some("secret"), &guess), Err(Refusal::TokenWrong));
            let right = [host, ("authorization", "bearer secret")];
            assert_eq!(change(Some("secret"), &right), Ok(()));
        }
    }

    #[test]
    fn a_token_is_right_only_as_a_whole_and_once() {
        for given in [
            "Bearer",
            "Bearer ",
            "Bearer secre",
            "Bearer secretsecret",
            "Bearer secret2",
            "Basic secret",
            "secret",
            "Bearer SECRET",
        ] {
            let pairs = [("authorization", given)];
            let got = admit(Some("secret"), Access::Read, LOCAL, &pairs);
            assert_eq!(got, Err(Refusal::TokenWrong), "{given}");
        }
        let twice = [
            ("authorization", "Bearer secret"),
            ("authorization", "Bearer secret"),
        ];
        let got = admit(Some("secret"), Access::Read, LOCAL, &twice);
        assert_eq!(got, Err(Refusal::TokenWrong));
    }

    #[test]
    fn without_a_token_only_this_machine_reads() {
        let host = [("host", "10.0.0.1:9901")];
        let read = |token, peer| admit(token, Access::Read, peer, &host);
        assert_eq!(read(None, LOCAL), Ok(()));
        assert_eq!(read(Some("s"), LOCAL), Ok(()));
        assert_eq!(read(None, remote()), Err(Refusal::NotLocal));
        assert_eq!(read(Some("s"), remote()), Err(Refusal::TokenMissing));
        assert_eq!(admit(None, Access::Read, Peer::Unix, &[]), Ok(()));
        assert_eq!(admit(None, Access::Open, remote(), &[]), Ok(()));
        let mapped = Peer::Tcp("[::ffff:127.0.0.1]:5".parse().unwrap());
        assert_eq!(read(None, mapped), Ok(()));
    }

    #[test]
    fn a_name_that_may_have_been_rebound_reads_nothing() {
        for own in [
            "localhost",
            "LOCALHOST:1",
            "127.0.0.1",
            "[::1]:9901",
            "[::1]",
            "a.localhost",
        ] {
            let got = admit(None, Access::Read, LOCAL, &[("host", own)]);
            assert_eq!(got, Ok(()), "{own}");
        }
        for foreign in [
            "evil.example",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            ":80",
        ] {
            let got = admit(None, Access::Read, LOCAL, &[("host", foreign)]);
            assert_eq!(got, Err(Refusal::ForeignHost), "{foreign}");
        }
        assert_eq!(
            admit(None, Access::Read, LOCAL, &[]),
            Err(Refusal::ForeignHost)
        );
        // Who has the token may use any name: a page that was rebound does not have it.
        let pairs = [("host", "admin.example"), ("authorization", "Bearer s")];
        assert_eq!(admit(Some("s"), Access::Read, remote(), &pairs), Ok(()));
    }

    #[test]
    fn pages_of_other_sites_change_nothing() {
        let with = |name, value| {
            let token = ("authorization", "Bearer s");
            let host = ("host", "127.0.0.1:9901");
            admit(
                Some("s"),
                Access::Change,
                LOCAL,
                &[token, host, (name, value)],
            )
        };
        for value in ["cross-site", "same-site", "x"] {
            assert_eq!(with("sec-fetch-site", value), Err(Refusal::CrossSite));
        }
        for value in [
            "null",
            "http://evil.example",
            "http://127.0.0.1:80",
            "127.0.0.1:9901",
        ] {
            assert_eq!(with("origin", value), Err(Refusal::CrossSite), "{value}");
        }
        assert_eq!(with("sec-fetch-site", "same-origin"), Ok(()));
        assert_eq!(with("origin", "http://127.0.0.1:9901"), Ok(()));
    }
}
