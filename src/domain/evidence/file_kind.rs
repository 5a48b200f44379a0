//! What the bytes of a file look like that begins neither as a jpg nor as a png: another format, text, or a picture that was changed on
//! its way. Every explanation that fits is named.

use std::fmt;

use memchr::memmem;

use crate::domain::pixels::PhotoFormat;

/// An explanation of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileGuess {
    /// Another format.
    Format(&'static str),
    /// A file without a format, described.
    Content(String),
    /// A jpg or png that was changed on its way: what happened.
    Changed { format: PhotoFormat, how: String, hint: &'static str },
}

impl fmt::Display for FileGuess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileGuess::Format(name) => write!(f, "is {name}, not a jpg or png"),
            FileGuess::Content(text) => write!(f, "is {text}, not a jpg or png"),
            FileGuess::Changed { format, how, .. } => write!(f, "is a {format} {how}"),
        }
    }
}

impl FileGuess {
    /// Returns what to do about it.
    #[must_use]
    pub fn hint(&self) -> &'static str {
        match self {
            FileGuess::Format("HTML" | "JSON" | "XML") => {
                "send a jpg or png; this looks like the answer of a server, so read it: it may be an error or a login page"
            }
            FileGuess::Format(
                "HEIC" | "AVIF" | "WebP" | "TIFF" | "BMP" | "GIF" | "JPEG XL" | "JPEG 2000",
            ) => "send a jpg or png: convert the picture; another file name does not",
            FileGuess::Format(_) | FileGuess::Content(_) => "send a jpg or png",
            FileGuess::Changed { hint, .. } => hint,
        }
    }
}

/// The beginnings of both formats.
const SIGNATURES: [(PhotoFormat, &[u8]); 2] =
    [(PhotoFormat::Jpeg, b"\xFF\xD8\xFF"), (PhotoFormat::Png, b"\x89PNG\r\n\x1A\n")];

/// Returns all explanations of a file, the most probable first.
#[must_use]
pub fn guesses(file: &[u8]) -> Vec<FileGuess> {
    let mut found: Vec<_> = CHANGES.iter().filter_map(|change| change.guess(file)).collect();
    found.extend(incomplete(file));
    found.extend(
        FORMATS
            .iter()
            .find(|(at, magic, _)| file.get(*at..).is_some_and(|rest| rest.starts_with(magic)))
            .map(|(.., name)| FileGuess::Format(name)),
    );
    found.extend(markup(file).map(FileGuess::Format));
    found.extend(behind(file));
    if found.is_empty() {
        found.push(FileGuess::Content(content(file)));
    }
    found
}

