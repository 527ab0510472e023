//! Patterns of file names: `*` stands for any text, `?` for any letter.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use super::FILES_MAX;
use crate::tls::Stamps;

/// Refuses patterns that leave the folder.
pub(super) fn inside(pattern: &str) -> Result<(), String> {
    let mut parts = Path::new(pattern).components();
    if pattern.is_empty() || pattern.ends_with('/') {
        return Err(format!("include {pattern:?} names no file"));
    }
    if pattern.contains("**") {
        return Err(format!(
            "include {pattern:?}: \"**\" does not stand for folders at any depth"
        ));
    }
    if parts.all(|part| matches!(part, Component::Normal(_) | Component::CurDir)) {
        return Ok(());
    }
    Err(format!(
        "include {pattern:?} leaves the folder of the main file"
    ))
}

/// Names of the files that a pattern means, in order. A name without wildcard is given whether
/// there is such a file or not.
pub(super) fn find(
    folder: &Path,
    pattern: &str,
    looked: &mut BTreeMap<PathBuf, Stamps>,
) -> Vec<String> {
    let mut found = vec![String::new()];
    let parts: Vec<&str> = pattern
        .split('/')
        .filter(|it| !matches!(*it, "" | "."))
        .collect();
    for (number, part) in parts.iter().enumerate() {
        let is_last = number + 1 == parts.len();
        let mut next = Vec::new();
        for base in found {
            let below = |name: &str| match &*base {
                "" => name.to_owned(),
                base => format!("{base}/{name}"),
            };
            if !part.contains(['*', '?']) {
                next.push(below(part));
                continue;
            }
            let place = folder.join(&base);
            looked.insert(place.clone(), Stamps::of(&[&place]));
            let entries = std::fs::read_dir(&place).into_iter().flatten().flatten();
            let names = entries.filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let is_folder = entry.path().is_dir();
                let fits = !name.starts_with('.') && matches(part.as_bytes(), name.as_bytes());
                (fits && is_folder != is_last).then_some(name)
            });
            let mut names: Vec<String> = names.take(FILES_MAX + 1).collect();
            names.sort();
            next.extend(names.iter().map(|name| below(name)));
        }
        next.truncate(FILES_MAX + 1);
        found = next;
    }
    found
}

/// Returns true if the name fits the pattern, in which `*` and `?` stand for any text and letter.
fn matches(pattern: &[u8], name: &[u8]) -> bool {
    let (mut at, mut star) = ((0, 0), None);
    while at.1 < name.len() {
        match pattern.get(at.0) {
            Some(b'*') => {
                star = Some(at);
                at.0 += 1;
            }
            Some(b'?') => at = (at.0 + 1, at.1 + 1),
            Some(byte) if *byte == name[at.1] => at = (at.0 + 1, at.1 + 1),
            _ => match star {
                Some((place, eaten)) => {
                    star = Some((place, eaten + 1));
                    at = (place + 1, eaten + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at.0..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wildcards_stand_for_any_text_and_letter() {
        for (pattern, name, fits) in [
            ("*.toml", "a.toml", true),
            ("*.toml", ".toml", true),
            ("*.toml", "a.toml.swp", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbY", false),
            ("??", "ab", true),
            ("??", "abc", false),
            ("*", "", true),
            ("", "a", false),
        ] {
            assert_eq!(
                matches(pattern.as_bytes(), name.as_bytes()),
                fits,
                "{pattern} {name}"
            );
        }
    }
}
