//! JSON Schema (draft 2020-12), as far as the admin API's document uses it.

use serde_json::{Map, Value};

/// A document of schemas that refer to each other.
pub(crate) struct Schemas(Value);

impl Schemas {
    pub(crate) fn new(document: Value) -> Self {
        Self(document)
    }

    pub(crate) fn document(&self) -> &Value {
        &self.0
    }

    /// Returns every difference of a value from a schema, with its place. A member that is in no
    /// schema is a fault as well.
    pub(crate) fn faults(&self, schema: &Value, value: &Value) -> Vec<String> {
        let mut faults = Vec::new();
        self.look(schema, value, "", &mut faults);
        faults
    }

    fn look(&self, schema: &Value, value: &Value, at: &str, faults: &mut Vec<String>) {
        let Value::Object(schema) = schema else {
            assert_eq!(schema, &Value::Bool(true), "{at}: not a schema");
            return;
        };
        if let Some(Value::String(reference)) = schema.get("$ref") {
            let place = reference
                .strip_prefix('#')
                .expect("a place in the document");
            let found = self.0.pointer(place);
            let found = found.unwrap_or_else(|| panic!("{reference} is not defined"));
            self.look(found, value, at, faults);
        }
        for choice in ["anyOf", "oneOf"] {
            if let Some(Value::Array(choices)) = schema.get(choice) {
                let mut tries = choices.iter().map(|one| self.faults(one, value));
                if !tries.any(|faults| faults.is_empty()) {
                    faults.push(format!("{at}: {value} is none of {choices:?}"));
                }
            }
        }
        let types = schema.get("type").map(|types| match types {
            Value::Array(types) => types.clone(),
            one => vec![one.clone()],
        });
        if types.is_some_and(|types| !types.iter().any(|one| is_of_type(value, one))) {
            faults.push(format!("{at}: {value} is not of type {}", schema["type"]));
        }
        if let Some(Value::Array(values)) = schema.get("enum")
            && !values.contains(value)
        {
            faults.push(format!("{at}: {value} is none of {values:?}"));
        }
        if schema.get("const").is_some_and(|only| only != value) {
            faults.push(format!("{at}: {value} is not {}", schema["const"]));
        }
        match value {
            Value::Object(members) => self.members(schema, members, at, faults),
            Value::Array(items) => {
                let first = schema.get("prefixItems").and_then(Value::as_array);
                let first = first.map_or(&[][..], Vec::as_slice);
                for (number, item) in items.iter().enumerate() {
                    if let Some(one) = first.get(number).or_else(|| schema.get("items")) {
                        self.look(one, item, &format!("{at}/{number}"), faults);
                    }
                }
            }
            _ => {}
        }
    }

    fn members(
        &self,
        schema: &Map<String, Value>,
        members: &Map<String, Value>,
        at: &str,
        faults: &mut Vec<String>,
    ) {
        let required = schema.get("required").and_then(Value::as_array);
        for name in required.into_iter().flatten() {
            let name = name.as_str().expect("a name");
            if !members.contains_key(name) {
                faults.push(format!("{at}: {name} is missing"));
            }
        }
        let known = schema.get("properties").and_then(Value::as_object);
        let others = schema.get("additionalProperties");
        for (name, value) in members {
            let place = format!("{at}/{name}");
            match (known.and_then(|known| known.get(name)), others) {
                (Some(one), _) | (None, Some(one)) => self.look(one, value, &place, faults),
                (None, None) if known.is_some() => faults.push(format!("{place} is not described")),
                (None, None) => {}
            }
        }
    }
}

fn is_of_type(value: &Value, name: &Value) -> bool {
    match name.as_str().expect("the name of a type") {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("{other} is no type"),
    }
}
