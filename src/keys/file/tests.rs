//! Keys in every dress, and what is no key, as tables. All files are made here.

use std::sync::LazyLock;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rsa::pkcs1::{EncodeRsaPrivateKey, EncodeRsaPublicKey};
use rsa::pkcs8::{EncodePrivateKey, EncodePublicKey, LineEnding};
use rsa::traits::PublicKeyParts;

use super::*;

static KEY: LazyLock<rsa::PrivateKey> =
    LazyLock::new(|| rsa::PrivateKey::new(&mut rand::rng(), 1024).expect("a key"));

fn public() -> rsa::PublicKey {
    rsa::PublicKey::from(&*KEY)
}

fn spki_pem() -> String {
    public().to_public_key_pem(LineEnding::LF).expect("PEM")
}

fn spki_der() -> Vec<u8> {
    public().to_public_key_der().expect("DER").into_vec()
}

/// The base64 lines of a PEM.
fn inside(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}

fn pem(label: &str, der: &[u8]) -> String {
    let base64 = STANDARD.encode(der);
    let lines: Vec<_> = base64.as_bytes().chunks(64).map(String::from_utf8_lossy).collect();
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", lines.join("\n"))
}

/// An element of DER.
fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let length = content.len();
    let head = match length {
        0..0x80 => vec![tag, length as u8],
        0x80..0x100 => vec![tag, 0x81, length as u8],
        _ => vec![tag, 0x82, (length >> 8) as u8, length as u8],
    };
    [head, content].concat()
}

const SEQUENCE: u8 = 0x30;
const RSA_OID: &[u8] = &[0x06, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];
const EC_OID: &[u8] = &[0x06, 7, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01];

/// A certificate or a request, with a signature that nobody checks.
fn signed(tbs: &[u8]) -> Vec<u8> {
    let algorithm = tlv(SEQUENCE, &[RSA_OID]);
    tlv(SEQUENCE, &[tbs, &algorithm, &tlv(3, &[&[0, 1, 2, 3]])])
}

fn certificate(with_version: bool) -> Vec<u8> {
    let version = tlv(0xA0, &[&tlv(2, &[&[2]])]);
    let (serial, empty) = (tlv(2, &[&[7]]), tlv(SEQUENCE, &[]));
    let version: &[u8] = if with_version { &version } else { &[] };
    signed(&tlv(SEQUENCE, &[version, &serial, &empty, &empty, &empty, &empty, &spki_der()]))
}

fn request() -> Vec<u8> {
    signed(&tlv(SEQUENCE, &[&tlv(2, &[&[0]]), &tlv(SEQUENCE, &[]), &spki_der(), &tlv(0xA0, &[])]))
}

fn spki_of(oid: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&tlv(SEQUENCE, &[oid]), &tlv(3, &[&[0; 66]])])
}

fn pkcs8_of(oid: &[u8]) -> Vec<u8> {
    tlv(SEQUENCE, &[&tlv(2, &[&[0]]), &tlv(SEQUENCE, &[oid]), &tlv(4, &[&[1; 40]])])
}

fn encrypted() -> Vec<u8> {
    tlv(SEQUENCE, &[&tlv(SEQUENCE, &[RSA_OID]), &tlv(4, &[&[9; 200]])])
}

fn pkcs12() -> Vec<u8> {
    tlv(SEQUENCE, &[&tlv(2, &[&[3]]), &tlv(SEQUENCE, &[RSA_OID]), &tlv(SEQUENCE, &[&[5, 0]])])
}

fn pkcs7() -> Vec<u8> {
    tlv(SEQUENCE, &[RSA_OID, &tlv(0xA0, &[&[5, 0]])])
}

fn pkcs8_pem() -> String {
    KEY.to_pkcs8_pem(LineEnding::LF).expect("PEM").to_string()
}

fn utf16(text: &str, unit: fn(u16) -> [u8; 2]) -> Vec<u8> {
    text.encode_utf16().flat_map(unit).collect()
}

