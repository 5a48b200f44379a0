//! The mistakes inside a JSON text, in words: what is wrong, and what to do.

use super::characters::describe;

/// One mistake. Holds at most the offending character: never a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JsonMistake {
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

impl JsonMistake {
    /// What is wrong, as a phrase.
    pub fn reason(&self) -> String {
        let fixed = match self {
            JsonMistake::Invisible(c) => return format!("a character that cannot be seen: {}", describe(*c)),
            JsonMistake::TypographicQuote(c) => {
                return format!("typographic quote {} instead of \"", describe(*c));
            }
            JsonMistake::FullWidth(c, plain) => {
                return format!("full-width {} instead of {plain}", describe(*c));
            }
            JsonMistake::Word(word, _) => return format!("{word}, which JSON does not have"),
            JsonMistake::Equals(sign) => return format!("{sign} instead of : between key and value"),
            JsonMistake::Number(what) => return format!("a number with {what}, which JSON does not allow"),
            JsonMistake::Control { found: '\n' | '\r', .. } => "a raw line break inside a string",
            JsonMistake::Control { found, .. } => {
                return format!("a raw control character inside a string: {}", describe(*found));
            }
            JsonMistake::Escape(c) if c.is_ascii_graphic() => {
                return format!("\\{c} inside a string, which is not an escape of JSON");
            }
            JsonMistake::Escape(_) => "a backslash inside a string that starts no escape of JSON",
            JsonMistake::NotUtf8 { what, .. } => return format!("bytes that are not UTF-8: {what}"),
            JsonMistake::EndsEarly(end) => {
                return format!("the body ends too early, {} (after {})", end.place, bytes(end.bytes));
            }
            JsonMistake::Bracket(c) => return format!("{c} closes what the other kind of bracket opened"),
            JsonMistake::TextBehind(c) => {
                return format!("text behind the JSON object, from {} on", describe(*c));
            }
            JsonMistake::Unexpected(c) => return format!("an unexpected {}", describe(*c)),
            JsonMistake::SingleQuotes => "single quotes instead of \"",
            JsonMistake::Backticks => "backticks instead of \"",
            JsonMistake::TripleQuotes => "three double quotes instead of one",
            JsonMistake::Comment => "a comment, which JSON does not have",
            JsonMistake::TrailingComma => "a trailing comma",
            JsonMistake::DoubledComma => "a comma without a member before it",
            JsonMistake::MissingComma => "a comma is missing before this member",
            JsonMistake::DecimalComma => "a decimal comma, or a member without a key",
            JsonMistake::Semicolon => "a semicolon instead of a comma",
            JsonMistake::BareKey { has_quotes: true } => "a key without quotes",
            JsonMistake::BareKey { has_quotes: false } => {
                "a key without quotes, and no double quote in the whole body"
            }
            JsonMistake::MissingColon => "a key without : and a value",
            JsonMistake::MissingValue => "the value is missing",
            JsonMistake::BareValue => "text without quotes",
            JsonMistake::Call => "a call or constructor of a program, which JSON does not have",
            JsonMistake::StringPrefix => "a letter before the quote, as Python writes bytes (b'...')",
            JsonMistake::Concatenation => "strings joined by an operator, as in a program's source",
            JsonMistake::EscapedQuotes => "escaped quotes (\\\") instead of \"",
            JsonMistake::HtmlEntity => "HTML entities (&quot;) instead of \"",
            JsonMistake::Placeholder => "a placeholder of a template that was not filled in",
            JsonMistake::Ellipsis => "an ellipsis (...), as documentation abbreviates",
            JsonMistake::QuoteInString => {
                "text directly behind a closing quote: a quote inside the string is not escaped"
            }
            JsonMistake::OpenString => "a string that is not closed on its line",
            JsonMistake::UnicodeEscape => "\\u without four hexadecimal digits",
            JsonMistake::Surrogate => "half of a surrogate pair in a \\u escape",
            JsonMistake::TooDeep => return format!("nested deeper than {} levels", super::MAX_DEPTH),
            JsonMistake::ClosedTwice => "a closing bracket too many",
            JsonMistake::SecondValue => "a second JSON value behind the object",
            JsonMistake::FormKey => "= behind the JSON object: it was sent as the key of a form",
            JsonMistake::NotAnObject => "a JSON object starts with {",
        };
        fixed.to_owned()
    }

