//! Characters that look like those of JSON and are others, and characters that cannot be seen.

/// The double quotes that word processors and chat programs substitute for `"`.
const TYPOGRAPHIC: [char; 9] = ['“', '”', '„', '‟', '«', '»', '″', '〝', '＂'];

/// The same for the single quote.
const TYPOGRAPHIC_SINGLE: [char; 6] = ['‘', '’', '‚', '‛', '′', '´'];

/// Returns whether this is a double quote other than `"`.
pub fn is_typographic(c: char) -> bool {
    TYPOGRAPHIC.contains(&c)
}

/// Returns whether this is a single quote other than `'`.
pub fn is_typographic_single(c: char) -> bool {
    TYPOGRAPHIC_SINGLE.contains(&c)
}

/// Returns the ASCII character that a full-width one of an input method stands for.
pub fn narrow(c: char) -> Option<char> {
    match c {
        '，' | '、' => Some(','),
        '；' => Some(';'),
        '！'..='～' => char::from_u32(u32::from(c) - 0xFEE0),
        _ => None,
    }
}

/// Returns the name of a character that cannot be seen, or looks like a blank and is another character.
pub fn invisible(c: char) -> Option<&'static str> {
    Some(match c {
        '\0' => "NUL",
        '\t' => "tab",
        '\n' => "line feed",
        '\r' => "carriage return",
        '\u{8}' => "backspace",
        '\u{B}' => "vertical tab",
        '\u{C}' => "form feed",
        '\u{1A}' => "SUB (Ctrl-Z, the end of a DOS file)",
        '\u{1B}' => "ESC, the begin of a terminal's colour code",
        '\u{1E}' => "record separator",
        '\u{1}'..='\u{1F}' | '\u{7F}'..='\u{84}' | '\u{86}'..='\u{9F}' => "control character",
        '\u{85}' => "next line (NEL)",
        '\u{A0}' => "no-break space",
        '\u{AD}' => "soft hyphen",
        '\u{34F}' => "combining grapheme joiner",
        '\u{61C}' | '\u{200E}' | '\u{200F}' => "direction mark",
        '\u{1680}' | '\u{180E}' | '\u{2000}'..='\u{200A}' | '\u{205F}' => "Unicode space",
        '\u{200B}' => "zero width space",
        '\u{200C}' => "zero width non-joiner",
        '\u{200D}' => "zero width joiner",
        '\u{2028}' => "line separator",
        '\u{2029}' => "paragraph separator",
        '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}' => "direction control",
        '\u{202F}' => "narrow no-break space",
        '\u{2060}' => "word joiner",
        '\u{2061}'..='\u{2064}' | '\u{206A}'..='\u{206F}' => "invisible operator",
        '\u{2800}' => "blank Braille pattern",
        '\u{3000}' => "ideographic space",
        '\u{115F}' | '\u{1160}' | '\u{3164}' | '\u{FFA0}' => "Hangul filler",
        '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}' => "variation selector",
        '\u{FEFF}' => "byte order mark",
        '\u{FFF9}'..='\u{FFFB}' => "annotation mark",
        '\u{E0000}'..='\u{E007F}' => "tag character",
        _ => return None,
    })
}

/// Describes one character: a name for what cannot be seen, and the code point of all that is not ASCII.
pub fn describe(c: char) -> String {
    match invisible(c) {
        Some(name) => format!("{name} (U+{:04X})", u32::from(c)),
        None if c == '\u{FFFD}' => "replacement character (U+FFFD), where bytes were no text".to_owned(),
        None if c.is_ascii() => c.to_string(),
        None => format!("{c} (U+{:04X})", u32::from(c)),
    }
}
