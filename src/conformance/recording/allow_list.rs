//! The allow-list: what a recording may hold of the texts that it sees. Whatever has no row here is replaced, character by character.

use std::sync::LazyLock;

use regex::Regex;

use crate::conformance::answer::pattern;
use crate::protocol::body::FIELDS;

/// What stands for a character that is not kept. In a number that is not in quotes it is a [`MASK_DIGIT`], so that JSON stays JSON.
pub const MASK: char = 'X';
pub const MASK_DIGIT: char = '9';

/// How the value of a key of an answer is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ValueRule {
    /// The marker `{{tid}}`, or a short one, where it is the transactionId of the request.
    Marker,
    /// The words of the list of `message_mask.rs`.
    Message,
    /// The known words of a path.
    Path,
    /// JSON, or text that holds JSON: candidates and their scores.
    Candidates,
    /// As it is where all of it matches this pattern.
    Only(&'static str),
    /// Not at all.
    Hidden,
}

/// A key of an answer's body.
#[derive(Debug)]
pub struct AnswerKey {
    pub name: &'static str,
    pub rule: ValueRule,
    /// What is kept, in words.
    pub kept: &'static str,
}

/// A header field of requests and answers whose value is kept.
#[derive(Debug)]
pub struct HeaderRule {
    /// In lower case.
    pub name: &'static str,
    /// Of the whole value, or of each word of it.
    pattern: &'static str,
    pub is_by_word: bool,
    /// What is kept, in words.
    pub kept: &'static str,
}

/// What is kept of a request, and what is not: for the docs. `request_mask.rs` does it.
pub static REQUEST_PARTS: [(&str, &str, &str); 12] = [
    ("method", "as it is, where it is a usual one", "others"),
    (
        "path",
        "`api`, `face-recognition`, `CALL_FN`; `{c1}` for the first customer_id, `{c2}` for the next",
        "other words, the query",
    ),
    (
        "header fields",
        "well-known names, in order and case; values as below",
        "other names and values: their length",
    ),
    (
        "layout of the body",
        "white space, quotes, order and names of the seven fields",
        "other names: `?`; values: `$`",
    ),
    (
        "`threshold`",
        "as it is, where it is at most 8 of digits, point, comma, sign, blank, `e`",
        "others: their length",
    ),
    (
        "`transactionId`, `transactionSource`, unknown keys",
        "length, classes of characters, a token",
        "the text",
    ),
    ("`image`", "length, kind of base64, bytes, format, pixels, whether it is whole, a token", "every byte"),
    ("`user_id`, `password`", "length, kind of base64, bytes", "the ciphertext, also hashed"),
    ("`ip`", "private, public, loopback, blank or malformed; a token", "the address"),
    (
        "times",
        "when it came; to connect, of the upload, to the first and last byte or the cut; number of reads",
        "",
    ),
    (
        "end",
        "whether the connection stays open; of one that was cut: by the client, the server or the end of the recording, and whether by a reset",
        "",
    ),
    ("place", "numbers of the connection, and of the exchange in it and in the file", ""),
];

/// A threshold that may be read as a number, also a wrong one.
const THRESHOLD: &str = r"[0-9.,+\-eE ]{0,8}";
/// Of a candidate: a double, as Java prints it.
const SCORE: &str = r"-?[0-9]{1,3}(\.[0-9]{1,17})?([eE]-?[0-9]{1,2})?";

const fn key(name: &'static str, rule: ValueRule, kept: &'static str) -> AnswerKey {
    AnswerKey { name, rule, kept }
}

