//! The syntax of nginx: words, blocks and comments, read into a tree of directives.

use std::rc::Rc;

use crate::{
    file::Lines,
    import::{ImportError, document::Source},
};

/// A directive: a name, words, and perhaps a block of directives.
#[derive(Clone, Debug)]
pub(super) struct Directive {
    pub(super) name: String,
    pub(super) args: Vec<String>,
    pub(super) block: Option<Vec<Self>>,
    pub(super) source: Source,
    /// True if a word has the value of a variable that `set` gives it.
    pub(super) is_filled: bool,
}

impl Directive {
    /// The words behind the name.
    pub(super) fn words(&self) -> Vec<&str> {
        self.args.iter().map(String::as_str).collect()
    }

    /// The first word; empty if there is none.
    pub(super) fn first(&self) -> &str {
        self.args.first().map_or("", String::as_str)
    }

    /// The directives of its block.
    pub(super) fn inner(&self) -> &[Self] {
        self.block.as_deref().unwrap_or_default()
    }

    pub(super) fn is_on(&self) -> bool {
        self.first() == "on"
    }
}

/// A word, a sign, or the end.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Semicolon,
    Open,
    Close,
    End,
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
pub(super) fn parse(text: &str, file: &Rc<str>) -> Result<Vec<Directive>, ImportError> {
    let mut reader = Reader {
        text,
        lines: Lines::of(text),
        at: 0,
        file,
        depth: 0,
    };
    reader.directives(true)
}

impl Reader<'_> {
    fn directives(&mut self, is_file: bool) -> Result<Vec<Directive>, ImportError> {
        let mut all = Vec::new();
        loop {
            self.skip_blanks();
            let start = self.at;
            match self.token()? {
                Token::End if is_file => return Ok(all),
                Token::Close if !is_file => return Ok(all),
                Token::End => {
                    return Err(
                        self.fault(start, "the file ends inside of a block; a \"}\" is missing")
                    );
                }
                Token::Close => return Err(self.fault(start, "a \"}\" without its \"{\"")),
                Token::Semicolon => return Err(self.fault(start, "a \";\" without a directive")),
                Token::Open => return Err(self.fault(start, "a \"{\" without a directive")),
                Token::Word(name) => all.push(self.directive(name, start)?),
            }
        }
    }

    fn directive(&mut self, name: String, start: usize) -> Result<Directive, ImportError> {
        let mut args = Vec::new();
        loop {
            self.skip_blanks();
            let before = self.at;
            let is_end = match self.token()? {
                Token::Word(word) => {
                    args.push(word);
                    continue;
                }
                Token::Semicolon => true,
                Token::Open => false,
                Token::Close | Token::End => {
                    let message = format!("\"{name}\" does not end with \";\" or a block");
                    return Err(self.fault(start, &message));
                }
            };
            let written = self.text[start..before].split_whitespace();
            let mut text: String = written.collect::<Vec<_>>().join(" ");
            text.push_str(if is_end { ";" } else { " {" });
            if let Some((end, _)) = text.char_indices().nth(SHOWN_MAX) {
                text.truncate(end);
                text.push('…');
            }
            let source = Source {
                place: format!("{}:{}", self.file, self.line(start)),
                text,
            };
            let block = if is_end {
                None
            } else if name.ends_with("_by_lua_block") {
                self.skip_block(start)?;
                Some(Vec::new())
            } else {
                self.depth += 1;
                if self.depth > DEPTH_MAX {
                    return Err(self.fault(start, "the blocks are nested too deeply"));
                }
                let block = self.directives(false)?;
                self.depth -= 1;
                Some(block)
            };
            return Ok(Directive {
                name,
                args,
                block,
                source,
                is_filled: false,
            });
        }
    }

    /// Passes over blanks and comments.
    fn skip_blanks(&mut self) {
        loop {
            let rest = &self.text[self.at..];
            self.at += rest.len() - rest.trim_start().len();
            if !self.text[self.at..].starts_with('#') {
                return;
            }
            let rest = &self.text[self.at..];
            self.at += rest.find('\n').unwrap_or(rest.len());
        }
    }

    fn token(&mut self) -> Result<Token, ImportError> {
        let start = self.at;
        let mut letters = self.text[start..].char_indices();
        let Some((_, first)) = letters.next() else {
            return Ok(Token::End);
        };
        let sign = match first {
            ';' => Some(Token::Semicolon),
            '{' => Some(Token::Open),
            '}' => Some(Token::Close),
            _ => None,
        };
        if let Some(sign) = sign {
            self.at += 1;
            return Ok(sign);
        }
        if first == '"' || first == '\'' {
            let mut escaped = false;
            for (at, letter) in letters {
                match letter {
                    _ if escaped => escaped = false,
                    '\\' => escaped = true,
                    letter if letter == first => {
                        self.at = start + at + 1;
                        return Ok(Token::Word(unescaped(&self.text[start + 1..start + at])));
                    }
                    _ => {}
                }
            }
            return Err(self.fault(start, "a quote that does not end"));
        }
        let mut escaped = first == '\\';
        let mut before = first;
        let mut is_variable = false;
        let mut end = self.text.len();
        for (at, letter) in letters {
            if escaped {
                escaped = false;
            } else if letter == '\\' {
                escaped = true;
            } else if letter == '{' && before == '$' {
                is_variable = true;
            } else if letter == '}' && is_variable {
                is_variable = false;
            } else if letter.is_whitespace() || letter == ';' || letter == '{' {
                end = start + at;
                break;
            }
            before = letter;
        }
        self.at = end;
        Ok(Token::Word(unescaped(&self.text[start..end])))
    }

    /// Passes over a block in another language.
    fn skip_block(&mut self, start: usize) -> Result<(), ImportError> {
        let mut depth = 1_usize;
        for (at, letter) in self.text[self.at..].char_indices() {
            match letter {
                '{' => depth += 1,
                '}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                self.at += at + 1;
                return Ok(());
            }
        }
        Err(self.fault(start, "the file ends inside of a block; a \"}\" is missing"))
    }

    fn line(&self, at: usize) -> usize {
        self.lines.line(at) + 1
    }

    fn fault(&self, at: usize, message: &str) -> ImportError {
        ImportError::Malformed {
            file: self.file.to_string(),
            line: self.line(at),
            message: message.to_owned(),
        }
    }
}

