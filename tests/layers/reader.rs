//! Reads which modules of the crate a source file imports, from its tokens.
//!
//! `use` trees and paths in code count alike; comments, strings, macros of other crates and what
//! only tests are compiled with do not.

use std::{
    fs,
    path::{Path, PathBuf},
};

use proc_macro2::{Delimiter, Group, TokenStream, TokenTree};

/// One path of the crate that a file names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Import {
    /// The module that names it.
    pub(super) module: Vec<String>,
    /// Path it names, from the root of the crate.
    pub(super) path: Vec<String>,
    /// The file, relative to the folder that was read.
    pub(super) file: PathBuf,
    /// Its line.
    pub(super) line: usize,
}

/// Reads all files below a folder, but those that only tests are compiled with.
pub(super) fn read_folder(folder: &Path) -> Vec<Import> {
    let mut files = Vec::new();
    list(folder, &mut files);
    files.sort();
    let mut imports = Vec::new();
    let mut test_only: Vec<Vec<String>> = Vec::new();
    for path in &files {
        let file = path.strip_prefix(folder).unwrap();
        let module = module_of(file);
        let read = read_file(&fs::read_to_string(path).unwrap(), &module, file);
        imports.extend(read.imports);
        test_only.extend(read.test_modules);
    }
    imports.retain(|import| {
        let mut parents = (0..=import.module.len()).map(|end| &import.module[..end]);
        !parents.any(|parent| test_only.iter().any(|module| module == parent))
    });
    imports
}

/// Content of one file.
#[derive(Debug, Default)]
pub(super) struct Read {
    /// The paths that it names.
    pub(super) imports: Vec<Import>,
    /// Its modules in files of their own that only tests are compiled with.
    pub(super) test_modules: Vec<Vec<String>>,
}

/// Reads one file, as the source of that module.
pub(super) fn read_file(source: &str, module: &[String], file: &Path) -> Read {
    let tokens: TokenStream = source
        .parse()
        .unwrap_or_else(|fault| panic!("{}: {fault}", file.display()));
    let mut walk = Walk {
        file,
        read: Read::default(),
    };
    walk.tokens(tokens, module);
    walk.read
}

struct Walk<'a> {
    file: &'a Path,
    read: Read,
}