/// The keys of the document's answers, and of an error of Spring.
pub static ANSWER_KEYS: [AnswerKey; 25] = [
    key(
        "tid",
        ValueRule::Marker,
        "`{{tid}}`, or `~` below 7 bytes, as long as the text, where it is the transactionId of the request",
    ),
    key("transactionId", ValueRule::Marker, "as `tid`"),
    key("encounter_id", ValueRule::Hidden, "null"),
    key("error", ValueRule::Message, "words of the list below"),
    key("errorMessage", ValueRule::Message, "words of the list below"),
    key("message", ValueRule::Message, "words of the list below"),
    key(
        "errorCode",
        ValueRule::Only(r"[0-9]{1,6}|[A-Z]{1,3}[-_]?[0-9]{1,4}"),
        "a short code, such as `6018`",
    ),
    key("finger_data", ValueRule::Hidden, "null"),
    key("iris_data", ValueRule::Hidden, "null"),
    key("face_data", ValueRule::Hidden, "null"),
    key("request_type", ValueRule::Only("(?i)identification|verification|enrollment"), "these words"),
    key("maxResults", ValueRule::Only(r"[0-9]{1,4}"), "a number below 10,000"),
    key("faceThreshold", ValueRule::Only(THRESHOLD), "as `threshold`"),
    key("fingerThreshold", ValueRule::Only(THRESHOLD), "as `threshold`"),
    key("irisThreshold", ValueRule::Only(THRESHOLD), "as `threshold`"),
    key(
        "response",
        ValueRule::Candidates,
        "the keys `face` and `FACE_T5`, and scores; of a NIK nothing, or with `--keep-area` its first six digits",
    ),
    key("httpResponseCode", ValueRule::Only(r"[1-5][0-9]{2}"), "a status"),
    // More digits could be anything.
    key(
        "matchScore",
        ValueRule::Only(r"-?[0-9]{1,3}(\.[0-9]{1,3})?"),
        "a number below 1,000 with at most 3 decimals",
    ),
    key("uid", ValueRule::Hidden, "nothing"),
    key("verificationResult", ValueRule::Only("(?i)true|false"), "true or false"),
    key("quotaLimiter", ValueRule::Only(r"-?[0-9]{1,8}"), "a number of at most 8 digits"),
    key(
        "timestamp",
        ValueRule::Only(
            r"[0-9]{13}|[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:?[0-9]{2})?",
        ),
        "an instant",
    ),
    key("status", ValueRule::Only(r"[1-5][0-9]{2}"), "a status"),
    key("path", ValueRule::Path, "the words of a known path"),
    key("trace", ValueRule::Hidden, "nothing"),
];

macro_rules! list_of {
    ($item:expr) => {
        concat!("(", $item, r")([ ]?,[ ]?(", $item, "))*")
    };
}
macro_rules! media_type {
    () => {
        r"(application/(json|xml|problem\+json|hal\+json|octet-stream|x-www-form-urlencoded|xhtml\+xml|\*\+json)|text/(plain|html|xml|json|javascript)|image/(gif|jpeg|png|webp|avif|\*)|multipart/form-data|\*/\*|application/\*|text/\*)"
    };
}
macro_rules! charset {
    () => {
        r#"([ ]?;[ ]?charset="?(utf-8|utf8|iso-8859-1|us-ascii|windows-1252)"?;?)?"#
    };
}

/// Programs whose name says nothing of who runs them, with a version.
const PRODUCT: &str = concat!(
    r"(apache|apache-coyote|tomcat|nginx|openresty|tengine|jetty|undertow|wildfly|jboss-eap|jboss|glassfish|payara|weblogic|websphere|",
    r"microsoft-iis|microsoft-httpapi|kestrel|gunicorn|uvicorn|werkzeug|waitress|node|express|envoy|istio-envoy|haproxy|traefik|kong|",
    r"caddy|litespeed|lighttpd|cowboy|cloudflare|bigip|big-ip|varnish|squid|openssl|php|python|mod_ssl|mod_jk|ubuntu|debian|centos|red|",
    r"hat|unix|win64|win32|dukcapil-fr-sim|curl|wget|java|apache-httpclient|jersey|okhttp|retrofit|reactornetty|reactor-netty|netty|",
    r"go-http-client|fasthttp|resty|python-requests|python-urllib|python-httpx|aiohttp|guzzlehttp|symfony|axios|node-fetch|undici|got|",
    r"superagent|dart|restsharp|postmanruntime|insomnia|apache-jmeter|k6|ruby|faraday|libwww-perl|mozilla|like|gecko)",
    r"(/[0-9]{1,3}([._][0-9]{1,3}){0,2}[a-z]?)?",
);

