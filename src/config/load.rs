//! Loads a checked [`Config`] from a path.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use toml::de::DeTable;

use crate::file::{self, ContentHash, Lines};

use super::check::{self, Rules, Secrets};
use super::defaults::{self, Defaulted};
use super::diagnostic::{Fault, Faults};
use super::include::{Included, IncludedFile};
use super::misplaced;
use super::origin::Sources;
use super::policy;
use super::schema::Config;
use super::setting::{Findings, Node, Reader, Setting as _, Span, Table as _};
use super::shared::{self, Joined, SharedPart};
use crate::tls::Stamps;

/// A file that was read and is valid.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The parsed configuration.
    pub config: Config,
    /// Its text.
    pub text: Arc<str>,
    /// The files that it includes.
    pub included: Arc<[IncludedFile]>,
    /// The part that is in a store, if there is one and it was given.
    pub shared: Option<SharedPart>,
    /// Hash of its content.
    pub hash: ContentHash,
    /// Settings that work, but probably not as intended.
    pub warnings: Faults,
}

/// Reads and checks the file at `path`; blocks on the disk.
///
/// # Errors
///
/// Returns every fault of the file, or that it cannot be read.
pub fn load(path: &Path, rules: &Rules<'_>) -> Result<Loaded, Faults> {
    let unreadable = |message: String| Faults::new(path, "".into(), vec![Fault::of_file(message)]);
    let bytes = file::read(path, file::WATCHED_BYTES_MAX).map_err(|error| {
        unreadable(match error.kind() {
            std::io::ErrorKind::NotFound => "the file does not exist".to_owned(),
            _ => format!("the file cannot be read: {error}"),
        })
    })?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        unreadable(format!(
            "the file is not UTF-8 text: the byte at {valid} is wrong"
        ))
    })?;
    parse(text, path, rules)
}

/// Checks `text` as the content of the file at `path`, whose folder relative paths in
/// the text are taken from.
///
/// # Errors
///
/// Gives every fault, warnings included.
pub fn parse(text: impl Into<Arc<str>>, path: &Path, rules: &Rules<'_>) -> Result<Loaded, Faults> {
    parse_with(text, None, path, rules)
}

/// Checks a new text of a configuration in two parts, together with the other part in use: if it
/// names a store, it is the file, else the part in the store.
///
/// # Errors
///
/// Gives every fault of both, warnings included.
pub fn parse_draft(
    text: impl Into<Arc<str>>,
    (file, part): (Arc<str>, SharedPart),
    path: &Path,
    rules: &Rules<'_>,
) -> Result<Loaded, Faults> {
    let text = text.into();
    let (tree, _) = DeTable::parse_recoverable(&text);
    if shared::is_shared(tree.get_ref()) {
        return parse_with(Arc::clone(&text), Some(part), path, rules);
    }
    let part = SharedPart {
        name: "the new text".into(),
        text: Arc::clone(&text),
        revision: part.revision,
    };
    parse_with(file, Some(part), path, rules)
}

/// Checks `text` as [`parse`] does, together with the part of the configuration that is in a store.
///
/// Without that part, a file that says that there is one is checked by itself.
///
/// # Errors
///
/// Gives every fault of both, warnings included.
pub fn parse_with(
    text: impl Into<Arc<str>>,
    shared: Option<SharedPart>,
    path: &Path,
    rules: &Rules<'_>,
) -> Result<Loaded, Faults> {
    let text: Arc<str> = text.into();
    let joined = shared.as_ref().map(|it| Joined::of(&text, &it.text));
    let (tree, _) = DeTable::parse_recoverable(&text);
    let mut included = Included::default();
    if joined.is_none() && !shared::is_shared(tree.get_ref()) {
        included = Included::of(tree.get_ref(), text.len(), path, rules);
    }
    let whole: Arc<str> = match &joined {
        Some(joined) => Arc::from(&*joined.text),
        None if included.list.is_empty() => Arc::clone(&text),
        None => included.whole(&text).into(),
    };
    let parts = match (&shared, &joined) {
        (Some(shared), Some(joined)) => vec![(PathBuf::from(&*shared.name), joined.border)],
        _ => included.parts(path),
    };
    let texts = Whole {
        main: &text,
        lines: Lines::of(&whole),
        joined: joined.as_ref(),
        included: &included,
    };
    let (config, faults, mut hidden, files) = decode(&texts, path, rules);
    if !faults.is_empty() {
        hidden.extend(misplaced::find(&whole));
    }
    let faults = Faults::new(path, mask(&whole, &hidden), faults)
        .with_named_files(files)
        .with_parts(parts);
    match config {
        Some(mut config) if faults.errors() == 0 => Ok(Loaded {
            config: {
                config.include.set_sources(Sources {
                    path: path.to_owned(),
                    main: Arc::clone(&text),
                    included: Arc::clone(&included.list),
                    shared: shared.clone(),
                });
                config
            },
            hash: ContentHash::of(text.as_bytes()),
            text,
            included: included.list,
            shared,
            warnings: faults,
        }),
        _ => Err(faults),
    }
}

