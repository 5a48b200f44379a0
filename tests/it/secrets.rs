//! No secret leaks: passwords, user ids, photos, ciphertexts, tokens and NIKs are planted in requests of every kind, and searched, in
//! every encoding, in all output of the binary.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;

use dukcapil_fr_sim::internals::keys;
use dukcapil_fr_sim::internals::protocol::encoding;
use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use serde_json::{Value, json};

use crate::binary::{Served, address, command};
use crate::support::{Body, KEYS, SITI, SITIS_NIK, exchange, http, write_fixture};

const USER: &str = "planted-user~5b1c/é";
const PASSWORD: &str = "planted pass+word=7d20";
const WRONG_PASSWORD: &str = "planted-wrong&3e9a";
const TOKEN: &str = "planted-admin-token-88f1";
const COOKIE: &str = "planted-cookie-41c7";
const BASIC: &str = "planted-authorization-c0de";
/// The account of a customer that is never called.
const OTHER_USER: &str = "unlike-user/ü?";
const OTHER_PASSWORD: &str = "odd1x \"word\"+~1";
/// Not a real person's NIK: its serial is 9002.
const NIK: &str = "3273015708909002";

/// A secret that must not leak: its name, and the forms to search for.
struct Secret {
    name: String,
    forms: Vec<Vec<u8>>,
}

impl Secret {
    /// Creates a secret with all its encodings.
    fn new(name: &str, bytes: &[u8]) -> Secret {
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let percent = percent_encode(bytes, NON_ALPHANUMERIC).to_string();
        let all_percent: String = bytes.iter().map(|byte| format!("%{byte:02X}")).collect();
        let base64 = encoding::encode(bytes);
        let url_safe = base64.replace('+', "-").replace('/', "_");
        let escaped = Value::from(String::from_utf8_lossy(bytes)).to_string();
        // Behind one and behind two bytes, without the characters that those decide as well.
        let shifted = |offset: usize| {
            let text = encoding::encode(&[&[0; 2][..offset], bytes].concat());
            text.trim_end_matches('=').trim_start_matches('A')[1..][..bytes.len()].to_owned()
        };
        let texts = [
            base64.trim_end_matches('=').to_owned(),
            url_safe.trim_end_matches('=').to_owned(),
            shifted(1),
            shifted(2),
            hex.to_uppercase(),
            hex,
            percent.to_lowercase(),
            percent,
            all_percent,
            escaped.trim_matches('"').to_owned(),
        ];
        let mut forms: Vec<_> = texts.into_iter().map(String::into_bytes).collect();
        forms.push(bytes.to_vec());
        Secret { name: name.to_owned(), forms }
    }

    /// Splits a long secret into pieces: any of them would be a leak.
    fn pieces(name: &str, bytes: &[u8], length: usize) -> Vec<Secret> {
        let step = (bytes.len() / 12).max(length);
        let pieces = bytes.chunks(step).filter_map(|chunk| chunk.get(..length));
        pieces
            .enumerate()
            .map(|(index, piece)| Secret::new(&format!("piece {index} of {name}"), piece))
            .collect()
    }

    fn is_in(&self, text: &[u8]) -> Option<String> {
        let form = self.forms.iter().find(|form| memchr::memmem::find(text, form).is_some())?;
        Some(String::from_utf8_lossy(form).into_owned())
    }
}

/// All planted secrets; NIKs separately.
struct Planted {
    secrets: Vec<Secret>,
    niks: Vec<Secret>,
}