/// Names of other formats, by bytes at an offset. The first that fits is named.
#[rustfmt::skip]
const FORMATS: [(usize, &[u8], &str); 62] = [
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WebP"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"\0\0\x01\0", "ICO"),
    (0, b"8BPS", "a Photoshop file"),
    (0, b"\xFF\x0A", "JPEG XL"),
    (0, b"\0\0\0\x0CJXL ", "JPEG XL"),
    (0, b"\xFF\x4F\xFF\x51", "JPEG 2000"),
    (0, b"\0\0\0\x0CjP  ", "JPEG 2000"),
    (4, b"ftypheic", "HEIC"),
    (4, b"ftypheix", "HEIC"),
    (4, b"ftypmif1", "HEIC"),
    (4, b"ftypmsf1", "HEIC"),
    (4, b"ftyphevc", "HEIC"),
    (4, b"ftypavif", "AVIF"),
    (4, b"ftypavis", "AVIF"),
    (4, b"ftypqt  ", "a QuickTime video"),
    (4, b"ftyp", "an MP4 video"),
    (0, b"\x1A\x45\xDF\xA3", "a WebM or Matroska video"),
    (8, b"AVI ", "an AVI video"),
    (8, b"WAVE", "WAV audio"),
    (0, b"ID3", "MP3 audio"),
    (0, b"OggS", "Ogg audio or video"),
    (0, b"%PDF", "PDF"),
    (0, b"%!PS", "PostScript"),
    (0, b"{\\rtf", "RTF"),
    (0, b"PK\x03\x04", "a ZIP archive (or a document of Office, which is one)"),
    (0, b"PK\x05\x06", "an empty ZIP archive"),
    (0, b"\x1F\x8B", "compressed with gzip"),
    (0, b"BZh", "compressed with bzip2"),
    (0, b"\xFD7zXZ\0", "compressed with xz"),
    (0, b"\x28\xB5\x2F\xFD", "compressed with zstd"),
    (0, b"\x78\x9C", "compressed with zlib (deflate)"),
    (0, b"\x78\xDA", "compressed with zlib (deflate)"),
    (0, b"7z\xBC\xAF\x27\x1C", "a 7z archive"),
    (0, b"Rar!", "a RAR archive"),
    (257, b"ustar", "a tar archive"),
    (0, b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1", "an old document of Office"),
    (0, b"SQLite format 3\0", "an SQLite database"),
    (0, b"FAC\0", "a face image record (ISO 19794-5)"),
    (0, b"FMR\0", "a fingerprint record (ISO 19794-2)"),
    (0, b"FIR\0", "a fingerprint image record (ISO 19794-4)"),
    (128, b"DICM", "DICOM"),
    (0, b"-----BEGIN CERTIFICATE", "a certificate (PEM)"),
    (0, b"-----BEGIN PGP", "encrypted with PGP"),
    (0, b"-----BEGIN", "a key or another PEM file"),
    (0, b"ssh-", "an SSH key"),
    (0, b"\x30\x82", "a certificate or key (DER)"),
    (0, b"Salted__", "encrypted with openssl enc"),
    (0, b"age-encryption.org", "encrypted with age"),
    (0, b"\xAC\xED\0\x05", "a serialized Java object"),
    (0, b"\xCA\xFE\xBA\xBE", "a Java class or a Mach-O program"),
    (0, b"\x7FELF", "a program (ELF)"),
    (0, b"MZ", "a program (Windows)"),
    (0, b"#!", "a script"),
    (0, b"<?php", "a PHP script"),
    (0, b"HTTP/1.", "an HTTP response with its head"),
    (0, b"MIME-Version:", "an e-mail"),
    (0, b"version https://git-lfs", "a pointer of Git LFS, whose file was not fetched"),
    (0, b"data:image/", "a data URI"),
];

/// Whether a text is the name of a format.
#[must_use]
pub fn is_format_name(name: &str) -> bool {
    FORMATS.iter().any(|(.., known)| *known == name) || ["HTML", "SVG", "XML", "JSON"].contains(&name)
}

/// A change that shows in a file's first bytes.
struct HeadChange {
    head: &'static [u8],
    format: PhotoFormat,
    how: &'static str,
    hint: &'static str,
}

const fn change(
    head: &'static [u8],
    format: PhotoFormat,
    how: &'static str,
    hint: &'static str,
) -> HeadChange {
    HeadChange { head, format, how, hint }
}

const AS_BYTES: &str = "read and pass on the file as bytes, never as text";
const BINARY_MODE: &str = "transfer the file in binary mode, and tell git that it is binary";
const BYTES_THEMSELVES: &str = "encode the file's bytes with base64, not a text that shows them";

const LOST: &str =
    "whose bytes were read as UTF-8 text: those that are not UTF-8 became EF BF BD (U+FFFD), and are lost";
const LATIN: &str = "whose bytes were read as Latin-1 or Windows-1252 text and written as UTF-8";
const DOS: &str = "whose bytes were read as text of a DOS code page and written as UTF-8";
const WIDE: &str = "whose bytes were written as UTF-16: two bytes for each of the file's";
const ASCII: &str =
    "whose bytes were read as ASCII text: those beyond 7F became question marks, and are lost";
const SEVEN: &str = "whose bytes have lost their highest bit, as in a transfer of 7 bits";
const HEX: &str = "written as hex";
const LIST: &str = "written as a list of numbers";
const PYTHON: &str = "written as Python prints bytes (b'\\xff...')";
const PERCENT: &str = "written with percent-encoding";
const QUOTED: &str = "in base64 again, in quotes";
const URL_SAFE: &str = "in base64 again, in the url-safe alphabet";

#[rustfmt::skip]
const CHANGES: [HeadChange; 40] = {
    use PhotoFormat::{Jpeg, Png};
    [
        change(b"\xEF\xBF\xBDPNG", Png, LOST, AS_BYTES),
        change(b"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD", Jpeg, LOST, AS_BYTES),
        change(b"\xFD\xFFP\0N\0G\0", Png, LOST, AS_BYTES),
        change(b"\xC2\x89PNG", Png, LATIN, AS_BYTES),
        change(b"\xE2\x80\xB0PNG", Png, LATIN, AS_BYTES),
        change(b"\xC3\xBF\xC3\x98\xC3\xBF", Jpeg, LATIN, AS_BYTES),
        change(b"\xC3\xABPNG", Png, DOS, AS_BYTES),
        change(b"\xC2\xA0\xC3\x8F\xC2\xA0", Jpeg, DOS, AS_BYTES),
        change(b"\xC2\xA0\xE2\x95\xAA\xC2\xA0", Jpeg, DOS, AS_BYTES),
        change(b"\x89\0P\0N\0G\0", Png, WIDE, AS_BYTES),
        change(b"\xFF\0\xD8\0\xFF\0", Jpeg, WIDE, AS_BYTES),
        change(b"\0\x89\0P\0N\0G", Png, WIDE, AS_BYTES),
        change(b"\0\xFF\0\xD8\0\xFF", Jpeg, WIDE, AS_BYTES),
        change(b"?PNG", Png, ASCII, AS_BYTES),
        change(b"????\0\x10JFIF", Jpeg, ASCII, AS_BYTES),
        change(b"\tPNG", Png, SEVEN, AS_BYTES),
        change(b"\x7FX\x7F", Jpeg, SEVEN, AS_BYTES),
        change(b"\x89PNG\n\x1A\n", Png, "whose line breaks were converted: 0D 0A became 0A", BINARY_MODE),
        change(b"\x89PNG\r\r\n\x1A\r\n", Png, "whose line breaks were converted: 0A became 0D 0A", BINARY_MODE),
        change(b"\x89PNG\r\r\x1A\r", Png, "whose line breaks were converted: 0A became 0D", BINARY_MODE),
        change(b"\x89PNG\n\n\x1A\n", Png, "whose line breaks were converted: 0D became 0A", BINARY_MODE),
        change(b"\xD8\xFF\xE0\xFF", Jpeg, "whose bytes are swapped in pairs", "keep the order of the bytes"),
        change(b"\xD8\xFF\xE1\xFF", Jpeg, "whose bytes are swapped in pairs", "keep the order of the bytes"),
        change(b"P\x89GN", Png, "whose bytes are swapped in pairs", "keep the order of the bytes"),
        change(b"ffd8ff", Jpeg, HEX, BYTES_THEMSELVES),
        change(b"FFD8FF", Jpeg, HEX, BYTES_THEMSELVES),
        change(b"0xffd8ff", Jpeg, HEX, BYTES_THEMSELVES),
        change(b"0xFFD8FF", Jpeg, HEX, BYTES_THEMSELVES),
        change(b"\\xff\\xd8", Jpeg, HEX, BYTES_THEMSELVES),
        change(b"ff d8 ff", Jpeg, HEX, BYTES_THEMSELVES),
        change(b"89504e47", Png, HEX, BYTES_THEMSELVES),
        change(b"89504E47", Png, HEX, BYTES_THEMSELVES),
        change(b"[255,", Jpeg, LIST, BYTES_THEMSELVES),
        change(b"[-1,", Jpeg, LIST, BYTES_THEMSELVES),
        change(b"[137,", Png, LIST, BYTES_THEMSELVES),
        change(b"b'\\xff\\xd8", Jpeg, PYTHON, BYTES_THEMSELVES),
        change(b"b'\\x89PNG", Png, PYTHON, BYTES_THEMSELVES),
        change(b"%FF%D8%FF", Jpeg, PERCENT, BYTES_THEMSELVES),
        change(b"\"/9j/", Jpeg, QUOTED, "encode the file with base64 once"),
        change(b"_9j_", Jpeg, URL_SAFE, "encode the file with base64 once"),
    ]
};

impl HeadChange {
    fn guess(&self, file: &[u8]) -> Option<FileGuess> {
        // A text file may begin with a byte order mark.
        let text =
            [&b"\xEF\xBB\xBF"[..], b"\xFF\xFE", b"\xFE\xFF"].iter().find_map(|bom| file.strip_prefix(*bom));
        let fits = file.starts_with(self.head) || text.is_some_and(|text| text.starts_with(self.head));
        fits.then(|| FileGuess::Changed { format: self.format, how: self.how.to_owned(), hint: self.hint })
    }
}

/// A file that ends within the first bytes, or is damaged there, or runs backwards.
fn incomplete(file: &[u8]) -> Option<FileGuess> {
    let changed = |format, how: String, hint| Some(FileGuess::Changed { format, how, hint });
    let send_whole = "send the complete file; check what truncated it before it was encoded";
    for (format, signature) in SIGNATURES {
        if !file.is_empty() && file.len() < signature.len() && signature.starts_with(file) {
            return changed(
                format,
                format!("of which only the first {} bytes are there", file.len()),
                send_whole,
            );
        }
    }
    if file.starts_with(b"\xFF\xD8") && file.len() > 2 {
        return changed(
            PhotoFormat::Jpeg,
            format!("that is damaged at byte 3, which is {:02X} and not FF", file[2]),
            "send the file unchanged",
        );
    }
    if file.starts_with(b"\x89PNG") && !CHANGES.iter().any(|change| file.starts_with(change.head)) {
        return changed(
            PhotoFormat::Png,
            "whose first eight bytes are damaged".to_owned(),
            "send the file unchanged",
        );
    }
    if file.len() > 3 && file.ends_with(b"\xFF\xD8\xFF") {
        return changed(
            PhotoFormat::Jpeg,
            "backwards: its last byte comes first".to_owned(),
            "keep the order of the bytes",
        );
    }
    None
}

/// Names text that a machine wrote, by how it begins.
fn markup(file: &[u8]) -> Option<&'static str> {
    let text = file.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(file).trim_ascii_start();
    let begins =
        |with: &str| text.get(..with.len()).is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()));
    let head = &text[..text.len().min(1000)];
    if begins("<!doctype html") || begins("<html") || begins("<br") || begins("<head") || begins("<body") {
        return Some("HTML");
    }
    if begins("<svg") || (begins("<") && memmem::find(head, b"<svg").is_some()) {
        return Some("SVG");
    }
    if begins("<?xml") {
        return Some("XML");
    }
    (begins("{\"") || begins("[{") || begins("{}") || begins("{ \"") || begins("{\n")).then_some("JSON")
}

