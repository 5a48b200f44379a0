//! Looks in a recording for what must not be there, and lists every text in it that a person may want to read. Each line is held against
//! the allow-list once more: what masking would change now should have been masked then.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use regex::Regex;
use serde_json::Value;

use super::allow_list::{
    self, AnswerKey, MASK, MASK_DIGIT, METHODS, ValueRule, is_field, keeps_threshold, masks,
};
use super::answer_mask::AnswerMask;
use super::exchange::{
    BodyShape, EndReason, MemberShape, RecordedAnswer, RecordedExchange, RecordedRequest, Recording,
    RecordingLine, RequestShape, ValueShape,
};
use super::value_shape::CLASSES;
use crate::base::{json, time};
use crate::conformance::answer::{KeptAnswer, pattern, straight};
use crate::domain::customer::Account;
use crate::domain::evidence::file_kind::is_format_name;
use crate::domain::secrets::SecretIndex;

/// What a recording has.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct CheckedRecording {
    pub exchanges: usize,
    /// Line, from 1, and kind of what must not be there; never the text.
    pub found: BTreeSet<(usize, &'static str)>,
    /// Every distinct text, by its kind, and how often it is there.
    pub texts: BTreeMap<(&'static str, String), usize>,
}

pub const NIK: &str = "16 digits in a row";
pub const BASE64: &str = "80 characters of base64";
pub const PICTURE: &str = "the beginning of a picture";
pub const CREDENTIAL: &str = "a credential that was given";
pub const NOT_LISTED: &str = "what the allow-list does not have";
pub const CUT_OFF: &str = "a line that is cut off";
pub const NOT_WRITTEN: &str = "what record does not write";

static DIGITS: LazyLock<Regex> = LazyLock::new(|| pattern("[0-9]{16,}"));
static LONG_BASE64: LazyLock<Regex> = LazyLock::new(|| pattern("[A-Za-z0-9+/_=-]{80,}"));
static CUSTOMER: LazyLock<Regex> = LazyLock::new(|| pattern(r"\A\{c[0-9]{1,4}\}\z"));

/// JPEG and PNG: their bytes, escaped, in hexadecimal, in base64.
const PICTURES: [&[u8]; 11] = [
    b"\xFF\xD8\xFF",
    b"\x89PNG",
    b"\xC3\xBF\xC3\x98\xC3\xBF",
    b"\xC2\x89PNG",
    b"\\u00ff\\u00d8\\u00ff",
    b"\\u0089PNG",
    b"/9j/",
    b"iVBORw0KGgo",
    b"ffd8ffe0",
    b"ffd8ffdb",
    b"89504e470d0a",
];

/// Shorter values of an account are not looked for: they would be found in any text.
const MIN_SECRET: usize = 4;

/// Checks the bytes of a recording's file. Of the accounts each value is looked for plain, and where it has at least 8 characters also in
/// base64, hexadecimal and URL form.
///
/// # Errors
/// It is not a recording.
pub fn check(bytes: &[u8], accounts: &[Account]) -> Result<CheckedRecording, String> {
    let text = String::from_utf8_lossy(bytes);
    let recording = Recording::read(&text)?;
    let mut checked =
        CheckedRecording { exchanges: recording.exchanges.len(), ..CheckedRecording::default() };
    let mut index = SecretIndex::default();
    accounts.iter().for_each(|account| index.add("", account));
    let secrets: Vec<&str> =
        accounts.iter().flat_map(|account| [&*account.user_id, &*account.password]).collect();
    let lines = bytes.split(|byte| *byte == b'\n');
    for (number, line) in lines.enumerate().map(|(index, line)| (index + 1, line)) {
        let kinds = scanned(line, &index, &secrets);
        checked.found.extend(kinds.into_iter().map(|kind| (number, kind)));
    }
    let keeps_area = recording.header.keeps_area;
    let whole = text.rfind('\n').map_or("", |end| &text[..end]);
    if whole.len() + 1 < text.len() {
        checked.found.insert((whole.lines().count() + 1, CUT_OFF));
    }
    for (number, line) in whole.lines().enumerate().map(|(index, line)| (index + 1, line)) {
        let Ok(parsed) = serde_json::from_str::<RecordingLine>(line) else { continue };
        if json::text(&parsed) != line {
            checked.found.insert((number, NOT_WRITTEN));
        }
        if !is_listed(&parsed, keeps_area) {
            checked.found.insert((number, NOT_LISTED));
        }
        checked.read_texts(&parsed);
    }
    Ok(checked)
}

/// What a line has, whatever it means.
fn scanned(line: &[u8], index: &SecretIndex, secrets: &[&str]) -> Vec<&'static str> {
    let text = String::from_utf8_lossy(line);
    // Escaped slashes and line breaks would hide base64.
    let plain = text.replace("\\\\", "\\").replace("\\/", "/").replace("\\r", "").replace("\\n", "");
    let lower = text.to_lowercase();
    let has = |pattern: &Regex, is_harmless: fn(&str, &str) -> bool| {
        [&*text, &plain].into_iter().any(|text| {
            pattern.find_iter(text).any(|found| !is_harmless(&text[..found.start()], found.as_str()))
        })
    };
    let has_picture = PICTURES.iter().any(|magic| {
        [line, plain.as_bytes(), lower.as_bytes()]
            .iter()
            .any(|text| memchr::memmem::find(text, magic).is_some())
    });
    let has_secret = index.hidden(&text) != text
        || secrets.iter().any(|secret| {
            secret.chars().count() >= MIN_SECRET && (text.contains(secret) || plain.contains(secret))
        });
    [
        (has(&DIGITS, is_fraction_or_mask), NIK),
        (has(&LONG_BASE64, |_, found| is_all_masks(found)), BASE64),
        (has_picture, PICTURE),
        (has_secret, CREDENTIAL),
    ]
    .into_iter()
    .filter(|(is_there, _)| *is_there)
    .map(|(_, kind)| kind)
    .collect()
}

