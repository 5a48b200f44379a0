//! Where the photo's text stands in a body, found without reading JSON.

use std::ops::Range;

/// Shorter texts are not worth it.
pub const LONG: usize = 4096;

/// The inside of the quotes of what seems to be the value of `image`, when it is long and as JSON has it without an escape: no control
/// character and no backslash. Whether it is that value and UTF-8, others can tell.
pub fn find(bytes: &[u8]) -> Option<Range<usize>> {
    const KEY: &[u8] = b"\"image\"";
    let behind_key = memchr::memmem::find(bytes, KEY)? + KEY.len();
    let mut at = bytes[behind_key..].iter().enumerate().filter(|(_, byte)| !b" \t\r\n".contains(byte));
    let start = match (at.next()?, at.next()?) {
        ((_, b':'), (quote, b'"')) => behind_key + quote + 1,
        _ => return None,
    };
    let length = plain_length(&bytes[start..])?;
    (length >= LONG).then_some(start..start + length)
}

/// How far it is to the closing quote, if there is no control character and no backslash before it. Block by block, so that each is in
/// the nearest cache when it is looked at again.
fn plain_length(bytes: &[u8]) -> Option<usize> {
    let mut length = 0;
    for block in bytes.chunks(LONG) {
        let end = memchr::memchr2(b'"', b'\\', block);
        let text = &block[..end.unwrap_or(block.len())];
        // A minimum, unlike a search for what is too small, is taken of many bytes at once.
        if text.iter().fold(b' ', |least, byte| least.min(*byte)) < b' ' {
            return None;
        }
        length += text.len();
        if let Some(end) = end {
            return (block[end] == b'"').then_some(length);
        }
    }
    None
}
