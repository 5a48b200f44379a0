//! What a text is that was never base64: a placeholder, the name of an object, a path, another format. Recognized by its shape alone, so
//! more than one may fit.

/// A kind of text that people send where base64 belongs.
struct TextKind {
    /// Completes "is not base64 but ...".
    words: &'static str,
    hint: &'static str,
    is: fn(&str) -> bool,
}

/// Texts that are longer are judged by their first characters alone, where a shape would have to read all of them.
const MAX_SHORT: usize = 300;

/// Returns every shape that fits, as words and what to do. The words never quote the text.
#[must_use]
pub fn shapes(text: &str) -> Vec<(&'static str, &'static str)> {
    let text = text.trim();
    let text = text.strip_prefix(['"', '\'']).and_then(|text| text.strip_suffix(['"', '\''])).unwrap_or(text);
    SHAPES.iter().filter(|shape| (shape.is)(text)).map(|shape| (shape.words, shape.hint)).collect()
}

/// Whether a text is bytes as a language prints them, digit by digit. Its blanks taken out, it may be base64 by accident.
#[must_use]
pub fn is_printed_bytes(text: &str) -> bool {
    is_hexadecimal(text.trim()) || numbers_at_start(text.trim()) >= 2
}

static SHAPES: &[TextKind] = &[
    TextKind {
        words: "a placeholder that was not filled in ({{...}}, ${...}, <...>, %s)",
        hint: "set the variable, or put the value in its place; the text was sent as the template has it",
        is: is_placeholder,
    },
    TextKind {
        words: "the word that a language prints for no value (null, undefined, None, NaN)",
        hint: "the variable was not set: look where its value should come from",
        is: |text| WORDS_FOR_NOTHING.iter().any(|word| text.eq_ignore_ascii_case(word)),
    },
    TextKind {
        words: "the name that a language prints for an object, not its bytes ([object Object], System.Byte[], [B@1a2b3c, <Buffer ...>)",
        hint: "encode the object's bytes with base64; printing it gives only its name",
        is: is_printed_object,
    },
    TextKind {
        words: "a list of numbers: how a language prints bytes",
        hint: "encode the bytes with base64, and send one string",
        is: |text| numbers_at_start(text) >= 2,
    },
    TextKind {
        words: "hexadecimal digits",
        hint: "encode the bytes themselves with base64, not their hexadecimal digits",
        is: is_hexadecimal,
    },
    TextKind {
        words: "a file's name, a path or a URL",
        hint: "send the file's content in base64, not where the file is",
        is: is_path,
    },
    TextKind {
        words: "JSON",
        hint: "send the string itself, not JSON that holds it",
        is: |text| {
            let start = text.trim_start();
            (start.starts_with("{\"")
                || start.starts_with("[{")
                || start.starts_with("[\"")
                || start.starts_with("{\\\""))
                && start.contains('"')
        },
    },
    TextKind {
        words: "XML or HTML (an error page?)",
        hint: "send the content in base64; where it was read from, something answered with a page",
        is: |text| {
            let start = beginning(text).to_ascii_lowercase();
            ["<?xml", "<!doctype", "<html", "<svg", "<soap", "<body", "<div", "<img"]
                .iter()
                .any(|tag| start.starts_with(tag))
        },
    },
    TextKind {
        words: "a key, a certificate or another text in PEM armour (-----BEGIN ...-----)",
        hint: "encrypt with the public key and send the ciphertext, not the key; for other PEM, send only what is between the two lines",
        is: |text| text.starts_with("-----BEGIN") || text.starts_with("ssh-rsa "),
    },
    TextKind {
        words: "a token of three or five parts (JWT, JWE)",
        hint: "send the plain RSA PKCS#1 v1.5 ciphertext in base64, not a token",
        is: |text| {
            let parts = text.split('.').count();
            text.starts_with("eyJ") && (parts == 3 || parts == 5)
        },
    },
    TextKind {
        words: "the bytes of a file as text",
        hint: "read the file as bytes and encode them with base64",
        is: |text| {
            let start = text.trim_start_matches(['\u{FFFD}', 'ÿ', 'Ø', 'à', '\u{89}', '\0', '\u{10}']);
            ["JFIF", "PNG", "Exif"]
                .iter()
                .any(|mark| start.get(..8).or(Some(start)).is_some_and(|head| head.starts_with(mark)))
                || text.starts_with("%PDF-")
                || text.starts_with("GIF8")
        },
    },
    TextKind {
        words: "text with lost bytes (the replacement character U+FFFD): bytes that were read as UTF-8",
        hint: "keep bytes as bytes until they are in base64",
        is: |text| beginning(text).contains('\u{FFFD}'),
    },
    TextKind {
        words: "a shortened text (... for what was left out), as logs and consoles print it",
        hint: "copy the whole value from where it is made, not from a log",
        is: is_shortened,
    },
    TextKind {
        words: "uuencoded",
        hint: "use base64",
        is: |text| text.starts_with("begin 6") || text.starts_with("begin 4"),
    },
    TextKind {
        words: "plain text of several words (not encrypted, or an error message of what should have made it)",
        hint: "look at what the step before it gave; encode bytes with base64, credentials after encrypting them",
        is: |text| {
            let is_word = |word: &str| {
                word.len() > 1 && word.chars().all(|c| c.is_alphabetic() || ",.:;!?'".contains(c))
            };
            text.len() <= MAX_SHORT
                && text.split_whitespace().filter(|word| is_word(word)).count() >= 3
                && text.contains(' ')
                && !text.contains(['+', '/', '=', '<', '{'])
        },
    },
];