impl Planted {
    fn new(ciphertexts: &[String]) -> Planted {
        let mut secrets: Vec<_> = [
            ("the user_id", USER),
            ("the password", PASSWORD),
            ("another user_id", OTHER_USER),
            ("another password", OTHER_PASSWORD),
            ("the beginning of another user_id", &OTHER_USER[..5]),
            ("the beginning of another password", &OTHER_PASSWORD[..5]),
            ("a wrong password", WRONG_PASSWORD),
            ("the admin token", TOKEN),
            ("a cookie", COOKIE),
            ("an Authorization", BASIC),
        ]
        .iter()
        .map(|(name, text)| Secret::new(name, text.as_bytes()))
        .collect();
        secrets.extend(Secret::pieces("the photo", &SITI[200..], 24));
        secrets.extend(Secret::pieces("the photo's base64", encoding::encode(SITI).as_bytes(), 32));
        for ciphertext in ciphertexts {
            secrets.extend(Secret::pieces("a ciphertext", ciphertext.as_bytes(), 24));
        }
        let niks = [NIK, SITIS_NIK].map(|nik| Secret::new("a NIK", nik.as_bytes()));
        Planted { secrets, niks: niks.into() }
    }

    /// Returns the leaks in a text, one line each.
    fn found(&self, place: &str, text: &[u8], niks_too: bool) -> Vec<String> {
        let niks = self.niks.iter().filter(|_| niks_too);
        let found = self.secrets.iter().chain(niks).filter_map(|secret| Some((secret, secret.is_in(text)?)));
        found
            .map(|(secret, form)| {
                let at = memchr::memmem::find(text, form.as_bytes()).unwrap_or_default();
                let around = &text[at.saturating_sub(120)..text.len().min(at + 120)];
                format!("{} in {place}: ...{}...", secret.name, String::from_utf8_lossy(around))
            })
            .collect()
    }
}

/// The binary with its own directories, and a customer with every fault that ends by itself.
struct Rig {
    served: Served,
    endpoint: SocketAddr,
    admin: SocketAddr,
    pem: String,
    directory: tempfile::TempDir,
}

const FAULTS: [&str; 12] = [
    "empty_close",
    "reset",
    "truncate",
    "body_cut",
    "bad_length",
    "bitflip",
    "gateway_page",
    "garbage",
    "malformed_chunk",
    "close_during_upload",
    "early_response",
    "dribble",
];

impl Rig {
    fn start(log: &str) -> Rig {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
        let account = format!("[account]\nuser_id = {:?}\npassword = {:?}\n", USER, PASSWORD);
        let plain = format!("methode = ['CALL_FN']\n{account}");
        write_fixture(directory.path(), "fixtures/customers/plain.toml", &plain);
        let other = format!("[account]\nuser_id = {OTHER_USER:?}\npassword = {OTHER_PASSWORD:?}\n");
        write_fixture(directory.path(), "fixtures/customers/other.toml", &other);
        for kind in FAULTS {
            let text = format!("extends = 'plain'\n[[rules]]\nname = 'r'\nfault = {{ kind = '{kind}' }}\n");
            write_fixture(directory.path(), &format!("fixtures/customers/f-{kind}.toml"), &text);
        }
        std::fs::create_dir(path("tmp")).unwrap();
        std::fs::create_dir(path("keys")).unwrap();
        for name in ["private.pem", "public.pem"] {
            std::fs::copy(KEYS.path().join(name), directory.path().join("keys").join(name)).unwrap();
        }
        let mut serve = command(&[
            "--listen",
            "127.0.0.1:0",
            "--admin-listen",
            "127.0.0.1:0",
            "--admin-token",
            TOKEN,
            "-v",
            "--max-body",
            "2MiB",
            "--log",
            log,
            "--keys",
            &path("keys"),
            "--fixtures",
            &path("fixtures"),
            "--port-file",
            &path("ports.json"),
            "--journal-file",
            &path("journal.jsonl"),
        ]);
        serve.env("TMPDIR", path("tmp")).current_dir(path("tmp"));
        let served = Served::from(serve);
        let ports: Value = serde_json::from_slice(&std::fs::read(path("ports.json")).unwrap()).unwrap();
        let at = |name: &str| address(ports[name].as_str().unwrap());
        let pem = std::fs::read_to_string(path("keys/public.pem")).unwrap();
        Rig { endpoint: at("endpoint"), admin: at("admin"), pem, served, directory }
    }

