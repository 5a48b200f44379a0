//! Percent-encoding of a part of a URL.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// Characters to percent-encode: all but the unreserved ones of RFC 3986.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Percent-encodes a text for one segment of a path, or a value of a query: whatever it holds, it stays one.
#[must_use]
pub fn encoded(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_stays_one_segment() {
        for (text, shown) in [
            ("demo-1_a.b~c", "demo-1_a.b~c"),
            ("a/b", "a%2Fb"),
            ("a b?c#d%", "a%20b%3Fc%23d%25"),
            ("x\r\nHost: y", "x%0D%0AHost%3A%20y"),
            ("é", "%C3%A9"),
            ("", ""),
        ] {
            assert_eq!(encoded(text), shown);
        }
    }
}
