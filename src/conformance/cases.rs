//! The cases as data: what each asks, what it sends, what it costs, what its risk is, and which policy keys its answer bears on.

use std::fmt;
use std::str::FromStr;

use super::call_spec::{Alteration, CallBody, CallField, CallHttp, CallPath, CallSpec};
use super::pictures::TestImage;
use crate::base::suggestion;
use crate::domain::policy::Check;

/// Cases that are chosen together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CaseGroup {
    /// 4.*, http/*: what the front end answers.
    Door,
    /// 1/*: paths.
    Path,
    /// The order of the checks.
    Order,
    /// 2/*, match/*: what the matcher answers; may be paid.
    Matcher,
    /// What uses up quota.
    Quota,
}

impl CaseGroup {
    pub const ALL: [CaseGroup; 5] =
        [CaseGroup::Order, CaseGroup::Door, CaseGroup::Path, CaseGroup::Matcher, CaseGroup::Quota];

    fn name(self) -> &'static str {
        match self {
            CaseGroup::Door => "door",
            CaseGroup::Path => "path",
            CaseGroup::Order => "order",
            CaseGroup::Matcher => "matcher",
            CaseGroup::Quota => "quota",
        }
    }
}

impl fmt::Display for CaseGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for CaseGroup {
    type Err = String;

    fn from_str(text: &str) -> Result<CaseGroup, String> {
        let names = CaseGroup::ALL.map(CaseGroup::name);
        CaseGroup::ALL.into_iter().find(|group| group.name() == text).ok_or_else(|| {
            format!("a group is {}, not {text:?}{}", names.join(", "), suggestion::suffix(text, names))
        })
    }
}

/// One question to the endpoint.
#[derive(Debug)]
pub struct TestCase {
    pub id: &'static str,
    pub group: CaseGroup,
    /// What is different from a good request.
    pub sends: &'static str,
    /// What the answer tells.
    pub question: &'static str,
    /// Fewest and most calls.
    pub calls: (u8, u8),
    /// Most calls that are charged, where the endpoint charges what the matcher answers.
    pub paid: u8,
    pub risk: &'static str,
    /// Policy keys of decisions that the answer bears on. Every answer bears on those of its form.
    pub keys: &'static [&'static str],
    /// The check that is asked: a second defect, whose check stands behind it, keeps the call free of charge.
    pub guarded: Option<Check>,
    /// How the calls are made.
    pub procedure: Procedure,
}

/// How the calls of a case are made.
#[derive(Clone, Copy, Debug)]
pub enum Procedure {
    /// One call.
    One(fn() -> CallSpec),
    /// The search for the order of the checks.
    Order,
    /// The place of the quota, in the exhausted state.
    Exhausted,
    /// A picture of nobody: first in base64 with line breaks.
    Nobody,
    /// Reads of the quota around a call.
    QuotaReads,
}

/// Policy keys that decide the form of an answer.
pub const FORM_KEYS: [&str; 9] = [
    "layout",
    "shape",
    "transaction_id",
    "uid",
    "face_threshold",
    "head",
    "types",
    "trim_messages",
    "max_results",
];

/// Sent only with `--accept-risk` and this name.
pub const WRONG_PASSWORD: &str = "account.wrong-password";

const fn case(
    id: &'static str,
    group: CaseGroup,
    sends: &'static str,
    question: &'static str,
    keys: &'static [&'static str],
    guarded: Option<Check>,
    one: fn() -> CallSpec,
) -> TestCase {
    let procedure = Procedure::One(one);
    TestCase { id, group, sends, question, calls: (1, 1), paid: 0, risk: "-", keys, guarded, procedure }
}

const fn risky(case: TestCase, paid: u8, risk: &'static str) -> TestCase {
    TestCase { paid, risk, ..case }
}

use CallField::{Ip, Threshold, TransactionId, TransactionSource, UserId};
use Check::{Account, Parameters};
use Procedure::{Exhausted, Nobody, Order, QuotaReads};

