//! Configurations in several files, on a disk.

use std::fs;

use super::*;
use crate::config::{Loaded, load::load};

fn written(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    folder
}

fn loaded(folder: &Path) -> Result<Loaded, String> {
    let loaded = load(&folder.join("proxy.toml"), &Rules::default());
    loaded.map_err(|faults| {
        let text = faults.to_string();
        text.replace(&format!("{}/", folder.display()), "")
    })
}

const MAIN: &str = "include = [\"conf.d/*.toml\", \"more/?/x.toml\"]\n[listeners.web]\n\
    address = \"127.0.0.1:0\"\n[routes.all]\npool = \"app\"\n";
const POOL: &str = "[pools.app]\nendpoints = [\"127.0.0.1:9001\"]\n";

#[test]
fn tables_of_all_files_are_one_configuration() {
    let folder = written(&[
        ("proxy.toml", MAIN),
        ("conf.d/b.toml", POOL),
        (
            "conf.d/a.toml",
            "[routes.a]\npath = \"/a\"\npool = \"app\"\n",
        ),
        ("conf.d/.a.toml.swp", "["),
        ("conf.d/notes.txt", "["),
        (
            "more/1/x.toml",
            "[defaults.routes]\nsecure_headers = true\n",
        ),
        ("more/22/x.toml", "["),
    ]);
    let found = loaded(folder.path()).unwrap();
    let names: Vec<&str> = found.included.iter().map(|it| it.name.as_str()).collect();
    assert_eq!(names, ["conf.d/a.toml", "conf.d/b.toml", "more/1/x.toml"]);
    assert!(
        found
            .config
            .routes
            .values()
            .all(|route| route.secure_headers)
    );
    let watched = found.config.named_files();
    for name in ["conf.d", "conf.d/a.toml", "more", "more/1/x.toml"] {
        assert!(watched.contains_key(&folder.path().join(name)), "{name}");
    }
    // The copies do as well as the files.
    let rules = Rules {
        included: Some(&found.included),
        ..Rules::default()
    };
    let text = Arc::clone(&found.text);
    let kept = crate::config::parse(text, Path::new("elsewhere/proxy.toml"), &rules).unwrap();
    assert_eq!(kept.config, found.config);
    // What is printed stands alone.
    let json = serde_json::to_value(&found.config).unwrap();
    assert_eq!(json.get("include"), None);
}

#[test]
fn faults_are_told_at_their_place_in_their_file() {
    let twice = "[pools.app]\nendpoints = []\n[routes.b]\npath = \"b\"\npool = \"app\"\n";
    let folder = written(&[
        ("proxy.toml", MAIN),
        ("conf.d/a.toml", POOL),
        ("conf.d/b.toml", twice),
        (
            "conf.d/c.toml",
            "[admin]\naddress = \"127.0.0.1:1\"\n[log]\n",
        ),
        ("conf.d/d.toml", "include = [\"conf.d/a.toml\"]\nrest = \n"),
    ]);
    let shown = loaded(folder.path()).unwrap_err();
    for expected in [
        "[pools.app] is in \"conf.d/a.toml\", too\n --> conf.d/b.toml:1:8",
        "\"b\" is not a path: it must start with \"/\"\n --> conf.d/b.toml:4:8",
        "[admin] is not for an included file\n --> conf.d/c.toml:1:2",
        "[log] is not for an included file\n --> conf.d/c.toml:3:2",
        "[include] is not for an included file\n --> conf.d/d.toml:1:1",
        "conf.d/d.toml:2:",
    ] {
        assert!(shown.contains(expected), "{expected}\n\n{shown}");
    }
}

#[test]
fn links_stay_in_the_folder() {
    let folder = written(&[
        ("in/proxy.toml", MAIN),
        ("in/available/a.toml", POOL),
        ("in/conf.d/none.txt", ""),
        ("secret", "root:hunter2"),
    ]);
    let inner = folder.path().join("in");
    let link = |to: &str, name: &str| std::os::unix::fs::symlink(to, inner.join(name)).unwrap();
    link("../available/a.toml", "conf.d/a.toml");
    loaded(&inner).unwrap();
    link("../../secret", "conf.d/b.toml");
    let shown = loaded(&inner).unwrap_err();
    assert!(shown.contains("conf.d/b.toml is a link to "), "{shown}");
    assert!(!shown.contains("hunter2"), "{shown}");
}

#[test]
fn patterns_that_leave_the_folder_overlap_or_find_nothing_are_refused() {
    let main = "include = [\"../x.toml\", \"**/x.toml\", \"/etc/x.toml\", \"*.toml\", \"a.toml\", \"gone.toml\", 7, \"d/\"]\n";
    let folder = written(&[
        (
            "proxy.toml",
            &format!("{main}{}", &MAIN[MAIN.find('\n').unwrap()..]),
        ),
        ("a.toml", POOL),
    ]);
    let shown = loaded(folder.path()).unwrap_err();
    for expected in [
        "include \"../x.toml\" leaves the folder of the main file",
        "include \"**/x.toml\": \"**\" does not stand for folders at any depth",
        "include \"/etc/x.toml\" leaves the folder of the main file",
        "include \"*.toml\" has the file that includes",
        "a.toml is included twice: by \"*.toml\" and \"a.toml\"",
        "gone.toml cannot be read",
        "a path of include must be written as a text",
        "include \"d/\" names no file",
    ] {
        assert!(shown.contains(expected), "{expected}\n\n{shown}");
    }
    let rules = Rules {
        secrets: Secrets::Withheld,
        ..Rules::default()
    };
    let path = folder.path().join("proxy.toml");
    let shown = load(&path, &rules).unwrap_err().to_string();
    assert!(shown.contains("only for who shows admin.token"), "{shown}");
}

#[test]
fn a_pattern_that_finds_nothing_is_told_once_and_waited_for() {
    let folder = written(&[
        ("proxy.toml", MAIN),
        ("conf.d/a.toml", POOL),
        ("more/readme.txt", ""),
    ]);
    let found = loaded(folder.path()).unwrap();
    let shown = found.warnings.to_string();
    assert_eq!(
        shown
            .matches("include \"more/?/x.toml\" finds no file")
            .count(),
        1,
        "{shown}"
    );
    assert!(shown.contains("proxy.toml:1:29"), "{shown}");
    assert!(
        found
            .config
            .named_files()
            .contains_key(&folder.path().join("more"))
    );
    // It does not hide that something else is missing.
    fs::write(folder.path().join("conf.d/a.toml"), "[pools.app]\n").unwrap();
    let shown = loaded(folder.path()).unwrap_err();
    assert!(shown.contains("pool \"app\" has no endpoint"), "{shown}");
}
