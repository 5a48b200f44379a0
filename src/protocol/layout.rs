//! Renders an answer's values as the document's bytes, in one of three layouts.
//! The white space below is the document's; `tests/` compares it with the golden answers.

use std::borrow::Cow;
use std::fmt::Write;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number;
use super::outcome::{Code, Shape};
use crate::base::json;

/// How the bytes of an answer are laid out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// The document's bytes, including blanks and tabs.
    #[default]
    Documented,
    /// Same keys, order and values without white space.
    Compact,
    /// The document's bytes with the typographic quotes of the verification shape: invalid JSON, to test error handling.
    AsPrinted,
}

/// Types of the values in the verification shape (policy key `types`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ValueTypes {
    /// As the document prints them: all but `errorCode` are strings.
    #[default]
    Documented,
    /// Numbers and booleans, as clients of the 1:1 sibling read them (FIELD-NOTES, "What is behind it", observed).
    Native,
}

/// One similar citizen in an answer.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidate {
    /// NIK; a fixture may set any text.
    pub nik: String,
    /// Similarity on the matcher's scale of 0 to 20.
    pub score: f32,
    /// Which comparison gave the score; `None` where no face engine is configured, and for what nobody compared.
    pub by: Option<ScoredBy>,
}

/// Which comparison gave a score.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ScoredBy {
    /// The content of two pictures.
    Picture,
    /// The faces in them.
    Face,
}

/// All values of one answer, ready to render.
#[derive(Clone, Debug)]
pub struct Answer {
    /// `errorCode`.
    pub code: Code,
    /// Which of the two body shapes.
    pub shape: Shape,
    /// Types of the verification shape.
    pub types: ValueTypes,
    /// `error` or `errorMessage`.
    pub message: String,
    /// `tid` of the identification shape; `None` prints null.
    pub tid: Option<String>,
    /// `transactionId` of the verification shape.
    pub transaction_id: String,
    /// `maxResults`.
    pub max_results: usize,
    /// `faceThreshold`, as text.
    pub face_threshold: String,
    /// Candidates inside `response`, in the order printed; `None` omits the key (doc 4.5).
    pub response: Option<Vec<Candidate>>,
    /// `uid` of the verification shape.
    pub uid: String,
    /// `quotaLimiter` of the verification shape.
    pub quota_limiter: String,
}

/// Initial capacity of a body, in bytes: enough for one candidate.
const BODY_CAPACITY: usize = 512;

impl Answer {
    /// Returns the body's bytes. No final newline, as in the document.
    #[must_use]
    pub fn render(&self, layout: Layout) -> Vec<u8> {
        match self.shape {
            Shape::Identification => self.identification(layout == Layout::Compact),
            Shape::Verification => self.verification(layout),
        }
        .into_bytes()
    }

    /// Renders the shape of doc 4.1: four blanks before a key, one after the colon.
    fn identification(&self, compact: bool) -> String {
        let null = || Cow::Borrowed("null");
        let text = |text: &str| Cow::Owned(json(text));
        let mut members = vec![
            ("tid", self.tid.as_deref().map_or_else(null, text)),
            ("encounter_id", null()),
            ("error", text(&self.message)),
            ("errorCode", text(self.code.as_str())),
            ("finger_data", null()),
            ("iris_data", null()),
            ("face_data", null()),
            ("request_type", Cow::Borrowed("\"Identification\"")),
            ("maxResults", Cow::Owned(self.max_results.to_string())),
            ("faceThreshold", text(&self.face_threshold)),
            ("fingerThreshold", Cow::Borrowed("0")),
            ("irisThreshold", Cow::Borrowed("0")),
        ];
        if let Some(candidates) = &self.response {
            members.push(("response", text(&face_t5(candidates))));
        }
        let (open, between, colon, close) =
            if compact { ("{", ",", ":", "}") } else { ("{\n    ", ",\n    ", ": ", "\n}") };
        let mut body = String::with_capacity(BODY_CAPACITY);
        for (number, (key, value)) in members.iter().enumerate() {
            let before = if number == 0 { open } else { between };
            body.extend([before, "\"", key, "\"", colon, value]);
        }
        body + close
    }

