//! Parts of the documents that are written from the code.
//!
//! They stand between `<!-- generated: NAME -->` and `<!-- end -->`.
//! `UPDATE=1 cargo test --test examples` writes them anew.

use std::fs;
use std::sync::Mutex;

use super::{read, root};

/// Compares the generated part of a page with what it should be, or writes it.
pub(super) fn compare(page: &str, name: &str, expected: &str) {
    // Several tests may write parts of the same page.
    static WRITING: Mutex<()> = Mutex::new(());
    let _alone = WRITING.lock();
    let text = read(page);
    let begin = format!("<!-- generated: {name} -->\n");
    let (before, rest) = text
        .split_once(&begin)
        .unwrap_or_else(|| panic!("{page} has no part {name:?}"));
    let (found, after) = rest.split_once("<!-- end -->").expect("an end");
    if found.trim() == expected.trim() {
        return;
    }
    assert!(
        std::env::var_os("UPDATE").is_some(),
        "{page} is behind ({name}); UPDATE=1 cargo test --test examples writes it anew"
    );
    let expected = expected.trim_end();
    let whole = format!("{before}{begin}{expected}\n<!-- end -->{after}");
    fs::write(root().join(page), whole).unwrap();
}
