//! Inputs that are nearly good: good ones with edits. A fuzzer would hardly find a key of a long text by itself.

/// Returns a text with edits, three bytes each: what is done, where, and with which byte.
pub fn edited(good: &[u8], edits: &[u8]) -> Vec<u8> {
    let mut text = good.to_vec();
    for edit in edits.chunks_exact(3) {
        let at = (usize::from(edit[0] >> 2) << 5 | usize::from(edit[1] >> 3)) % (text.len() + 1);
        match edit[0] & 3 {
            0 => text.insert(at, edit[2]),
            1 if at < text.len() => text[at] = edit[2],
            2 => {
                let end = text.len().min(at + usize::from(edit[2] & 15));
                text.drain(at..end);
            }
            _ => {
                let end = text.len().min(at + usize::from(edit[2]));
                let piece = text[at..end].to_vec();
                text.splice(at..at, piece);
            }
        }
    }
    text
}