fn jwk() -> String {
    let number = |number: &rsa::BoxedUint| URL_SAFE_NO_PAD.encode(number.to_be_bytes_trimmed_vartime());
    format!(r#"{{"kty":"RSA","n":"{}","e":"{}","alg":"RS256"}}"#, number(public().n()), number(public().e()))
}

#[test]
fn public_keys_are_read_in_every_dress() {
    let spki = spki_pem();
    let pkcs1 = public().to_pkcs1_pem(LineEnding::LF).expect("PEM");
    let pkcs1_der = public().to_pkcs1_der().expect("DER").into_vec();
    let cert = pem("CERTIFICATE", &certificate(true));
    let number = |number: &rsa::BoxedUint| STANDARD.encode(number.to_be_bytes_trimmed_vartime());
    let (n, e) = (number(public().n()), number(public().e()));
    let hex: String = spki_der().iter().map(|byte| format!("{byte:02x}")).collect();
    let dresses: Vec<(&str, Vec<u8>)> = vec![
        ("SPKI", spki.clone().into()),
        ("PKCS#1", pkcs1.clone().into()),
        ("a certificate", cert.clone().into()),
        ("a certificate of version 1", pem("CERTIFICATE", &certificate(false)).into()),
        (
            "a certificate with its trust",
            pem("TRUSTED CERTIFICATE", &[certificate(true), vec![0x30, 0]].concat()).into(),
        ),
        ("a PKCS#1 key under the label of SPKI", pem("PUBLIC KEY", &pkcs1_der).into()),
        ("SPKI under the label of PKCS#1", pem("RSA PUBLIC KEY", &spki_der()).into()),
        ("SPKI as DER", spki_der()),
        ("PKCS#1 as DER", pkcs1_der.clone()),
        ("a certificate as DER", certificate(true)),
        ("DER with a line break behind", [spki_der(), b"\n".to_vec()].concat()),
        ("CRLF", spki.replace('\n', "\r\n").into()),
        ("CR", spki.replace('\n', "\r").into()),
        ("literal \\n", spki.replace('\n', "\\n").into()),
        ("literal \\r\\n", spki.replace('\n', "\\r\\n").into()),
        ("literal \\\\n", spki.replace('\n', "\\\\n").into()),
        ("blanks for line breaks", spki.replace('\n', " ").into()),
        ("all on one line", spki.replace('\n', "").into()),
        ("the base64 alone", inside(&spki).into()),
        ("the base64 alone with a line break", format!("{}\n", inside(&spki)).into()),
        (
            "the base64 alone in lines",
            spki.lines().filter(|line| !line.starts_with('-')).collect::<Vec<_>>().join("\n").into(),
        ),
        ("the base64 of PKCS#1 alone", inside(&pkcs1).into()),
        ("the base64 of a certificate alone", inside(&cert).into()),
        ("url-safe base64 without padding", URL_SAFE_NO_PAD.encode(spki_der()).into()),
        ("in quotes", format!("\"{}\"", spki.replace('\n', "\\n")).into()),
        ("the base64 in quotes", format!("'{}'", inside(&spki)).into()),
        ("a variable", format!("PUBLIC_KEY=\"{}\"\n", spki.replace('\n', "\\n")).into()),
        ("a variable with the base64", format!("PUBLIC_KEY={}\n", inside(&spki)).into()),
        ("JSON", format!("{{\"key\":\"{}\"}}", spki.replace('\n', "\\n")).into()),
        (
            "strings joined in source code",
            spki.lines().map(|line| format!("    \"{line}\\n\" +\n")).collect::<String>().into(),
        ),
        ("indented", spki.lines().map(|line| format!("    {line}\n")).collect::<String>().into()),
        ("cited", spki.lines().map(|line| format!("> {line}\n")).collect::<String>().into()),
        ("a BOM", [b"\xEF\xBB\xBF", spki.as_bytes()].concat()),
        ("blank lines", format!("\n\n\t\n{spki}\n\n").into()),
        ("zero width spaces", spki.replace('\n', "\u{200B}\n\u{A0}").into()),
        ("typographic dashes", spki.replace("-----", "—–---").into()),
        ("four dashes", spki.replace("-----", "----").into()),
        ("no END line", spki.split("-----END").next().expect("a head").into()),
        ("text around it", format!("Subject: key\nsee below: BEGIN here\n{spki}kind regards\n").into()),
        ("header fields", spki.replacen("-----\n", "-----\nComment: of the bank\n\n", 1).into()),
        ("base64 of the PEM", STANDARD.encode(&spki).into()),
        (
            "base64 of the PEM in lines",
            STANDARD.encode(&spki).as_bytes().chunks(76).collect::<Vec<_>>().join(&b"\n"[..]),
        ),
        ("UTF-16 LE with a BOM", [vec![0xFF, 0xFE], utf16(&spki, u16::to_le_bytes)].concat()),
        ("UTF-16 BE with a BOM", [vec![0xFE, 0xFF], utf16(&spki, u16::to_be_bytes)].concat()),
        ("UTF-16 LE", utf16(&spki, u16::to_le_bytes)),
        ("UTF-16 BE", utf16(&spki, u16::to_be_bytes)),
        ("hexadecimal digits", hex.clone().into()),
        ("hexadecimal digits in capitals", hex.to_uppercase().into()),
        ("JWK", jwk().into()),
        ("JWKS", format!("{{\"keys\":[{}]}}", jwk()).into()),
        (
            "RSAKeyValue",
            format!("<RSAKeyValue><Modulus>{n}</Modulus><Exponent>{e}</Exponent></RSAKeyValue>").into(),
        ),
    ];
    let unread: Vec<_> = dresses
        .iter()
        .filter_map(|(name, bytes)| match read_public(bytes) {
            Ok(file) if file.key == public() && file.note.is_none() => None,
            Ok(file) => Some(format!("{name}: {:?}", file.note)),
            Err(message) => Some(format!("{name}: {message}")),
        })
        .collect();
    assert!(unread.is_empty(), "{unread:#?}");
}

#[test]
fn of_several_parts_the_public_key_is_taken_and_that_is_said() {
    let other = rsa::PrivateKey::new(&mut rand::rng(), 1024).expect("a key");
    let others = rsa::PublicKey::from(&other).to_public_key_pem(LineEnding::LF).expect("PEM");
    let (own, cert) = (spki_pem(), pem("CERTIFICATE", &certificate(true)));
    for (text, note) in [
        (pkcs8_pem() + &own, "has 2 parts, a private key among them; the public key is used"),
        (own.clone() + &pkcs8_pem(), "has 2 parts, a private key among them; the public key is used"),
        (pem("CERTIFICATE REQUEST", &request()) + &cert, "has 2 parts; the public key is used"),
        (cert.clone() + &own, "has 2 parts; the public key is used"),
        (own.clone() + &others, "has 2 parts; the first public key is used"),
    ] {
        let file = read_public(text.as_bytes()).expect("a key");
        assert_eq!((file.key == public(), file.note.as_deref()), (true, Some(note)));
    }
    let private = read_private((cert.clone() + &pkcs8_pem() + &own).as_bytes(), "x").expect("a key");
    assert_eq!(private.public_pem(), own);
    let two = pkcs8_pem() + &other.to_pkcs8_pem(LineEnding::LF).expect("PEM");
    assert!(read_private(two.as_bytes(), "x").unwrap_err().contains("several private keys"));
}

#[test]
fn private_keys_are_read_in_every_dress() {
    let pkcs8 = pkcs8_pem();
    let pkcs1 = KEY.to_pkcs1_pem(LineEnding::LF).expect("PEM").to_string();
    let der = KEY.to_pkcs8_der().expect("DER").as_bytes().to_vec();
    for (name, bytes) in [
        ("PKCS#8", pkcs8.clone().into_bytes()),
        ("PKCS#1", pkcs1.clone().into()),
        ("PKCS#8 as DER", der),
        ("PKCS#1 as DER", KEY.to_pkcs1_der().expect("DER").as_bytes().to_vec()),
        ("CRLF", pkcs8.replace('\n', "\r\n").into()),
        ("literal \\n", pkcs1.replace('\n', "\\n").into()),
        ("the base64 alone", inside(&pkcs8).into()),
        ("in quotes", format!("\"{}\"", pkcs8.replace('\n', "\\n")).into()),
        ("a BOM", [b"\xEF\xBB\xBF", pkcs8.as_bytes()].concat()),
        ("UTF-16", [vec![0xFF, 0xFE], utf16(&pkcs8, u16::to_le_bytes)].concat()),
        ("base64 of the PEM", STANDARD.encode(&pkcs8).into()),
    ] {
        match read_private(&bytes, "x") {
            Ok(key) => assert_eq!(key.public_pem(), spki_pem(), "{name}"),
            Err(message) => panic!("{name}: {message}"),
        }
    }
}

#[test]
fn what_is_no_key_is_refused_by_what_it_is() {
    let own = spki_pem();
    let cut = spki_der();
    let small = rsa::BoxedUint::from_be_slice_vartime(&[0xFF; 64]).to_be_bytes_trimmed_vartime();
    let small = tlv(SEQUENCE, &[&tlv(2, &[&small]), &tlv(2, &[&[1, 0, 1]])]);
    // What it is; a part of what to do for a public key, and for a private one.
    let rows: Vec<(Vec<u8>, &str, &str, &str)> = vec![
        (
            pem("ENCRYPTED PRIVATE KEY", &encrypted()).into(),
            "passphrase",
            "openssl pkey -in FILE -pubout",
            "openssl pkey -in FILE -out",
        ),
        (encrypted(), "passphrase", "", ""),
        (
            pem("RSA PRIVATE KEY", &[1; 64])
                .replacen("-----\n", "-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\n", 1)
                .into(),
            "passphrase",
            "",
            "",
        ),
        (
            pem("OPENSSH PRIVATE KEY", b"openssh-key-v1\0").into(),
            "a private key of OpenSSH",
            "ssh-keygen -e -m PKCS8",
            "ssh-keygen -p -N '' -m PKCS8",
        ),
        (
            pem("CERTIFICATE REQUEST", &request()).into(),
            "a certificate request (CSR)",
            "openssl req -in FILE -pubkey",
            "",
        ),
        (pem("NEW CERTIFICATE REQUEST", &request()).into(), "a certificate request (CSR)", "", ""),
        (request(), "a certificate request (CSR)", "", ""),
        (pem("PUBLIC KEY", &spki_of(EC_OID)).into(), "an EC key (elliptic curve)", "openssl", ""),
        (pem("PRIVATE KEY", &pkcs8_of(EC_OID)).into(), "an EC key (elliptic curve)", "", "openssl genpkey"),
        (
            pem("EC PRIVATE KEY", &tlv(SEQUENCE, &[&tlv(2, &[&[1]]), &tlv(4, &[&[1; 32]])])).into(),
            "an EC key (elliptic curve)",
            "",
            "",
        ),
        (pem("PUBLIC KEY", &spki_of(&[6, 3, 0x2B, 0x65, 0x70])).into(), "an Ed25519 key", "", ""),
        (pem("DSA PRIVATE KEY", &[0; 20]).into(), "a DSA key", "", ""),
        (
            pem("PUBLIC KEY", &spki_of(&[6, 3, 0x2B, 0x65, 0x01])).into(),
            "a key of an unknown algorithm",
            "",
            "",
        ),
        (
            pkcs12(),
            "a PKCS#12 key store",
            "openssl pkcs12 -in FILE -nokeys",
            "openssl pkcs12 -in FILE -nocerts -nodes",
        ),
        (pem("PKCS7", &pkcs7()).into(), "a PKCS#7 bundle", "openssl pkcs7", ""),
        (pkcs7(), "a PKCS#7 bundle", "", ""),
        (
            pem("PUBLIC KEY", &small).into(),
            "an RSA key whose numbers are damaged, or not of 1024 to 8192 bits",
            "",
            "",
        ),
        (
            pem("PUBLIC KEY", &cut[..cut.len() - 20]).into(),
            "a key whose end is missing",
            "copy the whole file",
            "",
        ),
        (cut[..cut.len() - 20].to_vec(), "a key whose end is missing", "", ""),
        (
            pem("X509 CRL", &signed(&tlv(SEQUENCE, &[&tlv(SEQUENCE, &[])]))).into(),
            "a revocation list",
            "",
            "",
        ),
        (
            own.replace('M', "*").replace("BEGIN PUBLIC KEY-----\n", "BEGIN PUBLIC KEY-----\n\u{410}").into(),
            "PEM whose base64 is empty or damaged",
            "from BEGIN to END",
            "",
        ),
        (
            "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----\n".into(),
            "PEM whose base64 is empty or damaged",
            "",
            "",
        ),
        (
            "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABAQ me@host\n".into(),
            "a public key of OpenSSH",
            "ssh-keygen -e -m PKCS8 -f FILE",
            "",
        ),
        (
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA me@host\n".into(),
            "a public key of OpenSSH that is not RSA",
            "",
            "",
        ),
        (
            "---- BEGIN SSH2 PUBLIC KEY ----\nAAAA\n---- END SSH2 PUBLIC KEY ----\n".into(),
            "a public key of OpenSSH",
            "",
            "",
        ),
        (
            "PuTTY-User-Key-File-3: ssh-rsa\nEncryption: none\n".into(),
            "a private key of PuTTY",
            "puttygen FILE",
            "puttygen FILE",
        ),
        (
            "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nmQENBF\n-----END PGP PUBLIC KEY BLOCK-----\n".into(),
            "an OpenPGP key",
            "",
            "",
        ),
        (b"\x99\x01\x0D\x04\x5F\x00\xFF".to_vec(), "a binary file, perhaps an OpenPGP key", "", ""),
        (
            b"\xFE\xED\xFE\xED\0\0\0\x02".to_vec(),
            "a Java key store",
            "keytool -exportcert",
            "keytool -importkeystore",
        ),
        (b"\x89PNG\r\n\x1A\n\0".to_vec(), "a binary file that is no key", "", ""),
        ("<!DOCTYPE html><html><body>Login</body></html>".into(), "an HTML page", "", ""),
        ("\n<html lang=id>".into(), "an HTML page", "", ""),
        ("<key/>".into(), "XML without a key in it", "", ""),
        (
            "<RSAKeyValue><Modulus>AQAB</Modulus><D>AQAB</D></RSAKeyValue>".into(),
            "a private key (RSAKeyValue of .NET)",
            "ToXmlString(false)",
            "ExportPkcs8PrivateKeyPem",
        ),
        (r#"{"kty":"RSA","n":"AQAB","e":"AQAB","d":"AQAB"}"#.into(), "a private key (JWK)", "", ""),
        (r#"{"kty":"EC","crv":"P-256"}"#.into(), "an EC key (elliptic curve), as a JWK", "", ""),
        (r#"{"kty":"RSA"}"#.into(), "a JWK without its numbers n and e", "", ""),
        (r#"{"kty":"oct"}"#.into(), "a JWK of another kind", "", ""),
        (r#"{"keys":[]}"#.into(), "JSON without a key in it", "", ""),
        (r#"{"error":"not found"}"#.into(), "JSON without a key in it", "", ""),
        ("{nonsense".into(), "a text file that looks like broken JSON", "", ""),
        (
            "RSA Public-Key: (2048 bit)\nModulus:\n    00:af\n".into(),
            "the readable print of a key",
            "-pubin",
            "",
        ),
        ("Modulus=AF01".into(), "the readable print of a key", "", ""),
        ("https://example.com/public.pem\n".into(), "an address (URL)", "curl", ""),
        ("/etc/keys/public.pem\n".into(), "the name of a file", "", ""),
        ("just some words".into(), "a text file without a key in it", "openssl pkey", "openssl genpkey"),
        ("AAAAB3NzaC1yc2EAAAADAQABAAABAQ==".into(), "a public key of OpenSSH", "", ""),
        ("AAAA".into(), "a text file without a key in it", "", ""),
    ];
    for (bytes, what, for_public, for_private) in &rows {
        let public = read_public(bytes).expect_err(what);
        let private = read_private(bytes, "x").expect_err(what);
        for (message, hint) in [(&public, for_public), (&private, for_private)] {
            assert!(message.contains(what) && message.contains(hint), "{what}: {message}");
            for jargon in ["NUL", "preamble", "ASN.1", "PEM error", "preamble"] {
                assert!(!message.contains(jargon), "{message}");
            }
        }
    }
    for nothing in [&b""[..], b" \n", b"\xEF\xBB\xBF\n", b"\"\""] {
        assert!(read_public(nothing).expect_err("nothing").contains("is empty"));
        assert!(read_private(nothing, "x").expect_err("nothing").contains("is empty"));
    }
    assert!(
        read_public(pkcs8_pem().as_bytes())
            .expect_err("private")
            .contains("is a private key, which clients must never have")
    );
    assert!(read_private(own.as_bytes(), "x").expect_err("public").contains("is a public key"));
    assert!(read_private(&certificate(true), "x").expect_err("public").contains("is a public key"));
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let directory = tempfile::tempdir().expect("a directory");
    let message = |name: &str| read_public_file(&directory.path().join(name)).expect_err(name);
    assert!(message("none.pem").contains("the simulator generates it on the first start"));
    assert!(message("").contains("is a directory; name the key file in it"));
    std::fs::write(directory.path().join("large"), vec![b'A'; 2 << 20]).expect("a file");
    assert!(message("large").contains("larger than 1 MiB"));
    std::fs::write(directory.path().join("ssh.pub"), "ssh-rsa AAAAB3Nz me@host").expect("a file");
    let ssh = message("ssh.pub");
    assert!(ssh.contains(&format!("-f {}", directory.path().join("ssh.pub").display())), "{ssh}");
}

#[test]
fn any_bytes_are_read_or_refused() {
    use proptest::prelude::*;
    let der = spki_der();
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::default() };
    proptest!(config, |(at in 0..der.len(), byte in any::<u8>(), end in 0..der.len(), text in "[-A-Z \\\\n+/=\"{}<>]{0,60}")| {
        let mut damaged = der.clone();
        damaged[at] = byte;
        for bytes in [&damaged[..], &damaged[..end], text.as_bytes(), pem("PUBLIC KEY", &damaged).as_bytes(), pem(&text, &damaged).as_bytes()] {
            let _ = read_public(bytes);
            let _ = read_private(bytes, "x");
        }
    });
}
