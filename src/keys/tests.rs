//! Why a ciphertext does not open, as a table: what was done to it, and the reason.

use std::cell::Cell;
use std::sync::LazyLock;
use std::time::Duration;

use rsa::{Oaep, Pkcs1v15Sign};
use sha1::Sha1;
use sha2::{Sha224, Sha256, Sha384};

use super::diagnose::{Budget, Unlimited};
use super::open::{KeyHalf, block};
use super::*;
use crate::protocol::encoding::{self, Base64Mode, encode};

/// Of so many operations.
struct Operations(Cell<usize>);

impl Budget for Operations {
    fn is_left(&self) -> bool {
        self.0.get() > 0
    }

    fn charge(&self, _: Duration) {
        self.0.set(self.0.get() - 1);
    }
}

static OURS: LazyLock<PrivateKey> = LazyLock::new(|| PrivateKey::generate("bank.pem", 1024).unwrap());
static RING: LazyLock<KeyRing> = LazyLock::new(|| {
    let ring = KeyRing::new(PrivateKey::generate("the server's key", 1024).unwrap(), None);
    ring.made_for("mitra").unwrap();
    ring
});

fn public(key: &PrivateKey) -> rsa::PublicKey {
    rsa::PublicKey::from(&*key.rsa)
}

fn encrypted(key: &PrivateKey) -> Vec<u8> {
    super::encrypt(&public(key), b"demo-user").unwrap()
}

/// A ciphertext that starts with `zeros` zero bytes.
fn with_zeros(zeros: usize) -> Vec<u8> {
    // Of any 128 ciphertexts two thirds have none; the bound is for the case that the key is broken.
    let found =
        (0..200_000).map(|_| encrypted(&OURS)).find(|bytes| bytes[..zeros].iter().all(|byte| *byte == 0));
    found.expect("one ciphertext in 256 starts with a zero byte")
}

/// Applies the public half to a block.
fn raw(block: &[u8]) -> Vec<u8> {
    block_of(block, KeyHalf::Public)
}

fn block_of(bytes: &[u8], half: KeyHalf) -> Vec<u8> {
    block(bytes, half, &OURS.rsa).unwrap()
}

fn diagnosed_text(text: &str, budget: &dyn Budget) -> DecryptFailure {
    let bytes = encoding::decode(text, Base64Mode::Strict).expect("base64").bytes;
    let error = OURS.open(&bytes).expect_err("it does not open");
    let failure = diagnose(text, &bytes, error, &OURS, &RING, budget);
    assert!(!failure.hint.is_empty() && !failure.reason.is_empty());
    for secret in ["demo-user", text.get(..12).unwrap_or("no text")] {
        assert!(!failure.reason.contains(secret) && !failure.hint.contains(secret), "{failure:?}");
    }
    failure
}

#[track_caller]
fn check_text(text: &str, expected: &str) {
    let reason = diagnosed_text(text, &Unlimited).reason;
    assert!(reason.contains(expected), "{reason}\nnot {expected}");
}

#[track_caller]
fn check(bytes: &[u8], expected: &str) {
    check_text(&encode(bytes), expected);
}

#[test]
fn a_padding_is_named() {
    let mut rng = rand::rng();
    let key = public(&OURS);
    check(&key.encrypt(&mut rng, Oaep::<Sha1>::new(), b"demo-user").unwrap(), "OAEP (SHA-1) instead of");
    check(&key.encrypt(&mut rng, Oaep::<Sha256>::new(), b"demo-user").unwrap(), "OAEP (SHA-256) instead of");
    check(&key.encrypt(&mut rng, Oaep::<Sha224>::new(), b"demo-user").unwrap(), "OAEP (SHA-224)");
    check(&key.encrypt(&mut rng, Oaep::<Sha384>::new(), b"demo-user").unwrap(), "OAEP (SHA-384)");
    let java = key.encrypt(&mut rng, Oaep::<Sha256, Sha1>::new_with_mgf_hash(), b"demo-user").unwrap();
    check(&java, "OAEP (SHA-256, MGF1 with SHA-1)");
    let android = raw(&[&[0; 119][..], b"demo-user"].concat());
    check(&android, "no padding (textbook RSA)");
    let filled = raw(&[b"demo-user", &[0; 119][..]].concat());
    check(&filled, "no padding (textbook RSA)");
}

#[test]
fn an_order_of_bytes_is_named() {
    let good = encrypted(&OURS);
    let reversed: Vec<u8> = good.iter().rev().copied().collect();
    check(&reversed, "has its bytes in reverse order (little-endian");
    for width in [2, 4, 8] {
        let swapped: Vec<u8> = good.chunks(width).flat_map(|word| word.iter().rev().copied()).collect();
        check(&swapped, &format!("the bytes of each {width}-byte word in reverse order"));
        let words: Vec<u8> = good.rchunks(width).flatten().copied().collect();
        check(&words, &format!("its {width}-byte words in reverse order"));
    }
    let oaep = public(&OURS).encrypt(&mut rand::rng(), Oaep::<Sha1>::new(), b"demo-user").unwrap();
    let reversed: Vec<u8> = oaep.into_iter().rev().collect();
    check(
        &reversed,
        "in reverse order (little-endian, as Windows CryptoAPI and .NET's BigInteger give them) and is padded with OAEP",
    );
}

