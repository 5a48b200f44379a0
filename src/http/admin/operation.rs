//! One operation of the admin API, as data: its route, request body and responses. [`routes`](super::routes) has the table of
//! all operations.

use actix_web::body::BoxBody;
use actix_web::http::Method;
use actix_web::middleware::{Next, from_fn};
use actix_web::{FromRequest, Handler, Responder, Route, guard, web};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

use super::audit::{self, AuditedChange};
use crate::state::change::ChangedPart;

/// Returns a schema; adds the schemas it refers to to the generator.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Media type and schema of a body.
#[derive(Clone, Copy)]
pub struct Content {
    pub media_type: &'static str,
    pub schema: SchemaOf,
}

/// Request body of an operation.
#[derive(Default)]
pub struct RequestBodySpec {
    /// Accepted media types; empty: no body.
    pub contents: Vec<Content>,
    /// Whether the body may be empty.
    pub optional: bool,
    /// A valid body.
    pub example: Option<Value>,
}

/// Response of an operation.
pub struct ResponseSpec {
    pub status: u16,
    pub content: Content,
    /// A response header: name and description.
    pub header: Option<(&'static str, &'static str)>,
}

/// One method of one route.
pub struct Operation {
    pub method: Method,
    pub path: &'static str,
    /// OpenAPI `operationId`: the function name in generated clients.
    pub id: &'static str,
    /// OpenAPI summary: one sentence.
    pub summary: &'static str,
    /// OpenAPI tag.
    pub tag: &'static str,
    pub query: Option<SchemaOf>,
    pub body: RequestBodySpec,
    /// Responses of this operation, without the common error responses.
    pub responses: Vec<ResponseSpec>,
    /// Statuses of error responses, in addition to the common ones.
    pub error_statuses: Vec<u16>,
    /// What it changes, for the audit; `None`: nothing.
    pub changes: Option<ChangedPart>,
    /// Whether it takes the turn of changes itself, behind what takes long.
    pub takes_turn: bool,
    route: Box<dyn Fn() -> Route>,
}

const JSON: &str = "application/json";

impl Operation {
    /// Creates an operation without body and responses.
    pub fn new<F, Args>(
        method: Method,
        path: &'static str,
        id: &'static str,
        handler: F,
        summary: &'static str,
    ) -> Operation
    where
        F: Handler<Args>,
        Args: FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        let route_method = method.clone();
        Operation {
            method,
            path,
            id,
            summary,
            tag: "",
            query: None,
            body: RequestBodySpec::default(),
            responses: Vec::new(),
            error_statuses: Vec::new(),
            changes: None,
            takes_turn: false,
            route: Box::new(move || {
                let method = guard::Any(guard::Method(route_method.clone()));
                // HEAD is answered wherever GET is; the server leaves the body out.
                let is_get = route_method == Method::GET;
                let method = if is_get { method.or(guard::Head()) } else { method };
                web::route().guard(method).to(handler.clone())
            }),
        }
    }

    /// Sets the tag.
    #[must_use]
    pub fn tagged(self, tag: &'static str) -> Operation {
        Operation { tag, ..self }
    }

    /// Returns the actix route. What changes something is reported by it.
    #[must_use]
    pub fn route(&self) -> Route {
        let route = (self.route)();
        match self.changes {
            Some(what) => {
                let has_body = !self.body.contents.is_empty();
                let audited = AuditedChange { what, has_body, takes_turn: self.takes_turn };
                route.wrap(from_fn(move |req, next: Next<BoxBody>| audit::report(audited, req, next)))
            }
            None => route,
        }
    }

    /// Sets what the operation changes.
    pub fn changes(self, what: ChangedPart) -> Operation {
        Operation { changes: Some(what), ..self }
    }

    /// Says that the operation takes the turn of changes itself.
    pub fn takes_turn(self) -> Operation {
        Operation { takes_turn: true, ..self }
    }

    /// Accepts the members of `T` as query parameters.
    pub fn query<T: JsonSchema>(self) -> Operation {
        Operation { query: Some(T::json_schema), ..self }
    }

    /// Requires a `T` as JSON.
    pub fn request_body<T: JsonSchema>(self, example: Value) -> Operation {
        self.accepts(JSON, SchemaGenerator::subschema_for::<T>).example(example)
    }

    /// Accepts a `T` as JSON, or an empty body.
    pub fn optional_body<T: JsonSchema>(mut self, example: Value) -> Operation {
        self.body.optional = true;
        self.request_body::<T>(example)
    }

    /// Accepts a body of this media type.
    pub fn accepts(mut self, media_type: &'static str, schema: SchemaOf) -> Operation {
        self.body.contents.push(Content { media_type, schema });
        self
    }

    /// Sets the example: a valid body.
    pub fn example(mut self, example: Value) -> Operation {
        self.body.example = Some(example);
        self
    }

    /// Responds 200 with a `T` as JSON.
    pub fn ok<T: JsonSchema>(self) -> Operation {
        self.response::<T>(200)
    }

    /// Responds with a `T` as JSON.
    pub fn response<T: JsonSchema>(self, status: u16) -> Operation {
        self.add_response(status, JSON, SchemaGenerator::subschema_for::<T>)
    }

    /// Responds 200 with text that is not JSON.
    pub fn ok_text(self, media_type: &'static str) -> Operation {
        self.add_response(200, media_type, SchemaGenerator::subschema_for::<String>)
    }

    /// Responds 200 with bytes.
    pub fn ok_bytes(self, media_type: &'static str) -> Operation {
        self.add_response(200, media_type, |_| Schema::default())
    }

    fn add_response(mut self, status: u16, media_type: &'static str, schema: SchemaOf) -> Operation {
        self.responses.push(ResponseSpec { status, content: Content { media_type, schema }, header: None });
        self
    }

    /// Adds a header to the last response.
    pub fn with_header(mut self, name: &'static str, description: &'static str) -> Operation {
        if let Some(response) = self.responses.last_mut() {
            response.header = Some((name, description));
        }
        self
    }

    /// Adds error responses with these statuses.
    pub fn errors(self, statuses: &[u16]) -> Operation {
        Operation { error_statuses: statuses.to_vec(), ..self }
    }
}
