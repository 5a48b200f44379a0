//! What people send instead of what was meant, on a running simulator: the code and the reason of each, and that no reason shows a
//! credential, a ciphertext or a photo. Each kind has its whole table beside its code; here are its members as public reports have them.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use dukcapil_fr_sim::internals::keys;
use rsa::sha2::{Digest, Sha256, Sha512};
use rsa::traits::PublicKeyParts;
use rsa::{BoxedUint, Oaep, hazmat};
use serde_json::{Value, json};
use sha1::Sha1;

use crate::support::{Body, SITI, Sim};

const USER: &str = "planted-é&+User";
const PASSWORD: &str = "Planted/7=word";

fn simulator(diagnosis: &str) -> (Sim, tempfile::TempDir) {
    let account = format!("[account]\nuser_id = '{USER}'\npassword = '{PASSWORD}'\n");
    let limits = format!("limits = {{ diagnosis = '{diagnosis}' }}");
    Sim::over(&[("customers/bank.toml", &account), ("simulator.toml", &limits)])
}

/// Something that is sent in a field: the code, and what the reason says.
struct Case {
    field: &'static str,
    value: String,
    code: &'static str,
    reason: &'static str,
}

/// Encrypts with a simulator's public key, well and badly.
struct Encryption(rsa::PublicKey);

impl Encryption {
    fn of(&self, plain: impl AsRef<[u8]>) -> Vec<u8> {
        keys::encrypt(&self.0, plain.as_ref()).unwrap()
    }

    fn raw(&self, block: &[u8]) -> Vec<u8> {
        let number = BoxedUint::from_be_slice(block, self.0.n_bits_precision()).unwrap();
        let bytes = hazmat::rsa_encrypt(&self.0, &number).unwrap().to_be_bytes();
        bytes[bytes.len() - self.0.size()..].to_vec()
    }

