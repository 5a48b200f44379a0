//! Decoder of chunked bodies (RFC 9112, 7.1): a pure state machine. Strict in what ends a line, because a lone LF is where parsers differ.

use bytes::{Buf, BytesMut};

use super::head::is_token_byte;

/// Max bytes of a chunk's size line with its extensions, and of all trailers together.
const MAX_LINE: usize = 8 << 10;
/// Max bytes of all extensions of a body's chunks.
const MAX_EXTENSIONS: usize = 64 << 10;
/// Max digits of a chunk's size.
const MAX_DIGITS: usize = 15;

/// Expecting between two pieces of a chunked body.
#[derive(Debug, Default)]
pub struct ChunkDecoder {
    state: Expecting,
    trailer_bytes: usize,
    extension_bytes: usize,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Expecting {
    /// Before a size line.
    #[default]
    Size,
    /// Bytes of the chunk that are still to come.
    Data(usize),
    /// Before the line break behind a chunk's data.
    DataEnd,
    /// Before a trailer line, or the empty line that ends the body.
    Trailer,
    Done,
}

/// Why a chunked body is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkError {
    Malformed,
    /// More bytes than allowed.
    TooLarge,
}

impl ChunkDecoder {
    /// Moves what `input` has of the body to `body`, which gets at most `max_bytes`. Returns whether the body is complete; what follows it
    /// stays in `input`.
    ///
    /// # Errors
    /// When the chunks are malformed or their data exceeds `max_bytes`.
    pub fn decode(
        &mut self,
        input: &mut BytesMut,
        body: &mut Vec<u8>,
        max_bytes: usize,
    ) -> Result<bool, ChunkError> {
        loop {
            match self.state {
                Expecting::Size => {
                    let Some(line) = take_line(input)? else { return Ok(false) };
                    // Endless extensions would be a body without end.
                    self.extension_bytes += line.len().saturating_sub(MAX_DIGITS);
                    if self.extension_bytes > MAX_EXTENSIONS {
                        return Err(ChunkError::Malformed);
                    }
                    self.state = match size(&line)? {
                        0 => Expecting::Trailer,
                        size if size > max_bytes - body.len() => return Err(ChunkError::TooLarge),
                        size => Expecting::Data(size),
                    };
                }
                Expecting::Data(0) => self.state = Expecting::DataEnd,
                Expecting::Data(left) => {
                    let count = left.min(input.len());
                    if count == 0 {
                        return Ok(false);
                    }
                    body.extend_from_slice(&input[..count]);
                    input.advance(count);
                    self.state = Expecting::Data(left - count);
                }
                Expecting::DataEnd => match &input[..input.len().min(2)] {
                    b"\r\n" => {
                        input.advance(2);
                        self.state = Expecting::Size;
                    }
                    b"" | b"\r" => return Ok(false),
                    _ => return Err(ChunkError::Malformed),
                },
                Expecting::Trailer => {
                    let Some(line) = take_line(input)? else { return Ok(false) };
                    self.trailer_bytes += line.len();
                    if self.trailer_bytes > MAX_LINE {
                        return Err(ChunkError::Malformed);
                    }
                    if line.is_empty() {
                        self.state = Expecting::Done;
                    } else if !is_field(&line) {
                        return Err(ChunkError::Malformed);
                    }
                }
                Expecting::Done => return Ok(true),
            }
        }
    }
}

/// Takes a line without its CR LF; `None` when it is not complete yet.
fn take_line(input: &mut BytesMut) -> Result<Option<BytesMut>, ChunkError> {
    let Some(end) = memchr::memchr(b'\n', input) else {
        return if input.len() > MAX_LINE { Err(ChunkError::Malformed) } else { Ok(None) };
    };
    let mut line = input.split_to(end + 1);
    if end > MAX_LINE || !line.ends_with(b"\r\n") {
        return Err(ChunkError::Malformed);
    }
    line.truncate(end - 1);
    // Above all a lone CR, which ends a line for some parsers.
    if line.iter().any(|byte| byte.is_ascii_control() && *byte != b'\t') {
        return Err(ChunkError::Malformed);
    }
    Ok(Some(line))
}