#[test]
fn bytes_lost_and_added_are_named() {
    let short = with_zeros(1);
    check(&short[1..], "has 127 bytes, because a leading zero byte was lost");
    let back: Vec<u8> = short[1..].iter().rev().copied().collect();
    check(&back, "a leading zero byte was lost, and has its bytes in reverse order");
    let good = encrypted(&OURS);
    check(&[&[0], &good[..]].concat(), "an extra zero byte before it (the sign byte");
    let back: Vec<u8> = good.iter().rev().copied().collect();
    check(&[&back[..], &[0]].concat(), "in reverse order and an extra zero byte behind them");
    check(&[&good[..], b"\r\n"].concat(), "has 2 bytes of white space or NUL behind it");
    check(&[&good[..], &[0xAB; 40]].concat(), "is a ciphertext with 40 more bytes behind it");
    check(&[&[0xAB; 40], &good[..]].concat(), "is a ciphertext with 40 more bytes before it");
    check(
        &[&good[..], &encrypted(&OURS)].concat(),
        "is 2 ciphertexts (blocks of 128 bytes), one behind the other",
    );
    check(&[&good[..], &good, &good].concat(), "is 3 ciphertexts");
}

#[test]
fn a_dress_of_the_ciphertext_is_named() {
    let good = encrypted(&OURS);
    let hex: String = good.iter().map(|byte| format!("{byte:02x}")).collect();
    check_text(&hex, "is not base64 but the ciphertext as hexadecimal digits");
    check_text(&hex.to_uppercase(), "is not base64 but the ciphertext as hexadecimal digits");
    check(hex.as_bytes(), "is base64 of the ciphertext as hexadecimal digits");
    let colons: String = good.iter().map(|byte| format!("{byte:02X}:")).collect();
    check(colons.trim_end_matches(':').as_bytes(), "is base64 of the ciphertext as hexadecimal digits");
    let twice = encode(&good);
    check(twice.as_bytes(), "is base64 twice");
    check(
        format!("{}\n{}\n", &twice[..76], &twice[76..]).as_bytes(),
        "is base64 of the ciphertext with line breaks and in base64",
    );
    check(encode(twice.as_bytes()).as_bytes(), "is base64 3 times");
    let url_safe = twice.replace('+', "-").replace('/', "_");
    check(url_safe.trim_end_matches('=').as_bytes(), "in base64");
    let numbers = format!("{good:?}");
    check(numbers.as_bytes(), "is base64 of the ciphertext as a list of numbers");
    let java = format!("{:?}", good.iter().map(|byte| *byte as i8).collect::<Vec<_>>());
    check(java.as_bytes(), "as a list of numbers");
    check(
        format!("b'{twice}'").as_bytes(),
        "is base64 of the ciphertext as Python prints bytes: b'...' and in base64",
    );
    let text: String = good.iter().map(|byte| char::from(*byte)).collect();
    check(text.as_bytes(), "as UTF-8 text of its bytes (each byte above 7F became two)");
    let wide: Vec<u8> = good.iter().flat_map(|byte| [*byte, 0]).collect();
    check(&wide, "in UTF-16LE");
    let reversed: Vec<u8> = good.iter().rev().copied().collect();
    check(
        encode(&reversed).as_bytes(),
        "is base64 twice: it decodes to base64 again and has its bytes in reverse order",
    );
}

#[test]
fn another_key_and_the_other_half_are_named() {
    let server = encrypted(RING.server());
    check(&server, "was encrypted with another known key: the server's key");
    let mitra = RING.made_for("mitra").unwrap();
    check(&encrypted(&mitra), "was encrypted with another known key: the key of mitra");
    let oaep = public(&mitra).encrypt(&mut rand::rng(), Oaep::<Sha1>::new(), b"demo-user").unwrap();
    check(&oaep, "OAEP (SHA-1) instead of PKCS#1 v1.5 and was encrypted with another known key");
    let reversed: Vec<u8> = server.iter().rev().copied().collect();
    check(
        &reversed,
        "in reverse order (little-endian, as Windows CryptoAPI and .NET's BigInteger give them) and was encrypted with another",
    );
    let signature = OURS.rsa.sign(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(b"demo-user")).unwrap();
    check(&signature, "is a signature, not a ciphertext: it was made with the private key");
    let by_hand = [&[0, 1][..], &[0xFF; 116], &[0], b"demo-user"].concat();
    check(&block_of(&by_hand, KeyHalf::Private), "was made with the private key");
    let larger = KeyRing::new(PrivateKey::generate("the server's key", 2048).unwrap(), None);
    let bytes = encrypted(larger.server());
    let error = OURS.open(&bytes).unwrap_err();
    let failure = diagnose(&encode(&bytes), &bytes, error, &OURS, &larger, &Unlimited);
    assert_eq!(failure.reason, "was encrypted with another known key: the server's key");
}

