//! NIK identification API: maps a request body to the response body, in the layout of the second document.
//!
//! A response has about 1 kB for each element, so it is made piece by piece as it is sent: a slow reader keeps its request in memory, not
//! the response.
//!
//! `docs/reference/nik.md` lists what the document leaves open, and the differences from the original program.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::iter;
use std::ops::Range;

use serde::ser::Serializer;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{NikContext, ParsedNik, read};
use crate::base::json;

/// Path of the API. It is where the original program has it; the document does not say.
pub const PATH: &str = "/api/nik";

/// Why a request is invalid, so that the document has no response for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NikRequestError {
    pub message: String,
    /// JSON pointer to the invalid value; `None` if it is missing or the body is not JSON.
    pub path: Option<&'static str>,
    /// Whether the list has too many elements.
    pub is_too_long: bool,
}

impl NikRequestError {
    fn new(message: String, path: Option<&'static str>) -> NikRequestError {
        NikRequestError { message, path, is_too_long: false }
    }
}

/// The response to a request, indented by four spaces and without a final newline.
#[derive(Debug)]
pub struct NikAnswer {
    /// The request's body.
    body: String,
    /// Where its elements are.
    elements: Vec<Range<usize>>,
    content: NikResult,
    context: NikContext,
}

#[derive(Debug)]
enum NikResult {
    Failed,
    Success {
        process: Process,
        /// Indices of the elements that cannot be parsed.
        errors: Vec<usize>,
        /// Indices of the others, without duplicates.
        distinct: Vec<usize>,
        summary: Summary,
    },
}

impl NikAnswer {
    /// Returns the response to a request.
    ///
    /// # Errors
    /// When the body is not a JSON object, `nik` is missing, not a list or longer than `max_elements`, or `process` is missing or not a
    /// string.
    pub fn to(body: Vec<u8>, max_elements: usize, context: NikContext) -> Result<NikAnswer, NikRequestError> {
        let body = String::from_utf8(body)
            .map_err(|error| NikRequestError::new(format!("the body is not a JSON object: {error}"), None))?;
        let request = NikRequest::of(&body, max_elements)?;
        let place = |element: &&RawValue| {
            let start = element.get().as_ptr() as usize - body.as_ptr() as usize;
            start..start + element.get().len()
        };
        let elements: Vec<_> = request.nik.iter().map(place).collect();
        let content = match &*request.process {
            "full" => NikResult::success(&request.nik, &context, Process::Full),
            "limited" => NikResult::success(&request.nik, &context, Process::Limited),
            _ => NikResult::Failed,
        };
        Ok(NikAnswer { body, elements, content, context })
    }

    /// Returns the number of bytes. Makes all pieces.
    #[must_use]
    pub fn length(&self) -> usize {
        self.pieces().map(|piece| piece.len()).sum()
    }

    /// Returns the bytes, in pieces of about an element.
    pub fn pieces(&self) -> Box<dyn Iterator<Item = String> + Send + '_> {
        match &self.content {
            NikResult::Failed => {
                let all = self.elements.iter().map(|place| self.body[place.clone()].to_owned());
                let start = "{\n    \"message\": \"failed\",\n    \"data\": ".to_owned();
                Box::new(
                    iter::once(start).chain(enclosed(["[", "]"], all)).chain(iter::once("\n}".to_owned())),
                )
            }
            NikResult::Success { process, errors, distinct, summary } => {
                let errors = errors.iter().map(|index| self.element(*index).to_owned());
                let data = distinct.iter().filter_map(|index| self.entry(*index, *process));
                let start = "{\n    \"message\": \"success\",\n    \"errors\": ".to_owned();
                let pieces = iter::once(start).chain(enclosed(["[", "]"], errors));
                let pieces = pieces.chain(iter::once(",\n    \"data\": ".to_owned()));
                let end = format!(",\n    \"summary\": {}\n}}", pretty_json(summary, 1));
                Box::new(pieces.chain(enclosed(["{", "}"], data)).chain(iter::once(end)))
            }
        }
    }

    fn element(&self, index: usize) -> &str {
        &self.body[self.elements[index].clone()]
    }

    fn entry(&self, index: usize, process: Process) -> Option<String> {
        let text = text(self.element(index))?;
        let processed = Processed { reading: read(&text, &self.context).ok()?, text };
        Some(format!("{}: {}", json::text(&*processed.text), pretty_json(&process.details(&processed), 2)))
    }
}

