//! `GET /openapi.json`: the OpenAPI 3.1 document, generated from the route table and the request and response types of handlers.
//!
//! Each type's schema is generated twice (schemars), as a request and as a response. A type whose two schemas differ has a second name
//! for the response: `...Output`.

use std::collections::{BTreeMap, BTreeSet};

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::access::PUBLIC_ROUTES;
use super::operation::{Content, Operation, RequestBodySpec, ResponseSpec, SchemaOf};
use super::shared::WITHOUT_STORE;
use crate::base::json_schema;
use crate::config::CustomerId;
use crate::config::model::NikText;
use crate::http::api_error::ErrorAnswer;

/// An OpenAPI document.
pub struct Document;

impl JsonSchema for Document {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "OpenApi".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "object",
            "description": "An OpenAPI document.",
            "required": ["openapi", "info", "paths", "components"],
            "properties": { "openapi": { "const": VERSION } },
        })
    }
}

const VERSION: &str = "3.1.0";

/// Error responses: status, component name in the document, description.
const ERRORS: [(u16, &str, &str); 11] = [
    (400, "Invalid", "The request is invalid; `path` points to the invalid value."),
    (401, "Unauthorized", "The admin token is missing or wrong."),
    (403, "ForeignOrigin", "The request comes from a web page of another origin."),
    (404, "NotFound", "A resource named in the path, the query or the body does not exist."),
    (408, "TooSlow", "The body did not arrive in time."),
    (409, "Conflict", "The request conflicts with the current state; nothing has changed."),
    (413, "TooLarge", "The body is too large."),
    (415, "Encoded", "The body has a Content-Encoding."),
    (421, "ForeignHost", "Without an admin token, `Host` must be this machine."),
    (429, "TooMany", "Too many calls of this kind are open."),
    (
        503,
        "Unavailable",
        "The simulator is stopping, the store that it shares with others cannot be used, or its face engine fails or is not done with the gallery.",
    ),
];

/// Path parameters: name, description, schema, example value.
fn path_parameters() -> [(&'static str, &'static str, SchemaOf, Value); 4] {
    [
        ("customer_id", "Customer id.", SchemaGenerator::subschema_for::<CustomerId>, json!("demo")),
        (
            "name",
            "Rule name.",
            |_| json_schema!({ "type": "string", "minLength": 1, "maxLength": 64 }),
            json!("busy-twice"),
        ),
        ("id", "Entry id.", |_| json_schema!({ "type": "integer", "minimum": 1 }), json!(1)),
        ("nik", "NIK of the identity.", SchemaGenerator::subschema_for::<NikText>, json!("3174055708909001")),
    ]
}

/// Builds the document. With a `token`, all routes except [`PUBLIC_ROUTES`] require it.
#[must_use]
pub fn document(operations: &[Operation], token: bool) -> Value {
    let mut schemas = Schemas::new();
    let mut paths = Map::new();
    for operation in operations {
        let described = schemas.operation(operation);
        let path = paths.entry(operation.path).or_insert_with(|| json!({}));
        path[operation.method.as_str().to_lowercase()] = described;
    }
    for (path, item) in &mut paths {
        schemas.add_path_parameters(path, item);
    }
    let responses = ERRORS
        .iter()
        .map(|error| ((error.1).to_owned(), schemas.error_response(error)))
        .collect::<Map<_, _>>();
    json!({
        "openapi": VERSION,
        "info": {
            "title": "dukcapil-fr-sim admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Controls a simulator of the Dukcapil face recognition 1:N endpoint and reports what it received. \
                Timestamps in responses are RFC 3339 in Asia/Jakarta.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{ "url": "/" }],
        "security": if token { json!([{ "token": [] }]) } else { json!([]) },
        "tags": tags(operations),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "The token of --admin-token or one of --admin-token-file, if set." },
            },
            "responses": responses,
            "schemas": schemas.into_components(),
        },
    })
}

fn tags(operations: &[Operation]) -> Value {
    let mut tags: Vec<_> = operations.iter().map(|operation| operation.tag).collect();
    tags.dedup();
    tags.into_iter().map(|tag| json!({ "name": tag })).collect()
}

/// Describes operations, and collects the schema of each type in them. There is one schema per type, in the form of a request: a member
/// with a default is optional, in a response too, where it is always present.
struct Schemas(SchemaGenerator);

impl Schemas {
    fn new() -> Schemas {
        let settings = SchemaSettings::draft2020_12().for_deserialize();
        let settings = settings.with(|settings| settings.definitions_path = "/components/schemas".into());
        Schemas(settings.with_transform(RecursiveTransform(without_empty_default)).into_generator())
    }

    /// Returns the operation object.
    fn operation(&mut self, operation: &Operation) -> Value {
        let mut described = json!({
            "operationId": operation.id,
            "summary": operation.summary,
            "tags": [operation.tag],
        });
        if PUBLIC_ROUTES.contains(&operation.path) {
            described["security"] = json!([]);
        }
        if let Some(query) = operation.query {
            described["parameters"] = self.query(query);
        }
        if !operation.body.contents.is_empty() {
            described["requestBody"] = self.body(&operation.body);
        }
        described["responses"] = self.responses(operation);
        described
    }

