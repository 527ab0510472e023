//! Snippets and files, put in the place of `import`.

use std::{collections::HashMap, path::Path};

use super::syntax::{Line, parse};
use crate::import::{ImportError, files::Files};

/// Reads a Caddyfile with what it imports.
pub(super) struct Reader {
    files: Files,
    snippets: HashMap<String, Vec<Line>>,
    /// Bytes of all lines that snippets were expanded to.
    expanded: usize,
}

impl Reader {
    pub(super) fn of(path: &Path) -> Self {
        Self {
            files: Files::of(path),
            snippets: HashMap::new(),
            expanded: 0,
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// The file that cannot be read, or the bound that is exceeded.
    pub(super) fn read(&mut self, path: &Path) -> Result<Vec<Line>, ImportError> {
        self.read_at(path, 0)
    }

    fn read_at(&mut self, path: &Path, depth: usize) -> Result<Vec<Line>, ImportError> {
        let read = self.files.read(path, depth)?;
        self.imported(parse(&read.text, &read.name)?, depth)
    }

    fn imported(&mut self, lines: Vec<Line>, depth: usize) -> Result<Vec<Line>, ImportError> {
        let mut all = Vec::new();
        for mut line in lines {
            let block = std::mem::take(&mut line.block);
            line.block = self.imported(block, depth)?;
            if let Some(name) = line.name().strip_prefix('(') {
                let name = name.trim_end_matches(')').to_owned();
                self.snippets.insert(name, line.block);
                continue;
            }
            if line.name() != "import" {
                all.push(line);
                continue;
            }
            let [what, ..] = line.args()[..] else {
                all.push(line);
                continue;
            };
            if let Some(snippet) = self.snippets.get(what) {
                let mut filling = Filling {
                    args: &line.args()[1..],
                    bytes: self.expanded,
                };
                all.extend(filling.lines(snippet, &line)?);
                self.expanded = filling.bytes;
                continue;
            }
            let paths = self.files.matching(what, "/etc/caddy/");
            if paths.is_empty() {
                // Told where it stands.
                all.push(line);
                continue;
            }
            for path in paths {
                all.extend(self.read_at(&path, depth + 1)?);
            }
        }
        Ok(all)
    }
}

/// A snippet that is filled with arguments.
struct Filling<'a> {
    args: &'a [&'a str],
    bytes: usize,
}

impl Filling<'_> {
    fn lines(&mut self, lines: &[Line], from: &Line) -> Result<Vec<Line>, ImportError> {
        let mut filled = Vec::with_capacity(lines.len());
        for line in lines {
            let mut words = Vec::with_capacity(line.words.len());
            for word in &line.words {
                words.extend(self.word(word));
            }
            let own: usize = words.iter().map(|it| it.len() + LINE_BYTES).sum();
            self.bytes += own + LINE_BYTES;
            if self.bytes > EXPANDED_MAX {
                return Err(ImportError::TooMuch(format!(
                    "{}: snippets grow to more than {} MiB; do they import one another many times?",
                    from.source.place,
                    EXPANDED_MAX >> 20
                )));
            }
            filled.push(Line {
                words,
                block: self.lines(&line.block, from)?,
                source: line.source.clone(),
            });
        }
        Ok(filled)
    }

    /// Fills the arguments of a word, which may become several.
    fn word(&self, word: &str) -> Vec<String> {
        if matches!(word, "{args[:]}" | "{args[0:]}" | "{args.*}") {
            return self.args.iter().map(|it| (*it).to_owned()).collect();
        }
        if !word.contains("{args") {
            return vec![word.to_owned()];
        }
        let mut word = word.to_owned();
        for (at, arg) in self.args.iter().enumerate() {
            word = word.replace(&format!("{{args[{at}]}}"), arg);
            word = word.replace(&format!("{{args.{at}}}"), arg);
        }
        vec![word]
    }
}

/// Bytes that all snippets of a file may become.
const EXPANDED_MAX: usize = 16 << 20;
/// Bytes of a line or a word beside its text.
const LINE_BYTES: usize = 64;

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn read(text: &str) -> Result<Vec<Line>, ImportError> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("Caddyfile");
        fs::write(&path, text).unwrap();
        Reader::of(&path).read(&path)
    }

    #[test]
    fn snippets_are_filled_with_their_arguments() {
        let lines = read("(a) {\n header {args[0]} {args[1]}\n allow {args[:]}\n}\nimport a x y\n");
        let lines = lines.unwrap();
        let words: Vec<String> = lines.iter().map(|it| it.words.join(" ")).collect();
        assert_eq!(words, ["header x y", "allow x y"]);
    }

    #[test]
    fn snippets_that_double_each_time_are_refused() {
        let mut lines = "(a0) {\n header A b\n}\n".to_owned();
        let mut words = "(a0) {\n header A {args[0]}\n}\n".to_owned();
        for at in 1..40 {
            let last = at - 1;
            lines += &format!("(a{at}) {{\n import a{last}\n import a{last}\n}}\n");
            words += &format!("(a{at}) {{\n import a{last} {{args[0]}}{{args[0]}}\n}}\n");
        }
        for text in [lines, words] {
            let error = read(&format!("{text}import a39 x\n")).unwrap_err();
            assert!(matches!(&error, ImportError::TooMuch(_)), "{error}");
        }
    }
}
