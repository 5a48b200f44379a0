//! Query parameters of an admin request, and what is wrong with them in plain words.

use actix_web::{HttpRequest, web};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use schemars::{JsonSchema, SchemaGenerator};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::ApiError;
use crate::base::{suggestion, text};

/// Parses the query of a request; an unknown name is rejected, with the closest known one as the hint.
///
/// # Errors
/// 400 with the parameter, what was found and what is wanted.
pub fn query<T: DeserializeOwned + JsonSchema>(req: &HttpRequest) -> Result<T, ApiError> {
    let query = req.query_string();
    parse::<T>(query).map_err(|message| error::<T>(query, &message))
}

fn parse<T: DeserializeOwned>(query: &str) -> Result<T, String> {
    web::Query::<T>::from_query(query).map(web::Query::into_inner).map_err(|error| {
        let message = error.to_string();
        message.strip_prefix("Query deserialize error: ").unwrap_or(&message).to_owned()
    })
}

fn error<T: DeserializeOwned + JsonSchema>(query: &str, message: &str) -> ApiError {
    let about = |name: &str, message: String| ApiError::invalid(message).path(name);
    let name = message.split('`').nth(1).unwrap_or_default();
    if message.starts_with("unknown field") {
        let error = about(name, format!("there is no parameter {}", text::quoted(name)));
        return match suggestion::hint(message) {
            Some(hint) => error.hint(hint),
            None => error.hint("send no parameters"),
        };
    }
    if message.starts_with("missing field") {
        let error = about(name, format!("the parameter {name} is missing"));
        return error.hint(format!("add ?{name}=VALUE, one of {}", wanted::<T>(name)));
    }
    if message.starts_with("duplicate field") {
        return about(name, format!("the parameter {name} is there twice")).hint("send it once");
    }
    let Some((name, value)) = culprit::<T>(query, message) else {
        return ApiError::invalid("the query cannot be read")
            .hint("write ?name=value&name=value, percent-encoded");
    };
    let one_of = suggestion::expected_names(message);
    let is_of_type = !one_of.is_empty() || !message.contains(['"', '`']);
    let error = if is_of_type {
        let wanted =
            if one_of.is_empty() { wanted::<T>(&name) } else { format!("one of {}", one_of.join(", ")) };
        about(&name, format!("{name} is {}, but must be {wanted}", text::quoted(&value)))
    } else {
        about(&name, message.to_owned())
    };
    match suggestion::hint(message).or_else(|| description::<T>(&name)) {
        Some(hint) => error.hint(hint),
        None => error,
    }
}

/// Finds the parameter that `message` is about: alone, it is rejected with the same words.
fn culprit<T: DeserializeOwned>(query: &str, message: &str) -> Option<(String, String)> {
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let is_it = |(name, value): &(String, String)| {
        let alone = parse::<T>(&format!("{}={}", encode(name), encode(value)));
        alone.err().as_deref() == Some(message)
    };
    parse::<Vec<(String, String)>>(query).ok()?.into_iter().find(is_it)
}

/// Returns what a parameter may be, from its schema.
fn wanted<T: JsonSchema>(name: &str) -> String {
    let (schema, definitions) = schema::<T>(name);
    let schema = match schema["$ref"].as_str().and_then(|path| path.rsplit('/').next()) {
        Some(definition) => definitions[definition].clone(),
        None => schema,
    };
    let alternatives = schema["oneOf"].as_array().or_else(|| schema["anyOf"].as_array());
    let constants: Vec<_> =
        alternatives.into_iter().flatten().filter_map(|one| one["const"].as_str()).collect();
    let is = |kind: &str| {
        schema["type"] == kind
            || schema["type"].as_array().is_some_and(|all| all.iter().any(|one| one == kind))
    };
    match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
        _ if !constants.is_empty() => constants.join(", "),
        (Some(min), Some(max)) => format!("a whole number from {min} to {max}, such as {max}"),
        _ if is("integer") => "a whole number, such as 5".to_owned(),
        _ if is("boolean") => "true or false".to_owned(),
        _ => "another value".to_owned(),
    }
}

fn description<T: JsonSchema>(name: &str) -> Option<String> {
    schema::<T>(name).0["description"].as_str().map(str::to_owned)
}

/// Returns the schema of a parameter, and the definitions that it may refer to.
fn schema<T: JsonSchema>(name: &str) -> (Value, Value) {
    let mut generator = SchemaGenerator::default();
    let mut all = T::json_schema(&mut generator).to_value();
    let definitions = generator.take_definitions(true).into_iter().collect();
    (all["properties"][name].take(), Value::Object(definitions))
}
