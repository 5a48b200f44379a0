//! Where the photo's text stands in a body, found without reading JSON.

/// Shorter texts are not worth it.
pub const LONG: usize = 4096;

/// The inside of the quotes of what seems to be the value of `image`, and where it begins, when it is long and as JSON has it without an
/// escape: UTF-8, no control character and no backslash. Whether it is that value, others can tell.
pub fn find(bytes: &[u8]) -> Option<(usize, &str)> {
    const KEY: &[u8] = b"\"image\"";
    let behind_key = memchr::memmem::find(bytes, KEY)? + KEY.len();
    let mut at = bytes[behind_key..].iter().enumerate().filter(|(_, byte)| !b" \t\r\n".contains(byte));
    let start = match (at.next()?, at.next()?) {
        ((_, b':'), (quote, b'"')) => behind_key + quote + 1,
        _ => return None,
    };
    let text = plain_text(&bytes[start..])?;
    (text.len() >= LONG).then_some((start, text))
}

/// What stands before the closing quote, if there is no control character and no backslash in it. Block by block, so that each is in the
/// nearest cache when it is looked at again.
fn plain_text(bytes: &[u8]) -> Option<&str> {
    let (mut length, mut ones) = (0, 0);
    for block in bytes.chunks(LONG) {
        let end = memchr::memchr2(b'"', b'\\', block);
        let text = &block[..end.unwrap_or(block.len())];
        // A minimum, unlike a search for what is too small, is taken of many bytes at once.
        let (least, set) = text.iter().fold((b' ', 0), |(least, set), byte| (least.min(*byte), set | *byte));
        if least < b' ' {
            return None;
        }
        length += text.len();
        ones |= set;
        if let Some(end) = end {
            return (block[end] == b'"').then(|| utf8(&bytes[..length], ones)).flatten();
        }
    }
    None
}

/// `ones` are the bits that are set in any of these bytes.
fn utf8(bytes: &[u8], ones: u8) -> Option<&str> {
    if ones >= 0x80 {
        return simdutf8::basic::from_utf8(bytes).ok();
    }
    // SAFETY: no byte has its highest bit set, so all are ASCII.
    Some(unsafe { std::str::from_utf8_unchecked(bytes) })
}