impl NikResult {
    fn success(elements: &[&RawValue], context: &NikContext, process: Process) -> NikResult {
        let (mut errors, mut distinct, mut seen) = (Vec::new(), Vec::new(), HashSet::new());
        let mut summary = Summary { number: elements.len(), ..Summary::default() };
        for (index, element) in elements.iter().enumerate() {
            let reading = text(element.get()).and_then(|text| Some((read(&text, context).ok()?, text)));
            match reading {
                Some((reading, text)) => {
                    summary.count(&reading);
                    if seen.insert(text) {
                        distinct.push(index);
                    }
                }
                None => errors.push(index),
            }
        }
        summary.error = errors.len();
        NikResult::Success { process, errors, distinct, summary }
    }
}

/// Returns a list or an object in pieces, as a member of the response. `items` are indented for it but for their first lines.
fn enclosed(
    [open, close]: [&'static str; 2],
    items: impl Iterator<Item = String>,
) -> impl Iterator<Item = String> {
    let mut items = items.peekable();
    let end = if items.peek().is_some() { format!("\n    {close}") } else { close.to_owned() };
    let separator = iter::once("\n        ").chain(iter::repeat(",\n        "));
    let items = separator.zip(items).map(|(separator, item)| format!("{separator}{item}"));
    iter::once(open.to_owned()).chain(items).chain(iter::once(end))
}

/// Serializes in the document's layout, which is that of Python's `json.dumps(indent=4)`, indented for this depth but for the first line.
fn pretty_json(value: &impl Serialize, depth: usize) -> String {
    const INDENT: &str = "    ";
    // A line break in a text is escaped.
    String::from_utf8_lossy(&json::indented(value, INDENT))
        .replace('\n', &format!("\n{}", INDENT.repeat(depth)))
}

/// A parsed request. Elements are kept as sent.
struct NikRequest<'a> {
    nik: Vec<&'a RawValue>,
    process: String,
}

impl<'a> NikRequest<'a> {
    fn of(body: &'a str, max_elements: usize) -> Result<NikRequest<'a>, NikRequestError> {
        let body = body.strip_prefix('\u{feff}').unwrap_or(body);
        // Of duplicate keys the last one is used, as in the original.
        let members: BTreeMap<String, &RawValue> = serde_json::from_str(body)
            .map_err(|error| NikRequestError::new(format!("the body is not a JSON object: {error}"), None))?;
        let nik: Vec<&RawValue> = member(&members, "nik", "/nik", "a list")?;
        let process = member(&members, "process", "/process", "a string")?;
        if nik.len() > max_elements {
            let message =
                format!("nik has {} elements, at most {max_elements} are allowed (limits.niks)", nik.len());
            return Err(NikRequestError { is_too_long: true, ..NikRequestError::new(message, Some("/nik")) });
        }
        Ok(NikRequest { nik, process })
    }
}

fn member<'a, T: Deserialize<'a>>(
    members: &BTreeMap<String, &'a RawValue>,
    name: &str,
    path: &'static str,
    kind: &str,
) -> Result<T, NikRequestError> {
    let raw = members.get(name).ok_or_else(|| NikRequestError::new(format!("{name} is missing"), None))?;
    serde_json::from_str(raw.get())
        .map_err(|_| NikRequestError::new(format!("{name} is not {kind}"), Some(path)))
}

/// Returns the text of an element: a string, or an integer as its decimal digits. `None` for everything else.
fn text(raw: &str) -> Option<Cow<'_, str>> {
    if raw.starts_with('"') {
        return serde_json::from_str::<String>(raw).ok().map(Cow::Owned);
    }
    raw.bytes().all(|byte| byte.is_ascii_digit()).then_some(Cow::Borrowed(raw))
}

/// An element that could be parsed.
struct Processed<'a> {
    text: Cow<'a, str>,
    reading: ParsedNik,
}

/// Level of detail for each NIK, from the field `process`.
#[derive(Clone, Copy, Debug)]
enum Process {
    Full,
    Limited,
}

#[derive(Serialize)]
#[serde(untagged)]
enum NikDetails<'a> {
    Full { data: Sections<'a>, valid: bool },
    Limited(bool),
}

