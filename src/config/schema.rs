//! JSON Schema of the fixture files, for editors: keys, meanings, types, known values, ranges of numbers and examples. Structs derive
//! theirs; types parsed from text define theirs here.
//!
//! A schema accepts every valid file, and some invalid ones: the form of a text is checked by its parser only, when the file is loaded.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Value, json};

use super::faces::{BodyTemplate, EngineHeaders, EngineUrl};
use super::model::{CustomerSpec, GallerySpec, NikText, PictureName, SimulatorSpec};
use super::values::{CustomerId, Methode, PathPrefix, PathPrefixes, PlantedScore, Population};
use crate::base::duration::{DurationText, Ttl};
use crate::base::json_schema::schema_of;
use crate::base::network::AllowedNetwork;
use crate::base::pattern::{IpPattern, Pattern};
use crate::base::range::NumberRange;
use crate::base::size::Size;
use crate::domain::delay::{DelaySpec, RandomDelay};
use crate::domain::faults::Offset;
use crate::domain::matcher::face::NoFace;
use crate::domain::matcher::face_engine::VectorPath;
use crate::domain::policy::{BadImage, Check, MaxResults, NotFound, Precedence, ShapedCode};
use crate::domain::rules::{TimeOfDay, Window};
use crate::protocol::{Code, OUTCOMES};

/// Kind of a fixture file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum FileKind {
    /// customers/<customer_id>.toml
    Customer,
    /// simulator.toml
    Simulator,
    /// gallery/gallery.toml
    Gallery,
}

impl FileKind {
    /// All kinds.
    pub const ALL: [FileKind; 3] = [FileKind::Customer, FileKind::Simulator, FileKind::Gallery];

    /// Returns the file name of the schema.
    #[must_use]
    pub fn schema_name(self) -> &'static str {
        match self {
            FileKind::Customer => "customer.schema.json",
            FileKind::Simulator => "simulator.schema.json",
            FileKind::Gallery => "gallery.schema.json",
        }
    }

    /// Returns the schema, for editors.
    #[must_use]
    pub fn schema(self) -> Value {
        let (name, mut schema) = match self {
            FileKind::Customer => ("customer", schema_of::<CustomerSpec>()),
            FileKind::Simulator => ("simulator", schema_of::<SimulatorSpec>()),
            FileKind::Gallery => ("gallery", schema_of::<GallerySpec>()),
        };
        identify(name, &mut schema);
        schema
    }
}

/// Gives a schema, by its name, what editors and collections know it by, and its licence.
pub fn identify(name: &str, schema: &mut Value) {
    // A name, and no address: nothing is to be fetched.
    schema["$id"] = format!("urn:dukcapil-fr-sim:schema:{name}").into();
    schema["$comment"] = concat!("SPDX-License-Identifier: ", env!("CARGO_PKG_LICENSE")).into();
}

/// Implements `JsonSchema` for types that are not plain structs: the type, and its schema as JSON.
macro_rules! schemas {
    ($($name:ident: $schema:expr;)*) => {
        $(impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(generator: &mut SchemaGenerator) -> Schema {
                let schema: fn(&mut SchemaGenerator) -> Value = $schema;
                Schema::try_from(schema(generator)).unwrap_or_default()
            }
        })*
    };
}

/// Schema of a text whose form a parser checks: an editor gets the meaning and an example.
fn text(description: &str, example: &str) -> Value {
    json!({ "type": "string", "description": description, "examples": [example] })
}

fn codes(codes: &[Code]) -> Value {
    json!({ "type": "string", "enum": codes })
}

fn known_codes_or(description: &str, other: &Value) -> Value {
    let known = OUTCOMES.iter().map(|outcome| {
        let message = outcome.message.trim();
        json!({ "type": "string", "enum": [outcome.code], "description": format!("{message} ({})", outcome.source) })
    });
    // Each alternative has the type: a table keyed by codes is built from them.
    json!({ "description": description, "anyOf": known.chain([other.clone()]).collect::<Vec<_>>() })
}

