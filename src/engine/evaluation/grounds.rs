//! What is kept of a decision, to tell what its answer rests on.

use std::cell::OnceCell;
use std::sync::Arc;

use super::Evaluation;
use crate::base::text::first_chars;
use crate::base::time;
use crate::domain::capacity::Availability;
use crate::domain::checks;
use crate::domain::evidence::{Credential, Evidence};
use crate::domain::fidelity::{AnsweredThrough, EchoedThreshold, Grounds, OtherReading};
use crate::domain::policy::{Policy, SAMPLE_TRANSACTION_ID};
use crate::domain::rules::{Reply, RuleEffects};
use crate::domain::server_answer::ServerFaults;
use crate::engine::decision::{self, Decision, Evaluated};
use crate::protocol::encoding::Base64Mode;
use crate::protocol::{AnsweredBy, Body, Field, NumberMode, Shape};
use crate::state::customer_state::CustomerState;
use crate::state::timing::StageTimer;

impl Evaluation<'_> {
    /// What is kept of a decision, but what the checks found.
    pub(super) fn grounds(
        &self,
        decision: &Decision,
        shape: Option<Shape>,
        through: AnsweredThrough,
        server: ServerFaults,
    ) -> Option<Grounds> {
        let policy = Arc::clone(self.in_force?);
        let (code, text, own_shape) = match &decision.reply {
            Reply::Code { code, error, shape, .. } => (Some(code), error.is_some(), shape.is_some()),
            Reply::Sample(code) => (Some(code), false, false),
            Reply::RawHttp(_) => (None, false, false),
        };
        let echo = self.echo();
        let is_sample = matches!(decision.reply, Reply::Sample(_));
        let echoes_threshold = code.filter(|code| !is_sample && code.stage() == AnsweredBy::Matcher);
        let is_rules = through != AnsweredThrough::Checks;
        Some(Grounds {
            policy,
            through,
            code: code.cloned(),
            shape,
            is_sample,
            has_rules_text: text && is_rules,
            has_rules_shape: own_shape && is_rules,
            failed: Vec::new(),
            found_nobody: false,
            no_face: None,
            server,
            echoes_literal: shape == Some(Shape::Verification)
                && echo.transaction_id.unwrap_or_default() == SAMPLE_TRANSACTION_ID,
            threshold: echoes_threshold.map(|_| EchoedThreshold {
                number: echo.threshold,
                written: echo
                    .threshold_as_written
                    .map(|text| first_chars(text, EchoedThreshold::MAX_CHARS).into()),
            }),
            quota: decision.quota_grounds,
            readings: Vec::new(),
        })
    }

    /// What would be answered if numbers or base64 were read in the other way. Only now are the texts there; few requests have a text that
    /// is read in two ways, and only those pay for it.
    pub(super) fn other_readings(
        &self,
        evidence: &Evidence,
        decision: &Decision,
        body: &[u8],
    ) -> Vec<OtherReading> {
        let is_read_once = |key, depends: bool| !depends || !self.policy.is_assumed(key);
        let mut found = Vec::new();
        if !is_read_once("numbers", self.body.depends_on_numbers()) {
            let (value, numbers) = match self.policy.numbers {
                NumberMode::Strict => ("loose", NumberMode::Loose),
                NumberMode::Loose => ("strict", NumberMode::Strict),
            };
            let policy = Policy { numbers, ..self.policy.clone() };
            found.extend(self.read_under(&policy, ("numbers", value), evidence, decision, body));
        }
        if !is_read_once("base64", self.depends_on_base64(evidence)) {
            let (value, base64) = match self.policy.base64 {
                Base64Mode::Strict => ("mime", Base64Mode::Mime),
                Base64Mode::Mime => ("strict", Base64Mode::Strict),
            };
            let policy = Policy { base64, ..self.policy.clone() };
            // What else is read again is in the caches, or small.
            let image = match base64 {
                Base64Mode::Strict => self.body.text(Field::Image).map(up_to_line_break),
                Base64Mode::Mime => self.body.text(Field::Image),
            };
            let other = self.evidence_under(&policy, image, &StageTimer::default());
            found.extend(self.read_under(&policy, ("base64", value), &other, decision, body));
        }
        found
    }

    /// Whether there are line breaks in base64. A text that was read without any has none.
    fn depends_on_base64(&self, evidence: &Evidence) -> bool {
        let has_breaks = |field| {
            self.body.text(field).is_some_and(|text| memchr::memchr2(b'\r', b'\n', text.as_bytes()).is_some())
        };
        let is_read =
            |credential: &Credential| matches!(credential, Credential::Opened { line_breaks: false, .. });
        let photo = evidence.photo.as_ref();
        let is_read_photo = photo.is_none_or(|photo| photo.fault.is_none() && !photo.line_breaks);
        (!is_read(&evidence.user_id) && has_breaks(Field::UserId))
            || (!is_read(&evidence.password) && has_breaks(Field::Password))
            || (!is_read_photo && has_breaks(Field::Image))
    }

    /// Decides again under another policy, on a state with the same quota and without rules. `None` when the answer would be the same.
    fn read_under(
        &self,
        policy: &Policy,
        (key, value): (&'static str, &'static str),
        evidence: &Evidence,
        decision: &Decision,
        answered: &[u8],
    ) -> Option<OtherReading> {
        let body = Body::decode(self.bytes).with_numbers(policy.numbers);
        // A face engine is not asked again: a photo that only the other reading opens is compared by its picture.
        let face = OnceCell::from(self.face.get().cloned().unwrap_or_default());
        // It is no stage of the request.
        let timer = StageTimer::default();
        let other = Evaluation {
            policy,
            in_force: None,
            body: &body,
            rules: Vec::new(),
            face: &face,
            timer: &timer,
            ..*self
        };
        let input = other.check_input(evidence);
        let findings = checks::assess(&input);
        let matched = other.matched(&input, &findings);
        let mut asked = other.asked(other.facts(input.photo(), &[]), RuleEffects::default());
        asked.facts.now = decision.at;
        let availability = Availability::Unlimited;
        let evaluated = Evaluated { asked, input, findings, matched, availability };
        let mut state = CustomerState::default();
        if let Some(quota) = decision.quota_grounds {
            state.set_per_day(Some(quota.per_day));
            state.set_used(time::jakarta_day(decision.at), quota.used);
        }
        let decided = decision::decide(&mut state, &evaluated);
        let (http, _) = other.http_answer(&decided, policy);
        let code = decided.reply.code()?.clone();
        let has_other_body = http.body != answered;
        let differs = has_other_body || Some(&code) != decision.outcome.as_ref();
        differs.then_some(OtherReading { key, value, code, has_other_body })
    }
}

/// A text as far as strict base64 fails on it: to its first line break and a little behind it. A photo of megabytes need not be read for that.
fn up_to_line_break(text: &str) -> &str {
    let end = memchr::memchr2(b'\r', b'\n', text.as_bytes()).map_or(text.len(), |at| at + 8);
    text.get(..end).unwrap_or(text)
}
