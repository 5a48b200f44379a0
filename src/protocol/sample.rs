//! The document's eight sample answers, byte for byte, except that typographic quotes are ASCII, so that they are JSON.

use super::outcome::Code;

/// The documented codes with their sample answers.
pub static SAMPLES: [(&str, &[u8]); 8] = [
    ("5001", include_bytes!("golden/5001.json")),
    ("5002", include_bytes!("golden/5002.json")),
    ("5003", include_bytes!("golden/5003.json")),
    ("5004", include_bytes!("golden/5004.json")),
    ("5005", include_bytes!("golden/5005.json")),
    ("5006", include_bytes!("golden/5006.json")),
    ("6014", include_bytes!("golden/6014.json")),
    ("6018", include_bytes!("golden/6018.json")),
];

/// Returns the sample answer of a documented code.
#[must_use]
pub fn sample(code: &Code) -> Option<&'static [u8]> {
    SAMPLES.iter().find(|(documented, _)| *documented == code.as_str()).map(|(_, bytes)| *bytes)
}