/// Whether base64 is none, but what stands for what was masked, also in a path or behind escapes.
fn is_all_masks(found: &str) -> bool {
    found.replace("u0058", "").chars().all(|c| c == MASK || c == MASK_DIGIT || c == '/')
}

/// Whether digits are those of a score behind its point, or stand for a number that was masked.
fn is_fraction_or_mask(before: &str, digits: &str) -> bool {
    let whole = before
        .strip_suffix('.')
        .map(|before| before.len() - before.trim_end_matches(|c: char| c.is_ascii_digit()).len());
    digits.bytes().all(|byte| char::from(byte) == MASK_DIGIT)
        || (digits.len() <= 20 && whole.is_some_and(|digits| (1..=3).contains(&digits)))
}

fn is_listed(line: &RecordingLine, keeps_area: bool) -> bool {
    match line {
        RecordingLine::Recording(header) => header.has_own_names() && is_instant(&header.started),
        RecordingLine::End { at, why } => {
            is_instant(at) && EndReason::ALL.iter().any(|reason| reason.name() == why)
        }
        RecordingLine::Exchange(exchange) => {
            let RecordedExchange { at, request, answer, .. } = &**exchange;
            let is_request_listed = match request {
                RecordedRequest::Shape(shape) => is_request_listed(shape),
                RecordedRequest::Unparsed { .. } => true,
            };
            let is_answer_listed = match answer {
                RecordedAnswer::Whole(answer) => is_answer_listed(answer, keeps_area),
                RecordedAnswer::Unparsed { .. } | RecordedAnswer::Cut { .. } => true,
            };
            is_instant(at) && is_request_listed && is_answer_listed
        }
    }
}

fn is_instant(text: &str) -> bool {
    text.len() <= 40 && time::parse_instant(text).is_ok()
}

fn is_request_listed(shape: &RequestShape) -> bool {
    let RequestShape { method, path, headers, framing: _, body } = shape;
    let customer =
        |segment: &str| if CUSTOMER.is_match(segment) { segment.to_owned() } else { masks(segment) };
    let is_path = *path == masks(path) || allow_list::path(path, &mut |segment| customer(segment)) == *path;
    let is_header = headers.iter().all(|field| {
        let value = field.value.as_ref();
        allow_list::header_name(&field.name) == field.name
            && value.is_none_or(|value| allow_list::header_value(&field.name, value) == *value)
    });
    let is_body = match body {
        BodyShape::Empty | BodyShape::NotJson { .. } => true,
        BodyShape::Other { kind, .. } => is_kind(kind),
        BodyShape::Object { layout, members, .. } => {
            is_layout(layout) && members.iter().all(is_member_listed)
        }
    };
    (METHODS.contains(&method.as_str()) || *method == masks(method)) && is_path && is_header && is_body
}

