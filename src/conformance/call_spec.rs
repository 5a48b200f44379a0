//! What a call sends, as data without secrets, and the request that it becomes for a customer. The run sends it to the endpoint;
//! `calibrate` builds the same request for a customer of its own, and asks the simulator.

use rand::Rng;
use rsa::traits::PublicKeyParts;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::pictures::{TestImage, TestPictures, mime_lines};
use crate::keys;
use crate::protocol::{Field, encoding};

/// What a call sends: a good request, but for what is named.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CallSpec {
    #[serde(skip_serializing_if = "is_default")]
    pub path: CallPath,
    #[serde(skip_serializing_if = "is_default")]
    pub http: CallHttp,
    #[serde(skip_serializing_if = "is_default")]
    pub body: CallBody,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub but: Vec<Alteration>,
    /// Ordinal of a call that repeats another one, from 0.
    #[serde(skip_serializing_if = "is_default")]
    pub again: u8,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// Where a call goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallPath {
    #[default]
    Own,
    UnknownCustomer,
    UnknownMethode,
    /// The methode in the other case.
    MethodeCase,
    /// With the document's stray blank.
    Blank,
    /// With a slash at the end.
    Slash,
}

/// What is unusual about the HTTP of a call.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallHttp {
    #[default]
    Usual,
    /// GET, without a body.
    Get,
    /// No Content-Type.
    NoType,
    TextPlain,
    AcceptXml,
    Chunked,
    /// `Expect: 100-continue`.
    Expect,
}

/// What the body is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CallBody {
    /// The seven fields.
    #[default]
    Fields,
    EmptyObject,
    NotJson,
    Array,
}

/// What is different from a good request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Alteration {
    /// Field without its key.
    Without(CallField),
    /// A text instead of the field's own.
    Text(CallField, String),
    /// A number where the document has a text.
    Number(CallField, u32),
    /// user_id and password of nobody, encrypted.
    MadeUpAccount,
    /// The password of nobody. Only where user_id is not the customer's either, unless the operator accepts the risk.
    MadeUpPassword,
    /// Bytes of a ciphertext's length that the key does not open.
    Undecryptable(CallField),
    NotBase64(CallField),
    /// Line breaks in the base64.
    Wrapped(CallField),
    /// The made-up user_id, not encrypted.
    PlainUserId,
    Image(TestImage),
}

/// A field of the request, by the name of its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CallField {
    #[serde(rename = "transactionId")]
    TransactionId,
    #[serde(rename = "transactionSource")]
    TransactionSource,
    #[serde(rename = "threshold")]
    Threshold,
    #[serde(rename = "image")]
    Image,
    #[serde(rename = "user_id")]
    UserId,
    #[serde(rename = "password")]
    Password,
    #[serde(rename = "ip")]
    Ip,
}

impl CallField {
    fn name(self) -> &'static str {
        let field = match self {
            CallField::TransactionId => Field::TransactionId,
            CallField::TransactionSource => Field::TransactionSource,
            CallField::Threshold => Field::Threshold,
            CallField::Image => Field::Image,
            CallField::UserId => Field::UserId,
            CallField::Password => Field::Password,
            CallField::Ip => Field::Ip,
        };
        field.name()
    }
}

/// Who calls: a customer with its account, as the endpoint knows it.
#[derive(Clone)]
pub struct Subject {
    pub customer_id: String,
    pub methode: String,
    pub ip: String,
    pub user_id: String,
    pub password: String,
    /// The endpoint's public key.
    pub key: rsa::PublicKey,
    /// Prefix of the path, percent-encoded, such as `/api/face-recognition`.
    pub prefix: String,
    pub pictures: TestPictures,
    /// user_id and password of nobody.
    pub made_up: (String, String),
}

// A derived Debug would print the account.
impl std::fmt::Debug for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Subject({})", self.customer_id)
    }
}

/// Returns a user_id and a password that nobody has.
#[must_use]
pub fn made_up_account() -> (String, String) {
    let random = || rand::random::<u64>() >> 8;
    (format!("nobody-{:014x}", random()), format!("nothing-{:014x}", random()))
}

/// A request as it is sent.
pub struct BuiltCall {
    pub method: &'static str,
    /// Percent-encoded.
    pub path: String,
    /// customer_id and methode in the path.
    pub route: (String, String),
    /// Without Host, and without those that frame the body.
    pub headers: Vec<(&'static str, &'static str)>,
    pub body: Vec<u8>,
    pub is_chunked: bool,
    pub expects_continue: bool,
    /// The ciphertexts that were made of the account: no answer may contain them.
    pub ciphertexts: Vec<String>,
}

/// A customer_id that no endpoint has.
pub(super) const UNKNOWN_CUSTOMER: &str = "conformance-nobody";
pub(super) const UNKNOWN_METHODE: &str = "CALL_NOTHING";
const USUAL_THRESHOLD: &str = "7";

impl CallSpec {
    /// A good request but for these.
    #[must_use]
    pub fn but(alterations: impl IntoIterator<Item = Alteration>) -> CallSpec {
        CallSpec { but: alterations.into_iter().collect(), ..CallSpec::default() }
    }

    /// Adds an alteration, unless it is there.
    #[must_use]
    pub fn and(mut self, alteration: Option<Alteration>) -> CallSpec {
        self.but.extend(alteration.filter(|one| !self.but.contains(one)));
        self
    }

    /// The request again.
    #[must_use]
    pub fn again(self, again: u8) -> CallSpec {
        CallSpec { again, ..self }
    }

    /// The threshold that is sent, as text.
    #[must_use]
    pub fn threshold(&self) -> &str {
        let own = self.but.iter().rev().find_map(|one| match one {
            Alteration::Text(CallField::Threshold, text) => Some(text.as_str()),
            _ => None,
        });
        own.unwrap_or(USUAL_THRESHOLD)
    }

