//! `GET /openapi.json`: the OpenAPI 3.1 document, generated from the table of routes and the types that handlers read and write.

use std::collections::{BTreeMap, BTreeSet};

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

use super::access::PUBLIC_ROUTES;
use super::operation::{Content, Operation, RequestBodySpec, ResponseSpec, SchemaOf};
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

/// What is the same wherever it stands in the document.
const COMPONENTS: &str = "#/components/schemas/";

/// Where schemas of answers are before they have their names in the document.
const GIVEN: &str = "#/given/";

/// Answers in the one shape of errors: the status, the answer's name in the document, and when it comes.
const REFUSALS: [(u16, &str, &str); 11] = [
    (400, "Invalid", "The request is wrong; `path` points at what is."),
    (401, "Unauthorized", "The admin token is missing or wrong."),
    (403, "ForeignOrigin", "A web page of another origin asks."),
    (404, "NotFound", "What the path or the request names does not exist."),
    (408, "TooSlow", "The body did not come in time."),
    (409, "Conflict", "It contradicts what there is; nothing is changed."),
    (413, "TooLarge", "The body is too large."),
    (415, "Encoded", "The body has a Content-Encoding."),
    (421, "ForeignHost", "Without a token, `Host` must be this machine."),
    (429, "TooMany", "Too many such calls are open."),
    (503, "Stopping", "The simulator is stopping."),
];

/// The parameters that stand in paths: name, meaning, schema, and one that exists.
fn path_parameters() -> [(&'static str, &'static str, SchemaOf, Value); 4] {
    [
        ("customer_id", "The customer.", SchemaGenerator::subschema_for::<CustomerId>, json!("demo")),
        (
            "name",
            "The rule's name.",
            |_| json_schema!({ "type": "string", "minLength": 1, "maxLength": 64, "pattern": r"^[^/\n]*$" }),
            json!("busy-twice"),
        ),
        ("id", "The entry's number.", |_| json_schema!({ "type": "integer", "minimum": 1 }), json!(1)),
        ("nik", "The identity's NIK.", SchemaGenerator::subschema_for::<NikText>, json!("3174055708909001")),
    ]
}

/// The document. With a `token` all routes but a few ask for it.
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
        schemas.parameters_in(path, item);
    }
    let responses = REFUSALS
        .iter()
        .map(|refusal| ((refusal.1).to_owned(), schemas.refusal(refusal)))
        .collect::<Map<_, _>>();
    let mut document = json!({
        "openapi": VERSION,
        "info": {
            "title": "dukcapil-fr-sim admin API",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Steers a simulator of the Dukcapil face recognition 1:N endpoint, and asks it what happened. \
                Instants in answers are RFC 3339 in Asia/Jakarta.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "jsonSchemaDialect": "https://json-schema.org/draft/2020-12/schema",
        "servers": [{ "url": "/" }],
        "security": if token { json!([{ "token": [] }]) } else { json!([]) },
        "tags": tags(operations),
        "paths": paths,
        "components": {
            "securitySchemes": {
                "token": { "type": "http", "scheme": "bearer", "description": "The token of --admin-token, where there is one." },
            },
            "responses": responses,
        },
    });
    document["components"]["schemas"] = schemas.named(&mut document);
    document
}

fn tags(operations: &[Operation]) -> Value {
    let mut tags: Vec<_> = operations.iter().map(|operation| operation.tag).collect();
    tags.dedup();
    tags.into_iter().map(|tag| json!({ "name": tag })).collect()
}

/// Schemas of what is taken and of what is given: a type that is both may look different, because what has a default need not be
/// sent and is always answered.
struct Schemas {
    taken: SchemaGenerator,
    given: SchemaGenerator,
}

