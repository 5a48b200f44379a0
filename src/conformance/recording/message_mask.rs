//! Which words of a message are kept: those of a list. A message says what the endpoint likes, such as a name, so any other word is masked.

use std::collections::HashSet;
use std::sync::LazyLock;

use super::allow_list::{AnswerKey, is_field};
use crate::domain::http_answer::reason_phrase;
use crate::protocol::OUTCOMES;

/// Words of error messages, in lower case, beside those of the document's own messages. None is a usual name of a person.
pub const WORDS: &str = "\
    a about access accepted account address again akses akun alamat aktif already an anda and another any api aplikasi are argument array as at \
    atas atau authentication authorization authorized available awal bad bahwa banyak base be belum benar berhasil berisi berlaku berkas besar \
    best between body boleh bukan buruk busy but by byte bytes call calls can candidate candidates cannot character characters check client code \
    coba connection contact contain contains content could customer dalam dan dapat dari data database date day daily decode decoded decrypt \
    decryption default delay dengan denied deserialize detail detected di diberikan dibaca dicoba didekripsi diisi dikenal dikenali dikirim \
    ditemukan ditolak does down ektp empty end endpoint enough entity error errors exceed exceeded exception exist exists expected expired face \
    faces failed failure field fields file foreign format found from gagal gambar gateway get habis hak hari harus has hasil hubungi id image images \
    in index input integer internal invalid ip is isi it jaringan json jumlah kali kandidat karena kata ke key kecil kembali kesalahan \
    kesempatan kode koneksi kosong kualitas kunci kuota kurang lain lebih layanan left length less level limit list log long low maaf maksimal \
    maksimum malformed many maximum may media melebihi memiliki mencapai message method methode metode minimal minimum missing mohon more must \
    name nik nilai no none not null number object of on one only operasi or out panjang parameter parse pada password payload pengguna per \
    permintaan permission port present problem proses proxy quality quota read reached request requests required resource response result retry \
    route salah sama same satu score search sedang semua server service session sesuai setelah should sibuk silahkan silakan sistem size skor \
    small some source specified status string success successful sudah sukses supported syntax system telah temporarily terbaca terdaftar terjadi \
    terhubung terlalu text than that the there this threshold tid tidak time timed timeout tinggi to token too transaction transaksi try tunggu \
    type ukuran ulang ulangi unable unauthorized unavailable under unexpected unknown unsupported untuk upstream url user valid value values \
    verification verifikasi wait wajah wajib waktu was were while will with within wrong yang your";

static KNOWN_WORDS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let own = OUTCOMES.iter().flat_map(|outcome| words(outcome.message));
    let reasons = (400..600).flat_map(|status| words(reason_phrase(status)));
    own.chain(reasons).chain(words(WORDS)).map(str::to_lowercase).collect()
});

fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty())
}

/// The ranges of characters of a message that are not kept: each word with a part that is neither on the list nor the name of a field.
#[must_use]
pub fn hidden_words(message: &[char]) -> Vec<std::ops::Range<usize>> {
    let mut hidden = Vec::new();
    let mut start = 0;
    for word in message.split(|c| c.is_whitespace()) {
        let end = start + word.len();
        let text: String = word.iter().collect();
        if !text.is_empty() && !is_kept(&text) {
            hidden.push(start..end);
        }
        start = end + 1;
    }
    hidden
}

fn is_kept(word: &str) -> bool {
    let bare = word.trim_matches(PUNCTUATION);
    let is_name = is_field(bare) || AnswerKey::find(bare).is_some();
    let is_known = |part: &str| part.is_empty() || KNOWN_WORDS.contains(&part.to_lowercase());
    is_name || bare.split(['-', '/']).all(is_known)
}

const PUNCTUATION: [char; 13] = ['.', ',', ':', ';', '!', '?', '\'', '"', '(', ')', '[', ']', '-'];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_the_list_are_kept_and_others_are_not() {
        for (message, expected) in [
            (
                "Kuota Hari Ini Habis, Silahkan Dicoba Esok Hari",
                "Kuota Hari Ini Habis, Silahkan Dicoba Esok Hari",
            ),
            (" Akun tidak ditemukan ", " Akun tidak ditemukan "),
            ("pemohon SITI (aminah): gagal", "XXXXXXX XXXX XXXXXXXXX gagal"),
            ("NIK 3174096112900001 tidak ada", "NIK XXXXXXXXXXXXXXXX tidak XXX"),
            ("maks. 10 kali/hari!", "XXXXX XX kali/hari!"),
            ("user a@b.id salah", "user XXXXXX salah"),
            ("kali/siti tidak-aminah", "XXXXXXXXX XXXXXXXXXXXX"),
            ("field transactionId, user_id: wajib", "field transactionId, user_id: wajib"),
            ("SGVsbGEa dGVzCg==", "XXXXXXXX XXXXXXXX"),
            ("data. data.siti ... -", "data. XXXXXXXXX ... -"),
            ("caf\u{e9} a=b <script>", "XXXX XXX XXXXXXXX"),
        ] {
            let chars: Vec<char> = message.chars().collect();
            let mut out = chars.clone();
            for range in hidden_words(&chars) {
                out[range].fill('X');
            }
            assert_eq!(out.into_iter().collect::<String>(), expected);
        }
    }

    #[test]
    fn the_documents_messages_are_kept_and_the_list_is_in_order() {
        for outcome in &OUTCOMES {
            assert!(
                hidden_words(&outcome.message.chars().collect::<Vec<_>>()).is_empty(),
                "{}",
                outcome.message
            );
        }
        let listed: Vec<_> = words(WORDS).collect();
        let mut once = listed.clone();
        once.dedup();
        assert_eq!(listed, once, "each word once");
        assert!(listed.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_lowercase())));
    }
}
