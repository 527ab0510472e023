//! The areas of the source form layers: each imports only what is below it.
//!
//! `rules.txt` has the areas from the bottom up, with what each of them may import. A path that
//! breaks it fails here, with file and line.

mod reader;
mod rules;

use std::{fs, path::Path};

use reader::{Import, read_file, read_folder};
use rules::Rules;

use super::root;

#[test]
fn areas_import_only_what_is_below_them() {
    let imports = read_folder(&root().join("src"));
    assert!(imports.len() > 1000, "{} imports", imports.len());
    let rules = fs::read_to_string(root().join("tests/layers/rules.txt")).unwrap();
    let faults = Rules::parse(&rules).check(&imports);
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn imports(module: &str, source: &str) -> Vec<Import> {
    let module: Vec<String> = module.split("::").map(str::to_owned).collect();
    read_file(source, &module, Path::new("x.rs")).imports
}

fn paths(module: &str, source: &str) -> Vec<String> {
    let imports = imports(module, source).into_iter();
    imports.map(|import| import.path.join("::")).collect()
}

#[test]
fn every_form_of_a_path_is_read() {
    let source = r#"
        //! Of no account: crate::comment::X.
        use std::fmt;
        use http::{StatusCode, header::HOST};
        use crate::one::One;
        pub(crate) use crate::{
            two::{self, inner::{A, B as C}},
            three::*,
        };
        use super::sibling::D;
        use super::super::other::E;
        use self::child::F;
        /// Of no account: [`crate::link::X`].
        pub(in crate::visibility) fn call(value: crate::four::G<crate::five::H>) {
            let text = "crate::string::X";
            some_macro!(crate::six::run(value), { super::super::seven::I });
            http::crate_like::run();
            self.method();
        }
        mod inner {
            use super::super::J;
        }
    "#;
    let expected = [
        "one::One",
        "two",
        "two::inner::A",
        "two::inner::B",
        "three::*",
        "area::sibling::D",
        "other::E",
        "area::file::child::F",
        "four::G",
        "five::H",
        "six::run",
        "seven::I",
        "area::J",
    ];
    assert_eq!(paths("area::file", source), expected);
}

#[test]
fn lines_of_long_lists_are_those_of_their_items() {
    let source =
        "use crate::{\n    one::A,\n    two::{B,\n        C},\n};\nfn x() { crate::three(); }";
    let lines: Vec<_> = imports("area", source).iter().map(|it| it.line).collect();
    assert_eq!(lines, [2, 3, 3, 6]);
}

#[test]
fn what_only_tests_need_does_not_count() {
    let source = r"
        #[cfg(test)]
        mod elsewhere;
        #[cfg(test)]
        use crate::a::A;
        #[cfg(test)]
        #[expect(dead_code)]
        mod tests { use crate::b::B; }
        #[cfg(not(test))]
        use crate::c::C;
    ";
    let module = ["area".to_owned()];
    let read = read_file(source, &module, Path::new("x.rs"));
    assert_eq!(read.test_modules, [["area", "elsewhere"]]);
    let named: Vec<_> = read.imports.iter().map(|it| it.path.join("::")).collect();
    assert_eq!(named, ["c::C"]);
}

#[test]
fn an_arrow_that_points_up_is_named_with_its_place() {
    let rules = Rules::parse("low\nmiddle -> low\nmiddle::part\nhigh -> low middle::part");
    assert!(rules.faults().is_empty());
    let low = imports("low::file", "\nuse crate::{high::X, middle::part::Y};");
    let middle = imports("middle", "use crate::low;");
    let high = imports("high", "use crate::{low, middle::part};");
    let faults = rules.check(&[low, middle, high].concat());
    let expected = [
        "src/x.rs:2: low -> high (crate::high::X): high is not in what low may import",
        "src/x.rs:2: low -> middle::part (crate::middle::part::Y): middle::part is not in what low may import",
    ];
    assert_eq!(faults, expected);
}

#[test]
fn rules_that_allow_a_circle_or_more_than_is_needed_are_refused() {
    let circle = Rules::parse("one -> two\ntwo -> one");
    assert_eq!(circle.faults(), ["rules.txt: two is not below one"]);
    let idle = Rules::parse("one\ntwo -> one\nexception one -> two: it was so");
    let faults = idle.check(&imports("two", "use crate::one;"));
    let expected = ["rules.txt: one -> two is not needed any more: take it out"];
    assert_eq!(faults, expected);
    let unknown = idle.check(&imports("three::file", "use crate::one;"));
    assert_eq!(
        unknown.first().map(String::as_str),
        Some("src/x.rs:1: rules.txt does not name the area three")
    );
}
