//! Masks an answer by the allow-list. Every mask is as long as what it replaces, so lengths, layout and the place of a cut stay true.

use super::allow_list::{self, AnswerKey, MASK, MASK_DIGIT, ValueRule, masks};
use super::json_text::{self, TextUnit, is_quote};
use super::message_mask;
use crate::domain::http_answer::reason_phrase;
use crate::protocol::number::is_json_number;

/// What an answer is masked by: what its request sent.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerMask<'a> {
    pub transaction_id: Option<&'a str>,
    /// Whether the first six digits of NIKs are kept.
    pub keeps_area: bool,
}

/// A longer answer is none of the endpoint.
const MAX_BYTES: usize = 1 << 20;
const MAX_DEPTH: usize = 32;
const BOM: char = '\u{FEFF}';
/// Digits of a NIK, and of its area.
const NIK: usize = 16;
const AREA: usize = 6;

impl AnswerMask<'_> {
    /// Masks a body, of equal length in bytes; `None` when it is neither of the endpoint's two shapes nor an error of Spring. Typographic
    /// quotes are read as the document prints them. In numbers that are not in quotes a masked digit is 9.
    #[must_use]
    pub fn body(&self, body: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(body).ok().filter(|text| text.len() <= MAX_BYTES)?;
        if text.is_empty() {
            return Some(String::new());
        }
        let units = json_text::units(text);
        let mut walk = Walk { mask: self, out: body.to_vec(), keys: Vec::new() };
        let start = usize::from(text.starts_with(BOM));
        let end = walk.value(&units, start, Place::Top, 0)?;
        let is_whole = white_space(&units, end) == units.len();
        (is_whole && walk.has_known_shape()).then(|| String::from_utf8(walk.out).ok()).flatten()
    }

    /// Masks a head: its status line and header fields in order and case, each of equal length in bytes.
    #[must_use]
    pub fn head(&self, head: &str) -> Vec<String> {
        let mut lines =
            head.trim_end_matches(['\r', '\n']).split('\n').map(|line| line.trim_end_matches('\r'));
        let status = lines.next().map(status_line);
        let field = |line: &str| match line.split_once(':') {
            Some((name, value)) => {
                let bare = value.trim();
                let (before, after) = value.split_at(value.len() - value.trim_start().len());
                let after = &after[bare.len()..];
                let name = allow_list::header_name(name);
                format!("{name}:{before}{}{after}", allow_list::header_value(&name, bare))
            }
            None => masks(line),
        };
        status.into_iter().chain(lines.map(field)).collect()
    }
}

fn status_line(line: &str) -> String {
    let mut parts = line.splitn(3, ' ');
    let (version, status) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
    let is_version = matches!(version, "HTTP/1.1" | "HTTP/1.0");
    let is_status = status.len() == 3 && status.bytes().all(|byte| byte.is_ascii_digit());
    if !is_version || !is_status {
        return masks(line);
    }
    let standard = status.parse().map_or("", reason_phrase);
    match parts.next() {
        None => format!("{version} {status}"),
        Some(reason) if reason.is_empty() || reason == standard => format!("{version} {status} {reason}"),
        Some(reason) => format!("{version} {status} {}", masks(reason)),
    }
}

/// Where in an answer a value is.
#[derive(Clone, Copy, Debug)]
enum Place {
    Top,
    Known(&'static AnswerKey),
    /// The value of `response`.
    Response,
    /// The value of `face` within it.
    Face,
    /// The value of `FACE_T5` within that: scores by NIK.
    Scores,
    Score,
    Hidden,
}

/// Reads a JSON text once, and overwrites what is not kept.
struct Walk<'m> {
    mask: &'m AnswerMask<'m>,
    out: Vec<u8>,
    /// Those at the top, and those of the object `error`.
    keys: Vec<&'static str>,
}

