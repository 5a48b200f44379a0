//! The mistakes inside a JSON text, in words: what is wrong, and what to do.

use super::characters::describe;

/// One mistake. Holds at most the offending character: never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A character between tokens that cannot be seen.
    Invisible(char),
    TypographicQuote(char),
    /// A full-width character of an input method, and the ASCII one that it stands for.
    FullWidth(char, char),
    SingleQuotes,
    Backticks,
    TripleQuotes,
    Comment,
    TrailingComma,
    DoubledComma,
    MissingComma,
    DecimalComma,
    Semicolon,
    /// A key without quotes; whether the text has a double quote anywhere.
    BareKey {
        has_quotes: bool,
    },
    /// `=` or `=>` instead of `:`.
    Equals(&'static str),
    MissingColon,
    MissingValue,
    /// Text without quotes where a value is expected.
    BareValue,
    /// A word of a language that JSON does not have, and what to write.
    Word(&'static str, &'static str),
    /// A call or a constructor, such as `ObjectId(..)`.
    Call,
    /// A string literal with a prefix, such as `b'..'`.
    StringPrefix,
    /// Two strings joined as in source code.
    Concatenation,
    /// A number that is not JSON's, and in which way.
    Number(&'static str),
    /// `\"` or `\u0022` where a string should start.
    EscapedQuotes,
    /// `&quot;` and its like where a string should start.
    HtmlEntity,
    Placeholder,
    Ellipsis,
    QuoteInString,
    /// A string that is not closed before its line ends.
    OpenString,
    /// A control character inside a string; whether the field's value is base64.
    Control {
        found: char,
        base64: bool,
    },
    Escape(char),
    UnicodeEscape,
    Surrogate,
    /// Bytes that are not UTF-8, in words; whether the field's value is base64.
    NotUtf8 {
        what: &'static str,
        base64: bool,
    },
    EndsEarly(EndsEarly),
    TooDeep,
    /// A closing bracket of the other kind.
    Bracket(char),
    ClosedTwice,
    SecondValue,
    FormKey,
    TextBehind(char),
    NotAnObject,
    Unexpected(char),
}

/// Where the text of a body ends, and what its length says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndsEarly {
    pub place: &'static str,
    /// Length of the body, in bytes.
    pub bytes: usize,
    /// Bytes beyond one for each character.
    pub extra_bytes: usize,
    /// The text ends like a whole object, so a quote may be open.
    pub ends_closed: bool,
}

impl Mistake {
    /// What is wrong, as a phrase.
    pub fn reason(&self) -> String {
        let fixed = match self {
            Mistake::Invisible(c) => return format!("a character that cannot be seen: {}", describe(*c)),
            Mistake::TypographicQuote(c) => {
                return format!("typographic quote {} instead of \"", describe(*c));
            }
            Mistake::FullWidth(c, plain) => return format!("full-width {} instead of {plain}", describe(*c)),
            Mistake::Word(word, _) => return format!("{word}, which JSON does not have"),
            Mistake::Equals(sign) => return format!("{sign} instead of : between key and value"),
            Mistake::Number(what) => return format!("a number with {what}, which JSON does not allow"),
            Mistake::Control { found: '\n' | '\r', .. } => "a raw line break inside a string",
            Mistake::Control { found, .. } => {
                return format!("a raw control character inside a string: {}", describe(*found));
            }
            Mistake::Escape(c) if c.is_ascii_graphic() => {
                return format!("\\{c} inside a string, which is not an escape of JSON");
            }
            Mistake::Escape(_) => "a backslash inside a string that starts no escape of JSON",
            Mistake::NotUtf8 { what, .. } => return format!("bytes that are not UTF-8: {what}"),
            Mistake::EndsEarly(end) => {
                return format!("the body ends too early, {} (after {})", end.place, bytes(end.bytes));
            }
            Mistake::Bracket(c) => return format!("{c} closes what the other kind of bracket opened"),
            Mistake::TextBehind(c) => {
                return format!("text behind the JSON object, from {} on", describe(*c));
            }
            Mistake::Unexpected(c) => return format!("an unexpected {}", describe(*c)),
            Mistake::SingleQuotes => "single quotes instead of \"",
            Mistake::Backticks => "backticks instead of \"",
            Mistake::TripleQuotes => "three double quotes instead of one",
            Mistake::Comment => "a comment, which JSON does not have",
            Mistake::TrailingComma => "a trailing comma",
            Mistake::DoubledComma => "a comma without a member before it",
            Mistake::MissingComma => "a comma is missing before this member",
            Mistake::DecimalComma => "a decimal comma, or a member without a key",
            Mistake::Semicolon => "a semicolon instead of a comma",
            Mistake::BareKey { has_quotes: true } => "a key without quotes",
            Mistake::BareKey { has_quotes: false } => {
                "a key without quotes, and no double quote in the whole body"
            }
            Mistake::MissingColon => "a key without : and a value",
            Mistake::MissingValue => "the value is missing",
            Mistake::BareValue => "text without quotes",
            Mistake::Call => "a call or constructor of a program, which JSON does not have",
            Mistake::StringPrefix => "a letter before the quote, as Python writes bytes (b'...')",
            Mistake::Concatenation => "strings joined by an operator, as in a program's source",
            Mistake::EscapedQuotes => "escaped quotes (\\\") instead of \"",
            Mistake::HtmlEntity => "HTML entities (&quot;) instead of \"",
            Mistake::Placeholder => "a placeholder of a template that was not filled in",
            Mistake::Ellipsis => "an ellipsis (...), as documentation abbreviates",
            Mistake::QuoteInString => {
                "text directly behind a closing quote: a quote inside the string is not escaped"
            }
            Mistake::OpenString => "a string that is not closed on its line",
            Mistake::UnicodeEscape => "\\u without four hexadecimal digits",
            Mistake::Surrogate => "half of a surrogate pair in a \\u escape",
            Mistake::TooDeep => return format!("nested deeper than {} levels", super::MAX_DEPTH),
            Mistake::ClosedTwice => "a closing bracket too many",
            Mistake::SecondValue => "a second JSON value behind the object",
            Mistake::FormKey => "= behind the JSON object: it was sent as the key of a form",
            Mistake::NotAnObject => "a JSON object starts with {",
        };
        fixed.to_owned()
    }

