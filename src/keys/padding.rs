//! What the private-key operation gave, block by block: which padding is on it. One operation gives the block, and every padding is judged
//! from it, so a search for the padding costs hashes only.

use std::borrow::Cow;

use super::open::message;
use crate::base::hash_functions::{HASH_FUNCTIONS, HashFunction};

/// What was found in a block: how it is padded, if not with PKCS#1 v1.5, and the message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unpadded {
    /// Completes "the field ..."; `None` for PKCS#1 v1.5, as it should be.
    pub words: Option<Cow<'static, str>>,
    pub message: Vec<u8>,
}

/// Zero bytes in a row that are no accident: one block in 2^64 has them.
const NO_ACCIDENT: usize = 8;

/// Recognizes the padding of a block as long as the key; `None` when there is no known one, so the key is another.
#[must_use]
pub(super) fn judge(block: &[u8]) -> Option<Unpadded> {
    pkcs1(block).or_else(|| oaep(block)).or_else(|| signature(block)).or_else(|| unpadded(block)).or_else(
        || {
            let reversed: Vec<u8> = block.iter().rev().copied().collect();
            let message = pkcs1(&reversed)?.message;
            let words =
                "was padded with PKCS#1 v1.5 and then reversed, byte by byte, before it was encrypted";
            Some(Unpadded { words: Some(words.into()), message })
        },
    )
}

/// PKCS#1 v1.5, with a message that is none by accident: one block in 100,000 looks padded, whatever the key.
fn pkcs1(block: &[u8]) -> Option<Unpadded> {
    let message = message(block).filter(|message| is_plausible(message))?;
    Some(Unpadded { words: None, message: message.to_vec() })
}

/// Whether somebody may have encrypted this: text in some encoding, a key, a digest or nothing, but not random bytes of any length.
#[must_use]
pub(super) fn is_plausible(message: &[u8]) -> bool {
    let readable = message.iter().filter(|byte| matches!(byte, 0 | 9 | 10 | 13 | 32..=126)).count();
    matches!(message.len(), 0 | 16 | 20 | 24 | 28 | 32 | 48 | 64) || readable * 4 >= message.len() * 3
}

/// OAEP (RFC 8017, 7.1.2) with every pair of hash functions. A label other than the empty one is recognized by the zeros behind its hash.
fn oaep(block: &[u8]) -> Option<Unpadded> {
    let masked = block.strip_prefix(&[0])?;
    let mut with_label = None;
    for label in &HASH_FUNCTIONS {
        let of_label = (label.digest)(b"", b"");
        let Some((masked_seed, masked_data)) = masked.split_at_checked(of_label.len()) else { continue };
        if masked_data.len() < of_label.len() + 1 {
            continue;
        }
        for mask in &HASH_FUNCTIONS {
            let seed = unmasked(masked_seed, mask, masked_data);
            let data = unmasked(masked_data, mask, &seed);
            let (hash, rest) = data.split_at(of_label.len());
            let zeros = rest.iter().take_while(|byte| **byte == 0).count();
            if rest.get(zeros) != Some(&1) {
                continue;
            }
            let mgf =
                if mask.name == label.name { String::new() } else { format!(", MGF1 with {}", mask.name) };
            let found = |label: String| Unpadded {
                words: Some(format!("is padded with OAEP ({label}) instead of PKCS#1 v1.5").into()),
                message: rest[zeros + 1..].to_vec(),
            };
            if hash == of_label {
                return Some(found(format!("{}{mgf}", label.name)));
            }
            if zeros >= NO_ACCIDENT {
                with_label.get_or_insert_with(|| {
                    found(format!("a hash of {} bytes{mgf}, with a label", of_label.len()))
                });
            }
        }
    }
    with_label
}

/// The text without the mask that MGF1 makes of the seed (RFC 8017, B.2.1).
fn unmasked(text: &[u8], hash: &HashFunction, seed: &[u8]) -> Vec<u8> {
    let mask = (0u32..).flat_map(|counter| (hash.digest)(seed, &counter.to_be_bytes()));
    text.iter().zip(mask).map(|(byte, mask)| byte ^ mask).collect()
}

/// Block type 1, 00 01 FF .. FF 00: the padding of signatures.
#[must_use]
pub(super) fn signature(block: &[u8]) -> Option<Unpadded> {
    let padded = block.strip_prefix(&[0, 1])?;
    let padding = padded.iter().take_while(|byte| **byte == 0xFF).count();
    let message = padded.get(padding..)?.strip_prefix(&[0])?;
    let words = "is padded as a signature is (block type 1), not as a ciphertext";
    (padding >= NO_ACCIDENT).then(|| Unpadded { words: Some(words.into()), message: message.to_vec() })
}

