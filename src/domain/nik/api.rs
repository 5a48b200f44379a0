//! NIK identification API: maps a request body to the response body, in the layout of the second document.
//!
//! `docs/nik.md` lists what the document leaves open, and the differences from the original program.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};

use serde::ser::{SerializeMap, Serializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{NikContext, ParsedNik, read};
use crate::base::json;

/// Path of the API. It is where the original program has it; the document does not say.
pub const PATH: &str = "/api/nik";

/// Max elements per request. A response has about 1 kB for each.
pub const MAX_ELEMENTS: usize = 100_000;

/// Why a request is invalid, so that the document has no response for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NikRequestError {
    pub message: String,
    /// JSON pointer to the invalid value; `None` if it is missing or the body is not JSON.
    pub path: Option<&'static str>,
}

/// Returns the response to a request, indented by four spaces and without a final newline.
///
/// # Errors
/// When the body is not a JSON object, `nik` is missing, not a list or longer than [`MAX_ELEMENTS`], or `process` is missing or not a
/// string.
pub fn answer(body: &[u8], context: &NikContext) -> Result<Vec<u8>, NikRequestError> {
    let request = NikRequest::of(body)?;
    match &*request.process {
        "full" => Ok(success(&request.nik, context, Process::Full)),
        "limited" => Ok(success(&request.nik, context, Process::Limited)),
        _ => Ok(pretty_json(&Failed { message: "failed", data: &request.nik })),
    }
}

/// A parsed request. Elements are kept as sent.
struct NikRequest<'a> {
    nik: Vec<&'a RawValue>,
    process: String,
}

impl<'a> NikRequest<'a> {
    fn of(body: &'a [u8]) -> Result<NikRequest<'a>, NikRequestError> {
        let body = body.strip_prefix("\u{feff}".as_bytes()).unwrap_or(body);
        // Of duplicate keys the last one is used, as in the original.
        let members: BTreeMap<String, &RawValue> = serde_json::from_slice(body).map_err(|error| {
            NikRequestError { message: format!("the body is not a JSON object: {error}"), path: None }
        })?;
        let nik: Vec<&RawValue> = member(&members, "nik", "/nik", "a list")?;
        let process = member(&members, "process", "/process", "a string")?;
        if nik.len() > MAX_ELEMENTS {
            let message = format!("nik has {} elements, at most {MAX_ELEMENTS} are allowed", nik.len());
            return Err(NikRequestError { message, path: Some("/nik") });
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
    let raw = members
        .get(name)
        .ok_or_else(|| NikRequestError { message: format!("{name} is missing"), path: None })?;
    serde_json::from_str(raw.get())
        .map_err(|_| NikRequestError { message: format!("{name} is not {kind}"), path: Some(path) })
}

/// Returns the text of an element: a string, or an integer as its decimal digits. `None` for everything else.
fn text(element: &RawValue) -> Option<Cow<'_, str>> {
    let raw = element.get();
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

fn success(elements: &[&RawValue], context: &NikContext, kind: Process) -> Vec<u8> {
    let (mut errors, mut processed) = (Vec::new(), Vec::new());
    for &element in elements {
        let reading = text(element).and_then(|text| Some((read(&text, context).ok()?, text)));
        match reading {
            Some((reading, text)) => processed.push(Processed { text, reading }),
            None => errors.push(element),
        }
    }
    let summary = Summary::of(elements.len(), &processed);
    pretty_json(&Success { message: "success", errors, data: Data { processed: &processed, kind }, summary })
}

/// Serializes in the document's layout, which is that of Python's `json.dumps(indent=4)`.
fn pretty_json(answer: &impl Serialize) -> Vec<u8> {
    json::indented(answer, "    ")
}

#[derive(Serialize)]
struct Failed<'a> {
    message: &'static str,
    data: &'a [&'a RawValue],
}

#[derive(Serialize)]
struct Success<'a> {
    message: &'static str,
    errors: Vec<&'a RawValue>,
    data: Data<'a>,
    summary: Summary,
}

/// Level of detail for each NIK, from the field `process`.
#[derive(Clone, Copy)]
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

/// NIKs in the order of their first occurrence; duplicates share a key.
struct Data<'a> {
    processed: &'a [Processed<'a>],
    kind: Process,
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        let mut seen = HashSet::new();
        for processed in self.processed.iter().filter(|processed| seen.insert(&*processed.text)) {
            map.serialize_entry(&*processed.text, &self.kind.details(processed))?;
        }
        map.end()
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
#[derive(Serialize)]
struct Summary {
    number: usize,
    number_processed: usize,
    error: usize,
    valid: ValidCounts,
}

#[derive(Serialize)]
struct ValidCounts {
    all_section: usize,
    section: SectionCounts,
}

#[derive(Serialize)]
struct SectionCounts {
    length: usize,
    area: usize,
    dob: usize,
    gender: usize,
    computerized: usize,
}

impl Summary {
    fn of(number: usize, processed: &[Processed]) -> Summary {
        let count =
            |valid: fn(&ParsedNik) -> bool| processed.iter().filter(|one| valid(&one.reading)).count();
        Summary {
            number,
            number_processed: processed.len(),
            error: number - processed.len(),
            valid: ValidCounts {
                all_section: count(ParsedNik::is_valid),
                section: SectionCounts {
                    length: count(|reading| reading.length.is_ok()),
                    area: count(|reading| reading.district.is_ok()),
                    dob: count(|reading| reading.birth.is_ok()),
                    gender: count(|reading| reading.sex.is_ok()),
                    computerized: count(|reading| reading.serial.is_ok()),
                },
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;
    use serde_json::{Value, json};

    const CONTEXT: NikContext = NikContext { today: date(2026, 11, 21), min_age: 17 };

    fn text_of(body: &str) -> String {
        String::from_utf8(answer(body.as_bytes(), &CONTEXT).unwrap()).unwrap()
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
            let error = answer(body.as_bytes(), &CONTEXT).unwrap_err();
            assert!(error.message.starts_with(message), "{body}: {error:?}");
            assert_eq!(error.path, path, "{body}");
        }
        assert!(answer(b"{\"nik\":[\"\xff\"],\"process\":\"full\"}", &CONTEXT).is_err());
        let many = format!(r#"{{"nik":[{}0],"process":"full"}}"#, "0,".repeat(MAX_ELEMENTS));
        assert!(answer(many.as_bytes(), &CONTEXT).unwrap_err().message.contains("at most 100000"));
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
