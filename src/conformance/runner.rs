//! One run: asks the chosen cases, one call at a time, within every safety rule, and stops at the first surprise.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Time;

use super::answer::{KeptAnswer, candidates_in};
use super::call_spec::{Alteration, CallBody, CallField, CallPath, CallSpec, Subject};
use super::cases::{CaseChoice, CaseGroup, Procedure, TestCase, threshold_21};
use super::comparable::read_body;
use super::ledger::Ledger;
use super::order::{self, DEFECTS, eliminate, place_of_quota, with_defects};
use super::pictures::TestImage;
use super::raw_client::Exchanger;
use super::run_file::{RecordedCall, RunFile};
use crate::base::time;
use crate::domain::policy::Check;
use crate::protocol::Code;

/// What the operator says about a run.
#[derive(Clone, Debug)]
pub struct RunSettings {
    pub choice: CaseChoice,
    pub pace: Duration,
    /// Hours of the day in Jakarta; the second may be before the first, over midnight.
    pub between: Option<(Time, Time)>,
    pub max_account_failures: u32,
    /// The order of the checks that is expected.
    pub expected_order: Vec<Check>,
    /// On loopback a case without a guard may go to the matcher.
    pub is_loopback: bool,
}

/// What a run works with.
pub struct Surroundings<'a> {
    pub exchanger: &'a mut dyn Exchanger,
    /// `None`: calls are free.
    pub ledger: Option<Ledger>,
    pub now: &'a dyn Fn() -> Timestamp,
    pub sleep: &'a dyn Fn(Duration),
    /// The run ends after the current call.
    pub interrupted: &'a AtomicBool,
}

/// Why a run ends early.
#[derive(Debug)]
pub enum RunStop {
    /// Budget, hours, interruption, or something that was not expected.
    Early(String),
    /// A safety rule forbids to go on.
    Refused(String),
    /// A file could not be written.
    Failed(io::Error),
}

impl From<io::Error> for RunStop {
    fn from(error: io::Error) -> RunStop {
        RunStop::Failed(error)
    }
}

/// What may be answered to a call without being a surprise.
#[derive(Clone, Copy, Debug, Default)]
struct Allowed {
    /// 5001.
    account: bool,
    /// Any status.
    status: bool,
    /// Candidates.
    candidates: bool,
}

/// Runs the cases. The calls and answers are in `file` afterwards, also when it stops.
///
/// # Errors
/// Why it stopped early.
pub fn run<'a>(
    subject: &'a Subject,
    settings: &'a RunSettings,
    surroundings: Surroundings<'a>,
    file: &'a mut RunFile,
) -> Result<(), RunStop> {
    let is_refused = |call: &&RecordedCall| call.result.as_ref().is_err_and(|why| why == REPEATS_CREDENTIAL);
    if let Some(call) = file.run.calls.iter().find(is_refused) {
        return Err(RunStop::Refused(format!(
            "call {} of this run: {REPEATS_CREDENTIAL}; the run cannot go on",
            call.number
        )));
    }
    let resumed = file.run.calls.len();
    let now = surroundings.now;
    let mut runner = Runner {
        subject,
        settings,
        surroundings,
        file,
        resumed: (0..resumed as u32).map(|index| index + 1).collect(),
        is_proven: resumed == 0,
        order: None,
        other_statuses: 0,
        busy: 0,
        lost: 0,
        sent: 0,
    };
    let result = settings.choice.cases().try_for_each(|case| runner.case(case));
    let why = match &result {
        Ok(()) => None,
        Err(RunStop::Early(why) | RunStop::Refused(why)) => Some(why.clone()),
        Err(RunStop::Failed(_)) => return result,
    };
    runner.file.end(why, now())?;
    result
}

struct Runner<'a> {
    subject: &'a Subject,
    settings: &'a RunSettings,
    surroundings: Surroundings<'a>,
    file: &'a mut RunFile,
    /// Calls of the run that is resumed which were not judged yet.
    resumed: Vec<u32>,
    /// Whether anything may leave: a run that is resumed first sees that the endpoint is still there.
    is_proven: bool,
    /// The order of the defects' checks, once it was found.
    order: Option<Vec<Check>>,
    other_statuses: u32,
    /// Answers 6014 in a row.
    busy: u32,
    /// Calls without an answer in a row.
    lost: u32,
    sent: u32,
}