/// A picture that begins further behind.
fn behind(file: &[u8]) -> Option<FileGuess> {
    let (at, format) = SIGNATURES
        .iter()
        .filter_map(|(format, signature)| Some((begin(file, *format, signature)?, *format)))
        .min_by_key(|(at, _)| *at)?;
    let how =
        format!("behind {}: the picture begins at byte {}", prefix(&file[..at], file.len() - at), at + 1);
    Some(FileGuess::Changed { format, how, hint: "send the picture alone, without what is before it" })
}

/// Where a picture begins; not at the file's start.
fn begin(file: &[u8], format: PhotoFormat, signature: &[u8]) -> Option<usize> {
    memmem::find_iter(file, signature).find(|at| {
        // Three bytes may be chance; the fourth is the first segment's marker.
        let marker = file.get(at + 3);
        *at > 0
            && (format == PhotoFormat::Png || matches!(marker, Some(0xC0..=0xC4 | 0xDB | 0xE0..=0xEF | 0xFE)))
    })
}

/// Describes what is before a picture of `length` bytes.
fn prefix(before: &[u8], length: usize) -> String {
    let count = before.len();
    let number = <[u8; 4]>::try_from(before).unwrap_or_default();
    let is_length = [u32::from_be_bytes(number), u32::from_le_bytes(number)].contains(&(length as u32));
    let has = |text: &[u8]| memmem::find(before, text).is_some();
    match before {
        b"\xEF\xBB\xBF" => "a byte order mark (BOM) of 3 bytes".to_owned(),
        b"\xFF\xFE" | b"\xFE\xFF" => "a byte order mark (BOM) of UTF-16".to_owned(),
        _ if count == 4 && is_length => "its own length in 4 bytes".to_owned(),
        _ if before.iter().all(u8::is_ascii_whitespace) => {
            format!("{count} bytes of blanks or line breaks, as a script prints them before its answer")
        }
        _ if before.iter().all(|byte| *byte == 0) => format!("{count} zero bytes"),
        _ if before.starts_with(b"HTTP/") => format!("the {count} bytes of an HTTP head"),
        _ if has(b"Content-Disposition") || before.starts_with(b"--") => {
            format!("the {count} bytes of a multipart head")
        }
        _ if has(b"Content-Type") => format!("{count} bytes of header lines"),
        _ if before.starts_with(b"data:") => format!("a data-URI prefix of {count} bytes"),
        _ if before.starts_with(b"<") || has(b"<br") => {
            format!("{count} bytes of HTML, as PHP writes its warnings")
        }
        _ if before.starts_with(b"\xAC\xED\0\x05") => {
            format!("the {count} bytes with which Java serializes an object")
        }
        _ => format!("{count} other bytes"),
    }
}