    /// What to do, and which tool makes such.
    pub fn hint(&self) -> String {
        let fixed = match self {
            JsonMistake::Invisible('\0') => {
                "send only the text's own bytes: in C strlen, not the size of the buffer, and no final NUL"
            }
            JsonMistake::Invisible('\u{FEFF}') => {
                "remove it: editors and .NET's StreamWriter put it at the start of a file, and files joined together have it in the middle"
            }
            JsonMistake::Invisible('\u{1B}') => {
                "switch colours off in the tool that printed the JSON (jq -M, --no-color)"
            }
            JsonMistake::Invisible(_) => {
                "remove it, or type the line again: it comes from text copied out of a web page, a PDF, a chat or a word processor"
            }
            JsonMistake::TypographicQuote(_) => {
                "replace “ and ” with plain \"; the document's sample request is printed with typographic quotes"
            }
            JsonMistake::FullWidth(..) => {
                "type the JSON with the input method in its half-width (ASCII) mode"
            }
            JsonMistake::SingleQuotes => {
                "write keys and strings in double quotes: single ones come from Python's str(dict) (use json.dumps) and from JavaScript \
                 literals (use JSON.stringify)"
            }
            JsonMistake::Backticks => "use JSON.stringify: backticks are JavaScript's",
            JsonMistake::TripleQuotes => {
                "write one double quote: three are a text block of Python, Java or Kotlin"
            }
            JsonMistake::Comment => "remove comments (//, /* */, #)",
            JsonMistake::TrailingComma => {
                "remove the comma before the closing brace; the document's sample request is printed with one"
            }
            JsonMistake::DoubledComma => {
                "write one comma between two members: a template left a member out, or a value was empty"
            }
            JsonMistake::MissingComma => "write a comma between two members",
            JsonMistake::DecimalComma => "write numbers with a point (7.5), whatever the locale",
            JsonMistake::Semicolon => "write a comma between two members",
            JsonMistake::BareKey { has_quotes: true } => {
                "write keys in double quotes: a JavaScript literal, JSON5 and YAML have them without (use JSON.stringify)"
            }
            JsonMistake::BareKey { has_quotes: false } => {
                "a shell took the quotes away, so put the body into a file and send it with curl --data-binary @body.json (cmd.exe and \
                 PowerShell: \"{\\\"ip\\\":...}\"), or it is what a map prints in Dart, Java or C# (use a JSON library)"
            }
            JsonMistake::Equals("=>") => {
                "write : (=> is Ruby's inspect and PHP's array; use to_json, json_encode)"
            }
            JsonMistake::Equals(_) => {
                "write : (= is Java's Map.toString(), a C# record, Lua or TOML; use a JSON library such as Jackson or System.Text.Json)"
            }
            JsonMistake::MissingColon => {
                "write \"key\": value for each member (a set, or {a, b} of JavaScript, has keys only)"
            }
            JsonMistake::MissingValue => {
                "give the key a value: the variable or the command in its place ($VAR, $(base64 ...)) was empty"
            }
            JsonMistake::BareValue => {
                "write texts in double quotes, also those from a shell's variable: \"ip\":\"'\"$IP\"'\""
            }
            JsonMistake::Word(_, instead) => instead,
            JsonMistake::Call => {
                "write plain JSON values: the text is a program's source, or a database shell's print (mongosh: EJSON.stringify)"
            }
            JsonMistake::StringPrefix => {
                "decode bytes first: base64.b64encode(...).decode(\"ascii\"), then json.dumps"
            }
            JsonMistake::Concatenation => {
                "write one string: join the texts in the program, before the JSON is made"
            }
            JsonMistake::Number(_) => {
                "write numbers as JSON does (7, 7.5, 1e1), and ids and addresses as strings in double quotes"
            }
            JsonMistake::EscapedQuotes => {
                "write plain \": the JSON was escaped twice, lost the string around it, or comes from a shell that leaves \\\" as it is \
                 (PowerShell 7.3 and later: write '{\"ip\":...}')"
            }
            JsonMistake::HtmlEntity => {
                "switch the template's HTML escaping off, or use a JSON library (Twig |raw, Thymeleaf th:utext, html.unescape)"
            }
            JsonMistake::Placeholder => {
                "fill the placeholder in before sending: {{...}} of Postman, Jinja or Handlebars, ${...} in single quotes of a shell, <%...%>"
            }
            JsonMistake::Ellipsis => "write the whole JSON, nothing abbreviated",
            JsonMistake::QuoteInString => {
                "write \\\" for a quote inside a string, or use a JSON library; a missing comma or quote looks the same"
            }
            JsonMistake::OpenString => "close the string with \"; a line break inside a text is written \\n",
            JsonMistake::Control { base64: true, .. } => {
                "send base64 on one line: base64 -w0 FILE (macOS: base64 -i FILE | tr -d '\\n'), Python b64encode instead of encodebytes, \
                 Java Base64.getEncoder() instead of getMimeEncoder(), Android NO_WRAP, PHP without chunk_split"
            }
            JsonMistake::Control { .. } => {
                "write control characters as escapes (\\n, \\t, \\u0000), or use a JSON library"
            }
            JsonMistake::Escape('\'') => {
                "write ' as it is: JSON escapes only \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX"
            }
            JsonMistake::Escape(_) => {
                "write \\\\ for a backslash, as in C:\\\\photo.jpg: JSON escapes only \\\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX"
            }
            JsonMistake::UnicodeEscape => {
                "write four hexadecimal digits (\\u00e9), or the character itself in UTF-8"
            }
            JsonMistake::Surrogate => {
                "write both halves (\\ud83d\\ude00), or the character itself in UTF-8; do not cut texts between them"
            }
            JsonMistake::NotUtf8 { base64: true, .. } => {
                "encode the bytes as base64 first: image, user_id and password are base64 texts, never raw bytes"
            }
            JsonMistake::NotUtf8 { .. } => {
                "send UTF-8: PHP mb_convert_encoding, Java getBytes(StandardCharsets.UTF_8), .NET Encoding.UTF8, Python encode(\"utf-8\")"
            }
            JsonMistake::EndsEarly(end) => return end.hint(),
            JsonMistake::TooDeep => "send one flat JSON object",
            JsonMistake::Bracket(_) | JsonMistake::ClosedTwice => {
                "close each { with } and each [ with ], once"
            }
            JsonMistake::SecondValue => {
                "send one object a request: no JSON lines (NDJSON), no two objects in a row"
            }
            JsonMistake::FormKey => {
                "send the JSON as the body itself: curl --data-binary, not --data-urlencode; axios and jQuery: a JSON string with \
                 Content-Type application/json"
            }
            JsonMistake::TextBehind(_) => {
                "end the body with the object's closing brace: no semicolon, quote, heredoc's end mark or log line behind it"
            }
            JsonMistake::NotAnObject | JsonMistake::Unexpected(_) => super::SEND_ONE_OBJECT,
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
