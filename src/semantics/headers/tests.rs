use bytes::BytesMut;
use http::{HeaderMap, HeaderName};
use proptest::{collection::vec, prelude::*, sample::select};

use super::*;

/// Returns headers as received from these lines, each `name: value` without line end.
fn arrived(lines: &[&str]) -> Headers {
    let head = Bytes::from(
        lines
            .iter()
            .map(|line| format!("{line}\r\n"))
            .collect::<String>(),
    );
    let mut headers = Headers::arrived(&head);
    let mut start = 0;
    for line in lines {
        let colon = line.find(':').unwrap();
        let value = line[colon + 1..].trim();
        let from = start + colon + 1 + line[colon + 1..].find(value).unwrap();
        let place = Place {
            start,
            colon: start + colon,
            value: (from, from + value.len()),
            end: start + line.len(),
        };
        headers.push_arrived(look_up(&line.as_bytes()[..colon]), &place);
        start += line.len() + 2;
    }
    headers
}

fn written(headers: &Headers, left_out: Names) -> String {
    let mut out = BytesMut::new();
    headers.write(&mut out, left_out);
    String::from_utf8(out.to_vec()).unwrap()
}

fn x_a() -> HeaderName {
    HeaderName::from_static("x-a")
}

#[test]
fn fields_are_found_whatever_the_spelling() {
    let headers = arrived(&["HOST: a", "X-A: 1", "x-a: 2", "Content-Type: text/plain"]);
    assert_eq!(headers.get(Known::Host).unwrap(), "a");
    assert_eq!(
        headers.get(http::header::CONTENT_TYPE).unwrap(),
        "text/plain"
    );
    assert_eq!(headers.get(x_a()).unwrap(), "1");
    let all: Vec<_> = headers.get_all(x_a()).map(Value::as_bytes).collect();
    assert_eq!(all, [b"1", b"2"]);
    assert!(headers.get(Known::Via).is_none() && headers.get_all(Known::Via).next().is_none());
    assert!(!headers.contains(HeaderName::from_static("x-b")));
    assert_eq!(headers.len(), 4);
}

#[test]
fn what_is_passed_on_keeps_order_and_spelling() {
    let headers = arrived(&[
        "Host: a",
        "Connection: close",
        "X-A:1",
        "x-B:  2 ",
        "Via: 1.1 b",
    ]);
    let left_out = Names::of(&[Known::Connection]);
    let expected = "Host: a\r\nX-A: 1\r\nx-B: 2\r\nVia: 1.1 b\r\n";
    assert_eq!(written(&headers, left_out), expected);
    assert_eq!(
        written(&headers, left_out.with(Names::of(&[Known::Host]))),
        expected[9..]
    );
}

#[test]
fn a_line_that_is_inserted_is_the_only_one_of_its_name() {
    let mut headers = arrived(&["X-A: 1", "Via: 1.1 a", "x-a: 2", "Via: 1.1 b"]);
    headers.insert(x_a(), Value::from_static("3"));
    headers.append(Known::Via, Value::from_static("1.1 c"));
    let parts = [Value::from_static("n"), Value::from_static("o")];
    headers.insert_joined(Known::Te, &parts);
    let expected = "Via: 1.1 a\r\nVia: 1.1 b\r\nx-a: 3\r\nvia: 1.1 c\r\nte: no\r\n";
    assert_eq!(written(&headers, Names::default()), expected);
}

#[test]
fn a_text_that_is_no_token_names_nothing() {
    let mut headers = arrived(&["X-A: 1"]);
    assert_eq!(headers.get("X-a").unwrap(), "1");
    for name in ["", "x-a: 1\r\nx-b", "x a", "ä"] {
        headers.append(name, Value::from_static("2"));
        headers.insert(name, Value::from_static("2"));
        assert!(headers.get(name).is_none() && !headers.remove(name));
    }
    headers.insert("X-B", Value::from_static("3"));
    assert_eq!(written(&headers, Names::default()), "X-A: 1\r\nX-B: 3\r\n");
}

#[test]
fn what_is_removed_is_gone() {
    let mut headers = arrived(&["X-A: 1", "Via: 1.1 a", "TE: x", "x-a: 2", "y_b: 1"]);
    assert!(headers.remove(x_a()) && !headers.remove(x_a()));
    assert!(headers.remove(Known::Via) && !headers.contains(Known::Via));
    assert!(headers.names() == Names::of(&[Known::Te]));
    let before = headers.len();
    headers.retain_unknown(|name| !name.contains(&b'_'));
    assert_eq!(headers.len(), before - 1);
    headers.remove_all(Names::of(&[Known::Te, Known::Via]));
    assert!(headers.is_empty() && written(&headers, Names::default()).is_empty());
}

