//! Texts with placeholders: `"https://{host}{path}{query}"`.
//!
//! A template is cut into pieces once, when the file is read; filling it in visits the pieces. `{{`
//! and `}}` stand for the braces themselves.

use std::fmt;

use super::Mismatch;
use crate::config::value::nearest::alternatives;

/// A text cut into pieces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Template<P = Placeholder> {
    pieces: Vec<Piece<P>>,
}

/// A part of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece<P = Placeholder> {
    /// Literal text.
    Text(String),
    /// A placeholder filled in per exchange.
    Fill(P),
}

/// A name that can stand between braces.
pub trait Fill: Sized {
    /// Finds the placeholder of this name.
    ///
    /// # Errors
    ///
    /// Returns the valid names.
    fn from_name(name: &str) -> Result<Self, Vec<&'static str>>;

    /// Gives the name.
    fn name(&self) -> &str;
}

impl<P: Fill> Template<P> {
    /// Cuts a text into pieces.
    ///
    /// # Errors
    ///
    /// Refuses unknown placeholders and braces without a partner.
    pub fn parse(text: &str) -> Result<Self, Mismatch> {
        let mut pieces = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            plain.push_str(&rest[..at]);
            let tail = &rest[at..];
            if tail.starts_with("{{") || tail.starts_with("}}") {
                plain.push_str(&tail[..1]);
                rest = &tail[2..];
                continue;
            }
            let inner = tail.strip_prefix('{').and_then(|tail| tail.split_once('}'));
            let Some((name, after)) = inner else {
                let expected = "write {{ or }} for a brace that stands for itself";
                return Err(Mismatch::new("a brace has no partner", expected));
            };
            if !plain.is_empty() {
                pieces.push(Piece::Text(std::mem::take(&mut plain)));
            }
            pieces.push(Piece::Fill(placeholder(name)?));
            rest = after;
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Ok(Self { pieces })
    }
}

impl<P> Template<P> {
    /// Gives the pieces in order.
    pub fn pieces(&self) -> &[Piece<P>] {
        &self.pieces
    }

    /// Gives the text if there is nothing to fill in.
    pub fn constant(&self) -> Option<&str> {
        match self.pieces.as_slice() {
            [] => Some(""),
            [Piece::Text(text)] => Some(text),
            _ => None,
        }
    }
}

impl<P: Fill> fmt::Display for Template<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => {
                    f.write_str(&text.replace('{', "{{").replace('}', "}}"))?;
                }
                Piece::Fill(placeholder) => write!(f, "{{{}}}", placeholder.name())?,
            }
        }
        Ok(())
    }
}

fn placeholder<P: Fill>(name: &str) -> Result<P, Mismatch> {
    P::from_name(name).map_err(|known| {
        Mismatch::new(
            format!("unknown placeholder {{{name}}}"),
            alternatives("allowed", name, &known),
        )
    })
}

/// Values that can be filled in while a request is processed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Placeholder {
    /// The address of the client.
    ClientIp,
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
    /// A claim of the token, as `jwt.NAME`; empty without one.
    Claim(Box<str>),
}

impl Fill for Placeholder {
    fn from_name(name: &str) -> Result<Self, Vec<&'static str>> {
        if name
            .strip_prefix(CLAIM)
            .is_some_and(|claim| !claim.is_empty())
        {
            return Ok(Self::Claim(name.into()));
        }
        let found = PLACEHOLDERS.iter().find(|(known, _)| *known == name);
        let names = PLACEHOLDERS.iter().map(|(known, _)| *known);
        found
            .map(|(_, placeholder)| placeholder.clone())
            .ok_or_else(|| names.chain(["jwt.NAME"]).collect())
    }

    fn name(&self) -> &str {
        if let Self::Claim(name) = self {
            return name;
        }
        let found = PLACEHOLDERS.iter().find(|(_, known)| known == self);
        found.map_or("", |(name, _)| name)
    }
}

static PLACEHOLDERS: [(&str, Placeholder); 15] = [
    ("client_ip", Placeholder::ClientIp),
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
];

/// Beginning of the name of a claim.
pub const CLAIM: &str = "jwt.";

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Template, Mismatch> {
        Template::parse(text)
    }

    #[test]
    fn a_text_is_cut_at_its_placeholders() {
        let template = parse("a{host}{path}b").unwrap();
        let expected = [
            Piece::Text("a".into()),
            Piece::Fill(Placeholder::Host),
            Piece::Fill(Placeholder::Path),
            Piece::Text("b".into()),
        ];
        assert_eq!(template.pieces(), expected);
        assert_eq!(template.to_string(), "a{host}{path}b");
        assert_eq!(parse("plain").unwrap().constant(), Some("plain"));
        assert_eq!(template.constant(), None);
    }

    #[test]
    fn doubled_braces_stand_for_themselves() {
        let template = parse("{{\"a\": {method}}}").unwrap();
        assert_eq!(template.pieces().len(), 3);
        assert_eq!(template.to_string(), "{{\"a\": {method}}}");
        assert_eq!(parse("é{{").unwrap().constant(), Some("é{"));
    }

    #[test]
    fn strangers_and_lonely_braces_are_refused() {
        assert_eq!(
            parse("{client}").unwrap_err().expected,
            "did you mean \"client_ip\"?"
        );
        for text in ["{", "}", "a{host", "a}b", "{}", "{jwt.}"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
