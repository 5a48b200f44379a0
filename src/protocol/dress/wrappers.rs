//! Dresses that leave a text a text: something around it, or other characters for some of its own.

use icu_normalizer::ComposingNormalizerBorrowed;
use percent_encoding::percent_decode;

use super::{Dress, changed, first, utf8};

const NOWHERE: fn(&str) -> Option<usize> = |_| None;

/// Position right behind the text without what is at its end.
macro_rules! end_of {
    ($pattern:expr) => {
        |text| Some(text.trim_end_matches($pattern).chars().count() + 1)
    };
}

/// Removes what `pattern` matches at the end of a text.
macro_rules! trim_end {
    ($pattern:expr) => {
        |text| changed(utf8(text)?.trim_end_matches($pattern), text)
    };
}

/// Text to text.
pub static WRAPPERS: &[Dress] = &[
    Dress {
        words: "with a byte order mark (BOM) before it",
        hint: "remove the byte order mark: read the file as UTF-8 without BOM",
        place: NOWHERE,
        undo: |text| changed(text.strip_prefix(b"\xEF\xBB\xBF")?, text),
    },
    Dress {
        words: "with a NUL byte at the end",
        hint: "leave out the zero byte that ends a string in C: strlen(text), not strlen(text) + 1 or sizeof",
        place: end_of!('\0'),
        undo: trim_end!('\0'),
    },
    Dress {
        words: "with a line break at the end",
        hint: "use printf '%s', not echo; trim what was read from a file",
        place: end_of!(['\r', '\n']),
        undo: trim_end!(['\r', '\n']),
    },
    Dress {
        words: "with a blank at the end",
        hint: "trim the text",
        place: end_of!([' ', '\t']),
        undo: trim_end!([' ', '\t']),
    },
    Dress {
        words: "with white space before it",
        hint: "trim the text",
        place: |_| Some(1),
        undo: |text| changed(utf8(text)?.trim_ascii_start(), text),
    },
    Dress {
        words: "with invisible characters in it",
        hint: "type the text anew, or paste it through a plain-text editor: chats and word processors add such characters",
        place: |text| first(text, is_invisible),
        undo: |text| changed(utf8(text)?.replace(is_invisible, ""), text),
    },
    Dress {
        words: "with quotes around it",
        hint: "send the text without the quotes around it",
        place: NOWHERE,
        undo: |text| changed(unquoted(utf8(text)?)?, text),
    },
    Dress {
        words: "with a quote at one end",
        hint: "send the text without the quote",
        place: |text| Some(if text.starts_with(is_quote) { 1 } else { text.chars().count() }),
        undo: |text| {
            let text = utf8(text)?;
            (text.starts_with(is_quote) != text.ends_with(is_quote))
                .then(|| changed(text.trim_matches(is_quote), text.as_bytes()))?
        },
    },
    Dress {
        words: "as Python prints bytes: b'...'",
        hint: "decode the bytes first: base64.b64encode(data).decode(), not str(...)",
        place: NOWHERE,
        undo: python_bytes,
    },
    Dress {
        words: "as another language prints it: name(\"...\")",
        hint: "send the value itself, not its printed form",
        place: NOWHERE,
        undo: |text| {
            let (name, inner) = utf8(text)?.strip_suffix(')')?.split_once('(')?;
            let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':');
            (!name.is_empty() && name.len() <= 40 && name.chars().all(is_name)).then(|| inner.into())
        },
    },
    Dress {
        words: "in a JSON text of its own",
        hint: "send the string itself, not JSON that holds it",
        place: NOWHERE,
        undo: |text| changed(json_string(text)?, text),
    },
    Dress {
        words: "with escape sequences in it (\\n, \\/, \\u002B)",
        hint: "send the characters themselves; a JSON library escapes them once, and only once",
        place: |text| first(text, |c| c == '\\'),
        undo: |text| changed(unescaped(utf8(text)?.as_bytes())?, text),
    },
    Dress {
        words: "percent-encoded",
        hint: "do not percent-encode: this is JSON, not a form or a URL",
        place: |text| first(text, |c| c == '%'),
        undo: |text| {
            utf8(text).filter(|text| text.contains('%'))?;
            changed(percent_decode(text).collect::<Vec<_>>(), text)
        },
    },
    Dress {
        words: "HTML-escaped (&#43;, &#x2F;, &quot;)",
        hint: "do not escape for HTML: this is JSON, not a page",
        place: |text| first(text, |c| c == '&'),
        undo: |text| changed(without_entities(utf8(text).filter(|text| text.contains('&'))?), text),
    },
    Dress {
        words: "in quoted-printable (=3D, = at the end of lines)",
        hint: "take it from the source, not from an e-mail's raw text",
        place: NOWHERE,
        undo: |text| {
            let text = utf8(text)?;
            let traces = ["=3D", "=2B", "=2F", "=\n", "=\r\n"];
            let has_trace = traces.iter().any(|trace| text.contains(trace));
            has_trace.then(|| changed(plain_of_quoted_printable(text), text.as_bytes()))?
        },
    },
    Dress {
        words: "with the first and the last line of PEM (-----BEGIN ...-----)",
        hint: "send only what is between the two lines, as one line",
        place: NOWHERE,
        undo: |text| {
            let (label, rest) = utf8(text)?.trim().strip_prefix("-----BEGIN ")?.split_once("-----")?;
            let (inner, _) = rest.split_once("-----END ")?;
            let is_a_key = ["KEY", "CERTIFICATE"].iter().any(|word| label.contains(word));
            // The header lines of old PEM, such as "Version: 1", end with an empty line.
            let inner = inner.rsplit("\n\n").next().unwrap_or_default();
            (!is_a_key).then(|| inner.trim().into())
        },
    },
    Dress {
        words: "with a prefix before it, as data URIs and headers have one (data:...;base64, base64: Basic)",
        hint: "send only the part after the comma or the colon",
        place: |_| Some(1),
        undo: |text| {
            let text = utf8(text)?;
            let start = text.char_indices().nth(100).map_or(text, |(end, _)| &text[..end]);
            let is_data_uri = start.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("data:"));
            let comma = if is_data_uri { start.find(',') } else { None };
            let known = PREFIXES
                .iter()
                .find(|known| text.get(..known.len()).is_some_and(|start| start.eq_ignore_ascii_case(known)));
            let end = comma.map(|comma| comma + 1).or(known.map(|known| known.len()))?;
            changed(text[end..].trim_start(), text.as_bytes())
        },
    },
    Dress {
        words: "in an XML element or CDATA section",
        hint: "send the element's text, without its tags",
        place: NOWHERE,
        undo: |text| {
            let text = utf8(text)?.trim().strip_prefix('<')?;
            if let Some(inner) = text.strip_prefix("![CDATA[") {
                return changed(inner.strip_suffix("]]>")?.trim(), text.as_bytes());
            }
            let (_, rest) = text.split_once('>')?;
            let end = rest.rfind("</")?;
            (text.ends_with('>') && !rest[..end].contains('<'))
                .then(|| changed(rest[..end].trim(), text.as_bytes()))?
        },
    },
    Dress {
        words: "with typographic or full-width characters for plain ones",
        hint: "type the text anew: word processors and input methods replace quotes, dashes, blanks and letters",
        place: |text| first(text, |c| plain_of(c) != c),
        undo: |text| changed(utf8(text)?.chars().map(plain_of).collect::<String>(), text),
    },
    Dress {
        words: "in another Unicode form (é as one character or as e and an accent)",
        hint: "normalize to NFC before encrypting (macOS file names and some keyboards give NFD)",
        place: NOWHERE,
        undo: |text| {
            let text = utf8(text)?;
            (!text.is_ascii() && text.len() < 1 << 12).then(|| {
                changed(ComposingNormalizerBorrowed::new_nfc().normalize(text).as_bytes(), text.as_bytes())
            })?
        },
    },
];