/// Whether a trailer line is a header field: otherwise the next request could be taken for trailers.
fn is_field(line: &[u8]) -> bool {
    let name = memchr::memchr(b':', line).map_or(&[][..], |colon| &line[..colon]);
    !name.is_empty() && name.iter().copied().all(is_token_byte)
}

/// Parses the hexadecimal size before any extension.
fn size(line: &[u8]) -> Result<usize, ChunkError> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii_end();
    let text = std::str::from_utf8(digits).map_err(|_| ChunkError::Malformed)?;
    let plain = (1..=MAX_DIGITS).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    // from_str_radix alone would take a sign.
    if plain {
        usize::from_str_radix(text, 16).map_err(|_| ChunkError::Malformed)
    } else {
        Err(ChunkError::Malformed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A body, and what follows it.
    type Decoded = (Vec<u8>, Vec<u8>);

    /// Decodes bytes that arrive in pieces of `piece`; returns the body and what follows it, or `None` while it is incomplete.
    fn decoded(bytes: &[u8], piece: usize, max_bytes: usize) -> Result<Option<Decoded>, ChunkError> {
        let (mut decoder, mut input, mut body) = (ChunkDecoder::default(), BytesMut::new(), Vec::new());
        let mut pieces = bytes.chunks(piece);
        loop {
            if decoder.decode(&mut input, &mut body, max_bytes)? {
                let rest = [&input[..], &pieces.collect::<Vec<_>>().concat()].concat();
                return Ok(Some((body, rest)));
            }
            match pieces.next() {
                Some(piece) => input.extend_from_slice(piece),
                None => return Ok(None),
            }
        }
    }

    #[test]
    fn a_body_is_the_same_in_whatever_pieces_it_comes() {
        let bytes = b"4\r\nWiki\r\n5;x=\"y\"\r\npedia\r\n0\r\nTrailer: x\r\n\r\nPOST /next";
        for piece in 1..bytes.len() {
            let (body, rest) = decoded(bytes, piece, 9).unwrap().unwrap();
            assert_eq!((&body[..], &rest[..]), (&b"Wikipedia"[..], &b"POST /next"[..]), "{piece}");
        }
        for cut in 0..bytes.len() - 10 {
            assert_eq!(decoded(&bytes[..cut], 3, 9), Ok(None), "{cut}");
        }
    }

    #[test]
    fn malformed_and_large_ones_are_refused() {
        for bytes in [
            &b"x\r\n{}\r\n0\r\n\r\n"[..],
            b"-2\r\n{}\r\n0\r\n\r\n",
            b"+2\r\n{}\r\n0\r\n\r\n",
            b"\r\n{}\r\n",
            b"FFFFFFFFFFFFFFFFF\r\n{}\r\n0\r\n\r\n",
            b"2\r\n{}x",
            b"2\n{}\n0\n\n",
            b"2\r\n{}\r\n0\n\n",
            b"2 2\r\n{}\r\n0\r\n\r\n",
            b"2\r\r\n{}\r\n0\r\n\r\n",
            b"2;x\ry\r\n{}\r\n0\r\n\r\n",
            b"2\x0C\r\n{}\r\n0\r\n\r\n",
            b"0\r\nPOST / HTTP/1.1\r\n\r\n",
            b"0\r\nPOST http://x/ HTTP/1.1\r\n\r\n",
            b"0\r\nX: y\rZ\r\n\r\n",
            b"0\r\nX: y\r\n folded\r\n\r\n",
            b"0\r\n: y\r\n\r\n",
        ] {
            assert_eq!(
                decoded(bytes, 5, 100),
                Err(ChunkError::Malformed),
                "{}",
                String::from_utf8_lossy(bytes)
            );
        }
        assert_eq!(decoded(b"4\r\nabcd\r\n4\r\nabcd\r\n", 3, 7), Err(ChunkError::TooLarge));
        let extensions = format!("1;{}\r\nx\r\n", "a".repeat(1000)).repeat(MAX_EXTENSIONS / 900);
        assert_eq!(decoded(extensions.as_bytes(), 1000, 1000), Err(ChunkError::Malformed));
        let endless = [&b"0\r\n"[..], &b"X: y\r\n".repeat(MAX_LINE)].concat();
        assert_eq!(decoded(&endless, 1000, 100), Err(ChunkError::Malformed));
    }
}
