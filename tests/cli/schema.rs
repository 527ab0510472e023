//! The schema of the file: it takes every good file, and refuses what an editor should mark.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{GOOD, run};

fn schema() -> Value {
    let outcome = run(GOOD, &["schema"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    serde_json::from_str(&outcome.stdout).unwrap()
}

fn parsed(text: &str) -> Value {
    let value: toml::Value = toml::from_str(text).unwrap();
    serde_json::to_value(value).unwrap()
}

fn accepts(schema: &Value, value: &Value) -> Result<(), String> {
    accepts_part(schema, schema, value)
}

/// The keywords that the schema uses, as JSON Schema 2020-12 defines them; `whole` is the
/// schema that references are looked up in.
fn accepts_part(whole: &Value, schema: &Value, value: &Value) -> Result<(), String> {
    let accepts = |part: &Value, value: &Value| accepts_part(whole, part, value);
    let keywords = schema.as_object().unwrap();
    for (keyword, rule) in keywords {
        let forms = || rule.as_array().unwrap().iter();
        let taking = || forms().filter(|form| accepts(form, value).is_ok()).count();
        let holds = match keyword.as_str() {
            "type" => match rule.as_str().unwrap() {
                "object" => value.is_object(),
                "array" => value.is_array(),
                "string" => value.is_string(),
                "integer" => value.is_i64() || value.is_u64(),
                "number" => value.is_number(),
                "boolean" => value.is_boolean(),
                other => panic!("unknown type {other}"),
            },
            "enum" => forms().any(|word| word == value),
            "const" => rule == value,
            "anyOf" => taking() > 0,
            "oneOf" => taking() == 1,
            "required" => forms().all(|key| value.get(key.as_str().unwrap()).is_some()),
            "items" => {
                for item in value.as_array().into_iter().flatten() {
                    accepts(rule, item)?;
                }
                true
            }
            "properties" => true,
            "additionalProperties" => {
                let properties = keywords.get("properties");
                for (key, inner) in value.as_object().into_iter().flatten() {
                    let property = properties.and_then(|properties| properties.get(key));
                    match property {
                        Some(property) => {
                            accepts(property, inner).map_err(|why| format!("{key}: {why}"))?;
                        }
                        None if rule == &Value::Bool(false) => return Err(format!("no {key}")),
                        None => accepts(rule, inner).map_err(|why| format!("{key}: {why}"))?,
                    }
                }
                true
            }
            "$ref" => {
                let place = rule.as_str().unwrap().strip_prefix('#').unwrap();
                accepts(whole.pointer(place).unwrap(), value)?;
                true
            }
            "$defs" | "$schema" | "title" | "description" | "default" => true,
            other => panic!("unknown keyword {other}"),
        };
        if !holds {
            return Err(format!("{keyword} {rule}: {value}"));
        }
    }
    Ok(())
}

#[test]
fn every_good_file_is_taken() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folders = ["tests/config/valid", "examples/config"];
    let folders = folders.map(|folder| fs::read_dir(root.join(folder)).unwrap());
    let entries = folders.into_iter().flatten();
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.push(root.join("proxy.toml"));
    assert!(files.len() > 15);
    let schema = schema();
    for file in files {
        let value = parsed(&fs::read_to_string(&file).unwrap());
        assert_eq!(accepts(&schema, &value), Ok(()), "{}", file.display());
    }
}

/// The text that an editor shows beside a key.
#[test]
fn every_key_has_a_description() {
    let schema = schema();
    let mut count = 0;
    describe(&schema, "", &mut count);
    assert!(count > 300, "{count}");
}

fn describe(part: &Value, place: &str, count: &mut usize) {
    if let Some(properties) = part.get("properties").and_then(Value::as_object) {
        for (key, property) in properties {
            let text = property.get("description").and_then(Value::as_str);
            let place = format!("{place}.{key}");
            assert!(
                text.is_some_and(|text| text.len() > 3),
                "{place}: {property}"
            );
            *count += 1;
        }
    }
    match part {
        Value::Object(inner) => {
            for (key, inner) in inner {
                describe(inner, &format!("{place}/{key}"), count);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| describe(item, place, count)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn what_is_unknown_missing_doubled_or_mistyped_is_refused() {
    let schema = schema();
    assert_eq!(accepts(&schema, &parsed(GOOD)), Ok(()));
    for (good, bad) in [
        ("path_prefix", "path_prefx"),
        ("address", "underscores = \"drop\" #"),
        ("path_prefix", "respond = {}\npath_prefix"),
        ("pool = \"orders\"", ""),
        ("path_prefix", "priority = \"high\"\npath_prefix"),
        ("path_prefix", "retry = true\npath_prefix"),
    ] {
        let text = GOOD.replace(good, bad);
        assert!(accepts(&schema, &parsed(&text)).is_err(), "{text}");
    }
    let off = GOOD.replace("path_prefix", "retry = false\npath_prefix");
    assert_eq!(accepts(&schema, &parsed(&off)), Ok(()));
}
