//! Tells a release build which commit it is of.
//!
//! `SLUICEGATE_COMMIT` in the environment says it; else the files of the repository do, without
//! its program. A source archive without either builds all the same and says nothing. Other
//! builds do not look, so that a commit compiles nothing anew.

#![allow(clippy::print_stdout, reason = "this is how cargo is told")]

use std::{
    env, fs,
    path::{Path, PathBuf},
};

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=SLUICEGATE_COMMIT");
    let given = env::var("SLUICEGATE_COMMIT").ok();
    let is_release = env::var("PROFILE").is_ok_and(|profile| profile == "release");
    let found = || is_release.then(|| commit(Path::new(".git"))).flatten();
    let commit = given.filter(|given| !given.is_empty()).or_else(found);
    let Some(commit) = commit.filter(|commit| commit.chars().all(|c| c.is_ascii_alphanumeric()))
    else {
        return;
    };
    let commit: String = commit.chars().take(SHOWN).collect();
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    println!("cargo:rustc-env=SLUICEGATE_COMMIT={commit}");
    println!("cargo:rustc-env=SLUICEGATE_VERSION={version} ({commit})");
}

/// The commit that the files of a repository say is checked out.
fn commit(git: &Path) -> Option<String> {
    let git = folder(git)?;
    let head = read(&git.join("HEAD"))?;
    // Grows with each commit, also where the name of a branch is packed.
    let log = git.join("logs/HEAD");
    if log.exists() {
        println!("cargo:rerun-if-changed={}", log.display());
    }
    let Some(name) = head.strip_prefix("ref: ") else {
        return Some(head);
    };
    // The branches of a second working tree are with the first.
    let shared = read(&git.join("commondir")).map_or_else(|| git.clone(), |path| git.join(path));
    read(&shared.join(name)).or_else(|| {
        let packed = read(&shared.join("packed-refs"))?;
        let mut lines = packed.lines();
        let line = lines.find_map(|line| line.strip_suffix(name)?.strip_suffix(' '))?;
        Some(line.to_owned())
    })
}

/// The folder of the repository: that path, or where a file of that name points.
fn folder(git: &Path) -> Option<PathBuf> {
    if git.is_dir() {
        return Some(git.to_owned());
    }
    let file = read(git)?;
    file.strip_prefix("gitdir: ").map(PathBuf::from)
}

fn read(path: &Path) -> Option<String> {
    let text = fs::read_to_string(path).ok()?;
    println!("cargo:rerun-if-changed={}", path.display());
    Some(text.trim().to_owned())
}

/// Digits of a commit that are shown.
const SHOWN: usize = 12;
