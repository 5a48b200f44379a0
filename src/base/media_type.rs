//! `Content-Type` and `Accept` (RFC 9110, 8.3 and 12.5.1): whether they name JSON.

use super::text;

/// Returns whether a `Content-Type` names JSON: `application/json` or `application/*+json`, in any case, with any parameters.
#[must_use]
pub fn is_json(content_type: &str) -> bool {
    match media_range(content_type) {
        Some((kind, subtype)) => kind == "application" && (subtype == "json" || has_json_suffix(&subtype)),
        None => false,
    }
}

/// Returns whether the values of all `Accept` headers together allow `application/json`: none and empty ones allow all, and the weight of
/// the most specific range that matches decides, where 0 excludes. What is not a media range matches nothing.
#[must_use]
pub fn accepts_json<'a>(values: impl IntoIterator<Item = &'a str>) -> bool {
    let ranges = values.into_iter().flat_map(|value| split(value, ',')).filter(|range| !range.is_empty());
    let ranges: Vec<_> = ranges.collect();
    let matching = ranges.iter().filter_map(|range| Some((specificity(range)?, is_wanted(range))));
    ranges.is_empty() || matching.max().is_some_and(|(_, is_wanted)| is_wanted)
}

/// Returns whether the values of all `Accept` headers name `text/html` itself, as browsers do and programs do not.
#[must_use]
pub fn names_html<'a>(values: impl IntoIterator<Item = &'a str>) -> bool {
    let is_html =
        |range: &str| media_range(range).is_some_and(|(kind, subtype)| kind == "text" && subtype == "html");
    values.into_iter().flat_map(|value| split(value, ',')).any(|range| is_html(range) && is_wanted(range))
}

/// Returns the types of a header's values, without their parameters, for a message; `;q=0` where that excludes one.
#[must_use]
pub fn names<'a>(values: impl IntoIterator<Item = &'a str>) -> String {
    let ranges = values.into_iter().flat_map(|value| split(value, ','));
    let names = ranges.map(|range| {
        // A long value ends with an ellipsis already.
        let name = split(range, ';').next().unwrap_or_default().trim_end_matches('…');
        let name = text::preview(name, MAX_NAME_CHARS);
        if is_wanted(range) { name } else { format!("{name};q=0") }
    });
    names.collect::<Vec<_>>().join(", ")
}

/// Max characters of a type in a message.
const MAX_NAME_CHARS: usize = 40;

/// How closely a range names `application/json`; `None` when it does not.
fn specificity(range: &str) -> Option<u8> {
    let (kind, subtype) = media_range(range)?;
    match (kind.as_str(), subtype.as_str()) {
        ("application", "json") => Some(3),
        ("application", "*+json") => Some(2),
        ("application", "*") => Some(1),
        ("*", "*") => Some(0),
        _ => None,
    }
}

/// Whether the weight `q` of a range is not 0. One that cannot be read counts as absent.
fn is_wanted(range: &str) -> bool {
    let weight = split(range, ';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("q").then(|| value.trim().parse::<f32>().ok())?
    });
    weight != Some(0.0)
}

/// Returns type and subtype, in lower case. A lone `*` is what Java's `HttpURLConnection` sends for `*/*`.
fn media_range(text: &str) -> Option<(String, String)> {
    let essence = split(text, ';').next()?.to_ascii_lowercase();
    let (kind, subtype) = if essence == "*" { ("*", "*") } else { essence.split_once('/')? };
    let is_token = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte))
    };
    (is_token(kind) && is_token(subtype)).then(|| (kind.to_owned(), subtype.to_owned()))
}

fn has_json_suffix(subtype: &str) -> bool {
    subtype.strip_suffix("+json").is_some_and(|name| !name.is_empty())
}

/// Splits at a separator outside quotes, and trims the parts.
fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    let (mut quoted, mut escaped) = (false, false);
    text.split(move |c: char| {
        let is_end = c == separator && !quoted;
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && quoted && !escaped;
        is_end
    })
    .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_names_html_wants_a_page() {
        for (values, wanted) in [
            (&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"][..], true),
            (&["application/json", "Text/HTML; level=1"], true),
            (&["*/*"], false),
            (&["text/*"], false),
            (&["text/html;q=0"], false),
            (&["application/json; note=\"text/html\""], false),
            (&["text/htmlx", "text", ""], false),
            (&[], false),
        ] {
            assert_eq!(names_html(values.iter().copied()), wanted, "{values:?}");
        }
    }

    #[test]
    fn content_types_of_json() {
        for json in [
            "application/json",
            "Application/JSON",
            "application/json;charset=UTF-8",
            " application/json ; charset=\"utf-8\"",
            "application/problem+json",
            "application/vnd.api+JSON; version=1",
            "application/*+json",
        ] {
            assert!(is_json(json), "{json}");
        }
        for other in [
            "",
            " ",
            "json",
            "application",
            "application/",
            "application/jsonp",
            "application/+json",
            "application/x-www-form-urlencoded",
            "application/octet-stream",
            "text/json",
            "text/plain;x=application/json",
            "multipart/form-data; boundary=\"application/json\"",
            "application/json, text/plain",
            "application/json text",
            "*/*",
        ] {
            assert!(!is_json(other), "{other}");
        }
    }

    #[test]
    fn names_show_neither_parameters_nor_ciphertexts() {
        let ciphertext = "Ab1+".repeat(30);
        let values = [&format!("text/html;x={ciphertext}, {ciphertext}"), "application/json; q=0", ""];
        assert_eq!(names(values), "text/html, (120 characters of base64), application/json;q=0, ");
        assert_eq!(names([&*format!("{ciphertext}…")]), "(120 characters of base64)");
    }

    #[test]
    fn accepts_that_allow_json() {
        for values in [
            &[][..],
            &[""],
            &[" , "],
            &["application/json"],
            &["APPLICATION/Json;charset=utf-8"],
            &["application/*"],
            &["application/*+json"],
            &["*/*"],
            &["*"],
            &["text/html, */*;q=0.1"],
            &["text/html", "application/json"],
            &["text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"],
            &["*/*;q=0, application/json"],
            &["application/json;q=0.001"],
            &["application/json;q=x"],
            &["application/json;profile=\"a,b;q=0\""],
            &["application/json;profile=\"\\\",\";q=1"],
            &["nonsense, application/json"],
        ] {
            assert!(accepts_json(values.iter().copied()), "{values:?}");
        }
        for values in [
            &["text/html"][..],
            &["application/xml, text/*"],
            &["application/problem+json"],
            &["application/json;q=0"],
            &["application/json;Q=0.000, */*"],
            &["application/*;q=0, */*"],
            &["*/*;q=0"],
            &["text/html", "image/*"],
            &["json"],
            &["*/json"],
            &["application/json/x"],
            &["text/plain;x=\"a, application/json\""],
        ] {
            assert!(!accepts_json(values.iter().copied()), "{values:?}");
        }
    }
}