fn is_kind(kind: &str) -> bool {
    ["string", "number", "boolean", "null", "array", "object"].contains(&kind)
}

/// Whether a layout has nothing but punctuation, white space, and names of fields or `?` in quotes.
fn is_layout(layout: &str) -> bool {
    layout.split('"').enumerate().all(|(index, part)| match index % 2 {
        0 => part.chars().all(|c| " \t\r\n{}:,$\u{FEFF}".contains(c)),
        _ => {
            part == "?"
                || serde_json::from_str::<String>(&format!("\"{part}\"")).is_ok_and(|name| is_field(&name))
        }
    })
}

fn is_member_listed(member: &MemberShape) -> bool {
    let is_token = |token: &str| token.len() == 12 && token.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_value = match &member.value {
        ValueShape::Verbatim(text) => keeps_threshold(text),
        ValueShape::Text { classes, token, .. } => {
            is_token(token)
                && (classes == "empty" || classes.split('+').all(|class| CLASSES.contains(&class)))
        }
        ValueShape::Image { format, token, .. } => {
            let is_format = |name: &String| ["jpeg", "png"].contains(&name.as_str()) || is_format_name(name);
            is_token(token) && format.as_ref().is_none_or(is_format)
        }
        ValueShape::Ip { class, token, .. } => {
            is_token(token)
                && ["private", "public", "loopback", "blank", "malformed"].contains(&class.as_str())
        }
        ValueShape::Ciphertext { .. } | ValueShape::Length(_) => true,
    };
    is_value && is_kind(&member.kind) && member.name.as_ref().is_none_or(|name| is_field(name))
}

/// Whether masking changes nothing any more.
fn is_answer_listed(answer: &KeptAnswer, keeps_area: bool) -> bool {
    let mask = AnswerMask { keeps_area, ..AnswerMask::default() };
    mask.body(answer.body.as_bytes()).as_deref() == Some(&*answer.body)
        && mask.head(&answer.head.join("\r\n")) == answer.head
}

impl CheckedRecording {
    fn add(&mut self, kind: &'static str, text: &str) {
        // Masks alone say nothing.
        if text.chars().any(|c| c.is_alphanumeric() && c != MASK) {
            *self.texts.entry((kind, text.to_owned())).or_default() += 1;
        }
    }

    fn read_texts(&mut self, line: &RecordingLine) {
        match line {
            RecordingLine::Recording(header) => self.add("name", &header.target),
            RecordingLine::End { why, .. } => self.add("end", why),
            RecordingLine::Exchange(exchange) => {
                if let RecordedRequest::Shape(shape) = &exchange.request {
                    self.read_request(shape);
                }
                if let RecordedAnswer::Whole(answer) = &exchange.answer {
                    self.read_answer(answer);
                }
            }
        }
    }

    fn read_request(&mut self, shape: &RequestShape) {
        self.add("request line", &format!("{} {}", shape.method, shape.path));
        for field in &shape.headers {
            self.read_header("request header", &field.name, field.value.as_deref().unwrap_or_default());
        }
        let BodyShape::Object { members, .. } = &shape.body else { return };
        for member in members {
            match &member.value {
                ValueShape::Verbatim(text) => self.add("threshold", text),
                ValueShape::Image { format: Some(format), .. } => self.add("image", format),
                _ => {}
            }
        }
    }

    /// Numbers and instants are many, and a grammar each.
    fn read_header(&mut self, kind: &'static str, name: &str, value: &str) {
        let is_of_numbers = ["content-length", "date"].contains(&name.to_ascii_lowercase().as_str());
        let value = if is_of_numbers { "" } else { value };
        self.add(kind, format!("{name}: {value}").trim_end());
    }

    fn read_answer(&mut self, answer: &KeptAnswer) {
        let mut lines = answer.head.iter();
        self.add("status line", lines.next().map_or("", String::as_str));
        for line in lines {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            self.read_header("answer header", name, value.trim());
        }
        let straight = straight(answer.body.trim_start_matches('\u{FEFF}'));
        if let Ok(Value::Object(members)) = serde_json::from_str(&straight) {
            self.read_members(&members);
        }
    }

