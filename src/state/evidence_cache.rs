//! What repeated evidence costs less by: ciphertexts that opened to the right text, and photos that were found fit.
//!
//! Only what went well is remembered. Everything else is looked into again each time, so what is said about it never depends on
//! what was sent before.

use std::fmt;

use sha2::{Digest, Sha256};

use super::cache::Cache;
use crate::domain::evidence::photo::PhotoInfo;
use crate::domain::evidence::{Credential, Photo, credential};
use crate::domain::limits::Limits;
use crate::keys::{KeyRing, PrivateKey};
use crate::protocol::encoding::Base64Mode;

/// Ciphertexts and photos seen before.
#[derive(Default)]
pub struct EvidenceCache {
    secret: HashKey,
    /// A text opened to what was expected of it, both in one digest; whether it had line breaks. No plain text is here, and no
    /// ciphertext.
    opened: Cache<[u8; 32], bool>,
    photos: Cache<PhotoKey, PhotoInfo>,
}

// Digests of credentials and a secret.
impl fmt::Debug for EvidenceCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} ciphertexts, {} photos)", self.opened.count(), self.photos.count())
    }
}

/// An encrypted field, and what it is opened with.
#[derive(Clone, Copy)]
pub struct EncryptedField<'a> {
    /// As it was sent, base64.
    pub text: Option<&'a str>,
    /// The account's own value.
    pub expected: Option<&'a str>,
    pub mode: Base64Mode,
    pub key: &'a PrivateKey,
    pub ring: &'a KeyRing,
}

/// A photo's text with all that decides how it is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct PhotoKey {
    tag: [u8; 16],
    chars: usize,
    mode: Base64Mode,
    most_bytes: u64,
    most_pixels: u64,
}

impl EvidenceCache {
    /// Opens a field, as [`credential::open`] does: without the private key when the same text has opened to what is expected
    /// before.
    #[must_use]
    pub fn open(&self, sealed: EncryptedField, limits: &Limits) -> Credential {
        let EncryptedField { text, expected, mode, key, ring } = sealed;
        let most = limits.remembered_ciphertexts;
        let (Some(text), Some(expected), true) = (text, expected, most > 0) else {
            return credential::open(text, expected, mode, key, ring);
        };
        let digest = self.secret.claim(text, expected, mode, key);
        if let Some(line_breaks) = self.opened.get(&digest) {
            return Credential::Opened { plain: expected.to_owned(), line_breaks };
        }
        let credential = credential::open(Some(text), Some(expected), mode, key, ring);
        if let Credential::Opened { plain, line_breaks } = &credential
            && plain == expected
        {
            self.opened.insert(digest, *line_breaks, most);
        }
        credential
    }

    /// Reads the text of the field `image`, as [`Photo::read`] does: without decoding and hashing it when the same text was fit
    /// before.
    #[must_use]
    pub fn photo<'a>(&self, text: &'a str, mode: Base64Mode, limits: &Limits) -> Photo<'a> {
        let most = limits.remembered_photos;
        let Some(key) = self.photo_key(text, mode, limits).filter(|_| most > 0) else {
            return Photo::read(text, mode, limits);
        };
        if let Some(look) = self.photos.get(&key) {
            return Photo::seen(text, mode, look);
        }
        let photo = Photo::read(text, mode, limits);
        if photo.is_fit() {
            self.photos.insert(key, photo.look.clone(), most);
        }
        photo
    }

    fn photo_key(&self, text: &str, mode: Base64Mode, limits: &Limits) -> Option<PhotoKey> {
        Some(PhotoKey {
            tag: self.secret.tag(text)?,
            chars: text.len(),
            mode,
            most_bytes: limits.image_bytes.0,
            most_pixels: limits.image_pixels,
        })
    }

    /// Forgets all ciphertexts: keys or accounts may be others now. What opened with another key would not be found anyway.
    pub fn forget_ciphertexts(&self) {
        self.opened.clear();
    }

    /// How many ciphertexts and photos are remembered.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.opened.count(), self.photos.count())
    }
}