impl Schemas {
    fn new() -> Schemas {
        let settings = |path: &'static str| {
            let settings =
                SchemaSettings::draft2020_12().with(|settings| settings.definitions_path = path.into());
            settings.with_transform(RecursiveTransform(without_empty_default))
        };
        Schemas {
            taken: settings("/components/schemas").for_deserialize().into_generator(),
            given: settings("/given").for_serialize().into_generator(),
        }
    }

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

    /// The members of a query's type, one parameter each.
    fn query(&mut self, query: SchemaOf) -> Value {
        let mut schema = query(&mut self.taken);
        let required = schema.remove("required").unwrap_or_default();
        let is_required =
            |name: &str| required.as_array().is_some_and(|names| names.iter().any(|one| one == name));
        let properties = schema.remove("properties").unwrap_or_default();
        let parameter = |(name, property): (&String, &Value)| {
            let mut schema = Schema::try_from(property.clone()).unwrap_or_default();
            // A query has no null.
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

    fn body(&mut self, body: &RequestBodySpec) -> Value {
        let content = body.contents.iter().map(|Content { media_type, schema }| {
            let mut content = json!({ "schema": schema(&mut self.taken) });
            if let Some(example) = body.example.as_ref().filter(|_| media_type.ends_with("json")) {
                content["example"] = example.clone();
            }
            ((*media_type).to_owned(), content)
        });
        let content = content.collect::<Map<_, _>>();
        json!({ "required": !body.optional, "content": content })
    }

    /// Its own answers, and those that every operation of its kind gives.
    fn responses(&mut self, operation: &Operation) -> Value {
        let mut responses = BTreeMap::new();
        for status in statuses(operation) {
            let refusal = REFUSALS.iter().find(|refusal| refusal.0 == status);
            let name = refusal.map_or("", |refusal| refusal.1);
            responses.insert(status, json!({ "$ref": format!("#/components/responses/{name}") }));
        }
        for answer in &operation.answers {
            responses
                .insert(answer.status, self.answer(answer, statuses(operation).contains(&answer.status)));
        }
        responses.into_iter().map(|(status, response)| (status.to_string(), response)).collect()
    }

    /// `or_error`: the status is also one of the errors of its kind.
    fn answer(&mut self, answer: &ResponseSpec, or_error: bool) -> Value {
        let ResponseSpec { status, content: Content { media_type, schema }, header } = answer;
        let mut schema = schema(&mut self.given).to_value();
        if or_error {
            schema = json!({ "anyOf": [schema, self.given.subschema_for::<ErrorAnswer>()] });
        }
        let description = match status {
            200 => "Done.",
            201 => "Made.",
            _ => "Not so; `error` says what differs.",
        };
        let mut described =
            json!({ "description": description, "content": { *media_type: { "schema": schema } } });
        if let Some((name, meaning)) = header {
            described["headers"] = json!({ *name: { "description": meaning, "required": true, "schema": { "type": "string" } } });
        }
        described
    }

    fn refusal(&mut self, (status, _, meaning): &(u16, &str, &str)) -> Value {
        let content =
            Content { media_type: "application/json", schema: SchemaGenerator::subschema_for::<ErrorAnswer> };
        let header = (*status == 401).then_some(("WWW-Authenticate", "Bearer."));
        let mut described = self.answer(&ResponseSpec { status: *status, content, header }, false);
        described["description"] = json!(meaning);
        described
    }

    /// The parameters that a path has.
    fn parameters_in(&mut self, path: &str, item: &mut Value) {
        let there = path_parameters().into_iter().filter(|(name, ..)| path.contains(&format!("{{{name}}}")));
        let parameters: Vec<_> = there
            .map(|(name, description, schema, example)| {
                let schema = schema(&mut self.taken);
                json!({
                    "name": name, "in": "path", "required": true, "description": description, "schema": schema, "example": example,
                })
            })
            .collect();
        if !parameters.is_empty() {
            item["parameters"] = parameters.into();
        }
    }

    /// All schemas by their names, with references to them in the document. The answered form of a type has its own name where
    /// it differs.
    fn named(mut self, document: &mut Value) -> Value {
        let mut schemas = self.taken.take_definitions(true);
        let mut given = self.given.take_definitions(true);
        let differing = differing(&schemas, &given);
        let name = |name: &str| {
            if differing.contains(name) { format!("{name}Output") } else { name.to_owned() }
        };
        let mut rename = |reference: &mut String| {
            if let Some(old) = reference.strip_prefix(GIVEN) {
                *reference = format!("{COMPONENTS}{}", name(old));
            }
        };
        each_reference(document, &mut rename);
        given.values_mut().for_each(|schema| each_reference(schema, &mut rename));
        schemas.extend(given.into_iter().map(|(old, schema)| (name(&old), schema)));
        schemas.sort_keys();
        schemas.into()
    }
}

/// That nothing is there by default needs no saying, and null would often be refused.
fn without_empty_default(schema: &mut Schema) {
    if schema.get("default").is_some_and(Value::is_null) {
        schema.remove("default");
    }
}

/// Statuses of answers in the one shape of errors.
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
    statuses.extend(&operation.refusals);
    statuses
}

/// Names of types that look different in requests and in answers: in themselves, or because of what they refer to.
fn differing(taken: &Map<String, Value>, given: &Map<String, Value>) -> BTreeSet<String> {
    let mut references: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let mut differing = BTreeSet::new();
    for (name, schema) in given.iter().filter(|(name, _)| taken.contains_key(*name)) {
        let mut schema = schema.clone();
        each_reference(&mut schema, &mut |reference| {
            if let Some(other) = reference.strip_prefix(GIVEN).map(str::to_owned) {
                *reference = format!("{COMPONENTS}{other}");
                references.entry(name).or_default().insert(other);
            }
        });
        if taken.get(name) != Some(&schema) {
            differing.insert(name.clone());
        }
    }
    loop {
        let more = references.iter().filter(|(_, others)| !others.is_disjoint(&differing));
        let more: Vec<_> =
            more.map(|(name, _)| (*name).to_owned()).filter(|name| !differing.contains(name)).collect();
        if more.is_empty() {
            return differing;
        }
        differing.extend(more);
    }
}

/// Lets every `$ref` in a value be changed.
fn each_reference(value: &mut Value, change: &mut impl FnMut(&mut String)) {
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                match member {
                    Value::String(reference) if name == "$ref" => change(reference),
                    member => each_reference(member, change),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_reference(item, change)),
        _ => {}
    }
}
