//! The OpenAPI document, made from the table of the router and the types of the answers.

use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    entries::ENTRIES,
    model::{Error, MaintenanceRequest, Purge, ReloadReport, UpgradeReport, UpgradeRequest},
    operations::ExplainRequest,
    router::{Access, Action, Answer, Entry, Verb},
};

/// The document.
pub(super) fn document() -> Value {
    let settings = SchemaSettings::draft2020_12().for_serialize();
    let settings = settings.with(|settings| {
        settings.definitions_path = SCHEMAS.into();
        settings.meta_schema = None;
    });
    let mut schemas = settings.into_generator();
    let mut paths = Map::new();
    for entry in ENTRIES {
        let path = paths
            .entry(entry.path)
            .or_insert_with(|| Value::Object(Map::new()));
        path[entry.verb.name().to_ascii_lowercase()] = operation(entry, &mut schemas);
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Sluicegate admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Errors are JSON objects with the member `error`. Reading needs no token from the proxy's own machine.",
        },
        "paths": paths,
        "components": {
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
            "schemas": schemas.take_definitions(true),
        },
    })
}

fn operation(entry: &Entry, schemas: &mut SchemaGenerator) -> Value {
    let mut operation = json!({
        "summary": entry.summary,
        "operationId": operation_id(entry),
        "responses": responses(entry, schemas),
    });
    let parameters = parameters(entry);
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = request_body(entry.action) {
        operation["requestBody"] = body;
    }
    operation["security"] = match entry.access {
        Access::Open => json!([]),
        Access::Read => json!([{ "token": [] }, {}]),
        Access::Change => json!([{ "token": [] }]),
    };
    operation
}

/// `post_pools_pool_endpoints_address_drain`.
fn operation_id(entry: &Entry) -> String {
    let mut id = entry.verb.name().to_ascii_lowercase();
    let words = entry.path.split(['/', '{', '}', '.']);
    for word in words.filter(|word| !word.is_empty()) {
        id.push('_');
        id.push_str(word);
    }
    id
}

fn parameters(entry: &Entry) -> Vec<Value> {
    let mut parameters: Vec<Value> = entry
        .parameters()
        .map(|name| {
            json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } })
        })
        .collect();
    parameters.extend(query(entry.action));
    parameters
}

/// Parameters of the query.
fn query(action: Action) -> Vec<Value> {
    let of = |name: &str, of_type: &str| json!({ "name": name, "in": "query", "schema": { "type": of_type } });
    let last = || {
        let schema = json!({ "type": "integer", "minimum": 0, "default": 100 });
        json!({ "name": "last", "in": "query", "schema": schema, "description": "At most 1000 are sent." })
    };
    match action {
        Action::Connections => {
            let mut all = vec![of("generation", "integer")];
            all.extend(["route", "pool", "endpoint"].map(|name| of(name, "string")));
            all
        }
        Action::Origins => vec![of("place", "string"), of("all", "boolean")],
        Action::Check | Action::Diff => vec![of("against_live", "boolean")],
        Action::Reload => vec![of("force", "boolean")],
        Action::Requests => vec![last()],
        Action::Events => {
            let schema = json!({ "type": "string", "examples": ["1s"] });
            let overview = json!({
                "name": "overview",
                "in": "query",
                "description": "Interval from 1s to 60s at which the stream also has the overview, \
                                as events of that kind.",
                "schema": schema,
            });
            vec![last(), overview]
        }
        _ => Vec::new(),
    }
}

fn request_body(action: Action) -> Option<Value> {
    let content = match action {
        Action::Explain => json_in_place::<ExplainRequest>(),
        Action::Maintenance => json_in_place::<MaintenanceRequest>(),
        Action::PurgeCache => json_in_place::<Purge>(),
        Action::Upgrade => {
            let content = json_in_place::<UpgradeRequest>();
            return Some(json!({ "required": false, "content": content }));
        }
        Action::Check | Action::Diff => {
            json!({ "application/toml": { "schema": { "type": "string" } } })
        }
        _ => return None,
    };
    Some(json!({ "required": true, "content": content }))
}

