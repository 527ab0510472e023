//! What is wrong with a configuration file, and where.
//!
//! A [`Fault`] carries the message, its place and how to mend it; [`Faults`] is all of
//! them for one file, with the text, so that each can be shown under its own line. The
//! rendered form is for people (and is tested text), the JSON form for programs.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};

use super::setting::Span;

/// How much a [`Fault`] weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file works, but probably not as meant.
    Warning,
}

/// One thing that is wrong in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Whether the file is refused for it.
    pub severity: Severity,
    /// What is wrong, in one line.
    pub message: String,
    /// What is allowed or how to mend it; stands beside the marked text. May be empty.
    pub hint: String,
    /// The text it is about; `None` when it concerns the file as a whole.
    pub span: Option<Span>,
    /// A second place that explains the first, with its own remark.
    pub related: Option<(Span, String)>,
}

impl Fault {
    /// Makes an error about the text at `span`.
    pub fn error(span: Span, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            hint: hint.into(),
            span: Some(span),
            related: None,
        }
    }

    /// Makes a warning about the text at `span`.
    pub fn warning(span: Span, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(span, message, hint)
        }
    }

    /// Makes an error about the file as a whole.
    pub fn of_file(message: impl Into<String>) -> Self {
        Self {
            span: None,
            ..Self::error(Span::default(), message, "")
        }
    }

    /// Adds a second place, such as where a name was first used.
    #[must_use]
    pub fn with_related(mut self, span: Span, remark: impl Into<String>) -> Self {
        self.related = Some((span, remark.into()));
        self
    }
}

/// All faults of one file.
#[derive(Debug, Clone)]
pub struct Faults {
    file: PathBuf,
    text: Arc<str>,
    list: Vec<Fault>,
}

impl Faults {
    /// Collects the faults of `file`, whose content is `text`, in the order of the text.
    pub fn new(file: &Path, text: Arc<str>, mut list: Vec<Fault>) -> Self {
        list.sort_by_key(|fault| fault.span.map(|span| span.start));
        Self {
            file: file.to_owned(),
            text,
            list,
        }
    }

    /// Gives the faults in the order of the file.
    pub fn list(&self) -> &[Fault] {
        &self.list
    }

    /// Tells whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Counts the faults that refuse the file.
    pub fn errors(&self) -> usize {
        let is_error = |fault: &&Fault| fault.severity == Severity::Error;
        self.list.iter().filter(is_error).count()
    }

    /// Gives line and column of `fault`, both from 1, columns in characters.
    pub fn position(&self, fault: &Fault) -> Option<(usize, usize)> {
        fault.span.map(|span| position(&self.text, span.start))
    }

    /// Renders all faults for a terminal that shows colours, or plainly.
    pub fn render(&self, coloured: bool) -> String {
        let renderer = if coloured {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let blocks: Vec<String> = self
            .list
            .iter()
            .map(|fault| self.render_one(&renderer, fault))
            .collect();
        blocks.join("\n\n")
    }

    fn render_one(&self, renderer: &Renderer, fault: &Fault) -> String {
        let level = match fault.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let Some(span) = fault.span else {
            return format!(
                "{}: {}: {}",
                severity_word(fault),
                self.file.display(),
                fault.message
            );
        };
        let main = AnnotationKind::Primary.span(self.clip(span));
        let main = if fault.hint.is_empty() {
            main
        } else {
            main.label(&*fault.hint)
        };
        let mut snippet = Snippet::source(&*self.text)
            .path(self.file.display().to_string())
            .annotation(main);
        if let Some((span, remark)) = &fault.related {
            let second = AnnotationKind::Context.span(self.clip(*span));
            snippet = snippet.annotation(second.label(&**remark));
        }
        renderer.render(&[level.primary_title(&*fault.message).element(snippet)])
    }

    /// Keeps a span inside the text and, for legibility, inside its first line.
    fn clip(&self, span: Span) -> std::ops::Range<usize> {
        let start = floor_boundary(&self.text, span.start.min(self.text.len()));
        let end = floor_boundary(&self.text, span.end.min(self.text.len())).max(start);
        let line_end = self.text[start..end]
            .find('\n')
            .map_or(end, |length| start + length);
        start..line_end
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl std::error::Error for Faults {}

impl Serialize for Faults {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.list.len()))?;
        for fault in &self.list {
            let position = self.position(fault);
            seq.serialize_element(&Row {
                severity: fault.severity,
                message: &fault.message,
                file: self.file.display().to_string(),
                line: position.map(|(line, _)| line),
                column: position.map(|(_, column)| column),
                hint: &fault.hint,
            })?;
        }
        seq.end()
    }
}

/// A fault as programs see it.
#[derive(Serialize)]
struct Row<'a> {
    severity: Severity,
    message: &'a str,
    file: String,
    line: Option<usize>,
    column: Option<usize>,
    hint: &'a str,
}

fn severity_word(fault: &Fault) -> &'static str {
    match fault.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = &text[..floor_boundary(text, offset.min(text.len()))];
    let line_start = before.rfind('\n').map_or(0, |index| index + 1);
    let line = before.matches('\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

fn floor_boundary(text: &str, mut offset: usize) -> usize {
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str, fault: Fault) -> Faults {
        Faults::new(Path::new("proxy.toml"), text.into(), vec![fault])
    }

    #[test]
    fn the_line_is_shown_with_a_mark_and_the_hint() {
        let text = "[routes.a]\npool = \"cart\"\n";
        let fault = Fault::error(Span::new(18, 24), "no such pool", "defined: \"card\"");
        let shown = one(text, fault).to_string();
        let expected = "error: no such pool\n --> proxy.toml:2:8\n  |\n\
                        2 | pool = \"cart\"\n  |        ^^^^^^ defined: \"card\"";
        assert_eq!(shown, expected);
    }

    #[test]
    fn columns_count_characters_and_spans_never_leave_the_text() {
        let text = "ü = 1";
        assert_eq!(position(text, 3), (1, 3));
        assert_eq!(position(text, 1), (1, 1));
        let shown = one(text, Fault::error(Span::new(90, 99), "m", "")).to_string();
        assert!(shown.contains("proxy.toml:1"), "{shown}");
    }

    #[test]
    fn programs_get_line_and_column() {
        let faults = one("a\nb", Fault::error(Span::new(2, 3), "m", "h"));
        let json = serde_json::to_value(&faults).unwrap();
        assert_eq!(json[0]["line"], 2);
        assert_eq!(json[0]["column"], 1);
        assert_eq!(json[0]["hint"], "h");
        assert_eq!(json[0]["severity"], "error");
    }
}
