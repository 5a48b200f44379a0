//! Bodies that are no UTF-8 text: other encodings, compressed bytes, pictures, binary formats.

use super::JsonFault;

/// A body recognised by its first bytes: what it is, and what to do.
type Signature = (&'static [u8], &'static str, &'static str);

const UNCOMPRESSED: &str = "send the JSON as it is: the endpoint reads no compressed bodies, so switch compression off in the client \
                            (a gzip handler or interceptor for request bodies)";
const PICTURE: &str = "send the picture as base64 in the field image of a JSON object, not as the body (curl: not -T or --data-binary @photo)";
const UTF16: &str = "save and send it as UTF-8; UTF-16 comes from PowerShell's > and Out-File (use Set-Content -Encoding utf8, or \
                     [IO.File]::WriteAllText), from .NET's Encoding.Unicode (use Encoding.UTF8), from Java's StandardCharsets.UTF_16 and \
                     from Notepad's \"Unicode\"";
const UTF32: &str = "save and send it as UTF-8; UTF-32 comes from Python's encode(\"utf-32\"), .NET's Encoding.UTF32 and wide characters of C";
const SERIALIZED: &str = "serialise the request as JSON text, in UTF-8";

/// Signatures that no JSON text begins with. The first that fits is taken.
const SIGNATURES: [Signature; 26] = [
    (b"\xFF\xFE\0\0", "UTF-32 (little-endian, with a byte order mark), not UTF-8", UTF32),
    (b"\0\0\xFE\xFF", "UTF-32 (big-endian, with a byte order mark), not UTF-8", UTF32),
    (b"\xFF\xFE", "UTF-16 (little-endian, with the byte order mark FF FE), not UTF-8", UTF16),
    (b"\xFE\xFF", "UTF-16 (big-endian, with the byte order mark FE FF), not UTF-8", UTF16),
    (b"\x1F\x8B", "compressed with gzip, and there is no Content-Encoding", UNCOMPRESSED),
    (b"\x78\x01", "compressed with deflate (zlib), and there is no Content-Encoding", UNCOMPRESSED),
    (b"\x78\x9C", "compressed with deflate (zlib), and there is no Content-Encoding", UNCOMPRESSED),
    (b"\x78\xDA", "compressed with deflate (zlib), and there is no Content-Encoding", UNCOMPRESSED),
    (b"\x28\xB5\x2F\xFD", "compressed with zstd, and there is no Content-Encoding", UNCOMPRESSED),
    (b"\xFD7zXZ\0", "an xz archive, not JSON", UNCOMPRESSED),
    (b"BZh91AY&SY", "a bzip2 archive, not JSON", UNCOMPRESSED),
    (b"PK\x03\x04", "a ZIP archive, not JSON", UNCOMPRESSED),
    (b"7z\xBC\xAF\x27\x1C", "a 7z archive, not JSON", UNCOMPRESSED),
    (b"\x04\x22\x4D\x18", "compressed with lz4, and there is no Content-Encoding", UNCOMPRESSED),
    (b"\xFF\x06\0\0sNaPpY", "compressed with snappy, and there is no Content-Encoding", UNCOMPRESSED),
    (b"\xFF\xD8\xFF", "a JPEG picture, not JSON", PICTURE),
    (b"\x89PNG", "a PNG picture, not JSON", PICTURE),
    (b"GIF8", "a GIF picture, not JSON", PICTURE),
    (b"%PDF-", "a PDF document, not JSON", PICTURE),
    (b"\xAC\xED\0\x05", "a serialised Java object (ObjectOutputStream), not JSON", SERIALIZED),
    (b"\x80\x02", "a Python pickle, not JSON", SERIALIZED),
    (b"\x80\x03", "a Python pickle, not JSON", SERIALIZED),
    (b"\x80\x04", "a Python pickle, not JSON", SERIALIZED),
    (b"\x80\x05", "a Python pickle, not JSON", SERIALIZED),
    (
        b"\xC0\x7F",
        "EBCDIC, the encoding of mainframes, not UTF-8",
        "convert the text to UTF-8 before it is sent (iconv -f IBM1047 -t UTF-8)",
    ),
    (
        b"\xC0\x15",
        "EBCDIC, the encoding of mainframes, not UTF-8",
        "convert the text to UTF-8 before it is sent (iconv -f IBM1047 -t UTF-8)",
    ),
];

/// Returns the fault of a body whose first bytes say that it is no UTF-8 text.
pub fn name(bytes: &[u8]) -> Option<JsonFault> {
    let signature = SIGNATURES.iter().find(|(first, ..)| bytes.starts_with(first));
    let (what, hint) = match signature {
        Some((_, what, hint)) => (*what, *hint),
        None => binary_format(bytes).or_else(|| without_mark(bytes))?,
    };
    Some(JsonFault::new(format!("the body is {what}"), hint))
}

/// UTF-16 and UTF-32 without a byte order mark, recognised by where the zero bytes of two ASCII characters are.
fn without_mark(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let is_zero: Vec<bool> = bytes.iter().take(4).map(|byte| *byte == 0).collect();
    Some(match is_zero.as_slice() {
        [false, true, true, true] => ("UTF-32 (little-endian, without a byte order mark), not UTF-8", UTF32),
        [true, true, true, false] => ("UTF-32 (big-endian, without a byte order mark), not UTF-8", UTF32),
        [false, true, false, true] => ("UTF-16 (little-endian, without a byte order mark), not UTF-8", UTF16),
        [true, false, true, false] => ("UTF-16 (big-endian, without a byte order mark), not UTF-8", UTF16),
        _ => return None,
    })
}

/// Formats that begin with a map whose first key is a short text.
fn binary_format(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let (&first, rest) = bytes.split_first()?;
    let key = |range: std::ops::RangeInclusive<u8>, base: u8| {
        let length = rest.first().filter(|length| range.contains(length)).map(|length| *length - base)?;
        let key = rest.get(1..=usize::from(length))?;
        (!key.is_empty() && key.iter().all(u8::is_ascii_graphic)).then_some(())
    };
    if (0x80..=0x8F).contains(&first) && key(0xA1..=0xBF, 0xA0).is_some() {
        return Some(("MessagePack, not JSON", SERIALIZED));
    }
    if ((0xA0..=0xB7).contains(&first) || first == 0xBF) && key(0x61..=0x77, 0x60).is_some() {
        return Some(("CBOR, not JSON", SERIALIZED));
    }
    let announced = bytes.first_chunk().map(|length| u32::from_le_bytes(*length) as usize);
    if announced == Some(bytes.len()) && bytes.len() > 5 && bytes.last() == Some(&0) {
        return Some(("BSON, not JSON", SERIALIZED));
    }
    if bytes.get(4..8) == Some(b"ftyp") {
        return Some(("a HEIC picture or a film, not JSON", PICTURE));
    }
    if bytes.starts_with(b"RIFF") && bytes.get(8..12) == Some(b"WEBP") {
        return Some(("a WebP picture, not JSON", PICTURE));
    }
    None
}
