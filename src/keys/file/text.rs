//! The text of a key file: its blocks of PEM, or what it is instead.

use base64::Engine as _;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use super::der::{ENCRYPTED, PKCS7, REQUEST, from_numbers, item, looks_like_der};
use super::{Foreign, Item, MAKE_PRIVATE, MAKE_PUBLIC};

/// Padded or not, with bits left over or not: keys are recognised by what is inside.
static BASE64: GeneralPurpose = GeneralPurpose::new(
    &base64::alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// Max number of blocks looked at: a bundle of certificate authorities has hundreds, and its first are enough.
const MAX_BLOCKS: usize = 16;

/// Returns what a file holds, in its order; nothing when it is empty.
pub fn items(bytes: &[u8]) -> Vec<Item> {
    if looks_like_der(bytes) {
        return vec![item(bytes)];
    }
    match decoded(bytes) {
        Ok(text) => in_text(&text, true),
        Err(foreign) => vec![Item::Foreign(foreign)],
    }
}

/// Decodes UTF-8 and UTF-16, with and without a byte order mark.
fn decoded(bytes: &[u8]) -> Result<String, Foreign> {
    let utf16 = |bytes: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match bytes {
        [0xFF, 0xFE, rest @ ..] => return Ok(utf16(rest, u16::from_le_bytes)),
        [0xFE, 0xFF, rest @ ..] => return Ok(utf16(rest, u16::from_be_bytes)),
        [1..=255, 0, 1..=255, 0, ..] => return Ok(utf16(bytes, u16::from_le_bytes)),
        [0, 1..=255, 0, 1..=255, ..] => return Ok(utf16(bytes, u16::from_be_bytes)),
        _ => {}
    }
    let jks = Foreign {
        what: "a Java key store (JKS)",
        for_public: "take its certificate: keytool -exportcert -rfc -keystore FILE -alias ALIAS -file certificate.pem",
        for_private: "convert it: keytool -importkeystore -srckeystore FILE -destkeystore key.p12 -deststoretype PKCS12, then openssl pkcs12 \
                      -in key.p12 -nocerts -nodes -out private.pem",
    };
    std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| match bytes {
        [0xFE, 0xED, 0xFE, 0xED, ..] | [0xCE, 0xCE, 0xCE, 0xCE, ..] => jks,
        [0x95 | 0x98 | 0x99 | 0xC5 | 0xC6, ..] => Foreign::of("a binary file, perhaps an OpenPGP key"),
        _ => Foreign::of("a binary file that is no key (DER)"),
    })
}

fn in_text(text: &str, may_unwrap: bool) -> Vec<Item> {
    // Environment variables, JSON and source code have line breaks as escapes.
    let text = text.replace("\\r", "").replace("\\n\"", "\"").replace("\\n", "\n");
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some((label, body, behind)) = next_block(rest) {
        if found.len() == MAX_BLOCKS {
            break;
        }
        found.push(block(label, body));
        rest = behind;
    }
    if found.is_empty() { without_blocks(&text, may_unwrap) } else { found }
}

/// Finds the next `BEGIN`: its label, what stands before its `END`, and the text behind that. The dashes may be of any kind.
fn next_block(text: &str) -> Option<(&str, &str, &str)> {
    let mut rest = text;
    loop {
        let behind = &rest[rest.find("BEGIN ")? + "BEGIN ".len()..];
        let end = behind.find(|c: char| !(c.is_ascii_uppercase() || c.is_ascii_digit() || c == ' '));
        let (label, body) = behind.split_at(end.unwrap_or(behind.len()));
        let label = label.trim_end();
        let kinds = [
            "KEY",
            "CERTIFICATE",
            "REQUEST",
            "MESSAGE",
            "BLOCK",
            "PARAMETERS",
            "PKCS7",
            "CMS",
            "CRL",
            "SIGNATURE",
        ];
        if kinds.iter().any(|kind| label.ends_with(kind)) {
            let end = body.find("END ").or_else(|| body.find("BEGIN ")).unwrap_or(body.len());
            let (body, behind) = body.split_at(end);
            return Some((label, body, behind));
        }
        rest = behind;
    }
}

