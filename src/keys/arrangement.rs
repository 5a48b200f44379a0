//! The bytes of a ciphertext as others arrange them: reversed, without a leading zero, with something before or behind.

use std::borrow::Cow;

/// Bytes that may be the ciphertext, as long as the key.
pub(super) struct Arrangement {
    /// Completes "the field ..."; `None` for the bytes as they are.
    pub words: Option<Cow<'static, str>>,
    pub hint: &'static str,
    pub bytes: Vec<u8>,
    /// Common enough to be tried with every padding.
    pub is_common: bool,
}

/// Zero bytes that an integer may lose or gain at its end.
const MAX_ZEROS: usize = 4;

const BIG_ENDIAN: &str = "send the bytes in big-endian order, the most significant first: reverse what CryptEncrypt or a little-endian integer gives";

/// Returns all arrangements of `bytes` for a key of `size` bytes, the usual ones first.
#[must_use]
pub(super) fn arrangements(bytes: &[u8], size: usize) -> Vec<Arrangement> {
    match bytes.len() {
        length if length == size => orders(bytes),
        length if length < size && size - length <= MAX_ZEROS && length > 0 => without_zeros(bytes, size),
        length if length > size => with_more(bytes, size),
        _ => Vec::new(),
    }
}

fn arrangement(words: impl Into<Cow<'static, str>>, hint: &'static str, bytes: Vec<u8>) -> Arrangement {
    Arrangement { words: Some(words.into()), hint, bytes, is_common: true }
}

fn reversed(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().rev().copied().collect()
}

/// The bytes of each word of `width` bytes in reverse.
fn swapped(bytes: &[u8], width: usize) -> Vec<u8> {
    bytes.chunks(width).flat_map(|word| word.iter().rev().copied()).collect()
}

fn orders(bytes: &[u8]) -> Vec<Arrangement> {
    let as_is = Arrangement { words: None, hint: "", bytes: bytes.to_vec(), is_common: true };
    let back = reversed(bytes);
    let mut all = vec![as_is];
    let words = "has its bytes in reverse order (little-endian, as Windows CryptoAPI and .NET's BigInteger give them)";
    all.push(arrangement(words, BIG_ENDIAN, back.clone()));
    for width in [2, 4, 8] {
        let words = format!("has the bytes of each {width}-byte word in reverse order");
        all.push(Arrangement { is_common: false, ..arrangement(words, BIG_ENDIAN, swapped(bytes, width)) });
        let words = format!("has its {width}-byte words in reverse order (the least significant word first)");
        all.push(Arrangement { is_common: false, ..arrangement(words, BIG_ENDIAN, swapped(&back, width)) });
    }
    all
}

fn without_zeros(bytes: &[u8], size: usize) -> Vec<Arrangement> {
    let lost = size - bytes.len();
    let padded = |bytes: Vec<u8>| [vec![0; lost], bytes].concat();
    let zeros = if lost == 1 {
        "a leading zero byte was lost".to_owned()
    } else {
        format!("{lost} leading zero bytes were lost")
    };
    let hint = "keep the leading zero bytes: the ciphertext is as long as the key, always; libraries that treat it as a number drop them (JSEncrypt, jsrsasign, BigInteger)";
    let words = format!("has {} bytes, because {zeros}", bytes.len());
    vec![
        arrangement(words.clone(), hint, padded(bytes.to_vec())),
        arrangement(
            format!("{words}, and has its bytes in reverse order"),
            BIG_ENDIAN,
            padded(reversed(bytes)),
        ),
    ]
}

fn with_more(bytes: &[u8], size: usize) -> Vec<Arrangement> {
    let extra = bytes.len() - size;
    let (head, behind) = bytes.split_at(size);
    let (before, tail) = bytes.split_at(extra);
    let is_zero = |bytes: &[u8]| extra <= MAX_ZEROS && bytes.iter().all(|byte| *byte == 0);
    let mut all = Vec::new();
    if is_zero(before) {
        let words = "has an extra zero byte before it (the sign byte of BigInteger.toByteArray)";
        all.push(arrangement(
            words,
            "remove the sign byte: the ciphertext is exactly as long as the key",
            tail.to_vec(),
        ));
    }
    if is_zero(behind) {
        let words = "has its bytes in reverse order and an extra zero byte behind them (.NET's BigInteger.ToByteArray)";
        all.push(arrangement(words, BIG_ENDIAN, reversed(head)));
    }
    let blocks = bytes.len() / size;
    let (words, hint) = if bytes.len().is_multiple_of(size) {
        let words = format!("is {blocks} ciphertexts (blocks of {size} bytes), one behind the other");
        (words, "encrypt the text at once: account values fit one block, and the endpoint decrypts one")
    } else if behind.iter().all(|byte| byte.is_ascii_whitespace() || *byte == 0) {
        let words = format!("has {extra} bytes of white space or NUL behind it");
        (words, "encode exactly the bytes that the encryption gave, not a line or a C string that holds them")
    } else {
        (
            format!("is a ciphertext with {extra} more bytes behind it"),
            "send the RSA ciphertext alone: no tag, no signature, no AES data behind it",
        )
    };
    all.push(arrangement(words, hint, head.to_vec()));
    if !bytes.len().is_multiple_of(size) {
        let words = format!("is a ciphertext with {extra} more bytes before it");
        all.push(arrangement(
            words,
            "send the RSA ciphertext alone: no length, no header, no key id before it",
            tail.to_vec(),
        ));
    }
    all
}
