//! What DER bytes are, by their structure: RSA keys, certificates, and the other things that people have in key files.

use rsa::BoxedUint;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::pkcs8::der::{Encode, Header, Reader, SliceReader};

use super::{Foreign, Item, MAKE_PRIVATE, MAKE_PUBLIC};

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BIT_STRING: u8 = 0x03;
const OCTET_STRING: u8 = 0x04;
const OBJECT_ID: u8 = 0x06;
/// `[0]` and `[1]`, constructed.
const CONTEXT_0: u8 = 0xA0;

/// Object identifiers of key algorithms, as DER has them, and what such a key is.
const ALGORITHMS: [(&[u8], &str); 9] = [
    (RSA, "an RSA key"),
    (&[0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01], "an EC key (elliptic curve)"),
    (&[0x2B, 0x65, 0x70], "an Ed25519 key (elliptic curve)"),
    (&[0x2B, 0x65, 0x71], "an Ed448 key (elliptic curve)"),
    (&[0x2B, 0x65, 0x6E], "an X25519 key (elliptic curve)"),
    (&[0x2A, 0x86, 0x48, 0xCE, 0x38, 0x04, 0x01], "a DSA key"),
    (&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x03, 0x01], "a Diffie-Hellman key"),
    (&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x0A], "an RSA-PSS key, which signs only"),
    (&[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x07], "an RSA-OAEP key"),
];
const RSA: &[u8] = &[0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x01, 0x01];

/// An element: its tag, its content, and all of it.
#[derive(Clone, Copy)]
struct Element<'a> {
    tag: u8,
    content: &'a [u8],
    whole: &'a [u8],
}

/// Says what DER bytes are. Bytes behind the first element are ignored.
pub fn item(bytes: &[u8]) -> Item {
    known(bytes).unwrap_or_else(|| {
        let what =
            if is_cut(bytes) { "a key whose end is missing" } else { "binary data (DER) of another kind" };
        Item::Foreign(Foreign {
            what,
            for_public: "copy the whole file; look at it with: openssl asn1parse -inform DER -in FILE",
            for_private: "copy the whole file; look at it with: openssl asn1parse -inform DER -in FILE",
        })
    })
}

/// Returns whether bytes may be DER: a sequence that begins with a number, an identifier or a sequence.
pub fn looks_like_der(bytes: &[u8]) -> bool {
    let is_inner = |tag: u8| matches!(tag, SEQUENCE | INTEGER | OBJECT_ID);
    match *bytes {
        [SEQUENCE, 0x81, _, tag, ..]
        | [SEQUENCE, 0x82, _, _, tag, ..]
        | [SEQUENCE, 0x83, _, _, _, tag, ..] => is_inner(tag),
        [SEQUENCE, length, tag, ..] => usize::from(length) + 2 == bytes.len() && is_inner(tag),
        _ => false,
    }
}

fn is_cut(bytes: &[u8]) -> bool {
    let Ok(reader) = SliceReader::new(bytes) else { return false };
    let announced = Header::peek(&reader).and_then(|header| header.encoded_len()? + header.length());
    announced.is_ok_and(|announced| announced > reader.input_len())
}

/// Splits content into its elements, at most 16.
fn elements(content: &[u8]) -> Option<Vec<Element<'_>>> {
    let mut reader = SliceReader::new(content).ok()?;
    let mut found = Vec::new();
    while !reader.is_finished() && found.len() < 16 {
        let head = Header::peek(&reader).ok()?.encoded_len().ok()?;
        let whole = reader.tlv_bytes().ok()?;
        let content = whole.get(usize::try_from(head).ok()?..)?;
        found.push(Element { tag: *whole.first()?, content, whole });
    }
    Some(found)
}

fn known(bytes: &[u8]) -> Option<Item> {
    let outer = SliceReader::new(bytes).ok()?.tlv_bytes().ok()?;
    let outer = *elements(outer)?.first().filter(|outer| outer.tag == SEQUENCE)?;
    let parts = elements(outer.content)?;
    let tags: Vec<u8> = parts.iter().map(|part| part.tag).collect();
    let first = parts.first()?;
    Some(match *tags.as_slice() {
        [SEQUENCE, BIT_STRING] => public(first, &parts[1])?,
        [INTEGER, INTEGER] => rsa_public(outer.whole)?,
        [SEQUENCE, SEQUENCE, BIT_STRING] => signed(&elements(first.content)?)?,
        [INTEGER, SEQUENCE, OCTET_STRING, ..] => private(first_oid(&parts[1])?, outer.whole),
        [INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, ..] => {
            rsa::PrivateKey::from_pkcs1_der(outer.whole).map_or(DAMAGED, |key| Item::Private(Box::new(key)))
        }
        [INTEGER, INTEGER, INTEGER, INTEGER, INTEGER, INTEGER] => Item::Foreign(Foreign::of("a DSA key")),
        [INTEGER, OCTET_STRING, ..] => Item::Foreign(Foreign::of("an EC key (elliptic curve)")),
        [SEQUENCE, OCTET_STRING] => Item::Foreign(ENCRYPTED),
        [INTEGER, SEQUENCE] | [INTEGER, SEQUENCE, SEQUENCE] if first.content == [3] => Item::Foreign(PKCS12),
        [OBJECT_ID, CONTEXT_0] => Item::Foreign(PKCS7),
        _ => return None,
    })
}

