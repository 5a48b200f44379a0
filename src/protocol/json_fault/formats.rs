//! Texts that are sent in place of a JSON object: other formats, prints of programs, wrappings, names of files.

use super::SEND_ONE_OBJECT;
use super::naming::{Named, is_identifier, named, starting};
use super::prints::{PRINTED, bracketed, printed};

/// Max length of what is looked at, where the begin of a text says what it is. In bytes.
const HEAD_BYTES: usize = 1024;

const WRAPPED: &str = "cmd.exe passes single quotes on and PowerShell takes inner double quotes away, so put the body into a file and send it with \
     curl --data-binary @body.json (cmd.exe: \"{\\\"ip\\\":...}\")";
const AS_BODY: &str = "send the JSON object itself as the body: curl --data-binary @body.json with Content-Type: application/json, \
                       requests.post(json=...), axios.post(url, object), PHP CURLOPT_POSTFIELDS with json_encode(...)";
const FILLED: &str =
    "fill in the placeholder before sending: the variable is not set, or stands in single quotes";
const FILE: &str = "send what is in the file, not its name: curl --data-binary @body.json (neither --data-raw nor a blank behind @)";
const TO_JSON: &str = "send the same values as one JSON object";

/// Names a text whose first character is not a blank and not the begin of an object.
pub fn name(text: &str) -> Option<Named> {
    let text = text.trim_ascii_start();
    let (head, _) = super::valid_prefix(&text.as_bytes()[..text.len().min(HEAD_BYTES)]);
    one_word(text)
        .or_else(|| printed(head))
        .or_else(|| guarded(head))
        .or_else(|| markup(head))
        .or_else(|| quoted(text))
        .or_else(|| placeholder(head))
        .or_else(|| bracketed(text, head))
        .or_else(|| file_name(text))
        .or_else(|| http(head))
        .or_else(|| encoded(text))
        .or_else(|| key_value(text, head))
}

fn one_word(text: &str) -> Option<Named> {
    let word = text.trim_ascii_end();
    match word {
        "null" => named("null, not an object", "the variable with the body is empty: fill it before sending"),
        "true" | "false" => named("a boolean, not an object", SEND_ONE_OBJECT),
        "undefined" | "None" | "nil" | "NULL" | "NaN" | "Null" | "True" | "False" | "(null)" => named(
            "one word that stands for no value (undefined, None, nil and their like)",
            "the variable with the body is empty: fill it before sending",
        ),
        "Array" => named("the word Array: PHP turned an array into text", PRINTED),
        "-" | "@-" => named("a sign for standard input, sent as it is", FILE),
        "[]" => named(
            "an array, not an object",
            "send a JSON object: PHP's empty array becomes [] (use (object)[])",
        ),
        _ if crate::protocol::number::is_json_number(word) => {
            named("a number, not an object", SEND_ONE_OBJECT)
        }
        _ => None,
    }
}

/// Guards that servers put before JSON, and JavaScript around it.
fn guarded(head: &str) -> Option<Named> {
    const PREFIX: &str =
        "send the JSON alone: the prefix belongs to answers of some servers, not to requests";
    const SCRIPT: &str =
        "send the JSON alone, as JSON.stringify writes it: no call, assignment or statement around it";
    let guard = starting(
        head,
        &[
            (")]}'", "JSON behind an anti-hijacking prefix ()]}')", PREFIX),
            ("while(1);", "JSON behind an anti-hijacking prefix (while(1);)", PREFIX),
            ("for(;;);", "JSON behind an anti-hijacking prefix (for(;;);)", PREFIX),
            ("for (;;);", "JSON behind an anti-hijacking prefix (for (;;);)", PREFIX),
            ("var ", "JavaScript source, not JSON", SCRIPT),
            ("let ", "JavaScript source, not JSON", SCRIPT),
            ("const ", "JavaScript source, not JSON", SCRIPT),
            ("return {", "JavaScript source, not JSON", SCRIPT),
            ("export default", "JavaScript source, not JSON", SCRIPT),
            ("module.exports", "JavaScript source, not JSON", SCRIPT),
            ("JSON.stringify", "JavaScript source, not JSON: the call itself was sent", SCRIPT),
            ("json.dumps", "Python source, not JSON: the call itself was sent", SCRIPT),
            ("json_encode", "PHP source, not JSON: the call itself was sent", SCRIPT),
            ("({", "JSON in parentheses", SCRIPT),
            ("(function", "JavaScript source, not JSON", SCRIPT),
        ],
    );
    guard.or_else(|| {
        let call = head.find('(').filter(|end| *end > 0 && is_identifier(&head[..*end]))?;
        let inside = head[call + 1..].trim_start();
        inside.starts_with(['{', '[']).then_some(("JSONP: a call with the JSON inside".into(), SCRIPT))
    })
}