    /// Builds the request of a customer.
    ///
    /// # Errors
    /// A credential is too long for the key.
    pub fn build(&self, subject: &Subject, transaction_id: &str) -> Result<BuiltCall, String> {
        let customer_id = match self.path {
            CallPath::UnknownCustomer => UNKNOWN_CUSTOMER,
            _ => &subject.customer_id,
        };
        let methode = match self.path {
            CallPath::UnknownMethode => UNKNOWN_METHODE.to_owned(),
            CallPath::MethodeCase => other_case(&subject.methode),
            _ => subject.methode.clone(),
        };
        let prefix = match self.path {
            CallPath::Blank => subject.prefix.replacen("/api/", "/api%20/", 1),
            _ => subject.prefix.clone(),
        };
        let slash = if self.path == CallPath::Slash { "/" } else { "" };
        let (members, ciphertexts) = self.members(subject, transaction_id)?;
        let body = match (self.http, self.body) {
            (CallHttp::Get, _) => Vec::new(),
            (_, CallBody::Fields) => Value::Object(members).to_string().into_bytes(),
            (_, CallBody::EmptyObject) => b"{}".to_vec(),
            (_, CallBody::NotJson) => {
                format!("{{\"threshold\": \"21\", \"transactionId\": {transaction_id:?}").into_bytes()
            }
            (_, CallBody::Array) => Value::Array(vec![Value::Object(members)]).to_string().into_bytes(),
        };
        let accept = if self.http == CallHttp::AcceptXml { "application/xml" } else { "application/json" };
        let mut headers = vec![("Accept", accept)];
        match self.http {
            CallHttp::Get | CallHttp::NoType => {}
            CallHttp::TextPlain => headers.push(("Content-Type", "text/plain")),
            _ => headers.push(("Content-Type", "application/json")),
        }
        Ok(BuiltCall {
            method: if self.http == CallHttp::Get { "GET" } else { "POST" },
            path: format!("{prefix}/{}/{}{slash}", encoded(customer_id), encoded(&methode)),
            route: (customer_id.to_owned(), methode),
            headers,
            body,
            is_chunked: self.http == CallHttp::Chunked,
            expects_continue: self.http == CallHttp::Expect,
            ciphertexts,
        })
    }

    fn members(
        &self,
        subject: &Subject,
        transaction_id: &str,
    ) -> Result<(Map<String, Value>, Vec<String>), String> {
        let encrypt =
            |text: &str| keys::encrypt(&subject.key, text.as_bytes()).map(|bytes| encoding::encode(&bytes));
        let has = |alteration: &Alteration| self.but.contains(alteration);
        let is_made_up = has(&Alteration::MadeUpAccount);
        let user_id = if is_made_up { &subject.made_up.0 } else { &subject.user_id };
        let password = match is_made_up || has(&Alteration::MadeUpPassword) {
            true => &subject.made_up.1,
            false => &subject.password,
        };
        let ciphertexts = vec![encrypt(user_id)?, encrypt(password)?];
        let mut members = Map::new();
        for (field, value) in [
            (CallField::TransactionId, transaction_id),
            (CallField::TransactionSource, "dukcapil-fr-sim"),
            (CallField::Threshold, USUAL_THRESHOLD),
            (CallField::UserId, &ciphertexts[0]),
            (CallField::Password, &ciphertexts[1]),
            (CallField::Ip, &subject.ip),
        ] {
            members.insert(field.name().to_owned(), json!(value));
        }
        let image = self.but.iter().find_map(|one| match one {
            Alteration::Image(image) => Some(*image),
            _ => None,
        });
        let image = subject.pictures.base64_of(image.unwrap_or_default());
        members.insert(CallField::Image.name().to_owned(), json!(image));
        for alteration in &self.but {
            let (field, value) = match alteration {
                Alteration::Without(field) => {
                    members.shift_remove(field.name());
                    continue;
                }
                Alteration::Text(field, text) => (*field, json!(text)),
                Alteration::Number(field, number) => (*field, json!(number)),
                Alteration::Undecryptable(field) => (*field, json!(undecryptable(&subject.key))),
                Alteration::NotBase64(field) => (*field, json!("*not base64*")),
                Alteration::Wrapped(field) => {
                    let text = members.get(field.name()).and_then(Value::as_str).unwrap_or_default();
                    (*field, json!(wrapped(text)))
                }
                Alteration::PlainUserId => (CallField::UserId, json!(subject.made_up.0)),
                Alteration::MadeUpAccount | Alteration::MadeUpPassword | Alteration::Image(_) => continue,
            };
            members.insert(field.name().to_owned(), value);
        }
        Ok((members, ciphertexts))
    }
}

fn encoded(segment: &str) -> String {
    percent_encoding::utf8_percent_encode(segment, percent_encoding::NON_ALPHANUMERIC)
        .to_string()
        .replace("%2D", "-")
        .replace("%5F", "_")
        .replace("%2E", ".")
}

/// Returns a text with its letters in the other case, as far as they have one.
fn other_case(text: &str) -> String {
    let other = if text.chars().any(char::is_uppercase) { text.to_lowercase() } else { text.to_uppercase() };
    if other == text { format!("{text}x") } else { other }
}

/// Bytes that are below the modulus, and whose padding is wrong but by a chance of one in 65,536.
pub(super) fn undecryptable(key: &rsa::PublicKey) -> String {
    let mut bytes = vec![0; key.size()];
    rand::rng().fill_bytes(&mut bytes);
    bytes[0] = 0;
    encoding::encode(&bytes)
}

/// Base64 in lines, the last one ended too.
pub(super) fn wrapped(base64: &str) -> String {
    mime_lines(base64) + "\r\n"
}
