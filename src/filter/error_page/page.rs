//! One page: its text in the kinds that clients ask for, and what is filled in.

use std::borrow::Cow;

use bytes::Bytes;
use http::StatusCode;
use serde_json::json;

use super::super::escape::push;
use crate::{exchange::Exchange, semantics::accept::Spoken};

/// A page, cut at its placeholders when the configuration is read.
#[derive(Clone, Debug)]
pub struct Page {
    /// The file of the operator, and its kind.
    file: Option<(Spoken, Text)>,
    html: Text,
}

/// A text with places to fill in.
#[derive(Clone, Debug)]
enum Text {
    /// Without such places: sent as it is.
    Constant(Bytes),
    Pieces(Vec<Piece>),
}

#[derive(Clone, Debug)]
enum Piece {
    Text(Box<str>),
    Fill(Fill),
}

/// A value to fill in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fill {
    Status,
    Title,
    Detail,
    Reason,
    RequestId,
}

/// Content of an answer with an error.
#[derive(Debug)]
pub(super) struct Told<'e> {
    status: StatusCode,
    detail: Cow<'e, str>,
    reason: Option<&'static str>,
    request_id: &'e str,
}

impl Page {
    /// Takes a page from the content of a file; without one the proxy has a small page of its own.
    pub fn new(file: Option<(Spoken, &Bytes)>) -> Self {
        Self {
            file: file.map(|(kind, bytes)| (kind, Text::cut(bytes))),
            html: Text::cut(&Bytes::from_static(USUAL.as_bytes())),
        }
    }

    /// Order of the kinds for a client that likes all alike.
    pub(super) fn order(&self) -> [Spoken; 3] {
        use Spoken::{Html, Json, Plain};
        match self.file {
            Some((Html, _)) => [Html, Plain, Json],
            Some((Json, _)) => [Json, Plain, Html],
            Some((Plain, _)) | None => [Plain, Json, Html],
        }
    }

    /// Makes the body in one of the kinds.
    pub(super) fn render(&self, kind: Spoken, told: &Told<'_>) -> Bytes {
        match (&self.file, kind) {
            (Some((own, text)), kind) if *own == kind => text.fill(kind, told),
            (_, Spoken::Html) => self.html.fill(kind, told),
            (_, Spoken::Json) => told.problem(),
            (_, Spoken::Plain) => told.plain(),
        }
    }
}

impl<'e> Told<'e> {
    pub(super) fn of(exchange: &'e Exchange, status: StatusCode) -> Self {
        Self {
            status,
            detail: exchange.sentence().unwrap_or_default(),
            reason: exchange.reason(),
            request_id: exchange.request_id(),
        }
    }

    fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    /// Details of a problem (RFC 9457): without a type of its own, the title is that of the status.
    fn problem(&self) -> Bytes {
        let mut problem = json!({
            "title": self.title(),
            "status": self.status.as_u16(),
            "request_id": self.request_id,
        });
        if !self.detail.is_empty() {
            problem["detail"] = self.detail.as_ref().into();
        }
        if let Some(reason) = self.reason {
            problem["reason"] = reason.into();
        }
        format!("{problem}\n").into()
    }

    fn plain(&self) -> Bytes {
        let (status, title, id) = (self.status.as_str(), self.title(), self.request_id);
        let text = match &*self.detail {
            "" => format!("{status} {title}\nrequest id: {id}\n"),
            detail => format!("{status} {title}: {detail}\nrequest id: {id}\n"),
        };
        text.into()
    }

    fn value(&self, fill: Fill) -> &str {
        match fill {
            Fill::Status => self.status.as_str(),
            Fill::Title => self.title(),
            Fill::Detail => &self.detail,
            Fill::Reason => self.reason.unwrap_or_default(),
            Fill::RequestId => self.request_id,
        }
    }
}