fn markup(head: &str) -> Option<Named> {
    if !head.starts_with('<') {
        return None;
    }
    let lower = head.to_ascii_lowercase();
    let has = |part: &str| lower.contains(part);
    if lower.starts_with("<br />") || lower.starts_with("<b>") {
        return named(
            "HTML, as PHP prints its warnings before everything else",
            "mend what PHP warns of, and print no errors into the body (display_errors=0)",
        );
    }
    if lower.starts_with("<?php") || lower.starts_with("<?=") {
        return named("PHP source, not JSON", "run the script and send its result: the file itself was sent");
    }
    if lower.starts_with("<%") {
        return named("a template's placeholder, not JSON", FILLED);
    }
    if has("envelope") {
        return named(
            "SOAP (XML), not JSON",
            "the endpoint knows no SOAP: send one JSON object with the seven keys",
        );
    }
    if lower.starts_with("<!doctype html") || has("<html") || has("<body") {
        return named(
            "HTML, not JSON",
            "look at where the body comes from: a page (of an error or a login) was sent on in its place",
        );
    }
    if ["<__main__", "<function", "<class '", "<object ", "<built-in", "<generator"]
        .iter()
        .any(|p| head.starts_with(p))
        || (has(" object at 0x"))
    {
        return named("the print of a Python object, not JSON", PRINTED);
    }
    if lower.starts_with("<actioncontroller") || lower.starts_with("<hash") {
        return named("the print of a Ruby object, not JSON", PRINTED);
    }
    named("XML, not JSON", TO_JSON)
}

/// JSON inside a string, or inside quotes of another kind.
fn quoted(text: &str) -> Option<Named> {
    let opens = |rest: &str| rest.trim_ascii_start().starts_with(['{', '[']);
    let has_quotes = memchr::memchr(b'"', text.as_bytes()).is_some();
    if let Some(rest) = text.strip_prefix('\'') {
        return match (opens(rest), has_quotes) {
            (true, true) => named("JSON in single quotes", WRAPPED),
            (true, false) => {
                named("in single quotes, which cmd.exe passes on, and its double quotes are gone", WRAPPED)
            }
            (false, _) => named("a text in single quotes, not JSON", AS_BODY),
        };
    }
    if ["b'", "b\"", "u'", "u\"", "r'", "B'"].iter().any(|prefix| text.starts_with(prefix)) {
        return named(
            "the print of a Python string or bytes (b'...'), not JSON",
            "send the text itself: bytes.decode(\"utf-8\"), not str(bytes)",
        );
    }
    if text.strip_prefix('`').is_some_and(opens) {
        return named("JSON in backticks", "send the JSON alone: backticks are Markdown's and JavaScript's");
    }
    if text.starts_with("```") {
        return named("JSON in a Markdown block (```)", "send the JSON alone, without the lines with ```");
    }
    let rest = text.strip_prefix('"')?;
    let Some((times, inner)) = unwrapped(text) else {
        return opens(rest).then_some((
            "JSON in double quotes, and its own quotes are not escaped".into(),
            "send the object without quotes around it",
        ));
    };
    if !opens(&inner) {
        return named("a string, not an object", SEND_ONE_OBJECT);
    }
    let count = match times {
        1 => "twice".to_owned(),
        2 => "three times".to_owned(),
        more => format!("{} times", more + 1),
    };
    Some((
        format!("a string, not an object: the string holds the JSON, which was encoded {count}").into(),
        "encode once: requests.post(json=object) instead of json=json.dumps(object), axios and fetch with one JSON.stringify, no \
         json_encode of an encoded text, no writeValueAsString of a String",
    ))
}

/// Max number of strings around a JSON text that are taken off.
const MAX_WRAPPINGS: usize = 8;

