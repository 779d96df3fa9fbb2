//! The OpenAPI 3.1 document of this service, from the types that it reads and writes.

use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

use crate::{api::Endpoint, problem::Problem};

pub(crate) fn document(endpoints: &[Endpoint]) -> Value {
    // A schema of OpenAPI 3.1 is one of JSON Schema 2020-12; only where parts of it lie is OpenAPI's.
    let mut schemas = SchemaSettings::draft2020_12()
        .with(|settings| {
            settings.definitions_path = "/components/schemas".into();
            settings.meta_schema = None;
        })
        .into_generator();
    let content = |kind: &str, schema: Value| json!({ kind: { "schema": schema } });
    let mut paths = json!({});
    for endpoint in endpoints {
        let mut operation = json!({ "operationId": endpoint.name, "summary": endpoint.summary });
        if endpoint.is_open {
            operation["security"] = json!([{}, { "token": [] }]);
        }
        if let Some(body) = endpoint.body {
            let body = content("application/json", body(&mut schemas).to_value());
            operation["requestBody"] = json!({ "required": true, "content": body });
        }
        for (status, description, answer) in &endpoint.answers {
            let body = content("application/json", answer(&mut schemas).to_value());
            operation["responses"][status.as_str()] = json!({ "description": description, "content": body });
        }
        operation["responses"]["default"] = json!({ "$ref": "#/components/responses/Problem" });
        paths[endpoint.path][endpoint.method.as_str().to_lowercase()] = operation;
        if endpoint.path.contains("{id}") {
            paths[endpoint.path]["parameters"] =
                json!([{ "name": "id", "in": "path", "required": true, "schema": { "type": "string" } }]);
        }
    }
    let problem = content("application/problem+json", schemas.subschema_for::<Problem>().to_value());
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Rollouts of models",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Rollouts that are driven by this service: start them, see where they are, ask things of them.",
        },
        "security": [{ "token": [] }],
        "paths": paths,
        "components": {
            "schemas": schemas.take_definitions(true),
            "responses": {
                "Problem": { "description": "It was not done, and why (RFC 9457).", "content": problem },
            },
            "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
        },
    })
}
