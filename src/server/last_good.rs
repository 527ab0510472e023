//! The last good configuration on disk: a restart with a broken file starts with it.

use std::{
    io::Write as _,
    path::{Path, PathBuf},
};

use toml::de::{DeTable, DeValue};

use crate::{
    config::{self, Loaded, Rules, load::FILE_BYTES_MAX},
    file,
};

/// Keeps `text` as the last good configuration of the file at `path`.
///
/// Written beside and renamed, so that a crash leaves the old or the new one.
///
/// # Errors
/// What the disk says.
pub(super) fn keep(state_dir: &Path, text: &str) -> std::io::Result<()> {
    std::fs::create_dir_all(state_dir)?;
    let beside = state_dir.join(format!("{FILE}.new"));
    let mut file = std::fs::File::create(&beside)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    std::fs::rename(beside, state_dir.join(FILE))
}

/// Reads the last good configuration of the file at `path`, if there is one.
pub(super) fn load(path: &Path, rules: &Rules<'_>) -> Option<Loaded> {
    let folder = path.parent().unwrap_or_else(|| Path::new(""));
    let kept = state_dirs(path, folder)
        .into_iter()
        .map(|dir| dir.join(FILE))
        .find(|kept| kept.exists())?;
    let text = file::read_to_string(&kept, FILE_BYTES_MAX).ok()?;
    // Its relative paths are those of the file that it was.
    match config::parse(text, path, rules) {
        Ok(loaded) => Some(loaded),
        Err(faults) => {
            tracing::error!(file = %kept.display(), "the last good configuration has faults");
            for line in faults.lines() {
                tracing::error!("{line}");
            }
            None
        }
    }
}

/// Where it may be: what the broken file still says of `state_dir`, else the usual place.
fn state_dirs(path: &Path, folder: &Path) -> Vec<PathBuf> {
    let text = file::read_to_string(path, FILE_BYTES_MAX).unwrap_or_default();
    let (table, _) = DeTable::parse_recoverable(&text);
    let written = table
        .get_ref()
        .get("proxy")
        .and_then(|proxy| match proxy.get_ref() {
            DeValue::Table(proxy) => match proxy.get("state_dir")?.get_ref() {
                DeValue::String(dir) => Some(folder.join(&**dir)),
                _ => None,
            },
            _ => None,
        });
    written.into_iter().chain([folder.join("state")]).collect()
}

const FILE: &str = "last_good.toml";