    fn request(&self) -> Body {
        Body::encrypted_with(&self.pem).encrypted("user_id", USER).encrypted("password", PASSWORD)
    }

    /// Sends a body to a path, and reads the answer, if any.
    fn send(&self, path: &str, headers: &str, body: &[u8]) {
        self.send_bytes(&http("POST", path, headers, body));
    }

    fn send_bytes(&self, bytes: &[u8]) {
        let mut stream = TcpStream::connect(self.endpoint).unwrap();
        let _ = stream.write_all(bytes);
        let _ = stream.read_to_end(&mut Vec::new());
    }

    fn admin(&self, method: &str, path: &str, headers: &str, body: &str) -> Vec<u8> {
        let headers = format!("Authorization: Bearer {TOKEN}\r\n{headers}");
        exchange(self.admin, &http(method, path, &headers, body.as_bytes())).body
    }

    /// Reads all events so far: one end per entry.
    fn events(&self, entries: usize) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.admin).unwrap();
        let head = format!(
            "GET /events HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\nLast-Event-ID: 0\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let (mut all, mut buffer) = (Vec::new(), [0; 65536]);
        let ends = |all: &[u8]| {
            let of = |kind: &[u8]| memchr::memmem::find_iter(all, kind).count();
            of(b"event: done\n") + of(b"event: aborted\n")
        };
        while ends(&all) < entries || !all.ends_with(b"\n\n\r\n") {
            let count = stream.read(&mut buffer).unwrap();
            assert_ne!(count, 0, "the stream ended");
            all.extend_from_slice(&buffer[..count]);
        }
        all
    }
}

/// Returns bodies of every kind, valid and invalid, with the secrets in them.
fn bodies(good: &Body, pem: &str) -> Vec<Vec<u8>> {
    let text = |body: Body| body.text().into_bytes();
    let with = |name: &str, value: &str| text(good.clone().set(name, value));
    let base64 = encoding::encode(PASSWORD.as_bytes());
    let photo = encoding::encode(SITI);
    let ciphertext = good.members["password"].as_str().unwrap().to_owned();
    let whole = good.text();
    let mut bodies = vec![
        text(good.clone()),
        text(good.clone().encrypted("password", WRONG_PASSWORD)),
        text(good.clone().encrypted("user_id", PASSWORD).encrypted("password", USER)),
        with("threshold", "0"),
        with("ip", "8.8.8.8.8"),
        text(good.clone().without("ip")),
        text(good.clone().set("ip", Value::Null)),
    ];
    // Credentials in plain text, only encoded, or damaged; other fields with credentials or NIKs.
    for name in ["user_id", "password", "transactionId", "transactionSource", "ip", "threshold", "image"] {
        for value in [PASSWORD, USER, WRONG_PASSWORD, &base64, NIK, SITIS_NIK, &format!("x {NIK} y")] {
            // The simulator cannot recognize a password that belongs to no account.
            if value != WRONG_PASSWORD || matches!(name, "user_id" | "password" | "image") {
                bodies.push(with(name, value));
            }
        }
        for value in [json!({ PASSWORD: USER }), json!([PASSWORD, NIK]), json!(NIK.parse::<u64>().unwrap())] {
            bodies.push(text(good.clone().set(name, value)));
        }
        for value in [&ciphertext, &photo] {
            bodies.push(with(name, value));
        }
    }
    for damaged in [
        ciphertext.replace(['+', '/'], "-"),
        ciphertext[..100].to_owned(),
        format!("{ciphertext}\n"),
        ciphertext.replacen('A', "!", 1),
        encoding::encode(ciphertext.as_bytes()),
    ] {
        bodies.push(with("password", &damaged));
    }
    for image in [
        format!("data:image/jpeg;base64,{photo}"),
        encoding::encode(photo.as_bytes()),
        photo[..photo.len() / 2].to_owned(),
        photo.replacen('A', "é", 1),
        photo.as_bytes().chunks(76).map(|line| String::from_utf8_lossy(line).into_owned() + "\n").collect(),
        encoding::encode(b"GIF89a planted"),
    ] {
        bodies.push(with("image", &image));
    }
    bodies.push(text(good.clone().set("nik", NIK).set(PASSWORD, "x").set(NIK, USER).set("token", BASIC)));
    bodies.push(
        whole.replacen('{', &format!("{{\"password\":\"{PASSWORD}\",\"{NIK}\":1,\"{NIK}\":2,"), 1).into(),
    );
    // Not JSON, or almost JSON.
    for broken in [
        whole.replace('"', "\u{201C}"),
        whole.replacen('}', ",}", 1),
        whole[..whole.len() - 30].to_owned(),
        format!("{{\"password\": {PASSWORD}, \"nik\": {NIK}x"),
        format!("{{'password':'{PASSWORD}'}}"),
        format!("{{\"password\":\"{PASSWORD}\n\"}}"),
        format!("user_id={USER}&password={PASSWORD}&nik={NIK}"),
        format!("\"{PASSWORD}\""),
        format!("[\"{PASSWORD}\",\"{NIK}\"]"),
        format!("{PASSWORD} {NIK}"),
        NIK.to_owned(),
        format!("{whole}{PASSWORD}"),
        format!("<password>{PASSWORD}</password>"),
    ] {
        bodies.push(broken.into());
    }
    bodies.push(SITI.to_vec());
    bodies.push([PASSWORD.as_bytes(), b"\xFF\x00"].concat());
    // Encrypted with an unknown key.
    let other = keys::PrivateKey::generate("another", 1024).unwrap();
    let foreign = Body::encrypted_with(other.public_pem()).encrypt(PASSWORD);
    bodies.push(with("password", &foreign));
    assert_ne!(other.public_pem(), pem);
    bodies
}

