//! Masks NIKs, alone and inside other text.

use std::borrow::Cow;

use super::{District, LENGTH, Nik};

/// Masks all NIKs in a text. Masks sixteen digits that can be a NIK, alone or at either end of a longer number, which may also contain
/// a sequence number. Keeps other numbers, such as a timestamp as a transactionId. Borrowed when nothing is masked.
#[must_use]
pub fn without_niks(text: &str) -> Cow<'_, str> {
    if !runs(text).any(|run| nik_offsets(run).next().is_some()) {
        return Cow::Borrowed(text);
    }
    Cow::Owned(runs(text).map(|run| nik_offsets(run).fold(run.to_owned(), mask_at)).collect())
}

/// Returns the offsets of NIKs in a run of digits: the start and the end.
fn nik_offsets(run: &str) -> impl Iterator<Item = usize> {
    let is_nik = |at: &usize| {
        let digits = run.get(*at..at + LENGTH);
        digits.is_some_and(|digits| digits.parse::<Nik>().is_ok() && District::of_nik(digits).is_some())
    };
    let last = run.len().checked_sub(LENGTH);
    [Some(0), last.filter(|at| *at > 0)].into_iter().flatten().filter(is_nik)
}

fn mask_at(run: String, at: usize) -> String {
    let (before, rest) = run.split_at(at);
    let (nik, after) = rest.split_at(LENGTH);
    [before, &masked(nik), after].concat()
}

/// Splits a text into runs of ASCII digits and the text between them.
fn runs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let digits = rest.starts_with(|c: char| c.is_ascii_digit());
        let end = rest.find(|c: char| c.is_ascii_digit() != digits).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        (!run.is_empty()).then_some(run)
    })
}

/// Masks a NIK: `317503XXXXXXXXXX`. Keeps the region code and replaces every later digit.
#[must_use]
pub fn masked(nik: &str) -> String {
    nik.chars().enumerate().map(|(at, c)| if at >= 6 && c.is_ascii_digit() { 'X' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn niks_in_free_text_are_masked_and_other_numbers_are_not() {
        for (text, hidden) in [
            ("id 3174055708909001!", "id 317405XXXXXXXXXX!"),
            ("31740557089090010001", "317405XXXXXXXXXX0001"),
            ("x00013174055708909001", "x0001317405XXXXXXXXXX"),
            ("31740557089090013174055708909001", "317405XXXXXXXXXX317405XXXXXXXXXX"),
        ] {
            assert_eq!(without_niks(text), hidden);
        }
        for text in ["2026112110000001", "20261121100000000001", "317405570890900", "9999999999999999", ""] {
            assert_eq!(without_niks(text), text);
        }
    }
}