impl Process {
    fn details<'a>(self, processed: &'a Processed) -> NikDetails<'a> {
        let valid = processed.reading.is_valid();
        match self {
            Process::Full => {
                NikDetails::Full { data: Sections::of(&processed.text, &processed.reading), valid }
            }
            Process::Limited => NikDetails::Limited(valid),
        }
    }
}

#[derive(Serialize)]
struct Sections<'a> {
    length: Section<&'a str>,
    area: Section<Area>,
    dob: Section<Dob>,
    gender: Section<OrNone<&'static str>>,
    computerized: Section<OrNone<&'a str>>,
}

#[derive(Serialize)]
struct Section<T> {
    value: T,
    valid: bool,
}

#[derive(Serialize)]
struct Area {
    province: OrNone<&'static str>,
    /// Regency or city: the document names the levels one too high.
    district: OrNone<&'static str>,
    subdistrict: OrNone<&'static str>,
}

#[derive(Serialize)]
struct Dob {
    dob: OrNone<String>,
    age: OrNone<u32>,
}

/// Serializes an unknown value as `"None"`, as the document does.
struct OrNone<T>(Option<T>);

impl<T: Serialize> Serialize for OrNone<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            Some(value) => value.serialize(serializer),
            None => serializer.serialize_str("None"),
        }
    }
}