impl Text {
    fn cut(bytes: &Bytes) -> Self {
        let Ok(mut rest) = std::str::from_utf8(bytes) else {
            return Self::Constant(bytes.clone());
        };
        let mut pieces = Vec::new();
        while let Some((at, name, fill)) = next_place(rest) {
            pieces.push(Piece::Text(rest[..at].into()));
            pieces.push(Piece::Fill(fill));
            rest = &rest[at + name.len()..];
        }
        if pieces.is_empty() {
            return Self::Constant(bytes.clone());
        }
        pieces.push(Piece::Text(rest.into()));
        Self::Pieces(pieces)
    }

    fn fill(&self, kind: Spoken, told: &Told<'_>) -> Bytes {
        let pieces = match self {
            Self::Constant(bytes) => return bytes.clone(),
            Self::Pieces(pieces) => pieces,
        };
        let mut text = String::new();
        for piece in pieces {
            match piece {
                Piece::Text(literal) => text.push_str(literal),
                Piece::Fill(fill) => push(&mut text, told.value(*fill), kind),
            }
        }
        text.into()
    }
}

/// Returns the first place to fill in of a text.
fn next_place(text: &str) -> Option<(usize, &'static str, Fill)> {
    let at_brace = text.match_indices('{');
    at_brace.into_iter().find_map(|(at, _)| {
        let known = PLACES
            .iter()
            .find(|(name, _)| text[at..].starts_with(name))?;
        Some((at, known.0, known.1))
    })
}

const PLACES: [(&str, Fill); 5] = [
    ("{status}", Fill::Status),
    ("{title}", Fill::Title),
    ("{detail}", Fill::Detail),
    ("{reason}", Fill::Reason),
    ("{request_id}", Fill::RequestId),
];

/// The page of the proxy itself.
const USUAL: &str = "<!doctype html>\n\
    <html lang=\"en\"><head><meta charset=\"utf-8\">\
    <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
    <title>{status} {title}</title>\
    <style>body{font:16px/1.5 system-ui,sans-serif;margin:15vh auto;max-width:36em;padding:0 1em}\
    small{color:#666}</style></head>\n\
    <body><h1>{status} {title}</h1><p>{detail}</p><p><small>request id: {request_id}</small></p>\
    </body></html>\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn told() -> Told<'static> {
        Told {
            status: StatusCode::BAD_GATEWAY,
            detail: "no \"luck\"".into(),
            reason: Some("connection_refused"),
            request_id: "<b>1",
        }
    }

    fn text(page: &Page, kind: Spoken) -> String {
        String::from_utf8(page.render(kind, &told()).to_vec()).unwrap()
    }

    #[test]
    fn places_are_filled_in_and_nothing_gets_out_of_them() {
        let html = Bytes::from_static(b"a{color:red}{status} {x} {{detail}} {request_id}");
        let page = Page::new(Some((Spoken::Html, &html)));
        let expected = "a{color:red}502 {x} {no &quot;luck&quot;} &lt;b&gt;1";
        assert_eq!(text(&page, Spoken::Html), expected);
        let json = Bytes::from_static(b"{\"id\":\"{request_id}\",\"why\":\"{detail}\"}");
        let page = Page::new(Some((Spoken::Json, &json)));
        let expected = "{\"id\":\"<b>1\",\"why\":\"no \\\"luck\\\"\"}";
        assert_eq!(text(&page, Spoken::Json), expected);
        assert!(text(&page, Spoken::Plain).starts_with("502 Bad Gateway: no \"luck\"\n"));
        assert!(text(&page, Spoken::Html).contains("<h1>502 Bad Gateway</h1>"));
    }

    #[test]
    fn details_are_a_problem_of_its_rfc() {
        let problem = text(&Page::new(None), Spoken::Json);
        let problem: serde_json::Value = serde_json::from_str(&problem).unwrap();
        assert_eq!(
            problem,
            json!({
                "title": "Bad Gateway", "status": 502, "detail": "no \"luck\"",
                "reason": "connection_refused", "request_id": "<b>1",
            })
        );
    }
}
