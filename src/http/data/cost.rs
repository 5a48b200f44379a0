//! Whether a body takes long to evaluate. It is then evaluated beside the thread of its connection, which others wait for.

use crate::domain::pixels::{self, PhotoFormat};
use crate::protocol::encoding::{self, Base64Mode};

/// Max bytes of a body that is evaluated on the thread of its connection. Beyond, decoding takes longer than the two thread switches that
/// another thread costs, and other connections would wait for it. A JPEG takes time by its bytes.
const MAX_INLINE_BODY: usize = 256 << 10;

/// Max pixels of a PNG that is decoded on the thread of its connection: some milliseconds. A PNG takes time by its pixels, and a
/// kilobyte may be a million of them.
const MAX_INLINE_PIXELS: u64 = 1 << 20;

/// The base64 with which every PNG begins; and the length of the base64 that tells its dimensions.
const PNG: &[u8] = b"iVBORw0KGgo";
const PNG_HEAD: usize = 48;

/// Returns whether a body should not be evaluated on the thread of its connection.
#[must_use]
pub fn is_costly(body: &[u8]) -> bool {
    // Escapes may hide a PNG.
    body.len() > MAX_INLINE_BODY || memchr::memchr(b'\\', body).is_some() || has_large_png(body)
}

fn has_large_png(body: &[u8]) -> bool {
    let pngs = memchr::memmem::find_iter(body, PNG);
    // What does not tell its size may have any.
    pngs.into_iter().any(|at| pixels_of(&body[at..]).is_none_or(|pixels| pixels > MAX_INLINE_PIXELS))
}

fn pixels_of(base64: &[u8]) -> Option<u64> {
    let head = std::str::from_utf8(base64.get(..PNG_HEAD)?).ok()?;
    let head = encoding::decode(head, Base64Mode::Strict).ok()?;
    let (width, height) = pixels::dimensions(&head.bytes, PhotoFormat::Png)?;
    Some(u64::from(width) * u64::from(height))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body with a PNG of this size, as far as its header.
    fn body(width: u32, height: u32) -> Vec<u8> {
        let mut file = b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR".to_vec();
        file.extend([width, height].map(u32::to_be_bytes).concat());
        file.extend([8, 2, 0, 0, 0, 1, 2, 3, 4, 0, 0, 1, 0]);
        format!("{{\"image\":\"{}\"}}", encoding::encode(&file)).into_bytes()
    }

    #[test]
    fn long_bodies_and_pngs_of_many_pixels_are_costly() {
        let text = |body: Vec<u8>, from: &str, to: &str| {
            String::from_utf8(body).unwrap().replace(from, to).into_bytes()
        };
        let small = || body(1024, 1024);
        for (what, body, expected) in [
            ("a small PNG", small(), false),
            ("a large PNG", body(1024, 1025), true),
            ("a large PNG behind a small one", [small(), body(9000, 9000)].concat(), true),
            ("a PNG that ends early", small()[..50].to_vec(), true),
            ("a PNG without a size", body(0, 1), true),
            ("a PNG in another alphabet", text(small(), "AAAN", "AA*N"), true),
            ("escapes", text(small(), "iVBOR", "\\u0069VBOR"), true),
            ("anything short", b"{}".to_vec(), false),
            ("a body at the limit", vec![b' '; MAX_INLINE_BODY], false),
            ("a body beyond it", vec![b' '; MAX_INLINE_BODY + 1], true),
        ] {
            assert_eq!(is_costly(&body), expected, "{what}");
        }
    }
}
