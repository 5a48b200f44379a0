//! Finds the photo's text in a body without parsing JSON.
//!
//! The photo is nearly the whole body, and scanning it takes a third of the time of parsing it. So the decoder removes the photo first,
//! lets serde_json parse the rest, and checks that the photo stood where it seemed to. On anything unusual serde_json parses the whole
//! body.

/// Min length of the text, in bytes: for shorter ones it is not worth it. Also the block size of the scan.
pub const MIN_BYTES: usize = 4096;

/// Returns the text inside the quotes of what seems to be the value of `image`, and its offset, when it is long enough and needs no JSON
/// decoding: UTF-8, no control character and no backslash. The caller must check that it is that value.
pub fn find(bytes: &[u8]) -> Option<(usize, &str)> {
    const KEY: &[u8] = b"\"image\"";
    let after_key = memchr::memmem::find(bytes, KEY)? + KEY.len();
    let mut tokens = bytes[after_key..].iter().enumerate().filter(|(_, byte)| !b" \t\r\n".contains(byte));
    let start = match (tokens.next()?, tokens.next()?) {
        ((_, b':'), (quote, b'"')) => after_key + quote + 1,
        _ => return None,
    };
    let text = plain_text(&bytes[start..])?;
    (text.len() >= MIN_BYTES).then_some((start, text))
}

/// Returns the text before the closing quote, if it has no control character and no backslash. Scans block by block, so that each block
/// is still in the L1 cache for its second pass.
fn plain_text(bytes: &[u8]) -> Option<&str> {
    let (mut length, mut bits) = (0, 0);
    for block in bytes.chunks(MIN_BYTES) {
        let end = memchr::memchr2(b'"', b'\\', block);
        let text = &block[..end.unwrap_or(block.len())];
        // A minimum, unlike a search for a byte that is too small, is vectorized.
        let (min, set) = text.iter().fold((b' ', 0), |(min, set), byte| (min.min(*byte), set | *byte));
        if min < b' ' {
            return None;
        }
        length += text.len();
        bits |= set;
        if let Some(end) = end {
            return (block[end] == b'"').then(|| utf8(&bytes[..length], bits)).flatten();
        }
    }
    None
}

/// Returns the text if it is UTF-8. `bits` is the bitwise OR of all bytes.
#[expect(unsafe_code, reason = "the bytes are known to be ASCII, and most of them are a photo of megabytes")]
fn utf8(bytes: &[u8], bits: u8) -> Option<&str> {
    if bits >= 0x80 {
        return simdutf8::basic::from_utf8(bytes).ok();
    }
    // SAFETY: no byte has its highest bit set, so all are ASCII.
    Some(unsafe { std::str::from_utf8_unchecked(bytes) })
}
