//! The OpenAPI document, made from the table of the router.

use serde_json::{Map, Value, json};

use super::router::{Access, Action, ENTRIES, Entry, Verb};

/// The document.
pub(super) fn document() -> Value {
    let mut paths = Map::new();
    for entry in ENTRIES {
        let path = paths
            .entry(entry.path)
            .or_insert_with(|| Value::Object(Map::new()));
        path[entry.verb.name().to_ascii_lowercase()] = operation(entry);
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
            "schemas": {
                "Error": {
                    "type": "object",
                    "required": ["error"],
                    "properties": { "error": { "type": "string" } },
                },
            },
        },
    })
}

fn operation(entry: &Entry) -> Value {
    let mut operation = json!({
        "summary": entry.summary,
        "operationId": operation_id(entry),
        "responses": responses(entry),
    });
    let parameters = parameters(entry);
    if !parameters.is_empty() {
        operation["parameters"] = Value::Array(parameters);
    }
    if let Some(body) = request_body(entry.action) {
        operation["requestBody"] = body;
    }
    operation["security"] = match entry.access {
        Access::Probe => json!([]),
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
    if matches!(entry.action, Action::Requests | Action::Events) {
        let schema = json!({ "type": "integer", "minimum": 0, "maximum": 1000, "default": 100 });
        parameters.push(json!({ "name": "last", "in": "query", "schema": schema }));
    }
    parameters
}

fn request_body(action: Action) -> Option<Value> {
    let content = match action {
        Action::Explain => json!({ "application/json": { "schema": {
            "type": "object",
            "required": ["url"],
            "additionalProperties": false,
            "properties": {
                "method": { "type": "string", "default": "GET" },
                "url": { "type": "string" },
                "headers": {
                    "description": "An object, or a list of [name, value] where a name comes more than once.",
                    "type": ["object", "array"],
                },
                "source": { "type": "string", "description": "IP address of the client" },
            },
        } } }),
        Action::Check | Action::Diff => {
            json!({ "application/toml": { "schema": { "type": "string" } } })
        }
        _ => return None,
    };
    Some(json!({ "required": true, "content": content }))
}

fn responses(entry: &Entry) -> Value {
    let media_type = match entry.action {
        Action::Index | Action::Metrics => "text/plain",
        Action::Events => "text/event-stream",
        _ => "application/json",
    };
    let mut responses = Map::new();
    responses.insert(
        "200".to_owned(),
        json!({ "description": "Done", "content": { media_type: {} } }),
    );
    let mut fails = |status: &str, description: &str| {
        let content =
            json!({ "application/json": { "schema": { "$ref": "#/components/schemas/Error" } } });
        let response = json!({ "description": description, "content": content });
        responses.insert(status.to_owned(), response);
    };
    if entry.access != Access::Probe {
        fails("401", "The token is missing or wrong");
        fails("403", "Not allowed from there, or no token is configured");
        fails("421", "Host is a name that the proxy cannot trust");
    }
    if entry.parameters().next().is_some() {
        fails("404", "There is nothing of that name");
    }
    if entry.verb == Verb::Post {
        match entry.action {
            Action::Explain | Action::Check | Action::Diff => {
                fails("400", "The body is malformed");
                fails("413", "The body is larger than 1 MiB");
            }
            _ => fails("409", "It was not done; the body says why"),
        }
    }
    if matches!(entry.action, Action::Live | Action::Ready | Action::Events) {
        fails("503", "Not now");
    }
    Value::Object(responses)
}
