//! Texts with placeholders: `"https://{host}{path}{query}"`.
//!
//! A template is cut into pieces once, when the file is read; filling it in visits the pieces. `{{`
//! and `}}` stand for the braces themselves.

use std::fmt;

use super::{Mismatch, Placeholder};
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

impl<P: Fill> Template<P> {
    /// Cuts a text at the placeholders that it has; all other braces stay as they are.
    pub fn of_text(text: &str) -> Self {
        let mut pieces = Vec::new();
        let (mut plain, mut rest) = (String::new(), text);
        while let Some(at) = rest.find('{') {
            plain.push_str(&rest[..at]);
            let tail = &rest[at + 1..];
            let found = tail.split_once('}').and_then(|(name, after)| {
                let placeholder = P::from_name(name).ok()?;
                Some((placeholder, after))
            });
            if let Some((placeholder, after)) = found {
                if !plain.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut plain)));
                }
                pieces.push(Piece::Fill(placeholder));
                rest = after;
            } else {
                plain.push('{');
                rest = tail;
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() {
            pieces.push(Piece::Text(plain));
        }
        Self { pieces }
    }
}

impl<P> Template<P> {
    /// Gives the pieces in order.
    pub fn pieces(&self) -> &[Piece<P>] {
        &self.pieces
    }

    /// Gives what is filled in, in order.
    pub fn fills(&self) -> impl Iterator<Item = &P> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Fill(fill) => Some(fill),
            Piece::Text(_) => None,
        })
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

    #[test]
    fn of_a_text_only_what_is_known_is_cut() {
        let template = Template::of_text("{\"a\": \"{host}\"} {x} {{method}} {");
        let expected = [
            Piece::Text("{\"a\": \"".into()),
            Piece::Fill(Placeholder::Host),
            Piece::Text("\"} {x} {".into()),
            Piece::Fill(Placeholder::Method),
            Piece::Text("} {".into()),
        ];
        assert_eq!(template.pieces(), expected);
        let plain: Template = Template::of_text("{ color: red }");
        assert_eq!(plain.constant(), Some("{ color: red }"));
    }
}