/// JSON content of this type, with its definitions in place: what may be left out of a request is not
/// what is missing in answers.
fn json_in_place<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let schema = settings.into_generator().into_root_schema_for::<T>();
    json!({ JSON: { "schema": schema } })
}

fn responses(entry: &Entry, schemas: &mut SchemaGenerator) -> Value {
    let content = match entry.answer {
        Answer::Text(media_type) => json!({ media_type: { "schema": { "type": "string" } } }),
        Answer::Json(schema) => json!({ JSON: { "schema": schema(schemas) } }),
        Answer::Events(schema) => json!({
            "text/event-stream": { "schema": { "type": "string" } },
            JSON: { "schema": { "type": "array", "items": schema(schemas) } },
        }),
    };
    let mut responses = Map::new();
    let mut add = |status: &str, description: &str, content: Value| {
        let response = json!({ "description": description, "content": content });
        responses.insert(status.to_owned(), response);
    };
    let error = json_of::<Error>(schemas);
    let mut fails = |status: &str, description: &str| add(status, description, error.clone());
    if entry.access != Access::Open {
        fails("401", "The token is missing or wrong");
        fails("403", "Not allowed from there, or no token is configured");
        fails("421", "Host is a name that the proxy cannot trust");
        fails("429", "The address has asked too often");
    }
    if entry.parameters().next().is_some() {
        fails("404", "There is nothing of that name");
    }
    if entry.verb == Verb::Post {
        match entry.action {
            Action::Explain | Action::Check | Action::Diff => {}
            _ => fails("409", "It was not done; the body says why"),
        }
    }
    let has_body = request_body(entry.action).is_some();
    if has_body {
        fails("408", "The body did not arrive in time");
        fails("413", "The body is larger than 1 MiB");
    }
    if has_body || !query(entry.action).is_empty() {
        fails("400", "The body or a parameter of the query is malformed");
    }
    match entry.action {
        Action::Events => fails("503", "Too many clients watch events already"),
        Action::Live | Action::Ready => add("503", "Not now", content.clone()),
        Action::Reload | Action::Upgrade => {
            let report = match entry.action {
                Action::Reload => schemas.subschema_for::<ReloadReport>(),
                _ => schemas.subschema_for::<UpgradeReport>(),
            };
            let schema = json!({ "anyOf": [
                report,
                schemas.subschema_for::<Error>(),
            ] });
            let content = json!({ JSON: { "schema": schema } });
            add("409", "It was refused; the body says why", content);
        }
        _ => {}
    }
    add("200", "Done", content);
    Value::Object(responses)
}

/// JSON content of this type.
fn json_of<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Value {
    json!({ JSON: { "schema": schemas.subschema_for::<T>() } })
}

const JSON: &str = "application/json";

/// Path of the definitions in the document.
const SCHEMAS: &str = "/components/schemas";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_can_be_sent_malformed_says_so_and_in_which_form_it_goes() {
        let document = document();
        for (path, parameter) in [
            ("/reload", Some("force")),
            ("/check", Some("against_live")),
            ("/diff", Some("against_live")),
            ("/explain", None),
            ("/maintenance", None),
            ("/cache/purge", None),
        ] {
            let operation = &document["paths"][path]["post"];
            assert!(operation["responses"]["400"].is_object(), "{path}");
            match parameter {
                Some(name) => assert_eq!(operation["parameters"][0]["name"], name),
                None => assert!(operation["requestBody"].is_object(), "{path}"),
            }
        }
        for path in ["/config/origins", "/connections", "/requests", "/events"] {
            let operation = &document["paths"][path]["get"];
            assert!(operation["responses"]["400"].is_object(), "{path}");
        }
    }
}
