//! The file as a JSON Schema (draft 2020-12), for editors, from the definitions themselves.
//!
//! It is looser than `check`: the format of a text, and rules across tables, are tested there
//! alone. It never refuses a file that `check` accepts.

use serde_json::{Map, Value, json};

use super::Config;
use crate::config::setting::{Form, KeyDoc, Table, elsewhere};

/// Writes the schema of `proxy.toml`.
pub fn json_schema() -> Value {
    let mut schema = table(Config::keys());
    schema.insert(
        "$schema".to_owned(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    schema.insert(
        "$defs".to_owned(),
        json!({ "elsewhere": elsewhere::schema() }),
    );
    schema.insert("title".to_owned(), "proxy.toml of Sluicegate".into());
    Value::Object(schema)
}

fn table(keys: Vec<KeyDoc>) -> Map<String, Value> {
    let names = |wanted: fn(&KeyDoc) -> bool| -> Vec<&'static str> {
        let keys = keys.iter().filter(|key| wanted(key));
        keys.map(|key| key.name).collect()
    };
    let required = names(|key| key.default.is_none() && !key.choice);
    let choice = names(|key| key.default.is_none() && key.choice);
    let properties: Map<String, Value> = keys
        .into_iter()
        .map(|key| (key.name.to_owned(), property(key)))
        .collect();
    let mut schema = Map::new();
    schema.insert("type".to_owned(), "object".into());
    schema.insert("properties".to_owned(), Value::Object(properties));
    schema.insert("additionalProperties".to_owned(), false.into());
    if !required.is_empty() {
        schema.insert("required".to_owned(), required.into());
    }
    if !choice.is_empty() {
        let one = |name| json!({ "required": [name] });
        let each: Vec<Value> = choice.into_iter().map(one).collect();
        schema.insert("oneOf".to_owned(), each.into());
    }
    schema
}

/// Any string may be kept in the environment or in a file.
fn kept_elsewhere() -> Value {
    json!({ "$ref": "#/$defs/elsewhere" })
}

fn property(key: KeyDoc) -> Value {
    let mut schema = form(key.form);
    let doc = key.doc.split_whitespace().collect::<Vec<_>>().join(" ");
    schema.insert("description".to_owned(), doc.into());
    if let Some(default) = key.default.filter(|default| !default.is_null()) {
        schema.insert("default".to_owned(), default);
    }
    Value::Object(schema)
}

fn form(form: Form) -> Map<String, Value> {
    let nested = |form| Value::Object(self::form(form));
    let schema = match form {
        Form::Any => json!({}),
        Form::Boolean => json!({ "type": "boolean" }),
        Form::Off => json!({ "const": false }),
        Form::Integer => json!({ "type": "integer" }),
        Form::Number => json!({ "type": "number" }),
        Form::Text => json!({ "anyOf": [{ "type": "string" }, kept_elsewhere()] }),
        Form::Words(words) => json!({ "anyOf": [{ "enum": words }, kept_elsewhere()] }),
        Form::List(item) => json!({ "type": "array", "items": nested(*item) }),
        Form::Map(value) => json!({ "type": "object", "additionalProperties": nested(*value) }),
        Form::Table(keys) => return table(keys()),
        Form::Part(keys) => {
            let mut part = table(keys());
            part.remove("required");
            part.remove("oneOf");
            return part;
        }
        Form::Either(forms) => {
            json!({ "anyOf": forms.into_iter().map(nested).collect::<Vec<_>>() })
        }
    };
    match schema {
        Value::Object(schema) => schema,
        _ => Map::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_says_how_it_is_written() {
        fn look(schema: &Value, path: &str) {
            let says = ["type", "enum", "const", "anyOf", "$ref"];
            assert!(says.iter().any(|key| schema.get(key).is_some()), "{path}");
            let properties = schema.get("properties").and_then(Value::as_object);
            for (name, property) in properties.into_iter().flatten() {
                look(property, &format!("{path}.{name}"));
                assert!(property["description"].is_string(), "{path}.{name}");
            }
            let any = schema.get("anyOf").and_then(Value::as_array);
            for form in any.into_iter().flatten() {
                look(form, path);
            }
            for inner in ["items", "additionalProperties"] {
                if let Some(inner) = schema.get(inner).filter(|inner| inner.is_object()) {
                    look(inner, &format!("{path}[]"));
                }
            }
        }
        look(&json_schema(), "");
    }

    #[test]
    fn keys_are_closed_required_and_chosen_as_in_the_definitions() {
        let schema = json_schema();
        let route = &schema["properties"]["routes"]["additionalProperties"];
        assert_eq!(route["additionalProperties"], false);
        let choice = ["pool", "split", "rollout", "redirect", "respond"];
        let choice: Vec<Value> = choice
            .iter()
            .map(|key| json!({ "required": [key] }))
            .collect();
        assert_eq!(route["oneOf"], json!(choice));
        let retry = &route["properties"]["retry"]["anyOf"];
        assert_eq!(retry[1], json!({ "const": false }));
        let listener = &schema["properties"]["listeners"]["additionalProperties"];
        assert_eq!(listener["required"], json!(["address"]));
        let log = &schema["properties"]["log"]["properties"]["format"];
        assert_eq!(log["anyOf"][0]["enum"], json!(["text", "json"]));
        assert_eq!(log["default"], "text");
    }
}
