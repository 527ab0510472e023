//! `include = ["conf.d/*.toml"]`: a configuration in several files.
//!
//! All files are one text for positions, the main file first, so that every check sees the whole;
//! messages name the file and its own lines. Each name stands once over all files.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check::{Rules, Secrets};
use super::diagnostic::Fault;
use crate::file;
use crate::tls::Stamps;

/// A file that another one includes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IncludedFile {
    /// Its path, relative to the folder of the main file.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// The files that a configuration includes.
#[derive(Debug, Default)]
pub(super) struct Included {
    /// The files in the order of the patterns, and of their names.
    pub(super) list: Arc<[IncludedFile]>,
    /// Each of them at its place in the whole text, with spaces before it.
    placed: Vec<(usize, String)>,
    pub(super) faults: Vec<Fault>,
    pub(super) warnings: Vec<Fault>,
    /// Files and folders that were looked at.
    pub(super) looked: BTreeMap<PathBuf, Stamps>,
}

impl Included {
    /// Reads the files that the text names, from the disk or from the copies that were kept.
    pub(super) fn of(tree: &DeTable<'_>, length: usize, path: &Path, rules: &Rules<'_>) -> Self {
        let mut included = Self::default();
        let Some((key, value)) = tree.get_key_value("include") else {
            return included;
        };
        let list = match rules.included {
            Some(kept) => {
                // The files are watched all the same: one that is mended ends the refusal.
                included.read(value, path, rules);
                included.faults.clear();
                kept.to_vec()
            }
            None if rules.secrets == Secrets::Withheld => {
                let message = "included files are read only for who shows admin.token";
                let hint = "ask with the token, or let `sluicegate check` read the files";
                let fault = Fault::error(key.span().into(), message, hint);
                included.faults.push(fault);
                Vec::new()
            }
            None => included.read(value, path, rules),
        };
        let (faults, warnings) = (included.faults, included.warnings);
        Self {
            faults,
            warnings,
            looked: included.looked,
            ..Self::placed(&list.into(), length)
        }
    }

    /// Puts files behind a main file of this length.
    pub(super) fn placed(list: &Arc<[IncludedFile]>, length: usize) -> Self {
        let mut included = Self::default();
        let mut border = length + 1;
        for file in list.iter() {
            let placed = format!("{}{}", " ".repeat(border), file.text);
            included.placed.push((border, placed));
            border += file.text.len() + 1;
        }
        included.list = Arc::clone(list);
        included
    }

    /// Returns the whole text: the main file, and the others after it.
    pub(super) fn whole(&self, text: &str) -> String {
        let mut whole = text.to_owned();
        for file in &*self.list {
            whole.push('\n');
            whole.push_str(&file.text);
        }
        whole
    }

    /// Name and first byte of each file.
    pub(super) fn parts(&self, path: &Path) -> Vec<(PathBuf, usize)> {
        let folder = folder(path);
        let files = self.list.iter().zip(&self.placed);
        files
            .map(|(file, (border, _))| (folder.join(&file.name), *border))
            .collect()
    }

