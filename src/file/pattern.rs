//! Patterns of file names: `*` stands for any text, `?` for any letter, `[a-z]` and `[!a-z]` for one
//! of these letters or one of all others.

use std::path::Path;

/// Names of the files below a folder that a pattern means, in order, and at most `most` and one. A
/// name without wildcard is given whether there is such a file or not. `looked` is told each folder
/// whose files are compared.
pub(crate) fn find(
    folder: &Path,
    pattern: &str,
    most: usize,
    mut looked: impl FnMut(&Path),
) -> Vec<String> {
    let mut found = vec![String::new()];
    let parts: Vec<&str> = parts(pattern).collect();
    for (number, part) in parts.iter().enumerate() {
        let is_last = number + 1 == parts.len();
        let mut next = Vec::new();
        for base in found {
            let below = |name: &str| match &*base {
                "" => name.to_owned(),
                base => format!("{base}/{name}"),
            };
            if !has_wildcard(part) {
                next.push(below(part));
                continue;
            }
            let place = folder.join(&base);
            looked(&place);
            let entries = std::fs::read_dir(&place).into_iter().flatten().flatten();
            let names = entries.filter_map(|entry| {
                let name = entry.file_name().into_string().ok()?;
                let is_folder = entry.path().is_dir();
                let fits = !name.starts_with('.') && matches(part, &name);
                (fits && is_folder != is_last).then_some(name)
            });
            let mut names: Vec<String> = names.take(most + 1).collect();
            names.sort();
            next.extend(names.iter().map(|name| below(name)));
        }
        next.truncate(most + 1);
        found = next;
    }
    found
}

/// Returns true if a pattern means the file of this name, a path below the folder.
pub(crate) fn fits(pattern: &str, name: &str) -> bool {
    let (mut pattern, mut name) = (parts(pattern), parts(name));
    loop {
        match (pattern.next(), name.next()) {
            (None, None) => return true,
            (Some(pattern), Some(name)) if matches(pattern, name) => {}
            _ => return false,
        }
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|it| !matches!(*it, "" | "."))
}

fn has_wildcard(part: &str) -> bool {
    let is_class = part
        .find('[')
        .is_some_and(|at| class(&part[at + 1..]).is_some());
    part.contains(['*', '?']) || is_class
}

/// Returns true if the name fits the pattern.
fn matches(pattern: &str, name: &str) -> bool {
    let pattern = letters(pattern);
    let name: Vec<char> = name.chars().collect();
    let (mut at, mut star) = ((0, 0), None);
    while at.1 < name.len() {
        match pattern.get(at.0) {
            Some(Letter::Star) => {
                star = Some(at);
                at.0 += 1;
            }
            Some(letter) if letter.fits(name[at.1]) => at = (at.0 + 1, at.1 + 1),
            _ => match star {
                Some((place, eaten)) => {
                    star = Some((place, eaten + 1));
                    at = (place + 1, eaten + 1);
                }
                None => return false,
            },
        }
    }
    pattern[at.0..].iter().all(|it| matches!(it, Letter::Star))
}

/// A part of a pattern.
enum Letter<'p> {
    Star,
    Any,
    /// One of these; with true, one of all others.
    Class(bool, &'p str),
    Same(char),
}

impl Letter<'_> {
    fn fits(&self, letter: char) -> bool {
        match self {
            Self::Star => false,
            Self::Any => true,
            Self::Same(wanted) => *wanted == letter,
            Self::Class(others, members) => members_have(members, letter) != *others,
        }
    }
}

fn letters(pattern: &str) -> Vec<Letter<'_>> {
    let mut letters = Vec::new();
    let mut rest = pattern.chars();
    while let Some(letter) = rest.next() {
        letters.push(match letter {
            '*' => Letter::Star,
            '?' => Letter::Any,
            '[' => match class(rest.as_str()) {
                Some((others, members, after)) => {
                    rest = after.chars();
                    Letter::Class(others, members)
                }
                None => Letter::Same('['),
            },
            letter => Letter::Same(letter),
        });
    }
    letters
}

/// Reads a class behind its `[`: true for all others, the members, and the rest behind the `]`.
fn class(text: &str) -> Option<(bool, &str, &str)> {
    let members = text.strip_prefix(['!', '^']).unwrap_or(text);
    let others = members.len() != text.len();
    // A `]` that stands first is a member.
    let first = members.chars().next()?.len_utf8();
    let end = members[first..].find(']')? + first;
    Some((others, &members[..end], &members[end + 1..]))
}

/// Returns true if a letter is a member, by itself or in a range.
fn members_have(members: &str, letter: char) -> bool {
    let members: Vec<char> = members.chars().collect();
    let mut rest = &members[..];
    loop {
        rest = match rest {
            [] => return false,
            [from, '-', to, rest @ ..] => {
                if (*from..=*to).contains(&letter) {
                    return true;
                }
                rest
            }
            [member, ..] if *member == letter => return true,
            [_, rest @ ..] => rest,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_files_at_its_own_depth() {
        for (pattern, name, means) in [
            ("conf.d/*.toml", "conf.d/a.toml", true),
            ("./conf.d//[ab].toml", "conf.d/a.toml", true),
            ("conf.d/*.toml", "conf.d/x/a.toml", false),
            ("conf.d/*/a.toml", "conf.d/x/a.toml", true),
            ("*.toml", "conf.d/a.toml", false),
        ] {
            assert_eq!(fits(pattern, name), means, "{pattern} {name}");
        }
    }

    #[test]
    fn wildcards_stand_for_letters() {
        for (pattern, name, fits) in [
            ("*.toml", "a.toml", true),
            ("*.toml", ".toml", true),
            ("*.toml", "a.toml.swp", false),
            ("a*b*c", "aXbYbZc", true),
            ("a*b*c", "aXbY", false),
            ("??", "ab", true),
            ("??", "abc", false),
            ("?", "é", true),
            ("*", "", true),
            ("", "a", false),
            ("[0-9]*.conf", "10-a.conf", true),
            ("[0-9]*.conf", "a-10.conf", false),
            ("[!_]*", "_a", false),
            ("[^_]*", "a", true),
            ("[]a]", "]", true),
            ("[a-]", "-", true),
            ("[abc", "[abc", true),
        ] {
            assert_eq!(matches(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn files_are_found_in_folders_that_fit_in_order() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["b/x.conf", "a/y.conf", "a/z.part", "c1/x.conf", ".d/x.conf"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let found = |pattern: &str| find(folder.path(), pattern, 100, |_| {});
        assert_eq!(found("*/*.conf"), ["a/y.conf", "b/x.conf", "c1/x.conf"]);
        assert_eq!(found("[a-b]/x.conf"), ["a/x.conf", "b/x.conf"]);
        assert_eq!(found("./none.conf"), ["none.conf"]);
        assert_eq!(found("none/*"), [""; 0]);
        assert_eq!(find(folder.path(), "*/*", 1, |_| {}).len(), 2);
        assert_eq!(found("[b"), ["[b"]);
    }
}
