//! Cache for repeated evidence: ciphertexts that decrypted to the expected text, and valid photos.
//!
//! Caches successes only. Everything else is evaluated again each time, so a reported fault never depends on earlier requests, but for the
//! budget of diagnoses: beyond it the reason is "not examined", and the same text is examined when it comes again later.
//!
//! A ciphertext is cached as one keyed SHA-256 of the claim "this text decrypts to this value with this key". Neither ciphertext nor
//! password is stored, and after a change of the key or the account the old entry is not found.
//!
//! A photo is identified by the GMAC of its base64 text: 5 µs for 134 kB, where base64 decoding, SHA-256 and the header check take
//! 100 µs. Nobody can choose two texts with the same GMAC without its key. Hashes that are faster still do not guarantee that.

use std::fmt;
use std::time::Instant;

use sha2::{Digest, Sha256};

use super::cache::Cache;
use super::diagnosis_budget::DiagnosisBudget;
use crate::domain::evidence::photo::PhotoInfo;
use crate::domain::evidence::{Credential, Photo, credential};
use crate::domain::limits::Limits;
use crate::keys::{Budget, KeyRing, PrivateKey};
use crate::protocol::encoding::Base64Mode;

/// Cache of valid ciphertexts and photos.
#[derive(Default)]
pub struct EvidenceCache {
    secret: HashKey,
    /// Key: one digest over the ciphertext and the expected plain text it decrypted to. Value: whether the base64 had line breaks.
    /// Stores neither plain text nor ciphertext.
    opened: Cache<[u8; 32], bool>,
    photos: Cache<PhotoKey, PhotoInfo>,
    diagnoses: DiagnosisBudget,
}

// A derived Debug would print digests of credentials and the secret.
impl fmt::Debug for EvidenceCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EvidenceCache({} ciphertexts, {} photos)", self.opened.count(), self.photos.count())
    }
}

/// An encrypted field, and the key to decrypt it with.
#[derive(Clone, Copy)]
pub struct EncryptedField<'a> {
    /// Base64, as sent.
    pub text: Option<&'a str>,
    /// The account's own value.
    pub expected: Option<&'a str>,
    pub mode: Base64Mode,
    pub key: &'a PrivateKey,
    pub ring: &'a KeyRing,
}

impl EncryptedField<'_> {
    fn open(&self, budget: &dyn Budget) -> Credential {
        credential::open(self.text, self.expected, self.mode, self.key, self.ring, budget)
    }
}

/// Cache key of a photo: its text, and everything else that affects the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct PhotoKey {
    tag: [u8; 16],
    chars: usize,
    mode: Base64Mode,
    max_bytes: u64,
    max_pixels: u64,
    max_side: u32,
}

impl EvidenceCache {
    /// Decrypts a field, as [`credential::open`] does. On a cache hit (the same text decrypted to `expected` before) the private key
    /// is not used.
    #[must_use]
    pub fn open(&self, field: EncryptedField, limits: &Limits) -> Credential {
        let EncryptedField { text, expected, mode, key, .. } = field;
        let budget = self.diagnoses.at(limits.diagnosis.0, Instant::now);
        let max_entries = limits.remembered_ciphertexts;
        let (Some(text), Some(expected), true) = (text, expected, max_entries > 0) else {
            return field.open(&budget);
        };
        let digest = self.secret.credential_digest(text, expected, mode, key);
        if let Some(line_breaks) = self.opened.get(&digest) {
            return Credential::Opened { plain: expected.to_owned(), line_breaks };
        }
        let credential = field.open(&budget);
        if let Credential::Opened { plain, line_breaks } = &credential
            && plain == expected
        {
            self.opened.insert(digest, *line_breaks, max_entries);
        }
        credential
    }

    /// Parses the text of the field `image`, as [`Photo::read`] does. On a cache hit (the same text was valid before) it is neither
    /// decoded nor hashed.
    #[must_use]
    pub fn photo<'a>(&self, text: &'a str, mode: Base64Mode, limits: &Limits) -> Photo<'a> {
        let max_entries = limits.remembered_photos;
        let Some(key) = self.photo_key(text, mode, limits).filter(|_| max_entries > 0) else {
            return Photo::read(text, mode, limits);
        };
        if let Some(info) = self.photos.get(&key) {
            return Photo::cached(text, mode, info);
        }
        let photo = Photo::read(text, mode, limits);
        if photo.is_fit() {
            self.photos.insert(key, photo.info.clone(), max_entries);
        }
        photo
    }

    fn photo_key(&self, text: &str, mode: Base64Mode, limits: &Limits) -> Option<PhotoKey> {
        Some(PhotoKey {
            tag: self.secret.tag(text)?,
            chars: text.len(),
            mode,
            max_bytes: limits.image_bytes.0,
            max_pixels: limits.image_pixels,
            max_side: limits.image_side,
        })
    }

    /// Removes all ciphertexts, because keys or accounts may have changed. The digest includes the key, so stale entries would not
    /// match anyway.
    pub fn clear_ciphertexts(&self) {
        self.opened.clear();
    }

    /// Returns the number of cached ciphertexts and photos.
    #[must_use]
    pub fn counts(&self) -> (usize, usize) {
        (self.opened.count(), self.photos.count())
    }
}

