//! One operation of the admin API, as data: what routes it, what it takes and what it answers. The table of all is in
//! [`routes`](super::routes).

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, Responder, Route, web};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::Value;

/// Gives a schema, and the generator those that it refers to.
pub type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// What a body holds.
#[derive(Clone, Copy)]
pub struct Content {
    pub media_type: &'static str,
    pub schema: SchemaOf,
}

/// The body that an operation takes.
#[derive(Default)]
pub struct RequestBodySpec {
    /// Empty: none. More than one: any of them.
    pub contents: Vec<Content>,
    /// Whether an empty body will do.
    pub optional: bool,
    /// A body that is understood.
    pub example: Option<Value>,
}

/// An answer that an operation gives.
pub struct ResponseSpec {
    pub status: u16,
    pub content: Content,
    /// A header that it has, and what that says.
    pub header: Option<(&'static str, &'static str)>,
}

/// One method of one route.
pub struct Operation {
    pub method: Method,
    pub path: &'static str,
    /// What generated clients call it.
    pub id: &'static str,
    /// One sentence.
    pub summary: &'static str,
    /// What it belongs to.
    pub tag: &'static str,
    pub query: Option<SchemaOf>,
    pub body: RequestBodySpec,
    /// Answers of its own; those that every operation of its kind gives are not among them.
    pub answers: Vec<ResponseSpec>,
    /// Statuses, beside those of its kind, of answers in the one shape of errors.
    pub refusals: Vec<u16>,
    route: Box<dyn Fn() -> Route>,
}

const JSON: &str = "application/json";

impl Operation {
    /// An operation that takes and answers nothing yet.
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
        let routed = method.clone();
        Operation {
            method,
            path,
            id,
            summary,
            tag: "",
            query: None,
            body: RequestBodySpec::default(),
            answers: Vec::new(),
            refusals: Vec::new(),
            route: Box::new(move || web::method(routed.clone()).to(handler.clone())),
        }
    }

    /// Belongs to a group.
    #[must_use]
    pub fn tagged(self, tag: &'static str) -> Operation {
        Operation { tag, ..self }
    }

    /// What actix serves it with.
    #[must_use]
    pub fn route(&self) -> Route {
        (self.route)()
    }

    /// Takes the members of `T` in its query.
    pub fn query<T: JsonSchema>(self) -> Operation {
        Operation { query: Some(T::json_schema), ..self }
    }

    /// Takes a `T` as JSON.
    pub fn request_body<T: JsonSchema>(self, example: Value) -> Operation {
        self.takes_also(JSON, SchemaGenerator::subschema_for::<T>).example(example)
    }

    /// Takes a `T` as JSON, or nothing.
    pub fn may_take<T: JsonSchema>(mut self, example: Value) -> Operation {
        self.body.optional = true;
        self.request_body::<T>(example)
    }

    /// Takes a body of another kind.
    pub fn takes_also(mut self, media_type: &'static str, schema: SchemaOf) -> Operation {
        self.body.contents.push(Content { media_type, schema });
        self
    }

    /// Shows a body that is understood.
    pub fn example(mut self, example: Value) -> Operation {
        self.body.example = Some(example);
        self
    }

    /// Answers a `T` with status 200.
    pub fn ok<T: JsonSchema>(self) -> Operation {
        self.response::<T>(200)
    }

    /// Answers a `T`.
    pub fn response<T: JsonSchema>(self, status: u16) -> Operation {
        self.answer(status, JSON, SchemaGenerator::subschema_for::<T>)
    }

    /// Answers 200 with what is no JSON.
    pub fn ok_text(self, media_type: &'static str) -> Operation {
        self.answer(200, media_type, SchemaGenerator::subschema_for::<String>)
    }

    /// Answers 200 with bytes.
    pub fn gives_bytes(self, media_type: &'static str) -> Operation {
        self.answer(200, media_type, |_| Schema::default())
    }

    fn answer(mut self, status: u16, media_type: &'static str, schema: SchemaOf) -> Operation {
        self.answers.push(ResponseSpec { status, content: Content { media_type, schema }, header: None });
        self
    }

    /// The answer named last has this header.
    pub fn with_header(mut self, name: &'static str, meaning: &'static str) -> Operation {
        if let Some(answer) = self.answers.last_mut() {
            answer.header = Some((name, meaning));
        }
        self
    }

    /// Answers these statuses in the one shape of errors.
    pub fn errors(self, statuses: &[u16]) -> Operation {
        Operation { refusals: statuses.to_vec(), ..self }
    }
}