    fn read_members(&mut self, members: &serde_json::Map<String, Value>) {
        for (name, value) in members {
            let (Some(key), text) =
                (AnswerKey::find(name), value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            else {
                continue;
            };
            match (key.rule, value) {
                (ValueRule::Message, Value::Object(inner)) => self.read_members(inner),
                (ValueRule::Message, _) => self.add("message", &text),
                (ValueRule::Path, _) => self.add("path", &text),
                (ValueRule::Only(_), _) if name == "errorCode" => self.add("code", &text),
                (ValueRule::Only(_), _) if name == "faceThreshold" => self.add("threshold", &text),
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::conformance::recording::exchange::RecordingHeader;

    /// A recording with one exchange.
    const CLEAN: &str = concat!(
        r#"{"recording":{"schema":1,"tool":"dukcapil-fr-sim 0.1.0","suite":1,"recording":"rec-0123456789ab","started":"2026-11-26T10:00:00.000+07:00","target":"loopback","keeps_area":false}}"#,
        "\n",
        r#"{"exchange":{"number":1,"connection":1,"ordinal":1,"at":"2026-11-26T10:00:01.000+07:00","#,
        r#""request":{"shape":{"method":"POST","path":"/api/face-recognition/{c1}/CALL_FN","headers":[{"name":"Host","bytes":10},{"name":"Content-Type","value":"application/json","bytes":16}],"#,
        r#""framing":"content-length","body":{"object":{"bytes":90,"layout":"{\"threshold\": $, \"?\":$}\n","members":[{"name":"threshold","kind":"string","value":{"verbatim":"7"}},"#,
        r#"{"kind":"string","value":{"text":{"chars":4,"classes":"lower+digits","token":"0123456789ab"}}}]}}}},"#,
        r#""answer":{"whole":{"status":200,"head":["HTTP/1.1 200 OK","Server: nginx/1.25","X-Request-Id: XXXX"],"framing":"content-length","#,
        r#""body":"{\"tid\":\"{{tid...}}\",\"errorCode\":\"6018\",\"error\":\"Sukses XXXX\",\"n\":9999999999999999,\"response\":\"{\\\"face\\\":{\\\"FACE_T5\\\":{\\\"XXXXXXXXXXXXXXXX\\\":7.5195722579956055}}}\"}","#,
        r#""first_byte_ms":1,"last_byte_ms":2,"stays_open":true}},"times":{"upload_us":0,"first_byte_us":1000,"last_byte_us":2000,"reads":1}}}"#,
        "\n",
        r#"{"end":{"at":"2026-11-26T10:00:02.000+07:00","why":"signal"}}"#,
        "\n",
    );

    fn account() -> Account {
        Account { user_id: "demo-user-1".to_owned(), password: "pa/ss \"w0rd\"".to_owned() }
    }

    fn found(text: &str) -> Vec<(usize, &'static str)> {
        check(text.as_bytes(), &[account()]).unwrap().found.into_iter().collect()
    }

    #[test]
    fn a_recording_of_the_format_is_clean_and_its_texts_are_listed() {
        // The key of the number is unknown, so it would be masked.
        let clean = CLEAN.replace(r#"\"n\":"#, r#"\"X\":"#);
        assert_eq!(found(&clean), []);
        let checked = check(clean.as_bytes(), &[]).unwrap();
        let texts: Vec<_> =
            checked.texts.iter().map(|((kind, text), count)| (*kind, &**text, *count)).collect();
        assert_eq!(
            texts,
            [
                ("answer header", "Server: nginx/1.25", 1),
                ("answer header", "X-Request-Id: XXXX", 1),
                ("code", "6018", 1),
                ("end", "signal", 1),
                ("message", "Sukses XXXX", 1),
                ("name", "loopback", 1),
                ("request header", "Content-Type: application/json", 1),
                ("request header", "Host:", 1),
                ("request line", "POST /api/face-recognition/{c1}/CALL_FN", 1),
                ("status line", "HTTP/1.1 200 OK", 1),
                ("threshold", "7", 1),
            ]
        );
        assert_eq!(found(CLEAN), [(2, NOT_LISTED)]);
        // Long masks are no base64, in paths and behind escapes neither.
        let masks = "/XXXXXXXX".repeat(12) + &"\\\\u0058".repeat(20) + "/" + &"9".repeat(90);
        assert_eq!(found(&clean.replace("Sukses XXXX", &masks)), [(2, NOT_LISTED)]);
        assert_eq!(found(clean.trim_end()), [(3, CUT_OFF)]);
    }

    #[test]
    fn every_head_and_end_that_is_written_is_clean() {
        let now = jiff::Timestamp::now();
        for reason in EndReason::ALL {
            let header = RecordingHeader::new("loopback".to_owned(), true, now);
            let end = RecordingLine::End { at: time::rfc3339_millis(now), why: reason.name().to_owned() };
            let lines = [RecordingLine::Recording(header), end].map(|line| json::text(&line) + "\n");
            assert_eq!(found(&lines.concat()), [], "{reason:?}");
        }
    }

    #[test]
    fn each_kind_of_data_is_found() {
        let clean = CLEAN.replace(r#"\"n\":"#, r#"\"X\":"#);
        let base64 = "aGVsbG8v".repeat(10);
        let split = format!("{}\\\\/{}", &base64[..40], &base64[..40]);
        for (from, to, kind) in [
            ("loopback", "3174096112900001", NIK),
            ("XXXXXXXXXXXXXXXX", "3174096112900001", NIK),
            ("7.5195722579956055", "1234.5195722579956055", NIK),
            ("Sukses", &base64, BASE64),
            ("Sukses", &split, BASE64),
            ("loopback", "/9j/", PICTURE),
            ("loopback", "iVBORw0KGgo", PICTURE),
            ("loopback", "\\u0089PNG", PICTURE),
            ("loopback", "FFD8FFE000", PICTURE),
            ("loopback", "demo-user-1", CREDENTIAL),
            ("loopback", "ZGVtby11c2VyLTE", CREDENTIAL),
            ("loopback", "64656d6f2d757365722d31", CREDENTIAL),
            ("loopback", "demo%2Duser%2D1", CREDENTIAL),
            ("loopback", "pa/ss \\\"w0rd\\\"", CREDENTIAL),
            ("Sukses", "Siti1", NOT_LISTED),
            ("6018", "RAHASIA", NOT_LISTED),
            ("{{tid...}}", "0211202201", NOT_LISTED),
            (r#"\"X\":"#, r#"\"nama\":"#, NOT_LISTED),
            ("XXXX\"]", "siti\"]", NOT_LISTED),
            ("nginx/1.25", "siti/1.25", NOT_LISTED),
            ("200 OK", "200 SITI", NOT_LISTED),
            ("{c1}", "bank", NOT_LISTED),
            ("\"POST\"", "\"SITI\"", NOT_LISTED),
            ("\"Host\"", "\"X_Siti\"", NOT_LISTED),
            (r#"application/json","bytes"#, r#"siti","bytes"#, NOT_LISTED),
            (r#"\"?\""#, r#"\"nama\""#, NOT_LISTED),
            (": $", ": 7$", NOT_LISTED),
            (r#"verbatim":"7"#, r#"verbatim":"siti"#, NOT_LISTED),
            ("lower+digits", "siti", NOT_LISTED),
            (r#"token":"0123456789ab"#, r#"token":"siti"#, NOT_LISTED),
            ("\"name\":\"threshold\"", "\"name\":\"siti\"", NOT_LISTED),
            ("rec-0123456789ab", "siti", NOT_LISTED),
            ("\"signal\"", "\"siti\"", NOT_LISTED),
            ("\"number\":1", "\"nama\":\"siti\",\"number\":1", NOT_WRITTEN),
            ("{\"exchange\"", "{ \"exchange\"", NOT_WRITTEN),
        ] {
            let changed = clean.replacen(from, to, 1);
            assert_ne!(changed, clean, "{from}");
            let kinds: Vec<_> = found(&changed).into_iter().map(|(_, kind)| kind).collect();
            assert!(kinds.contains(&kind), "{from} -> {to}: {kinds:?}");
        }
        let raw = [clean.as_bytes(), b"\xFF\xD8\xFF\xE0"].concat();
        let checked = check(&raw, &[]).unwrap();
        assert_eq!(
            checked.found.into_iter().collect::<Vec<_>>(),
            [(4, CUT_OFF), (4, PICTURE)],
            "also in what a crash cut off"
        );
    }

    #[test]
    fn other_files_are_no_recordings() {
        let other = CLEAN.replace("\"schema\":1", "\"schema\":2");
        let unknown = CLEAN.replace("\"unparsed\"", "\"siti\"").replace("\"whole\"", "\"siti\"");
        let wrong = CLEAN.replace("\"connection\":1", "\"connection\":\"siti\"");
        for text in ["", "siti\n", "{}\n", &CLEAN[10..], &other, &unknown, &wrong] {
            let why = check(text.as_bytes(), &[]).unwrap_err();
            assert!(!why.contains("siti"), "{why}");
        }
    }
}