const fn whole(name: &'static str, pattern: &'static str, kept: &'static str) -> HeaderRule {
    HeaderRule { name, pattern, is_by_word: false, kept }
}

const fn by_word(name: &'static str, pattern: &'static str, kept: &'static str) -> HeaderRule {
    HeaderRule { name, pattern, is_by_word: true, kept }
}

/// Values in any case.
pub static HEADERS: [HeaderRule; 12] = [
    whole(
        "accept",
        // `*` and `q=.2` as Java's HttpURLConnection writes them.
        list_of!(concat!("(", media_type!(), r"|\*)", charset!(), r"([ ]?;[ ]?q=[01]?(\.[0-9]{1,3})?)?")),
        "usual media types, with weights",
    ),
    whole("allow", list_of!("get|head|post|put|delete|options|patch|trace|connect"), "methods"),
    whole("connection", list_of!("keep-alive|close|upgrade|te"), "`keep-alive`, `close`"),
    whole("content-length", "[0-9]{1,12}", "a number"),
    whole("content-type", concat!(media_type!(), charset!()), "usual media types and charsets"),
    whole(
        "date",
        "(mon|tue|wed|thu|fri|sat|sun), [0-9]{2} (jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec) [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} gmt",
        "an instant",
    ),
    whole("expect", "100-continue", "`100-continue`"),
    whole("keep-alive", list_of!("(timeout|max)=[0-9]{1,6}"), "`timeout` and `max`"),
    by_word("server", PRODUCT, "names of well-known programs, with versions"),
    whole("transfer-encoding", list_of!("chunked|gzip|deflate|compress|identity"), "names of encodings"),
    by_word("user-agent", PRODUCT, "as `Server`"),
    whole(
        "vary",
        list_of!(
            r"\*|accept|accept-encoding|accept-language|origin|user-agent|cookie|access-control-request-(method|headers)"
        ),
        "usual names",
    ),
];

/// Methods of requests.
pub const METHODS: [&str; 9] =
    ["GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "CONNECT"];

/// Words of a path, in any case. What stands before a methode is a customer_id.
pub const PATH_WORDS: [&str; 2] = ["api", "face-recognition"];
pub const METHODES: [&str; 1] = ["CALL_FN"];

static KEY_PATTERNS: LazyLock<Vec<Option<Regex>>> = LazyLock::new(|| {
    let of_key = |key: &AnswerKey| match key.rule {
        ValueRule::Only(text) => Some(all_of(text)),
        _ => None,
    };
    ANSWER_KEYS.iter().map(of_key).collect()
});
static HEADER_PATTERNS: LazyLock<Vec<Regex>> =
    LazyLock::new(|| HEADERS.iter().map(|rule| all_of(&format!("(?i){}", rule.pattern))).collect());
static THRESHOLDS: LazyLock<Regex> = LazyLock::new(|| all_of(THRESHOLD));
static SCORES: LazyLock<Regex> = LazyLock::new(|| all_of(SCORE));

fn all_of(text: &str) -> Regex {
    pattern(&format!(r"\A(?:{text})\z"))
}

impl AnswerKey {
    /// Finds the row of a key.
    #[must_use]
    pub fn find(name: &str) -> Option<&'static AnswerKey> {
        ANSWER_KEYS.iter().find(|key| key.name == name)
    }

    /// Whether a value is kept as it is.
    #[must_use]
    pub fn keeps(&self, value: &str) -> bool {
        let index = ANSWER_KEYS.iter().position(|key| std::ptr::eq(key, self));
        let pattern = index.and_then(|index| KEY_PATTERNS[index].as_ref());
        pattern.is_some_and(|pattern| pattern.is_match(value))
    }
}

/// Whether a name is one of the request's seven fields.
#[must_use]
pub fn is_field(name: &str) -> bool {
    FIELDS.iter().any(|rule| rule.name == name)
}

/// Whether a threshold is kept as it is.
#[must_use]
pub fn keeps_threshold(value: &str) -> bool {
    THRESHOLDS.is_match(value)
}

/// Whether a score is kept as it is.
#[must_use]
pub fn keeps_score(value: &str) -> bool {
    SCORES.is_match(value)
}

