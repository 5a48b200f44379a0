//! The encodings of a value that have no escapes: plain, hexadecimal, base64.

use base64::Engine;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

use crate::base::hash::hex;

/// Min. length of a form, in bytes: that of a plain value.
pub const MIN_FORM: usize = 8;

/// Returns the bytes that a value is found by, and whether they are base64.
pub fn forms(value: &[u8]) -> Vec<(Vec<u8>, bool)> {
    let hex = hex(value);
    let mut forms =
        vec![(value.to_vec(), false), (hex.to_uppercase().into_bytes(), false), (hex.into_bytes(), false)];
    for offset in 0..3 {
        forms
            .extend([&STANDARD_NO_PAD, &URL_SAFE_NO_PAD].map(|engine| (base64(value, offset, engine), true)));
    }
    forms.sort();
    forms.dedup();
    forms
}

/// Returns the characters of base64 that the value alone decides, when it comes behind so many bytes, modulo 3.
fn base64(value: &[u8], offset: usize, engine: &impl Engine) -> Vec<u8> {
    let text = engine.encode([&[0; 2][..offset], value, &[0]].concat());
    let (first, end) = ((offset * 8).div_ceil(6), (offset + value.len()) * 8 / 6);
    text.as_bytes()[first..end].to_vec()
}

/// Returns whether a byte is of one of the alphabets of base64.
pub fn is_base64(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"+/-_".contains(&byte)
}
