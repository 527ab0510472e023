//! Files by a pattern, as `include` and `import` name them.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// Returns the files that a path with `*` and `?` in its last part fits, in order.
pub(super) fn matching(pattern: &Path) -> Vec<PathBuf> {
    let name = pattern.file_name().unwrap_or_default().to_string_lossy();
    if !name.contains(['*', '?', '[']) {
        return vec![pattern.to_owned()];
    }
    let folder = pattern.parent().unwrap_or_else(|| Path::new("."));
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let fitting = entries.filter(|entry| {
        let file = entry.file_name();
        let file = file.to_string_lossy();
        !file.starts_with('.') && fits(name.as_bytes(), file.as_bytes()) && entry.path().is_file()
    });
    let mut found: Vec<PathBuf> = fitting.map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// Returns true if a name fits a pattern with `*` and `?`.
fn fits(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern, name) {
        ([], []) => true,
        ([b'*', rest @ ..], name) => (0..=name.len()).any(|at| fits(rest, &name[at..])),
        ([b'?', rest @ ..], [_, name @ ..]) => fits(rest, name),
        ([one, rest @ ..], [other, name @ ..]) => one == other && fits(rest, name),
        ([], [_, ..]) | ([_, ..], []) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::fits;

    #[test]
    fn stars_and_question_marks_stand_for_others() {
        for (pattern, name, wanted) in [
            ("*.conf", "a.conf", true),
            ("*.conf", "a.confx", false),
            ("a?c*", "abcd", true),
            ("a?c", "ac", false),
            ("*", "", true),
        ] {
            assert_eq!(
                fits(pattern.as_bytes(), name.as_bytes()),
                wanted,
                "{pattern} {name}"
            );
        }
    }
}
