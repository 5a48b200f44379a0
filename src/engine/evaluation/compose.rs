//! From a decision to the verdict: the answer's bytes, its delay and fault, the warnings, and what it rests on.

use super::Evaluation;
use crate::base::random::{Purpose, RngKey};
use crate::domain::answer::{AnswerContent, AnswerOverrides, Echo, compose};
use crate::domain::checks::{self, CheckInput, Finding};
use crate::domain::evidence::Photo;
use crate::domain::fidelity::{AnswerGrounds, AnsweredThrough, FailedCheck, Grounds};
use crate::domain::http_answer::HttpAnswer;
use crate::domain::matcher::Matched;
use crate::domain::policy::Policy;
use crate::domain::rules::Reply;
use crate::domain::server_answer::ServerFaults;
use crate::domain::warnings::{self, Warning};
use crate::engine::decision::{Decision, StateChange};
use crate::engine::verdict::Verdict;
use crate::protocol::{Field, Shape, Value, sample};
use crate::state::journal::{RequestMarks, RequestRecord};
use crate::state::timing::Stage;
use crate::state::worker_pool::Slot;

impl Evaluation<'_> {
    pub(super) fn compose(
        &self,
        mut decision: Decision,
        input: &CheckInput,
        (findings, matched): (Vec<Finding>, &Matched),
        slot: Option<Slot>,
        server: ServerFaults,
    ) -> Verdict {
        let findings = checks::replaced(findings, std::mem::take(&mut decision.findings));
        let (http, shape) = self.http_answer(&decision, input.policy);
        let outcome_of = |name: &str| {
            let rule = self.rules.iter().find(|asked| asked.rule.name == name);
            rule.and_then(|asked| asked.rule.spec.when.outcome.clone())
        };
        let through = match &decision.effects.reply {
            Some((_, rule)) => AnsweredThrough::Rule { outcome: outcome_of(rule) },
            None => AnsweredThrough::Checks,
        };
        let grounds = self.grounds(&decision, shape, through, server).map(|grounds| {
            let failed: Vec<_> = findings.iter().filter_map(FailedCheck::of).collect();
            let nobody = matched.candidates.is_empty() && failed.is_empty() && !matched.faces.has_failed();
            let found_nobody = nobody && matched.faces.no_face_code().is_none();
            let no_face = matched.faces.no_face().filter(|_| nobody).cloned();
            let readings = self.other_readings(input.evidence, &decision, &http.body);
            Grounds { failed, found_nobody, no_face, readings, ..grounds }
        });
        Verdict {
            grounds: AnswerGrounds::of(grounds),
            slot,
            findings,
            warnings: self.warnings(warnings::of_evidence(input.evidence), matched),
            ..self.verdict(decision, http, shape, input.photo())
        }
    }

    /// The answer of a rule or of the server to whatever was sent.
    pub(super) fn compose_without_checks(
        &self,
        mut decision: Decision,
        photo: Option<&Photo>,
        through: AnsweredThrough,
        server: ServerFaults,
    ) -> Verdict {
        let mut matched = Matched::default();
        if decision.reply.needs_match() {
            matched = self.search(self.admission.customer(), photo);
            decision.candidates = std::mem::take(&mut matched.candidates);
        }
        let (http, shape) = self.http_answer(&decision, self.policy);
        Verdict {
            grounds: AnswerGrounds::of(self.grounds(&decision, shape, through, server)),
            warnings: self.warnings(Vec::new(), &matched),
            ..self.verdict(decision, http, shape, photo)
        }
    }

    fn warnings(&self, of_evidence: Vec<Warning>, matched: &Matched) -> Vec<Warning> {
        warnings::of(self.head.headers.as_ref(), self.body, of_evidence, matched)
    }

    /// A verdict without the findings, the warnings and the slot.
    fn verdict(
        &self,
        decision: Decision,
        http: HttpAnswer,
        shape: Option<Shape>,
        photo: Option<&Photo>,
    ) -> Verdict {
        let Decision { effects, .. } = &decision;
        let random = |rule: &str, purpose| {
            let key = RngKey { seed: self.engine.seed(), customer_id: &self.head.customer_id, rule };
            key.random(purpose, self.admission.ordinal.unwrap_or_default())
        };
        let delay = effects.delay.as_ref().map(|(delay, rule)| delay.draw(&mut random(rule, Purpose::Delay)));
        let plan = effects.fault.as_ref();
        let plan = plan.map(|(fault, rule)| fault.plan(&http, &mut random(rule, Purpose::Fault)));
        Verdict {
            code: decision.reply.code().cloned(),
            shape,
            layout: self.policy.layout,
            http,
            outcome: decision.outcome,
            candidates: decision.candidates,
            findings: Vec::new(),
            warnings: Vec::new(),
            charged: decision.charged,
            reason: decision.reason,
            hint: decision.hint,
            would_change: decision
                .changed
                .iter()
                .filter(|change| **change != StateChange::QuotaDoubt)
                .map(ToString::to_string)
                .collect(),
            counters_overflowed: self.admission.counters_overflowed || decision.counters_overflowed,
            effects: decision.effects,
            delay,
            plan,
            slot: None,
            at: decision.at,
            marks: RequestMarks::new(
                self.body.text(Field::TransactionId),
                photo.and_then(|photo| photo.sha256),
            ),
            request: RequestRecord::of(self.body, self.bytes.len(), photo),
            grounds: AnswerGrounds::default(),
            times: self.timer.read(),
        }
    }

    pub(super) fn http_answer(&self, decision: &Decision, policy: &Policy) -> (HttpAnswer, Option<Shape>) {
        let style = policy.head;
        let documented = |body| HttpAnswer {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body,
            style,
            at: decision.at,
        };
        match &decision.reply {
            Reply::Sample(code) => {
                let bytes =
                    sample::sample(code).expect("only documented codes are accepted as a rule's sample");
                (documented(bytes.to_vec()), Some(code.shape()))
            }
            Reply::Code { code, error, shape, .. } => {
                let content = AnswerContent {
                    code,
                    echo: self.echo(),
                    quota: decision.quota,
                    candidates: decision.candidates.clone(),
                    overrides: AnswerOverrides { error: error.as_deref(), shape: *shape },
                };
                let answer = compose(content, policy);
                let body = self.timer.time(Stage::Render, || answer.render(policy.layout));
                (documented(body), Some(answer.shape))
            }
            Reply::RawHttp(raw) => {
                let (headers, body) = (raw.headers.clone(), raw.body_for(self.echo().transaction_id));
                (HttpAnswer { status: raw.status, headers, body, style, at: decision.at }, None)
            }
        }
    }

    pub(super) fn echo(&self) -> Echo<'_> {
        let transaction_id = match self.body.value(Field::TransactionId) {
            Value::Text(text) => Some(text.as_ref()),
            _ => None,
        };
        Echo {
            transaction_id,
            threshold: self.body.threshold(),
            threshold_as_written: self.body.threshold_as_written(),
        }
    }
}
