//! The journal's record of a request, made in one place from its head, its admission and its verdict.

use std::borrow::Cow;
use std::sync::Arc;

use super::Engine;
use super::request::{Admission, RefusedRequest, RequestHead};
use super::verdict::{ResponseAction, Verdict};
use crate::base::text;
use crate::base::trace::trace_id;
use crate::domain::customer::Customer;
use crate::domain::faults::Delivery;
use crate::state::journal::{AnswerRecord, Entry, FaultRecord, Redactor, RequestMarks, RequestRecord};

/// Longest customer_id and methode in the journal, in characters.
const MAX_NAME_CHARS: usize = 64;

impl Engine {
    /// Adds a request and its verdict to the journal. Returns the entry, to be ended, and what is to be done on the wire.
    pub(super) fn record(
        &self,
        head: &RequestHead,
        admission: &Admission,
        verdict: Verdict,
    ) -> (Arc<Entry>, ResponseAction) {
        let (entry, marks, action) = self.entry_of(head, admission, verdict);
        (self.journal.add(entry, marks), action)
    }

    /// Makes the entry of a request and its verdict, with what is to be done on the wire.
    pub(super) fn entry_of(
        &self,
        head: &RequestHead,
        admission: &Admission,
        verdict: Verdict,
    ) -> (Entry, RequestMarks, ResponseAction) {
        let blank = Entry { at: verdict.at, ..self.blank_entry(head, admission) };
        let marks = marks(admission, &verdict);
        let entry = Entry {
            rule: verdict.rule(),
            delay: verdict.delay_record(),
            fault: verdict.fault_record(),
            answer: AnswerRecord {
                status: Some(verdict.http.status),
                candidates: verdict.candidate_records(self.shows_nik()),
                code: verdict.code,
                shape: verdict.shape,
                bytes: verdict.http.body.len(),
                charged: verdict.charged,
                reason: verdict.reason,
                hint: verdict.hint,
            },
            request: RequestRecord {
                peer: blank.request.peer,
                user_agent: blank.request.user_agent,
                ..verdict.request
            },
            findings: verdict.findings,
            warnings: verdict.warnings,
            rules: verdict.effects.firings,
            grounds: verdict.grounds,
            ..blank
        };
        let (delivery, listener) = match verdict.plan {
            Some(plan) => (plan.delivery, plan.listener),
            None => (Delivery::Answer(verdict.http), None),
        };
        let action = ResponseAction {
            slot: verdict.slot,
            delay: verdict.delay,
            delivery,
            listener,
            times: verdict.times,
            counters_overflowed: verdict.counters_overflowed,
        };
        (entry, marks, action)
    }

    /// Adds a request to the journal that never came to an answer of the document: its body was rejected or broke off. `status` is what was
    /// answered instead, if anything.
    pub fn record_rejection(
        &self,
        head: &RequestHead,
        admission: &Admission,
        status: Option<u16>,
        reason: &str,
        hint: Option<String>,
    ) -> Arc<Entry> {
        self.journal.add(self.rejection(head, admission, status, reason, hint), RequestMarks::default())
    }

    /// Makes the entry of such a request.
    #[must_use]
    pub fn rejection(
        &self,
        head: &RequestHead,
        admission: &Admission,
        status: Option<u16>,
        reason: &str,
        hint: Option<String>,
    ) -> Entry {
        let redactor = self.redactor(admission.customer());
        let reason = redactor.message(reason).into_owned();
        let hint = hint.map(|hint| redactor.message(&hint).into_owned());
        let effects = &admission.effects;
        let fault = effects.fault.as_ref().map(|(fault, rule)| FaultRecord::new(fault.kind(), rule));
        Entry {
            answer: AnswerRecord { status, reason, hint, ..AnswerRecord::default() },
            rule: effects.firings.first().map(|firing| firing.rule.clone()),
            rules: effects.firings.clone(),
            fault,
            ..self.blank_entry(head, admission)
        }
    }

