//! Finds the values of known accounts in any text, in every encoding that clients put them in, so that they can be hidden there.
//!
//! A value of at least 8 characters is found plain, in hexadecimal, in base64 at any offset (so also within `user:password`), and behind
//! escapes: JSON's and those of URLs, also several on top of each other. Of a text that was truncated, also what is left of a value
//! before the ellipsis. Shorter values may be common words: hiding those would make texts unreadable. A value that is some
//! customer's id as well is not hidden, because the id is in every path.
//!
//! An index rather than an automaton: accounts come and go one by one, thousands of them, and each change costs only its own account.

mod escapes;
mod forms;

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::ops::{Bound, Range};
use std::sync::Arc;

use memchr::memmem;

use super::customer::Account;
use escapes::{ESCAPES, unescape};
use forms::{MIN_FORM, forms, is_base64};

/// Replacement for a hidden value.
pub const HIDDEN: &str = "***";

/// Min. length of a value that is hidden, in characters.
const MIN_CHARS: usize = 8;

/// Min. length of the rest of a value before an ellipsis, in bytes. Less would be an accident.
const MIN_REST: usize = 4;

const ELLIPSIS: &[u8] = "…".as_bytes();

/// Max escapes on top of each other.
const MAX_ESCAPES: usize = 3;

/// Length of the longest escape, in bytes: `\u{10ffff}`.
const MAX_ESCAPE: usize = 10;

/// Slots of the filter for each form, at least: most positions of a text do not pass it.
const SLOTS_EACH: usize = 8;

/// Max ellipses of a text that something may have been cut at; the last ones. A client may send any number of them.
const MAX_CUTS: usize = 8;

/// The values of accounts, by the bytes that they are found by.
#[derive(Default)]
pub struct SecretIndex {
    /// How many customers have each account.
    accounts: HashMap<(String, String), usize>,
    /// How many customers have each id: fixtures and the admin API may both have it.
    customer_ids: HashMap<String, usize>,
    forms: BTreeMap<Box<[u8]>, KnownForm>,
    /// Number of forms that start with the bytes of each slot; a power of two, empty until the first.
    starts: Vec<u32>,
    /// At least the length of the longest form.
    longest: usize,
}

/// One encoding of a value.
struct KnownForm {
    /// How often it was added.
    count: usize,
    is_base64: bool,
    value: Arc<str>,
}

// A derived Debug would print the values.
impl std::fmt::Debug for SecretIndex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SecretIndex({} accounts)", self.accounts.len())
    }
}

impl SecretIndex {
    /// Returns the index of one customer.
    #[must_use]
    pub fn of(customer_id: &str, account: &Account) -> SecretIndex {
        let mut index = SecretIndex::default();
        index.add(customer_id, account);
        index
    }

    /// Adds a customer.
    pub fn add(&mut self, customer_id: &str, account: &Account) {
        *self.customer_ids.entry(customer_id.to_owned()).or_default() += 1;
        let count = self.accounts.entry(key_of(account)).or_default();
        *count += 1;
        if *count == 1 {
            long_values(account).for_each(|value| self.add_value(value));
        }
    }

    /// Removes a customer that was added with this id and account.
    pub fn remove(&mut self, customer_id: &str, account: &Account) {
        decrement(&mut self.customer_ids, customer_id);
        if decrement(&mut self.accounts, &key_of(account)) {
            long_values(account).for_each(|value| self.remove_value(value));
        }
    }

    /// Returns whether a customer has this account.
    #[must_use]
    pub fn contains(&self, account: &Account) -> bool {
        self.accounts.contains_key(&key_of(account))
    }

    fn add_value(&mut self, value: &str) {
        let shared: Arc<str> = value.into();
        for (bytes, is_base64) in forms(value.as_bytes()) {
            self.longest = self.longest.max(bytes.len());
            let new = || KnownForm { count: 0, is_base64, value: Arc::clone(&shared) };
            self.forms.entry(bytes.as_slice().into()).or_insert_with(new).count += 1;
            if self.forms.len() * SLOTS_EACH > self.starts.len() {
                self.widen();
            } else {
                let slot = self.slot(&bytes);
                self.starts[slot] += 1;
            }
        }
    }

    /// Makes the filter large enough, for twice the forms.
    fn widen(&mut self) {
        self.starts = vec![0; (2 * self.forms.len() * SLOTS_EACH).next_power_of_two()];
        for (bytes, form) in &self.forms {
            let slot = slot_of(bytes, self.starts.len());
            self.starts[slot] += u32::try_from(form.count).unwrap_or(u32::MAX);
        }
    }