impl Walk<'_> {
    fn tokens(&mut self, tokens: TokenStream, module: &[String]) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at = self.step(&tokens, at, module);
        }
    }

    /// Takes what begins at a token, and returns the place behind it.
    fn step(&mut self, tokens: &[TokenTree], at: usize, module: &[String]) -> usize {
        match &tokens[at] {
            TokenTree::Punct(mark) if mark.as_char() == '#' && is_test_only(tokens.get(at + 1)) => {
                self.skip_item(tokens, at + 2, module)
            }
            TokenTree::Group(group) => {
                self.tokens(group.stream(), module);
                at + 1
            }
            // `pub(in crate::x)` is no import.
            TokenTree::Ident(word) if word == "pub" => match tokens.get(at + 1) {
                Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
                    at + 2
                }
                _ => at + 1,
            },
            TokenTree::Ident(word) if word == "mod" => match &tokens[at + 1..] {
                [TokenTree::Ident(name), TokenTree::Group(body), ..] => {
                    let inner = child(module, &name.to_string());
                    self.tokens(body.stream(), &inner);
                    at + 3
                }
                _ => at + 1,
            },
            TokenTree::Ident(word) if word == "use" => {
                let line = word.span().start().line;
                let mut next = at + 1;
                self.tree(tokens, &mut next, &[], line, module);
                next
            }
            TokenTree::Ident(word) if is_anchor(&word.to_string()) => {
                let line = word.span().start().line;
                let mut path = vec![word.to_string()];
                let mut next = at + 1;
                while let Some(name) = segment(tokens, next) {
                    path.push(name);
                    next += 3;
                }
                self.keep(&path, line, module);
                next
            }
            // A path that begins elsewhere: `std::self` and the like do not exist, but
            // `http::x` must not be read from its middle.
            TokenTree::Ident(_) => {
                let mut next = at + 1;
                while segment(tokens, next).is_some() {
                    next += 3;
                }
                next
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => at + 1,
        }
    }

    /// Reads a tree of a `use`, up to the comma or semicolon behind it.
    fn tree(
        &mut self,
        tokens: &[TokenTree],
        at: &mut usize,
        prefix: &[String],
        line: usize,
        module: &[String],
    ) {
        let mut path = prefix.to_vec();
        // `::name` is a crate.
        let mut is_crate =
            matches!(tokens.get(*at), Some(TokenTree::Punct(mark)) if mark.as_char() == ':');
        is_crate &= prefix.is_empty();
        let mut braces = None;
        while let Some(token) = tokens.get(*at) {
            *at += 1;
            match token {
                TokenTree::Ident(word) if word == "as" => *at += 1,
                TokenTree::Ident(word) => path.push(word.to_string()),
                TokenTree::Group(group) => braces = Some(group),
                TokenTree::Punct(mark) if mark.as_char() == '*' => path.push("*".to_owned()),
                TokenTree::Punct(mark) if matches!(mark.as_char(), ',' | ';') => break,
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
        if is_crate {
            return;
        }
        match braces {
            Some(group) => self.branches(group, &path, line, module),
            None if path.first().is_some_and(|word| is_anchor(word)) => {
                self.keep(&path, line, module);
            }
            None => {}
        }
    }

    fn branches(&mut self, group: &Group, path: &[String], line: usize, module: &[String]) {
        let tokens: Vec<TokenTree> = group.stream().into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            let line = if path.len() < 2 {
                tokens[at].span().start().line
            } else {
                line
            };
            self.tree(&tokens, &mut at, path, line, module);
        }
    }

    /// Keeps a path, written from the root of the crate.
    fn keep(&mut self, written: &[String], line: usize, module: &[String]) {
        let mut base = module.to_vec();
        let mut rest = written;
        while let [first, others @ ..] = rest {
            match first.as_str() {
                "crate" => base.clear(),
                "super" => {
                    base.pop();
                }
                "self" => {}
                _ => break,
            }
            rest = others;
        }
        // The word alone is a visibility, or a receiver.
        if rest.is_empty() && written.len() < 2 {
            return;
        }
        base.extend(rest.iter().filter(|word| *word != "self").cloned());
        self.read.imports.push(Import {
            module: module.to_vec(),
            path: base,
            file: self.file.to_owned(),
            line,
        });
    }

    /// Passes over the item behind an attribute, and remembers a module in another file.
    fn skip_item(&mut self, tokens: &[TokenTree], from: usize, module: &[String]) -> usize {
        let mut at = from;
        let mut name = None;
        let mut is_item = false;
        while let Some(token) = tokens.get(at) {
            at += 1;
            match token {
                TokenTree::Ident(word) if word == "mod" => {
                    name = tokens.get(at).map(ToString::to_string);
                    is_item = true;
                }
                TokenTree::Ident(word) => is_item |= ITEMS.iter().any(|item| word == item),
                TokenTree::Punct(mark) if mark.as_char() == ';' => {
                    let names = name.map(|name| child(module, &name));
                    self.read.test_modules.extend(names);
                    return at;
                }
                // A field, a variant or an arm.
                TokenTree::Punct(mark) if mark.as_char() == ',' && !is_item => return at,
                TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => return at,
                _ => {}
            }
        }
        at
    }
}

/// Words behind which a comma does not end what an attribute stands at.
const ITEMS: [&str; 7] = ["fn", "impl", "use", "struct", "enum", "const", "static"];

/// Returns true if the brackets after a `#` say `cfg(test)`.
fn is_test_only(token: Option<&TokenTree>) -> bool {
    let Some(TokenTree::Group(group)) = token else {
        return false;
    };
    let text = group.stream().to_string();
    text.replace(' ', "") == "cfg(test)"
}

/// The name behind the next two colons.
fn segment(tokens: &[TokenTree], at: usize) -> Option<String> {
    match tokens.get(at..at + 3)? {
        [
            TokenTree::Punct(one),
            TokenTree::Punct(two),
            TokenTree::Ident(name),
        ] if one.as_char() == ':' && two.as_char() == ':' => Some(name.to_string()),
        _ => None,
    }
}

fn is_anchor(word: &str) -> bool {
    matches!(word, "crate" | "super" | "self")
}

fn child(module: &[String], name: &str) -> Vec<String> {
    let mut inner = module.to_vec();
    inner.push(name.to_owned());
    inner
}

/// The module that a file is the source of.
fn module_of(file: &Path) -> Vec<String> {
    let names = file.with_extension("");
    let names = names.iter().map(|name| name.to_str().unwrap().to_owned());
    let mut module: Vec<String> = names.collect();
    if module.last().is_some_and(|name| name == "mod") || module == ["lib"] {
        module.pop();
    }
    module
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            list(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}