fn block(label: &str, body: &str) -> Item {
    let foreign = match label {
        "ENCRYPTED PRIVATE KEY" => Some(ENCRYPTED),
        _ if body.contains("ENCRYPTED") => Some(ENCRYPTED),
        "OPENSSH PRIVATE KEY" => Some(Foreign {
            what: "a private key of OpenSSH",
            for_public: "make its public half: ssh-keygen -e -m PKCS8 -f FILE > public.pem",
            for_private: "convert a copy of it in place (RSA only): ssh-keygen -p -N '' -m PKCS8 -f FILE",
        }),
        "SSH2 PUBLIC KEY" => Some(SSH),
        "EC PRIVATE KEY" | "EC PARAMETERS" => Some(Foreign::of("an EC key (elliptic curve)")),
        "DSA PRIVATE KEY" => Some(Foreign::of("a DSA key")),
        "NEW CERTIFICATE REQUEST" => Some(REQUEST),
        "PKCS7" | "CMS" => Some(PKCS7),
        _ if label.starts_with("PGP") => Some(Foreign::of("an OpenPGP key or message")),
        _ => None,
    };
    if let Some(foreign) = foreign {
        return Item::Foreign(foreign);
    }
    match BASE64.decode(base64_of(body)) {
        Ok(der) if !der.is_empty() => item(&der),
        _ => Item::Foreign(Foreign {
            what: "PEM whose base64 is empty or damaged",
            for_public: "copy the whole file again, from BEGIN to END",
            for_private: "copy the whole file again, from BEGIN to END",
        }),
    }
}

/// Returns the base64 of a block: without line ends, indentation, quotes, and what joins strings in source code.
fn base64_of(body: &str) -> String {
    let line = |line: &'_ str| -> String {
        // Header fields of PEM, such as Comment.
        if line.contains(": ") {
            return String::new();
        }
        let quotes = ['"', '\''];
        let inside = match (line.find(quotes), line.rfind(quotes)) {
            (Some(first), Some(last)) if first < last => &line[first + 1..last],
            // Opened or closed on another line: the longer side is inside.
            (Some(one), _) if one < line.len() / 2 => &line[one + 1..],
            (Some(one), _) => &line[..one],
            _ => line,
        };
        inside.chars().filter(|c| c.is_alphanumeric() || matches!(c, '+' | '/' | '=')).collect()
    };
    body.lines().map(line).collect()
}

const SSH: Foreign = Foreign {
    what: "a public key of OpenSSH (ssh-rsa ...)",
    for_public: "convert it: ssh-keygen -e -m PKCS8 -f FILE > public.pem",
    for_private: "take the private key beside it, and convert a copy of it: ssh-keygen -p -N '' -m PKCS8 -f COPY",
};

/// A text without any block of PEM.
fn without_blocks(text: &str, may_unwrap: bool) -> Vec<Item> {
    let is_around = |c: char| {
        c.is_whitespace() || c.is_control() || matches!(c, '"' | '\'' | '`' | '\u{FEFF}' | ',' | ';')
    };
    let text = text.trim_matches(is_around);
    if text.is_empty() {
        return Vec::new();
    }
    if text.starts_with('{') {
        return in_json(text);
    }
    vec![in_xml(text).or_else(|| alone(text, may_unwrap)).unwrap_or_else(|| Item::Foreign(other_text(text)))]
}

/// The base64, or the hexadecimal digits, of a key alone: on one line or several, perhaps behind `NAME=`.
fn alone(text: &str, may_unwrap: bool) -> Option<Item> {
    let is_name = |name: &str| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_ ".contains(&b))
    };
    let value = match text.split_once('=') {
        Some((name, value)) if is_name(name) && value.len() > name.len() => value,
        _ => text,
    };
    let packed: String = value.chars().filter(|c| !c.is_whitespace() && !"\"'\\".contains(*c)).collect();
    if packed.starts_with("30") && packed.len() > 128 && packed.bytes().all(|b| b.is_ascii_hexdigit()) {
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let bytes: Option<Vec<u8>> = packed
            .as_bytes()
            .chunks_exact(2)
            .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
            .collect();
        return bytes.map(|der| item(&der));
    }
    let bytes = BASE64.decode(packed.replace('-', "+").replace('_', "/")).ok()?;
    if looks_like_der(&bytes) {
        return Some(item(&bytes));
    }
    let inner = decoded(&bytes).ok().filter(|inner| may_unwrap && inner.contains("BEGIN "))?;
    // Of several blocks the first key counts, as below.
    let mut items = in_text(&inner, false);
    let key = items.iter().position(|item| !matches!(item, Item::Foreign(_))).unwrap_or(0);
    (key < items.len()).then(|| items.swap_remove(key))
}

/// JSON Web Keys: one, or a set of them.
fn in_json(text: &str) -> Vec<Item> {
    let not_a_key = || vec![Item::Foreign(Foreign::of("JSON without a key in it"))];
    let Ok(json) = serde_json::from_str::<serde_json::Value>(text) else {
        return vec![Item::Foreign(Foreign::of("a text file that looks like broken JSON"))];
    };
    let keys = match json.get("keys").and_then(serde_json::Value::as_array) {
        Some(keys) => keys.iter().take(MAX_BLOCKS).collect(),
        None if json.get("kty").is_some() => vec![&json],
        None => return not_a_key(),
    };
    let found: Vec<Item> = keys.into_iter().map(jwk).collect();
    if found.is_empty() { not_a_key() } else { found }
}