schemas! {
    CustomerId: |_| text("1 to 64 letters, digits, - _ or ., not starting with a dot.", "demo");
    Methode: |_| text("One path segment.", "CALL_FN");
    PathPrefix: |_| text("A path; %20 is a space.", "/api/face-recognition");
    PathPrefixes: |generator| json!({
        "type": "array",
        "items": generator.subschema_for::<PathPrefix>(),
        "minItems": 1,
    });
    AllowedNetwork: |_| text("An IP address or a network in CIDR notation.", "10.0.0.0/8");
    Size: |_| json!({
        "description": "A number of bytes, or text with a unit: KiB, MiB, GiB (powers of 1024); KB, MB, GB (powers of 1000).",
        "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "string" }],
        "examples": ["8MiB"],
    });
    NikText: |_| text("A NIK: sixteen digits with a valid birth date.", "3174055708909001");
    Population: |_| json!({
        "type": "integer",
        "description": "Number of people.",
        "minimum": 0,
        "maximum": Population::MAX,
        "examples": [285_000_000],
    });
    PlantedScore: |_| json!({
        "type": "number",
        "description": "A score on the matcher's scale.",
        "exclusiveMinimum": 0,
        "maximum": 20,
        "examples": [6.5],
    });
    PictureName: |_| text("A file in the directory of gallery.toml or below it.", "budi.jpg");
    Code: |_| known_codes_or(
        "A code: a documented one, or a custom one of 1 to 32 letters, digits, - and _.",
        &json!({ "type": "string", "minLength": 1, "maxLength": 32 }),
    );
    // With the pattern an editor marks a mistyped key of `shape`.
    ShapedCode: |_| known_codes_or(
        "A code: a documented one, or any four digits.",
        &json!({ "type": "string", "pattern": r"^\d{4}$" }),
    );
    Precedence: |generator| json!({
        "type": "array",
        "items": generator.subschema_for::<Check>(),
        "uniqueItems": true,
    });
    NotFound: |generator| json!({
        "anyOf": [codes(NotFound::CODES), {
            "type": "object",
            "properties": {
                "code": generator.subschema_for::<Code>(),
                "error": { "type": ["string", "null"], "description": "The text, sent unchanged; default: the code's own." },
            },
            "required": ["code"],
            "additionalProperties": false,
        }],
    });
    EngineUrl: |_| text("A URL with http://; https is not in this build.", "http://127.0.0.1:5005/represent");
    BodyTemplate: |_| text(
        "The body, with {image} where the photo's base64 goes.",
        r#"{"img":"data:image/jpeg;base64,{image}"}"#,
    );
    VectorPath: |_| text(
        "Names, with / between them, and * for each element of a list.",
        "results/*/embedding",
    );
    EngineHeaders: |_| json!({
        "type": "object",
        "description": "Names and values.",
        "additionalProperties": { "type": "string", "format": "password" },
        "examples": [{ "X-Api-Key": "..." }],
    });
    NoFace: |_| text("\"nobody\", or a code: the answer to a photo without a face that nobody is found for.", "6015");
    BadImage: |_| codes(BadImage::CODES);
    MaxResults: |_| json!({ "type": "integer", "minimum": 1, "maximum": 1000 });
    Pattern: |_| json!({
        "type": "string",
        "description": "A glob with * and ? that matches the whole value, or /regex/.",
        "examples": ["T-*", "/^T-[0-9]+$/"],
    });
    IpPattern: |_| json!({
        "type": "string",
        "description": "A network, a glob with * and ?, or /regex/.",
        "examples": ["10.0.0.0/8", "10.1.*"],
    });
    NumberRange: |_| json!({
        "description": "A number, or a range: \"10..20\" inclusive, \"10..\", \"..5\", \">=10\", \">10\", \"<=5\", \"<5\".",
        "type": ["number", "string"],
        "examples": ["10..20"],
    });
    TimeOfDay: |_| text(
        "A time range of the day in Jakarta, inclusive; it may cross midnight.",
        "09:00..17:00",
    );
    Window: |_| text(
        "A time range since the scenario began: \"10s..40s\" inclusive, \"10s..\", \"..40s\", \">=10s\", \"<40s\".",
        "10s..40s",
    );
    DurationText: |_| text("A duration with a unit.", "250ms");
    Ttl: |_| text("A duration with a unit, longer than 0.", "5m");
    DelaySpec: |generator| json!({
        "description": "A fixed duration, or a random distribution.",
        "anyOf": [generator.subschema_for::<DurationText>(), generator.subschema_for::<RandomDelay>()],
    });
    Offset: |_| json!({
        "description": "A whole number of bytes, or a fraction from 0.0 to 1.0.",
        "anyOf": [{ "type": "integer", "minimum": 0 }, { "type": "number", "minimum": 0, "maximum": 1 }],
        "examples": [0.5],
    });
}