/// Random key for digests and tags, generated once per cache. It prevents clients from crafting collisions, and prevents guessing
/// the plain texts from a memory dump of the digests.
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
    /// Returns the cache key for: `text` decrypts to `plain` with `key`.
    fn credential_digest(&self, text: &str, plain: &str, mode: Base64Mode, key: &PrivateKey) -> [u8; 32] {
        let mut digest = Sha256::new_with_prefix(self.bytes);
        digest.update(key.fingerprint());
        digest.update([mode as u8]);
        digest.update((text.len() as u64).to_be_bytes());
        digest.update(text);
        digest.update(plain);
        digest.finalize().into()
    }

    /// Returns the GMAC of a text: four times as fast as SHA-256. The nonce is constant, which is safe because no tag leaves this
    /// process: two texts collide with a probability below 2^-100, even if an attacker chose them.
    #[cfg(feature = "aws-lc")]
    fn tag(&self, text: &str) -> Option<[u8; 16]> {
        use aws_lc_rs::aead::{Aad, Nonce};
        let nonce = Nonce::assume_unique_for_key([0; 12]);
        let tag = self.mac.as_ref()?.seal_in_place_separate_tag(nonce, Aad::from(text), &mut []).ok()?;
        tag.as_ref().try_into().ok()
    }

    /// Returns `None`, which disables the photo cache: without aws-lc no tag is cheaper than validating the photo, and RSA dominates.
    #[cfg(not(feature = "aws-lc"))]
    fn tag(&self, _: &str) -> Option<[u8; 16]> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;
    use crate::base::duration::DurationText;
    use crate::protocol::encoding::encode;

    static KEYS: LazyLock<[KeyRing; 2]> = LazyLock::new(|| {
        ["one", "other"].map(|name| KeyRing::new(PrivateKey::generate(name, 2048).unwrap(), None))
    });

    /// All kinds of texts: encrypted with either key, right, nearly right, wrapped, not base64.
    static TEXTS: LazyLock<Vec<String>> = LazyLock::new(|| {
        let encrypt = |ring: &KeyRing, plain: &[u8]| {
            let public = crate::keys::read_public_pem(ring.server().public_pem()).unwrap();
            encode(&crate::keys::encrypt(&public, plain).unwrap())
        };
        let plains: [&[u8]; 6] = [b"demo-user", b"demo-password", b"demo-user\n", b"Demo-User", b"", &[0xFF]];
        let encrypted = KEYS.iter().flat_map(|ring| plains.map(|plain| encrypt(ring, plain)));
        let mut texts: Vec<_> = encrypted.collect();
        texts.push(texts[0].replacen(|_: char| true, "", 1));
        texts.push(format!("{}\r\n{}", &texts[0][..76], &texts[0][76..]));
        texts.push("demo-user".to_owned());
        texts
    });

    const PLAINS: [Option<&str>; 4] = [Some("demo-user"), Some("demo-password"), Some(""), None];

    fn mode(mime: bool) -> Base64Mode {
        if mime { Base64Mode::Mime } else { Base64Mode::Strict }
    }

    fn field<'a>(text: usize, expected: usize, mime: bool, ring: usize) -> EncryptedField<'a> {
        let ring = &KEYS[ring];
        let text = TEXTS.get(text).map(String::as_str);
        EncryptedField { text, expected: PLAINS[expected], mode: mode(mime), key: ring.server(), ring }
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 16, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_field_decrypts_as_without_a_cache_whatever_was_sent_before(
            max_entries in 0..6usize,
            sent in prop::collection::vec((0..16usize, 0..4usize, any::<bool>(), 0..2usize), 1..30),
        ) {
            let cache = EvidenceCache::default();
            let limits = Limits { remembered_ciphertexts: max_entries, diagnosis: DurationText(Duration::MAX), ..Limits::default() };
            for (text, expected, mime, ring) in sent {
                let field = field(text, expected, mime, ring);
                let uncached = field.open(&crate::keys::Unlimited);
                prop_assert_eq!(cache.open(field, &limits), uncached);
                prop_assert!(cache.counts().0 <= max_entries);
            }
        }

        #[test]
        fn a_photo_parses_as_without_a_cache_whatever_was_sent_before(
            max_entries in 0..3usize,
            sent in prop::collection::vec((0..6usize, any::<bool>(), 0..4usize), 1..40),
        ) {
            let photos = photos();
            let cache = EvidenceCache::default();
            for (text, mime, limits) in sent {
                let limits = match limits {
                    3 => Limits { image_side: 10, remembered_photos: max_entries, ..Limits::default() },
                    0 => Limits { remembered_photos: max_entries, ..Limits::default() },
                    1 => Limits { image_pixels: 10, remembered_photos: max_entries, ..Limits::default() },
                    _ => Limits { image_bytes: crate::base::size::Size(10), remembered_photos: max_entries, ..Limits::default() },
                };
                let photo = cache.photo(&photos[text], mode(mime), &limits);
                let uncached = Photo::read(&photos[text], mode(mime), &limits);
                prop_assert_eq!(described(&photo), described(&uncached));
                prop_assert!(cache.counts().1 <= max_entries);
            }
        }
    }

    fn photos() -> Vec<String> {
        let siti = include_bytes!("../../fixtures/gallery/siti.jpg");
        let full = encode(siti);
        let wrapped = format!("{}\n{}", &full[..76], &full[76..]);
        let longer = encode(&[&siti[..], &[1]].concat());
        vec![wrapped, longer, full.clone(), encode(&siti[..1000]), format!("{full}*"), String::new()]
    }

    fn described(photo: &Photo) -> String {
        let info = &photo.info;
        format!(
            "{:?} {:?} {:?} {} {} {:?}",
            info.sha256, info.format, info.dimensions, info.bytes, info.line_breaks, photo.fault
        ) + &encode(&photo.file())
    }

    #[test]
    fn only_texts_that_decrypt_to_the_expected_value_are_cached() {
        let (cache, limits) = (EvidenceCache::default(), Limits::default());
        for (text, expected, cached) in [(0, 1, 0), (2, 0, 0), (14, 0, 0), (0, 0, 1), (0, 0, 1), (1, 1, 2)] {
            let _ = cache.open(field(text, expected, false, 0), &limits);
            assert_eq!(cache.counts().0, cached, "text {text} for {:?}", PLAINS[expected]);
        }
        // A cache hit skips decryption: this entry is for a text that cannot be decrypted.
        let digest =
            cache.secret.credential_digest("no base64", "demo-user", Base64Mode::Strict, KEYS[0].server());
        cache.opened.insert(digest, false, 10);
        let field = EncryptedField { text: Some("no base64"), ..field(0, 0, false, 0) };
        assert!(matches!(cache.open(field, &limits), Credential::Opened { .. }));
        cache.clear_ciphertexts();
        assert!(matches!(cache.open(field, &limits), Credential::Refused { .. }));
    }

    #[test]
    fn what_was_not_examined_is_examined_when_it_comes_again() {
        let reversed: Vec<u8> = crate::protocol::encoding::decode(&TEXTS[0], Base64Mode::Strict)
            .unwrap()
            .bytes
            .into_iter()
            .rev()
            .collect();
        let text = encode(&reversed);
        let cache = EvidenceCache::default();
        let reason = |diagnosis| {
            let limits = Limits { diagnosis: DurationText(diagnosis), ..Limits::default() };
            match cache.open(EncryptedField { text: Some(&text), ..field(0, 0, false, 0) }, &limits) {
                Credential::Refused { reason, hint } => {
                    assert!(!hint.is_empty());
                    reason
                }
                other => panic!("{other:?}"),
            }
        };
        for _ in 0..2 {
            assert!(reason(Duration::ZERO).contains("why was not examined"), "{}", reason(Duration::ZERO));
            assert!(reason(Duration::MAX).contains("reverse order"), "{}", reason(Duration::MAX));
        }
    }

    #[cfg(feature = "aws-lc")]
    #[test]
    fn a_cached_photo_still_returns_its_file() {
        let (cache, limits, photos) = (EvidenceCache::default(), Limits::default(), photos());
        for _ in 0..2 {
            let photo = cache.photo(&photos[2], Base64Mode::Strict, &limits);
            assert_eq!(encode(&photo.file()), photos[2]);
            assert_eq!(cache.counts().1, 1);
        }
        let key = cache.photo_key("never seen", Base64Mode::Strict, &limits).unwrap();
        cache.photos.insert(key, PhotoInfo { bytes: 7, ..PhotoInfo::default() }, 10);
        assert_eq!(cache.photo("never seen", Base64Mode::Strict, &limits).bytes, 7);
    }

    #[test]
    fn debug_output_contains_no_evidence() {
        let (cache, limits) = (EvidenceCache::default(), Limits::default());
        let _ = cache.open(field(0, 0, false, 0), &limits);
        assert_eq!(format!("{cache:?}"), "EvidenceCache(1 ciphertexts, 0 photos)");
    }
}