/// Random bytes that no one else knows, made anew in every process: with them nobody can choose texts that are taken for one
/// another, nor guess from memory what was sealed.
struct HashKey {
    bytes: [u8; 32],
    #[cfg(feature = "aws-lc")]
    mac: Option<aws_lc_rs::aead::LessSafeKey>,
}

impl Default for HashKey {
    fn default() -> HashKey {
        let bytes: [u8; 32] = rand::random();
        HashKey {
            #[cfg(feature = "aws-lc")]
            mac: mac(&bytes),
            bytes,
        }
    }
}

#[cfg(feature = "aws-lc")]
fn mac(secret: &[u8; 32]) -> Option<aws_lc_rs::aead::LessSafeKey> {
    use aws_lc_rs::aead::{AES_128_GCM, LessSafeKey, UnboundKey};
    UnboundKey::new(&AES_128_GCM, &secret[..16]).ok().map(LessSafeKey::new)
}

impl HashKey {
    /// The digest of: this text opens to that one.
    fn claim(&self, text: &str, plain: &str, mode: Base64Mode, key: &PrivateKey) -> [u8; 32] {
        let mut digest = Sha256::new_with_prefix(self.bytes);
        digest.update(key.fingerprint());
        digest.update([mode as u8]);
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
        digest.update(plain);
        digest.finalize().into()
    }

    /// The GMAC of a text: four times as fast as SHA-256. The nonce is always the same, which is harmless because no tag
    /// leaves this process: two texts have the same tag with a probability below 2^-100, whoever chose them.
    #[cfg(feature = "aws-lc")]
    fn tag(&self, text: &str) -> Option<[u8; 16]> {
        use aws_lc_rs::aead::{Aad, Nonce};
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let tag = self.mac.as_ref()?.seal_in_place_separate_tag(nonce, Aad::from(text), &mut []).ok()?;
        tag.as_ref().try_into().ok()
    }

    /// Nothing is faster than to look at the photo, and beside RSA without aws-lc it would not be noticed.
    #[cfg(not(feature = "aws-lc"))]
    fn tag(&self, _: &str) -> Option<[u8; 16]> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use proptest::prelude::*;

    use super::*;
    use crate::protocol::encoding::encode;

    static KEYS: LazyLock<[KeyRing; 2]> = LazyLock::new(|| {
        ["one", "other"].map(|name| KeyRing::new(PrivateKey::generate(name, 2048).unwrap(), None))
    });