/// The configuration, its faults, the text not to show, and the files that values are kept in.
type Decoded = (
    Option<Config>,
    Vec<Fault>,
    Vec<Span>,
    BTreeMap<PathBuf, Stamps>,
);

/// A configuration with all its parts.
struct Whole<'a> {
    main: &'a str,
    /// Lines of all parts.
    lines: Lines,
    joined: Option<&'a Joined>,
    included: &'a Included,
}

/// Decodes and checks.
fn decode(texts: &Whole<'_>, path: &Path, rules: &Rules<'_>) -> Decoded {
    let Whole {
        main,
        lines,
        joined,
        included,
    } = texts;
    let (tree, mut errors) = DeTable::parse_recoverable(main);
    let mut tree = tree.into_inner();
    let mut misplaced = Vec::new();
    let is_shared = shared::is_shared(&tree);
    match joined {
        Some(joined) if is_shared => errors.extend(joined.add_to(&mut tree, &mut misplaced)),
        _ if is_shared => misplaced = shared::strangers(&tree),
        _ => errors.extend(included.add_to(&mut tree, &mut misplaced)),
    }
    // What could not be read may hold what seems to be missing.
    let torn = !errors.is_empty() || !included.faults.is_empty();
    let mut faults = syntax_faults(lines, &errors);
    faults.extend_from_slice(&included.faults);
    faults.extend_from_slice(&included.warnings);
    faults.append(&mut misplaced);
    let base = path.parent().unwrap_or_else(|| Path::new(""));
    let mut reader = Reader::new(base);
    reader.knows(Config::keys);
    if torn {
        reader.tear();
    }
    match rules.secrets {
        Secrets::Needed => {}
        Secrets::Excused => reader.excuse_missing(),
        Secrets::Withheld => reader.withhold(),
    }
    let mut defaulted = Defaulted::default();
    let policies = policy::apply(&mut tree, &mut defaulted);
    let mut inherited = policies.faults;
    inherited.extend(defaults::apply(&mut tree, &mut defaulted));
    let root = toml::Spanned::new(0..0, toml::de::DeValue::Table(tree));
    let mut config = Config::read(&Node::item(&root), &mut reader);
    if let Some(config) = &mut config {
        let (taken, replaced) = (policies.taken, policies.replaced);
        config.policies.set_taken(taken, replaced, policies.used);
    }
    let Findings {
        mut concealed,
        faults: found,
        broken,
        hidden,
    } = reader.finish();
    // A line that did not parse says nothing true about its values.
    let line_of = |fault: &Fault| fault.span.map(|span| lines.line(span.start));
    let torn_lines: HashSet<_> = faults.iter().map(line_of).collect();
    let is_echo = |fault: &Fault| torn_lines.contains(&line_of(fault));
    faults.extend(found.into_iter().filter(|fault| !is_echo(fault)));
    faults.append(&mut inherited);
    // Without the tables in the store there is not much to check.
    let is_whole = !is_shared || joined.is_some();
    if !torn && let Some(config) = &config {
        let mut found = check::check(config, &broken, rules, is_whole);
        found.iter_mut().for_each(|fault| fault.mask(&concealed));
        faults.extend(found);
    }
    defaulted.tell_once(&mut faults);
    for (path, looked) in &included.looked {
        concealed.add_file(path, looked.clone());
    }
    let files = concealed.files().clone();
    if let Some(config) = &mut config {
        config.spans.hide(concealed);
    }
    (config, faults, hidden, files)
}