/// What stands before base64 in headers, configuration files and forms.
const PREFIXES: [&str; 12] = [
    "base64:",
    "base64,",
    ";base64,",
    "Basic ",
    "Bearer ",
    "{cipher}",
    "{base64}",
    "user_id=",
    "password=",
    "image=",
    "jpg;base64,",
    "png;base64,",
];

fn is_invisible(c: char) -> bool {
    matches!(c, '\u{AD}' | '\u{180E}' | '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{2064}' | '\u{FEFF}')
}

fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\'' | '`' | '\u{2018}'..='\u{201F}' | '«' | '»' | '‹' | '›')
}

fn unquoted(text: &str) -> Option<&str> {
    let inner = text.strip_prefix(is_quote)?.strip_suffix(is_quote)?;
    let (first, last) = (text.chars().next()?, text.chars().next_back()?);
    (first == last || !(first.is_ascii() || last.is_ascii())).then_some(inner)
}

/// `b'...'`, `b"..."`, `bytearray(b'...')`, with the escapes in it.
fn python_bytes(text: &[u8]) -> Option<Vec<u8>> {
    let inner = text.strip_prefix(b"bytearray(").and_then(|text| text.strip_suffix(b")")).unwrap_or(text);
    let quoted = inner.strip_prefix(b"b").or_else(|| inner.strip_prefix(b"B"))?;
    let inner = quoted.strip_prefix(b"'").and_then(|text| text.strip_suffix(b"'"));
    let inner = inner.or_else(|| quoted.strip_prefix(b"\"").and_then(|text| text.strip_suffix(b"\"")))?;
    Some(unescaped(inner).unwrap_or_else(|| inner.to_vec()))
}

