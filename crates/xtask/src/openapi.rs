//! The OpenAPI 3.1 descriptions of a server and of an index: what generators of clients and testers of APIs read. Messages are those of
//! `spec/v1/schema/`, by reference.

use admit_protocol::digest::ContentName;
use admit_protocol::id::ScreeningId;
use admit_protocol::schema;
use serde_json::{Map, Value, json};

use crate::operations::{Answered, By, Kind, Operation, Parameter, of_indexes, of_servers};

/// The descriptions by their file names in `spec/v1/openapi/`.
pub(crate) fn all() -> Vec<(&'static str, Value)> {
    vec![
        ("server.json", description("Admit: a cinema's server", "https://kino.example", &of_servers())),
        ("index.json", description("Admit: an index", "https://index.example", &of_indexes())),
    ]
}

fn description(title: &str, origin: &str, operations: &[Operation]) -> Value {
    let mut paths = Map::new();
    let manifest = json!({
        "servers": [{"url": "{origin}", "variables": {"origin": {"default": origin}}}],
        "get": {
            "operationId": "get_well_known",
            "summary": "The manifest: who this is, and where its API is.",
            "responses": {"200": answer("A signed document.", "application/json", message("jws")), "default": problem()},
        },
    });
    paths.insert("/.well-known/admit".into(), manifest);
    for operation in operations {
        let path = paths.entry(operation.endpoint.path).or_insert_with(|| json!({}));
        path[operation.endpoint.method.to_lowercase()] = described(operation);
    }
    let mut described = json!({
        "openapi": "3.1.1",
        "info": {
            "title": title,
            "version": "1",
            "summary": "Made from the table of endpoints; what is promised is said in the pages of the specification.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{
            "url": "{origin}{api_base}",
            "description": "As the manifest says.",
            "variables": {"origin": {"default": origin}, "api_base": {"default": "/v1"}},
        }],
        "paths": paths,
    });
    if operations.iter().any(|operation| operation.by != By::Anybody) {
        described["components"] = json!({"securitySchemes": {
            "secret": {"type": "http", "scheme": "bearer", "description": "The buyer's own, made for this purchase (AUTH-001)."},
            "scanner": {"type": "http", "scheme": "bearer", "description": "The token of a scanner."},
        }});
    }
    described
}

fn described(operation: &Operation) -> Value {
    let Operation { endpoint, by, capability, asked, answered, query } = operation;
    let in_path = endpoint.path.split('/').filter_map(|s| s.strip_prefix('{')?.strip_suffix('}'));
    let mut parameters: Vec<Value> = in_path.map(path_parameter).collect();
    parameters.extend(query.iter().map(query_parameter));
    if *by == By::SecretAndKey {
        parameters.push(json!({
            "name": "Idempotency-Key", "in": "header", "required": true,
            "description": "Of one effect: the same one again gets the same answer (IDEM-001).",
            "schema": {"type": "string", "pattern": "^[!-~]{1,128}$"},
        }));
    }
    let mut said = json!({
        "operationId": endpoint.name.to_lowercase(),
        "summary": endpoint.about.trim(),
        "parameters": parameters,
        "responses": responses(*answered),
    });
    if let Some(capability) = capability {
        said["description"] = json!(format!(
            "Of the capability `{capability}`: 404 `capability_not_offered` where the manifest does not list it (HTTP-013)."
        ));
    }
    if let Some(asked) = asked {
        let content = json!({"application/json": {"schema": message(asked)}});
        said["requestBody"] = json!({"required": true, "content": content});
    }
    match by {
        By::Anybody => {}
        By::Secret | By::SecretAndKey => said["security"] = json!([{"secret": []}]),
        By::Scanner => said["security"] = json!([{"scanner": []}]),
    }
    said
}

fn responses(answered: Answered) -> Value {
    let json = |name| answer("Done.", "application/json", message(name));
    let mut responses = match answered {
        Answered::With(status, name) => json!({status.to_string(): json(name)}),
        Answered::MadeOrThere(name) => json!({"201": json(name), "200": json(name)}),
        Answered::Nothing => json!({"204": {"description": "Done."}}),
        Answered::Document(media_type, what, page) => {
            json!({"200": answer(&format!("{what}: see {page}"), media_type, json!({}))})
        }
    };
    responses["default"] = problem();
    responses
}

fn answer(about: &str, media_type: &str, schema: Value) -> Value {
    json!({"description": about, "content": {media_type: {"schema": schema}}})
}

fn problem() -> Value {
    answer("A refusal or a failure: see errors.md.", "application/problem+json", message("problem"))
}

fn message(name: &str) -> Value {
    json!({"$ref": format!("../schema/{name}.json")})
}

fn path_parameter(name: &str) -> Value {
    let schema = match name {
        "page" | "layout" | "price_table" => schema::of::<ContentName>(),
        _ => schema::of::<ScreeningId>(),
    };
    // Which kind of id it is, its name says.
    json!({"name": name, "in": "path", "required": true, "schema": {"type": "string", "pattern": schema.get("pattern")}})
}

fn query_parameter(parameter: &Parameter) -> Value {
    let schema = match parameter.of {
        Kind::Text => json!({"type": "string"}),
        Kind::Number(from, to) => json!({"type": "integer", "minimum": from, "maximum": to}),
    };
    json!({"name": parameter.name, "in": "query", "description": parameter.about, "schema": schema})
}
