//! What programs print for their own values, sent in place of JSON: arrays, maps, objects.

use super::SEND_ONE_OBJECT;
use super::naming::{Named, is_identifier, named, starting};

pub const PRINTED: &str = "make the body with the language's JSON library instead of printing the value (json.dumps, json_encode, JSON.stringify, \
                       Jackson, System.Text.Json, json.Marshal, to_json)";
const TO_JSON: &str = "send the same values as one JSON object";

pub fn bracketed(text: &str, head: &str) -> Option<Named> {
    let inside = head.strip_prefix('[')?.trim_start();
    if inside.starts_with("object ") {
        return named(
            "the text [object ...]: JavaScript turned an object into text",
            "send JSON.stringify(object) as the body; for FormData, Blob and URLSearchParams build an object first",
        );
    }
    if inside.starts_with('{') {
        return named(
            "an array, not an object: the object stands inside [ and ]",
            "send the object alone, without [ and ]",
        );
    }
    if inside.starts_with('(') {
        return named("a list of pairs as Python prints it, not JSON", PRINTED);
    }
    let key_end =
        inside.strip_prefix('"').and_then(|rest| rest.find('"').map(|end| rest[end + 1..].trim_start()));
    if let Some(behind) = key_end {
        if behind.starts_with("=>") {
            return named("an array of PHP or a hash of Ruby ([... => ...]), not JSON", PRINTED);
        }
        if behind.starts_with(':') {
            return named("a dictionary as Swift or Groovy prints it ([... : ...]), not JSON", PRINTED);
        }
    }
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok() {
        return named("an array, not an object", SEND_ONE_OBJECT);
    }
    let first_line = inside.lines().next().unwrap_or_default();
    if first_line.trim_end().strip_suffix(']').is_some_and(is_identifier) {
        return named("an INI or TOML text, not JSON", TO_JSON);
    }
    let key = inside.find([':', '=']).map(|end| inside[..end].trim());
    if key.is_some_and(is_identifier) {
        return named("a map as Groovy or Swift prints it, not JSON", PRINTED);
    }
    named("an array, not an object", SEND_ONE_OBJECT)
}

/// What programs print for their own values.
pub fn printed(head: &str) -> Option<Named> {
    let table = starting(
        head,
        &[
            ("Array\n", "an array as PHP's print_r prints it, not JSON", PRINTED),
            ("Array\r\n", "an array as PHP's print_r prints it, not JSON", PRINTED),
            ("Array (", "an array as PHP's print_r or var_export prints it, not JSON", PRINTED),
            ("array(", "an array as PHP's var_dump or source has it, not JSON", PRINTED),
            ("stdClass Object", "an object as PHP's print_r prints it, not JSON", PRINTED),
            ("object(", "an object as PHP's var_dump prints it, not JSON", PRINTED),
            ("(object)", "an object as PHP's var_export prints it, not JSON", PRINTED),
            ("$VAR1", "a value as Perl's Data::Dumper prints it, not JSON", PRINTED),
            ("HASH(0x", "a reference as Perl prints it, not JSON", PRINTED),
            ("table: 0x", "a table as Lua prints it, not JSON", PRINTED),
            ("map[", "a map as Go prints it, not JSON", PRINTED),
            ("&map[", "a map as Go prints it, not JSON", PRINTED),
            ("&{", "a struct as Go prints it, not JSON", PRINTED),
            ("@{", "a hash table as PowerShell prints it, not JSON", "use ConvertTo-Json -Compress"),
            ("System.", "the name of a .NET type, as ToString() prints it, not JSON", PRINTED),
            ("OrderedDict(", "a dict as Python prints it, not JSON", PRINTED),
            ("defaultdict(", "a dict as Python prints it, not JSON", PRINTED),
            ("dict_", "a view of a dict as Python prints it, not JSON", PRINTED),
            ("ImmutableMultiDict(", "a form as Flask prints it, not JSON", PRINTED),
            ("Object {", "a value as Rust's Debug or a browser's console prints it, not JSON", PRINTED),
            ("#<", "an object as Ruby prints it, not JSON", PRINTED),
            ("Optional[", "an Optional as Java prints it, not JSON", PRINTED),
            ("java.", "the name of a Java object, as toString() prints it, not JSON", PRINTED),
            (
                "Promise {",
                "a Promise of JavaScript that was not awaited",
                "await the value, then JSON.stringify",
            ),
        ],
    );
    if table.is_some() {
        return table;
    }
    // a:7:{s:13:"transactionId"; and O:8:"stdClass":7:{
    let mut parts = head.splitn(3, ':');
    if matches!(parts.next(), Some("a" | "O" | "s")) && parts.next().is_some_and(is_digits) {
        return named("a value as PHP's serialize() writes it, not JSON", PRINTED);
    }
    let end = head.find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '$')))?;
    let (name, rest) = head.split_at(end);
    let (rest, inside) = (rest.trim_start(), rest.trim_start().get(1..).unwrap_or_default().trim_start());
    let starts_upper =
        name.rsplit('.').next().is_some_and(|last| last.starts_with(|c: char| c.is_ascii_uppercase()));
    if starts_upper && rest.starts_with('@') && inside.starts_with(|c: char| c.is_ascii_hexdigit()) {
        return named("the name of a Java object, as toString() prints it, not JSON", PRINTED);
    }
    let has_member = inside.find(['=', ':']).is_some_and(|end| is_identifier(inside[..end].trim_end()));
    (starts_upper && rest.starts_with(['(', '{', '[']) && has_member)
        .then_some(("an object as toString() prints it (Java, Kotlin, C#, Rust), not JSON".into(), PRINTED))
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}
