//! Last good configuration on disk: a restart with a broken file starts with it.
//!
//! It is kept only if the configuration names a `state_dir`, under a separate name for each
//! configuration file, and readable by the owner only: it may contain secrets.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

use super::faults::log;
use crate::{
    config::{
        self, IncludedFile, Loaded, Rules, SharedPart,
        setting::{Found, Reader, Span, TableReader},
    },
    file,
};

/// Keeps `text` as the last good configuration of the file at `path`.
///
/// Written to a new file and renamed, so that a crash leaves the old or the new one.
///
/// # Errors
/// The error of the disk.
pub(super) fn keep(
    state_dir: &Path,
    path: &Path,
    text: &str,
    included: &[IncludedFile],
    shared: Option<&str>,
) -> io::Result<()> {
    // The other parts first: a file that names them is of no use without them.
    let place = place(state_dir, path);
    if included.is_empty() {
        drop(fs::remove_file(included_place(&place)));
    } else {
        let texts = serde_json::to_string(included)?;
        write(state_dir, &included_place(&place), &texts)?;
    }
    match shared {
        Some(shared) => write(state_dir, &shared_place(&place), shared)?,
        None => drop(fs::remove_file(shared_place(&place))),
    }
    write(state_dir, &place, text)
}

/// Writes a file of the `state_dir`, readable by the owner only; a crash leaves the old or the new
/// one.
///
/// # Errors
/// The error of the disk.
pub(super) fn write(state_dir: &Path, kept: &Path, text: &str) -> io::Result<()> {
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(state_dir);
    made?;
    let beside = kept.with_extension("new");
    // One that was left behind may have another mode.
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(beside, kept)
}

/// Removes the copy of the file at `path`, in the usual folder.
pub(super) fn forget(path: &Path) {
    // There is mostly none.
    let place = place(&usual(path), path);
    let _ = fs::remove_file(shared_place(&place));
    let _ = fs::remove_file(included_place(&place));
    let _ = fs::remove_file(place);
}

/// Reads the last good configuration of the file at `path`, if there is one.
pub(super) fn load(path: &Path, rules: &Rules<'_>) -> Option<Loaded> {
    let (kept, text) = read(path)?;
    // Its relative paths are those of the file that it was.
    let part = shared_text(path).map(|text| SharedPart::kept(&text));
    let included = included(&kept);
    let rules = &Rules {
        included: Some(&included),
        ..*rules
    };
    match config::parse_with(text, part, path, rules) {
        Ok(loaded) => Some(loaded),
        Err(faults) => {
            tracing::error!(file = %kept.display(), "the last good configuration has errors");
            log(&faults);
            None
        }
    }
}

/// Returns the text of the last good configuration of the file at `path`, if there is one.
pub(crate) fn text(path: &Path) -> Option<String> {
    read(path).map(|(_, text)| text)
}

/// Returns the text of the last good configuration that the file at `path` shares with others, if
/// there is one.
pub(super) fn shared_text(path: &Path) -> Option<String> {
    let kept = shared_place(&place(&state_dir(path)?, path));
    file::read_to_string(&kept, file::WATCHED_BYTES_MAX).ok()
}

fn read(path: &Path) -> Option<(PathBuf, String)> {
    let kept = place(&state_dir(path)?, path);
    let text = file::read_to_string(&kept, file::WATCHED_BYTES_MAX).ok()?;
    Some((kept, text))
}

/// Returns the `state_dir` of the broken file, as far as it can be read; the usual folder if it
/// cannot be read because the file is cut or missing. A file that is complete and names none has
/// none.
fn state_dir(path: &Path) -> Option<PathBuf> {
    let text = file::read_to_string(path, file::WATCHED_BYTES_MAX).unwrap_or_default();
    let (table, errors) = DeTable::parse_recoverable(&text);
    let is_whole = errors.is_empty() && !text.trim().is_empty();
    let mut reader = Reader::new(folder(path));
    let proxy = table.get_ref().get("proxy").map(|proxy| proxy.get_ref());
    if let Some(DeValue::Table(proxy)) = proxy {
        let mut proxy = TableReader::new(proxy, Span::default(), &mut reader);
        if let Found::Value(dir) = proxy.key::<PathBuf>("state_dir") {
            return Some(dir);
        }
    }
    (!is_whole).then(|| usual(path))
}

fn folder(path: &Path) -> &Path {
    path.parent().unwrap_or_else(|| Path::new(""))
}

fn usual(path: &Path) -> PathBuf {
    folder(path).join("state")
}

/// Returns the path of the copy for the configuration at `path`: several may share a folder.
fn place(state_dir: &Path, path: &Path) -> PathBuf {
    place_of(state_dir, path, "last_good", "toml")
}

/// Returns the path of a file of the `state_dir` that belongs to the configuration at `path`.
pub(super) fn place_of(state_dir: &Path, path: &Path, what: &str, kind: &str) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    // FNV-1a, which is the same in every version of the program.
    let bytes = path.as_os_str().as_encoded_bytes().iter();
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    state_dir.join(format!("{what}-{hash:016x}.{kind}"))
}

/// Reads the copies of the files that the kept one includes.
fn included(kept: &Path) -> Vec<IncludedFile> {
    let text = file::read_to_string(&included_place(kept), INCLUDED_BYTES_MAX);
    let texts = text.ok().and_then(|text| serde_json::from_str(&text).ok());
    texts.unwrap_or_default()
}

/// Returns the path of the copies of included files.
fn included_place(place: &Path) -> PathBuf {
    place.with_extension("included.json")
}

/// Maximum size of the copies: as JSON, that of all included files doubled.
const INCLUDED_BYTES_MAX: u64 = 2 * file::WATCHED_BYTES_MAX;

/// Returns the path of the copy of the shared part.
fn shared_place(place: &Path) -> PathBuf {
    place.with_extension("shared.toml")
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    const GOOD: &str = "[proxy]\nstate_dir = \"state\"\n[listeners.web]\n\
        address = \"127.0.0.1:0\"\n[routes.all]\nrespond = {}\n";

    fn kept(path: &Path) -> bool {
        load(path, &Rules::default()).is_some()
    }

    #[test]
    fn it_is_its_files_own_and_for_its_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (
            folder.path().join("one.toml"),
            folder.path().join("two.toml"),
        );
        let state = folder.path().join("state");
        keep(&state, &one, GOOD, &[], None).unwrap();
        keep(&state, &one, GOOD, &[], None).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&state), mode(&place(&state, &one))), (0o700, 0o600));
        for torn in [
            "[listeners",
            "",
            "[proxy]\nstate_dir = \"state\"\n[listners.x]\n",
        ] {
            fs::write(&one, torn).unwrap();
            fs::write(&two, torn).unwrap();
            assert!(kept(&one), "{torn}");
            assert!(!kept(&two), "{torn}");
        }
    }

    #[test]
    fn a_whole_file_without_a_folder_wants_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("proxy.toml");
        keep(&folder.path().join("state"), &path, GOOD, &[], None).unwrap();
        fs::write(&path, "[listeners.web]\nadress = \"127.0.0.1:0\"\n").unwrap();
        assert!(!kept(&path));
        fs::write(&path, "[listeners").unwrap();
        assert!(kept(&path));
        forget(&path);
        assert!(!kept(&path));
    }
}
