//! Links between the documents: each leads somewhere, and every page is found.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use super::{read, root};

/// The pages of the manual and the documents beside it, by path from the root.
pub(super) fn documents() -> Vec<(String, String)> {
    let mut paths: Vec<String> = [
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
    ]
    .into_iter()
    .filter(|path| root().join(path).exists())
    .map(str::to_owned)
    .collect();
    collect(Path::new("docs"), &mut paths);
    paths.sort();
    let with_text = paths.into_iter().map(|path| {
        let text = read(&path);
        (path, text)
    });
    with_text.collect()
}

fn collect(folder: &Path, paths: &mut Vec<String>) {
    for entry in fs::read_dir(root().join(folder)).unwrap() {
        let entry = entry.unwrap();
        let path = folder.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            collect(&path, paths);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            paths.push(path.to_str().unwrap().to_owned());
        }
    }
}

#[test]
fn each_link_leads_to_a_file_and_a_heading() {
    let mut broken = Vec::new();
    for (path, text) in documents() {
        for link in links(&text) {
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = resolve(&path, file);
            if !root().join(&target).exists() {
                broken.push(format!("{path}: {link}: no such file"));
            } else if !heading.is_empty() && target.ends_with(".md") {
                let headings = anchors(&read(&target));
                if !headings.contains(heading) {
                    broken.push(format!("{path}: {link}: no such heading in {headings:?}"));
                }
            }
        }
    }
    assert!(broken.is_empty(), "{}", broken.join("\n"));
}

#[test]
fn each_page_is_two_clicks_from_the_readme() {
    let mut near = BTreeSet::from(["README.md".to_owned()]);
    for _ in 0..2 {
        let from: Vec<String> = near.iter().cloned().collect();
        for page in from.iter().filter(|page| page.ends_with(".md")) {
            let text = read(page);
            let targets = links(&text).map(|link| link.split('#').next().unwrap());
            near.extend(targets.map(|file| resolve(page, file)));
        }
        near.retain(|page| root().join(page).is_file());
    }
    let far: Vec<String> = documents()
        .into_iter()
        .map(|(path, _)| path)
        .filter(|path| !near.contains(path))
        .collect();
    assert!(far.is_empty(), "not linked: {far:?}");
}

#[test]
fn the_readme_is_short() {
    let lines = read("README.md").lines().count();
    assert!(lines <= 180, "{lines} lines; the manual is docs/");
}

#[test]
fn the_changelog_begins_with_what_is_not_released() {
    let changelog = read("CHANGELOG.md");
    let (_, unreleased) = changelog.split_once("## Unreleased\n").unwrap();
    let (unreleased, _) = unreleased.split_once("\n## ").unwrap();
    for list in ["### Added", "### Fixed"] {
        assert_eq!(unreleased.matches(list).count(), 1, "{list}");
    }
    // A merge may bring back the lines of a release, or add to it what is newer.
    for (number, section) in changelog.split("\n## ").skip(1).enumerate() {
        let lines = section.lines().count();
        assert!(
            lines < 500,
            "section {number} has {lines} lines: what is newer than a release stands above it, once"
        );
    }
}

#[test]
fn each_row_of_a_table_has_the_cells_of_its_head() {
    for (path, text) in documents() {
        let mut head = 0;
        for (number, line) in text.lines().enumerate() {
            let cells = line.replace("\\|", "").matches('|').count();
            if !line.starts_with('|') {
                head = 0;
            } else if head == 0 {
                head = cells;
            } else {
                assert_eq!(cells, head, "{path}:{}: {line}", number + 1);
            }
        }
    }
}

/// The targets of the links of a page that lead within this repository.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let found = text.split("](").skip(1);
    let targets = found.filter_map(|rest| rest.split_once(')').map(|(target, _)| target));
    targets.filter(|target| !target.contains("://") && !target.starts_with("mailto:"))
}

fn resolve(from: &str, link: &str) -> String {
    if link.is_empty() {
        return from.to_owned();
    }
    let mut path = PathBuf::from(from);
    path.pop();
    for part in Path::new(link).components() {
        match part {
            Component::ParentDir => {
                path.pop();
            }
            Component::Normal(name) => path.push(name),
            _ => {}
        }
    }
    path.to_str().unwrap().to_owned()
}

/// The anchors that a page has by its headings, in the way of the usual renderers.
fn anchors(text: &str) -> BTreeSet<String> {
    let mut within_code = false;
    let headings = text.lines().filter(|line| {
        within_code ^= line.starts_with("```");
        !within_code && line.starts_with('#')
    });
    let anchors = headings.map(|line| {
        let title = line.trim_start_matches('#').trim().to_lowercase();
        let kept = title.chars().filter_map(|sign| match sign {
            ' ' => Some('-'),
            '-' | '_' => Some(sign),
            _ => sign.is_alphanumeric().then_some(sign),
        });
        kept.collect()
    });
    anchors.collect()
}