    /// Adds a request to the journal that is no call of a customer: a malformed head, a path that names none, a wrong method.
    pub fn record_refusal(&self, refused: RefusedRequest) -> Arc<Entry> {
        let RefusedRequest { connection, peer, target, user_agent, trace_id, status, reason, request, hint } =
            refused;
        let customer = target.as_ref().and_then(|(customer_id, _)| self.customer(customer_id));
        let redactor = self.redactor(customer.as_deref());
        let target = target.map(|(customer_id, methode)| {
            (shown_id(&redactor, customer.as_deref(), &customer_id), shown_name(&redactor, &methode))
        });
        let reason = match (request, &target) {
            (Some((method, _)), Some((customer_id, methode))) => {
                format!("{reason}: {method} .../{customer_id}/{methode}")
            }
            (Some((method, path)), None) => format!("{reason}: {method} {path}"),
            (None, _) => reason,
        };
        let (customer_id, methode) = target.unzip();
        let entry = Entry {
            customer_id,
            methode: methode.unwrap_or_default(),
            connection,
            trace_id: shown_trace_id(&redactor, trace_id.as_deref()),
            request: redactor.request(RequestRecord { peer, user_agent, ..RequestRecord::default() }),
            answer: AnswerRecord {
                status: Some(status),
                reason: redactor.message(&reason).into_owned(),
                hint: Some(redactor.message(&hint).into_owned()),
                ..AnswerRecord::default()
            },
            ..Entry::blank(self.clock.now())
        };
        self.journal.add(entry, RequestMarks::default())
    }

    /// Returns the customer_id of a request as the journal shows it.
    #[must_use]
    pub fn shown_customer_id(&self, head: &RequestHead, admission: &Admission) -> String {
        let customer = admission.customer();
        shown_id(&self.redactor(customer), customer, &head.customer_id)
    }

    /// What is hidden of a customer's request, in journal, log and explanations.
    #[must_use]
    pub fn redactor<'a>(&'a self, customer: Option<&'a Customer>) -> Redactor<'a> {
        Redactor::of(customer, self.customers.accounts(), self.shows_nik())
    }

    /// Hides the values of all accounts in a text.
    #[must_use]
    pub fn hidden<'t>(&self, text: &'t str) -> Cow<'t, str> {
        self.customers.accounts().hidden(text)
    }

    /// An entry with what is known before the body.
    fn blank_entry(&self, head: &RequestHead, admission: &Admission) -> Entry {
        let customer = admission.customer();
        let redactor = self.redactor(customer);
        let user_agent = head.headers.as_ref().and_then(|headers| headers.user_agent().map(str::to_owned));
        let request = RequestRecord { peer: head.peer, user_agent, ..RequestRecord::default() };
        Entry {
            customer_id: Some(shown_id(&redactor, customer, &head.customer_id)),
            methode: shown_name(&redactor, head.methode.as_deref().unwrap_or_default()),
            connection: head.connection,
            ordinal: admission.ordinal,
            trace_id: shown_trace_id(
                &redactor,
                head.headers.as_ref().and_then(|headers| trace_id(&headers.all)),
            ),
            request: redactor.request(request),
            ..Entry::blank(admission.now)
        }
    }
}

fn shown_name(redactor: &Redactor, name: &str) -> String {
    redactor.value(&text::preview(name, MAX_NAME_CHARS)).into_owned()
}

fn shown_trace_id(redactor: &Redactor, trace_id: Option<&str>) -> Option<String> {
    Some(redactor.value(trace_id?).into_owned())
}

/// A customer's own id is not a secret, whatever it looks like.
fn shown_id(redactor: &Redactor, customer: Option<&Customer>, name: &str) -> String {
    customer.map_or_else(|| shown_name(redactor, name), |customer| customer.id.clone())
}

/// What the journal recognises the request's repetitions by.
pub(super) fn marks(admission: &Admission, verdict: &Verdict) -> RequestMarks {
    verdict.marks.of(admission.caller.as_ref().map(|caller| caller.instance), admission.arrived)
}
