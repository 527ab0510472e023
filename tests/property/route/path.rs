//! Normal paths.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use sluicegate::semantics::path::{PathTarget, normalise};

/// Paths of pieces that mean something to some server.
fn hostile_path() -> impl Strategy<Value = String> {
    let pieces = vec![
        "/", "//", ".", "..", "%2e", "%2E", "%2f", "%2F", "%5c", "\\", "%00", "%", "%7e", "%c3%a9",
        "é", "a", "b", ";", "%25", "%3b", "%4", "?", "#", " ",
    ];
    vec(select(pieces), 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2048, ..ProptestConfig::default() })]

    #[test]
    fn a_normal_path_is_its_own_normal_form(path in hostile_path()) {
        if let Ok(normal) = normalise(path.as_bytes()) {
            for text in [Some(normal.as_str()), normal.with_slashes_decoded()].into_iter().flatten() {
                let again = normalise(text.as_bytes()).unwrap();
 prop_assert_eq!(again.as_str(), text);
            }
        }
    }

    #[test]
    fn a_normal_path_has_no_second_reading(path in hostile_path()) {
        if let Ok(normal) = normalise(path.as_bytes()) {
            for text in [Some(normal.as_str()), normal.with_slashes_decoded()].into_iter().flatten() {
                prop_assert!(text.starts_with('/') && text.is_ascii() && !text.contains("//"));
                prop_assert!(text.split('/').all(|segment| segment != "." && segment != ".."));
                prop_assert!(!text.contains(['\\', '?', '#', ' ', '\0']));
                for escape in text.split('%').skip(1) {
                    let value = u8::from_str_radix(&escape[..2], 16).unwrap();
                    prop_assert!(!value.is_ascii_alphanumeric() && !b"-._~\0\\".contains(&value));
                    prop_assert!(!escape[..2].contains(|c: char| c.is_ascii_lowercase()));
                }
            }
            let slashes = normal.as_str().contains("%2F");
            prop_assert!(!slashes || normal.with_slashes_decoded().is_some());
        }
    }

    #[test]
    fn plain_paths_are_left_alone(path in "(/[a-zA-Z0-9_~!$&'()*+,;=:@-]{1,6}){1,5}/?") {
        let normal = normalise(path.as_bytes()).unwrap();
        prop_assert_eq!(normal.as_str(), path.as_str());
        prop_assert_eq!(normal.with_slashes_decoded(), None);
    }

    #[test]
    fn no_bytes_bring_it_down(bytes in vec(any::<u8>(), 0..64)) {
        if let Ok(target) = PathTarget::split(&bytes) {
            prop_assert!(!target.path.is_empty());
            let _ = normalise(target.path);
        }
        let _ = normalise(&bytes);
        let _ = normalise(&[b"/", &bytes[..]].concat());
    }
}