impl Runner<'_> {
    fn case(&mut self, case: &'static TestCase) -> Result<(), RunStop> {
        match case.procedure {
            Procedure::One(spec) => self.one(case, spec()),
            Procedure::Order => match case.id {
                "order/eliminate" => self.eliminate(case),
                "order/last" => self.last(case),
                _ => self.again(case),
            },
            Procedure::Exhausted => self.exhausted(case),
            Procedure::Nobody => self.nobody(case),
            Procedure::QuotaReads => self.quota(case),
        }
    }

    fn one(&mut self, case: &'static TestCase, spec: CallSpec) -> Result<(), RunStop> {
        let spec = match case.guarded.map(|check| self.guard(check)) {
            Some(None) if !self.settings.is_loopback => {
                let why = "no check stands behind the one that is asked, so the call might be paid";
                return self.skip(case, why);
            }
            guard => spec.and(guard.flatten()),
        };
        let reaches_account = reaches_account(&spec);
        if !self.may_send(&spec) {
            return match self.account_answer() {
                Some(call) if case.id == "4.3/unknown-user" => Ok(self.file.same(case.id, call)?),
                _ => self.skip(case, TOO_MANY_FAILURES),
            };
        }
        let is_path = case.group == CaseGroup::Path;
        let allowed = Allowed {
            account: is_path || reaches_account,
            status: is_path || case.id.starts_with("http/"),
            candidates: case.id == "match/self",
        };
        let answer = self.ask(case.id, spec, allowed)?;
        if case.id == "4.5/empty-object" {
            self.judge_first(answer)?;
        }
        Ok(())
    }

    /// The first call proves that the endpoint is there.
    fn judge_first(&self, answer: Option<KeptAnswer>) -> Result<(), RunStop> {
        let code = answer.as_ref().and_then(|answer| read_body(&answer.body)).map(|read| read.code);
        match code.as_deref() {
            Some("5004") => Ok(()),
            Some("5002") if self.settings.choice.exhausted => Ok(()),
            _ => Err(RunStop::Early(match (answer, code) {
                (None, _) => {
                    "the first call has no answer, so it is not known whether this is the endpoint; begin another run".to_owned()
                }
                (Some(answer), None) => {
                    format!("the first answer has status {}, not the endpoint's 5004", answer.status)
                }
                (_, Some(code)) => format!("the first answer is {code}, not the endpoint's 5004"),
            })),
        }
    }

    /// A defect whose check stands behind another one.
    fn guard(&self, asked: Check) -> Option<Alteration> {
        let order = self.order.as_ref().unwrap_or(&self.settings.expected_order);
        let place = |check| order.iter().position(|one| *one == check);
        let is_behind = |check: &Check| place(*check) > place(asked);
        let guard = [Check::Threshold, Check::Image].into_iter().find(is_behind)?;
        with_defects(&[guard]).but.into_iter().next()
    }

    fn eliminate(&mut self, case: &'static TestCase) -> Result<(), RunStop> {
        if self.settings.max_account_failures == 0 {
            return self.skip(case, "it needs one account failure (--max-account-failures)");
        }
        self.order = eliminate(|set| {
            let account = set.contains(&Check::Account);
            let answer = self.ask(case.id, with_defects(set), Allowed { account, ..Allowed::default() })?;
            Ok::<_, RunStop>(code_of(answer.as_ref()))
        })?;
        if self.order.is_none() {
            self.skip(case, "an answer was lost, or is not that of any defect: the order was not found")?;
        }
        Ok(())
    }

    fn last(&mut self, case: &'static TestCase) -> Result<(), RunStop> {
        let Some(last) = self.order.as_ref().and_then(|order| order.last().copied()) else {
            return self.skip(case, NO_ORDER);
        };
        let spec = with_defects(&[last]);
        if !self.may_send(&spec) {
            return self.skip(case, TOO_MANY_FAILURES);
        }
        let allowed = Allowed { account: last == Check::Account, ..Allowed::default() };
        self.ask(case.id, spec, allowed).map(drop)
    }

    fn again(&mut self, case: &'static TestCase) -> Result<(), RunStop> {
        let Some(order) = self.order.clone() else { return self.skip(case, NO_ORDER) };
        let place = |check| order.iter().position(|one| *one == check);
        for (first, second) in [(0, order.len() - 1), (1, order.len() - 2)] {
            if order[first] != Check::Account {
                let set = [order[first], order[second]];
                let account = set.contains(&Check::Account);
                let spec = with_defects(&set).again(1);
                self.ask_unless_too_many(case, spec, Allowed { account, ..Allowed::default() })?;
            }
        }
        if place(Check::Parameters)
            .zip(place(Check::Image))
            .is_some_and(|(one, other)| one.abs_diff(other) == 1)
        {
            // Their own codes do not tell them apart; that of a wrong methode may.
            let spec = CallSpec { path: CallPath::UnknownMethode, ..with_defects(&[Check::Image]) };
            self.ask(case.id, spec, Allowed { account: true, status: true, ..Allowed::default() })?;
        }
        if place(Check::Decryption) < place(Check::Account) {
            let unreadable = Alteration::Undecryptable(CallField::Password);
            let spec = CallSpec::but([Alteration::MadeUpAccount, unreadable]);
            self.ask_unless_too_many(case, spec, Allowed::default())?;
        }
        Ok(())
    }

    fn ask_unless_too_many(
        &mut self,
        case: &'static TestCase,
        spec: CallSpec,
        allowed: Allowed,
    ) -> Result<(), RunStop> {
        if !self.may_send(&spec) {
            return self.skip(case, TOO_MANY_FAILURES);
        }
        self.ask(case.id, spec, allowed).map(drop)
    }

    fn exhausted(&mut self, case: &'static TestCase) -> Result<(), RunStop> {
        let expected = &self.settings.expected_order;
        let others: Vec<_> = expected.iter().copied().filter(|check| DEFECTS.contains(check)).collect();
        let quota = expected.iter().take_while(|check| **check != Check::Quota);
        let place = quota.filter(|check| DEFECTS.contains(check)).count();
        let found = place_of_quota(&others, place, |check| {
            let (account, spec) = (check == Check::Account, with_defects(&[check]));
            if !self.may_send(&spec) {
                return Ok::<_, RunStop>(None);
            }
            let answer = self.ask(case.id, spec, Allowed { account, ..Allowed::default() })?;
            Ok(code_of(answer.as_ref()).and_then(|code| match order::first_of(&[check], &code) {
                _ if code == Code::QUOTA.as_str() => Some(false),
                order::First::None => None,
                _ => Some(true),
            }))
        })?;
        if found.is_none() {
            self.skip(case, "an answer was lost, or is not that of any defect: the place was not found")?;
        }
        Ok(())
    }

    fn nobody(&mut self, case: &'static TestCase) -> Result<(), RunStop> {
        let wrapped = self.ask(case.id, nobody(TestImage::WrappedPortrait), Allowed::default())?;
        match code_of(wrapped.as_ref()).map(|code| order::first_of(&[Check::Image], &code)) {
            Some(order::First::None) => Ok(()),
            _ => self.ask(case.id, nobody(TestImage::Portrait), Allowed::default()).map(drop),
        }
    }

    /// Reads the quota twice; then, by what that used up, around `{}` or around a search.
    fn quota(&mut self, case: &'static TestCase) -> Result<(), RunStop> {
        let read = |runner: &mut Self, again| -> Result<Option<u64>, RunStop> {
            let answer = runner.ask(case.id, threshold_21().again(again), Allowed::default())?;
            let read = answer.and_then(|answer| read_body(&answer.body)).and_then(|read| read.quota_limiter);
            Ok(read.and_then(|text| text.parse().ok()))
        };
        let (Some(first), Some(second)) = (read(self, 1)?, read(self, 2)?) else {
            return self.skip(case, "the answer to threshold 21 has no number in quotaLimiter");
        };
        let is_used_up = first != second;
        match (case.id, is_used_up) {
            ("quota/all", true) => {
                let spec = CallSpec { body: CallBody::EmptyObject, ..CallSpec::default() };
                self.ask(case.id, spec.again(1), Allowed::default())?;
                read(self, 3).map(drop)
            }
            ("quota/none", false) => {
                self.ask(case.id, nobody(TestImage::Portrait), Allowed::default())?;
                read(self, 3).map(drop)
            }
            ("quota/all", false) => self.skip(case, "5005 uses up no quota, so 5004 does not"),
            ("quota/none", true) => self.skip(case, "5005 uses up quota, so every search does"),
            _ => Ok(()),
        }
    }

    fn skip(&mut self, case: &TestCase, why: &str) -> Result<(), RunStop> {
        Ok(self.file.skip(case.id, why)?)
    }

    /// The call of this run that sent the same.
    fn known(&self, spec: &CallSpec) -> Option<&RecordedCall> {
        self.file.run.calls.iter().find(|call| call.sends == *spec)
    }

    /// The call that was answered 5001 for a made-up account.
    fn account_answer(&self) -> Option<u32> {
        self.account_failures().next().map(|call| call.number)
    }

    /// The calls with an account that were answered 5001, in this run and in those that it goes on with.
    fn account_failures(&self) -> impl Iterator<Item = &RecordedCall> {
        self.file.run.calls.iter().filter(|call| {
            let read = call.result.as_ref().ok().and_then(|answer| read_body(&answer.body));
            read.is_some_and(|read| read.code == Code::ACCOUNT.as_str()) && call.sends.path == CallPath::Own
        })
    }

    /// Whether a call may be made without one account failure too many; one that was made already may.
    fn may_send(&self, spec: &CallSpec) -> bool {
        let has_failures_left =
            || self.account_failures().count() < self.settings.max_account_failures as usize;
        !reaches_account(spec) || self.known(spec).is_some() || has_failures_left()
    }

    /// Makes a call, unless this run made it already. Returns the answer; `None` when it was lost.
    fn ask(&mut self, case: &str, spec: CallSpec, allowed: Allowed) -> Result<Option<KeptAnswer>, RunStop> {
        let known = self.known(&spec).map(|call| call.number);
        let number = match known {
            Some(number) => {
                self.file.same(case, number)?;
                // An answer before a crash is judged as if it had come now.
                let was_judged = !self.resumed.contains(&number);
                self.resumed.retain(|other| *other != number);
                if was_judged {
                    return Ok(self.answer(number));
                }
                number
            }
            None => self.send(case, &spec)?,
        };
        let answer = self.answer(number);
        match &answer {
            Some(answer) => {
                self.lost = 0;
                self.judge(answer, allowed)?;
            }
            // What is odd as HTTP may be dropped, and what was lost before the run was resumed says nothing of now.
            None if allowed.status || known.is_some() => {}
            None => self.lost += 1,
        }
        if self.lost >= 2 {
            return Err(RunStop::Early("two calls in a row have no answer".to_owned()));
        }
        Ok(answer)
    }

    fn answer(&self, number: u32) -> Option<KeptAnswer> {
        let call = self.file.run.calls.iter().find(|call| call.number == number)?;
        call.result.as_ref().ok().cloned()
    }

    /// Sends `{}` once more, and judges it as the first call.
    fn prove_again(&mut self) -> Result<(), RunStop> {
        let empty = CallSpec { body: CallBody::EmptyObject, ..CallSpec::default() };
        // The case quota/all has the first repetition.
        let mut repetitions = (2..=u8::MAX).map(|again| empty.clone().again(again));
        let Some(spec) = repetitions.find(|spec| self.known(spec).is_none()) else {
            return Err(RunStop::Refused("the run was resumed too often; begin another one".to_owned()));
        };
        self.is_proven = true;
        let answer = self.ask("resume", spec, Allowed::default())?;
        self.judge_first(answer)
    }

    fn send(&mut self, case: &str, spec: &CallSpec) -> Result<u32, RunStop> {
        if !self.is_proven {
            self.prove_again()?;
        }
        if self.sent > 0 {
            (self.surroundings.sleep)(self.settings.pace);
        }
        if self.surroundings.interrupted.load(Ordering::Relaxed) {
            return Err(RunStop::Early("interrupted".to_owned()));
        }
        let now = (self.surroundings.now)();
        if let Some((from, to)) = self.settings.between {
            let clock = now.to_zoned_datetime(time::jakarta()).time();
            let is_within =
                if from <= to { from <= clock && clock < to } else { clock >= from || clock < to };
            if !is_within {
                return Err(RunStop::Early(format!(
                    "it is {} in Jakarta, outside --between",
                    clock.strftime("%H:%M")
                )));
            }
        }
        let transaction_id =
            format!("cf-{}-{}", &self.file.run.header.digits()[..8], self.file.next_number());
        let call = spec.build(self.subject, &transaction_id).map_err(RunStop::Refused)?;
        if let Some(ledger) = &mut self.surroundings.ledger
            && !ledger.charge(case, now)?
        {
            return Err(RunStop::Early("the budget of the day is used up (--budget)".to_owned()));
        }
        let number = self.file.begin(case, spec, &transaction_id, now)?;
        self.sent += 1;
        let result = match self.surroundings.exchanger.exchange(&call) {
            Ok(raw) => match KeptAnswer::of(&raw, &call, self.subject) {
                Some(answer) => Ok(answer),
                None => {
                    self.file.finish(number, Err(REPEATS_CREDENTIAL.to_owned()))?;
                    return Err(RunStop::Refused(format!("call {number} ({case}): {REPEATS_CREDENTIAL}")));
                }
            },
            Err(why) => Err(why),
        };
        self.file.finish(number, result)?;
        Ok(number)
    }

    /// Stops at what was not expected.
    fn judge(&mut self, answer: &KeptAnswer, allowed: Allowed) -> Result<(), RunStop> {
        let stop = |why: &str| Err(RunStop::Early(why.to_owned()));
        let code = read_body(&answer.body).map(|read| read.code);
        self.busy = if code.as_deref() == Some(Code::BUSY.as_str()) { self.busy + 1 } else { 0 };
        match code.as_deref() {
            Some("5002") if !self.settings.choice.exhausted => return stop("5002: today's quota is used up"),
            Some("5001") if !allowed.account => {
                return stop("5001 where the account was not made up: check user_id, password and customer");
            }
            Some("6014") if self.busy >= 2 => {
                return stop("6014 came twice in a row: the endpoint is busy");
            }
            _ if candidates_in(&answer.body) > 0 && !allowed.candidates => {
                return stop(
                    "candidates came where none were meant; they were masked before anything was written",
                );
            }
            None if answer.status == 200 => {
                return stop(
                    "an answer of neither shape came: this is not the endpoint, or a login page before it",
                );
            }
            _ => {}
        }
        self.other_statuses += u32::from(answer.status != 200 && !allowed.status);
        if self.other_statuses >= 2 && answer.status != 200 {
            return stop("a status other than 200 came twice");
        }
        Ok(())
    }
}

const TOO_MANY_FAILURES: &str = "it might be one account failure too many (--max-account-failures)";
/// Recorded instead of such an answer; a run with it does not go on.
const REPEATS_CREDENTIAL: &str = "the answer repeats a credential; nothing of it was kept";
const NO_ORDER: &str = "the order of the checks was not found";

/// A search for a portrait of nobody.
fn nobody(image: TestImage) -> CallSpec {
    CallSpec::but([Alteration::Image(image), Alteration::Text(CallField::Threshold, "19.50".to_owned())])
}

/// Whether a call has a made-up account.
fn reaches_account(spec: &CallSpec) -> bool {
    [Alteration::MadeUpAccount, Alteration::MadeUpPassword].iter().any(|one| spec.but.contains(one))
}

fn code_of(answer: Option<&KeptAnswer>) -> Option<String> {
    answer
        .filter(|answer| answer.status == 200)
        .and_then(|answer| read_body(&answer.body))
        .map(|read| read.code)
}