/// An account's values as people put them into the wrong places.
fn encodings() -> Vec<String> {
    let percent = |text: &str| percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string();
    let hex = |text: &str| text.bytes().map(|byte| format!("{byte:02x}")).collect::<String>();
    let both = |user: &str, password: &str| format!("{user}:{password}");
    let mut texts = Vec::new();
    for (user, password) in [(USER, PASSWORD), (OTHER_USER, OTHER_PASSWORD)] {
        for value in [user, password, &both(user, password)] {
            let escaped = Value::from(value).to_string();
            texts.extend([
                value.to_owned(),
                format!("x{value}y"),
                escaped.clone(),
                Value::from(escaped).to_string(),
                percent(value),
                percent(value).to_lowercase(),
                percent(&percent(value)),
                hex(value),
                hex(value).to_uppercase(),
                encoding::encode(value.as_bytes()),
                encoding::encode(format!("a{value}").as_bytes()),
                encoding::encode(format!("ab{value}c").as_bytes()).replace('+', "-").replace('/', "_"),
                // Cut within the value, wherever it is quoted: after 40, 64 and 100 characters.
                format!("{}{value}", "x ".repeat(17)),
                format!("{}{value}", "x ".repeat(29)),
                format!("{}{value}", "x ".repeat(47)),
            ]);
        }
    }
    texts
}