    fn slot(&self, text: &[u8]) -> usize {
        slot_of(text, self.starts.len())
    }

    fn remove_value(&mut self, value: &str) {
        for (bytes, _) in forms(value.as_bytes()) {
            let slot = self.slot(&bytes);
            self.starts[slot] -= 1;
            if let Some(form) = self.forms.get_mut(&*bytes) {
                form.count -= 1;
                if form.count == 0 {
                    self.forms.remove(&*bytes);
                }
            }
        }
    }

    /// Hides the values in a text; borrowed when it has none.
    #[must_use]
    pub fn hidden<'t>(&self, text: &'t str) -> Cow<'t, str> {
        if self.forms.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut found = self.ranges(text.as_bytes(), MAX_ESCAPES);
        if found.is_empty() {
            return Cow::Borrowed(text);
        }
        found.sort_by_key(|range| range.start);
        let (mut out, mut end) = (String::with_capacity(text.len()), 0);
        for range in found {
            let (from, to) = (text.floor_char_boundary(range.start), text.ceil_char_boundary(range.end));
            if from > end || end == 0 {
                out.push_str(&text[end..from]);
                out.push_str(HIDDEN);
            }
            end = end.max(to);
        }
        out.push_str(&text[end..]);
        Cow::Owned(out)
    }

    /// Returns where values are in a text, also behind so many escapes.
    fn ranges(&self, text: &[u8], max_escapes: usize) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        self.find(text, &mut found);
        if max_escapes > 0 && memchr::memchr3(b'%', b'\\', b'+', text).is_some() {
            for plain in ESCAPES.iter().filter_map(|escape| unescape(text, *escape)) {
                let ranges = self.ranges(&plain.bytes, max_escapes - 1);
                found.extend(ranges.into_iter().map(|range| plain.source(range)));
            }
        }
        found
    }

    fn find(&self, text: &[u8], found: &mut Vec<Range<usize>>) {
        for (start, window) in text.windows(MIN_FORM).enumerate() {
            if self.starts[self.slot(window)] > 0
                && let Some((bytes, form)) = self.longest_at(&text[start..])
                && self.is_hidden(form)
            {
                found.push(form.range(text, start..start + bytes.len()));
            }
        }
        for end in memmem::rfind_iter(text, ELLIPSIS).take(MAX_CUTS) {
            // The cut may be within an escape.
            let escape = memchr::memrchr2(b'%', b'\\', &text[end.saturating_sub(MAX_ESCAPE)..end]);
            let before = escape.map(|at| end.saturating_sub(MAX_ESCAPE) + at);
            let rests = [Some(end), before].into_iter().flatten();
            found.extend(rests.filter_map(|at| self.rest_before(text, at)).map(|rest| rest.start..end));
        }
    }

    fn is_hidden(&self, form: &KnownForm) -> bool {
        !self.customer_ids.contains_key(&*form.value)
    }

    /// Returns the longest form that the text begins with.
    fn longest_at(&self, mut text: &[u8]) -> Option<(&[u8], &KnownForm)> {
        while text.len() >= MIN_FORM {
            let up_to = (Bound::Unbounded, Bound::Included(text));
            let (bytes, form) = self.forms.range::<[u8], _>(up_to).next_back()?;
            if text.starts_with(bytes) {
                return Some((bytes, form));
            }
            // A shorter form that the text begins with is a prefix of what both have in common.
            let common = text.iter().zip(&**bytes).take_while(|(a, b)| a == b).count();
            text = &text[..common];
        }
        None
    }

    /// Returns the longest beginning of a form that ends at `end`.
    fn rest_before(&self, text: &[u8], end: usize) -> Option<Range<usize>> {
        let starts = end.saturating_sub(self.longest)..=end.checked_sub(MIN_REST)?;
        starts.into_iter().find_map(|start| {
            let rest = &text[start..end];
            if rest.len() >= MIN_FORM && self.starts[self.slot(rest)] == 0 {
                return None;
            }
            let from = (Bound::Included(rest), Bound::Unbounded);
            let (_, form) =
                self.forms.range::<[u8], _>(from).next().filter(|(bytes, _)| bytes.starts_with(rest))?;
            self.is_hidden(form).then(|| form.range(text, start..end))
        })
    }
}