#[test]
fn a_map_holds_the_same_and_shares_the_head() {
    let headers = arrived(&["X-A: 1", "Via: 1.1 a", "x-a: 2"]);
    let map = headers.to_map();
    assert_eq!(map.get_all("x-a").iter().collect::<Vec<_>>(), ["1", "2"]);
    let (shared, own) = (map["via"].as_bytes(), headers.get(Known::Via).unwrap());
    assert_eq!(shared.as_ptr(), own.as_bytes().as_ptr());
    let back = Headers::from(&map);
    assert_eq!(sorted(&back), sorted(&headers));
}

#[test]
fn a_secret_of_header_compression_stays_one() {
    let mut secret = HeaderValue::from_static("token");
    secret.set_sensitive(true);
    let map: HeaderMap = [(http::header::AUTHORIZATION, secret)]
        .into_iter()
        .collect();
    let headers = Headers::from(&map);
    assert!(headers.to_map()["authorization"].is_sensitive());
    assert!(
        headers
            .get_owned(Known::Authorization)
            .unwrap()
            .is_sensitive()
    );
    assert!(!format!("{headers:?}").contains("token"));
}

#[test]
fn a_copy_is_independent() {
    let mut headers = arrived(&["Host: a"]);
    headers.append(x_a(), Value::from_static("1"));
    let copy = headers.clone();
    headers.remove(Known::Host);
    headers.insert(x_a(), Value::from_static("2"));
    assert_eq!(written(&copy, Names::default()), "Host: a\r\nx-a: 1\r\n");
}

#[test]
fn memory_that_served_comes_back_empty() {
    for round in 0..3 {
        let mut headers = Headers::new();
        assert!(
            headers.is_empty() && headers.get(x_a()).is_none(),
            "{round}"
        );
        headers.append(x_a(), Value::from_static("1"));
        headers.append(Known::Via, Value::from_static("1"));
        assert_eq!(headers.len(), 2, "{round}");
    }
}

/// An operation on the fields of a message, with one of a few names.
#[derive(Clone, Debug)]
enum Step {
    Insert(&'static str, u8),
    Append(&'static str, u8),
    Remove(&'static str),
    RemoveKnown,
    RemoveUnknown,
}

fn step() -> impl Strategy<Value = Step> {
    let name = || select(vec!["Host", "VIA", "te", "X-A", "x-a", "x-b", "X_c"]);
    prop_oneof![
        (name(), 0..10_u8).prop_map(|(name, value)| Step::Insert(name, value)),
        (name(), 0..10_u8).prop_map(|(name, value)| Step::Append(name, value)),
        name().prop_map(Step::Remove),
        Just(Step::RemoveKnown),
        Just(Step::RemoveUnknown),
    ]
}

proptest! {
    #[test]
    fn any_steps_come_to_what_a_plain_list_comes_to(steps in vec(step(), 0..20)) {
        let mut headers = arrived(&["Host: a", "X-A:1", "Via: 1.1 b", "x-b: 2", "x-a:  3 "]);
        let mut list: Vec<(String, String)> = headers
            .iter()
            .map(|(name, value)| {
                let name = String::from_utf8(name.to_ascii_lowercase()).unwrap();
                (name, value.to_str().unwrap().to_owned())
            })
            .collect();
        for step in steps {
            match step {
                Step::Insert(name, value) => {
                    headers.insert(name, HeaderValue::from(u16::from(value)));
                    list.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                    list.push((name.to_ascii_lowercase(), value.to_string()));
                }
                Step::Append(name, value) => {
                    headers.append(name, HeaderValue::from(u16::from(value)));
                    list.push((name.to_ascii_lowercase(), value.to_string()));
                }
                Step::Remove(name) => {
                    let before = list.len();
                    list.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
                    prop_assert_eq!(headers.remove(name), list.len() < before);
                }
                Step::RemoveKnown => {
                    headers.remove_all(Names::of(&[Known::Via, Known::Te]));
                    list.retain(|(known, _)| known != "via" && known != "te");
                }
                Step::RemoveUnknown => {
                    headers.retain_unknown(|name| !name.contains(&b'_'));
                    list.retain(|(known, _)| !known.contains('_'));
                }
            }
        }
        let lines: String = list
            .iter()
            .map(|(name, value)| format!("{name}: {value}\r\n"))
            .collect();
        prop_assert_eq!(written(&headers, Names::default()).to_ascii_lowercase(), lines);
        for name in ["host", "via", "te", "x-a", "x-b", "x_c"] {
            let expected: Vec<&str> = list
                .iter()
                .filter(|(known, _)| known == name)
                .map(|(_, value)| value.as_str())
                .collect();
            let found: Vec<&str> = headers.get_all(name).filter_map(Value::to_str).collect();
            prop_assert_eq!(&found, &expected);
            prop_assert_eq!(headers.get(name).and_then(Value::to_str), expected.first().copied());
            prop_assert_eq!(headers.contains(name), !expected.is_empty());
        }
        prop_assert_eq!(headers.len(), list.len());
    }
}