    /// Renders the shape of doc 4.3 and 4.6.
    fn verification(&self, layout: Layout) -> String {
        let quotes = if layout == Layout::AsPrinted { Quotes::printed(&self.code) } else { Quotes::ASCII };
        let white =
            if layout == Layout::Compact { WhiteSpace::COMPACT } else { WhiteSpace::documented(&self.code) };
        let q = |text: &str| format!("{}{text}{}", quotes.open, quotes.close);
        let key = |text: &str| format!("{}{text}{}", quotes.key_open, quotes.key_close);
        let WhiteSpace { line, tab, message_tab, blank, colon } = white;
        // A custom code that is not a JSON number stays a string.
        let code = if number::is_json_number(self.code.as_str()) {
            self.code.as_str().to_owned()
        } else {
            q(self.code.as_str())
        };
        let message = format!("{}{}{}", quotes.message_open, inner(&self.message), quotes.message_close);
        let mut text = format!(
            "{{{line}{tab}{}:{{{line}{tab}{tab}{}:{code},{line}{message_tab}{}:{message}{line}{tab}}}",
            key("error"),
            key("errorCode"),
            key("errorMessage"),
        );
        // Writing to a String cannot fail.
        // Doc 4.3 and 4.6 indent the first of these keys by one tab, the others by two blanks and a tab.
        // A number or a boolean. A quotaLimiter that is neither stays a string.
        let typed = |value: &str| {
            let is_bare =
                self.types == ValueTypes::Native && (value == "false" || number::is_json_number(value));
            if is_bare { value.to_owned() } else { q(&inner(value)) }
        };
        let _ = write!(text, ",{line}{tab}{}{colon}{}", q("httpResponseCode"), typed("200"));
        for (name, value) in [
            ("matchScore", typed("0")),
            ("transactionId", q(&inner(&self.transaction_id))),
            ("uid", q(&inner(&self.uid))),
            ("verificationResult", typed("false")),
            ("quotaLimiter", typed(&self.quota_limiter)),
        ] {
            let _ = write!(text, ",{line}{blank}{}{colon}{value}", q(name));
        }
        text + line + "}"
    }
}

/// The white space of the verification shape.
struct WhiteSpace {
    line: &'static str,
    tab: &'static str,
    message_tab: &'static str,
    blank: &'static str,
    colon: &'static str,
}

impl WhiteSpace {
    const COMPACT: WhiteSpace = WhiteSpace { line: "", tab: "", message_tab: "", blank: "", colon: ":" };

    /// Doc 4.6 prints one tab before `errorMessage` where doc 4.3 prints two; other codes use 4.3's.
    fn documented(code: &Code) -> WhiteSpace {
        let message_tab = if *code == Code::THRESHOLD { "\t" } else { "\t\t" };
        WhiteSpace { line: "\n", tab: "\t", message_tab, blank: "  \t", colon: ": " }
    }
}

/// The quotes of the verification shape, as the document's word processor produced them.
struct Quotes {
    key_open: &'static str,
    key_close: &'static str,
    open: &'static str,
    close: &'static str,
    message_open: &'static str,
    message_close: &'static str,
}

impl Quotes {
    const ASCII: Quotes = Quotes {
        key_open: "\"",
        key_close: "\"",
        open: "\"",
        close: "\"",
        message_open: "\"",
        message_close: "\"",
    };

    /// Doc 4.3 closes its message with an opening quote, doc 4.6 does not; other codes use 4.3's.
    fn printed(code: &Code) -> Quotes {
        Quotes {
            key_open: "“",
            key_close: "”",
            open: "“",
            close: "”",
            message_open: "”",
            message_close: if *code == Code::THRESHOLD { "”" } else { "“" },
        }
    }
}

/// Returns the JSON inside `response`, with scores as the document prints them.
fn face_t5(candidates: &[Candidate]) -> String {
    let members: Vec<_> = candidates
        .iter()
        .map(|candidate| format!("{}:{}", json(&candidate.nik), number::score(candidate.score)))
        .collect();
    format!("{{\"face\":{{\"FACE_T5\":{{{}}}}}}}", members.join(","))
}

/// Returns a JSON string with its quotes.
fn json(text: &str) -> String {
    json::text(text)
}

/// Returns a JSON string without its quotes.
fn inner(text: &str) -> String {
    let quoted = json(text);
    quoted[1..quoted.len() - 1].to_owned()
}
