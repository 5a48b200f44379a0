//! Where the photo's text stands in a body, found without reading JSON.

use std::ops::Range;

/// Shorter texts are not worth it.
pub const LONG: usize = 4096;

/// The inside of the quotes of what seems to be the value of `image`, when it is long and as JSON has it without an escape: printable
/// ASCII. Whether it is that value, only JSON's reader can tell.
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

/// How far it is to the closing quote, if everything before it is printable ASCII without a backslash. Block by block, so that each is
/// in the nearest cache when it is looked at again.
fn plain_length(bytes: &[u8]) -> Option<usize> {
    let mut length = 0;
    for block in bytes.chunks(LONG) {
        let quote = memchr::memchr(b'"', block);
        let text = &block[..quote.unwrap_or(block.len())];
        let (least, most) =
            text.iter().fold((b' ', 0), |(least, most), byte| (least.min(*byte), most.max(*byte)));
        if least < b' ' || !most.is_ascii() || memchr::memchr(b'\\', text).is_some() {
            return None;
        }
        length += text.len();
        if quote.is_some() {
            return Some(length);
        }
    }
    None
}