/// A private key under a passphrase.
pub const ENCRYPTED: Foreign = Foreign {
    what: "a private key protected by a passphrase",
    for_public: "make its public half: openssl pkey -in FILE -pubout -out public.pem",
    for_private: "remove the passphrase, and use the new file: openssl pkey -in FILE -out new.pem",
};

const PKCS12: Foreign = Foreign {
    what: "a PKCS#12 key store (.p12, .pfx)",
    for_public: "take its certificate: openssl pkcs12 -in FILE -nokeys -clcerts -out certificate.pem",
    for_private: "take its key: openssl pkcs12 -in FILE -nocerts -nodes -out private.pem",
};

/// Certificates, or signed data, without a key.
pub const PKCS7: Foreign = Foreign {
    what: "a PKCS#7 bundle (.p7b)",
    for_public: "take its certificates: openssl pkcs7 -in FILE -print_certs -out certificate.pem (with -inform DER for a binary file)",
    for_private: "it holds no private key; take the key that belongs to its certificate",
};

/// A request for a certificate.
pub const REQUEST: Foreign = Foreign {
    what: "a certificate request (CSR)",
    for_public: "take its public key: openssl req -in FILE -pubkey -noout -out public.pem",
    for_private: "it holds no private key; take the key with which it was made",
};

const DAMAGED: Item = Item::Foreign(Foreign {
    what: "an RSA key whose numbers are damaged, or not of 1024 to 8192 bits",
    for_public: MAKE_PUBLIC,
    for_private: MAKE_PRIVATE,
});

/// The content of the object identifier that a sequence begins with.
fn first_oid<'a>(algorithm: &Element<'a>) -> Option<&'a [u8]> {
    elements(algorithm.content)?.first().filter(|oid| oid.tag == OBJECT_ID).map(|oid| oid.content)
}

fn algorithm(oid: &[u8]) -> Foreign {
    let known = ALGORITHMS.iter().find(|(known, _)| *known == oid);
    Foreign::of(known.map_or("a key of an unknown algorithm", |(_, what)| what))
}

/// A key of SPKI: its algorithm, and the bits of the key itself.
fn public(algorithm_id: &Element, bits: &Element) -> Option<Item> {
    let oid = first_oid(algorithm_id)?;
    if oid != RSA {
        return Some(Item::Foreign(algorithm(oid)));
    }
    // The first byte counts the unused bits, and is 0.
    rsa_public(bits.content.get(1..)?)
}

/// The two numbers of PKCS#1.
fn rsa_public(der: &[u8]) -> Option<Item> {
    let outer = elements(der)?;
    let numbers = elements(outer.first()?.content)?;
    match numbers.as_slice() {
        [n, e] if n.tag == INTEGER && e.tag == INTEGER => Some(from_numbers(n.content, e.content)),
        _ => None,
    }
}

/// An RSA key of its modulus and exponent, big-endian.
pub fn from_numbers(n: &[u8], e: &[u8]) -> Item {
    let strip = |bytes: &[u8]| {
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        BoxedUint::from_be_slice_vartime(&bytes[zeros..])
    };
    let is_possible = n.iter().any(|byte| *byte != 0) && e.iter().any(|byte| *byte != 0);
    match is_possible.then(|| rsa::PublicKey::new(strip(n), strip(e))) {
        Some(Ok(key)) => Item::Public(Box::new(key)),
        _ => DAMAGED,
    }
}

fn private(oid: &[u8], der: &[u8]) -> Item {
    if oid != RSA {
        return Item::Foreign(algorithm(oid));
    }
    rsa::PrivateKey::from_pkcs8_der(der).map_or(DAMAGED, |key| Item::Private(Box::new(key)))
}

/// A certificate, or a request for one, by the parts of what is signed.
fn signed(parts: &[Element]) -> Option<Item> {
    let parts = if parts.first()?.tag == CONTEXT_0 { &parts[1..] } else { parts };
    let tags: Vec<u8> = parts.iter().map(|part| part.tag).collect();
    match *tags.as_slice() {
        // serial, signature, issuer, validity, subject, key
        [INTEGER, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, SEQUENCE, ..] => known(parts[5].whole),
        [INTEGER, SEQUENCE, SEQUENCE] | [INTEGER, SEQUENCE, SEQUENCE, CONTEXT_0] => {
            Some(Item::Foreign(REQUEST))
        }
        _ => Some(Item::Foreign(Foreign::of("a revocation list or other signed data"))),
    }
}
