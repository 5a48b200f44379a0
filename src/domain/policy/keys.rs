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
    /// What the key decides, and the source of the default.
    pub meaning: &'static str,
}

/// Every policy key, in the order of the specification.
#[rustfmt::skip]
pub static KEYS: [PolicyKey; 22] = [
    key("precedence", r#"["parameters", "decryption", "account", "quota", "ip", "threshold", "image", "capacity"]"#, "any order; omitted checks follow in this order", Assumed, "which failed check determines the response; the default follows a look-alike of the 1:1 sibling"),
    key("layout", r#""documented""#, r#""compact", "as-printed""#, Doc, "whitespace and quotes of the body: the document's bytes, no whitespace, or including the document's typographic quotes"),
    key("shape", "as documented", r#"shape.<code> = "identification" or "verification""#, Doc, "which of the two body shapes a code of four digits has; 5001 and 5005 are verification in doc 4.3 and 4.6"),
    key("transaction_id", r#""echo""#, r#""literal""#, Assumed, "transactionId of the verification shape: the request's, or the document's \"nxGen NBAP TestTool\""),
    key("uid", r#""7301010xxxxxxxxx""#, "any text", Doc, "uid of the verification shape; a 1:N request has no NIK to echo, so the default is the literal of doc 4.3"),
    key("quota_limiter", r#""left""#, r#""limit" or any text"#, Observed, "quotaLimiter of the verification shape: the remaining quota of today (1:1 sibling); 80 without a limit"),
    key("face_threshold", r#""echo""#, r#""verbatim" or any text"#, Assumed, "faceThreshold of the matcher's responses: the request's threshold, formatted as a Java double; as the client wrote it; or a literal"),
    key("numbers", r#""strict""#, r#""loose""#, Assumed, "which numbers are read: as JSON writes them, or also what Java and PHP read, such as \" 5\", \"+5\" and \"05\", and a number or a boolean where the document has a text"),
    key("malformed_json", r#""5004""#, r#""400""#, Assumed, "the response to a body that is not a JSON object: 5004, or status 400 before any check, as Spring"),
    key("content_type", r#""any""#, r#""415""#, Assumed, "the response to a Content-Type that is missing or not JSON: a warning, or status 415 before any check, as Spring"),
    key("accept", r#""any""#, r#""406""#, Assumed, "the response to an Accept that excludes JSON: a warning, or status 406 before any check, as Spring"),
    key("head", r#""plain""#, r#""tomcat""#, Assumed, "the style of HTTP heads: lower-case names and Content-Length, or as Tomcat sends them: Title-Case, chunked, Keep-Alive"),
    key("types", r#""documented""#, r#""native""#, Doc, "types in the verification shape: quoted as the document prints them, or numbers and booleans as in the 1:1 sibling"),
    key("trim_messages", "false", "true", Doc, "whether the stray spaces in the messages of doc 4.3 and 4.6 are trimmed"),
    key("not_found", r#""6018""#, r#""6019" or { code, error } with any code"#, Assumed, "the response when no candidate reaches the threshold: 6018 without candidates, 6019, or any code with a text"),
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
