//! Doc comments open with a noun phrase or a third-person verb, so that the index of rustdoc says
//! what an item is.

use crate::files::rust_files;

/// Words that open a question or a riddle in place of a name: "What a client sends" tells less
/// than "Frames from a client".
const OPENERS: [&str; 9] = [
    "What", "Whether", "How", "Which", "When", "Where", "Why", "Who", "Whose",
];

#[test]
fn doc_comments_open_with_a_noun_or_a_verb() {
    let mut found = Vec::new();
    for (name, text) in &rust_files(&["examples", "src", "tests"]) {
        let openings = openings(text);
        found.extend(openings.map(|(line, opening)| format!("{name}:{line}: {opening}")));
    }
    assert!(
        found.is_empty(),
        "open these doc comments with a noun phrase or a third-person verb \
         (\"Returns true if …\", \"Number of …\"):\n{}",
        found.join("\n")
    );
}

#[test]
fn an_opening_is_found_at_the_start_of_a_comment_only() {
    let text = "//! Why.\n\n/// Number of them.\n/// When it ends.\nfn a() {}\n/// Whether.\n";
    let lines: Vec<usize> = openings(text).map(|(line, _)| line).collect();
    assert_eq!(lines, [1, 6]);
}

/// Returns the first lines of doc comments that begin with one of [`OPENERS`], with their numbers.
fn openings(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut before = None;
    text.lines().enumerate().filter_map(move |(at, line)| {
        let doc = doc_of(line);
        let is_first = before != doc.map(|(mark, _)| mark);
        before = doc.map(|(mark, _)| mark);
        let (_, words) = doc.filter(|_| is_first)?;
        let word = words.split(|it: char| !it.is_alphabetic()).next()?;
        OPENERS.contains(&word).then_some((at + 1, line.trim()))
    })
}

/// Splits a line of a doc comment into its mark and its text.
fn doc_of(line: &str) -> Option<(&'static str, &str)> {
    let line = line.trim_start();
    let with = |mark| Some((mark, line.strip_prefix(mark)?.trim_start()));
    with("//!").or_else(|| with("///"))
}
