//! Policy: configurable behaviour of the endpoint that the document leaves open or that a test wants to change.
//! One table ([`KEYS`]) lists each key with its default, its values and how certain the default is (standing).

use std::collections::BTreeMap;

use Provenance::{Assumed, Computed, Doc, Observed};
use schemars::JsonSchema;
use schemars::Schema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::base::json_schema::properties;
use crate::base::suggestion;
use crate::domain::http_answer::HeadStyle;
use crate::protocol::encoding::Base64Mode;
use crate::protocol::{Code, Layout, OUTCOMES, Provenance, Shape};

/// Value of `transactionId` in the verification shape.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransactionIdPolicy {
    /// The request's.
    #[default]
    Echo,
    /// The document's literal, `nxGen NBAP TestTool`.
    Literal,
}

/// Which answers consume quota.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum QuotaCounts {
    /// Every answer from the matcher: 6018, 6019, 6014.
    #[default]
    Matched,
    /// 6018 with a candidate.
    Identified,
    /// Every request that passes the account check.
    Authenticated,
    /// Every answer.
    All,
}

/// Policy resolved for one customer.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Policy {
    pub precedence: Vec<Check>,
    pub layout: Layout,
    pub shape: BTreeMap<Code, Shape>,
    pub transaction_id: TransactionIdPolicy,
    pub uid: String,
    pub quota_limiter: String,
    pub face_threshold: String,
    pub head: HeadStyle,
    pub trim_messages: bool,
    pub not_found: Code,
    pub quota_counts: QuotaCounts,
    pub unknown_customer: Code,
    pub wrong_methode: Code,
    pub bad_image: Code,
    pub base64: Base64Mode,
    pub max_results: usize,
    pub nik_min_age: u32,
}

/// Literal `transactionId` of the document (doc 4.3).
pub const SAMPLE_TRANSACTION_ID: &str = "nxGen NBAP TestTool";

impl Default for Policy {
    fn default() -> Policy {
        Policy {
            precedence: Check::ALL.to_vec(),
            layout: Layout::Documented,
            shape: BTreeMap::new(),
            transaction_id: TransactionIdPolicy::Echo,
            uid: "7301010xxxxxxxxx".to_owned(),
            quota_limiter: "left".to_owned(),
            face_threshold: "echo".to_owned(),
            head: HeadStyle::Plain,
            trim_messages: false,
            not_found: Code::FOUND,
            quota_counts: QuotaCounts::Matched,
            unknown_customer: Code::ACCOUNT,
            wrong_methode: Code::PARAMETERS,
            bad_image: Code::PARAMETERS,
            base64: Base64Mode::Strict,
            max_results: 10,
            nik_min_age: 17,
        }
    }
}

impl Policy {
    /// Returns the shape of an answer: the policy's, else the document's.
    #[must_use]
    pub fn shape_of(&self, code: &Code) -> Shape {
        self.shape.get(code).copied().unwrap_or_else(|| code.shape())
    }

    /// Returns this policy, overlaid by the keys that `spec` sets.
    #[must_use]
    pub fn with(mut self, spec: &PolicySpec) -> Policy {
        macro_rules! take {
            ($($key:ident),* $(,)?) => { $(if let Some(value) = &spec.$key { self.$key = value.clone(); })* };
        }
        take!(
            layout,
            transaction_id,
            uid,
            quota_limiter,
            face_threshold,
            head,
            trim_messages,
            quota_counts,
            unknown_customer,
            wrong_methode,
            base64,
            nik_min_age,
        );
        if let Some(Precedence(checks)) = &spec.precedence {
            self.precedence.clone_from(checks);
        }
        if let Some(NotFound(code)) = &spec.not_found {
            self.not_found = code.clone();
        }
        if let Some(BadImage(code)) = &spec.bad_image {
            self.bad_image = code.clone();
        }
        if let Some(MaxResults(count)) = spec.max_results {
            self.max_results = count;
        }
        self.shape
            .extend(spec.shape.iter().flatten().map(|(ShapedCode(code), shape)| (code.clone(), *shape)));
        self
    }
}