fn text(field: CallField, text: &str) -> CallSpec {
    CallSpec::but([Alteration::Text(field, text.to_owned())])
}

/// Threshold 21: a defect that every endpoint of this kind finds.
#[must_use]
pub fn threshold_21() -> CallSpec {
    text(Threshold, "21")
}

fn http(http: CallHttp) -> CallSpec {
    CallSpec { http, ..threshold_21() }
}

fn path(path: CallPath) -> CallSpec {
    CallSpec { path, ..CallSpec::default() }
}

fn image(image: TestImage) -> CallSpec {
    CallSpec::but([Alteration::Image(image)])
}

const MAY_MATCH: &str = "reaches the matcher if it is accepted";

/// All cases, in the order in which they are asked.
#[rustfmt::skip]
pub static CASES: [TestCase; 44] = [
    case("4.5/empty-object", CaseGroup::Door, "{}", "is this the endpoint; layout, headers, framing, tid and response of 5004", &[], None, || CallSpec { body: CallBody::EmptyObject, ..CallSpec::default() }),
    TestCase { calls: (4, 10), risk: "one account failure", procedure: Order, ..case("order/eliminate", CaseGroup::Order, "several defects at once", "which check is answered first", &["precedence", "bad_image"], None, CallSpec::default) },
    TestCase { paid: 1, risk: "paid if that check is not made", procedure: Order, ..case("order/last", CaseGroup::Order, "the last of these defects alone", "is the last check made at all", &["precedence", "bad_image"], None, CallSpec::default) },
    TestCase { calls: (0, 4), procedure: Order, ..case("order/again", CaseGroup::Order, "two pairs again; a methode of nobody with a bad image; user_id of nobody with an unreadable password", "is there a fixed order; are both fields decrypted at once", &["precedence"], None, CallSpec::default) },
    case("4.5/missing", CaseGroup::Door, "no transactionSource", "is tid null even when it was sent", &[], None, || CallSpec::but([Alteration::Without(TransactionSource)])),
    risky(case("4.5/empty-string", CaseGroup::Door, "transactionSource \"\"", "is an empty text missing", &[], Some(Parameters), || text(TransactionSource, "")), 0, MAY_MATCH),
    risky(case("4.5/too-long", CaseGroup::Door, "transactionId of 21 characters", "are lengths enforced", &[], Some(Parameters), || text(TransactionId, "conformance-too-long-")), 0, MAY_MATCH),
    risky(case("4.5/number-id", CaseGroup::Door, "transactionId 11, a number", "is a number read as a text", &["numbers"], Some(Parameters), || CallSpec::but([Alteration::Number(TransactionId, 11)])), 0, MAY_MATCH),
    case("4.5/threshold-text", CaseGroup::Door, "threshold \"abc\"", "5004 or 5005", &[], None, || text(Threshold, "abc")),
    case("4.5/threshold-blank", CaseGroup::Door, "threshold \" 21\"", "the grammar of numbers; 21, so that acceptance shows as 5005", &["numbers"], None, || text(Threshold, " 21")),
    case("4.6/21", CaseGroup::Door, "threshold 21", "shape, text and quotaLimiter of 5005", &[], None, threshold_21),
    case("4.6/0.5", CaseGroup::Door, "threshold 0.5", "are fractions below 1 refused", &[], None, || text(Threshold, "0.5")),
    risky(case("4.4/foreign", CaseGroup::Door, "ip 192.0.2.1", "is ip checked, and with which code", &[], Some(Check::Ip), || text(Ip, "192.0.2.1")), 0, MAY_MATCH),
    risky(case("4.4/malformed", CaseGroup::Door, "ip \"x\"", "is ip parsed", &[], Some(Check::Ip), || text(Ip, "x")), 0, MAY_MATCH),
    case("4.7/other-key", CaseGroup::Door, "user_id of another key", "5006", &[], None, || CallSpec::but([Alteration::Undecryptable(UserId)])),
    case("4.7/not-base64", CaseGroup::Door, "user_id that is not base64", "5006", &[], None, || CallSpec::but([Alteration::NotBase64(UserId)])),
    risky(case("4.7/wrapped", CaseGroup::Door, "user_id of nobody, with line breaks", "are line breaks in base64 read", &["base64"], None, || CallSpec::but([Alteration::MadeUpAccount, Alteration::Wrapped(UserId)])), 0, "one account failure"),
    case("4.7/plain", CaseGroup::Door, "user_id of nobody, not encrypted", "5006", &[], None, || CallSpec::but([Alteration::PlainUserId])),
    risky(case("4.3/unknown-user", CaseGroup::Door, "user_id of nobody", "shape, text and blanks of 5001", &[], None, || CallSpec::but([Alteration::MadeUpAccount])), 0, "one account failure"),
    risky(case("4.3/wrong-password", CaseGroup::Door, "the right user_id, a wrong password", "5001 or 9002", &[], None, || CallSpec::but([Alteration::MadeUpPassword])), 0, "may LOCK the account: only with --accept-risk account.wrong-password"),
    case("http/not-json", CaseGroup::Door, "an unfinished JSON object", "400 or 5004", &["malformed_json"], None, || CallSpec { body: CallBody::NotJson, ..CallSpec::default() }),
    case("http/array", CaseGroup::Door, "the object in an array", "400 or 5004", &["malformed_json"], None, || CallSpec { body: CallBody::Array, ..threshold_21() }),
    case("http/no-type", CaseGroup::Door, "no Content-Type", "415 or read", &["content_type"], None, || http(CallHttp::NoType)),
    case("http/text-plain", CaseGroup::Door, "Content-Type text/plain", "415 or read", &["content_type"], None, || http(CallHttp::TextPlain)),
    case("http/accept-xml", CaseGroup::Door, "Accept application/xml", "406 or answered", &["accept"], None, || http(CallHttp::AcceptXml)),
    case("http/get", CaseGroup::Door, "GET", "405", &[], None, || http(CallHttp::Get)),
    case("http/chunked", CaseGroup::Door, "a chunked body", "are chunks read", &[], None, || http(CallHttp::Chunked)),
    case("http/expect", CaseGroup::Door, "Expect: 100-continue", "is it confirmed", &[], None, || http(CallHttp::Expect)),
    risky(case("1/unknown-customer", CaseGroup::Path, "a customer_id of nobody", "the code of an unknown customer", &["unknown_customer"], Some(Account), || path(CallPath::UnknownCustomer)), 0, "-"),
    risky(case("1/unknown-methode", CaseGroup::Path, "a methode of nobody", "the code of an unknown methode", &["wrong_methode"], Some(Parameters), || path(CallPath::UnknownMethode)), 0, MAY_MATCH),
    risky(case("1/methode-case", CaseGroup::Path, "the methode in the other case", "does the case count", &["wrong_methode"], Some(Parameters), || path(CallPath::MethodeCase)), 0, MAY_MATCH),
    case("1/blank-path", CaseGroup::Path, "the document's stray blank", "is that path served", &[], None, || CallSpec { path: CallPath::Blank, ..threshold_21() }),
    case("1/slash", CaseGroup::Path, "a slash at the end", "is that path served", &[], None, || CallSpec { path: CallPath::Slash, ..threshold_21() }),
    risky(case("2/not-an-image", CaseGroup::Matcher, "a text as image", "the code of a bad image", &["bad_image"], None, || image(TestImage::NotAnImage)), 1, "the matcher may see it"),
    risky(case("2/truncated", CaseGroup::Matcher, "half a jpg", "the code of a truncated image", &["bad_image"], None, || image(TestImage::Truncated)), 1, "the matcher may see it"),
    risky(case("2/data-uri", CaseGroup::Matcher, "a data URI", "is a data URI read", &["bad_image"], None, || image(TestImage::DataUri)), 1, "the matcher may see it"),
    risky(case("2/gif", CaseGroup::Matcher, "a gif", "is another format read", &["bad_image"], None, || image(TestImage::Gif)), 1, "the matcher may see it"),
    TestCase { calls: (2, 3), procedure: QuotaReads, ..case("quota/self", CaseGroup::Quota, "threshold 21, twice", "does 5005 use up quota", &["quota_counts", "quota_limiter"], None, threshold_21) },
    TestCase { calls: (2, 2), procedure: QuotaReads, ..case("quota/all", CaseGroup::Quota, "{} between two reads, if 5005 does", "does 5004 use up quota", &["quota_counts", "quota_limiter"], None, threshold_21) },
    TestCase { calls: (2, 2), procedure: QuotaReads, ..risky(case("quota/none", CaseGroup::Quota, "a drawn portrait between two reads, if 5005 does not", "does a search that finds nobody use up quota", &["quota_counts", "quota_limiter", "not_found"], None, threshold_21), 1, "paid") },
    TestCase { calls: (1, 2), procedure: Nobody, ..risky(case("match/none", CaseGroup::Matcher, "a drawn portrait, threshold \"19.50\"", "the answer when nobody is found; faceThreshold; line breaks in the image", &["not_found", "base64"], None, CallSpec::default), 2, "paid") },
    risky(case("match/no-face", CaseGroup::Matcher, "a picture without a face", "6015 or 6018", &[], None, || image(TestImage::Blank).and(Some(Alteration::Text(Threshold, "19.50".to_owned())))), 1, "paid"),
    risky(case("match/self", CaseGroup::Matcher, "the face of --face, threshold 7", "a real success", &[], None, || image(TestImage::Face)), 1, "paid; personal data: only with --face and --consent"),
    TestCase { calls: (2, 5), risk: "one account failure", procedure: Exhausted, ..case("quota/exhausted", CaseGroup::Quota, "one defect each, with --state exhausted", "5002, and its place in the order", &["precedence"], None, CallSpec::default) },
];