/// Sends account values in every encoding to customers, to nobody and to no path at all, in every text that is kept of a request.
fn plant_encodings(rig: &Rig) {
    let good = rig.request();
    let path = |customer: &str, methode: &str| format!("/api/face-recognition/{customer}/{methode}");
    for text in encodings() {
        let encoded = percent_encode(text.as_bytes(), NON_ALPHANUMERIC).to_string();
        let mut body = good.clone().set(&text, "x");
        for name in ["transactionId", "transactionSource", "ip", "threshold"] {
            body = body.set(name, text.as_str());
        }
        let body = body.text();
        let headers = format!("User-Agent: {text}\r\nAccept: {text}\r\nContent-Type: a/{text}\r\n");
        let customers = ["plain", "f-empty_close", "always-6014", "nobody"];
        for path in customers.map(|customer| path(customer, &encoded)).into_iter().chain([
            path("plain", "CALL_FN"),
            path(&encoded, "CALL_FN"),
            format!("/{encoded}"),
        ]) {
            rig.send(&path, &headers, body.as_bytes());
        }
        rig.send(&path("plain", "CALL_FN"), &format!("Content-Encoding: {text}\r\n"), b"{}");
        rig.send(&path("plain", "CALL_FN"), "", format!("{{\"ip\": {text}").as_bytes());
        rig.send_bytes(&http("GET", &path(&encoded, &encoded), &headers, b""));
        rig.admin("DELETE", &format!("/requests?customer_id={encoded}"), "", "");
    }
}

fn plant(rig: &Rig) -> Vec<Vec<u8>> {
    let good = rig.request();
    let endpoint = "/api/face-recognition/plain/CALL_FN";
    let bodies = bodies(&good, &rig.pem);
    for body in &bodies {
        rig.send(endpoint, "", body);
    }
    let whole = good.text();
    let basic = encoding::encode(format!("{USER}:{PASSWORD}").as_bytes());
    let headers = format!(
        "Authorization: Basic {basic}\r\nCookie: session={COOKIE}\r\nX-Api-Key: {BASIC}\r\nProxy-Authorization: {BASIC}\r\n"
    );
    rig.send(endpoint, &headers, whole.as_bytes());
    let encoded = percent_encode(PASSWORD.as_bytes(), NON_ALPHANUMERIC).to_string();
    for path in [
        format!("/api/face-recognition/plain/{encoded}"),
        format!("/api/face-recognition/plain/CALL_FN?password={encoded}&nik={NIK}"),
        format!("/api/face-recognition/{NIK}/CALL_FN"),
        format!("/api/face-recognition/plain/{NIK}"),
        format!("/nowhere?password={encoded}"),
        format!("/nowhere/{NIK}"),
        format!("/api/nik/{NIK}"),
    ] {
        rig.send(&path, "", whole.as_bytes());
    }
    for customer in FAULTS.map(|kind| format!("f-{kind}")).iter().map(String::as_str).chain([
        "nobody",
        "always-6014",
        "sample-6018",
    ]) {
        rig.send(&format!("/api/face-recognition/{customer}/CALL_FN"), &headers, whole.as_bytes());
    }
    rig.send("/api/nik", &headers, json!({ "nik": [NIK, "x"], "process": "full" }).to_string().as_bytes());
    rig.send("/api/nik", "", format!("{{\"nik\":\"{NIK}\",\"process\":{PASSWORD}").as_bytes());
    // A body that is too large, a truncated one, and bytes that are not HTTP.
    rig.send(endpoint, "", &[whole.as_bytes(), &vec![b' '; 3 << 20]].concat());
    let mut head = http("POST", endpoint, "", whole.as_bytes());
    head.truncate(head.len() - 10);
    let mut stream = TcpStream::connect(rig.endpoint).unwrap();
    stream.write_all(&head).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let _ = stream.read_to_end(&mut Vec::new());
    rig.send_bytes(format!("{PASSWORD} {NIK}\r\n\r\n").as_bytes());
    exchange(rig.admin, &http("GET", "/clock", &format!("Authorization: Bearer {WRONG_PASSWORD}\r\n"), b""));
    bodies
}

fn files_below(directory: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found
}

