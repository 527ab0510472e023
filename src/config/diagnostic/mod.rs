//! Faults of a configuration file, with their places.
//!
//! A [`Fault`] carries the message, its place and how to mend it; [`Faults`] is all of
//! them for one file, with the text, so that each can be shown under its own line. The
//! rendered form is for people (and is tested text), the JSON form for programs.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};

use super::setting::{Hidden, Span};
use crate::file::Lines;
use crate::tls::Stamps;

/// Severity of a [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file works, but probably not as intended.
    Warning,
}

/// One fault of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Error (the file is refused) or warning.
    pub severity: Severity,
    /// The fault in one line.
    pub message: String,
    /// The allowed values or the remedy; shown beside the marked text. May be empty.
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

    /// Masks hidden texts in the message and hint.
    pub(super) fn mask(&mut self, hidden: &Hidden) {
        let remark = self.related.as_mut().map(|(_, remark)| remark);
        for text in [&mut self.message, &mut self.hint]
            .into_iter()
            .chain(remark)
        {
            if let Cow::Owned(masked) = hidden.mask_text(text) {
                *text = masked;
            }
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
    lines: Lines,
    list: Vec<Fault>,
    /// Names and first bytes of the parts that are not in the file, in their order.
    parts: Arc<Vec<(PathBuf, usize)>>,
    /// Files that values were read from, or should have been.
    named_files: BTreeMap<PathBuf, Stamps>,
}

impl Faults {
    /// Collects the faults of `file`, whose content is `text`, in the order of the text.
    pub fn new(file: &Path, text: Arc<str>, mut list: Vec<Fault>) -> Self {
        list.sort_by_key(|fault| fault.span.map(|span| span.start));
        Self {
            file: file.to_owned(),
            lines: Lines::of(&text),
            text,
            list,
            parts: Arc::default(),
            named_files: BTreeMap::new(),
        }
    }

    /// Notes that the text from these bytes on is in other parts, with names and lines of their own.
    #[must_use]
    pub(super) fn with_parts(mut self, parts: Vec<(PathBuf, usize)>) -> Self {
        self.parts = Arc::new(parts);
        self
    }

    /// Returns the name of the part that a position is in, and the number of lines before it.
    fn part(&self, at: usize) -> (&Path, usize) {
        match self.parts.iter().rfind(|(_, border)| at >= *border) {
            Some((name, border)) => {
                let (line, _) = self.lines.position(&self.text, *border);
                (name, line - 1)
            }
            None => (&self.file, 0),
        }
    }

    /// Adds which files values were read from, and how they looked then.
    #[must_use]
    pub(super) fn with_named_files(mut self, files: BTreeMap<PathBuf, Stamps>) -> Self {
        self.named_files = files;
        self
    }

    /// Gives the files that values were read from, or should have been.
    pub fn named_files(&self) -> &BTreeMap<PathBuf, Stamps> {
        &self.named_files
    }

    /// Collects further faults of the same file; masked text stays masked.
    #[must_use]
    pub fn with_list(&self, list: Vec<Fault>) -> Self {
        let parts = Arc::clone(&self.parts);
        Self {
            parts,
            ..Self::new(&self.file, Arc::clone(&self.text), list)
        }
    }

    /// Gives the faults in the order of the file.
    pub fn list(&self) -> &[Fault] {
        &self.list
    }

    /// Tells whether there are no faults.
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
        fault.span.map(|span| {
            let (line, column) = self.lines.position(&self.text, span.start);
            (line - self.part(span.start).1, column)
        })
    }

    /// Returns the second place of a fault, if it is in the same part.
    fn related<'f>(&self, fault: &'f Fault) -> Option<&'f (Span, String)> {
        let related = fault.related.as_ref()?;
        let file = self.part(related.0.start).0;
        (file == self.file_of(fault)).then_some(related)
    }

    /// Returns the name of the file, or of the other part.
    fn file_of(&self, fault: &Fault) -> &Path {
        fault
            .span
            .map_or(&self.file, |span| self.part(span.start).0)
    }

    /// Gives the faults as programs see them.
    pub fn views(&self) -> impl Iterator<Item = FaultView> {
        self.list.iter().map(|fault| {
            let position = self.position(fault);
            FaultView {
                severity: fault.severity,
                message: fault.message.clone(),
                file: self.file_of(fault).display().to_string(),
                line: position.map(|(line, _)| line),
                column: position.map(|(_, column)| column),
                hint: fault.hint.clone(),
            }
        })
    }

    /// Renders the errors alone, plainly: the reasons for which a configuration is refused.
    pub fn errors_text(&self) -> String {
        let errors = self.list.iter();
        let errors = errors.filter(|fault| fault.severity == Severity::Error);
        self.rendered(&errors.collect::<Vec<_>>(), false)
    }

    /// Renders all faults for a terminal that shows colours, or plainly.
    pub fn render(&self, coloured: bool) -> String {
        self.rendered(&self.list.iter().collect::<Vec<_>>(), coloured)
    }

    fn rendered(&self, list: &[&Fault], coloured: bool) -> String {
        let renderer = if coloured {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let renderer = renderer.decor_style(DecorStyle::Ascii);
        let blocks: Vec<String> = list
            .iter()
            .take(RENDERED_MAX)
            .map(|fault| self.render_one(&renderer, fault))
            .collect();
        let mut text = blocks.join("\n\n");
        if let Some(more) = list.len().checked_sub(RENDERED_MAX + 1) {
            text.push_str(&format!("\n\n… and {} more", more + 1));
        }
        text
    }

    /// Gives each fault in one line, as a log has it: place, message, hint.
    pub fn lines(&self) -> Vec<String> {
        self.lines_of(&[Severity::Error, Severity::Warning])
    }

    /// Gives each fault of these severities in one line, as a log has it.
    pub fn lines_of(&self, severities: &[Severity]) -> Vec<String> {
        let list = self.list.iter();
        let mut list = list.filter(|fault| severities.contains(&fault.severity));
        let shown = list.by_ref().take(RENDERED_MAX);
        let mut lines: Vec<String> = shown.map(|fault| self.line(fault)).collect();
        if let more @ 1.. = list.count() {
            lines.push(format!("... and {more} more"));
        }
        lines
    }

    fn line(&self, fault: &Fault) -> String {
        let mut line = self.file_of(fault).display().to_string();
        if let Some((row, column)) = self.position(fault) {
            line.push_str(&format!(":{row}:{column}"));
        }
        line.push_str(&format!(": {}: {}", fault.severity.word(), fault.message));
        if !fault.hint.is_empty() {
            line.push_str(&format!(" ({})", fault.hint));
        }
        line
    }

    fn render_one(&self, renderer: &Renderer, fault: &Fault) -> String {
        let level = match fault.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let Some(span) = fault.span else {
            return format!(
                "{}: {}: {}",
                fault.severity.word(),
                self.file.display(),
                fault.message
            );
        };
        let window = self.window(fault, span);
        let place = |span: Span| {
            let clipped = self.clip(span);
            clipped.start - window.start..clipped.end - window.start
        };
        let mut main = AnnotationKind::Primary.span(place(span));
        if !fault.hint.is_empty() {
            main = main.label(&*fault.hint);
        }
        let (line_start, _) = self.lines.position(&self.text, window.start);
        let mut snippet = Snippet::source(&self.text[window.clone()])
            .line_start(line_start - self.part(window.start).1)
            .path(self.part(window.start).0.display().to_string())
            .annotation(main);
        if let Some((span, remark)) = self.related(fault) {
            let second = AnnotationKind::Context.span(place(*span));
            snippet = snippet.annotation(second.label(&**remark));
        }
        renderer.render(&[level.primary_title(&*fault.message).element(snippet)])
    }

    /// Returns the lines that a fault is about, so that a long file with many faults is not scanned
    /// once per fault.
    fn window(&self, fault: &Fault, span: Span) -> Range<usize> {
        let main = self.clip(span);
        let other = self.related(fault).map(|(span, _)| self.clip(*span));
        let other = other.unwrap_or_else(|| main.clone());
        let (first, last) = (main.start.min(other.start), main.end.max(other.end));
        let start = self.lines.start(first);
        let end = self.text[last..].find('\n');
        start..end.map_or(self.text.len(), |length| last + length)
    }

    /// Keeps a span inside the text and, for legibility, inside its first line.
    fn clip(&self, span: Span) -> Range<usize> {
        let start = self.text.floor_char_boundary(span.start);
        let end = self.text.floor_char_boundary(span.end).max(start);
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
        serializer.collect_seq(self.views())
    }
}

/// A fault as programs see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FaultView {
    /// Error (the file is refused) or warning.
    pub severity: Severity,
    /// The fault in one line.
    pub message: String,
    /// The file it is in.
    pub file: String,
    /// Its line, from 1; none if it has no place.
    pub line: Option<usize>,
    /// Its column in characters, from 1.
    pub column: Option<usize>,
    /// The remedy. May be empty.
    pub hint: String,
}

impl Severity {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// Maximum number of faults rendered; a file with more is probably not a configuration.
const RENDERED_MAX: usize = 200;

#[cfg(test)]
mod tests;
