//! Common mistakes of integrators on a running simulator: the code and the reason of each.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use dukcapil_fr_sim::internals::keys;
use rsa::Oaep;
use rsa::sha2::Sha256;
use serde_json::json;

use crate::support::{Body, SITI, Sim};

/// Sends a body. Asserts the code, the reason, and that there is a hint.
#[track_caller]
fn check(sim: &Sim, body: &str, code: &str, reason: &str) {
    let answer = sim.call("demo", body);
    assert_eq!((answer.status, answer.code()), (200, code.to_owned()), "{}", answer.text());
    let entry = sim.last();
    let given = entry["answer"]["reason"].as_str().unwrap();
    assert!(given.contains(reason), "{given}");
    assert!(entry["answer"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "no hint for: {given}");
}

fn public(pem: &str) -> rsa::PublicKey {
    keys::read_public_pem(pem).unwrap()
}

#[test]
fn ciphertexts() {
    let sim = Sim::start();
    let good = sim.request();
    let ciphertext = good.members["user_id"].as_str().unwrap().to_owned();
    let bytes = STANDARD.decode(&ciphertext).unwrap();
    let with = |value: &str| good.clone().set("user_id", value).text();

    check(&sim, &with("demo-user"), "5006", "user_id was sent unencrypted");
    check(&sim, &with(&STANDARD.encode("demo-user")), "5006", "user_id was sent unencrypted");
    check(
        &sim,
        &with(&format!("{}*{}", &ciphertext[..99], &ciphertext[100..])),
        "5006",
        "is not base64: '*' at character 100",
    );
    let url_safe = URL_SAFE.encode([0xFB; 256]);
    check(&sim, &with(&url_safe), "5006", "is base64 in the url-safe alphabet (character 1)");
    let wrapped = format!("{}\n{}", &ciphertext[..76], &ciphertext[76..]);
    check(&sim, &with(&wrapped), "5006", "is base64 with line breaks (character 77)");
    check(&sim, &with(&STANDARD.encode(&bytes[..255])), "5006", "wrong length for the key: 255 bytes");
    check(&sim, &with(&STANDARD.encode(&ciphertext)), "5006", "is base64 twice");
    let mut damaged = bytes.clone();
    damaged[200] ^= 1;
    check(&sim, &with(&STANDARD.encode(&damaged)), "5006", "cannot be decrypted: bad padding");
    check(&sim, &with(&STANDARD.encode([0xFF; 256])), "5006", "encrypted with an unknown key");
    let oaep = public(&sim.0.public_key_pem())
        .encrypt(&mut rand::rng(), Oaep::<Sha256>::new(), b"demo-user")
        .unwrap();
    check(
        &sim,
        &with(&STANDARD.encode(oaep)),
        "5006",
        "is padded with OAEP (SHA-256) instead of PKCS#1 v1.5",
    );
    let key = public(&sim.0.public_key_pem());
    let not_text = keys::encrypt(&key, &[0xFF, 0xFE]).unwrap();
    check(&sim, &with(&STANDARD.encode(not_text)), "5006", "decrypted, but is not UTF-8");
}

#[test]
fn a_ciphertext_for_another_customer_names_that_customers_key() {
    let keys_directory = tempfile::tempdir().unwrap();
    for name in ["server", "bank"] {
        let made = tempfile::tempdir().unwrap();
        keys::read_or_generate(made.path(), 2048).unwrap();
        let target = if name == "server" { "private.pem" } else { "bank.pem" };
        std::fs::copy(made.path().join("private.pem"), keys_directory.path().join(target)).unwrap();
    }
    let fixtures = tempfile::tempdir().unwrap();
    crate::support::write_fixture(
        fixtures.path(),
        "customers/bank.toml",
        "extends = 'demo'\nkey = 'bank.pem'",
    );
    let sim = Sim::with(|builder| {
        builder.keys(Some(keys_directory.path().to_owned())).fixtures(Some(fixtures.path().to_owned()))
    });
    let (_, pem) = (
        0,
        crate::support::exchange(
            sim.admin_address(),
            &crate::support::http("GET", "/customers/bank/public.pem", "", b""),
        ),
    );
    let for_bank = Body::encrypted_with(pem.text());
    assert_eq!(sim.call("bank", for_bank.text()).code(), "6018");
    check(&sim, &for_bank.text(), "5006", "user_id was encrypted with another known key: bank.pem");
    assert_eq!(sim.call("bank", sim.request().text()).code(), "5006");
    let reason = sim.last()["answer"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.contains("encrypted with another known key: the server's key"), "{reason}");
}

#[test]
fn accounts() {
    let sim = Sim::start();
    let good = sim.request();
    check(
        &sim,
        &good.clone().encrypted("user_id", "demo-user\n").text(),
        "5001",
        "user_id was decrypted, but it is the account's value with a line break at the end",
    );
    check(
        &sim,
        &good.clone().encrypted("password", "wrong").text(),
        "5001",
        "password was decrypted, but is not this customer's",
    );
    let (sim, _directory) =
        Sim::over(&[("customers/bank.toml", "account = { user_id = 'bank', password = 'p' }")]);
    let reason = "user_id was decrypted, but is not this customer's; user_id is that of customer bank";
    check(&sim, &sim.request().encrypted("user_id", "bank").text(), "5001", reason);
    assert_eq!(sim.call("bank", sim.request().text()).code(), "5001");
    let reason = sim.last()["answer"]["reason"].as_str().unwrap().to_owned();
    assert!(reason.ends_with("; user_id is that of customer demo"), "{reason}");
    assert_eq!(sim.call("nobody", good.text()).code(), "5001");
    assert!(sim.last()["answer"]["reason"].as_str().unwrap().contains("no customer has the id \"nobody\""));
}

#[test]
fn images() {
    let sim = Sim::start();
    let good = sim.request();
    let encoded = STANDARD.encode(SITI);
    let with = |value: &str| good.clone().set("image", value).text();

    check(
        &sim,
        &with(&format!("data:image/jpeg;base64,{encoded}")),
        "5004",
        "image is base64 with a prefix before it, as data URIs",
    );
    check(&sim, &with(&STANDARD.encode(&encoded)), "5004", "image is base64 twice");
    let wrapped = format!("{}\r\n{}", &encoded[..76], &encoded[76..]);
    check(&sim, &with(&wrapped), "5004", "image is base64 with line breaks (character 77)");
    check(&sim, &with(&encoded.replace('+', "-").replace('/', "_")), "5004", "url-safe alphabet");
    check(&sim, &with(&STANDARD.encode(&SITI[..SITI.len() / 2])), "5004", "image is truncated");
    check(&sim, &with(&STANDARD.encode(b"GIF89a\x01\x00\x01\x00")), "5004", "image is GIF");
    let behind = [b"\xEF\xBB\xBF", SITI].concat();
    check(&sim, &with(&STANDARD.encode(behind)), "5004", "image is a JPEG behind a byte order mark (BOM)");
    let text = String::from_utf8_lossy(SITI).into_owned();
    check(&sim, &with(&STANDARD.encode(text)), "5004", "image is a JPEG whose bytes were read as UTF-8 text");
}

#[test]
fn an_image_beyond_the_limits_is_rejected_as_too_large() {
    let (sim, _directory) = Sim::over(&[("simulator.toml", "limits = { image_bytes = 1000 }")]);
    check(&sim, &sim.request().text(), "5004", "image is too large");
    let (sim, _directory) = Sim::over(&[("simulator.toml", "limits = { image_pixels = 1000 }")]);
    check(&sim, &sim.request().text(), "5004", "360 x 480 pixels, limits.image_pixels is 1000");
    let (sim, _directory) = Sim::over(&[("simulator.toml", "limits = { image_side = 479 }")]);
    check(&sim, &sim.request().text(), "5004", "360 x 480 pixels, limits.image_side is 479");
}

/// Doc 3, the sample request as printed.
const DOCUMENTS_SAMPLE: &str = "{\n“transactionId”:”11”,\n“transactionSource”:”mobile”,\n“threshold”:”5”,\n“image”:”base64({ image})”,\n“user_id”:” encrypt {xxxxxxxxxxxxxx}”,\n“password”:” encrypt{xxxxxxxxxxxxx}”,\n“ip”:”10.xxxxxxx”,\n}";

#[test]
fn json() {
    let sim = Sim::start();
    check(&sim, DOCUMENTS_SAMPLE, "5004", "typographic quote “ (U+201C)");
    check(&sim, &DOCUMENTS_SAMPLE.replace(['“', '”'], "\""), "5004", "line 9, column 1: a trailing comma");
    check(&sim, "", "5004", "the body is empty");
    check(&sim, "[1]", "5004", "the body is an array");
    check(&sim, "{\"ip\":", "5004", "the body ends too early");
    check(
        &sim,
        "'{transactionId:1,ip:10.0.0.1}'",
        "5004",
        "the body is in single quotes, which cmd.exe passes on",
    );
    let good = sim.request().text();
    let twice = serde_json::to_string(&good).unwrap();
    check(&sim, &twice, "5004", "the string holds the JSON, which was encoded twice");
    let photo = sim.request().members["image"].as_str().unwrap().to_owned();
    let wrapped: Vec<_> =
        photo.as_bytes().chunks(76).map(|line| std::str::from_utf8(line).unwrap()).collect();
    check(
        &sim,
        &good.replace(&photo, &wrapped.join("\n")),
        "5004",
        ", in image: a raw line break inside a string",
    );
    assert!(sim.last()["answer"]["hint"].as_str().unwrap().contains("base64 -w0"));
    let utf16: Vec<u8> =
        "\u{FEFF}".encode_utf16().chain(good.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(sim.call("demo", utf16).code(), "5004");
    assert!(
        sim.last()["answer"]["reason"].as_str().unwrap().starts_with("the body is UTF-16 (little-endian")
    );
}

#[test]
fn fields() {
    let sim = Sim::start();
    let good = sim.request();
    for name in good.members.keys() {
        check(&sim, &good.clone().without(name).text(), "5004", &format!("{name} is missing"));
        check(&sim, &good.clone().set(name, json!(null)).text(), "5004", &format!("{name} is null"));
        check(&sim, &good.clone().set(name, "").text(), "5004", &format!("{name} is empty"));
        check(&sim, &good.clone().set(name, json!([1])).text(), "5004", &format!("{name} is an array, not"));
    }
    check(
        &sim,
        &good.clone().set("transactionId", "é".repeat(21)).text(),
        "5004",
        "has 21 characters, at most 20",
    );
    assert_eq!(sim.call("demo", good.clone().set("transactionId", "é".repeat(20)).text()).code(), "6018");
    check(
        &sim,
        &good.clone().set("transactionSource", "x".repeat(51)).text(),
        "5004",
        "51 characters, at most 50",
    );
    check(&sim, &good.clone().set("ip", "2001:db8:0:0:0:1").text(), "5004", "16 characters, at most 15");
    for threshold in [" 5", "+5", "nan", "5,0"] {
        check(&sim, &good.clone().set("threshold", threshold).text(), "5004", "which is not a number");
    }
    check(&sim, &good.clone().set("ip", "10.0.0.999").text(), "5003", "is not an IP address");
    check(
        &sim,
        &good.clone().set("threshold", "20.5").text(),
        "5005",
        "threshold 20.5 is not within 1 to 20",
    );
}

#[test]
fn thresholds_come_as_strings_and_numbers() {
    let sim = Sim::start();
    for (threshold, echoed) in [
        (json!("5"), "5.0"),
        (json!("5.0"), "5.0"),
        (json!(5), "5.0"),
        (json!(1), "1.0"),
        (json!("7.25"), "7.25"),
    ] {
        let answer = sim.call("demo", sim.request().set("threshold", threshold).text()).json();
        assert_eq!(
            (answer["errorCode"].as_str(), answer["faceThreshold"].as_str()),
            (Some("6018"), Some(echoed))
        );
    }
}

#[test]
fn tolerated_mistakes_are_warnings() {
    let sim = Sim::start();
    let text = sim.request().set("nik", "3174055708909001").text();
    let twice = format!("\u{FEFF}{}", text.replacen('{', "{\"ip\":\"10.0.0.9\",", 1));
    let headers = "Content-Type: text/plain\r\n";
    let path = "/api/face-recognition/demo/CALL_FN";
    let answer = crate::support::exchange(
        sim.address(),
        &crate::support::http("POST", path, headers, twice.as_bytes()),
    );
    assert_eq!(answer.code(), "6018");
    let entry = sim.last();
    let names: Vec<_> =
        entry["warnings"].as_array().unwrap().iter().map(|w| w["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["accept", "content_type", "bom", "duplicate_key", "extra_key"]);
    assert_eq!(sim.call("demo", sim.request().set("transactionId", "T-2").text()).code(), "6018");
    assert_eq!(sim.last()["warnings"], json!([]));
}

#[test]
fn one_answer_lists_all_findings() {
    let sim = Sim::start();
    let body = sim
        .request()
        .set("ip", "8.8.8.8")
        .set("threshold", "99")
        .set("image", "AAAA")
        .encrypted("password", "x");
    assert_eq!(sim.call("demo", body.text()).code(), "5001");
    let entry = sim.last();
    let failed: Vec<_> = entry["findings"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|finding| finding["status"] == "failed")
        .map(|finding| (finding["check"].as_str().unwrap(), finding["code"].as_str().unwrap()))
        .collect();
    assert_eq!(failed, [("account", "5001"), ("ip", "5003"), ("threshold", "5005"), ("image", "5004")]);
}
