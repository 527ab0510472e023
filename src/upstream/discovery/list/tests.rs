use super::*;

fn read(text: &str) -> Result<Vec<String>, String> {
    let format = if text.starts_with("endpoints") || text.starts_with("[[") {
        Format::Toml
    } else {
        Format::Json
    };
    let parsed = parse(text, format, Path::new("/lists"));
    let parsed = parsed.map_err(|fault| fault.to_string())?;
    let shown = parsed.into_iter().map(|it| {
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
fn a_list_is_bounded() {
    let many = vec!["\"a:1\""; ENDPOINTS_MAX + 1].join(",");
    let fault = read(&format!("[{many}]")).unwrap_err();
    assert!(fault.contains("more than 50000 endpoints"), "{fault}");
}
