//! A recorded answer as an observation with alternatives: the recording cannot say whether credentials were right, an address allowed, a
//! customer known, the quota used up or somebody found. The first of the checks that fail answers, so one at a time of these is enough: any
//! two of them together are answered as one of both.

use std::collections::{BTreeSet, HashMap};

use super::comparison::{comparable_of, scored_candidates_in};
use super::exchange::{
    Base64Shape, BodyShape, HeaderShape, MemberShape, RecordedAnswer, RecordedExchange, RecordedRequest,
    Recording, RequestShape, ValueShape,
};
use super::request::{AccountForm, MatcherScript, RecordedForm, is_masked, target};
use crate::conformance::answer::KeptAnswer;
use crate::conformance::comparable::{ReadBody, read_body};
use crate::conformance::model::{Model, World};
use crate::conformance::observation::{Alternative, AnswerPlace, Observation, Origin};
use crate::domain::policy::{Check, Policy};
use crate::protocol::encoding::Base64Mode;
use crate::protocol::{Code, NumberMode, number};

/// Statuses that the endpoint itself gives, under some policy.
const OWN_STATUSES: [u16; 4] = [200, 400, 406, 415];
/// The methode of the document.
const METHODE: &str = "CALL_FN";

/// A request and its answer, where both are known.
#[must_use]
pub fn whole(exchange: &RecordedExchange) -> Option<(&RequestShape, &KeptAnswer)> {
    match (&exchange.request, &exchange.answer) {
        (RecordedRequest::Shape(shape), RecordedAnswer::Whole(answer)) => Some((shape, answer)),
        _ => None,
    }
}

/// Token of the customer of an exchange.
#[must_use]
pub fn customer_of(exchange: &RecordedExchange) -> Option<&str> {
    match &exchange.request {
        RecordedRequest::Shape(shape) => target(&shape.path).map(|(customer, _)| customer),
        RecordedRequest::Unparsed { .. } => None,
    }
}

/// Adds the answers of a recording that the model knows; equal ones once. Returns which of them each exchange is.
pub fn recorded_answers<'a>(
    model: &Model,
    recording: &'a Recording,
    found: &mut Vec<Observation<'a>>,
) -> Vec<Option<usize>> {
    let known = known_customers(recording);
    let mut same: HashMap<String, usize> = HashMap::new();
    let mut answer = |exchange: &'a RecordedExchange| {
        let one = observation(model, recording, exchange, &known)?;
        let calls: Vec<_> = one.alternatives.iter().map(|alternative| alternative.call.key()).collect();
        let index = *same.entry(format!("{:?} {}", one.seen, calls.join("\n"))).or_insert(found.len());
        match found.get_mut(index) {
            Some(other) => other.place.count += 1,
            None => {
                let keys = keys_of(model, &one, whole(exchange)?.0)?;
                found.push(Observation { index, origin: Origin::Recording(keys), ..one });
            }
        }
        Some(index)
    };
    recording.exchanges.iter().map(&mut answer).collect()
}

/// Customers that the matcher answered: they are known for sure.
fn known_customers(recording: &Recording) -> BTreeSet<&str> {
    let is_matchers = |exchange: &RecordedExchange| {
        let body = whole(exchange).and_then(|(_, answer)| read_body(&answer.body));
        body.is_some_and(|body| ["6014", "6018", "6019"].contains(&body.code.as_str()))
    };
    recording.exchanges.iter().filter(|one| is_matchers(one)).filter_map(customer_of).collect()
}

fn observation<'a>(
    model: &Model,
    recording: &'a Recording,
    exchange: &'a RecordedExchange,
    known: &BTreeSet<&str>,
) -> Option<Observation<'a>> {
    let (shape, answer) = whole(exchange)?;
    let (customer, _) = target(&shape.path)?;
    let hides_accept =
        |header: &HeaderShape| header.name.eq_ignore_ascii_case("accept") && header.whole_value().is_none();
    if !OWN_STATUSES.contains(&answer.status)
        || (answer.status == 406 && shape.headers.iter().any(hides_accept))
    {
        return None;
    }
    let body = read_body(&answer.body).filter(|_| answer.status == 200);
    if answer.status == 200 && body.is_none() {
        return None;
    }
    let form = RecordedForm {
        shape,
        account: AccountForm::Right,
        is_foreign: false,
        is_own: true,
        is_other_methode: false,
        script: None,
        keeps_area: recording.header.keeps_area,
    };
    let may_be_unknown = !known.contains(customer);
    let candidates = scored_candidates_in(&answer.body);
    let build = |(form, exhausted): (RecordedForm, bool)| {
        let candidates =
            if matches!(form.script, Some(MatcherScript::Candidates(_))) { candidates } else { 0 };
        let world = Some(World { any_ip: !form.is_foreign, exhausted });
        Some(Alternative { call: model.recorded(&form)?, world, candidates })
    };
    let forms = forms(&form, body.as_ref(), candidates, may_be_unknown);
    let alternatives: Vec<_> = forms.into_iter().filter_map(build).collect();
    alternatives.first()?;
    let also = [AccountForm::MadeUp, AccountForm::Unreadable];
    let also = also.map(|account| build((RecordedForm { account, ..form.clone() }, false)));
    Some(Observation {
        index: 0,
        place: AnswerPlace::of_exchange(recording, exchange),
        alternatives,
        also: also.into_iter().flatten().collect(),
        seen: comparable_of(answer),
        body,
        threshold: threshold_of(shape),
        origin: Origin::Recording(Vec::new()),
    })
}

