//! JSON Schema helpers that all schemas of the project share.

use schemars::generate::SchemaSettings;
use schemars::transform::RecursiveTransform;
use schemars::{JsonSchema, Schema};
use serde_json::{Map, Value, json};

/// Returns the schema of a type in draft 7: editors support at most that for TOML files.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with_transform(RecursiveTransform(plain));
    settings.into_generator().into_root_schema_for::<T>().to_value()
}

/// Removes what TOML does not have or editors cannot use: null, Rust's number formats, empty defaults.
pub fn plain(schema: &mut Schema) {
    let Some(object) = schema.as_object_mut() else { return };
    let is_null = |value: &Value| *value == json!({ "type": "null" });
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    if let Some(Value::Array(any)) = object.get_mut("anyOf")
        && any.iter().any(is_null)
    {
        any.retain(|one| !is_null(one));
        // In draft 7 a `$ref` with sibling keywords must be inside `allOf`.
        if let Some(any) = object.remove("anyOf") {
            let one = any.as_array().is_some_and(|any| any.len() == 1);
            object.insert(if one { "allOf" } else { "anyOf" }.to_owned(), any);
        }
    }
    // The only number format whose range is neither given by the schema nor that of TOML's numbers.
    if object.get("format").is_some_and(|format| format == "uint32") && !object.contains_key("maximum") {
        object.insert("maximum".to_owned(), u32::MAX.into());
    }
    if object.get("format").is_some_and(|format| format.as_str().is_some_and(is_number_type)) {
        object.remove("format");
    }
    if object.get("default").is_some_and(|value| value.is_null() || *value == json!({})) {
        object.remove("default");
    }
}

pub fn is_number_type(format: &str) -> bool {
    ["int", "uint", "float", "double"].iter().any(|name| format.starts_with(name))
}

pub fn properties(schema: &mut Schema) -> Option<&mut Map<String, Value>> {
    schema.get_mut("properties")?.as_object_mut()
}

pub fn required(names: &[&str]) -> Value {
    names.iter().map(|name| json!({ "required": [name] })).collect()
}