    /// What to do, and which tool makes such.
    pub fn hint(&self) -> String {
        let fixed = match self {
            Mistake::Invisible('\0') => {
                "send only the text's own bytes: in C strlen, not the size of the buffer, and no final NUL"
            }
            Mistake::Invisible('\u{FEFF}') => {
                "remove it: editors and .NET's StreamWriter put it at the start of a file, and files joined together have it in the middle"
            }
            Mistake::Invisible('\u{1B}') => {
                "switch colours off in the tool that printed the JSON (jq -M, --no-color)"
            }
            Mistake::Invisible(_) => {
                "remove it, or type the line again: it comes from text copied out of a web page, a PDF, a chat or a word processor"
            }
            Mistake::TypographicQuote(_) => {
                "replace “ and ” with plain \"; the document's sample request is printed with typographic quotes"
            }
            Mistake::FullWidth(..) => "type the JSON with the input method in its half-width (ASCII) mode",
            Mistake::SingleQuotes => {
                "write keys and strings in double quotes: single ones come from Python's str(dict) (use json.dumps) and from JavaScript \
                 literals (use JSON.stringify)"
            }
            Mistake::Backticks => "use JSON.stringify: backticks are JavaScript's",
            Mistake::TripleQuotes => {
                "write one double quote: three are a text block of Python, Java or Kotlin"
            }
            Mistake::Comment => "remove comments (//, /* */, #)",
            Mistake::TrailingComma => {
                "remove the comma before the closing brace; the document's sample request is printed with one"
            }
            Mistake::DoubledComma => {
                "write one comma between two members: a template left a member out, or a value was empty"
            }
            Mistake::MissingComma => "write a comma between two members",
            Mistake::DecimalComma => "write numbers with a point (7.5), whatever the locale",
            Mistake::Semicolon => "write a comma between two members",
            Mistake::BareKey { has_quotes: true } => {
                "write keys in double quotes: a JavaScript literal, JSON5 and YAML have them without (use JSON.stringify)"
            }
            Mistake::BareKey { has_quotes: false } => {
                "a shell took the quotes away, so put the body into a file and send it with curl --data-binary @body.json (cmd.exe and \
                 PowerShell: \"{\\\"ip\\\":...}\"), or it is what a map prints in Dart, Java or C# (use a JSON library)"
            }
            Mistake::Equals("=>") => {
                "write : (=> is Ruby's inspect and PHP's array; use to_json, json_encode)"
            }
            Mistake::Equals(_) => {
                "write : (= is Java's Map.toString(), a C# record, Lua or TOML; use a JSON library such as Jackson or System.Text.Json)"
            }
            Mistake::MissingColon => {
                "write \"key\": value for each member (a set, or {a, b} of JavaScript, has keys only)"
            }
            Mistake::MissingValue => {
                "give the key a value: the variable or the command in its place ($VAR, $(base64 ...)) was empty"
            }
            Mistake::BareValue => {
                "write texts in double quotes, also those from a shell's variable: \"ip\":\"'\"$IP\"'\""
            }
            Mistake::Word(_, instead) => instead,
            Mistake::Call => {
                "write plain JSON values: the text is a program's source, or a database shell's print (mongosh: EJSON.stringify)"
            }
            Mistake::StringPrefix => {
                "decode bytes first: base64.b64encode(...).decode(\"ascii\"), then json.dumps"
            }
            Mistake::Concatenation => {
                "write one string: join the texts in the program, before the JSON is made"
            }
            Mistake::Number(_) => {
                "write numbers as JSON does (7, 7.5, 1e1), and ids and addresses as strings in double quotes"
            }
            Mistake::EscapedQuotes => {
                "write plain \": the JSON was escaped twice, lost the string around it, or comes from a shell that leaves \\\" as it is \
                 (PowerShell 7.3 and later: write '{\"ip\":...}')"
            }
            Mistake::HtmlEntity => {
                "switch the template's HTML escaping off, or use a JSON library (Twig |raw, Thymeleaf th:utext, html.unescape)"
            }
            Mistake::Placeholder => {
                "fill the placeholder in before sending: {{...}} of Postman, Jinja or Handlebars, ${...} in single quotes of a shell, <%...%>"
            }
            Mistake::Ellipsis => "write the whole JSON, nothing abbreviated",
            Mistake::QuoteInString => {
                "write \\\" for a quote inside a string, or use a JSON library; a missing comma or quote looks the same"
            }
            Mistake::OpenString => "close the string with \"; a line break inside a text is written \\n",
            Mistake::Control { base64: true, .. } => {
                "send base64 on one line: base64 -w0 FILE (macOS: base64 -i FILE | tr -d '\\n'), Python b64encode instead of encodebytes, \
                 Java Base64.getEncoder() instead of getMimeEncoder(), Android NO_WRAP, PHP without chunk_split"
            }
            Mistake::Control { .. } => {
                "write control characters as escapes (\\n, \\t, \\u0000), or use a JSON library"
            }
            Mistake::Escape('\'') => {
                "write ' as it is: JSON escapes only \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX"
            }
            Mistake::Escape(_) => {
                "write \\\\ for a backslash, as in C:\\\\photo.jpg: JSON escapes only \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX"
            }
            Mistake::UnicodeEscape => {
                "write four hexadecimal digits (\\u00e9), or the character itself in UTF-8"
            }
            Mistake::Surrogate => {
                "write both halves (\\ud83d\\ude00), or the character itself in UTF-8; do not cut texts between them"
            }
            Mistake::NotUtf8 { base64: true, .. } => {
                "encode the bytes as base64 first: image, user_id and password are base64 texts, never raw bytes"
            }
            Mistake::NotUtf8 { .. } => {
                "send UTF-8: PHP mb_convert_encoding, Java getBytes(StandardCharsets.UTF_8), .NET Encoding.UTF8, Python encode(\"utf-8\")"
            }
            Mistake::EndsEarly(end) => return end.hint(),
            Mistake::TooDeep => "send one flat JSON object",
            Mistake::Bracket(_) | Mistake::ClosedTwice => "close each { with } and each [ with ], once",
            Mistake::SecondValue => {
                "send one object a request: no JSON lines (NDJSON), no two objects in a row"
            }
            Mistake::FormKey => {
                "send the JSON as the body itself: curl --data-binary, not --data-urlencode; axios and jQuery: a JSON string with \
                 Content-Type application/json"
            }
            Mistake::TextBehind(_) => {
                "end the body with the object's closing brace: no semicolon, quote, heredoc's end mark or log line behind it"
            }
            Mistake::NotAnObject | Mistake::Unexpected(_) => super::SEND_ONE_OBJECT,
        };
        fixed.to_owned()
    }
}

impl EndsEarly {
    fn hint(&self) -> String {
        let mut hint =
            "send the whole body; check Content-Length and that the JSON was not truncated".to_owned();
        if self.extra_bytes > 0 {
            hint += &format!(
                " (Content-Length counts bytes, not characters: this text has {} more than characters)",
                bytes(self.extra_bytes)
            );
        }
        if self.bytes.is_power_of_two() && self.bytes >= 512 {
            hint += &format!(" ({} bytes are exactly the size of a buffer)", self.bytes);
        }
        if self.ends_closed {
            hint += "; or close the string with a quote";
        }
        hint
    }
}

fn bytes(count: usize) -> String {
    if count == 1 { "1 byte".to_owned() } else { format!("{count} bytes") }
}
