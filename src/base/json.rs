//! JSON of the project's own types. Serializing them cannot fail: their maps have text keys, and nothing in them is a value that JSON
//! lacks. Values from outside, such as those that a test passes to the builder, may fail and are not for these functions.

use serde::Serialize;
use serde_json::Value;
use serde_json::ser::{PrettyFormatter, Serializer};

/// Returns the value as JSON.
pub fn value(own: &(impl Serialize + ?Sized)) -> Value {
    done(serde_json::to_value(own))
}

/// Returns the value as JSON text on one line.
pub fn text(own: &(impl Serialize + ?Sized)) -> String {
    done(serde_json::to_string(own))
}

/// Returns the value as JSON text with one member a line.
pub fn indented(own: &(impl Serialize + ?Sized), indent: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let formatter = PrettyFormatter::with_indent(indent.as_bytes());
    done(own.serialize(&mut Serializer::with_formatter(&mut bytes, formatter)));
    bytes
}

fn done<T>(serialized: serde_json::Result<T>) -> T {
    serialized.expect("the project's own types serialize")
}
