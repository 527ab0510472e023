use super::*;

fn read(text: &str) -> Result<Vec<String>, String> {
    let format = if text.starts_with("endpoints") || text.starts_with("[[") {
        Format::Toml
    } else {
        Format::Json
    };
    let parsed = parse(text, format, Path::new("/lists"));
    let parsed = parsed.map_err(|fault| fault.to_string())?;
    if !parsed.skipped.is_empty() {
        return Err(parsed.skipped.to_string());
    }
    let shown = parsed.endpoints.into_iter().map(|it| {
        let version = it.version_label.unwrap_or_default();
        let zone = it.zone.unwrap_or_default();
        let (labels, priority) = (it.labels.len(), it.priority);
        format!(
            "{} {} [{version}] [{zone}] {priority} {labels}",
            it.label, it.weight
        )
    });
    Ok(shown.collect())
}

#[test]
fn json_toml_and_the_groups_of_prometheus_say_the_same() {
    let all = [
        "10.0.0.1:80 1 [] [] 0 0",
        "a.internal:81 3 [1.4.2] [a] 1 1",
        "unix:/lists/app.sock 1 [] [] 0 0",
    ];
    let json = r#"["10.0.0.1:80",
        {"address": "A.internal:81", "weight": 3, "version": "1.4.2", "zone": "a", "priority": 1, "labels": {"rack": "7"}},
        "unix:app.sock"]"#;
    assert_eq!(read(json).unwrap(), all);
    assert_eq!(read(&format!("{{\"endpoints\": {json}}}")).unwrap(), all);
    let toml = r#"endpoints = ["10.0.0.1:80",
        { address = "a.internal:81", weight = 3, version = "1.4.2", zone = "a", priority = 1, labels = { rack = "7" } },
        "unix:app.sock"]"#;
    assert_eq!(read(toml).unwrap(), all);
    let tables =
        "[[endpoints]]\naddress = \"10.0.0.1:80\"\n[[endpoints]]\naddress = \"b:1\"\nweight = 2";
    let two = ["10.0.0.1:80 1 [] [] 0 0", "b:1 2 [] [] 0 0"];
    assert_eq!(read(tables).unwrap(), two);
    let groups = r#"[{"targets": ["10.0.0.1:80", "10.0.0.2:80"], "labels": {"version": "v2.0.0", "zone": "b", "weight": "5"}},
        {"targets": ["10.0.0.3:80"], "labels": {"version": "stable"}}]"#;
    let grouped = [
        "10.0.0.1:80 5 [2.0.0] [b] 0 3",
        "10.0.0.2:80 5 [2.0.0] [b] 0 3",
        "10.0.0.3:80 1 [] [] 0 1",
    ];
    assert_eq!(read(groups).unwrap(), grouped);
    assert!(read("[]").unwrap().is_empty());
}

#[test]
fn a_fault_is_told_with_its_place() {
    for (text, told) in [
        (
            "[\"10.0.0.1:80\",\n \"10.0.0.1\"]",
            "2:2: \"10.0.0.1\" is not the address of an endpoint: it has no port",
        ),
        ("[\"a:1\",\n \"b:1\", \"a:1\"]", "2:9: a:1 is listed twice"),
        ("[\"a:1\",\n", "2:1: EOF while parsing"),
        (
            "[{\"adress\": \"a:1\"}]",
            "unknown field `adress`, expected one of `address`, `weight`",
        ),
        ("[{\"weight\": 1}]", "missing field `address`"),
        (
            "[{\"address\": \"a:1\", \"weight\": 1000001}]",
            "a weight of 1000001, more than 1000000",
        ),
        (
            "[{\"address\": \"a:1\",\n\"version\": \"x\"}]",
            "2:15: \"x\" is not a version",
        ),
        (
            "[{\"targets\": [\"a:1\"], \"labels\": {\"weight\": \"x\"}}]",
            "the label weight is \"x\", not a number",
        ),
        ("[1]", "expected an address, a table with"),
        ("\"a:1\"", "expected a list of endpoints"),
        ("endpoints = [\n\"a:1\",\n{ adress = \"b:1\" }]", "3:"),
        ("endpoints = [\n\"a:1\"\n\"b:1\"]", "3:"),
    ] {
        let fault = read(text).unwrap_err();
        assert!(fault.contains(told), "{text}: {fault}");
    }
}