    /// Texts of every kind: sealed with either key, right, nearly right, wrapped, no base64 at all.
    static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let seal = |ring: &KeyRing, plain: &[u8]| {
            let public = crate::keys::read_public_pem(ring.server().public_pem()).unwrap();
            encode(&crate::keys::encrypt(&public, plain).unwrap())
        };
        let plains: [&[u8]; 6] = [b"demo-user", b"demo-password", b"demo-user\n", b"Demo-User", b"", &[0xFF]];
        let sealed = KEYS.iter().flat_map(|ring| plains.map(|plain| seal(ring, plain)));
        let mut texts: Vec<_> = sealed.collect();
        texts.push(texts[0].replacen(|_: char| true, "", 1));
        texts.push(format!("{}\r\n{}", &texts[0][..76], &texts[0][76..]));
        texts.push("demo-user".to_owned());
        texts
    });

    const PLAINS: [Option<&str>; 4] = [Some("demo-user"), Some("demo-password"), Some(""), None];

    fn mode(mime: bool) -> Base64Mode {
        if mime { Base64Mode::Mime } else { Base64Mode::Strict }
    }

    fn sealed<'a>(text: usize, expected: usize, mime: bool, ring: usize) -> EncryptedField<'a> {
        let ring = &KEYS[ring];
        let text = TEXTS.get(text).map(String::as_str);
        EncryptedField { text, expected: PLAINS[expected], mode: mode(mime), key: ring.server(), ring }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn whatever_was_sent_before_a_field_opens_as_without_a_memory(
            most in 0..6usize,
            sent in prop::collection::vec((0..16usize, 0..4usize, any::<bool>(), 0..2usize), 1..30),
        ) {
            let memory = EvidenceCache::default();
            let limits = Limits { remembered_ciphertexts: most, ..Limits::default() };
            for (text, expected, mime, ring) in sent {
                let field = sealed(text, expected, mime, ring);
                let plainly = credential::open(field.text, field.expected, field.mode, field.key, field.ring);
                prop_assert_eq!(memory.open(field, &limits), plainly);
                prop_assert!(memory.counts().0 <= most);
            }
        }

        #[test]
        fn whatever_was_sent_before_a_photo_is_seen_as_without_a_memory(
            most in 0..3usize,
            sent in prop::collection::vec((0..6usize, any::<bool>(), 0..3usize), 1..40),
        ) {
            let photos = photos();
            let memory = EvidenceCache::default();
            for (text, mime, limits) in sent {
                let limits = match limits {
                    0 => Limits { remembered_photos: most, ..Limits::default() },
                    1 => Limits { image_pixels: 10, remembered_photos: most, ..Limits::default() },
                    _ => Limits { image_bytes: crate::base::size::Size(10), remembered_photos: most, ..Limits::default() },
                };
                let photo = memory.photo(&photos[text], mode(mime), &limits);
                let plainly = Photo::read(&photos[text], mode(mime), &limits);
                prop_assert_eq!(told(&photo), told(&plainly));
                prop_assert!(memory.counts().1 <= most);
            }
        }
    }

    fn photos() -> Vec<String> {
        let siti = include_bytes!("../../fixtures/gallery/siti.jpg");
        let whole = encode(siti);
        let wrapped = format!("{}\n{}", &whole[..76], &whole[76..]);
        let longer = encode(&[&siti[..], &[1]].concat());
        vec![wrapped, longer, whole.clone(), encode(&siti[..1000]), format!("{whole}*"), String::new()]
    }

    fn told(photo: &Photo) -> String {
        let look = &photo.look;
        format!(
            "{:?} {:?} {:?} {} {} {:?}",
            look.sha256, look.format, look.dimensions, look.bytes, look.line_breaks, photo.fault
        ) + &encode(&photo.file())
    }

    #[test]
    fn what_opened_to_the_right_text_is_not_opened_again_and_nothing_else_is_remembered() {
        let (memory, limits) = (EvidenceCache::default(), Limits::default());
        for (text, expected, remembered) in
            [(0, 1, 0), (2, 0, 0), (14, 0, 0), (0, 0, 1), (0, 0, 1), (1, 1, 2)]
        {
            let _ = memory.open(sealed(text, expected, false, 0), &limits);
            assert_eq!(memory.counts().0, remembered, "text {text} for {:?}", PLAINS[expected]);
        }
        // What nobody could open is known to have been opened: it is not tried.
        let claim = memory.secret.claim("no base64", "demo-user", Base64Mode::Strict, KEYS[0].server());
        memory.opened.insert(claim, false, 10);
        let field = EncryptedField { text: Some("no base64"), ..sealed(0, 0, false, 0) };
        assert!(matches!(memory.open(field, &limits), Credential::Opened { .. }));
        memory.forget_ciphertexts();
        assert!(matches!(memory.open(field, &limits), Credential::Refused { .. }));
    }

    #[cfg(feature = "aws-lc")]
    #[test]
    fn a_photo_seen_before_is_known_and_its_file_still_there() {
        let (memory, limits, photos) = (EvidenceCache::default(), Limits::default(), photos());
        for _ in 0..2 {
            let photo = memory.photo(&photos[2], Base64Mode::Strict, &limits);
            assert_eq!(encode(&photo.file()), photos[2]);
            assert_eq!(memory.counts().1, 1);
        }
        let key = memory.photo_key("never seen", Base64Mode::Strict, &limits).unwrap();
        memory.photos.insert(key, PhotoInfo { bytes: 7, ..PhotoInfo::default() }, 10);
        assert_eq!(memory.photo("never seen", Base64Mode::Strict, &limits).bytes, 7);
    }

    #[test]
    fn nothing_of_what_was_sent_or_opened_is_in_the_memory() {
        let (memory, limits) = (EvidenceCache::default(), Limits::default());
        let _ = memory.open(sealed(0, 0, false, 0), &limits);
        assert_eq!(format!("{memory:?}"), "Memory(1 ciphertexts, 0 photos)");
    }
}