/// Finds a case.
///
/// # Errors
/// There is none with this id; which is the closest.
pub fn find(id: &str) -> Result<&'static TestCase, String> {
    CASES.iter().find(|case| case.id == id).ok_or_else(|| {
        format!("no case is called {id:?}{}", suggestion::suffix(id, CASES.iter().map(|case| case.id)))
    })
}

/// Which cases are to be asked.
#[derive(Clone, Debug, Default)]
pub struct CaseChoice {
    pub groups: Vec<CaseGroup>,
    /// Only these, if any; beside the first call.
    pub only: Vec<String>,
    pub skip: Vec<String>,
    pub exhausted: bool,
    /// Names of risks that the operator accepts.
    pub accepted: Vec<String>,
    pub has_face: bool,
}

impl CaseChoice {
    /// The groups of a run where none is named.
    pub const DEFAULT_GROUPS: [CaseGroup; 2] = [CaseGroup::Door, CaseGroup::Order];

    /// Checks the names.
    ///
    /// # Errors
    /// A case or a risk has no such name, or a case that is named cannot be asked.
    pub fn check(&self) -> Result<(), String> {
        for id in &self.skip {
            find(id)?;
        }
        for id in &self.only {
            if let Some(needed) = self.needed(find(id)?) {
                return Err(format!("the case {id} needs {needed}"));
            }
        }
        if self.exhausted && self.only.is_empty() && !self.groups.contains(&CaseGroup::Quota) {
            return Err("with --state exhausted only the group quota is asked".to_owned());
        }
        match self.accepted.iter().find(|name| *name != WRONG_PASSWORD) {
            Some(name) => Err(format!("no risk is called {name:?}; there is {WRONG_PASSWORD}")),
            None => Ok(()),
        }
    }