/// Puts a `*` over each byte that must not be shown; all positions stay the same.
fn mask(text: &Arc<str>, hidden: &[Span]) -> Arc<str> {
    if hidden.is_empty() {
        return Arc::clone(text);
    }
    let mut masked = text.to_string();
    for span in hidden {
        if text.get(span.start..span.end).is_some() {
            let stars = "*".repeat(span.end - span.start);
            masked.replace_range(span.start..span.end, &stars);
        }
    }
    masked.into()
}

/// Turns the parser's errors into faults, one per line: further errors on a line mostly follow from
/// the first.
fn syntax_faults(lines: &Lines, errors: &[toml::de::Error]) -> Vec<Fault> {
    let mut faults = Vec::new();
    let mut seen = HashSet::new();
    for error in errors {
        let span = error.span().map_or_else(Span::default, Span::from);
        if !seen.insert(lines.line(span.start)) {
            continue;
        }
        let (message, hint) = match error.message().split_once(", expected ") {
            Some((message, expected)) => (message, format!("expected {expected}")),
            None => (error.message(), String::new()),
        };
        faults.push(Fault::error(span, format!("not TOML: {message}"), hint));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_text(text: &str) -> Result<Loaded, Faults> {
        parse(text, Path::new("proxy.toml"), &Rules::default())
    }

    const SMALL: &str = "[listeners.web]\naddress = \"127.0.0.1:0\"\n\
        [routes.all]\npool = \"app\"\n[pools.app]\nendpoints = [\"127.0.0.1:9001\"]\n";

    #[test]
    fn a_small_file_gets_every_default() {
        let loaded = parse_text(SMALL).unwrap();
        let json = serde_json::to_value(&loaded.config).unwrap();
        assert_eq!(json["pools"]["app"]["limits"]["queue_timeout"], "1s");
        assert_eq!(json["routes"]["all"]["timeouts"]["total"], "30s");
        assert_eq!(json["routes"]["all"]["pool"], "app");
        assert_eq!(json["routes"]["all"]["body_max"], "10MiB");
        assert_eq!(json["listeners"]["web"]["limits"]["head"], "64KiB");
        assert!(loaded.warnings.is_empty(), "{}", loaded.warnings);
    }

    #[test]
    fn what_is_printed_reads_back_the_same() {
        let first = parse_text(SMALL).unwrap().config;
        let json = serde_json::to_value(&first).unwrap();
        let text = toml::to_string(&json).unwrap();
        let second = parse_text(&text).unwrap().config;
        assert_eq!(first, second);
    }

    #[test]
    fn a_secret_in_the_file_is_not_shown_with_a_fault_beside_it() {
        let text = format!("admin = {{ token = \"hunter2\", adress = 1 }}\n{SMALL}");
        let shown = parse_text(&text).unwrap_err().to_string();
        assert!(shown.contains("token = *********, adress"), "{shown}");
        assert!(!shown.contains("hunter2"), "{shown}");
    }

    #[test]
    fn unreadable_files_say_so() {
        let folder = tempfile::tempdir().unwrap();
        let rules = Rules::default();
        let missing = load(&folder.path().join("none.toml"), &rules).unwrap_err();
        assert!(missing.to_string().ends_with("the file does not exist"));
        let path = folder.path().join("latin.toml");
        std::fs::write(&path, b"a = \"\xe4\"").unwrap();
        let latin = load(&path, &rules).unwrap_err();
        assert!(latin.to_string().contains("not UTF-8"), "{latin}");
        let is_folder = load(folder.path(), &rules).unwrap_err();
        assert!(is_folder.to_string().contains("cannot be read"));
    }

    #[test]
    fn a_torn_file_reports_syntax_and_other_faults_without_echoes() {
        let text = "[listeners.web]\naddress = \n[pools.app]\nendpoints = [5]\n";
        let faults = parse_text(text).unwrap_err();
        let shown = faults.to_string();
        assert_eq!(faults.list().len(), 2, "{shown}");
        assert!(shown.contains("not TOML"), "{shown}");
        assert!(shown.contains("not an integer"), "{shown}");
    }
}