impl<'a> Sections<'a> {
    fn of(text: &'a str, reading: &ParsedNik) -> Sections<'a> {
        let ParsedNik { length, district, birth, sex, serial } = reading;
        let name = |of: fn(&super::District) -> &'static str| OrNone(district.as_ref().ok().map(|d| of(d)));
        let area = Area {
            province: name(|d| d.province),
            district: name(|d| d.regency),
            subdistrict: name(|d| d.name),
        };
        let born = birth.as_ref().ok();
        let dob = Dob {
            dob: OrNone(born.map(|born| born.date.strftime("%d-%m-%Y").to_string())),
            age: OrNone(born.map(|born| born.age)),
        };
        let gender = sex.as_ref().ok().map(|sex| match sex {
            super::Sex::Man => "Man",
            super::Sex::Woman => "Woman",
        });
        // An incomplete or invalid serial is shown as sent.
        let serial_digits = text.get(12..text.len().min(16)).filter(|digits| !digits.is_empty());
        Sections {
            length: Section { value: text, valid: length.is_ok() },
            area: Section { value: area, valid: district.is_ok() },
            dob: Section { value: dob, valid: born.is_some() },
            gender: Section { value: OrNone(gender), valid: gender.is_some() },
            computerized: Section { value: OrNone(serial_digits), valid: serial.is_ok() },
        }
    }
}

/// Counts of elements, including duplicate NIKs: `number` is the sum of `number_processed` and `error`.
#[derive(Debug, Default, Serialize)]
struct Summary {
    number: usize,
    number_processed: usize,
    error: usize,
    valid: ValidCounts,
}

#[derive(Debug, Default, Serialize)]
struct ValidCounts {
    all_section: usize,
    section: SectionCounts,
}

#[derive(Debug, Default, Serialize)]
struct SectionCounts {
    length: usize,
    area: usize,
    dob: usize,
    gender: usize,
    computerized: usize,
}

impl Summary {
    fn count(&mut self, reading: &ParsedNik) {
        let ValidCounts { all_section, section } = &mut self.valid;
        self.number_processed += 1;
        *all_section += usize::from(reading.is_valid());
        section.length += usize::from(reading.length.is_ok());
        section.area += usize::from(reading.district.is_ok());
        section.dob += usize::from(reading.birth.is_ok());
        section.gender += usize::from(reading.sex.is_ok());
        section.computerized += usize::from(reading.serial.is_ok());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use serde_json::{Value, json};

    const CONTEXT: NikContext = NikContext { today: date(2026, 11, 21), min_age: 17 };

    fn answer(body: &[u8]) -> Result<String, NikRequestError> {
        Ok(NikAnswer::to(body.to_vec(), 1000, CONTEXT)?.pieces().collect())
    }

    fn text_of(body: &str) -> String {
        answer(body.as_bytes()).unwrap()
    }

    fn full(nik: &str) -> Value {
        let answer: Value =
            serde_json::from_str(&text_of(&format!(r#"{{"nik":[{nik}],"process":"full"}}"#))).unwrap();
        assert_eq!(answer["summary"]["number_processed"], 1, "{answer}");
        answer["data"].as_object().unwrap().values().next().unwrap().clone()
    }

    fn limited(niks: &str) -> Value {
        serde_json::from_str(&text_of(&format!(r#"{{"nik":{niks},"process":"limited"}}"#))).unwrap()
    }

    #[test]
    fn responses_equal_the_document_byte_for_byte() {
        let of = |process: &str| text_of(&format!(r#"{{"nik":["1234567891234567"],"process":"{process}"}}"#));
        assert_eq!(of("full"), include_str!("golden/full.json"));
        assert_eq!(of("limited"), include_str!("golden/limited.json"));
        assert_eq!(of("else"), include_str!("golden/failed.json"));
    }

    #[test]
    fn a_valid_nik_has_every_value() {
        assert_eq!(
            full("\"3174055708909990\""),
            json!({
                "data": {
                    "length": { "value": "3174055708909990", "valid": true },
                    "area": {
                        "value": {
                            "province": "Daerah Khusus Ibukota Jakarta",
                            "district": "Kota Administrasi Jakarta Selatan",
                            "subdistrict": "Kebayoran Lama",
                        },
                        "valid": true,
                    },
                    "dob": { "value": { "dob": "17-08-1990", "age": 36 }, "valid": true },
                    "gender": { "value": "Woman", "valid": true },
                    "computerized": { "value": "9990", "valid": true },
                },
                "valid": true,
            })
        );
        assert_eq!(full("\"9101011708909990\"")["data"]["area"]["value"]["subdistrict"], "Merauke");
    }

    #[test]
    fn sections_are_validated_independently() {
        let valid = |nik: &str| {
            let data = full(&format!("\"{nik}\""))["data"].clone();
            ["length", "area", "dob", "gender", "computerized"].map(|section| data[section]["valid"] == true)
        };
        for (nik, expected) in [
            ("3174051708909990", [true, true, true, true, true]),
            ("3174991708909990", [true, false, true, true, true]),
            ("3174054002909990", [true, true, false, true, true]),
            ("3174052102109990", [true, true, false, true, true]),
            ("3174058002909990", [true, true, false, false, true]),
            ("3174051708900000", [true, true, true, true, false]),
            ("317405170890999", [false, true, true, true, false]),
            ("31740517089099901234", [false, true, true, true, true]),
            ("31740517089", [false, true, false, true, false]),
            ("3174051", [false, true, false, true, false]),
        ] {
            assert_eq!(valid(nik), expected, "{nik}");
        }
    }

    #[test]
    fn unknown_values_are_none() {
        let data = full("\"3174998002909990\"")["data"].clone();
        let none = json!({ "province": "None", "district": "None", "subdistrict": "None" });
        assert_eq!(data["area"]["value"], none, "although the regency is known");
        assert_eq!(data["dob"]["value"], json!({ "dob": "None", "age": "None" }));
        assert_eq!(data["gender"]["value"], "None");
        let serial = |nik: &str| full(&format!("\"{nik}\""))["data"]["computerized"]["value"].clone();
        assert_eq!(serial("317405170890"), "None");
        assert_eq!(serial("31740517089099"), "99");
        assert_eq!(serial("3174051708900000"), "0000");
        assert_eq!(serial("31740517089099901234"), "9990");
    }

    #[test]
    fn unparsable_elements_are_returned_as_sent() {
        let answer = text_of(
            r#"{"nik":["123456", null, 3.0, [1, {"a":"b"}], true, -3174051708909990, "３174051708909990", " 3174051708909990", "\ud800", ""],"process":"limited"}"#,
        );
        let errors = "\"errors\": [\n        \"123456\",\n        null,\n        3.0,\n        [1, {\"a\":\"b\"}],\n        true,\n        \
             -3174051708909990,\n        \"３174051708909990\",\n        \" 3174051708909990\",\n        \"\\ud800\",\n        \"\"\n    ],\n    \
             \"data\": {},\n";
        assert!(answer.contains(errors), "{answer}");
        assert!(
            answer.contains("\"number\": 10,\n        \"number_processed\": 0,\n        \"error\": 10,\n"),
            "{answer}"
        );
    }

    #[test]
    fn an_integer_is_parsed_as_its_digits_and_duplicates_share_a_key() {
        let answer = limited(
            r#"[3174051708909990, "3174051708909990", "\u0033174051708909990", 123456789012345678901234567890, "x"]"#,
        );
        assert_eq!(
            answer["data"],
            json!({ "3174051708909990": true, "123456789012345678901234567890": false })
        );
        assert_eq!(answer["summary"]["number"], 5);
        assert_eq!(answer["summary"]["number_processed"], 4);
        assert_eq!(answer["summary"]["error"], 1);
        assert_eq!(answer["summary"]["valid"]["all_section"], 3, "elements are counted, not distinct NIKs");
        assert_eq!(answer["errors"], json!(["x"]));
    }

    #[test]
    fn an_empty_list_is_a_success() {
        let answer = text_of(r#"{"nik":[],"process":"full"}"#);
        assert!(
            answer.starts_with("{\n    \"message\": \"success\",\n    \"errors\": [],\n    \"data\": {},\n"),
            "{answer}"
        );
        assert_eq!(
            text_of(r#"{"nik":[],"process":""}"#),
            "{\n    \"message\": \"failed\",\n    \"data\": []\n}"
        );
    }

    #[test]
    fn another_process_fails_with_the_list_as_sent() {
        for process in ["Full", "FULL", "full ", "", "päivä"] {
            let answer = text_of(&format!(r#"{{"nik":[1, null,"x"],"process":"{process}"}}"#));
            let expected = "{\n    \"message\": \"failed\",\n    \"data\": [\n        1,\n        null,\n        \"x\"\n    ]\n}";
            assert_eq!(answer, expected, "{process}");
        }
    }

    #[test]
    fn an_invalid_request_is_rejected_with_the_reason() {
        for (body, message, path) in [
            ("", "the body is not a JSON object", None),
            ("{\"nik\":[", "the body is not a JSON object", None),
            ("[]", "the body is not a JSON object", None),
            ("{\"nik\":[\"１\"],\"process\":\"full\"} x", "the body is not a JSON object", None),
            (r#"{"process":"full"}"#, "nik is missing", None),
            (r#"{"nik":[]}"#, "process is missing", None),
            (r#"{"nik":"3174051708909990","process":"full"}"#, "nik is not a list", Some("/nik")),
            (r#"{"nik":null,"process":"full"}"#, "nik is not a list", Some("/nik")),
            (r#"{"nik":{},"process":"x"}"#, "nik is not a list", Some("/nik")),
            (r#"{"nik":[],"process":1}"#, "process is not a string", Some("/process")),
            (r#"{"nik":[],"process":null}"#, "process is not a string", Some("/process")),
            (r#"{"nik":[],"process":["full"]}"#, "process is not a string", Some("/process")),
        ] {
            let error = answer(body.as_bytes()).unwrap_err();
            assert!(error.message.starts_with(message), "{body}: {error:?}");
            assert_eq!(error.path, path, "{body}");
        }
        assert!(answer(b"{\"nik\":[\"\xff\"],\"process\":\"full\"}").is_err());
        let many = format!(r#"{{"nik":[{}0],"process":"full"}}"#, "0,".repeat(1000));
        let error = answer(many.as_bytes()).unwrap_err();
        assert!(error.is_too_long && error.message.contains("at most 1000 are allowed"), "{error:?}");
    }

    #[test]
    fn a_response_is_made_in_small_pieces() {
        let niks: Vec<_> = (0..1000).map(|number| format!("\"317405570890{number:04}\"")).collect();
        let body = format!(r#"{{"nik":[{},"x"],"process":"full"}}"#, niks[1..].join(","));
        let answer = NikAnswer::to(body.into_bytes(), 1000, CONTEXT).unwrap();
        let longest = answer.pieces().map(|piece| piece.len()).max();
        assert!(longest.is_some_and(|longest| longest < 2000), "{longest:?}");
        assert_eq!(answer.pieces().count(), 1007, "one an element, and seven around them");
        assert!(answer.pieces().collect::<String>().len() > 700_000);
    }

    #[test]
    fn extra_keys_a_byte_order_mark_and_deep_nesting_are_allowed() {
        let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        let answer = text_of(&format!("\u{feff}{{\"nik\":[{deep}],\"process\":\"limited\",\"x\":1}}"));
        assert!(answer.contains(&deep));
        assert_eq!(
            limited(r#"["3174051708909990"], "nik": []"#)["summary"]["number"],
            0,
            "the last key is used"
        );
    }
}
