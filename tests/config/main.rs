#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]
//! Whole files: each of `valid/` is taken without a remark, each of `invalid/` is answered
//! with exactly the text below its ruler line.
//!
//! `UPDATE=1 cargo test --test config` writes the answers anew; read the difference.

mod elsewhere;

use std::fs;
use std::path::{Path, PathBuf};

use sluicegate::config::{Faults, Loaded, Rules, Severity, load, parse};

/// Ends the configuration and begins the answer in a file of `invalid/`.
const RULER: &str = "# ---\n";

#[test]
fn each_valid_file_is_taken_without_a_remark() {
    let mut files = files_in("valid");
    files.push(root().join("proxy.toml"));
    assert!(files.len() > 3);
    for file in files {
        match load(&file, &Rules::default()) {
            Ok(loaded) => assert!(loaded.warnings.is_empty(), "{}", loaded.warnings),
            Err(faults) => panic!("{faults}"),
        }
    }
}

#[test]
fn each_valid_file_reads_the_same_after_printing() {
    for file in files_in("valid") {
        let first = load(&file, &Rules::default()).unwrap().config;
        let json = serde_json::to_string(&first).unwrap();
        if json.contains("***") {
            continue;
        }
        let value: toml::Value = serde_json::from_str(&json).unwrap();
        let printed = toml::to_string(&value).unwrap();
        let second = parse(printed, &file, &Rules::default());
        let second = second.unwrap_or_else(|faults| panic!("{faults}")).config;
        assert_eq!(first, second, "{}", file.display());
    }
}

#[test]
fn each_invalid_file_is_answered_with_its_text() {
    let files = files_in("invalid");
    assert!(files.len() >= 25);
    let mut wrong = String::new();
    for file in files {
        let content = fs::read_to_string(&file).unwrap();
        let (text, expected) = content.split_once(RULER).unwrap_or((&content, ""));
        let found = answer(text);
        if std::env::var_os("UPDATE").is_some() {
            fs::write(&file, format!("{text}{RULER}{found}")).unwrap();
        } else if expected != found {
            let name = file.display();
            wrong.push_str(&format!("{name}\nexpected:\n{expected}\nfound:\n{found}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn programs_get_the_same_faults() {
    let faults = outcome("[listeners.web]\nadress = \"127.0.0.1:80\"\n").unwrap_err();
    let json = serde_json::to_value(&faults).unwrap();
    let rows = json.as_array().unwrap();
    assert_eq!(rows.len(), faults.list().len());
    let unknown = &rows[1];
    assert_eq!(unknown["file"], "proxy.toml");
    assert_eq!(
        (&unknown["line"], &unknown["column"]),
        (&2.into(), &1.into())
    );
    assert!(
        unknown["hint"]
            .as_str()
            .unwrap()
            .contains("did you mean \"address\"?")
    );
}

#[test]
fn a_registered_picker_is_taken() {
    let text = "[listeners.a]\naddress = \"127.0.0.1:80\"\n[routes.a]\npool = \"a\"\n\
                [pools.a]\nendpoints = [\"127.0.0.1:1\"]\npicker = \"mine\"\n";
    assert!(outcome(text).is_err());
    let rules = Rules {
        pickers: &["mine"],
        ..Rules::default()
    };
    assert!(parse(text, Path::new("proxy.toml"), &rules).is_ok());
}

#[test]
fn routes_use_filters_that_are_registered() {
    let text = |name: &str| {
        format!(
            "[listeners.a]\naddress = \"127.0.0.1:80\"\n[routes.a]\nrespond = {{}}\n\
             use = [\"quota\", \"{name}\"]\n"
        )
    };
    let rules = Rules {
        filters: &["api_key", "quota"],
        ..Rules::default()
    };
    let read = |name: &str| parse(text(name), Path::new("proxy.toml"), &rules);
    assert!(read("api_key").is_ok());
    let unknown = read("api-key").unwrap_err().to_string();
    for part in [
        "route \"a\" uses \"api-key\", which is not defined",
        "proxy.toml:5:17",
        "did you mean \"api_key\"?",
    ] {
        assert!(unknown.contains(part), "{unknown}");
    }
    let twice = read("quota").unwrap_err().to_string();
    assert!(twice.contains("uses filter \"quota\" twice"), "{twice}");
}

#[test]
fn no_cut_of_a_good_file_is_a_crash() {
    for file in files_in("valid") {
        let text = fs::read_to_string(&file).unwrap();
        let step = (text.len() / 60).max(1);
        for end in (0..text.len()).step_by(step) {
            if let Some(Err(faults)) = text.get(..end).map(outcome) {
                assert!(!faults.to_string().is_empty());
            }
        }
    }
}

#[test]
fn hostile_text_ends_in_faults() {
    let deep = format!("a = {}", "[".repeat(100_000));
    let wide = format!("{} = 1", ["a"; 50_000].join("."));
    let junk = "\u{0}\u{feff}=\r[[\"\"\"\\u{110000}";
    for text in [
        deep.as_str(),
        &wide,
        junk,
        "[[listeners]]",
        "listeners = {}",
        "\u{feff}",
    ] {
        assert!(!outcome(text).unwrap_err().to_string().is_empty());
    }
}

#[test]
fn random_edits_end_in_a_configuration_or_faults() {
    let bytes = fs::read(root().join("tests/config/valid/everything.toml")).unwrap();
    let seed: u64 = std::env::var("SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut state = seed;
    let mut draw = |bound: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        usize::try_from(state >> 33).unwrap() % bound
    };
    for _ in 0..300 {
        let mut text = bytes.clone();
        for _ in 0..=draw(3) {
            let at = draw(text.len());
            let with = bytes[draw(bytes.len())];
            match draw(3) {
                0 => text[at] = with,
                1 => text.insert(at, with),
                _ => drop(text.drain(at..(at + draw(40)).min(text.len()))),
            }
        }
        let text = String::from_utf8_lossy(&text);
        if let Err(faults) = outcome(&text) {
            assert!(
                faults.errors() > 0 && !faults.to_string().is_empty(),
                "SEED={seed}"
            );
        }
    }
}

#[test]
fn ten_thousand_routes_are_taken() {
    let mut text = String::from("[listeners.a]\naddress = \"127.0.0.1:80\"\n");
    text.push_str("[pools.a]\nendpoints = [\"127.0.0.1:1\"]\n");
    for index in 0..10_000 {
        text.push_str(&format!(
            "[routes.r{index}]\npath = \"/{index}\"\npool = \"a\"\n"
        ));
    }
    assert_eq!(outcome(&text).unwrap().config.routes.len(), 10_000);
}

fn outcome(text: &str) -> Result<Loaded, Faults> {
    parse(text, Path::new("proxy.toml"), &Rules::default())
}

/// Gives what a user would be told, warnings too.
fn answer(text: &str) -> String {
    let faults = match outcome(text) {
        Ok(loaded) => {
            let mut list = loaded.warnings.list().iter();
            assert!(list.all(|fault| fault.severity == Severity::Warning));
            loaded.warnings
        }
        Err(faults) => faults,
    };
    format!("{faults}\n")
}

fn files_in(folder: &str) -> Vec<PathBuf> {
    let folder = root().join("tests/config").join(folder);
    let mut files: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "toml")
        })
        .collect();
    files.sort();
    files
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