    /// The cases that are asked, in order.
    pub fn cases(&self) -> impl Iterator<Item = &'static TestCase> {
        CASES.iter().filter(|case| self.includes(case))
    }

    /// Whether a case is asked. The first always is: it tells that the endpoint is there.
    #[must_use]
    pub fn includes(&self, case: &TestCase) -> bool {
        let is_named = self.only.iter().any(|id| id == case.id);
        let is_chosen = if self.only.is_empty() { self.groups.contains(&case.group) } else { is_named };
        let is_skipped = self.skip.iter().any(|id| id == case.id);
        case.id == CASES[0].id || (is_chosen && !is_skipped && self.needed(case).is_none())
    }

    /// What a case needs besides.
    fn needed(&self, case: &TestCase) -> Option<&'static str> {
        let is_exhausted = matches!(case.procedure, Exhausted);
        match case.id {
            "4.3/wrong-password" if !self.accepted.iter().any(|name| name == WRONG_PASSWORD) => {
                Some("--accept-risk account.wrong-password")
            }
            "match/self" if !self.has_face => Some("--face and --consent"),
            id if id == CASES[0].id => None,
            _ if is_exhausted && !self.exhausted => Some("--state exhausted"),
            _ if self.exhausted && !is_exhausted => Some("a run without --state exhausted"),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::domain::policy::KEYS;

    #[test]
    fn ids_are_unique_and_keys_exist() {
        let ids: BTreeSet<_> = CASES.iter().map(|case| case.id).collect();
        assert_eq!(ids.len(), CASES.len());
        for key in CASES.iter().flat_map(|case| case.keys).chain(&FORM_KEYS) {
            assert!(KEYS.iter().any(|known| known.name == *key), "{key}");
        }
    }

    #[test]
    fn every_policy_key_of_the_endpoint_has_a_case() {
        for key in KEYS.iter().filter(|key| key.name != "nik_min_age") {
            let asked = CASES.iter().any(|case| case.keys.contains(&key.name));
            assert!(asked || FORM_KEYS.contains(&key.name), "{}", key.name);
        }
    }

    #[test]
    fn what_is_dangerous_is_asked_only_when_it_is_accepted() {
        let all = CaseChoice { groups: CaseGroup::ALL.to_vec(), ..CaseChoice::default() };
        let ids = |choice: &CaseChoice| choice.cases().map(|case| case.id).collect::<Vec<_>>();
        let without = ids(&all);
        for id in ["4.3/wrong-password", "match/self", "quota/exhausted"] {
            assert!(!without.contains(&id), "{id}");
        }
        let named = CaseChoice {
            only: vec!["match/self".to_owned(), "4.3/wrong-password".to_owned()],
            ..all.clone()
        };
        assert_eq!(ids(&named), ["4.5/empty-object"]);
        let accepted = CaseChoice { accepted: vec![WRONG_PASSWORD.to_owned()], has_face: true, ..named };
        assert_eq!(ids(&accepted), ["4.5/empty-object", "4.3/wrong-password", "match/self"]);
        let exhausted = CaseChoice { exhausted: true, ..all };
        assert_eq!(ids(&exhausted), ["4.5/empty-object", "quota/exhausted"]);
    }

    #[test]
    fn a_misspelt_name_is_refused_with_the_closest() {
        let choice = CaseChoice { skip: vec!["4.6/12".to_owned()], ..CaseChoice::default() };
        assert!(choice.check().unwrap_err().contains("4.6/21"));
        assert!("dor".parse::<CaseGroup>().unwrap_err().contains("did you mean \"door\"?"));
        let choice = CaseChoice { accepted: vec!["all".to_owned()], ..CaseChoice::default() };
        assert!(choice.check().unwrap_err().contains(WRONG_PASSWORD));
    }
}
