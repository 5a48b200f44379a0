//! The hash functions that libraries offer, by name: to recognize which of them somebody used.

use md5::Md5;
use sha1::Sha1;
use sha2::{Digest, Sha224, Sha256, Sha384, Sha512, Sha512_224, Sha512_256};

/// A hash function.
pub struct HashFunction {
    pub name: &'static str,
    /// Length of a digest in bytes.
    pub size: usize,
    /// Returns the digest of a text and its continuation.
    pub digest: fn(&[u8], &[u8]) -> Vec<u8>,
}

fn digest<D: Digest>(text: &[u8], continued: &[u8]) -> Vec<u8> {
    D::new().chain_update(text).chain_update(continued).finalize().to_vec()
}

/// All of them, the usual ones first.
pub static HASH_FUNCTIONS: [HashFunction; 8] = [
    HashFunction { name: "SHA-1", size: 20, digest: digest::<Sha1> },
    HashFunction { name: "SHA-256", size: 32, digest: digest::<Sha256> },
    HashFunction { name: "SHA-512", size: 64, digest: digest::<Sha512> },
    HashFunction { name: "SHA-384", size: 48, digest: digest::<Sha384> },
    HashFunction { name: "SHA-224", size: 28, digest: digest::<Sha224> },
    HashFunction { name: "MD5", size: 16, digest: digest::<Md5> },
    HashFunction { name: "SHA-512/256", size: 32, digest: digest::<Sha512_256> },
    HashFunction { name: "SHA-512/224", size: 28, digest: digest::<Sha512_224> },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::hash::hex;

    #[test]
    fn sizes_and_digests_are_those_of_the_name() {
        for function in &HASH_FUNCTIONS {
            assert_eq!((function.digest)(b"", b"").len(), function.size, "{}", function.name);
        }
        let md5 = HASH_FUNCTIONS.iter().find(|function| function.name == "MD5").unwrap();
        assert_eq!(hex(&(md5.digest)(b"ab", b"c")), "900150983cd24fb0d6963f7d28e17f72", "RFC 1321, A.5");
    }
}