fn jwk(json: &serde_json::Value) -> Item {
    let text = |name: &str| json.get(name).and_then(serde_json::Value::as_str);
    let number = |name: &str| {
        let digits = text(name)?.replace('-', "+").replace('_', "/");
        BASE64.decode(digits).ok()
    };
    match text("kty") {
        Some("RSA") if json.get("d").is_some() => Item::Foreign(PRIVATE_JWK),
        Some("RSA") => match number("n").zip(number("e")) {
            Some((n, e)) => from_numbers(&n, &e),
            None => Item::Foreign(Foreign::of("a JWK without its numbers n and e")),
        },
        Some("EC" | "OKP") => Item::Foreign(Foreign::of("an EC key (elliptic curve), as a JWK")),
        _ => Item::Foreign(Foreign::of("a JWK of another kind than RSA")),
    }
}

const PRIVATE_JWK: Foreign = Foreign {
    what: "a private key (JWK)",
    for_public: "clients must never have it: give them its kty, n and e only",
    for_private: "convert it to PEM (PKCS#8) with the library that made it",
};

/// .NET's `RSAKeyValue`.
fn in_xml(text: &str) -> Option<Item> {
    let part = |name: &str| {
        let behind = text.split_once(&format!("<{name}>"))?.1;
        BASE64.decode(base64_of(behind.split_once("</")?.0)).ok()
    };
    if !text.starts_with('<') || !text.contains("<RSAKeyValue") {
        return None;
    }
    if text.contains("<D>") {
        return Some(Item::Foreign(Foreign {
            what: "a private key (RSAKeyValue of .NET)",
            for_public: "clients must never have it: give them ToXmlString(false) or ExportSubjectPublicKeyInfoPem()",
            for_private: "export it as PEM: ExportPkcs8PrivateKeyPem()",
        }));
    }
    let (n, e) = (part("Modulus")?, part("Exponent")?);
    Some(from_numbers(&n, &e))
}

/// What a text is that is no key at all.
fn other_text(text: &str) -> Foreign {
    let lower = text.get(..text.len().min(2000)).unwrap_or(text).to_ascii_lowercase();
    let starts = |starts: &[&str]| starts.iter().any(|start| lower.starts_with(start));
    if starts(&["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"]) {
        return if lower.starts_with("ssh-rsa") {
            SSH
        } else {
            Foreign::of("a public key of OpenSSH that is not RSA")
        };
    }
    if starts(&["putty-user-key-file"]) {
        return Foreign {
            what: "a private key of PuTTY (.ppk)",
            for_public: "export it: puttygen FILE -O private-openssh -o key, then ssh-keygen -e -m PKCS8 -f key > public.pem",
            for_private: "export it: puttygen FILE -O private-openssh -o key, then ssh-keygen -p -N '' -m PKCS8 -f key",
        };
    }
    if starts(&["<!doctype html", "<html"]) || lower.contains("<html") || lower.contains("<body") {
        return Foreign::of(
            "an HTML page: the download gave a page (of a login or an error) instead of the key",
        );
    }
    if starts(&["<"]) {
        return Foreign::of("XML without a key in it");
    }
    if lower.contains("modulus")
        || starts(&["public-key:", "rsa public-key:", "private-key:", "rsa private-key:", "certificate:"])
    {
        return Foreign {
            what: "the readable print of a key (openssl -text or -modulus)",
            for_public: "print it as PEM: openssl pkey -pubin -in public.pem -out FILE, without -text and -noout",
            for_private: "print it as PEM: openssl pkey -in private.pem -out FILE, without -text and -noout",
        };
    }
    if starts(&["http://", "https://"]) && !text.contains(char::is_whitespace) {
        return Foreign {
            what: "an address (URL)",
            for_public: "download what is there: curl -fsS URL -o public.pem",
            for_private: MAKE_PRIVATE,
        };
    }
    if starts(&["/", "./", "../", "c:\\", "file:"]) && !text.contains('\n') {
        return Foreign {
            what: "the name of a file",
            for_public: "name that file itself",
            for_private: "name that file itself",
        };
    }
    // The base64 of "ssh-rsa" alone.
    if starts(&["aaaab3nzac1yc2e"]) {
        return SSH;
    }
    Foreign { what: "a text file without a key in it", for_public: MAKE_PUBLIC, for_private: MAKE_PRIVATE }
}