/// Describes a file without a format.
fn content(file: &[u8]) -> String {
    let Some(first) = file.first().copied() else { return "empty".to_owned() };
    if file.len() > 1 && file.iter().all(|byte| *byte == first) {
        return format!("{} bytes that are all {first:02X}", file.len());
    }
    if file.starts_with(b"\xFF\xFE") || file.starts_with(b"\xFE\xFF") {
        return "UTF-16 text".to_owned();
    }
    let is_text = |text: &str| !text.chars().any(|c| c.is_control() && !c.is_ascii_whitespace());
    if let Some(text) = std::str::from_utf8(file).ok().filter(|text| is_text(text)) {
        return format!("text of {} characters", text.chars().count());
    }
    if is_noise(file) {
        return "without any pattern, as encrypted or compressed data".to_owned();
    }
    let first: Vec<_> = file.iter().take(4).map(|byte| format!("{byte:02X}")).collect();
    format!("of no known format (it begins with {})", first.join(" "))
}

/// Whether all byte values are about as frequent: in noise of 2048 bytes and more, none is thrice as frequent as expected.
fn is_noise(file: &[u8]) -> bool {
    let mut counts = [0_usize; 256];
    file.iter().for_each(|byte| counts[usize::from(*byte)] += 1);
    let expected = file.len() / 256;
    expected >= 8 && counts.iter().all(|count| *count < expected * 3 && *count > expected / 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    const JPEG: &[u8] = b"\xFF\xD8\xFF\xE0\0\x10JFIF\0\x01\x01";
    const PNG: &[u8] = b"\x89PNG\r\n\x1A\n\0\0\0\rIHDR";

    fn said(file: &[u8]) -> String {
        guesses(file).iter().map(ToString::to_string).collect::<Vec<_>>().join("; or ")
    }

    /// As a program does that takes bytes for text of one byte a character.
    fn as_latin_1(file: &[u8]) -> Vec<u8> {
        file.iter().map(|byte| char::from(*byte)).collect::<String>().into_bytes()
    }

    fn each(file: &[u8], of: impl Fn(u8) -> Vec<u8>) -> Vec<u8> {
        file.iter().flat_map(|byte| of(*byte)).collect()
    }

    fn hex(file: &[u8], separator: &str) -> Vec<u8> {
        file.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(separator).into_bytes()
    }

    #[test]
    fn pictures_that_went_through_text_are_named() {
        for (file, expected) in [(JPEG, "is a JPEG "), (PNG, "is a PNG ")] {
            let wide = each(file, |byte| vec![byte, 0]);
            for (changed, how) in [
                (String::from_utf8_lossy(file).into_owned().into_bytes(), "EF BF BD"),
                (as_latin_1(file), "Latin-1"),
                ([b"\xEF\xBB\xBF", &*as_latin_1(file)].concat(), "Latin-1"),
                (wide.clone(), "UTF-16"),
                ([b"\xFF\xFE", &*wide].concat(), "UTF-16"),
                (each(file, |byte| vec![0, byte]), "UTF-16"),
                (each(file, |byte| vec![if byte > 127 { b'?' } else { byte }]), "question marks"),
                (each(file, |byte| vec![byte & 127]), "highest bit"),
                (hex(file, ""), "hex"),
                (hex(file, "").to_ascii_uppercase(), "hex"),
                (format!("{file:?}").replace(' ', "").into_bytes(), "list of numbers"),
            ] {
                let said = said(&changed);
                assert!(said.starts_with(expected) && said.contains(how), "{how}: {said}");
            }
        }
        for (head, how) in [
            (&b"\xC3\xABPNG\r\n"[..], "DOS code page"),
            (b"\xE2\x80\xB0PNG\r\n", "Windows-1252"),
            (b"b'\\xff\\xd8\\xff", "Python"),
            (b"%FF%D8%FF%E0", "percent-encoding"),
            (b"\"/9j/4AAQ\"", "base64 again"),
            (b"_9j_4AAQ", "url-safe"),
            (b"ff d8 ff e0", "hex"),
            (b"\xD8\xFF\xE0\xFF\x10\0", "swapped"),
            (b"\xD9\xFF\x00\x10\xE0\xFF\xD8\xFF", "backwards"),
        ] {
            assert!(said(head).contains(how), "{how}: {}", said(head));
        }
    }

    #[test]
    fn converted_line_breaks_are_named() {
        let replaced = |from: &str, to: &str| {
            let text: String = PNG.iter().map(|byte| char::from(*byte)).collect();
            text.replace(from, to).chars().map(|c| c as u8).collect::<Vec<_>>()
        };
        for (file, how) in [
            (replaced("\r\n", "\n"), "0D 0A became 0A"),
            (replaced("\n", "\r\n"), "0A became 0D 0A"),
            (replaced("\n", "\r"), "0A became 0D"),
            (replaced("\r", "\n"), "0D became 0A"),
        ] {
            let said = said(&file);
            assert!(said.contains(how) && !said.contains("; or "), "{said}");
        }
        assert!(said(b"\x89PNG\r\n\0\0\0\0").contains("first eight bytes are damaged"));
    }

    #[test]
    fn what_is_before_a_picture_is_named_with_the_byte_where_it_begins() {
        let own_length = (JPEG.len() as u32).to_be_bytes();
        for (before, what, at) in [
            (&b"\xEF\xBB\xBF"[..], "byte order mark", 4),
            (b"\n", "blanks or line breaks", 2),
            (b"\r\n\r\n", "blanks or line breaks", 5),
            (b"\0\0", "2 zero bytes", 3),
            (&own_length, "its own length", 5),
            (b"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\n\r\n", "HTTP head", 46),
            (b"--b\r\nContent-Disposition: form-data; name=\"f\"\r\n\r\n", "multipart head", 50),
            (b"Content-Type: image/jpeg\r\n\r\n", "header lines", 29),
            (b"data:image/jpeg;base64,", "data-URI prefix", 24),
            (b"<br />\n<b>Warning</b>: x<br />\n", "HTML", 32),
            (b"\xAC\xED\0\x05ur\0\x02[B", "Java serializes", 11),
            (b"\x01\x02\x03", "3 other bytes", 4),
        ] {
            for file in [[before, JPEG].concat(), [before, PNG].concat()] {
                let said = said(&file);
                let begins = format!("the picture begins at byte {at}");
                let is_length = before == own_length;
                assert!(said.contains(&begins) && (is_length || said.contains(what)), "{said}");
            }
        }
        assert!(said(&[&own_length[..], JPEG].concat()).contains("its own length in 4 bytes"));
    }

    #[test]
    fn other_content_is_named() {
        let noise: Vec<u8> = (0..4096_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        for (file, expected) in [
            (&b"GIF89a\x01\0"[..], "is GIF, not a jpg or png"),
            (b"RIFF\0\0\0\0WEBPVP8 ", "is WebP,"),
            (b"II*\0\x08\0\0\0", "is TIFF,"),
            (b"\0\0\0\x18ftypheic\0\0\0\0", "is HEIC,"),
            (b"\0\0\0\x18ftypmp42\0\0\0\0", "is an MP4 video,"),
            (b"\0\0\0\x1CftypavifX", "is AVIF,"),
            (b"%PDF-1.7", "is PDF,"),
            (b"PK\x03\x04\x14\0", "is a ZIP archive"),
            (b"\x1F\x8B\x08\0", "is compressed with gzip,"),
            (b"-----BEGIN CERTIFICATE-----\nMIIB", "is a certificate (PEM),"),
            (b"\x30\x82\x03\x10\x30", "is a certificate or key (DER),"),
            (b"FAC\x00010\0", "is a face image record"),
            (b"Salted__\x01\x02", "is encrypted with openssl enc,"),
            (b"\xEF\xBB\xBF  <!DOCTYPE html><html>", "is HTML,"),
            (b"<?xml version='1.0'?><svg/>", "is SVG,"),
            (b"<?xml version='1.0'?><Error/>", "is XML,"),
            (b"{\"message\":\"not found\"}", "is JSON,"),
            (b"404: not found", "is text of 14 characters,"),
            (b"\xFF\xFEh\0i\0", "is UTF-16 text,"),
            (&[0; 64], "is 64 bytes that are all 00,"),
            (&noise, "is without any pattern,"),
            (b"\xFF\xD8", "is a JPEG of which only the first 2 bytes are there"),
            (b"\x89PN", "is a PNG of which only the first 3 bytes are there"),
            (b"\xFF\xD8\0\0\0", "is a JPEG that is damaged at byte 3, which is 00 and not FF"),
            (b"\x01\x02\x03\x04\x05", "is of no known format (it begins with 01 02 03 04), not a jpg or png"),
            (b"", "is empty,"),
        ] {
            let guesses = guesses(file);
            assert!(said(file).starts_with(expected), "{expected}: {}", said(file));
            assert!(guesses.iter().all(|guess| !guess.hint().is_empty()));
        }
    }

    #[test]
    fn every_explanation_that_fits_is_named() {
        let said = said(&[b"%PDF-1.4\n", JPEG].concat());
        assert!(said.contains("is PDF,") && said.contains("; or is a JPEG behind 9 other bytes"), "{said}");
    }
}