impl KnownForm {
    /// Returns what is to be hidden. In base64 the characters beside the form may have a few bits of the value.
    fn range(&self, text: &[u8], Range { start, end }: Range<usize>) -> Range<usize> {
        let is_beside = |at: Option<usize>| {
            self.is_base64 && at.and_then(|at| text.get(at)).is_some_and(|byte| is_base64(*byte))
        };
        let before = start.checked_sub(1);
        start - usize::from(is_beside(before))..end + usize::from(is_beside(Some(end)))
    }
}

fn key_of(Account { user_id, password }: &Account) -> (String, String) {
    (user_id.clone(), password.clone())
}

fn long_values(account: &Account) -> impl Iterator<Item = &str> {
    let values = [&*account.user_id, &*account.password].into_iter();
    values.filter(|value| value.chars().count() >= MIN_CHARS)
}

/// Counts one less. Returns whether none is left.
fn decrement<Q: ?Sized + std::hash::Hash + Eq, K: std::borrow::Borrow<Q> + std::hash::Hash + Eq>(
    counts: &mut HashMap<K, usize>,
    key: &Q,
) -> bool {
    let Some(count) = counts.get_mut(key) else { return false };
    *count -= 1;
    let none_left = *count == 0;
    if none_left {
        counts.remove(key);
    }
    none_left
}