const WORDS_FOR_NOTHING: [&str; 18] = [
    "null",
    "(null)",
    "<null>",
    "undefined",
    "none",
    "nil",
    "nan",
    "nullptr",
    "true",
    "false",
    "void",
    "n/a",
    "Array",
    "Object",
    "empty",
    "\\0",
    "#N/A",
    "#VALUE!",
];

fn beginning(text: &str) -> &str {
    text.char_indices().nth(MAX_SHORT).map_or(text, |(end, _)| &text[..end])
}

fn is_placeholder(text: &str) -> bool {
    if text.len() > MAX_SHORT || text.is_empty() {
        return false;
    }
    let around = |start: &str, end: &str| {
        text.strip_prefix(start)
            .and_then(|text| text.strip_suffix(end))
            .is_some_and(|name| is_name(name.trim()))
    };
    let pairs = [
        ("{{", "}}"),
        ("${", "}"),
        ("#{", "}"),
        ("@{", "}"),
        ("$(", ")"),
        ("{", "}"),
        ("<", ">"),
        ("%", "%"),
        ("[[", "]]"),
        ("[", "]"),
        ("{%", "%}"),
        ("<%=", "%>"),
        ("<?=", "?>"),
        ("__", "__"),
        ("%(", ")s"),
        ("{{{", "}}}"),
        ("((", "))"),
        ("${{", "}}"),
    ];
    let upper = text.to_ascii_uppercase();
    pairs.iter().any(|(start, end)| around(start, end))
        || ["{{", "${", "{%", "<%", "#{"].iter().any(|mark| text.contains(mark))
        || ["$", ":", "@"].iter().any(|mark| text.strip_prefix(mark).is_some_and(is_name))
        || ["%s", "%d", "%@", "%v", "%q", "{0}", "{1}", "{}", "?"].contains(&text)
        || ["YOUR_", "YOUR-", "YOUR ", "INSERT_", "REPLACE_", "CHANGEME", "CHANGE_ME", "TODO"].iter().any(|start| upper.starts_with(start))
        // The document's own sample request: "base64({ image})", " encrypt {xxxxxxxxxxxxxx}".
        || ["base64", "encrypt"].iter().any(|name| text.strip_prefix(name).is_some_and(|rest| rest.contains('{') && rest.contains('}')))
        || (text.len() >= 3 && upper.bytes().all(|byte| byte == b'X' || byte == b'*'))
}

fn is_name(name: &str) -> bool {
    let name_character =
        |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '$' | ':' | '|' | '(' | ')');
    !name.is_empty() && name.chars().all(name_character) && name.contains(char::is_alphabetic)
}

fn is_printed_object(text: &str) -> bool {
    let start = beginning(text);
    let is_hex = |text: &str| {
        !text.is_empty() && text.len() <= 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
    };
    let java = start.len() == text.len()
        && text.rsplit_once('@').is_some_and(|(class, hash)| {
            is_hex(hash)
                && (class == "[B"
                    || class == "[C"
                    || class == "[Ljava.lang.Byte;"
                    || class.contains('.') && is_class(class))
        });
    let dotnet = ["System.", "Microsoft.", "Newtonsoft."].iter().any(|space| start.starts_with(space))
        && start.len() == text.len();
    let starts = [
        "[object ",
        "<Buffer",
        "<bound method",
        "<built-in",
        "<function",
        "<class ",
        "<module ",
        "<_io.",
        "<PIL.",
        "<generator",
        "<coroutine",
        "<memory at ",
        "<cryptography.",
        "<Crypto.",
        "Resource id #",
        "resource(",
        "#<",
        "Promise {",
        "Uint8Array(",
        "ArrayBuffer {",
        "ArrayBuffer(",
        "WordArray",
        "Instance of '",
        "function ",
        "function(",
        "() =>",
        "async ",
        "&{",
        "map[",
        "0xc000",
        "{length = ",
        "Closure Object",
        "stdClass Object",
        "Array (",
        "Array\n",
        "Blob {",
        "File {",
        "CipherParams",
        "Optional(",
        "Some(",
        "Ok(",
        "Result(",
        "Future<",
        "CompletableFuture",
        "Task(",
        "com.",
        "org.",
        "java.",
        "javax.",
        "kotlin.",
        "sun.",
    ];
    let is_bytes_count =
        text.strip_suffix(" bytes").is_some_and(|count| count.bytes().all(|byte| byte.is_ascii_digit()));
    java || dotnet
        || is_bytes_count
        || start.contains(" object at 0x")
        || starts.iter().any(|known| start.starts_with(known))
}

