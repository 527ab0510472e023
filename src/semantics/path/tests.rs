//! Targets and normal paths.

use super::*;

fn normal(path: &str) -> String {
    normalise(path.as_bytes()).unwrap().as_str().to_owned()
}

#[test]
fn a_target_is_split_as_sent() {
    let origin = PathTarget::split(b"/a%2Fb?x=/?y").unwrap();
    assert_eq!((origin.form, origin.path), (Form::Origin, &b"/a%2Fb"[..]));
    assert_eq!(origin.query, Some(&b"x=/?y"[..]));
    let absolute = PathTarget::split(b"HTTPS://a.b:1?q").unwrap();
    assert_eq!(absolute.form, Form::Absolute);
    assert_eq!(absolute.authority, Some(&b"a.b:1"[..]));
    assert_eq!(
        (absolute.path, absolute.query),
        (&b"/"[..], Some(&b"q"[..]))
    );
    assert_eq!(PathTarget::split(b"*").unwrap().form, Form::Asterisk);
    assert_eq!(PathTarget::split(b"/").unwrap().query, None);
}

#[test]
fn other_forms_and_bytes_are_refused() {
    for target in [
        "", "a.b:443", "ftp://a/", "http:/a", "/a b", "/a#b", "/\x07", "/\x7f", "?q", "**",
    ] {
        assert_eq!(
            PathTarget::split(target.as_bytes()),
            Err(BadRequest::Target),
            "{target}"
        );
    }
}

#[test]
fn the_normal_form_is_one_for_all_spellings() {
    for (path, expected) in [
        ("/", "/"),
        ("", "/"),
        ("*", "*"),
        ("/a/b", "/a/b"),
        ("/a//b", "/a/b"),
        ("//", "/"),
        ("/a/./b", "/a/b"),
        ("/a/../b", "/b"),
        ("/a/%2e%2E/b", "/b"),
        ("/a/.", "/a/"),
        ("/a/..", "/"),
        ("/a/b/..", "/a/"),
        ("/a//", "/a/"),
        ("/%7ea%41", "/~aA"),
        ("/%3a", "/%3A"),
        ("/%c3%a9", "/%C3%A9"),
        ("/é", "/%C3%A9"),
        ("/a%252e", "/a%252e"),
        ("/.well-known/x", "/.well-known/x"),
        ("/a;b/c", "/a;b/c"),
        ("/...", "/..."),
        ("/a/..b", "/a/..b"),
    ] {
        assert_eq!(normal(path), expected, "{path}");
    }
}

#[test]
fn an_encoded_slash_has_two_readings() {
    let path = normalise(b"/a%2fb").unwrap();
    assert_eq!(path.as_str(), "/a%2Fb");
    assert_eq!(path.with_slashes_decoded(), Some("/a/b"));
    let path = normalise(b"/public/..%2fadmin").unwrap();
    assert_eq!(path.as_str(), "/public/..%2Fadmin");
    assert_eq!(path.with_slashes_decoded(), Some("/admin"));
    assert_eq!(normalise(b"/a/b").unwrap().with_slashes_decoded(), None);
}

#[test]
fn a_path_with_a_hidden_separator_is_refused() {
    for path in [
        "/a%00b",
        "/a%5cb",
        "/a\\b",
        "/a%5C..%5Cb",
        "/%",
        "/%4",
        "/%zz",
        "/%+1",
        "/..",
        "/a/../..",
        "/%2e%2e/a",
        "/..%2f",
        "/a/..;/b",
        "/.;x/b",
    ] {
        assert_eq!(normalise(path.as_bytes()), Err(BadRequest::Path), "{path}");
    }
    for path in ["a", "/a b", "/a\0", "/a?b", "/a#b"] {
        assert_eq!(
            normalise(path.as_bytes()),
            Err(BadRequest::Target),
            "{path}"
        );
    }
}

#[test]
fn a_plain_path_is_borrowed() {
    let path = normalise(b"/orders/1/items.json").unwrap();
    assert!(matches!(path.text, Cow::Borrowed(_)));
}
