//! The syntax of a Caddyfile: lines of words, blocks, snippets, matchers.

use std::rc::Rc;

use crate::{
    file::Lines,
    import::{ImportError, document::Source, text::variable},
};

/// A line: words, and perhaps a block of lines.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) words: Vec<String>,
    pub(super) block: Vec<Self>,
    pub(super) source: Source,
}

impl Line {
    pub(super) fn name(&self) -> &str {
        self.words.first().map_or("", String::as_str)
    }

    /// The words behind the name.
    pub(super) fn args(&self) -> Vec<&str> {
        self.words.iter().skip(1).map(String::as_str).collect()
    }
}

struct Reader<'t> {
    text: &'t str,
    lines: Lines,
    at: usize,
    file: &'t Rc<str>,
    depth: usize,
}

/// Reads a file.
///
/// # Errors
/// The line that is not in the syntax.
pub(super) fn parse(text: &str, file: &Rc<str>) -> Result<Vec<Line>, ImportError> {
    let mut reader = Reader {
        text,
        lines: Lines::of(text),
        at: 0,
        file,
        depth: 0,
    };
    reader.lines(true)
}

impl Reader<'_> {
    fn lines(&mut self, is_file: bool) -> Result<Vec<Line>, ImportError> {
        let mut all = Vec::new();
        loop {
            self.skip_blanks(true);
            let start = self.at;
            let rest = &self.text[start..];
            if rest.is_empty() {
                return match is_file {
                    true => Ok(all),
                    false => {
                        Err(self
                            .fault(start, "the file ends inside of a block; a \"}\" is missing"))
                    }
                };
            }
            if rest.starts_with('}') && self.is_alone(1) {
                self.at += 1;
                return match is_file {
                    false => Ok(all),
                    true => Err(self.fault(start, "a \"}\" without its \"{\"")),
                };
            }
            all.push(self.line()?);
        }
    }

    fn line(&mut self) -> Result<Line, ImportError> {
        let start = self.at;
        let mut words = Vec::new();
        let mut is_block = false;
        loop {
            self.skip_blanks(false);
            let rest = &self.text[self.at..];
            if rest.is_empty() || rest.starts_with('\n') {
                break;
            }
            if rest.starts_with('{') && self.is_alone(1) {
                self.at += 1;
                is_block = true;
                break;
            }
            if rest.starts_with('}') && self.is_alone(1) {
                break;
            }
            let word = self.word()?;
            // Addresses of a site go on behind a comma.
            let goes_on = word.ends_with(',');
            words.push(word);
            if goes_on {
                self.skip_blanks(true);
            }
        }
        let written = self.text[start..self.at].split_whitespace();
        let text = match &words[..] {
            // A token may stand behind the provider.
            [name, provider, _, ..] if matches!(&**name, "dns" | "acme_dns") => {
                format!("{name} {provider} ***")
            }
            _ => written.collect::<Vec<_>>().join(" "),
        };
        let line = self.lines.line(start) + 1;
        let source = Source {
            place: format!("{}:{line}", self.file),
            text: text.chars().take(SHOWN_MAX).collect(),
        };
        let block = if is_block {
            self.depth += 1;
            if self.depth > DEPTH_MAX {
                return Err(self.fault(start, "the blocks are nested too deeply"));
            }
            let block = self.lines(false)?;
            self.depth -= 1;
            block
        } else {
            Vec::new()
        };
        Ok(Line {
            words,
            block,
            source,
        })
    }

    fn word(&mut self) -> Result<String, ImportError> {
        let start = self.at;
        let rest = &self.text[start..];
        for quote in ['"', '`'] {
            let Some(inner) = rest.strip_prefix(quote) else {
                continue;
            };
            let mut word = String::new();
            let mut escaped = false;
            for (at, letter) in inner.char_indices() {
                if escaped {
                    if letter != quote {
                        word.push('\\');
                    }
                    word.push(letter);
                    escaped = false;
                } else if letter == '\\' && quote == '"' {
                    escaped = true;
                } else if letter == quote {
                    self.at = start + 2 + at;
                    return Ok(settled(word));
                } else {
                    word.push(letter);
                }
            }
            return Err(self.fault(start, "a quote that does not end"));
        }
        let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
        self.at += end;
        Ok(settled(rest[..end].to_owned()))
    }

    /// Passes over blanks, continued lines and comments; over ends of lines if `ends`.
    fn skip_blanks(&mut self, ends: bool) {
        loop {
            let rest = &self.text[self.at..];
            let is_blank = |it: char| it.is_whitespace() && (ends || it != '\n');
            self.at += rest.len() - rest.trim_start_matches(is_blank).len();
            let rest = &self.text[self.at..];
            if rest.starts_with("\\\n") {
                self.at += 2;
            } else if rest.starts_with('#') {
                self.at += rest.find('\n').unwrap_or(rest.len());
            } else {
                return;
            }
        }
    }

    /// Returns true if a blank follows so many bytes.
    fn is_alone(&self, bytes: usize) -> bool {
        let next = self.text[self.at + bytes..].chars().next();
        next.is_none_or(char::is_whitespace)
    }

    fn fault(&self, at: usize, message: &str) -> ImportError {
        ImportError::Malformed {
            file: self.file.to_string(),
            line: self.lines.line(at) + 1,
            message: message.to_owned(),
        }
    }
}

/// Puts the defaults of variables such as `{$PORT:8080}` into a word. A word that is a variable
/// stays: its value is read when the proxy starts.
fn settled(word: String) -> String {
    if variable(&word).is_some() {
        return word;
    }
    let mut settled = String::with_capacity(word.len());
    let mut rest = &*word;
    while let Some(at) = rest.find("{$") {
        let (before, behind) = rest.split_at(at);
        settled.push_str(before);
        let end = behind.find('}').map_or(behind.len(), |end| end + 1);
        let (written, after) = behind.split_at(end);
        match variable(written) {
            Some((_, Some(default))) => settled.push_str(default),
            _ => settled.push_str(written),
        }
        rest = after;
    }
    settled.push_str(rest);
    settled
}

const SHOWN_MAX: usize = 160;
const DEPTH_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_blocks_quotes_and_comments_are_read() {
        fn shown(all: &[Line]) -> String {
            let one = |it: &Line| {
                format!(
                    "{:?}{}",
                    it.words,
                    match it.block.is_empty() {
                        true => String::new(),
                        false => format!("{{{}}}", shown(&it.block)),
                    }
                )
            };
            all.iter().map(one).collect()
        }
        let text = "# c\na.example,\nb.example {\n  respond \"x \\\" y\" 200 # d\n  @m {\n path /a*\n }\n}\n{$X} \\\n y";
        let parsed = parse(text, &"Caddyfile".into()).unwrap();
        assert_eq!(
            shown(&parsed),
            r#"["a.example,", "b.example"]{["respond", "x \" y", "200"]["@m"]{["path", "/a*"]}}["{$X}", "y"]"#
        );
        assert_eq!(parsed[0].source.place, "Caddyfile:2");
        for (text, wanted) in [
            (
                "a {\nb",
                "Caddyfile:2: the file ends inside of a block; a \"}\" is missing",
            ),
            ("a\n}", "Caddyfile:2: a \"}\" without its \"{\""),
            ("a \"b", "Caddyfile:1: a quote that does not end"),
        ] {
            assert_eq!(
                parse(text, &"Caddyfile".into()).unwrap_err().to_string(),
                wanted
            );
        }
    }
}