/// The string of a JSON text that is one string, or an array or object with one string and nothing else.
fn json_string(text: &[u8]) -> Option<String> {
    if !matches!((text.first()?, text.last()?), (b'"', b'"') | (b'[', b']') | (b'{', b'}')) {
        return None;
    }
    let only = match serde_json::from_slice(text).ok()? {
        serde_json::Value::Array(mut items) if items.len() == 1 => items.pop()?,
        serde_json::Value::Object(members) if members.len() == 1 => members.into_iter().next()?.1,
        other => other,
    };
    only.as_str().map(str::to_owned)
}

/// Resolves `\n`, `\/`, `\u002B`, `\x2B`, `\012`; `None` without any backslash.
fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(b'\\', text)?;
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, behind)) = rest.split_first() {
        rest = behind;
        let Some((escape, behind)) = rest.split_first().filter(|_| *byte == b'\\') else {
            out.push(*byte);
            continue;
        };
        rest = behind;
        let number = |digits: usize, radix| {
            let digits = utf8(behind.get(..digits)?)?;
            u32::from_str_radix(digits, radix).ok().map(|number| (number, digits.len()))
        };
        let numbered = match escape {
            b'u' => number(4, 16),
            b'x' => number(2, 16),
            _ => None,
        };
        match (escape, numbered) {
            (b'u', Some((number, digits))) => {
                let c = char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
                rest = &rest[digits..];
            }
            (_, Some((number, digits))) => {
                out.push(number as u8);
                rest = &rest[digits..];
            }
            (b'n', _) => out.push(b'\n'),
            (b'r', _) => out.push(b'\r'),
            (b't', _) => out.push(b'\t'),
            (b'0', _) => out.push(0),
            (other, _) => out.push(*other),
        }
    }
    Some(out)
}

/// Resolves the entities that tools write for the characters of base64 and of accounts, and all numeric ones.
fn without_entities(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.bytes().take(10).position(|byte| byte == b';');
        match end.and_then(|end| Some((entity(&rest[1..end])?, end))) {
            Some((c, end)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out + rest
}

fn entity(name: &str) -> Option<char> {
    let number = name.strip_prefix('#').and_then(|number| match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => number.parse().ok(),
    });
    Some(match name {
        "plus" => '+',
        "sol" => '/',
        "equals" => '=',
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => '\u{A0}',
        _ => return number.and_then(char::from_u32),
    })
}

fn plain_of_quoted_printable(text: &str) -> Vec<u8> {
    let joined = text.replace("=\r\n", "").replace("=\n", "");
    // What is percent-encoding with another mark.
    percent_decode(joined.replace('%', "%25").replace('=', "%").as_bytes())
        .map(|byte| if byte == b'%' { b'=' } else { byte })
        .collect()
}

/// The plain character that word processors, input methods and copies from pages replace by this one.
fn plain_of(c: char) -> char {
    match c {
        '\u{FF01}'..='\u{FF5E}' => char::from_u32(c as u32 - 0xFEE0).unwrap_or(c),
        '\u{A0}' | '\u{2000}'..='\u{200A}' | '\u{202F}' | '\u{205F}' | '\u{3000}' => ' ',
        '\u{2010}'..='\u{2015}' | '\u{2212}' => '-',
        '\u{2018}' | '\u{2019}' | '\u{201B}' | '\u{2032}' => '\'',
        '\u{201C}'..='\u{201F}' | '\u{2033}' => '"',
        '\u{2044}' | '\u{2215}' => '/',
        // Cyrillic letters that look like Latin ones.
        'а' => 'a',
        'е' => 'e',
        'о' => 'o',
        'р' => 'p',
        'с' => 'c',
        'у' => 'y',
        'х' => 'x',
        'і' => 'i',
        'А' => 'A',
        'В' => 'B',
        'Е' => 'E',
        'К' => 'K',
        'М' => 'M',
        'Н' => 'H',
        'О' => 'O',
        'Р' => 'P',
        'С' => 'C',
        'Т' => 'T',
        'Х' => 'X',
        _ => c,
    }
}
