//! `error_pages` of a route or a listener: the form of answers with an error.

use serde_json::Value;

use crate::config::setting::{
    FileContent, Form, MapKey, Node, Reader, Setting, Shape, Spanned, table, words,
};
use crate::config::value::{Mismatch, StatusSet};

table! {
    /// Form of answers with an error. A client gets what it likes best by its `Accept`: the file, the details as JSON (`application/problem+json`, RFC 9457), or plain text; HTML without a `file` is a small page of the proxy. Calls of gRPC keep their own form.
    pub struct ErrorPage: Default {
        /// The page, of up to 1 MiB: HTML, JSON or plain text by the ending of its name (`.html`, `.json`, `.txt`). Where they stand in it, `{status}`, `{title}`, `{detail}`, `{reason}` and `{request_id}` are filled in; other braces stay. A client that likes all kinds alike gets the file. Watched: a change causes a reload.
        pub file: Option<Spanned<FileContent>> = None,
        /// Answers that get it: `"proxy"` for those that the proxy makes itself; `"all"` also for those of endpoints, whose body is then dropped.
        pub of: PagesOf = PagesOf::Proxy,
    }
}

words! {
    /// Answers that get a page.
    pub enum PagesOf {
        /// Those that the proxy makes itself.
        Proxy = "proxy",
        /// All.
        All = "all",
    }
}

/// The pages by status; `false` for a status keeps the short text.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ErrorPages(pub Vec<(StatusKey, Option<ErrorPage>)>);

impl ErrorPages {
    /// Returns the pages, those for the fewest statuses first: they win.
    pub fn by_rank(&self) -> Vec<&(StatusKey, Option<ErrorPage>)> {
        let mut pages: Vec<_> = self.0.iter().collect();
        pages.sort_by_key(|(key, _)| key.statuses.count());
        pages
    }
}

impl Setting for ErrorPages {
    fn shape() -> Shape {
        let shape = Vec::<(StatusKey, Option<ErrorPage>)>::shape();
        let example = "{ \"502-504\" = { file = \"sorry.html\" } }".into();
        Shape { example, ..shape }
    }

    fn form() -> Form {
        Vec::<(StatusKey, Option<ErrorPage>)>::form().or(Form::Off)
    }

    fn read(node: &Node<'_>, reader: &mut Reader<'_>) -> Option<Self> {
        if node.boolean() == Some(false) {
            return Some(Self::default());
        }
        Setting::read(node, reader).map(Self)
    }

    fn print(&self) -> Value {
        let printed = self.0.iter().map(|(key, page)| {
            let page = page.as_ref().map_or(Value::Bool(false), Setting::print);
            (key.text.to_string(), page)
        });
        Value::Object(printed.collect())
    }
}

/// Statuses as the key of a page: `"404"`, `"502-504"`, `"5xx"`, or several of these with commas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusKey {
    text: Box<str>,
    /// The statuses.
    pub statuses: StatusSet,
}

impl MapKey for StatusKey {
    const KIND: &'static str = "status";

    fn parse_key(text: &str) -> Result<Self, Mismatch> {
        let sets = text.split(',').map(|part| StatusSet::parse(part.trim()));
        let statuses = StatusSet::union(sets.collect::<Result<Vec<_>, _>>()?);
        let is_error = |range: &std::ops::RangeInclusive<u16>| *range.start() >= 400;
        if !statuses.ranges().iter().all(is_error) {
            let message = format!("\"{text}\" is not an error");
            let expected = "from 400 to 599, such as \"404\", \"502-504\" or \"5xx\"";
            return Err(Mismatch::new(message, expected));
        }
        Ok(Self {
            text: text.into(),
            statuses,
        })
    }

    fn key_text(&self) -> &str {
        &self.text
    }
}
