//! Values that a template can name: `{client_ip}`, `{header:x-tenant}`.

use http::HeaderName;

use super::template::Fill;

/// Values that can be filled in while a request is processed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Placeholder {
    /// The address of the client.
    ClientIp,
    /// The port of the client; empty if only a trusted proxy knows it, and on a Unix socket.
    ClientPort,
    /// The id of the request.
    RequestId,
    /// The host asked for, without its port.
    Host,
    /// The host asked for, with its port if the client named one.
    HostPort,
    /// The name of the listener.
    Listener,
    /// The name of the route.
    Route,
    /// The name of the pool; empty before one is chosen.
    Pool,
    /// The address of the endpoint; empty before one is chosen.
    Endpoint,
    /// The version of the endpoint; empty when it has none.
    Version,
    /// The path as received.
    Path,
    /// The query as received, with its `?`; empty when there is none.
    Query,
    /// `http` or `https`, as the client used it.
    Scheme,
    /// The method.
    Method,
    /// The subject of the client's verified certificate (RFC 4514); empty without one.
    TlsSubject,
    /// The name of the authenticated client; empty without one.
    AuthUser,
    /// The code of the client's country, such as `DE`; empty if it is not known.
    GeoCountry,
    /// The number of the client's autonomous system; empty if it is not known.
    GeoAsn,
    /// A claim of the token, as `jwt.NAME`; empty without one.
    Claim(Box<str>),
    /// A header of the request, as `header:NAME`; empty without one.
    Header(Box<str>, HeaderName),
    /// A cookie of the request, as `cookie:NAME`; empty without one.
    Cookie(Box<str>),
    /// A decoded parameter of the query, as `query:NAME`; empty without one.
    Parameter(Box<str>),
    /// A group of the route's regular expression on the path, as `path.1` or `path.NAME`; empty if it
    /// has no part in the match.
    Group(Box<str>),
}

impl Placeholder {
    /// Finds a placeholder whose name has a part that the user chooses.
    fn chosen(name: &str) -> Option<Self> {
        let part = |prefix: &str| name.strip_prefix(prefix).filter(|part| !part.is_empty());
        if let Some(header) = part(HEADER) {
            let header = HeaderName::try_from(header).ok()?;
            return Some(Self::Header(name.into(), header));
        }
        if part(CLAIM).is_some() {
            return Some(Self::Claim(name.into()));
        }
        if let Some(cookie) = part(COOKIE) {
            let separators = [' ', ';', ',', '=', '"', '\\'];
            let is_token = cookie.is_ascii() && !cookie.contains(separators);
            return is_token.then(|| Self::Cookie(name.into()));
        }
        if part(PARAMETER).is_some() {
            return Some(Self::Parameter(name.into()));
        }
        let group = part(GROUP)?;
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
        group.chars().all(fits).then(|| Self::Group(name.into()))
    }

    /// The part of the name that the user chose: `x-a` of `header:x-a`.
    pub fn part(&self) -> &str {
        let prefix = match self {
            Self::Claim(_) => CLAIM,
            Self::Header(..) => HEADER,
            Self::Cookie(_) => COOKIE,
            Self::Parameter(_) => PARAMETER,
            Self::Group(_) => GROUP,
            _ => "",
        };
        let name = self.name();
        name.strip_prefix(prefix).unwrap_or(name)
    }

    /// Returns true if the client writes the value as it likes.
    pub fn is_of_client(&self) -> bool {
        matches!(
            self,
            Self::Header(..) | Self::Cookie(_) | Self::Parameter(_) | Self::Group(_)
        )
    }
}

impl Fill for Placeholder {
    fn from_name(name: &str) -> Result<Self, Vec<&'static str>> {
        let found = PLACEHOLDERS.iter().find(|(known, _)| *known == name);
        let names = PLACEHOLDERS.iter().map(|(known, _)| *known);
        found
            .map(|(_, placeholder)| placeholder.clone())
            .or_else(|| Self::chosen(name))
            .ok_or_else(|| names.chain(CHOSEN).collect())
    }

    fn name(&self) -> &str {
        if let Self::Claim(name)
        | Self::Header(name, _)
        | Self::Cookie(name)
        | Self::Parameter(name)
        | Self::Group(name) = self
        {
            return name;
        }
        let found = PLACEHOLDERS.iter().find(|(_, known)| known == self);
        found.map_or("", |(name, _)| name)
    }
}

static PLACEHOLDERS: [(&str, Placeholder); 18] = [
    ("client_ip", Placeholder::ClientIp),
    ("client_port", Placeholder::ClientPort),
    ("request_id", Placeholder::RequestId),
    ("host", Placeholder::Host),
    ("host_port", Placeholder::HostPort),
    ("listener", Placeholder::Listener),
    ("route", Placeholder::Route),
    ("pool", Placeholder::Pool),
    ("endpoint", Placeholder::Endpoint),
    ("version", Placeholder::Version),
    ("path", Placeholder::Path),
    ("query", Placeholder::Query),
    ("scheme", Placeholder::Scheme),
    ("method", Placeholder::Method),
    ("tls.subject", Placeholder::TlsSubject),
    ("auth.user", Placeholder::AuthUser),
    ("geo.country", Placeholder::GeoCountry),
    ("geo.asn", Placeholder::GeoAsn),
];

/// Names with a part that the user chooses.
const CHOSEN: [&str; 5] = [
    "header:NAME",
    "cookie:NAME",
    "query:NAME",
    "path.1",
    "jwt.NAME",
];

const CLAIM: &str = "jwt.";
const HEADER: &str = "header:";
const COOKIE: &str = "cookie:";
const PARAMETER: &str = "query:";
const GROUP: &str = "path.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_a_chosen_part_are_read_and_printed() {
        for (name, part) in [
            ("header:X-Tenant", "X-Tenant"),
            ("cookie:__Host-a", "__Host-a"),
            ("query:a b", "a b"),
            ("path.1", "1"),
            ("path.id", "id"),
            ("jwt.sub", "sub"),
        ] {
            let place = Placeholder::from_name(name).unwrap();
            assert_eq!((place.name(), place.part()), (name, part));
        }
        for name in [
            "header:",
            "header:x y",
            "cookie:a=b",
            "query:",
            "path.",
            "path.a-b",
        ] {
            assert!(Placeholder::from_name(name).is_err(), "{name}");
        }
    }
}
