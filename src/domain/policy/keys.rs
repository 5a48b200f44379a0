//! The policy table: every key with its default, its values and how certain the default is.

use Provenance::{Assumed, Computed, Doc, Observed};
use schemars::Schema;
use serde_json::{Value, json};

use crate::base::json_schema::properties;
use crate::protocol::Provenance;

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
    /// What the key decides.
    pub meaning: &'static str,
    /// Where the default is known from.
    pub source: &'static str,
    /// Cases of `conformance` whose answers tell the value at a real endpoint.
    pub cases: &'static [&'static str],
}

/// Every policy key, in the order of the specification.
#[rustfmt::skip]
pub static KEYS: [PolicyKey; 22] = [
    key("precedence", r#"["parameters", "decryption", "account", "quota", "ip", "threshold", "image", "capacity"]"#, "any order; omitted checks follow in this order", Assumed, "which failed check determines the response; the default follows a look-alike of the 1:1 sibling", "nobody outside knows; a look-alike of the 1:1 sibling", &["order/eliminate", "order/last", "order/again", "quota/exhausted"]),
    key("layout", r#""documented""#, r#""compact", "as-printed""#, Doc, "whitespace and quotes of the body: the document's bytes, no whitespace, or including the document's typographic quotes", "doc 4, all samples", &["4.5/empty-object"]),
    key("shape", "as documented", r#"shape.<code> = "identification" or "verification""#, Doc, "which of the two body shapes a code of four digits has; 5001 and 5005 are verification in doc 4.3 and 4.6", "doc 4, all samples", &["4.3/unknown-user", "4.6/21"]),
    key("transaction_id", r#""echo""#, r#""literal""#, Assumed, "transactionId of the verification shape: the request's, or the document's \"nxGen NBAP TestTool\"", "nobody outside knows", &["4.3/unknown-user", "4.6/21"]),
    key("uid", r#""7301010xxxxxxxxx""#, "any text", Doc, "uid of the verification shape; a 1:N request has no NIK to echo, so the default is the literal of doc 4.3", "doc 4.3", &["4.3/unknown-user", "4.6/21"]),
    key("quota_limiter", r#""left""#, r#""limit" or any text"#, Observed, "quotaLimiter of the verification shape: the remaining quota of today (1:1 sibling); 80 without a limit", "clients of the 1:1 sibling", &["quota/self", "quota/all", "quota/none"]),
    key("face_threshold", r#""echo""#, r#""verbatim" or any text"#, Assumed, "faceThreshold of the matcher's responses: the request's threshold, formatted as a Java double; as the client wrote it; or a literal", "nobody outside knows; doc 4.1 prints \"7.0\"", &["match/none"]),
    key("numbers", r#""strict""#, r#""loose""#, Assumed, "which numbers are read: as JSON writes them, or also what Java and PHP read, such as \" 5\", \"+5\" and \"05\", and a number or a boolean where the document has a text", "nobody outside knows", &["4.5/number-id", "4.5/threshold-blank"]),
    key("malformed_json", r#""5004""#, r#""400""#, Assumed, "the response to a body that is not a JSON object: 5004, or status 400 before any check, as Spring", "nobody outside knows", &["http/not-json", "http/array"]),
    key("content_type", r#""any""#, r#""415""#, Assumed, "the response to a Content-Type that is missing or not JSON: a warning, or status 415 before any check, as Spring", "nobody outside knows", &["http/no-type", "http/text-plain"]),
    key("accept", r#""any""#, r#""406""#, Assumed, "the response to an Accept that excludes JSON: a warning, or status 406 before any check, as Spring", "nobody outside knows", &["http/accept-xml"]),
    key("head", r#""plain""#, r#""tomcat""#, Assumed, "the style of HTTP heads: lower-case names and Content-Length, or as Tomcat sends them: Title-Case, chunked, Keep-Alive", "nobody outside knows; the document shows no head", &["4.5/empty-object"]),
    key("types", r#""documented""#, r#""native""#, Doc, "types in the verification shape: quoted as the document prints them, or numbers and booleans as in the 1:1 sibling", "doc 4.3 and 4.6", &["4.3/unknown-user", "4.6/21"]),
    key("trim_messages", "false", "true", Doc, "whether the stray spaces in the messages of doc 4.3 and 4.6 are trimmed", "doc 4.3 and 4.6", &["4.3/unknown-user", "4.6/21"]),
    key("not_found", r#""6018""#, r#""6019" or { code, error } with any code"#, Assumed, "the response when no candidate reaches the threshold: 6018 without candidates, 6019, or any code with a text", "nobody outside knows; a section about it was probably deleted", &["quota/none", "match/none"]),
    key("quota_counts", r#""matched""#, r#""identified", "authenticated", "all""#, Assumed, "which requests use up quota: every response of the matcher, 6018 with a candidate, every request that passes the account check, every request", "nobody outside knows", &["quota/self", "quota/all", "quota/none"]),
    key("unknown_customer", r#""5001""#, "any code", Assumed, "the response to an unknown customer_id", "nobody outside knows", &["1/unknown-customer"]),
    key("wrong_methode", r#""5004""#, "any code", Assumed, "the response to a methode that the customer does not have", "nobody outside knows", &["1/unknown-methode", "1/methode-case"]),
    key("bad_image", r#""5004""#, r#""6015""#, Assumed, "the response to an image that is not a complete jpg or png (6015 observed in the 1:1 sibling)", "nobody outside knows; 6015 in clients of the 1:1 sibling", &["order/eliminate", "order/last", "2/not-an-image", "2/truncated", "2/data-uri", "2/gif"]),
    key("base64", r#""strict""#, r#""mime""#, Assumed, "whether line breaks in base64 are accepted, with a warning", "nobody outside knows", &["4.7/wrapped", "match/none"]),
    key("max_results", "10", "1 to 1000", Doc, "the maximum number of candidates; maxResults in doc 4.1", "doc 4.1", &["4.5/empty-object"]),
    key("nik_min_age", "17", "any age in years", Observed, "the minimum age for a valid birth date in a NIK: the first ID card is issued at 17", "the program that the NIK API's document describes", &[]),
];

const fn key(
    name: &'static str,
    default: &'static str,
    others: &'static str,
    standing: Provenance,
    meaning: &'static str,
    source: &'static str,
    cases: &'static [&'static str],
) -> PolicyKey {
    PolicyKey { name, default, others, standing, meaning, source, cases }
}

/// Fixed behaviour, without a policy key.
#[derive(Debug)]
pub struct FixedBehaviour {
    pub name: &'static str,
    pub standing: Provenance,
    pub meaning: &'static str,
    /// Where it is known from.
    pub source: &'static str,
    /// Cases of `conformance` whose answers tell whether a real endpoint does the same.
    pub cases: &'static [&'static str],
}

/// Fixed behaviour, printed below the same table.
#[rustfmt::skip]
pub static FIXED: [FixedBehaviour; 19] = [
    fixed("scores", Computed, "float32 values widened to double, in the shortest form, as all six scores of doc 4.1", "computed from doc 4.1", &["match/self"]),
    fixed("candidates", Doc, "in descending order of score, as JSON in the text `response`", "doc 4.1", &["match/self"]),
    fixed("look-alikes", Computed, "in a population of N, N * 10^-T strangers reach the threshold T", "the matcher's vendor: a score is -log10 of the false accept rate", &[]),
    fixed("status", Assumed, "200 for every documented response", "clients of the 1:1 sibling; doc 4.3 prints httpResponseCode 200", &["4.5/empty-object"]),
    fixed("methods", Assumed, "any method but POST is answered 405", "nobody outside knows", &["http/get"]),
    fixed("framing", Assumed, "chunked bodies are read, and Expect: 100-continue is confirmed", "nobody outside knows", &["http/chunked", "http/expect"]),
    fixed("path", Doc, "the stray blank of the document's URL is served, too; a slash at the end is not", "doc 2; the slash: nobody outside knows", &["1/blank-path", "1/slash"]),
    fixed("encryption", Observed, "RSA PKCS#1 v1.5, SPKI public key, base64 on one line; what cannot be opened is 5006", "public clients; doc 4.7", &["4.7/other-key", "4.7/not-base64", "4.7/plain"]),
    fixed("decryption", Assumed, "user_id and password are both decrypted before the account is looked up", "nobody outside knows", &["order/again"]),
    fixed("password", Assumed, "a wrong password is answered as an unknown user_id, 5001", "doc 4.3; 9002 in clients of the 1:1 sibling", &["4.3/wrong-password"]),
    fixed("required fields", Doc, "a missing field is 5004, with tid null and without response", "doc 2 and 4.5", &["4.5/missing"]),
    fixed("empty texts", Observed, "an empty text counts as missing", "public clients", &["4.5/empty-string"]),
    fixed("lengths", Doc, "transactionId has at most 20 characters, transactionSource 50, ip 15", "doc 2", &["4.5/too-long"]),
    fixed("threshold type", Observed, "a number or a numeric string, integer or with a fraction; another text is 5004", "public clients", &["4.5/threshold-text"]),
    fixed("threshold range", Doc, "1 to 20, both allowed, fractions too", "doc 2 and 4.6", &["4.6/21", "4.6/0.5"]),
    fixed("ip", Doc, "the body's ip is an address of the customer's allow list, else 5003", "doc 4.4", &["4.4/foreign", "4.4/malformed"]),
    fixed("no face", Assumed, "a picture without a face is searched as any other; with a face engine, no_face of [matcher.faces] says what is answered when nobody is found", "nobody outside knows; 6015 in clients of the 1:1 sibling", &["match/no-face"]),
    fixed("extra keys", Observed, "ignored, with a warning in the journal", "public clients", &[]),
    fixed("day of the quota", Assumed, "ends at midnight in Jakarta", "doc 4.2 says tomorrow; the time zone is where the endpoint is", &[]),
];

const fn fixed(
    name: &'static str,
    standing: Provenance,
    meaning: &'static str,
    source: &'static str,
    cases: &'static [&'static str],
) -> FixedBehaviour {
    FixedBehaviour { name, standing, meaning, source, cases }
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
