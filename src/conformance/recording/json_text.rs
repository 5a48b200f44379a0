//! A JSON text as characters that know where in it they come from, also behind escapes and within a string that holds JSON itself, so that
//! a mask can overwrite them in place: what it writes is as long as what was there.

/// A character of a text, and the bytes that it was written as.
#[derive(Clone, Copy, Debug)]
pub struct TextUnit {
    pub char: char,
    start: usize,
    end: usize,
    written: Written,
}

/// How a character was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Written {
    Plain,
    /// A backslash and a character, which has no data: quote, slash, line break.
    Short,
    /// `\u` and four digits, which are the last bytes.
    Hexadecimal,
}

/// Whether this opens or closes a string: also the quotes that the document prints.
#[must_use]
pub fn is_quote(c: char) -> bool {
    matches!(c, '"' | '\u{201C}' | '\u{201D}' | '\u{201E}')
}

/// The characters of a text.
#[must_use]
pub fn units(text: &str) -> Vec<TextUnit> {
    let unit = |(start, char): (usize, char)| TextUnit {
        char,
        start,
        end: start + char.len_utf8(),
        written: Written::Plain,
    };
    text.char_indices().map(unit).collect()
}

/// The characters within the quotes of a string that begins at `at`, and the position behind it; `None` when it is not one.
#[must_use]
pub fn string(text: &[TextUnit], at: usize) -> Option<(Vec<TextUnit>, usize)> {
    let open = text.get(at)?.char;
    if !is_quote(open) {
        return None;
    }
    let closes = |c: char| if open == '"' { c == '"' } else { is_quote(c) };
    let (mut content, mut at) = (Vec::new(), at + 1);
    loop {
        let unit = *text.get(at)?;
        match unit.char {
            c if closes(c) => return Some((content, at + 1)),
            '\\' => {
                let (escaped, next) = escape(text, at)?;
                content.push(escaped);
                at = next;
            }
            c if c < ' ' => return None,
            _ => {
                content.push(unit);
                at += 1;
            }
        }
    }
}

fn escape(text: &[TextUnit], at: usize) -> Option<(TextUnit, usize)> {
    let (backslash, second) = (text[at], text.get(at + 1)?);
    let unit = |char, end, written| TextUnit { char, start: backslash.start, end, written };
    let short = |char| Some((unit(char, second.end, Written::Short), at + 2));
    match second.char {
        '"' | '\\' | '/' => short(second.char),
        'n' => short('\n'),
        'r' => short('\r'),
        't' => short('\t'),
        'b' => short('\u{8}'),
        'f' => short('\u{C}'),
        'u' => {
            let digits = text.get(at + 2..at + 6)?;
            // A digit that is an escape itself could not be overwritten.
            let is_plain =
                digits.iter().all(|digit| digit.written == Written::Plain && digit.char.is_ascii());
            let code = digits.iter().try_fold(0, |code, digit| Some(code * 16 + digit.char.to_digit(16)?))?;
            // Half of a pair of surrogates is no character.
            let char = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
            is_plain.then(|| (unit(char, digits[3].end, Written::Hexadecimal), at + 6))
        }
        _ => None,
    }
}

/// The text of characters.
#[must_use]
pub fn text_of(units: &[TextUnit]) -> String {
    units.iter().map(|unit| unit.char).collect()
}

/// Overwrites each character but white space and short escapes with an ASCII one.
pub fn hide(out: &mut [u8], units: &[TextUnit], with: char) {
    for unit in
        units.iter().filter(|unit| !(unit.char.is_ascii_whitespace() || unit.written == Written::Short))
    {
        match unit.written {
            Written::Hexadecimal => {
                out[unit.end - 4..unit.end].copy_from_slice(format!("{:04x}", u32::from(with)).as_bytes());
            }
            _ => out[unit.start..unit.end].fill(u8::try_from(with).unwrap_or(b'X')),
        }
    }
}

/// Writes a text over characters that stand side by side. Its length must be theirs.
pub fn overwrite(out: &mut [u8], units: &[TextUnit], text: &str) {
    if let (Some(first), Some(last)) = (units.first(), units.last())
        && last.end - first.start == text.len()
    {
        out[first.start..last.end].copy_from_slice(text.as_bytes());
    }
}

/// Length of characters as written, in bytes.
#[must_use]
pub fn written_bytes(units: &[TextUnit]) -> usize {
    units.iter().map(|unit| unit.end - unit.start).sum()
}

/// Whether all are written without an escape.
#[must_use]
pub fn is_plain(units: &[TextUnit]) -> bool {
    units.iter().all(|unit| unit.written != Written::Hexadecimal)
}
