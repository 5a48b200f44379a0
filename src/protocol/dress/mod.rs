//! What a tool did to a text before it was sent: quotes around it, percent-encoding, UTF-16, base64 once too often. One table of such
//! dresses, each with its inverse, serves three questions: why a text is not base64, why a ciphertext does not open, and why an opened
//! text is not the account's. A dress is named only where what is under it was found, so it is certain.

mod encodings;
mod shapes;
mod wrappers;

pub use encodings::{ALPHABETS, ENCODINGS, PLAIN_FORMS};
pub use shapes::{is_printed_bytes, shapes};
pub use wrappers::WRAPPERS;

/// One thing that tools do to a text.
pub struct Dress {
    /// Completes "it is the text ...", such as "with quotes around it".
    pub words: &'static str,
    /// What to do about it.
    pub hint: &'static str,
    /// Position of its first trace in the text as sent, in characters from 1; `None` where the words say it all.
    pub place: fn(&str) -> Option<usize>,
    /// Takes it off; `None` where the text does not have it.
    undo: fn(&[u8]) -> Option<Vec<u8>>,
}

// A derived Debug would print addresses.
impl std::fmt::Debug for Dress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.words)
    }
}

/// Two are the same when they say the same.
impl PartialEq for Dress {
    fn eq(&self, other: &Dress) -> bool {
        self.words == other.words
    }
}

/// What was found under some dresses, the outermost first.
#[derive(Debug, PartialEq)]
pub struct Found<T> {
    pub dresses: Vec<&'static Dress>,
    pub what: T,
}

/// Bounds of a search: it runs on what anybody may send.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Max dresses one over the other.
    pub depth: usize,
    /// Max texts that are looked at.
    pub texts: usize,
}

/// Takes off the dresses of `tables`, in every order, and returns all that `goal` recognizes, the least dressed first.
pub fn undress<T>(
    text: &[u8],
    tables: &[&'static [Dress]],
    bounds: Bounds,
    goal: impl Fn(&[u8]) -> Option<T>,
) -> Vec<Found<T>> {
    let mut found = Vec::new();
    let mut seen: Vec<(Vec<u8>, Vec<&'static Dress>)> = vec![(text.to_vec(), Vec::new())];
    let mut next = 0;
    while let Some((text, dresses)) = seen.get(next).cloned() {
        next += 1;
        if let Some(what) = goal(&text) {
            found.push(Found { dresses: dresses.clone(), what });
        }
        if dresses.len() == bounds.depth {
            continue;
        }
        for dress in tables.iter().copied().flatten() {
            if seen.len() < bounds.texts
                && let Some(under) = (dress.undo)(&text)
                && !seen.iter().any(|(known, _)| *known == under)
            {
                seen.push((under, [&dresses[..], &[dress]].concat()));
            }
        }
    }
    found
}

/// The position of the first character that `is_trace` accepts, from 1.
fn first(text: &str, is_trace: impl Fn(char) -> bool) -> Option<usize> {
    text.chars().position(is_trace).map(|index| index + 1)
}

/// Bytes as text; `None` where they are not UTF-8.
fn utf8(bytes: &[u8]) -> Option<&str> {
    simdutf8::basic::from_utf8(bytes).ok()
}

/// The text, unless it is the old one or empty: a dress that was not there is none.
fn changed(new: impl Into<Vec<u8>>, old: &[u8]) -> Option<Vec<u8>> {
    let new = new.into();
    (new != old && !new.is_empty()).then_some(new)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { depth: 3, texts: 64 };

    /// How `under` is found below `text`, by words.
    fn dressed(text: &[u8], under: &[u8]) -> Vec<Vec<&'static str>> {
        let tables = [WRAPPERS, ALPHABETS, ENCODINGS];
        let found = undress(text, &tables, BOUNDS, |text| (text == under).then_some(()));
        found.iter().map(|found| found.dresses.iter().map(|dress| dress.words).collect()).collect()
    }

    #[test]
    fn dresses_over_dresses_come_off_the_outermost_first() {
        assert_eq!(
            dressed(b"\"d%2Bmo\"\n", b"d+mo")[0],
            ["with a line break at the end", "with quotes around it", "percent-encoded"]
        );
        assert_eq!(dressed(b"plain", b"plain"), [Vec::<&str>::new()]);
        assert!(dressed(b"plain", b"other").is_empty());
    }

    #[test]
    fn a_search_is_bounded() {
        let nested = (0..60).fold("x".to_owned(), |text, _| format!("\"{text}\""));
        assert!(dressed(nested.as_bytes(), b"x").is_empty(), "deeper than three");
        let few = Bounds { depth: 9, texts: 2 };
        let found = undress(b"\"'x'\"", &[WRAPPERS], few, |text| (text == b"x").then_some(()));
        assert!(found.is_empty(), "only two texts were to be looked at");
    }

    #[test]
    fn every_dress_says_what_to_do() {
        for dress in [WRAPPERS, ALPHABETS, ENCODINGS, PLAIN_FORMS].into_iter().flatten() {
            assert!(!dress.words.is_empty() && !dress.hint.is_empty(), "{dress:?}");
        }
    }
}