/// Returns the slot, of so many (a power of two from 2 on), that a text's first bytes belong to.
fn slot_of(text: &[u8], slots: usize) -> usize {
    let start = text.first_chunk::<MIN_FORM>().map_or(0, |start| u64::from_le_bytes(*start));
    (start.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (64 - slots.trailing_zeros())) as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::Engine;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    fn account(user_id: &str, password: &str) -> Account {
        Account { user_id: user_id.to_owned(), password: password.to_owned() }
    }

    const USER: &str = "bank-user/é";
    const PASSWORD: &str = "päss \"word\"+?~1";

    fn index() -> SecretIndex {
        SecretIndex::of("bank", &account(USER, PASSWORD))
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(index().hidden(text), expected, "{text}");
    }

    fn percent(value: &str, is_escaped: impl Fn(u8) -> bool) -> String {
        let escaped = |byte: u8| match is_escaped(byte) {
            true => format!("%{byte:02X}"),
            false => char::from(byte).to_string(),
        };
        value.bytes().map(escaped).collect()
    }

    #[test]
    fn values_are_hidden_in_every_encoding() {
        for value in [USER, PASSWORD] {
            let ascii: String = value
                .chars()
                .map(|c| if c.is_ascii() { c.to_string() } else { format!("\\u{:04x}", c as u32) })
                .collect();
            let quoted = |text: &str| serde_json::to_string(text).unwrap();
            let escaped = |text: &str| quoted(text)[1..quoted(text).len() - 1].to_owned();
            let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
            let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
            let forms = [
                value.to_owned(),
                escaped(value),
                escaped(&escaped(value)),
                ascii.replace('"', "\\\"").replace('/', "\\/"),
                hex.to_uppercase(),
                hex,
                percent(value, |byte| !unreserved(byte)),
                percent(value, |byte| !unreserved(byte)).to_lowercase(),
                percent(value, |_| true),
                percent(&percent(value, |byte| !unreserved(byte)), |byte| byte == b'%'),
                percent(value, |byte| !unreserved(byte) && byte != b' ').replace(' ', "+"),
                percent(&STANDARD.encode(value), |byte| b"+/=".contains(&byte)),
            ];
            for form in forms {
                // Base64 may leave its padding.
                let hidden = index().hidden(&format!("x {form} y")).replace("%3D", "").replace('=', "");
                assert_eq!(hidden, "x *** y", "{form}");
            }
        }
    }

    #[test]
    fn base64_is_hidden_at_any_offset_and_in_both_alphabets() {
        for before in ["", "a", "ab", "abc", "user:"] {
            for after in ["", "z", ":password", "\u{ff}\u{ff}"] {
                for value in [USER, PASSWORD] {
                    let text = format!("{before}{value}{after}");
                    for encoded in [STANDARD.encode(&text), URL_SAFE.encode(&text)] {
                        let hidden = index().hidden(&encoded).into_owned();
                        let (left, right) = hidden.split_once(HIDDEN).expect(&encoded);
                        // What is left has no whole character of the value.
                        assert!(left.len() * 6 < before.len() * 8 + 6, "{hidden}");
                        assert!(right.trim_end_matches('=').len() * 6 < after.len() * 8 + 6, "{hidden}");
                    }
                }
            }
        }
        let both = STANDARD.encode(format!("{USER}:{PASSWORD}"));
        let hidden = index().hidden(&both).into_owned();
        assert!(hidden.replace(HIDDEN, "").len() <= 2, "{hidden}");
    }

    #[test]
    fn what_is_left_of_a_value_before_an_ellipsis_is_hidden() {
        check("\"x bank-u…\"", "\"x ***…\"");
        check("bank…", "***…");
        check("x-bank-user/…", "x-***…");
        check("ban…", "ban…");
        for cut in ["bank-user%…", "bank-user%2…", "bank-user\\…", "bank-user\\u00…", "bank%2Duser%2…"]
        {
            check(cut, "***…");
        }
        check("päss \\\"wor…", "***…");
        check("p%C3%A4ss%20%22wo…", "***…");
        let base64 = STANDARD.encode(format!("a:{PASSWORD}"));
        assert!(index().hidden(&format!("{}…", &base64[..12])).ends_with("***…"));
    }

    #[test]
    fn other_texts_stay_as_they_are() {
        for text in ["", "bank", "bank-user", "BANK-USER/É", "päss \"word\"", "%", "%zz\\", "\\u12", "T-1…"]
        {
            check(text, text);
            assert!(matches!(index().hidden(text), Cow::Borrowed(_)));
        }
        check("a bank-user/é and päss \"word\"+?~1.", "a *** and ***.");
        check("bank-user/ébank-user/é", "***");
    }

    #[test]
    fn short_values_and_ids_are_not_hidden() {
        let mut index = SecretIndex::of("customer-1", &account("1234567", "customer-1"));
        assert_eq!(index.hidden("1234567 customer-1"), "1234567 customer-1");
        index.add("customer-2", &account("customer-1x", "12345678"));
        assert_eq!(index.hidden("1234567 12345678 customer-1x customer-1"), "1234567 *** *** customer-1");
        index.add("12345678", &account("a", "b"));
        assert_eq!(index.hidden("12345678"), "12345678");
    }

    #[test]
    fn a_value_is_hidden_as_long_as_a_customer_has_it() {
        let shared = account("shared-user", "shared-password");
        let mut index = SecretIndex::of("a", &shared);
        index.add("b", &shared);
        index.add("c", &account("shared-user", "another-password"));
        index.remove("a", &shared);
        assert_eq!(index.hidden("shared-user shared-password"), "*** ***");
        index.remove("b", &shared);
        assert_eq!(index.hidden("shared-user shared-password"), "*** shared-password");
        assert!(!index.contains(&shared));
        index.remove("c", &account("shared-user", "another-password"));
        assert!(index.forms.is_empty() && index.customer_ids.is_empty() && index.accounts.is_empty());
        assert!(index.starts.iter().all(|count| *count == 0));
    }

    #[test]
    fn the_longest_of_values_that_begin_alike_is_hidden() {
        let mut index = SecretIndex::default();
        for (number, value) in ["password", "password-1", "password-12", "passwords"].into_iter().enumerate()
        {
            index.add(&number.to_string(), &account("u", value));
        }
        for (text, expected) in [
            ("password-12", "***"),
            ("password-13", "***3"),
            ("password-2", "***-2"),
            ("passwordz", "***z"),
            ("passwords", "***"),
            ("passwore", "passwore"),
        ] {
            assert_eq!(index.hidden(text), expected, "{text}");
        }
    }

    #[test]
    fn many_accounts_cost_a_text_hardly_more_than_one() {
        let mut index = SecretIndex::default();
        for number in 0..2000 {
            let number = format!("{number:05}");
            index.add(&number, &account(&format!("customer-{number}"), &format!("password-{number}")));
        }
        let text = "customer- password- customer-01234 password-0123 ".repeat(200);
        let expected = "customer- password- *** password-0123 ".repeat(200);
        assert_eq!(index.hidden(&text), expected);
        assert_eq!(index.hidden(&"…".repeat(500)), "…".repeat(500));
        let passing = text.as_bytes().windows(MIN_FORM).filter(|start| index.starts[index.slot(start)] > 0);
        assert!(passing.count() < text.len() / 4, "most positions of a text do not pass the filter");
    }
}
