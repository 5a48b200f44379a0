//! Errors of serde and serde_json in plain words: which key, what was found, what is wanted, with an example.

use super::text;

/// Rewords a message of serde. `key` is the dotted path of the value, empty for the whole; a message that is in words already is
/// returned as it is.
#[must_use]
pub fn data(key: &str, message: &str) -> String {
    let message = without_position(message);
    let subject = if key.is_empty() { "the body" } else { key };
    if let Some((found, wanted)) = mismatch(message) {
        return format!("{subject} is {}, but must be {}", found_words(key, found), wanted_words(wanted));
    }
    let inside = |name: &str| {
        let parent = key.strip_suffix(name).unwrap_or(key).trim_end_matches('.');
        if parent.is_empty() { String::new() } else { format!(" in {parent}") }
    };
    match first_name(message) {
        Some(name) if message.starts_with("unknown field") => {
            format!("there is no key {name:?}{}", inside(name))
        }
        Some(name) if message.starts_with("missing field") => {
            format!("the key {name:?} is missing{}", inside(""))
        }
        Some(name) if message.starts_with("duplicate field") => {
            format!("the key {name:?} is there twice{}", inside(name))
        }
        Some(name) if message.starts_with("unknown variant") => {
            let known = super::suggestion::expected_names(message).join(", ");
            format!("{subject} is {}, but must be one of {known}", text::quoted(name))
        }
        _ if message.starts_with("data did not match any variant") => {
            format!("{subject} has none of the forms that it can have")
        }
        _ if message.contains("invalid IP address syntax") => {
            format!("{subject} is not an IP address, such as \"127.0.0.1\"")
        }
        _ => message.to_owned(),
    }
}

/// Removes serde_json's " at line 1 column 2".
#[must_use]
pub fn without_position(message: &str) -> &str {
    let is_position = |rest: &str| {
        rest.split_once(" column ")
            .is_some_and(|(line, column)| [line, column].iter().all(|n| n.parse::<u64>().is_ok()))
    };
    match message.rsplit_once(" at line ") {
        Some((head, rest)) if is_position(rest) => head,
        _ => message,
    }
}

/// Splits "invalid type: FOUND, expected WANTED".
fn mismatch(message: &str) -> Option<(&str, &str)> {
    let rest = ["invalid type: ", "invalid value: ", "invalid length "]
        .iter()
        .find_map(|prefix| message.strip_prefix(prefix))?;
    rest.rsplit_once(", expected ")
}

fn first_name(message: &str) -> Option<&str> {
    Some(message.split_once('`')?.1.split_once('`')?.0)
}

/// Describes what was found. The value of a credential is not shown.
fn found_words(key: &str, found: &str) -> String {
    let is_secret = ["user_id", "password"].iter().any(|name| key.ends_with(name));
    let value = first_name(found).unwrap_or_default();
    match found.split([' ', '`']).next().unwrap_or_default() {
        "string" if is_secret => "text".to_owned(),
        "integer" | "floating" if is_secret => "a number".to_owned(),
        "string" => {
            let shown = found.trim_start_matches("string ");
            // The message quotes and escapes the text as JSON does, as far as short texts go.
            let inner = shown.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(shown);
            format!("the text \"{}\"", text::preview(inner, 40))
        }
        "integer" | "floating" | "number" => format!("the number {value}"),
        "boolean" => value.to_owned(),
        "null" | "unit" | "Option" => "null".to_owned(),
        "map" => "an object {...}".to_owned(),
        "sequence" => "a list [...]".to_owned(),
        length if length.parse::<u64>().is_ok() => format!("a list of {length}"),
        _ => "another value".to_owned(),
    }
}

/// Describes what is wanted, with an example. What a type of this project says of itself is in words already.
fn wanted_words(wanted: &str) -> &str {
    match wanted {
        "u8" | "u16" | "u32" | "u64" | "u128" | "usize" => "a whole number from 0, such as 5",
        "i8" | "i16" | "i32" | "i64" | "i128" | "isize" => "a whole number, such as 5",
        "f32" | "f64" => "a number, such as 7.5",
        "a boolean" => "true or false",
        "a string" | "a borrowed string" | "string" | "string or map" | "variant identifier"
        | "a character" => "text in double quotes, such as \"abc\"",
        "a map" | "map" => "an object, such as {\"key\": ...}",
        "a sequence" | "sequence" => "a list, such as [...]",
        "IP address" => "an IP address, such as \"127.0.0.1\"",
        _ if wanted.starts_with("struct ") => "an object, such as {\"key\": ...}",
        _ if ["tuple ", "a tuple ", "an array "].iter().any(|start| wanted.starts_with(start)) => {
            "a list with another number of values"
        }
        _ if ["enum ", "internally ", "adjacently ", "externally "]
            .iter()
            .any(|start| wanted.starts_with(start)) =>
        {
            "one of the documented forms"
        }
        _ => wanted,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_of_serde_are_reworded() {
        for (key, message, expected) in [
            (
                "quota.per_day",
                "invalid type: string \"five\", expected u64 at line 1 column 20",
                "quota.per_day is the text \"five\", but must be a whole number from 0, such as 5",
            ),
            (
                "used",
                "invalid value: integer `-1`, expected u64",
                "used is the number -1, but must be a whole number from 0, such as 5",
            ),
            (
                "used",
                "invalid type: floating point `1.5`, expected u64",
                "used is the number 1.5, but must be a whole number from 0, such as 5",
            ),
            ("freeze", "invalid type: null, expected a boolean", "freeze is null, but must be true or false"),
            (
                "state",
                "invalid type: sequence, expected a string",
                "state is a list [...], but must be text in double quotes, such as \"abc\"",
            ),
            (
                "fault",
                "invalid type: integer `1`, expected struct FaultSpec",
                "fault is the number 1, but must be an object, such as {\"key\": ...}",
            ),
            (
                "delay",
                "invalid type: map, expected a duration such as \"1s\"",
                "delay is an object {...}, but must be a duration such as \"1s\"",
            ),
            (
                "account.password",
                "invalid type: integer `123456`, expected a string",
                "account.password is a number, but must be text in double quotes, such as \"abc\"",
            ),
            ("", "missing field `count`", "the key \"count\" is missing"),
            (
                "match.image.sha25",
                "unknown field `sha25`, expected `sha256`",
                "there is no key \"sha25\" in match.image",
            ),
            ("freez", "unknown field `freez`, expected one of `a`, `b`", "there is no key \"freez\""),
            (
                "scope",
                "unknown variant `x`, expected `all` or `state`",
                "scope is \"x\", but must be one of all, state",
            ),
            ("", "duplicate field `now` at line 1 column 9", "the key \"now\" is there twice"),
            ("ttl", "\"x\" is not a duration: write \"5m\"", "\"x\" is not a duration: write \"5m\""),
        ] {
            assert_eq!(data(key, message), expected);
        }
    }
}