    /// Adds the tables of the files to those of the main one.
    pub(super) fn add_to<'t>(
        &'t self,
        tree: &mut DeTable<'t>,
        faults: &mut Vec<Fault>,
    ) -> Vec<toml::de::Error> {
        let mut errors = Vec::new();
        for (_, placed) in &self.placed {
            let (more, more_errors) = DeTable::parse_recoverable(placed);
            errors.extend(more_errors);
            for (name, value) in more.into_inner() {
                self.add(tree, name, value, faults);
            }
        }
        errors
    }

    fn add<'t>(
        &self,
        tree: &mut DeTable<'t>,
        name: Spanned<std::borrow::Cow<'t, str>>,
        value: Spanned<DeValue<'t>>,
        faults: &mut Vec<Fault>,
    ) {
        let key = name.get_ref().to_string();
        if let Some((_, hint)) = MAIN_ONLY.iter().find(|(only, _)| *only == key) {
            let message = format!("[{key}] is not for an included file");
            faults.push(Fault::error(name.span().into(), message, *hint));
            return;
        }
        let known = tree.get_key_value(&*key).map(|(known, _)| known.span());
        let Some(known) = known else {
            tree.insert(name, value);
            return;
        };
        let ours = tree.get_mut(&*key).map(Spanned::get_mut);
        match (ours, value.into_inner()) {
            (Some(DeValue::Table(ours)), DeValue::Table(theirs)) if is_of_names(&key) => {
                for (name, value) in theirs {
                    let known = ours.get_key_value(&**name.get_ref());
                    match known.map(|(known, _)| known.span()) {
                        None => drop(ours.insert(name, value)),
                        Some(known) => {
                            let what = format!("{key}.{}", name.get_ref());
                            faults.push(self.twice(&what, name.span(), known));
                        }
                    }
                }
            }
            _ => faults.push(self.twice(&key, name.span(), known)),
        }
    }

    fn twice(&self, what: &str, here: Range<usize>, there: Range<usize>) -> Fault {
        let files = self.list.iter().zip(&self.placed).rev();
        let mut files = files.filter(|(_, (border, _))| *border <= there.start);
        let file = files.next().map(|(file, _)| file.name.as_str());
        let place = file.map_or_else(|| "the main file".to_owned(), |name| format!("{name:?}"));
        let message = format!("[{what}] is in {place}, too");
        Fault::error(here.into(), message, "one name stands once over all files")
    }

    /// Reads the files of all patterns; blocks on the disk.
    fn read(
        &mut self,
        value: &Spanned<DeValue<'_>>,
        path: &Path,
        rules: &Rules<'_>,
    ) -> Vec<IncludedFile> {
        let mut fault = |span: Range<usize>, message: String, hint: &str| {
            self.faults.push(Fault::error(span.into(), message, hint));
        };
        let Some(patterns) = value.get_ref().as_array() else {
            let hint = "such as [\"conf.d/*.toml\"]";
            fault(
                value.span(),
                "include must be a list of paths".to_owned(),
                hint,
            );
            return Vec::new();
        };
        let folder = folder(path);
        let main = path.canonicalize().ok();
        let root = Path::new(".").join(folder).canonicalize().ok();
        let mut seen: BTreeMap<PathBuf, &str> = BTreeMap::new();
        let mut files = Vec::new();
        let mut bytes = 0;
        for item in patterns.iter() {
            let Some(pattern) = item.get_ref().as_str() else {
                let message = "a path of include must be written as a text".to_owned();
                fault(item.span(), message, "such as \"conf.d/*.toml\"");
                continue;
            };
            if let Err(message) = inside(pattern) {
                let hint = if pattern.contains("**") {
                    "name each depth: \"conf.d/*.toml\", \"conf.d/*/*.toml\""
                } else {
                    "included files are below the folder of the main file"
                };
                fault(item.span(), message, hint);
                continue;
            }
            let names = file::pattern::find(folder, pattern, FILES_MAX, |place| {
                self.looked.insert(place.to_owned(), Stamps::of(&[place]));
            });
            if names.is_empty() {
                match gone(pattern, rules.before) {
                    None => {
                        let message = format!("include {pattern:?} finds no file");
                        let hint = "files that fit are taken when they appear";
                        let fault = Fault::warning(item.span().into(), message, hint);
                        self.warnings.push(fault);
                    }
                    Some((message, hint)) => fault(item.span(), message, hint),
                }
            }
            for name in names {
                let full = folder.join(&name);
                let real = full.canonicalize().ok();
                let is_outside = match (&root, &real) {
                    (Some(root), Some(real)) => !real.starts_with(root),
                    _ => false,
                };
                let identity = real.unwrap_or_else(|| full.clone());
                if Some(&identity) == main.as_ref() {
                    let message = format!("include {pattern:?} has the file that includes");
                    let hint = "keep included files in a folder of their own";
                    fault(item.span(), message, hint);
                    continue;
                }
                if is_outside {
                    let message = format!("{name} is a link to {}", identity.display());
                    let hint = "included files are below the folder of the main file";
                    fault(item.span(), message, hint);
                    continue;
                }
                if let Some(first) = seen.get(&identity) {
                    let message = format!("{name} is included twice: by {first:?} and {pattern:?}");
                    fault(item.span(), message, "leave one of the two out");
                    continue;
                }
                seen.insert(identity, pattern);
                self.looked.insert(full.clone(), Stamps::of(&[&full]));
                match file::read_to_string(&full, file::WATCHED_BYTES_MAX) {
                    Ok(text) => {
                        bytes += text.len();
                        files.push(IncludedFile { name, text });
                    }
                    Err(error) => {
                        let message = format!("the file {} cannot be read", full.display());
                        fault(item.span(), message, &error.to_string());
                    }
                }
                if files.len() > FILES_MAX || bytes > BYTES_MAX {
                    let message = "too much is included".to_owned();
                    fault(item.span(), message, "at most 256 files, and 16 MiB in all");
                    return Vec::new();
                }
            }
        }
        files
    }
}

/// Returns what to say of a pattern that found files for the configuration in use, and finds none.
fn gone(pattern: &str, before: &[IncludedFile]) -> Option<(String, &'static str)> {
    let before = before.iter();
    let count = before
        .filter(|it| file::pattern::fits(pattern, &it.name))
        .count();
    let message =
        format!("include {pattern:?} finds no file any more; the configuration in use has {count}");
    let hint = "put them back, or remove the path from include; \
                \"sluicegate reload --force\" does without them";
    (count > 0).then_some((message, hint))
}

fn is_of_names(key: &str) -> bool {
    const NAMES: [&str; 7] = [
        "defaults",
        "listeners",
        "policies",
        "pools",
        "rollouts",
        "routes",
        "tests",
    ];
    NAMES.contains(&key)
}

/// Refuses patterns that leave the folder.
fn inside(pattern: &str) -> Result<(), String> {
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

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new(""))
}

/// Tables that stand in the main file, with the reason.
const MAIN_ONLY: [(&str, &str); 5] = [
    (
        "include",
        "only the main file includes others, so that there is no circle",
    ),
    ("proxy", "tables of the process stand in the main file"),
    ("admin", "tables of the process stand in the main file"),
    ("config", "tables of the process stand in the main file"),
    ("log", "tables of the process stand in the main file"),
];
/// Maximum number of included files.
const FILES_MAX: usize = 256;
/// Maximum size of all of them.
const BYTES_MAX: usize = 16 << 20;