/// `[policy]` of a fixture or an admin API request: any of the keys.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(transform = describe_policy, example = json!({ "layout": "compact" }))]
pub struct PolicySpec {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub precedence: Option<Precedence>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shape: Option<BTreeMap<ShapedCode, Shape>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub transaction_id: Option<TransactionIdPolicy>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_limiter: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub face_threshold: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub head: Option<HeadStyle>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trim_messages: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_found: Option<NotFound>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota_counts: Option<QuotaCounts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_customer: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub wrong_methode: Option<Code>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bad_image: Option<BadImage>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<Base64Mode>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_results: Option<MaxResults>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nik_min_age: Option<u32>,
}

impl PolicySpec {
    /// Returns this specification, overlaid by the keys that `over` sets; `shape` merges code by code.
    #[must_use]
    pub fn overlaid(mut self, over: &PolicySpec) -> PolicySpec {
        macro_rules! take {
            ($($key:ident),* $(,)?) => { $(if over.$key.is_some() { self.$key.clone_from(&over.$key); })* };
        }
        take!(
            precedence,
            layout,
            transaction_id,
            uid,
            quota_limiter,
            face_threshold,
            head,
            trim_messages,
            not_found,
            quota_counts,
            unknown_customer,
            wrong_methode,
            bad_image,
            base64,
            max_results,
            nik_min_age,
        );
        if let Some(shapes) = &over.shape {
            self.shape
                .get_or_insert_default()
                .extend(shapes.iter().map(|(code, shape)| (code.clone(), *shape)));
        }
        self
    }
}

/// A complete order of checks. Parsed from a list that may omit some: the omitted ones follow in the default order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "Vec<Check>")]
pub struct Precedence(Vec<Check>);

impl TryFrom<Vec<Check>> for Precedence {
    type Error = String;

    fn try_from(mut checks: Vec<Check>) -> Result<Self, String> {
        for (index, check) in checks.iter().enumerate() {
            if checks[..index].contains(check) {
                return Err(format!("duplicate check {} in precedence", check.name()));
            }
        }
        checks.extend(Check::ALL.into_iter().filter(|check| !checks.contains(check)).collect::<Vec<_>>());
        Ok(Precedence(checks))
    }
}

macro_rules! one_of_codes {
    ($name:ident, $key:literal, $($code:expr),*) => {
        #[doc = concat!("Code allowed for `", $key, "`.")]
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(try_from = "Code")]
        pub struct $name(Code);

        impl $name {
            /// All allowed codes.
            pub const CODES: &[Code] = &[$($code),*];
        }

        impl TryFrom<Code> for $name {
            type Error = String;

            fn try_from(code: Code) -> Result<Self, String> {
                if Self::CODES.contains(&code) {
                    return Ok($name(code));
                }
                let names: Vec<_> = Self::CODES.iter().map(|code| format!("\"{code}\"")).collect();
                Err(format!("{} must be {}, not \"{code}\"", $key, names.join(" or ")))
            }
        }
    };
}

one_of_codes!(NotFound, "not_found", Code::FOUND, Code::NOT_FOUND);
one_of_codes!(BadImage, "bad_image", Code::PARAMETERS, Code::BAD_PHOTO);

/// A code whose shape the policy can set: any four digits. Codes of another form come from rules, which set their shape too.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct ShapedCode(Code);

impl TryFrom<String> for ShapedCode {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        match Code::new(&text) {
            Ok(code) if text.len() == 4 && text.bytes().all(|b| b.is_ascii_digit()) => Ok(ShapedCode(code)),
            _ => {
                let suggestion = suggestion::suffix(&text, OUTCOMES.iter().map(|outcome| outcome.code));
                let suggestion =
                    if suggestion.is_empty() { ", such as \"5001\"".to_owned() } else { suggestion };
                Err(format!("the keys of shape must be codes of four digits, not {text:?}{suggestion}"))
            }
        }
    }
}

/// Max number of candidates in an answer: 1 to 1000.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "i64")]
pub struct MaxResults(usize);

impl TryFrom<i64> for MaxResults {
    type Error = String;

    fn try_from(count: i64) -> Result<Self, String> {
        match usize::try_from(count) {
            Ok(count @ 1..=1000) => Ok(MaxResults(count)),
            _ => Err(format!("max_results must be 1 to 1000, not {count}")),
        }
    }
}

/// One row of the policy table.
#[derive(Debug)]
pub struct PolicyKey {
    /// Key in `[policy]`.
    pub name: &'static str,
    /// Default value, in TOML.
    pub default: &'static str,
    /// Other values.
    pub others: &'static str,
    /// How certain the default is.
    pub standing: Provenance,
    /// What the key decides, and the source of the default.
    pub meaning: &'static str,
}

