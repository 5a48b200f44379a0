//! A recorded request as the model gets it: what its shape says is rebuilt, and what the shape does not say is chosen by the caller. It
//! holds nothing of the real request, because the recording does not.

use serde_json::{Value, json};

use super::exchange::{Base64Shape, BodyShape, MemberShape, RequestShape, ValueShape};
use crate::conformance::answer::MASKED_NIK;
use crate::conformance::call_spec::{Subject, UNKNOWN_METHODE, undecryptable, wrapped};
use crate::conformance::pictures::TestImage;
use crate::keys;
use crate::protocol::{Code, encoding};

/// What the account of a request is taken for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AccountForm {
    #[default]
    Right,
    /// Of nobody.
    MadeUp,
    /// The key does not open user_id.
    Unreadable,
}

/// What the matcher is taken to have done: the model's own finds nobody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MatcherScript {
    /// It found so many.
    Candidates(usize),
    /// It found no face, or was busy.
    Answer(Code),
}

/// More candidates are not explained by a policy.
const MAX_CANDIDATES: usize = 50;

impl MatcherScript {
    /// All that the model can follow.
    pub fn all() -> impl Iterator<Item = MatcherScript> {
        let candidates = (1..=MAX_CANDIDATES).map(MatcherScript::Candidates);
        candidates.chain([Code::BAD_PHOTO, Code::BUSY].map(MatcherScript::Answer))
    }

    /// Whether it answers any request, not only one that reaches the matcher: when a busy matcher is noticed is not known.
    #[must_use]
    pub fn is_for_any(&self) -> bool {
        *self == MatcherScript::Answer(Code::BUSY)
    }

    /// The model's customer that follows it.
    #[must_use]
    pub fn customer_id(&self) -> String {
        match self {
            MatcherScript::Candidates(count) => format!("conformance-found-{count}"),
            MatcherScript::Answer(code) => format!("conformance-{code}"),
        }
    }

    /// The rules of that customer.
    #[must_use]
    pub fn rules(&self) -> Value {
        match self {
            MatcherScript::Candidates(count) => {
                let candidates = vec![json!({ "nik": MASKED_NIK, "score": 9.5 }); *count];
                json!([{ "reply": { "code": Code::FOUND, "candidates": candidates } }])
            }
            MatcherScript::Answer(code) => json!([{ "reply": { "code": code } }]),
        }
    }
}

/// Encrypted once, so that requests of one shape are the same bytes.
#[derive(Clone)]
pub struct Credentials {
    right: [String; 2],
    made_up: [String; 2],
    unreadable: String,
}

// A derived Debug would print ciphertexts.
impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(..)")
    }
}

impl Credentials {
    /// Those of a customer.
    ///
    /// # Errors
    /// One is too long for the key.
    pub fn of(subject: &Subject) -> Result<Credentials, String> {
        let encrypt =
            |text: &str| keys::encrypt(&subject.key, text.as_bytes()).map(|bytes| encoding::encode(&bytes));
        Ok(Credentials {
            right: [encrypt(&subject.user_id)?, encrypt(&subject.password)?],
            made_up: [encrypt(&subject.made_up.0)?, encrypt(&subject.made_up.1)?],
            unreadable: undecryptable(&subject.key),
        })
    }

    fn text(&self, account: AccountForm, is_password: bool) -> &str {
        match (account, is_password) {
            (AccountForm::Unreadable, false) => &self.unreadable,
            (AccountForm::MadeUp, _) => &self.made_up[usize::from(is_password)],
            _ => &self.right[usize::from(is_password)],
        }
    }
}

/// A shape, and what is assumed of what it does not say.
#[derive(Clone, Debug)]
pub struct RecordedForm<'a> {
    pub shape: &'a RequestShape,
    pub account: AccountForm,
    /// The address is not one of the customer's.
    pub is_foreign: bool,
    /// The customer is known.
    pub is_own: bool,
    /// A methode that is masked is none of the customer's.
    pub is_other_methode: bool,
    pub script: Option<MatcherScript>,
    pub keeps_area: bool,
}

