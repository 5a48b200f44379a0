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