/// Resolves the escapes that nginx knows; others stay as they are written.
fn unescaped(written: &str) -> String {
    let mut text = String::with_capacity(written.len());
    let mut letters = written.chars().peekable();
    while let Some(letter) = letters.next() {
        let known = match letters.peek() {
            Some(next) if letter == '\\' => match next {
                '"' | '\'' | '\\' => Some(*next),
                't' => Some('\t'),
                'r' => Some('\r'),
                'n' => Some('\n'),
                _ => None,
            },
            _ => None,
        };
        if known.is_some() {
            letters.next();
        }
        text.push(known.unwrap_or(letter));
    }
    text
}

/// Letters of a directive that its comment shows.
const SHOWN_MAX: usize = 160;
/// Blocks in blocks.
const DEPTH_MAX: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(text: &str) -> Result<String, String> {
        fn shown(all: &[Directive]) -> String {
            let one = |it: &Directive| {
                let block = it.block.as_ref().map(|it| format!("{{{}}}", shown(it)));
                format!("{}{:?}{}", it.name, it.args, block.unwrap_or_default())
            };
            all.iter().map(one).collect()
        }
        let parsed = parse(text, &"a.conf".into()).map_err(|it| it.to_string())?;
        Ok(shown(&parsed))
    }

    #[test]
    fn words_blocks_quotes_variables_and_comments_are_read() {
        for (text, wanted) in [
            ("a;", "a[]"),
            ("a b  c;# d\ne { f g; }", r#"a["b", "c"]e[]{f["g"]}"#),
            (
                r#"a "b \" c" 'd;e' f\.g;"#,
                r#"a["b \" c", "d;e", "f\\.g"]"#,
            ),
            (r"a ${b}c $d{ e; }", r#"a["${b}c", "$d"]{e[]}"#),
            (
                r"location ~ \.(js|css)$ { a; }",
                r#"location["~", "\\.(js|css)$"]{a[]}"#,
            ),
            (
                "x_by_lua_block { if a then {b} end; } c;",
                "x_by_lua_block[]{}c[]",
            ),
        ] {
            assert_eq!(tree(text).as_deref(), Ok(wanted), "{text}");
        }
    }

    #[test]
    fn a_fault_has_its_line() {
        for (text, wanted) in [
            (
                "a;\nb",
                "a.conf:2: \"b\" does not end with \";\" or a block",
            ),
            (
                "a {\nb;",
                "a.conf:2: the file ends inside of a block; a \"}\" is missing",
            ),
            ("a;\n\n}", "a.conf:3: a \"}\" without its \"{\""),
            ("a \"b", "a.conf:1: a quote that does not end"),
        ] {
            assert_eq!(tree(text), Err(wanted.to_owned()), "{text}");
        }
        let deep = "a {".repeat(100);
        assert!(tree(&deep).unwrap_err().ends_with("too deeply"));
    }

    #[test]
    fn a_directive_keeps_its_line_and_text() {
        let parsed = parse("\n a\n  b \"c d\";", &"a.conf".into()).unwrap();
        assert_eq!(parsed[0].source.place, "a.conf:2");
        assert_eq!(parsed[0].source.text, "a b \"c d\";");
    }
}