    /// A ciphertext that starts with a zero byte: one in 256 does.
    fn with_a_zero(&self) -> Vec<u8> {
        (0..100_000).map(|_| self.of(USER)).find(|bytes| bytes[0] == 0).expect("one in 256")
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// user_id as a ciphertext that does not open.
fn ciphertexts(key: &Encryption) -> Vec<Case> {
    let good = key.of(USER);
    let base64 = STANDARD.encode(&good);
    let mut rng = rand::rng();
    let oaep_java =
        key.0.encrypt(&mut rng, Oaep::<Sha512, Sha1>::new_with_mgf_hash(), USER.as_bytes()).unwrap();
    let oaep_python = key.0.encrypt(&mut rng, Oaep::<Sha256>::new(), USER.as_bytes()).unwrap();
    let labelled =
        key.0.encrypt(&mut rng, Oaep::<Sha1>::new_with_label(&b"label"[..]), USER.as_bytes()).unwrap();
    let android = key.raw(&[&vec![0; 256 - USER.len()], USER.as_bytes()].concat());
    let short = key.with_a_zero();
    let reversed: Vec<u8> = good.iter().rev().copied().collect();
    let latin: String = good.iter().map(|byte| char::from(*byte)).collect();
    let lossy = String::from_utf8_lossy(&good).into_owned();
    let mut foreign = good.clone();
    foreign[200] ^= 1;
    let bytes = |bytes: &[u8], reason| (STANDARD.encode(bytes), reason);
    let rows = [
        bytes(&oaep_java, "OAEP (SHA-512, MGF1 with SHA-1)"),
        bytes(&oaep_python, "OAEP (SHA-256)"),
        bytes(&labelled, "with a label"),
        bytes(&android, "no padding"),
        bytes(&reversed, "reverse order"),
        bytes(&short[1..], "a leading zero byte was lost"),
        bytes(&[&key.of("planted-")[..], &key.of("User")].concat(), "is 2 ciphertexts"),
        bytes(&[&good[..], b"\n"].concat(), "has 1 bytes of white space or NUL behind it"),
        bytes(base64.as_bytes(), "is base64 twice"),
        bytes(latin.as_bytes(), "as UTF-8 text of its bytes"),
        bytes(lossy.as_bytes(), "EF BF BD"),
        bytes(hex(&good).as_bytes(), "as hexadecimal digits"),
        bytes(format!("{good:?}").as_bytes(), "as a list of numbers"),
        bytes(b"Salted__12345678abcdefgh", "password-based AES"),
        bytes(USER.as_bytes(), "was sent unencrypted"),
        bytes(
            Sha256::digest(USER).as_slice(),
            "was sent unencrypted: it is the SHA-256 hash of the account's value",
        ),
        bytes(b"another text", "readable text in base64: it was not encrypted"),
        bytes(&foreign, "cannot be decrypted: bad padding"),
        (hex(&good), "is not base64 but the ciphertext as hexadecimal digits"),
        (format!("{base64} "), "with a blank at the end (character 345)"),
        (format!("b'{base64}'"), "as Python prints bytes"),
        (format!("\"{base64}\""), "with quotes around it"),
        (URL_SAFE_NO_PAD.encode([&[0xFB], &good[1..]].concat()), "in the url-safe alphabet"),
        (base64.replace('=', "%3D"), "percent-encoded"),
        (base64.replace('=', "&#61;"), "HTML-escaped"),
        (format!("data:;base64,{base64}"), "with a prefix before it"),
        (format!("{base64}{base64}"), "is not one base64 text but 2"),
        (format!("{}...", &base64[..100]), "a shortened text"),
        (base64[..255].to_owned(), "(cut? 255 characters are a usual length"),
        (base64[..256].to_owned(), "(cut? 256 characters are a usual length"),
        (base64[..253].to_owned(), "253 characters with an invalid end"),
        (format!("{good:?}"), "a list of numbers"),
        ("{{user_id}}".to_owned(), "a placeholder"),
        ("[B@1a2b3c".to_owned(), "prints for an object"),
        ("System.Byte[]".to_owned(), "prints for an object"),
        ("undefined".to_owned(), "prints for no value"),
        ("/tmp/user.enc".to_owned(), "a path"),
        (format!("{USER}x"), "too short for a ciphertext"),
    ];
    rows.map(|(value, reason)| Case { field: "user_id", value, code: "5006", reason }).into()
}

/// What opens, and is the account's value in other clothes.
fn opened(key: &Encryption) -> Vec<Case> {
    let utf16: Vec<u8> = USER.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let plain: [(Vec<u8>, &str); 14] = [
        (format!("{USER}\0").into(), "with a NUL byte at the end"),
        (format!("{USER}\n").into(), "with a line break at the end"),
        (format!("\u{FEFF}{USER}").into(), "with a byte order mark"),
        (USER.to_uppercase().into(), "in other upper and lower case"),
        (format!("\"{USER}\"").into(), "with quotes around it"),
        (STANDARD.encode(USER).into(), "in base64"),
        (hex(USER.as_bytes()).into(), "as hexadecimal digits"),
        (hex(&Sha256::digest(USER)).into(), "the SHA-256 hash"),
        (format!("{USER}:{PASSWORD}").into(), "user_id and password in one text"),
        (USER.replace('é', "e\u{301}").into(), "in another Unicode form"),
        (USER[..12].into(), "only the first 11 characters"),
        (PASSWORD.into(), "it is the other field's value"),
        (Vec::new(), "is empty"),
        (b"somebody".into(), "is not this customer's"),
    ];
    let row = |text: &[u8], code, reason| Case {
        field: "user_id",
        value: STANDARD.encode(key.of(text)),
        code,
        reason,
    };
    let mut cases: Vec<_> = plain.iter().map(|(text, reason)| row(text, "5001", reason)).collect();
    // Not UTF-8: the é.
    cases.push(row(&utf16, "5006", "not UTF-8: byte 17 is invalid; it is the account's value in UTF-16LE"));
    cases
}

/// image as text that is no base64.
fn images() -> Vec<Case> {
    let base64 = STANDARD.encode(SITI);
    let lines: String =
        base64.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line) + "\n").collect();
    let hex_list: String = SITI[..300].iter().map(|byte| format!("0x{byte:02X} ")).collect();
    let rows = [
        (format!("b'{base64}'"), "as Python prints bytes: b'...'"),
        (lines, "line breaks"),
        (base64.replace('+', " "), "with blanks where + was"),
        (format!("data:image/jpeg;base64,{base64}"), "as data URIs"),
        ("{{proof_photo_base64}}".to_owned(), "a placeholder"),
        ("base64({ image})".to_owned(), "a placeholder"),
        (hex_list, "hexadecimal digits"),
        (hex(SITI), "hexadecimal digits"),
        (format!("{:?}", &SITI[..300]), "a list of numbers"),
        ("[object Object]".to_owned(), "prints for an object"),
        ("C:\\foto\\siti.jpg".to_owned(), "a path"),
        ("null".to_owned(), "prints for no value"),
        (format!("<image>{base64}</image>"), "in an XML element"),
        (format!("{base64}\u{200B}"), "with invisible characters in it (character "),
    ];
    rows.map(|(value, reason)| Case { field: "image", value, code: "5004", reason }).into()
}

