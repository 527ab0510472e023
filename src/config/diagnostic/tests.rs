use super::*;

fn one(text: &str, fault: Fault) -> Faults {
    Faults::new(Path::new("proxy.toml"), text.into(), vec![fault])
}

#[test]
fn the_line_is_shown_with_a_mark_and_the_hint() {
    let text = "[routes.a]\npool = \"cart\"\n";
    let fault = Fault::error(Span::new(18, 24), "no such pool", "defined: \"card\"");
    let shown = one(text, fault).to_string();
    let expected = "error: no such pool\n --> proxy.toml:2:8\n  |\n\
                    2 | pool = \"cart\"\n  |        ^^^^^^ defined: \"card\"";
    assert_eq!(shown, expected);
}

#[test]
fn a_log_has_each_fault_in_one_line() {
    let text = "[routes.a]\npool = \"cart\"\n";
    let fault = Fault::error(Span::new(18, 24), "no such pool", "defined: \"card\"");
    let expected = "proxy.toml:2:8: error: no such pool (defined: \"card\")";
    assert_eq!(one(text, fault).lines(), [expected]);
    let whole = one(text, Fault::of_file("it cannot be read")).lines();
    assert_eq!(whole, ["proxy.toml: error: it cannot be read"]);
}

#[test]
fn columns_count_characters_and_spans_never_leave_the_text() {
    let text = "ü = 1";
    let faults = one(text, Fault::of_file("m"));
    assert_eq!(faults.lines.position(&faults.text, 3), (1, 3));
    assert_eq!(faults.lines.position(&faults.text, 1), (1, 1));
    let shown = one(text, Fault::error(Span::new(90, 99), "m", "")).to_string();
    assert!(shown.contains("proxy.toml:1"), "{shown}");
}

#[test]
fn places_far_apart_are_shown_with_their_lines() {
    let text = "first = 1\nb\nc\nd\ne\nf\nsecond = 2\n";
    let fault = Fault::error(Span::new(20, 26), "m", "h").with_related(Span::new(0, 5), "r");
    let shown = one(text, fault).to_string();
    assert!(shown.contains("proxy.toml:7:1"), "{shown}");
    assert!(shown.contains("1 | first = 1\n  | ----- r"), "{shown}");
    assert!(shown.contains("7 | second = 2\n  | ^^^^^^ h"), "{shown}");
}

#[test]
fn endless_faults_are_cut_off() {
    let fault = Fault::error(Span::new(0, 1), "m", "");
    let faults = Faults::new(Path::new("p"), "a".into(), vec![fault; RENDERED_MAX + 3]);
    assert!(faults.to_string().ends_with("… and 3 more"));
}

#[test]
fn programs_get_line_and_column() {
    let faults = one("a\nb", Fault::error(Span::new(2, 3), "m", "h"));
    let json = serde_json::to_value(&faults).unwrap();
    assert_eq!(json[0]["line"], 2);
    assert_eq!(json[0]["column"], 1);
    assert_eq!(json[0]["hint"], "h");
    assert_eq!(json[0]["severity"], "error");
}

#[test]
fn the_part_in_a_store_has_a_name_and_lines_of_its_own() {
    let (file, shared) = ("[proxy]\nworkers = 1", "[pools.a]\nx = 1\n");
    let text = format!("{file}\n{shared}");
    let list = vec![
        Fault::error(Span::new(8, 15), "m", ""),
        Fault::error(Span::new(30, 31), "n", "").with_related(Span::new(0, 1), "r"),
    ];
    let faults = Faults::new(Path::new("p.toml"), text.into(), list);
    let faults = faults.with_parts(vec![("etcd:k".into(), file.len() + 1)]);
    assert_eq!(
        faults.lines(),
        ["p.toml:2:1: error: m", "etcd:k:2:1: error: n"]
    );
    assert!(faults.to_string().contains("etcd:k:2:1"), "{faults}");
    assert_eq!(faults.views().nth(1).unwrap().file, "etcd:k");
}