/// Every policy key, in the order of the specification.
#[rustfmt::skip]
pub static KEYS: [PolicyKey; 17] = [
    key("precedence", r#"["parameters", "decryption", "account", "quota", "ip", "threshold", "image", "capacity"]"#, "any order; omitted checks follow in this order", Assumed, "which failed check determines the response; the default follows a look-alike of the 1:1 sibling"),
    key("layout", r#""documented""#, r#""compact", "as-printed""#, Doc, "whitespace and quotes of the body: the document's bytes, no whitespace, or including the document's typographic quotes"),
    key("shape", "as documented", r#"shape.<code> = "identification" or "verification""#, Doc, "which of the two body shapes a code of four digits has; 5001 and 5005 are verification in doc 4.3 and 4.6"),
    key("transaction_id", r#""echo""#, r#""literal""#, Assumed, "transactionId of the verification shape: the request's, or the document's \"nxGen NBAP TestTool\""),
    key("uid", r#""7301010xxxxxxxxx""#, "any text", Doc, "uid of the verification shape; a 1:N request has no NIK to echo, so the default is the literal of doc 4.3"),
    key("quota_limiter", r#""left""#, r#""limit" or any text"#, Observed, "quotaLimiter of the verification shape: the remaining quota of today (1:1 sibling); 80 without a limit"),
    key("face_threshold", r#""echo""#, "any text", Assumed, "faceThreshold of the matcher's responses: the request's threshold, formatted as a Java double, or a literal"),
    key("head", r#""plain""#, r#""tomcat""#, Assumed, "the style of HTTP heads: lower-case names and Content-Length, or as Tomcat sends them: Title-Case, chunked, Keep-Alive"),
    key("trim_messages", "false", "true", Doc, "whether the stray spaces in the messages of doc 4.3 and 4.6 are trimmed"),
    key("not_found", r#""6018""#, r#""6019""#, Assumed, "the response when no candidate reaches the threshold"),
    key("quota_counts", r#""matched""#, r#""identified", "authenticated", "all""#, Assumed, "which requests use up quota: every response of the matcher, 6018 with a candidate, every request that passes the account check, every request"),
    key("unknown_customer", r#""5001""#, "any code", Assumed, "the response to an unknown customer_id"),
    key("wrong_methode", r#""5004""#, "any code", Assumed, "the response to a methode that the customer does not have"),
    key("bad_image", r#""5004""#, r#""6015""#, Assumed, "the response to an image that is not a complete jpg or png (6015 observed in the 1:1 sibling)"),
    key("base64", r#""strict""#, r#""mime""#, Assumed, "whether line breaks in base64 are accepted, with a warning"),
    key("max_results", "10", "1 to 1000", Doc, "the maximum number of candidates; maxResults in doc 4.1"),
    key("nik_min_age", "17", "any age in years", Observed, "the minimum age for a valid birth date in a NIK: the first ID card is issued at 17"),
];

const fn key(
    name: &'static str,
    default: &'static str,
    others: &'static str,
    standing: Provenance,
    meaning: &'static str,
) -> PolicyKey {
    PolicyKey { name, default, others, standing, meaning }
}

/// Fixed behaviour without a policy key, and how certain it is; printed below the same table.
#[rustfmt::skip]
pub static FIXED: [(&str, Provenance, &str); 5] = [
    ("scores", Computed, "float32 values widened to double, in the shortest form, as all six scores of doc 4.1"),
    ("status", Assumed, "200 for every documented response (observed for the 1:1 sibling; doc 4.3 prints httpResponseCode 200)"),
    ("encryption", Observed, "RSA PKCS#1 v1.5, SPKI public key, base64 on one line"),
    ("threshold type", Observed, "a number or a numeric string, integer or with a fraction"),
    ("extra keys", Observed, "ignored, with a warning in the journal"),
];

/// A check; the variants are in the default precedence (SPEC 3; assumed, from a look-alike of the 1:1 sibling).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Check {
    Parameters,
    Decryption,
    Account,
    Quota,
    Ip,
    Threshold,
    Image,
    Capacity,
}

impl Check {
    /// Every check, in the default order.
    pub const ALL: [Check; 8] = [
        Check::Parameters,
        Check::Decryption,
        Check::Account,
        Check::Quota,
        Check::Ip,
        Check::Threshold,
        Check::Image,
        Check::Capacity,
    ];

    /// Returns the name in `policy.precedence` and in findings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Check::Parameters => "parameters",
            Check::Decryption => "decryption",
            Check::Account => "account",
            Check::Quota => "quota",
            Check::Ip => "ip",
            Check::Threshold => "threshold",
            Check::Image => "image",
            Check::Capacity => "capacity",
        }
    }
}

/// JSON Schema: describes every policy key from [`KEYS`], with its meaning, default and standing.
pub(crate) fn describe_policy(schema: &mut Schema) {
    let Some(properties) = properties(schema) else { return };
    for key in &KEYS {
        if let Some(Value::Object(property)) = properties.get_mut(key.name) {
            let text =
                format!("{}. Default: {} ({}); or {}.", key.meaning, key.default, key.standing, key.others);
            property.insert("description".to_owned(), text.into());
            // The default of `shape` is a description.
            let default =
                serde_json::from_str(key.default).unwrap_or_else(|_| json!({ "5001": "identification" }));
            property.insert("examples".to_owned(), json!([default]));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_lists_exactly_the_keys_of_the_specification() {
        let error = toml::from_str::<PolicySpec>("nonsense = 1").unwrap_err();
        let names = crate::base::suggestion::expected_names(error.message());
        let table: Vec<_> = KEYS.iter().map(|key| key.name).collect();
        assert_eq!(names, table);
    }

    #[test]
    fn the_tables_defaults_are_the_defaults() {
        for key in KEYS.iter().filter(|key| key.name != "shape") {
            let spec: PolicySpec = toml::from_str(&format!("{} = {}", key.name, key.default))
                .unwrap_or_else(|error| panic!("{}: {error}", key.name));
            assert_eq!(Policy::default().with(&spec), Policy::default(), "{}", key.name);
            assert_ne!(spec, PolicySpec::default(), "{}", key.name);
        }
    }

    #[test]
    fn every_key_changes_the_policy_and_merges() {
        let changed = [
            r#"precedence = ["ip"]"#,
            r#"layout = "compact""#,
            r#"shape.5001 = "identification""#,
            r#"transaction_id = "literal""#,
            r#"uid = "x""#,
            r#"quota_limiter = "limit""#,
            r#"face_threshold = "7.0""#,
            r#"head = "tomcat""#,
            "trim_messages = true",
            r#"not_found = "6019""#,
            r#"quota_counts = "all""#,
            r#"unknown_customer = "5004""#,
            r#"wrong_methode = "5001""#,
            r#"bad_image = "6015""#,
            r#"base64 = "mime""#,
            "max_results = 3",
            "nik_min_age = 0",
        ];
        assert_eq!(changed.len(), KEYS.len());
        for text in changed {
            let spec: PolicySpec = toml::from_str(text).unwrap();
            assert_ne!(Policy::default().with(&spec), Policy::default(), "{text}");
            assert_eq!(PolicySpec::default().overlaid(&spec), spec, "{text}");
        }
    }

    #[test]
    fn a_partial_precedence_is_completed_in_the_default_order() {
        let spec: PolicySpec = toml::from_str(r#"precedence = ["threshold", "quota"]"#).unwrap();
        let names: Vec<_> =
            Policy::default().with(&spec).precedence.iter().map(|check| check.name()).collect();
        assert_eq!(
            names,
            ["threshold", "quota", "parameters", "decryption", "account", "ip", "image", "capacity"]
        );
    }

    #[test]
    fn wrong_values_are_rejected_with_the_reason() {
        for (text, expected) in [
            (r#"precedence = ["ip", "ip"]"#, "duplicate check ip"),
            (r#"not_found = "5001""#, "not_found must be \"6018\" or \"6019\""),
            ("max_results = 0", "1 to 1000"),
            (r#"shape = { bogus = "verification" }"#, "must be codes of four digits, not \"bogus\""),
            (r#"shape.50001 = "verification""#, "did you mean \"5001\"?"),
            (r#"layout = "pretty""#, "expected one of `documented`, `compact`, `as-printed`"),
        ] {
            let error = toml::from_str::<PolicySpec>(text).unwrap_err();
            assert!(error.message().contains(expected), "{}", error.message());
        }
    }
}