#[test]
fn a_ciphertext_of_a_ciphertext_is_named() {
    let inner = encode(&encrypted(&OURS));
    let blocks = inner.as_bytes().chunks(100).map(|piece| super::encrypt(&public(&OURS), piece).unwrap());
    check(
        &blocks.collect::<Vec<_>>().concat(),
        "is 2 ciphertexts (blocks of 128 bytes), one behind the other and was encrypted twice",
    );
}

#[test]
fn what_does_not_open_is_named_by_its_bytes() {
    let foreign = PrivateKey::generate("foreign", 1024).unwrap();
    let tried = "(every OAEP, no padding and other byte orders were tried, and 2 other known keys)";
    check(&encrypted(&foreign), tried);
    check(&[0xFF; 128], "as a number it is not below this key's modulus");
    check(
        b"somebody",
        "wrong length for the key: 8 bytes, but a key of 1024 bits produces 128; what was sent is readable text in base64",
    );
    check(
        &[0xFB; 256],
        "(256 is the length for a key of 2048 bits; it is 2 blocks for this key, but they do not open)",
    );
    check(&[0xFB; 100], "100 bytes, but a key of 1024 bits produces 128 (something cut it");
    check(&[&b"Salted__"[..], &[0xFB; 24]].concat(), "password-based AES encryption");
    check(OURS_DER.as_slice(), "a public key or a certificate");
    check(b"\x30\x82\x01\x00\x06\x09\x2A\x86\x48\x86\xF7\x0D\x01\x07\x03", "a CMS (PKCS#7) message");
    check(b"\xFF\xD8\xFF\xE0\0\x10JFIF\0", "a picture");
    check(b"\x1F\x8B\x08\0\0\0\0\0\xFF", "compressed data");
    check("\u{FFFD}a\u{FFFD}b\u{1}".as_bytes(), "read as UTF-8 text and so are lost (EF BF BD");
    let ascii: Vec<u8> =
        encrypted(&OURS).iter().map(|byte| if *byte > 0x7F { b'?' } else { *byte }).collect();
    check(&[&ascii[..], &[1]].concat(), "turned into ASCII text and so are lost");
    let seven: Vec<u8> = (0..128).map(|byte| byte & 0x7F).collect();
    check(&seven, "bytes without their top bits");
    check(&[0; 128], "one byte again and again");
    check(
        &"ab".encode_utf16().cycle().take(9).flat_map(u16::to_le_bytes).collect::<Vec<_>>(),
        "text in UTF-16: it was not encrypted",
    );
    check_text("null", "is not base64 but the word that a language prints for no value");
    check_text("48656c6c6f20776f726c6421", "is not base64 but hexadecimal digits");
}

static OURS_DER: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let pem: String = OURS.public_pem().lines().filter(|line| !line.starts_with('-')).collect();
    encoding::decode(&pem, Base64Mode::Strict).unwrap().bytes
});

#[test]
fn beyond_the_budget_the_reason_is_not_examined() {
    let good = encrypted(&OURS);
    let reversed: Vec<u8> = good.iter().rev().copied().collect();
    let reason =
        |operations, bytes: &[u8]| diagnosed_text(&encode(bytes), &Operations(Cell::new(operations))).reason;
    // Its forms, as is, then reversed.
    assert!(reason(3, &reversed).contains("reverse order"));
    for operations in [0, 1, 2] {
        let reason = reason(operations, &reversed);
        assert!(
            reason.ends_with(
                "why was not examined: the processor time for reasons is used up (limits.diagnosis)"
            ),
            "{reason}"
        );
    }
    let length = reason(0, &good[1..]);
    assert!(length.starts_with("has the wrong length for the key: 127 bytes, but"), "{length}");
    assert!(length.contains("; why was not examined: "), "{length}");
    // What costs no operation is said all the same.
    let budget = Operations(Cell::new(0));
    assert!(!diagnosed_text(&encode(b"somebody"), &budget).reason.contains("not examined"));
}

#[test]
fn a_diagnosis_has_few_operations_whatever_is_sent() {
    let foreign = PrivateKey::generate("foreign", 1024).unwrap();
    let mut bytes = encrypted(&foreign);
    for extra in [0, 1, 40, 128, 900] {
        bytes.resize(128 + extra, 0xFB);
        let budget = Operations(Cell::new(1000));
        let _ = diagnosed_text(&encode(&bytes), &budget);
        let spent = 1000 - budget.0.get();
        assert!(spent <= 16, "{spent} operations for {extra} more bytes");
    }
}