fn is_class(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '$' | '_' | '[' | ';'))
}

/// The number of numbers of a byte that the text starts with, when it starts as a list of them.
fn numbers_at_start(text: &str) -> usize {
    let start = beginning(text);
    let list = start.find('[').map_or(start, |at| &start[at..]);
    let inner = list.trim_start_matches(|c: char| !c.is_ascii_digit() && c != '-');
    if start.len() - inner.len() > 40 || start.contains(['+', '/', '=']) {
        return 0;
    }
    let inner = inner.split([']', '}', '.', '…']).next().unwrap_or_default();
    // The last one may be cut.
    let pieces: Vec<_> =
        inner.split([',', ' ', ';', '\n']).map(str::trim).filter(|piece| !piece.is_empty()).collect();
    let is_byte = |piece: &&&str| piece.parse::<i16>().is_ok_and(|number| (-128..=255).contains(&number));
    let count = pieces.iter().take_while(is_byte).count();
    if count + 1 >= pieces.len() { count } else { 0 }
}

/// From 16 digits on: no base64 of a photo or of a ciphertext consists of them alone.
fn is_hexadecimal(text: &str) -> bool {
    let start = beginning(text);
    let digits = start.bytes().filter(u8::is_ascii_hexdigit).count();
    let others = |c: char| {
        !c.is_ascii_hexdigit()
            && !matches!(
                c,
                'x' | 'X' | '\\' | ':' | ' ' | '-' | ',' | '\r' | '\n' | '<' | '>' | '[' | ']' | '{' | '}'
            )
    };
    let varied = start.bytes().any(|byte| byte.is_ascii_digit())
        && start.bytes().any(|byte| byte != start.as_bytes()[0]);
    digits >= 16 && varied && !start.contains(others)
}

fn is_path(text: &str) -> bool {
    if text.len() > MAX_SHORT || text.contains(['=', '{', '\n']) {
        return false;
    }
    let lower = text.to_ascii_lowercase();
    let schemes = [
        "http://",
        "https://",
        "file:",
        "blob:",
        "content://",
        "s3://",
        "ftp://",
        "gs://",
        "ph://",
        "assets-library:",
    ];
    let roots = [
        "/home/",
        "/tmp/",
        "/var/",
        "/usr/",
        "/users/",
        "/storage/",
        "/mnt/",
        "/opt/",
        "/root/",
        "/data/",
        "/app/",
        "./",
        "../",
        "~/",
        "\\\\",
    ];
    let endings = [
        ".jpg", ".jpeg", ".png", ".gif", ".bmp", ".webp", ".heic", ".pdf", ".txt", ".b64", ".base64", ".pem",
        ".bin", ".enc", ".tmp", ".dat",
    ];
    let drive = matches!(text.as_bytes(), [letter, b':', b'\\' | b'/', ..] if letter.is_ascii_alphabetic());
    drive
        || schemes.iter().chain(&roots).any(|start| lower.starts_with(start))
        || endings.iter().any(|end| lower.ends_with(end) && text.len() > end.len())
}

/// Whether something in the text stands for what was left out. A single dot more or less is no sign.
fn is_shortened(text: &str) -> bool {
    let marks = [
        "...",
        "…",
        "[truncated",
        "<truncated",
        "(truncated",
        "[snip",
        "<snip",
        "more characters",
        "characters of base64)",
        " bytes]",
        "more bytes",
    ];
    let start = beginning(text);
    let end = String::from_utf8_lossy(&text.as_bytes()[text.len().saturating_sub(MAX_SHORT)..]);
    let middle = text.len() <= 1 << 12 && marks.iter().any(|mark| text.contains(mark));
    middle || marks.iter().any(|mark| start.contains(mark) || end.contains(mark))
}