/// What a request may have been, and whether the quota was used up: first that all is right which the recording does not say.
fn forms<'a>(
    good: &RecordedForm<'a>,
    body: Option<&ReadBody>,
    candidates: usize,
    may_be_unknown: bool,
) -> Vec<(RecordedForm<'a>, bool)> {
    let of = |change: &dyn Fn(&mut RecordedForm)| {
        let mut form = good.clone();
        change(&mut form);
        (form, false)
    };
    let mut forms = vec![of(&|_| {})];
    // These checks have one code each, whatever the policy.
    match body.map_or("", |body| body.code.as_str()) {
        "5001" => forms.push(of(&|form| form.account = AccountForm::MadeUp)),
        "5006" => forms.push(of(&|form| form.account = AccountForm::Unreadable)),
        "5003" => forms.push(of(&|form| form.is_foreign = true)),
        "5002" => forms.push((good.clone(), true)),
        "6015" => forms.push(of(&|form| form.script = Some(MatcherScript::Answer(Code::BAD_PHOTO)))),
        "6014" => forms.push(of(&|form| form.script = Some(MatcherScript::Answer(Code::BUSY)))),
        _ if MatcherScript::all().any(|script| script == MatcherScript::Candidates(candidates)) => {
            forms.push(of(&|form| form.script = Some(MatcherScript::Candidates(candidates))));
        }
        _ => {}
    }
    if may_be_unknown {
        forms.push(of(&|form| form.is_own = false));
    }
    if target(&good.shape.path).is_some_and(|(_, methode)| is_masked(methode)) {
        forms.push(of(&|form| form.is_other_methode = true));
    }
    forms
}

/// Whether the first alternative reaches the matcher, and whether the checks that fail are the same under every policy; `None` without an
/// alternative.
fn reach(model: &Model, alternatives: &[Alternative]) -> Option<(bool, bool)> {
    let strict = Policy::default();
    let loose = Policy { numbers: NumberMode::Loose, base64: Base64Mode::Mime, ..strict.clone() };
    let failed = |policy: &Policy, one: &Alternative| {
        let answer = model.answer(policy, one.world.unwrap_or_default(), &one.call);
        answer.failed.into_iter().map(|(check, _)| check).collect::<Vec<Check>>()
    };
    let first = alternatives.first()?;
    let is_told = alternatives.iter().all(|one| failed(&strict, one) == failed(&loose, one));
    Some((failed(&loose, first).is_empty(), is_told))
}

/// The decisions that an answer may bear on: at least those that it does.
fn keys_of(model: &Model, one: &Observation, shape: &RequestShape) -> Option<Vec<&'static str>> {
    let (reaches_matcher, is_told) = reach(model, &one.alternatives)?;
    let may_be_unknown = !one.is_own();
    let may_be_other_methode = target(&shape.path).is_none_or(|(_, methode)| methode != METHODE);
    let mut keys = keys_of_request(shape);
    for (key, bears) in [
        ("not_found", reaches_matcher),
        ("unknown_customer", may_be_unknown),
        ("wrong_methode", may_be_other_methode),
        ("precedence", is_told && !may_be_unknown && !may_be_other_methode),
    ] {
        keys.extend(bears.then_some(key));
    }
    Some(keys)
}

/// The decisions that a request may bear on by its form alone.
fn keys_of_request(shape: &RequestShape) -> Vec<&'static str> {
    let values = |name: &'static str| {
        let own = shape.headers.iter().filter(move |header| header.name.eq_ignore_ascii_case(name));
        own.filter_map(|header| header.value.as_deref())
    };
    let members: &[MemberShape] = match &shape.body {
        BodyShape::Object { members, .. } => members,
        _ => &[],
    };
    let has = |is: &dyn Fn(&MemberShape) -> bool| members.iter().any(is);
    let is_unusual =
        |base64: &Base64Shape| *base64 != Base64Shape { is_valid: true, ..Base64Shape::default() };
    let is_number = |one: &MemberShape| match &one.value {
        ValueShape::Verbatim(text) => !number::is_json_number(text),
        _ => ["number", "boolean"].contains(&one.kind.as_str()),
    };
    let is_bad_image = |one: &MemberShape| match &one.value {
        ValueShape::Image { base64, format, is_whole, .. } => {
            is_unusual(base64)
                || !is_whole
                || !["jpeg", "png"].contains(&format.as_deref().unwrap_or_default())
        }
        _ => false,
    };
    let is_odd_base64 = |one: &MemberShape| match &one.value {
        ValueShape::Image { base64, .. } | ValueShape::Ciphertext { base64, .. } => is_unusual(base64),
        _ => false,
    };
    let is_json = values("content-type").next().is_some_and(|value| value.starts_with("application/json"));
    let accepts = values("accept").all(|value| ["*/*", "application/json"].contains(&value));
    let keys = [
        ("malformed_json", !matches!(shape.body, BodyShape::Object { .. })),
        ("content_type", !is_json),
        ("accept", !accepts),
        ("numbers", has(&is_number)),
        ("base64", has(&is_odd_base64)),
        ("bad_image", has(&is_bad_image)),
    ];
    keys.into_iter().filter(|(_, bears)| *bears).map(|(key, _)| key).collect()
}

fn threshold_of(shape: &RequestShape) -> String {
    let BodyShape::Object { members, .. } = &shape.body else { return String::new() };
    let own = members.iter().rfind(|member| member.name.as_deref() == Some("threshold"));
    match own.map(|member| &member.value) {
        Some(ValueShape::Verbatim(text)) => text.clone(),
        _ => String::new(),
    }
}