fn cases(sim: &Sim) -> (Body, Vec<Case>) {
    let pem = sim.0.public_key_pem();
    let key = Encryption(keys::read_public_pem(&pem).unwrap());
    let good = Body::encrypted_with(&pem).encrypted("user_id", USER).encrypted("password", PASSWORD);
    (good, [ciphertexts(&key), opened(&key), images()].into_iter().flatten().collect())
}

#[test]
fn each_kind_of_mistake_is_named_and_no_reason_shows_what_was_sent() {
    let (sim, _directory) = simulator("1h");
    let (good, cases) = cases(&sim);
    assert_eq!(sim.call("bank", good.text()).code(), "6018");
    let secrets: Vec<String> = [USER, PASSWORD]
        .iter()
        .flat_map(|text| [(*text).to_owned(), STANDARD.encode(text), hex(text.as_bytes())])
        .collect();
    for case in cases {
        let body = good.clone().set(case.field, &*case.value).text();
        let answer = sim.call("bank", &body);
        let entry = sim.last();
        let reason = entry["answer"]["reason"].as_str().unwrap_or_default();
        assert_eq!(answer.code(), case.code, "{reason}");
        assert!(
            reason.starts_with(case.field) && reason.contains(case.reason),
            "{reason}\nnot {}",
            case.reason
        );
        assert!(entry["answer"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "no hint: {reason}");
        let (_, explained) =
            sim.admin("POST", "/explain", &json!({ "customer_id": "bank", "body": body }).to_string());
        assert_eq!(explained["reason"], reason);
        let findings = explained["findings"].to_string();
        let sent = case.value.get(..24).filter(|_| case.value.len() > 24).map(str::to_owned);
        for secret in secrets.iter().chain(&sent) {
            let shown = Value::from(secret.as_str()).to_string();
            for text in [&findings, &entry["findings"].to_string(), &entry["answer"].to_string()] {
                assert!(!text.contains(shown.trim_matches('"')), "{secret} in {text}");
            }
        }
    }
}

#[test]
fn beyond_the_budget_only_the_words_are_others() {
    let (sim, _directory) = simulator("0s");
    let (good, cases) = cases(&sim);
    assert_eq!(sim.call("bank", good.text()).code(), "6018");
    let mut not_examined = 0;
    for case in cases {
        let answer = sim.call("bank", good.clone().set(case.field, &*case.value).text());
        let entry = sim.last();
        assert_eq!(answer.code(), case.code, "{}", entry["answer"]["reason"]);
        if entry["answer"]["reason"].as_str().is_some_and(|reason| reason.contains("why was not examined")) {
            let hint = entry["answer"]["hint"].as_str().unwrap_or_default();
            assert!(hint.contains("limits.diagnosis") && hint.contains("send it again"), "{hint}");
            not_examined += 1;
        }
    }
    assert!(not_examined >= 10, "{not_examined}");
}