/// What of a request decides its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RebuiltRequest {
    pub methode: String,
    pub headers: Vec<(String, String)>,
    /// That an answer may repeat.
    pub transaction_id: Option<String>,
    pub body: Vec<u8>,
}

/// Customer token, such as `c1`, and methode of a recorded path; `None` for a path of another kind.
#[must_use]
pub fn target(path: &str) -> Option<(&str, &str)> {
    let (before, methode) = path.rsplit_once('/')?;
    let (_, customer) = before.rsplit_once('/')?;
    let token = customer.strip_prefix('{')?.strip_suffix('}')?;
    let number = token.strip_prefix('c')?;
    let is_token = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    (is_token && !methode.is_empty()).then_some((token, methode))
}

/// Whether a text is masked as a whole.
#[must_use]
pub fn is_masked(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c == 'X' || c == ' ') && text.contains('X')
}

/// What stands in the layout of a body for a value, and for an unknown key.
const VALUE: char = '$';
const KEY: char = '?';
const NOT_BASE64: &str = "*not base64*";
const FOREIGN_IP: &str = "192.0.2.1";
const LONG_IP: &str = "2001:0db8:0000:0000:0000:0000:0000:0001";
/// Length of the longest address that the document allows, in characters.
const MAX_IP: u64 = 15;

impl RecordedForm<'_> {
    /// Rebuilds the request; `None` where its answer depends on what the recording does not have, or on HTTP alone.
    #[must_use]
    pub fn request(&self, subject: &Subject, credentials: &Credentials) -> Option<RebuiltRequest> {
        let (_, methode) = target(&self.shape.path)?;
        if self.shape.method != "POST" {
            return None;
        }
        let mut headers = Vec::new();
        for header in &self.shape.headers {
            match header.name.to_ascii_lowercase().as_str() {
                "content-encoding" => return None,
                name @ ("content-type" | "accept") => {
                    match header.whole_value() {
                        Some(value) => headers.push((header.name.clone(), value.to_owned())),
                        // What was accepted matters to no other answer than a 406.
                        None if name == "accept" => {}
                        None => return None,
                    }
                }
                _ => {}
            }
        }
        let methode = match (is_masked(methode), self.is_other_methode) {
            (false, _) => methode,
            (true, false) => &subject.methode,
            (true, true) => UNKNOWN_METHODE,
        };
        let (body, transaction_id) = self.body(subject, credentials)?;
        Some(RebuiltRequest { methode: methode.to_owned(), headers, transaction_id, body: body.into_bytes() })
    }

    fn body(&self, subject: &Subject, credentials: &Credentials) -> Option<(String, Option<String>)> {
        let BodyShape::Object { layout, members, .. } = &self.shape.body else {
            let text = match &self.shape.body {
                BodyShape::Empty => "",
                // Of an object of more members than are kept nothing is known.
                BodyShape::Other { kind, .. } if kind == "object" => return None,
                BodyShape::Other { kind, .. } => literal(kind),
                _ => "{",
            };
            return Some((text.to_owned(), None));
        };
        let (mut text, mut transaction_id) = (String::new(), None);
        let mut left = members.iter();
        for c in layout.chars() {
            match c {
                VALUE => {
                    let member = left.next()?;
                    let value = self.value(member, subject, credentials)?;
                    if member.name.as_deref() == Some("transactionId") {
                        transaction_id = match &value {
                            Value::String(text) => Some(text.clone()),
                            Value::Number(number) => Some(number.to_string()),
                            _ => None,
                        };
                    }
                    match (&value, &member.value, member.kind.as_str()) {
                        // As it was written.
                        (Value::String(own), ValueShape::Verbatim(_), "number") => text.push_str(own),
                        _ => text.push_str(&value.to_string()),
                    }
                }
                KEY => text.push('x'),
                c => text.push(c),
            }
        }
        left.next().is_none().then_some((text, transaction_id))
    }

    fn value(&self, member: &MemberShape, subject: &Subject, credentials: &Credentials) -> Option<Value> {
        let name = member.name.as_deref().unwrap_or_default();
        if let ValueShape::Verbatim(own) = &member.value {
            return Some(json!(own));
        }
        if let (ValueShape::Text { chars, .. } | ValueShape::Length(chars), "number") =
            (&member.value, member.kind.as_str())
        {
            let digits = "1".repeat((*chars).clamp(1, MAX_DIGITS) as usize);
            return serde_json::from_str(&digits).ok();
        }
        if member.kind != "string" {
            return serde_json::from_str(literal(&member.kind)).ok();
        }
        Some(json!(match &member.value {
            // A text that may be a number.
            ValueShape::Text { classes, .. } if name == "threshold" && !has_letters(classes) => return None,
            ValueShape::Length(chars) if name == "threshold" && *chars > 0 => return None,
            // Its echo may be written with escapes that are not read as one character.
            ValueShape::Text { classes, .. } if name == "transactionId" && classes.contains("non-ascii") => {
                return None;
            }
            ValueShape::Text { chars, classes, .. } => text_of(*chars, classes),
            ValueShape::Length(chars) => text_of(*chars, "lower"),
            ValueShape::Image { chars: 0, .. }
            | ValueShape::Ciphertext { chars: 0, .. }
            | ValueShape::Ip { chars: 0, .. } => String::new(),
            ValueShape::Image { base64, format, is_whole, .. } => {
                let image = match format.as_deref() {
                    Some("jpeg" | "png") if *is_whole => TestImage::Portrait,
                    Some("jpeg" | "png") => TestImage::Truncated,
                    Some(_) => TestImage::Gif,
                    None => TestImage::NotAnImage,
                };
                written(subject.pictures.base64_of(image), *base64)?
            }
            ValueShape::Ciphertext { base64, .. } => {
                written(credentials.text(self.account, name == "password").to_owned(), *base64)?
            }
            ValueShape::Ip { chars, class, .. } => match class.as_str() {
                "blank" => " ".repeat((*chars).min(MAX_TEXT) as usize),
                "malformed" => "x".repeat((*chars).min(MAX_TEXT) as usize),
                _ if *chars > MAX_IP => LONG_IP.to_owned(),
                _ if self.is_foreign => FOREIGN_IP.to_owned(),
                _ => subject.ip.clone(),
            },
            ValueShape::Verbatim(_) => return None,
        }))
    }
}