impl Walk<'_> {
    fn has_known_shape(&self) -> bool {
        let has = |names: &[&str]| names.iter().all(|name| self.keys.contains(name));
        has(&["errorCode", "error"])
            || has(&["errorCode", "errorMessage"])
            || has(&["timestamp", "status", "error", "path"])
    }

    /// Masks the value at a position. Returns the position behind it; `None` when it is not JSON.
    fn value(&mut self, text: &[TextUnit], at: usize, place: Place, depth: usize) -> Option<usize> {
        let at = white_space(text, at);
        match text.get(at)?.char {
            _ if depth > MAX_DEPTH => None,
            '{' => self.object(text, at, place, depth),
            '[' => self.array(text, at, depth),
            c if is_quote(c) => {
                let (content, end) = json_text::string(text, at)?;
                self.text(&content, place);
                Some(end)
            }
            c => {
                let length = text[at..].iter().take_while(|unit| is_of_scalar(unit.char)).count();
                let (units, end) = (&text[at..at + length], at + length);
                let scalar = json_text::text_of(units);
                let is_word = matches!(scalar.as_str(), "true" | "false" | "null");
                if !is_word && !((c == '-' || c.is_ascii_digit()) && is_json_number(&scalar)) {
                    return None;
                }
                if !is_word && !keeps(place, &scalar) {
                    let digits: Vec<_> =
                        units.iter().filter(|unit| unit.char.is_ascii_digit()).copied().collect();
                    json_text::hide(&mut self.out, &digits, MASK_DIGIT);
                }
                Some(end)
            }
        }
    }

    fn array(&mut self, text: &[TextUnit], at: usize, depth: usize) -> Option<usize> {
        let mut at = white_space(text, at + 1);
        if text.get(at)?.char == ']' {
            return Some(at + 1);
        }
        loop {
            at = white_space(text, self.value(text, at, Place::Hidden, depth + 1)?);
            match text.get(at)?.char {
                ',' => at += 1,
                ']' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    fn object(&mut self, text: &[TextUnit], at: usize, place: Place, depth: usize) -> Option<usize> {
        let mut at = white_space(text, at + 1);
        if text.get(at)?.char == '}' {
            return Some(at + 1);
        }
        loop {
            let (key, end) = json_text::string(text, white_space(text, at))?;
            at = white_space(text, end);
            if text.get(at)?.char != ':' {
                return None;
            }
            let child = self.key(&key, place);
            at = white_space(text, self.value(text, at + 1, child, depth + 1)?);
            match text.get(at)?.char {
                ',' => at += 1,
                '}' => return Some(at + 1),
                _ => return None,
            }
        }
    }

    /// Masks a key. Returns what its value is.
    fn key(&mut self, key: &[TextUnit], place: Place) -> Place {
        let name = json_text::text_of(key);
        let is_plain = json_text::is_plain(key);
        let known = match place {
            Place::Top => AnswerKey::find(&name),
            Place::Known(AnswerKey { rule: ValueRule::Message, .. }) => AnswerKey::find(&name),
            Place::Known(AnswerKey { rule: ValueRule::Candidates, .. }) | Place::Response
                if name == "face" && is_plain =>
            {
                return Place::Face;
            }
            Place::Face if name == "FACE_T5" && is_plain => return Place::Scores,
            Place::Scores => {
                self.hide_nik(key, &name);
                return Place::Score;
            }
            _ => None,
        };
        match known.filter(|_| is_plain) {
            Some(known) => {
                self.keys.push(known.name);
                Place::Known(known)
            }
            None => {
                json_text::hide(&mut self.out, key, MASK);
                Place::Hidden
            }
        }
    }

    /// Masks a NIK, also one that the document prints with `X` and blanks.
    fn hide_nik(&mut self, key: &[TextUnit], name: &str) {
        let bare: Vec<char> = name.chars().filter(|c| *c != ' ').collect();
        let has_area = bare.len() == NIK
            && name.chars().take(AREA).all(|c| c.is_ascii_digit())
            && bare.iter().all(|c| c.is_ascii_digit() || *c == MASK);
        let kept = if self.mask.keeps_area && has_area { AREA } else { 0 };
        json_text::hide(&mut self.out, &key[kept..], MASK);
    }

    /// Masks a text.
    fn text(&mut self, content: &[TextUnit], place: Place) {
        let text = json_text::text_of(content);
        let Place::Known(key) = place else {
            if !keeps(place, &text) {
                json_text::hide(&mut self.out, content, MASK);
            }
            return;
        };
        match key.rule {
            ValueRule::Marker => self.marker(content, &text),
            // A word behind escapes is none that a person reads.
            ValueRule::Message if !json_text::is_plain(content) => {
                json_text::hide(&mut self.out, content, MASK)
            }
            ValueRule::Message => {
                let chars: Vec<char> = content.iter().map(|unit| unit.char).collect();
                for word in message_mask::hidden_words(&chars) {
                    json_text::hide(&mut self.out, &content[word], MASK);
                }
            }
            ValueRule::Path => {
                let (path, _) = text.split_at(text.find(['?', '#']).unwrap_or(text.len()));
                let kept = allow_list::path(path, &mut |customer_id| masks(customer_id));
                let kept = kept + &masks(&text[path.len()..]);
                if json_text::written_bytes(content) == kept.len() {
                    json_text::overwrite(&mut self.out, content, &kept);
                } else {
                    json_text::hide(&mut self.out, content, MASK);
                }
            }
            ValueRule::Candidates => {
                let inner = content.iter().any(|unit| unit.char == '{');
                let end = if inner { self.value(content, 0, Place::Response, 1) } else { None };
                if end.is_none_or(|end| white_space(content, end) != content.len()) {
                    json_text::hide(&mut self.out, content, MASK);
                }
            }
            ValueRule::Only(_) if key.keeps(&text) && json_text::is_plain(content) => {}
            ValueRule::Only(_) | ValueRule::Hidden => json_text::hide(&mut self.out, content, MASK),
        }
    }

    /// Writes `{{tid}}` over the transactionId of the request, as long as it is written. A marker stays one.
    fn marker(&mut self, content: &[TextUnit], text: &str) {
        let marker = marker(json_text::written_bytes(content));
        if text == marker || self.mask.transaction_id == Some(text) {
            json_text::overwrite(&mut self.out, content, &marker);
        } else {
            json_text::hide(&mut self.out, content, MASK);
        }
    }
}

/// The marker of a transactionId that has so many bytes: `{{tid}}`, with dots before its end; `~` for each byte when it is too short for
/// that.
#[must_use]
pub fn marker(bytes: usize) -> String {
    match bytes.checked_sub("{{tid}}".len()) {
        Some(dots) => format!("{{{{tid{}}}}}", ".".repeat(dots)),
        None => "~".repeat(bytes),
    }
}

/// Whether a number or a text that is not known by its key is kept.
fn keeps(place: Place, scalar: &str) -> bool {
    match place {
        Place::Known(key) => key.keeps(scalar),
        Place::Score => allow_list::keeps_score(scalar),
        _ => false,
    }
}

fn is_of_scalar(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '-' | '+' | '.')
}

/// The position behind white space.
fn white_space(text: &[TextUnit], at: usize) -> usize {
    let count = text.iter().skip(at).take_while(|unit| matches!(unit.char, ' ' | '\t' | '\n' | '\r')).count();
    at + count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::protocol::sample::SAMPLES;

    fn mask() -> AnswerMask<'static> {
        AnswerMask { transaction_id: Some("0211202201"), keeps_area: false }
    }

    #[track_caller]
    fn check(body: &str, expected: &str) {
        let found = mask().body(body.as_bytes());
        assert_eq!(found.as_deref(), Some(expected));
        assert_eq!(found.map(|text| text.len()), Some(body.len()));
    }

    /// A flat answer with one more member.
    fn flat(member: &str) -> String {
        format!(r#"{{"errorCode":"6018","error":"Sukses",{member}}}"#)
    }

    #[test]
    fn the_samples_keep_all_but_ids_uids_and_niks() {
        for (code, bytes) in SAMPLES {
            let sample = std::str::from_utf8(bytes).unwrap();
            let found = mask().body(bytes).unwrap();
            let expected = sample
                .replace("0211202201", "{{tid...}}")
                .replace("nxGen NBAP TestTool", "XXXXX XXXX XXXXXXXX")
                .replace("7301010xxxxxxxxx", "XXXXXXXXXXXXXXXX");
            if code == "6018" {
                assert_eq!(found.len(), sample.len());
                assert!(
                    found.contains(r#"{\"XXXXXXXXXXXXXXXX\":9.88261890411377,\"XXXXXX XXXXXXXXXX \":7.5"#),
                    "{found}"
                );
                let area = AnswerMask { keeps_area: true, ..mask() }.body(bytes).unwrap();
                assert_eq!(area, expected);
            } else {
                assert_eq!(found, expected);
            }
        }
        for printed in [
            include_str!("../../protocol/golden/5001.as-printed.txt"),
            include_str!("../../protocol/golden/5005.as-printed.txt"),
        ] {
            let expected = printed
                .replace("nxGen NBAP TestTool", "XXXXX XXXX XXXXXXXX")
                .replace("7301010xxxxxxxxx", "XXXXXXXXXXXXXXXX");
            check(printed, &expected);
        }
    }

    #[test]
    fn members_are_kept_by_the_rule_of_their_key() {
        for (member, expected) in [
            (r#""tid":"0211202201""#, r#""tid":"{{tid...}}""#),
            (r#""tid":"021\u0031202201""#, r#""tid":"{{tid........}}""#),
            (r#""tid":"0211202202""#, r#""tid":"XXXXXXXXXX""#),
            (r#""tid":211202201"#, r#""tid":999999999"#),
            (r#""tid": null"#, r#""tid": null"#),
            (r#""errorCode":"SECRET""#, r#""errorCode":"XXXXXX""#),
            (r#""errorCode":"E-12","errorCode":3174096112"#, r#""errorCode":"E-12","errorCode":9999999999"#),
            (
                r#""matchScore":1.3174096112900001,"matchScore":"9.875""#,
                r#""matchScore":9.9999999999999999,"matchScore":"9.875""#,
            ),
            (r#""face_data":"aGVsbG8=""#, r#""face_data":"XXXXXXXX""#),
            (r#""face_data":{"a":[1.5,"b",true]}"#, r#""face_data":{"X":[9.9,"X",true]}"#),
            (r#""request_type":"Siti""#, r#""request_type":"XXXX""#),
            (r#""faceThreshold":"7,5","maxResults":12345"#, r#""faceThreshold":"7,5","maxResults":99999"#),
            (r#""quotaLimiter":80,"quotaLimiter":"ada 7""#, r#""quotaLimiter":80,"quotaLimiter":"XXX X""#),
            (
                r#""verificationResult":false,"verificationResult":"TRUE""#,
                r#""verificationResult":false,"verificationResult":"TRUE""#,
            ),
            (
                r#""nama ibu":"S\u0049TI \"x\" é","n":-12.5e3"#,
                r#""XXXX XXX":"X\u0058XX \"X\" XX","X":-99.9e9"#,
            ),
            (r#""uid": "31740961129" "#, r#""uid": "XXXXXXXXXXX" "#),
            (
                r#""message":"gagal untuk bank-1 dan onboarding""#,
                r#""message":"gagal untuk XXXXXX dan XXXXXXXXXX""#,
            ),
            (r#""message":"gagal \u0053ITI""#, r#""message":"XXXXX \u0058XXX""#),
            (r#""err\u006fr":"x""#, r#""XXX\u0058X":"X""#),
        ] {
            check(&flat(member), &flat(expected));
        }
    }

    #[test]
    fn a_transaction_id_of_any_length_has_a_marker_that_is_nowhere_else() {
        let both = |id: &str| flat(&format!(r#""tid":"{id}","message":"gagal ~~~","~~":"~~","path":"/~~""#));
        for (id, written, marked) in [
            ("x", "x", "~"),
            ("short1", "short1", "~~~~~~"),
            ("a\"b", r#"a\"b"#, "~~~~"),
            ("1234567", "1234567", "{{tid}}"),
            ("", "", ""),
        ] {
            let mask = AnswerMask { transaction_id: Some(id), keeps_area: false };
            let masked = mask.body(both(written).as_bytes()).unwrap();
            let elsewhere = r#""message":"gagal XXX","XX":"XX","path":"/XX""#;
            assert_eq!(masked, flat(&format!(r#""tid":"{marked}",{elsewhere}"#)));
            assert_eq!(AnswerMask::default().body(masked.as_bytes()), Some(masked), "a marker stays");
        }
    }

    #[test]
    fn candidates_are_masked_in_texts_and_objects() {
        let nik = "3174096112900001";
        let x = "XXXXXXXXXXXXXXXX";
        for (response, expected) in [
            (
                format!(r#""{{\"face\":{{\"FACE_T5\":{{\"{nik}\":9.5}}}}}}""#),
                format!(r#""{{\"face\":{{\"FACE_T5\":{{\"{x}\":9.5}}}}}}""#),
            ),
            (
                format!(r#"{{"face":{{"FACE_T5":{{"{nik}":["SITI",9.5],"7":"BUDI"}}}}}}"#),
                format!(r#"{{"face":{{"FACE_T5":{{"{x}":["XXXX",9.9],"X":"XXXX"}}}}}}"#),
            ),
            (
                format!(r#""{{\"iris\":{{\"{nik}\":{nik}}}}}""#),
                format!(r#""{{\"XXXX\":{{\"{x}\":{}}}}}""#, "9".repeat(16)),
            ),
            (
                r#""{\"face\":{\"FACE_T5\":{\"\\u0033174\":9.5}}}""#.to_owned(),
                r#""{\"face\":{\"FACE_T5\":{\"\\u0058XXX\":9.5}}}""#.to_owned(),
            ),
            (format!(r#""{{\"face\": {nik}""#), format!(r#""X\"XXXX\"X {x}""#)),
            ("\"SITI AMINAH\"".to_owned(), "\"XXXX XXXXXX\"".to_owned()),
            (r#""{}""#.to_owned(), r#""{}""#.to_owned()),
        ] {
            check(&flat(&format!(r#""response":{response}"#)), &flat(&format!(r#""response":{expected}"#)));
        }
    }

    #[test]
    fn an_error_of_spring_is_known() {
        check(
            r#"{"timestamp":"2026-11-21T03:00:00.000+00:00","status":415,"error":"Unsupported Media Type","path":"/api/face-recognition/bank-1/CALL_FN"}"#,
            r#"{"timestamp":"2026-11-21T03:00:00.000+00:00","status":415,"error":"Unsupported Media Type","path":"/api/face-recognition/XXXXXX/CALL_FN"}"#,
        );
        check(
            r#"{"timestamp":"siti","status":400,"error":"Bad Request","message":"Unexpected 'onboarding'","path":"/x/siti?a=b"}"#,
            r#"{"timestamp":"XXXX","status":400,"error":"Bad Request","message":"Unexpected XXXXXXXXXXXX","path":"/X/XXXXXXXX"}"#,
        );
    }

    #[test]
    fn white_space_order_marks_and_final_newlines_stay() {
        check(
            "\u{FEFF} {\t\"errorCode\" :\r\n\"5004\",\"error\":\"\"}\n",
            "\u{FEFF} {\t\"errorCode\" :\r\n\"5004\",\"error\":\"\"}\n",
        );
        check("", "");
    }

    #[test]
    fn what_is_of_no_known_shape_is_not_kept() {
        for body in [
            "<html>siti</html>",
            "{}",
            "[]",
            "siti",
            r#"{"nama":"siti"}"#,
            r#"{"errorCode":"6018"}"#,
            r#"{"errorCode":"6018","error":"Sukses""#,
            r#"{"errorCode":"6018","error":"Sukses"} x"#,
            r#"{"errorCode":6018x,"error":"Sukses"}"#,
            r#"{"errorCode":'6018',"error":"Sukses"}"#,
            r#"{"errorCode":"6018","error":"\x"}"#,
            "{\"errorCode\":\"6018\",\"error\":\"a\nb\"}",
            r#"{"errorCode":"6018","error":siti}"#,
        ] {
            assert_eq!(mask().body(body.as_bytes()), None, "{body}");
        }
        assert_eq!(mask().body(b"{\"errorCode\":\"6018\",\"error\":\"\xFF\"}"), None);
        let deep = flat(&format!("\"x\":{}{}", "[".repeat(40), "]".repeat(40)));
        assert_eq!(mask().body(deep.as_bytes()), None);
        let long = flat(&format!("\"x\":\"{}\"", "a".repeat(MAX_BYTES)));
        assert_eq!(mask().body(long.as_bytes()), None);
    }

    #[test]
    fn a_head_keeps_names_and_the_values_of_the_list() {
        let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nset-cookie: JSESSIONID=1\r\nX-Onboarding: 1\r\n\
                    Server:  nginx/1.25 \r\n folded\r\n\r\n";
        assert_eq!(
            mask().head(head),
            [
                "HTTP/1.1 200 OK",
                "Content-Type: application/json",
                "set-cookie: XXXXXXXXXXXX",
                "XXXXXXXXXXXX: X",
                "Server:  nginx/1.25 ",
                "XXXXXXX"
            ]
        );
        for (line, expected) in [
            ("HTTP/1.1 200 ", "HTTP/1.1 200 "),
            ("HTTP/1.1 200", "HTTP/1.1 200"),
            ("HTTP/1.1 200 Siti", "HTTP/1.1 200 XXXX"),
            ("HTTP/1.1 2000 OK", "XXXXXXXXXXXXXXXX"),
            ("SITI/1.1 200 OK", "XXXXXXXXXXXXXXX"),
        ] {
            assert_eq!(mask().head(line), [expected]);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_mask_keeps_the_length_and_masks_all_at_once(
            sample in 0..SAMPLES.len(),
            changes in prop::collection::vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), prop::sample::select(&br#"\"{}[],:u09aX. -"#[..])]), 0..6),
            keeps_area: bool,
        ) {
            let mut body = SAMPLES[sample].1.to_vec();
            for (at, byte) in changes {
                let at = at.index(body.len());
                body[at] = byte;
            }
            if let Some(masked) = (AnswerMask { keeps_area, ..mask() }).body(&body) {
                prop_assert_eq!(masked.len(), body.len());
                let again = AnswerMask { keeps_area, ..AnswerMask::default() }.body(masked.as_bytes());
                prop_assert_eq!(again, Some(masked));
            }
        }
    }
}