fn check(log: &str) {
    let rig = Rig::start(log);
    let bodies = plant(&rig);
    plant_encodings(&rig);
    let good = rig.request();
    let sent: Vec<Value> = bodies.iter().filter_map(|body| serde_json::from_slice(body).ok()).collect();
    let ciphertext = |body: &Value| {
        let texts = ["user_id", "password"].map(|name| body[name].as_str().unwrap_or_default().to_owned());
        texts.into_iter().filter(|text| text.len() > 300)
    };
    let ciphertexts: Vec<_> = sent.iter().take(3).flat_map(ciphertext).collect();
    assert!(ciphertexts.len() >= 6);
    let planted = Planted::new(&ciphertexts);
    let mut found = Vec::new();

    let listing = rig.admin("GET", "/requests?limit=10000", "", "");
    let entries: Value = serde_json::from_slice(&listing).unwrap();
    let entries = entries["requests"].as_array().unwrap();
    assert!(entries.len() > bodies.len(), "{} entries", entries.len());
    found.extend(planted.found("GET /requests", &listing, true));
    found.extend(planted.found("GET /events", &rig.events(entries.len()), true));
    found.extend(planted.found("GET /metrics", &rig.admin("GET", "/metrics", "", ""), true));
    let unmet = r#"{"match":{"code":"7777","ip":"x","transaction_id":"x","methode":"x","image":{"sha256":"x"}},"count":{"exactly":1}}"#;
    found.extend(planted.found(
        "POST /requests/verify",
        &rig.admin("POST", "/requests/verify", "", unmet),
        true,
    ));
    for body in bodies.iter().filter_map(|body| std::str::from_utf8(body).ok()) {
        let question = json!({ "customer_id": "plain", "headers": { "Cookie": COOKIE }, "body": body });
        let mut explanation: Value =
            serde_json::from_slice(&rig.admin("POST", "/explain", "", &question.to_string())).unwrap();
        // Excludes the answer itself, which echoes the transactionId and contains the candidates' NIKs.
        assert!(explanation.as_object_mut().unwrap().remove("body").is_some(), "{explanation}");
        found.extend(planted.found("POST /explain", explanation.to_string().as_bytes(), true));
    }

    assert!(good.text().len() > 1000);
    rig.served.signal("TERM");
    let (code, out, err) = rig.served.end();
    assert_eq!(code, Some(0), "{err}");
    assert!(err.lines().count() >= entries.len(), "every request is logged: {err}");
    found.extend(planted.found("stdout", out.as_bytes(), true));
    found.extend(planted.found("stderr", err.as_bytes(), true));
    let mut lines = 0;
    for path in files_below(rig.directory.path()) {
        let text = std::fs::read(&path).unwrap();
        if path.ends_with("journal.jsonl") {
            lines = text.iter().filter(|byte| **byte == b'\n').count();
        }
        // The fixture files that define the accounts.
        if !["customers/plain.toml", "customers/other.toml"].iter().any(|name| path.ends_with(name)) {
            found.extend(planted.found(&path.display().to_string(), &text, true));
        }
    }
    assert_eq!(lines, entries.len());
    assert!(found.is_empty(), "{} leaks under --log {log}:\n{}", found.len(), found.join("\n"));
}

#[test]
fn no_secret_leaks_with_a_text_log() {
    check("text");
}

#[test]
fn no_secret_leaks_with_a_json_log() {
    check("json");
}

#[test]
fn leaks_are_detected_in_every_form() {
    let planted = Planted::new(&[]);
    let base64 = encoding::encode(PASSWORD.as_bytes());
    let photo = encoding::encode(SITI);
    for leak in [
        PASSWORD.to_owned(),
        format!("password={}", percent_encode(PASSWORD.as_bytes(), NON_ALPHANUMERIC)),
        format!("{base64}, and more"),
        PASSWORD.bytes().map(|byte| format!("{byte:02x}")).collect(),
        photo,
        format!("id {NIK}"),
    ] {
        assert!(!planted.found("here", leak.as_bytes(), true).is_empty(), "{leak}");
    }
    assert!(!planted.found("here", SITI, true).is_empty());
    assert!(planted.found("here", b"327301XXXXXXXXXX", true).is_empty());
}