/// A value of a JSON type.
fn literal(kind: &str) -> &'static str {
    match kind {
        "null" => "null",
        "boolean" => "true",
        "array" => "[]",
        "number" => "11",
        "string" => "\"x\"",
        _ => "{}",
    }
}

fn has_letters(classes: &str) -> bool {
    classes.contains("lower") || classes.contains("upper")
}

/// A longer number is written in another form.
const MAX_DIGITS: u64 = 18;
/// Longer texts are too long for every field that has a limit.
const MAX_TEXT: u64 = 1000;

/// A text of so many characters of these classes.
fn text_of(chars: u64, classes: &str) -> String {
    let samples = [("lower", 'a'), ("upper", 'A'), ("digits", '1'), ("blank", ' ')];
    let own: Vec<char> =
        samples.iter().filter(|(class, _)| classes.contains(class)).map(|(_, sample)| *sample).collect();
    let own = if own.is_empty() { vec!['-'] } else { own };
    own.iter().copied().cycle().take(chars.min(MAX_TEXT) as usize).collect()
}

/// Base64 as it was written; `None` where this text cannot be written so.
fn written(base64: String, shape: Base64Shape) -> Option<String> {
    if !shape.is_valid {
        return Some(NOT_BASE64.to_owned());
    }
    let changed = |text: String, applies: bool, change: &dyn Fn(&str) -> String| {
        let other = if applies { change(&text) } else { text.clone() };
        (!applies || other != text).then_some(other)
    };
    let text = changed(base64, shape.is_url_safe, &|text| text.replace('+', "-").replace('/', "_"))?;
    let text = changed(text, shape.is_unpadded, &|text| text.trim_end_matches('=').to_owned())?;
    let text = changed(text, shape.has_line_breaks, &wrapped)?;
    Some(if shape.has_data_uri { format!("data:image/jpeg;base64,{text}") } else { text })
}