    /// Returns the members of a query's type as parameters.
    fn query(&mut self, query: SchemaOf) -> Value {
        let mut schema = query(&mut self.0);
        let required = schema.remove("required").unwrap_or_default();
        let is_required =
            |name: &str| required.as_array().is_some_and(|names| names.iter().any(|one| one == name));
        let properties = schema.remove("properties").unwrap_or_default();
        let parameter = |(name, property): (&String, &Value)| {
            let mut schema = Schema::try_from(property.clone()).unwrap_or_default();
            // A query parameter cannot be null.
            json_schema::plain(&mut schema);
            let description = schema.remove("description").unwrap_or_default();
            json!({
                "name": name,
                "in": "query",
                "required": is_required(name),
                "description": description.as_str().unwrap_or_default(),
                "schema": schema,
            })
        };
        properties.as_object().into_iter().flatten().map(parameter).collect()
    }

    /// Returns the request body object.
    fn body(&mut self, body: &RequestBodySpec) -> Value {
        let content = body.contents.iter().map(|Content { media_type, schema }| {
            let mut content = json!({ "schema": schema(&mut self.0) });
            if let Some(example) = body.example.as_ref().filter(|_| media_type.ends_with("json")) {
                content["example"] = example.clone();
            }
            ((*media_type).to_owned(), content)
        });
        let content = content.collect::<Map<_, _>>();
        json!({ "required": !body.optional, "content": content })
    }

    /// Returns the operation's own responses and the common error responses.
    fn responses(&mut self, operation: &Operation) -> Value {
        let mut responses = BTreeMap::new();
        for status in statuses(operation) {
            let error = ERRORS.iter().find(|error| error.0 == status);
            let name = error.map_or("", |error| error.1);
            responses.insert(status, json!({ "$ref": format!("#/components/responses/{name}") }));
        }
        for response in &operation.responses {
            let or_error = statuses(operation).contains(&response.status);
            responses.insert(response.status, self.response(response, or_error));
        }
        responses.into_iter().map(|(status, response)| (status.to_string(), response)).collect()
    }

    /// Returns a response object. `or_error`: the status is also that of a common error response.
    fn response(&mut self, response: &ResponseSpec, or_error: bool) -> Value {
        let ResponseSpec { status, content: Content { media_type, schema }, header } = response;
        let mut schema = schema(&mut self.0).to_value();
        if or_error {
            schema = json!({ "anyOf": [schema, self.0.subschema_for::<ErrorAnswer>()] });
        }
        let description = match status {
            200 => "OK.",
            201 => "Created.",
            _ => "Failed; `error` says why.",
        };
        let mut described =
            json!({ "description": description, "content": { *media_type: { "schema": schema } } });
        if let Some((name, description)) = header {
            described["headers"] = json!({ *name: { "description": description, "required": true, "schema": { "type": "string" } } });
        }
        described
    }

    /// Returns an error response object.
    fn error_response(&mut self, (status, _, description): &(u16, &str, &str)) -> Value {
        let content =
            Content { media_type: "application/json", schema: SchemaGenerator::subschema_for::<ErrorAnswer> };
        let header = (*status == 401).then_some(("WWW-Authenticate", "Always `Bearer`."));
        let mut described = self.response(&ResponseSpec { status: *status, content, header }, false);
        described["description"] = json!(description);
        described
    }

    /// Adds the parameters of a path.
    fn add_path_parameters(&mut self, path: &str, item: &mut Value) {
        let used = path_parameters().into_iter().filter(|(name, ..)| path.contains(&format!("{{{name}}}")));
        let parameters: Vec<_> = used
            .map(|(name, description, schema, example)| {
                let schema = schema(&mut self.0);
                json!({
                    "name": name, "in": "path", "required": true, "description": description, "schema": schema, "example": example,
                })
            })
            .collect();
        if !parameters.is_empty() {
            item["parameters"] = parameters.into();
        }
    }

    /// Returns all schemas by name.
    fn into_components(mut self) -> Value {
        let mut schemas = self.0.take_definitions(true);
        schemas.sort_keys();
        schemas.into()
    }
}

/// Removes `"default": null`: it adds nothing, and a request with null would often be rejected.
fn without_empty_default(schema: &mut Schema) {
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
}

/// Returns the statuses of an operation's error responses.
fn statuses(operation: &Operation) -> BTreeSet<u16> {
    let mut statuses = BTreeSet::from([403, 421]);
    if !PUBLIC_ROUTES.contains(&operation.path) {
        statuses.insert(401);
    }
    if operation.query.is_some() {
        statuses.insert(400);
    }
    if !operation.body.contents.is_empty() {
        statuses.extend([400, 408, 413, 415]);
    }
    if !WITHOUT_STORE.contains(&operation.path) {
        statuses.insert(503);
    }
    statuses.extend(&operation.error_statuses);
    statuses
}