/// Textbook RSA: zeros before the text or behind it, or a text as long as the key.
fn unpadded(block: &[u8]) -> Option<Unpadded> {
    let words = "was encrypted with no padding (textbook RSA) instead of PKCS#1 v1.5";
    let padded_by_hand = "was padded by another rule than PKCS#1 v1.5: 00 02, then too few random bytes";
    let before = block.iter().take_while(|byte| **byte == 0).count();
    let behind = block.iter().rev().take_while(|byte| **byte == 0).count();
    let (from, to) = match (before >= NO_ACCIDENT, behind >= NO_ACCIDENT) {
        (true, _) => (before, block.len()),
        (_, true) => (0, block.len() - behind),
        _ if block.iter().all(|byte| matches!(byte, 9 | 10 | 13 | 32..=126)) => (0, block.len()),
        _ => {
            let padded = block.strip_prefix(&[0, 2])?;
            let end = padded.iter().take(NO_ACCIDENT).position(|byte| *byte == 0)?;
            let message = padded[end + 1..].to_vec();
            let certain = message.len() >= NO_ACCIDENT && message.iter().all(|byte| matches!(byte, 32..=126));
            return certain.then(|| Unpadded { words: Some(padded_by_hand.into()), message });
        }
    };
    // UTF-16 starts or ends with a zero byte that belongs to it.
    let message = block.get(from..to).filter(|message| !message.is_empty() && is_plausible(message))?;
    Some(Unpadded { words: Some(words.into()), message: message.to_vec() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 256;

    /// OAEP as a library would encode it, with the seed 7, 7, ...
    fn oaep_block(label: &HashFunction, mask: &HashFunction, text: &[u8], message: &[u8]) -> Vec<u8> {
        let mut data = (label.digest)(text, b"");
        let seed = vec![7; data.len()];
        data.resize(SIZE - 1 - seed.len() - message.len() - 1, 0);
        data.push(1);
        data.extend_from_slice(message);
        let data = unmasked(&data, mask, &seed);
        [&[0][..], &unmasked(&seed, mask, &data), &data].concat()
    }

    #[track_caller]
    fn check(block: &[u8], words: Option<&str>, message: &[u8]) {
        let found = judge(block).expect("a known padding");
        assert_eq!(found.message, message);
        assert!(found.words.as_deref().unwrap_or_default().contains(words.unwrap_or_default()), "{found:?}");
        assert_eq!(found.words.is_some(), words.is_some());
    }

    #[test]
    fn every_pair_of_hash_functions_of_oaep_is_recognized() {
        for label in &HASH_FUNCTIONS {
            for mask in &HASH_FUNCTIONS {
                let name = format!("OAEP ({}", label.name);
                check(&oaep_block(label, mask, b"", b"demo-user"), Some(&name), b"demo-user");
                let name = format!("OAEP (a hash of {} bytes", (label.digest)(b"", b"").len());
                let found = oaep_block(label, mask, b"a label", b"demo-user");
                check(&found, Some(&name), b"demo-user");
                check(&found, Some(", with a label) instead of"), b"demo-user");
            }
        }
    }

    #[test]
    fn other_paddings_are_recognized() {
        let filled = |start: &[u8], fill: u8, end: &[u8]| {
            [start, &vec![fill; SIZE - start.len() - end.len()], end].concat()
        };
        check(&filled(&[0, 2], 0xAA, b"\0demo-user"), None, b"demo-user");
        check(&filled(&[], 0, b"demo-user"), Some("no padding"), b"demo-user");
        check(&filled(b"demo-user", 0, b""), Some("no padding"), b"demo-user");
        check(&filled(b"demo-user", b' ', b""), Some("no padding"), &filled(b"demo-user", b' ', b""));
        check(&filled(&[0, 1], 0xFF, b"\0demo-user"), Some("as a signature"), b"demo-user");
        let mut reversed = filled(&[0, 2], 0xAA, b"\0demo-user");
        reversed.reverse();
        check(&reversed, Some("reversed, byte by byte"), b"demo-user");
        let short = filled(&[0, 2, 9, 9, 9, 0], b'x', b"");
        check(&short, Some("too few random bytes"), &short[6..]);
    }

    #[test]
    fn nothing_is_recognized_in_what_another_key_gives() {
        use rand::{RngExt, SeedableRng};
        let mut random = rand::rngs::ChaCha8Rng::seed_from_u64(1);
        let mut block = [0; SIZE];
        for number in 0..500 {
            random.fill(&mut block);
            block[0] = (number % 2) as u8;
            assert_eq!(judge(&block), None);
        }
        // By accident padded, with what nobody encrypts.
        block[0..2].copy_from_slice(&[0, 2]);
        block[2..12].fill(0xAA);
        block[12] = 0;
        block[13..].fill(0x81);
        assert_eq!(judge(&block), None);
        assert_eq!(judge(&[0; SIZE]), None);
        assert_eq!(judge(&[]), None);
    }
}