/// Takes JSON strings off: how many there were, and what is inside.
fn unwrapped(text: &str) -> Option<(usize, String)> {
    let mut inner: String = serde_json::from_str(text).ok()?;
    let mut times = 1;
    while times < MAX_WRAPPINGS && inner.trim_ascii_start().starts_with('"') {
        let Ok(next) = serde_json::from_str(&inner) else { break };
        inner = next;
        times += 1;
    }
    Some((times, inner))
}

fn placeholder(head: &str) -> Option<Named> {
    starting(
        head,
        &[
            ("${", "a placeholder (${...}), not JSON", FILLED),
            ("$(", "a command of a shell ($(...)), sent as it is", FILLED),
            ("#{", "a placeholder (#{...}), not JSON", FILLED),
            ("%{", "an Elixir map or a placeholder (%{...}), not JSON", PRINTED),
            ("%s", "a placeholder of a format (%s), not JSON", FILLED),
            ("%v", "a placeholder of a format (%v), not JSON", FILLED),
            ("$body", "the name of a variable, not its value", FILLED),
            ("$json", "the name of a variable, not its value", FILLED),
            ("$data", "the name of a variable, not its value", FILLED),
            ("$payload", "the name of a variable, not its value", FILLED),
            ("$request", "the name of a variable, not its value", FILLED),
        ],
    )
    .or_else(|| {
        // %BODY% of cmd.exe.
        let name = head.trim_end().strip_prefix('%')?.strip_suffix('%')?;
        is_identifier(name).then_some(("the name of a variable (%...%), not its value".into(), FILLED))
    })
}

fn file_name(text: &str) -> Option<Named> {
    let name = text.trim_ascii_end();
    if name.len() > HEAD_BYTES || name.contains('\n') || name.contains(['{', '"']) {
        return None;
    }
    if name.starts_with('@') && name.len() > 1 && !name.starts_with("@{") {
        return named("the name of a file (@...), not what is in it", FILE);
    }
    let ending = name.rsplit_once('.').map(|(_, ending)| ending.to_ascii_lowercase());
    let is_file =
        ending.is_some_and(|ending| ["json", "txt", "jpg", "jpeg", "png", "xml"].contains(&&*ending));
    let is_address = name.starts_with("http://") || name.starts_with("https://");
    if is_address {
        return named("an address (URL), not JSON", "send the request's JSON object, not a link to it");
    }
    (is_file && !name.contains(['=', '&', '<']))
        .then_some(("the name of a file, not what is in it".into(), FILE))
}

/// Parts of HTTP that stand in the body, and multipart bodies.
fn http(head: &str) -> Option<Named> {
    const TWICE: &str =
        "send the JSON alone as the body: the client wrote HTTP's own framing into it a second time";
    let line = head.lines().next().unwrap_or_default();
    if line.starts_with("--") && line.len() > 2 {
        return if line.trim_end() == "---" {
            named("YAML, not JSON", TO_JSON)
        } else if line.starts_with("--data") || line.starts_with("--json") {
            named("an argument of curl, not JSON", AS_BODY)
        } else {
            named("multipart/form-data, not JSON", AS_BODY)
        };
    }
    let known = starting(
        head,
        &[
            ("---\n", "YAML, not JSON", TO_JSON),
            (
                "curl ",
                "a command (curl), not JSON",
                "run the command, and send only what stands behind --data",
            ),
            ("-d ", "an argument of curl, not JSON", AS_BODY),
            ("data: {", "a server-sent event (data: ...), not JSON", "send the JSON alone, without data:"),
            ("data:{", "a server-sent event (data: ...), not JSON", "send the JSON alone, without data:"),
            (
                "data:image/",
                "a picture as a data URI, not JSON",
                "send the base64 behind the comma in the field image of a JSON object",
            ),
            ("HTTP/1", "a whole HTTP answer, not JSON", TWICE),
            ("POST /", "a whole HTTP request, not JSON", TWICE),
            ("GET /", "a whole HTTP request, not JSON", TWICE),
            ("POST http", "a whole HTTP request, not JSON", TWICE),
            ("Content-", "HTTP header fields, then a body: not JSON", TWICE),
            ("Accept:", "HTTP header fields, then a body: not JSON", TWICE),
            ("Host:", "HTTP header fields, then a body: not JSON", TWICE),
            ("Authorization:", "HTTP header fields, then a body: not JSON", TWICE),
            (
                "PHP Warning",
                "a warning of PHP, not JSON",
                "mend what PHP warns of, and print no errors into the body (display_errors=0)",
            ),
            (
                "PHP Notice",
                "a warning of PHP, not JSON",
                "mend what PHP warns of, and print no errors into the body (display_errors=0)",
            ),
            (
                "Warning: ",
                "a warning of a program, not JSON",
                "send only the JSON: keep standard error out of the body (not 2>&1)",
            ),
            (
                "Traceback (most recent",
                "an error of Python, not JSON",
                "mend the error: its text was sent in place of the body",
            ),
            (
                "Exception in thread",
                "an error of Java, not JSON",
                "mend the error: its text was sent in place of the body",
            ),
        ],
    );
    known.or_else(|| {
        let is_size = !line.is_empty() && line.len() <= 8 && line.bytes().all(|b| b.is_ascii_hexdigit());
        let body = head.get(line.len()..)?.strip_prefix("\r\n")?;
        (is_size && body.starts_with(['{', '[']))
            .then_some(("JSON in chunks: sizes of chunks stand in the body".into(), TWICE))
    })
}