/// Names of header fields that are kept, in any case, beside those of [`HEADERS`].
pub const HEADER_NAMES: [&str; 67] = [
    "accept-charset",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "access-control-allow-credentials",
    "access-control-allow-headers",
    "access-control-allow-methods",
    "access-control-allow-origin",
    "access-control-expose-headers",
    "access-control-max-age",
    "age",
    "alt-svc",
    "apikey",
    "authorization",
    "b3",
    "cache-control",
    "client-id",
    "content-disposition",
    "content-encoding",
    "content-language",
    "content-security-policy",
    "cookie",
    "correlation-id",
    "dnt",
    "etag",
    "expires",
    "forwarded",
    "from",
    "host",
    "if-modified-since",
    "if-none-match",
    "last-modified",
    "link",
    "location",
    "origin",
    "permissions-policy",
    "postman-token",
    "pragma",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "referrer-policy",
    "request-id",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "upgrade",
    "upgrade-insecure-requests",
    "via",
    "www-authenticate",
    "x-api-key",
    "x-application-context",
    "x-content-type-options",
    "x-correlation-id",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-proto",
    "x-frame-options",
    "x-powered-by",
    "x-real-ip",
    "x-request-id",
    "x-xss-protection",
];

/// The name of a header field, or as many masks as it has bytes.
#[must_use]
pub fn header_name(name: &str) -> String {
    let lower = name.to_ascii_lowercase();
    let is_known = HEADER_NAMES.contains(&lower.as_str()) || HEADERS.iter().any(|rule| rule.name == lower);
    if is_known { name.to_owned() } else { masks(name) }
}

/// The value of a header field with what is not kept masked.
#[must_use]
pub fn header_value(name: &str, value: &str) -> String {
    let name = name.to_ascii_lowercase();
    let Some(index) = HEADERS.iter().position(|rule| rule.name == name) else { return masks(value) };
    let keep = |text: &str| match HEADER_PATTERNS[index].is_match(text) {
        true => text.to_owned(),
        false => masks(text),
    };
    if !HEADERS[index].is_by_word {
        return keep(value);
    }
    value.split_inclusive([' ', '(', ')', ';', ',']).fold(String::new(), |out, part| {
        let word = part.trim_end_matches([' ', '(', ')', ';', ',']);
        out + &keep(word) + &part[word.len()..]
    })
}

/// A path without its query: customer_id as `{c1}` or as many masks, by `customer`, and what is not known masked.
#[must_use]
pub fn path(path: &str, customer: &mut dyn FnMut(&str) -> String) -> String {
    let is_one_of = |known: &[&str], text: &str| known.iter().any(|known| known.eq_ignore_ascii_case(text));
    let is_methode = |text: &str| is_one_of(&METHODES, text);
    let is_word = |text: &str| is_one_of(&PATH_WORDS, text);
    let segments: Vec<&str> = path.split('/').collect();
    let prefix = segments.iter().position(|segment| segment.eq_ignore_ascii_case(PATH_WORDS[1]));
    let kept = segments.iter().enumerate().map(|(index, segment)| {
        let follows_prefix = prefix.is_some_and(|prefix| index == prefix + 1);
        let precedes_methode = segments.get(index + 1).is_some_and(|next| is_methode(next));
        match *segment {
            "" => String::new(),
            segment if follows_prefix || (precedes_methode && !is_word(segment)) => customer(segment),
            segment if is_word(segment) || is_methode(segment) => segment.to_owned(),
            segment => masks(segment),
        }
    });
    kept.collect::<Vec<_>>().join("/")
}

