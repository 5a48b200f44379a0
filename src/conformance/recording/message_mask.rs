//! Which words of a message are kept: those that are no data of the request, and do not look like data.

use super::allow_list::AnswerKey;
use crate::domain::http_answer::reason_phrase;
use crate::protocol::OUTCOMES;
use crate::protocol::body::FIELDS;

/// What was sent, in pieces that a message is searched for.
#[derive(Debug)]
pub struct SentPieces {
    whole: Vec<String>,
    words: Vec<String>,
}

/// Longer values are photos and ciphertexts: their parts would be found in any text.
const MAX_VALUE: usize = 200;
/// Shorter pieces would be found in any word.
const MIN_PIECE: usize = 3;
/// A shorter word would be found in any value.
const MIN_WORD: usize = 4;
/// Max characters of a message that are kept.
const MAX_MESSAGE: usize = 200;
const MAX_LETTERS: usize = 20;
/// A longer word of the letters a to f may be hexadecimal.
const MAX_HEX: usize = 5;

impl SentPieces {
    /// The pieces of values.
    pub fn of<'a>(values: impl IntoIterator<Item = &'a str>) -> SentPieces {
        let values = values.into_iter().map(str::trim).filter(|value| value.len() >= MIN_PIECE);
        let whole: Vec<_> = values.filter(|value| value.len() <= MAX_VALUE).map(str::to_lowercase).collect();
        let words = whole.iter().flat_map(|value| value.split(|c: char| !c.is_alphanumeric()));
        let words = words.filter(|word| word.chars().count() >= MIN_PIECE).map(str::to_owned).collect();
        SentPieces { whole, words }
    }

    /// Whether a word contains a piece of what was sent, or is a part of it.
    #[must_use]
    pub fn has(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        let bare = word.trim_matches(|c: char| !c.is_alphanumeric());
        self.words.iter().any(|piece| word.contains(piece.as_str()))
            || (bare.chars().count() >= MIN_WORD && self.whole.iter().any(|value| value.contains(bare)))
    }
}

/// Whether a message is one of the document, or of those that clients of it know, or a standard reason phrase.
#[must_use]
pub fn is_known(message: &str) -> bool {
    OUTCOMES.iter().any(|outcome| outcome.message == message)
        || (400..600).any(|status| reason_phrase(status) == message)
}

/// The ranges of characters of a message that are not kept, each a word.
#[must_use]
pub fn hidden_words(message: &[char], sent: &SentPieces) -> Vec<std::ops::Range<usize>> {
    if is_known(&message.iter().collect::<String>()) {
        return Vec::new();
    }
    let mut hidden = Vec::new();
    let mut start = 0;
    for word in message.split(|c| c.is_whitespace()) {
        let end = start + word.len();
        let text: String = word.iter().collect();
        if !text.is_empty()
            && (end > MAX_MESSAGE || !(is_name(&text) || (is_plain(&text) && !sent.has(&text))))
        {
            hidden.push(start..end);
        }
        start = end + 1;
    }
    hidden
}

/// Whether a word is the name of a field of the request or a key of an answer, with or without punctuation.
fn is_name(word: &str) -> bool {
    let bare = word.trim_matches([',', '.', ':', ';', '!', '?', '\'', '"', '(', ')']);
    FIELDS.iter().any(|rule| rule.name == bare) || AnswerKey::find(bare).is_some()
}

/// Whether a word cannot be a number, an address, a name of a file, base64 or hexadecimal.
fn is_plain(word: &str) -> bool {
    let letters: Vec<char> = word.chars().filter(char::is_ascii_alphabetic).collect();
    let is_hex =
        letters.len() > MAX_HEX && letters.iter().all(|c| matches!(c.to_ascii_lowercase(), 'a'..='f'));
    let has_hump =
        letters.windows(2).any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase());
    word.chars().all(|c| c.is_ascii_alphabetic() || ".,;:!?'\"()-/".contains(c))
        && letters.len() <= MAX_LETTERS
        && !is_hex
        && !has_hump
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(message: &str, sent: &[&str]) -> String {
        let chars: Vec<char> = message.chars().collect();
        let mut out = chars.clone();
        for range in hidden_words(&chars, &SentPieces::of(sent.iter().copied())) {
            out[range].fill('X');
        }
        out.into_iter().collect()
    }

    #[test]
    fn words_are_kept_and_data_is_not() {
        for (message, expected) in [
            (
                "Kuota Hari Ini Habis, Silahkan Dicoba Esok Hari",
                "Kuota Hari Ini Habis, Silahkan Dicoba Esok Hari",
            ),
            (" Akun tidak ditemukan ", " Akun tidak ditemukan "),
            ("NIK 3174096112900001 tidak ada", "NIK XXXXXXXXXXXXXXXX tidak ada"),
            ("maks. 10 kali/hari!", "maks. XX kali/hari!"),
            ("user a@b.id salah", "user XXXXXX salah"),
            ("akun nama_siti", "akun XXXXXXXXX"),
            ("field transactionId, user_id: wajib", "field transactionId, user_id: wajib"),
            ("deadbeef facade bad", "XXXXXXXX XXXXXX bad"),
            ("SGVsbGEa dGVzCg==", "XXXXXXXX XXXXXXXX"),
            ("abcdefghijklmnopqrstu", "XXXXXXXXXXXXXXXXXXXXX"),
            ("café", "XXXX"),
            ("a=b <script>", "XXX XXXXXXXX"),
        ] {
            assert_eq!(kept(message, &[]), expected);
        }
        let long = "kata ".repeat(60);
        assert_eq!(kept(&long, &[]).find('X'), Some(200));
    }

    #[test]
    fn what_was_sent_is_not_kept_in_whole_or_in_part() {
        let sent = ["Siti Aminah", "ab", "onboarding-web", "tidak"];
        for (message, expected) in [
            ("pemohon SITI (aminah): gagal", "pemohon XXXX XXXXXXXXX gagal"),
            ("dari onboarding", "dari XXXXXXXXXX"),
            ("dari board", "dari XXXXX"),
            ("sumber webserver", "sumber XXXXXXXXX"),
            ("ab hari", "ab hari"),
            // Known texts stay, whatever was sent.
            ("Parameter tidak sesuai", "Parameter tidak sesuai"),
            ("Parameter tidak benar", "Parameter XXXXX benar"),
        ] {
            assert_eq!(kept(message, &sent), expected);
        }
        let photo = "kuotahari".repeat(40);
        assert_eq!(kept("Kuota hari ini", &[&photo]), "Kuota hari ini");
    }
}
