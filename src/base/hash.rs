//! SHA-256 digests and hexadecimal encoding.

use sha2::{Digest, Sha256};

/// Returns the first 16 bytes of the SHA-256.
#[must_use]
pub fn digest(bytes: &[u8]) -> [u8; 16] {
    let mut prefix = [0; 16];
    prefix.copy_from_slice(&Sha256::digest(bytes)[..16]);
    prefix
}

/// Encodes bytes in lower-case hexadecimal, as the journal writes them.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    let digit = |nibble: u8| char::from(b"0123456789abcdef"[usize::from(nibble)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

/// Decodes bytes in lower-case hexadecimal; `None` when the text is anything else, or of another length.
#[must_use]
pub fn unhex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let digit = |byte: u8| b"0123456789abcdef".iter().position(|digit| *digit == byte);
    let mut bytes = [0; N];
    if text.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_read_as_it_is_written() {
        assert_eq!(unhex(&hex(&[0, 9, 0xab, 0xff])), Some([0, 9, 0xab, 0xff]));
        for wrong in ["", "00", "000", "zz00", "AB00", "000000"] {
            assert_eq!(unhex::<2>(wrong), None, "{wrong}");
        }
    }
}