/// As many masks as a text has bytes.
#[must_use]
pub fn masks(text: &str) -> String {
    MASK.to_string().repeat(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_headers_are_kept_by_a_grammar_each() {
        for (name, value, kept) in [
            ("Content-Type", "application/json", true),
            ("CONTENT-TYPE", "application/json;charset=UTF-8", true),
            ("Content-Type", "application/json; charset=utf-8; x=1", false),
            ("Content-Type", "application/vnd.bank+json", false),
            ("Accept", "application/json, text/plain, */*", true),
            ("Accept", "text/html;q=0.9,*/*;q=0.8", true),
            ("Accept", "bank/secret", false),
            ("Accept", "*/*", true),
            ("Accept", "application/json, application/*+json", true),
            ("Accept", "text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2", true),
            ("Accept", "application/json, text/javascript, */*; q=0.01", true),
            ("Content-Type", "application/json;charset=utf-8;", true),
            ("Content-Length", "123456789012", true),
            ("Content-Length", "1234567890123", false),
            ("Connection", "keep-alive", true),
            ("Connection", "keep-alive, x-secret", false),
            ("Keep-Alive", "timeout=60, max=100", true),
            ("Keep-Alive", "timeout=secret", false),
            ("Transfer-Encoding", "chunked", true),
            ("Expect", "100-continue", true),
            ("Date", "Sat, 21 Nov 2026 03:00:00 GMT", true),
            ("Date", "Sat, 21 Nov 2026 03:00:00 GMT secret", false),
            ("Allow", "GET, POST", true),
            ("Vary", "Accept-Encoding, Origin", true),
            ("Vary", "X-Bank", false),
            ("Server", "Apache/2.4.57 (Ubuntu) OpenSSL/1.1.1k", true),
            ("Server", "nginx/3174.0961.1290.0001", false),
            ("User-Agent", "Apache-HttpClient/4.5.13 (Java/1.8.0)", true),
            ("User-Agent", "BankOnboarding/2.1", false),
            ("Authorization", "Basic eA==", false),
            ("X-Request-Id", "1", false),
        ] {
            let found = header_value(name, value);
            assert_eq!(found.len(), value.len(), "{name}: {value}");
            assert_eq!(found == value, kept, "{name}: {value} -> {found}");
            assert!(kept || !found.contains("ecret") && !found.contains("ank"), "{found}");
        }
        assert_eq!(header_value("Server", "nginx/1.25 (bank-1)"), "nginx/1.25 (XXXXXX)");
    }

    #[test]
    fn no_value_of_a_key_holds_16_digits() {
        let nik = "3174096112900001";
        for key in &ANSWER_KEYS {
            for point in 0..=nik.len() {
                let (whole, decimals) = nik.split_at(point);
                for text in [
                    format!("{whole}.{decimals}"),
                    format!("1.{decimals}{whole}"),
                    format!("{whole}e{decimals}"),
                    nik.to_owned(),
                ] {
                    assert!(!key.keeps(&text), "{}: {text}", key.name);
                }
            }
        }
        let match_score = AnswerKey::find("matchScore").unwrap();
        let kept = ["0", "9.88", "-1.125", "999.0"].map(|text| match_score.keeps(text));
        assert_eq!(kept, [true; 4]);
        assert!(keeps_score("9.88261890411377") && keeps_score("1.0E-4"));
    }

    #[test]
    fn names_of_headers_are_those_of_the_list() {
        for (name, kept) in [
            ("Content-Type", true),
            ("X-Application-Context", true),
            ("traceparent", true),
            ("x-3174096112900001", false),
            ("X-Siti", false),
            ("\u{e9}", false),
        ] {
            assert_eq!(header_name(name), if kept { name.to_owned() } else { masks(name) });
        }
        assert!(HEADER_NAMES.is_sorted(), "each name once, in order");
    }

    #[test]
    fn paths_are_known_words_and_customers() {
        for (written, expected) in [
            ("/api/face-recognition/bank/CALL_FN", "/api/face-recognition/{c1}/CALL_FN"),
            ("/api/face-recognition/bank/call_fn/", "/api/face-recognition/{c1}/call_fn/"),
            ("/api/face-recognition/bank/SECRET", "/api/face-recognition/{c1}/XXXXXX"),
            ("/dukcapil/bank/CALL_FN", "/XXXXXXXX/{c1}/CALL_FN"),
            ("/api/face-recognition/CALL_FN/x", "/api/face-recognition/{c1}/X"),
            ("/api/face-recognition", "/api/face-recognition"),
            ("/3174096112900001", "/XXXXXXXXXXXXXXXX"),
            ("*", "X"),
        ] {
            assert_eq!(path(written, &mut |_| "{c1}".to_owned()), expected, "{written}");
        }
    }
}