#[test]
fn an_entry_that_cannot_be_used_is_left_out_and_told_with_its_place() {
    let entries = [
        (r#""a:1""#, None),
        (r#""b""#, Some("it has no port")),
        (
            r#"{"address": "c:1", "weight": -1}"#,
            Some("invalid value: integer `-1`"),
        ),
        (
            r#"{"address": "d:1", "colour": "red"}"#,
            Some("unknown field `colour`"),
        ),
        (r#""a:1""#, Some("a:1 is listed twice")),
        (r#"null"#, Some("invalid type: null")),
        (r#"{"address": "e:1"}"#, None),
    ];
    let json: Vec<&str> = entries.iter().map(|(entry, _)| *entry).collect();
    let list = parse(
        &format!("[{}]", json.join(",\n")),
        Format::Json,
        Path::new("/"),
    );
    let list = list.unwrap();
    let labels: Vec<&str> = list.endpoints.iter().map(|it| &*it.label).collect();
    assert_eq!(labels, ["a:1", "e:1"]);
    let faults = entries
        .iter()
        .zip(1..)
        .filter_map(|((_, fault), line)| Some(((*fault)?, line)));
    let told = list.skipped.first();
    assert_eq!((told.len(), list.skipped.count()), (5, 5));
    for ((fault, line), told) in faults.zip(told) {
        assert!(
            told.starts_with(&format!("{line}:")) && told.contains(fault),
            "{told}"
        );
    }
    let toml = "endpoints = [\"a:1\",\n\"b\",\n{ address = \"c:1\", weight = -1 },\n\"e:1\"]";
    let list = parse(toml, Format::Toml, Path::new("/")).unwrap();
    let labels: Vec<&str> = list.endpoints.iter().map(|it| &*it.label).collect();
    assert_eq!(labels, ["a:1", "e:1"]);
    let told = list.skipped.first();
    assert!(
        told[0].starts_with("2:1: ") && told[1].starts_with("3:1: "),
        "{told:?}"
    );
    let group = r#"[{"targets": ["a:1", "b", "c:1"]}]"#;
    let list = parse(group, Format::Json, Path::new("/")).unwrap();
    assert_eq!((list.endpoints.len(), list.skipped.count()), (2, 1));
}

#[test]
fn a_list_is_bounded_and_so_is_what_is_told_of_it() {
    let many: Vec<String> = (0..=ENDPOINTS_MAX)
        .map(|at| format!("\"h{at}:1\""))
        .collect();
    let fault = read(&format!("[{}]", many.join(","))).unwrap_err();
    assert!(fault.contains("more than 50000 endpoints"), "{fault}");
    let wrong = vec![format!("\"{}\"", "x".repeat(5000)); 1000].join(",");
    let list = parse(&format!("[{wrong}]"), Format::Json, Path::new("/")).unwrap();
    let told = list.skipped.to_string();
    assert!(
        told.ends_with("; and 990 more") && told.len() < 4000,
        "{told}"
    );
}

#[test]
fn a_long_list_of_entries_that_cannot_be_used_is_read_in_one_pass() {
    // In one line, so that each place is far from its beginning. Quadratic work takes minutes here.
    let entries = vec!["\"10.0.0.1:80\""; 400_000];
    let text = format!("[{}]", entries.join(","));
    let list = parse(&text, Format::Json, Path::new("")).unwrap();
    assert_eq!(list.endpoints.len(), 1);
    assert_eq!(list.skipped.count(), 399_999);
}