/// JSON in base64, hexadecimal digits or percent-encoded.
fn encoded(text: &str) -> Option<Named> {
    if text.starts_with("%7B")
        || text.starts_with("%7b")
        || text.starts_with("%257B")
        || text.starts_with("%257b")
    {
        return named("a form or percent-encoded text, not JSON: the JSON is percent-encoded", AS_BODY);
    }
    let line = text.trim_ascii_end();
    if line.starts_with("ey") && line.matches('.').count() == 2 {
        return named("a token (JWT), not JSON", SEND_ONE_OBJECT);
    }
    // {" or { with a blank or a line break, at the three ways base64 goes on.
    if ["eyJ", "eyA", "ewo", "ew0K", "ewog", "e30"].iter().any(|start| line.starts_with(start))
        && line.bytes().all(|b| b.is_ascii_alphanumeric() || b"+/-_=\r\n".contains(&b))
    {
        return named(
            "base64 of JSON, not JSON",
            "send the JSON itself: only the fields image, user_id and password are base64",
        );
    }
    if ["7b22", "7B22", "7b0a", "7b20", "7B0A", "7B20"].iter().any(|start| line.starts_with(start))
        && line.bytes().all(|b| b.is_ascii_hexdigit())
    {
        return named(
            "hexadecimal digits of JSON, not JSON",
            "send the JSON itself, not its bytes as digits",
        );
    }
    None
}

/// Forms, YAML, settings, tables: keys and values in other notations.
fn key_value(text: &str, head: &str) -> Option<Named> {
    const SHELL: &str = "a shell took quotes and braces away (brace expansion): put the body in single quotes, or into a file for curl --data-binary @body.json";
    let line = head.lines().next().unwrap_or_default();
    let separator = line.find(['=', ':', ',', ';', '\t'])?;
    let (key, rest) = (line[..separator].trim_end(), &line[separator + 1..]);
    let is_key = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-.%[]".contains(&b));
    if !is_key {
        return None;
    }
    match line.as_bytes()[separator] {
        b'=' if separator == key.len()
            && !rest.starts_with([' ', '"', '>'])
            && !text.trim_ascii_end().contains('\n') =>
        {
            let holds_json = rest.starts_with('{') || rest.starts_with("%7B") || rest.starts_with("%7b");
            if holds_json {
                return named("a form (key=value&...), not JSON: the JSON is the value of its key", AS_BODY);
            }
            named("a form (key=value&...), not JSON", AS_BODY)
        }
        b'=' => named("settings (key = value), not JSON", TO_JSON),
        b':' if rest.is_empty() || rest.starts_with([' ', '\t']) => {
            named("YAML (key: value), not JSON", TO_JSON)
        }
        b':' => named("key:value without braces and quotes, not JSON", SHELL),
        _ => {
            let is_table = line.split([',', ';', '\t']).any(|cell| cell.trim_matches('"') == "transactionId");
            is_table.then_some(("a table (CSV), not JSON".into(), TO_JSON))
        }
    }
}
