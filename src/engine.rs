//! The engine: one request's way from bytes to an answer, and the state that requests share.
//!
//! What decides is pure and lives elsewhere; here the clock is read, the quota booked under one short lock, and the journal
//! written. The engine knows no socket and waits for nothing.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use serde::Serialize;

use crate::checks::{self, Case, Check, Finding, QuotaView, Status};
use crate::clock::{self, Clock};
use crate::compose::{Echo, compose};
use crate::evidence::{Credential, Photo, credential};
use crate::fixtures::{Checks, Customer, Fixtures, Reply, RuleSpec};
use crate::journal::{self, Entry, Found, Journal};
use crate::ledger::{self, Ledger};
use crate::policy::{Policy, QuotaCounts};
use crate::protocol::{Body, Candidate, Code, Field, Layout, Shape, Value, body, sample};
use crate::warnings::{self, Headers};

/// What requests share.
#[derive(Debug)]
pub struct Engine {
    fixtures: ArcSwap<Fixtures>,
    pub clock: Clock,
    pub ledger: Ledger,
    pub journal: Journal,
    show_nik: bool,
}

/// What is known of a request before its body.
#[derive(Clone, Debug)]
pub struct Head {
    pub customer_id: String,
    /// `None` in an explanation that names none: the customer's first.
    pub methode: Option<String>,
    pub peer: Option<IpAddr>,
    /// Number of the connection, from 1.
    pub connection: u64,
    /// `None` where the headers are not known, as in an explanation of a body.
    pub headers: Option<Headers>,
}

/// A request that was counted.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// The how manieth request of the customer; `None` for a customer nobody knows.
    ordinal: Option<u64>,
}

/// What is sent back, and why.
#[derive(Debug)]
pub struct Verdict {
    pub code: Code,
    pub shape: Option<Shape>,
    pub layout: Layout,
    /// The answer's body.
    pub bytes: Vec<u8>,
    /// What the checks alone would answer; `None` when they were skipped.
    pub outcome: Option<Code>,
    pub candidates: Vec<Candidate>,
    pub findings: Vec<Finding>,
    pub warnings: Vec<journal::Warning>,
    /// The rule that decided.
    pub rule: Option<String>,
    pub charged: bool,
    pub reason: String,
    pub hint: Option<String>,
    request: journal::Request,
}

/// A verdict for a person: what the endpoint would answer, and why.
#[derive(Debug, Serialize)]
pub struct Explanation {
    pub code: Code,
    /// What the checks alone answer; null when a rule skips them.
    pub outcome: Option<Code>,
    pub reason: String,
    pub hint: Option<String>,
    pub rule: Option<String>,
    pub shape: Option<Shape>,
    pub layout: Layout,
    pub candidates: Vec<Found>,
    pub findings: Vec<Finding>,
    pub warnings: Vec<journal::Warning>,
    /// The answer's body as it would be sent.
    pub body: String,
}

impl Verdict {
    /// The verdict for a person. The candidates' NIKs are masked unless `show_nik`; the body is what the endpoint sends.
    #[must_use]
    pub fn explanation(self, show_nik: bool) -> Explanation {
        Explanation {
            code: self.code,
            outcome: self.outcome,
            reason: self.reason,
            hint: self.hint,
            rule: self.rule,
            shape: self.shape,
            layout: self.layout,
            candidates: self.candidates.iter().map(|found| Found::of(found, show_nik)).collect(),
            findings: self.findings,
            warnings: self.warnings,
            body: String::from_utf8_lossy(&self.bytes).into_owned(),
        }
    }
}

impl Engine {
    /// An engine with these fixtures.
    #[must_use]
    pub fn new(fixtures: Fixtures, clock: Clock, journal: Journal, show_nik: bool) -> Engine {
        Engine {
            fixtures: ArcSwap::from_pointee(fixtures),
            clock,
            ledger: Ledger::default(),
            journal,
            show_nik,
        }
    }

    /// The fixtures in force.
    #[must_use]
    pub fn fixtures(&self) -> Arc<Fixtures> {
        self.fixtures.load_full()
    }

    /// Puts other fixtures in force, as a whole.
    pub fn replace_fixtures(&self, fixtures: Fixtures) {
        self.fixtures.store(Arc::new(fixtures));
    }

    /// Counts a request whose head has come.
    #[must_use]
    pub fn arrive(&self, head: &Head) -> Arrival {
        let fixtures = self.fixtures.load();
        let known = fixtures.customers.get(&head.customer_id);
        Arrival { ordinal: known.map(|customer| ledger::open(&self.ledger.book(&customer.id)).arrive()) }
    }

    /// Answers a request: charges quota and adds to the journal. Gives the entry, to be ended, and the answer's body.
    pub fn answer(&self, head: &Head, arrival: Arrival, body: &[u8]) -> (Arc<Entry>, Vec<u8>) {
        let now = self.clock.now();
        let verdict = self.judge(&self.fixtures.load(), head, body, now, Booking::Charge);
        let answer = journal::Reply {
            status: Some(200),
            code: Some(verdict.code),
            shape: verdict.shape,
            candidates: verdict.candidates.iter().map(|found| Found::of(found, self.show_nik)).collect(),
            bytes: verdict.bytes.len(),
            charged: verdict.charged,
            reason: verdict.reason,
            hint: verdict.hint,
        };
        let blank = blank_entry(head, arrival, now);
        let journal::Request { peer, user_agent, .. } = blank.request;
        let entry = Entry {
            request: journal::Request { peer, user_agent, ..verdict.request },
            findings: verdict.findings,
            warnings: verdict.warnings,
            rule: verdict.rule,
            answer,
            ..blank
        };
        (self.journal.add(entry), verdict.bytes)
    }

    /// What [`Engine::answer`] would answer now. Consumes nothing.
    #[must_use]
    pub fn explain(&self, head: &Head, body: &[u8]) -> Verdict {
        self.judge(&self.fixtures.load(), head, body, self.clock.now(), Booking::Look)
    }

    /// Journals a request that never came to an answer of the document: its body was refused or broke off. `status` is what
    /// was answered instead, if anything.
    pub fn turn_away(&self, head: &Head, arrival: Arrival, status: Option<u16>, reason: &str) -> Arc<Entry> {
        let answer = journal::Reply { status, reason: reason.to_owned(), ..journal::Reply::default() };
        self.journal.add(Entry { answer, ..blank_entry(head, arrival, self.clock.now()) })
    }

    fn judge(
        &self,
        fixtures: &Fixtures,
        head: &Head,
        bytes: &[u8],
        now: Timestamp,
        booking: Booking,
    ) -> Verdict {
        let body = Body::decode(bytes);
        let customer = fixtures.customers.get(&head.customer_id);
        let desk = Desk { engine: self, fixtures, head, body_bytes: bytes.len(), body: &body, now, booking };
        match customer.and_then(|customer| Some((customer, skipping_rule(customer)?))) {
            Some((customer, rule)) => desk.without_checks(customer, rule),
            None => desk.with_checks(customer.map(Arc::as_ref)),
        }
    }

    /// Whether NIKs are shown whole in the journal and in explanations.
    #[must_use]
    pub fn shows_nik(&self) -> bool {
        self.show_nik
    }

    /// Today's quota of a customer; `None` when nobody has the id.
    #[must_use]
    pub fn quota(&self, customer_id: &str) -> Option<QuotaView> {
        let fixtures = self.fixtures.load();
        let customer = fixtures.customers.get(customer_id)?;
        let day = clock::jakarta_day(self.clock.now());
        Some(ledger::open(&self.ledger.book(&customer.id)).quota(day, customer.per_day))
    }
}

/// An entry with what is known before the body.
fn blank_entry(head: &Head, arrival: Arrival, now: Timestamp) -> Entry {
    let user_agent = head.headers.as_ref().and_then(|headers| headers.user_agent.clone());
    Entry {
        id: 0,
        at: now,
        customer_id: body::cut(&head.customer_id, 64),
        methode: body::cut(head.methode.as_deref().unwrap_or_default(), 64),
        connection: head.connection,
        ordinal: arrival.ordinal,
        state: journal::Ended::default(),
        request: journal::Request { peer: head.peer, user_agent, ..journal::Request::default() },
        findings: Vec::new(),
        warnings: Vec::new(),
        rule: None,
        delay: None,
        fault: None,
        answer: journal::Reply::default(),
        elapsed_us: journal::Elapsed::default(),
    }
}

/// The first rule, when it answers without the checks.
fn skipping_rule(customer: &Customer) -> Option<&RuleSpec> {
    customer.rules.first().filter(|rule| rule.checks == Some(Checks::Skip))
}

/// Whether a judgement counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Booking {
    Charge,
    Look,
}

/// One request on the engine's desk.
struct Desk<'a> {
    engine: &'a Engine,
    fixtures: &'a Fixtures,
    head: &'a Head,
    body_bytes: usize,
    body: &'a Body<'a>,
    now: Timestamp,
    booking: Booking,
}

impl Desk<'_> {
    fn with_checks(&self, customer: Option<&Customer>) -> Verdict {
        let mut case = self.open_case(customer);
        let mut findings = checks::assess(&case);
        let candidates = match checks::first_failed(&findings, &case.policy.precedence) {
            None => self.search(case.photo.as_ref(), case.policy),
            Some(_) => Vec::new(),
        };
        let decision = self.book(&mut case, &mut findings, candidates);
        self.verdict(&case, findings, decision)
    }

    /// Opens what is encrypted and looks at the photo: the costly part.
    fn open_case<'a>(&'a self, customer: Option<&'a Customer>) -> Case<'a> {
        let policy = customer.map_or(&self.fixtures.policy, |customer| &customer.policy);
        let key = customer.map_or_else(|| self.fixtures.keys.server(), |customer| &customer.key);
        let open = |field, expected| {
            credential::open(self.body.text(field), expected, policy.base64, key, &self.fixtures.keys)
        };
        let user_id = open(Field::UserId, customer.map(|customer| customer.account.user_id.as_str()));
        let password = open(Field::Password, customer.map(|customer| customer.account.password.as_str()));
        let first_methode = customer.and_then(|customer| customer.methode.first()).map_or("", String::as_str);
        Case {
            body: self.body,
            customer_id: &self.head.customer_id,
            methode: self.head.methode.as_deref().unwrap_or(first_methode),
            customer,
            policy,
            peer: self.head.peer,
            owner_of_user_id: self.owner_of(&user_id, customer),
            user_id,
            password,
            photo: self.photo(policy),
            quota: QuotaView::default(),
        }
    }

    fn photo(&self, policy: &Policy) -> Option<Photo> {
        self.body.text(Field::Image).map(|text| Photo::read(text, policy.base64, &self.fixtures.limits))
    }

    /// Whose the user_id is, when it is not the customer's own.
    fn owner_of(&self, user_id: &Credential, customer: Option<&Customer>) -> Option<&str> {
        let Credential::Opened { plain, .. } = user_id else { return None };
        if customer?.account.user_id == *plain {
            return None;
        }
        let mut owners = self.fixtures.customers.values().filter(|other| other.account.user_id == *plain);
        // Customers that answer without checks share an account for convenience; nobody means them.
        let checking = owners.clone().find(|other| skipping_rule(other).is_none());
        checking.or_else(|| owners.next()).map(|owner| owner.id.as_str())
    }

    fn search(&self, photo: Option<&Photo>, policy: &Policy) -> Vec<Candidate> {
        let threshold = self.body.threshold().unwrap_or_default();
        photo
            .filter(|photo| photo.is_fit())
            .map(|photo| self.fixtures.gallery.search(photo, threshold, policy.max_results))
            .unwrap_or_default()
    }

    /// Looks at the quota, decides and charges, all under the customer's lock, so that exactly as many requests succeed as the
    /// quota allows.
    fn book(&self, case: &mut Case, findings: &mut [Finding], candidates: Vec<Candidate>) -> Decision {
        let Some(customer) = case.customer else {
            return Decision::make(case, findings, candidates);
        };
        let day = clock::jakarta_day(self.now);
        let book = self.engine.ledger.book(&customer.id);
        let mut book = ledger::open(&book);
        case.quota = book.quota(day, customer.per_day);
        checks::reassess_quota(case, findings);
        let mut decision = Decision::make(case, findings, candidates);
        if decision.counts(case.policy.quota_counts, findings) && self.booking == Booking::Charge {
            decision.charged = book.charge(day, customer.per_day);
            case.quota = book.quota(day, customer.per_day);
        }
        decision
    }

    fn verdict(&self, case: &Case, findings: Vec<Finding>, decision: Decision) -> Verdict {
        let (bytes, shape) = self.body_of(&decision.reply, case.policy, case.quota, &decision.candidates);
        let photo = case.photo.as_ref();
        let line_breaks = warnings::fields_with_line_breaks(
            &case.user_id,
            &case.password,
            photo.is_some_and(|photo| photo.line_breaks),
        );
        Verdict {
            code: decision.code().clone(),
            shape,
            layout: case.policy.layout,
            bytes,
            outcome: Some(decision.outcome),
            candidates: decision.candidates,
            findings,
            warnings: warnings::of(self.head.headers.as_ref(), self.body, &line_breaks),
            rule: decision.rule,
            charged: decision.charged,
            reason: decision.reason,
            hint: decision.hint,
            request: journal::Request::of(self.body, self.body_bytes, photo),
        }
    }

    /// A rule's answer to whatever came. Nobody is authenticated, so nothing is charged.
    fn without_checks(&self, customer: &Customer, rule: &RuleSpec) -> Verdict {
        let policy = &customer.policy;
        let photo = self.photo(policy);
        let candidates = match &rule.reply {
            Reply::Code(code) if *code == Code::FOUND => self.search(photo.as_ref(), policy),
            _ => Vec::new(),
        };
        let quota = self.engine.quota(&customer.id).unwrap_or_default();
        let (bytes, shape) = self.body_of(&rule.reply, policy, quota, &candidates);
        let (Reply::Code(code) | Reply::Sample(code)) = &rule.reply;
        Verdict {
            code: code.clone(),
            shape,
            layout: policy.layout,
            bytes,
            outcome: None,
            candidates,
            findings: Vec::new(),
            warnings: warnings::of(self.head.headers.as_ref(), self.body, &[]),
            rule: rule.name.clone(),
            charged: false,
            reason: format!("{} answers {code} without any check", customer.id),
            hint: None,
            request: journal::Request::of(self.body, self.body_bytes, photo.as_ref()),
        }
    }

    fn body_of(
        &self,
        reply: &Reply,
        policy: &Policy,
        quota: QuotaView,
        candidates: &[Candidate],
    ) -> (Vec<u8>, Option<Shape>) {
        match reply {
            Reply::Sample(code) => (sample::sample(code).unwrap_or_default().to_vec(), Some(code.shape())),
            Reply::Code(code) => {
                let answer = compose(code, self.echo(), policy, quota, candidates.to_vec());
                (answer.render(policy.layout), Some(answer.shape))
            }
        }
    }

    fn echo(&self) -> Echo<'_> {
        let transaction_id = match self.body.value(Field::TransactionId) {
            Value::Text(text) => Some(text.as_ref()),
            _ => None,
        };
        Echo { transaction_id, threshold: self.body.threshold() }
    }
}

/// What is answered, and why.
struct Decision {
    /// What the checks say.
    outcome: Code,
    reply: Reply,
    candidates: Vec<Candidate>,
    rule: Option<String>,
    charged: bool,
    reason: String,
    hint: Option<String>,
}

impl Decision {
    fn make(case: &Case, findings: &[Finding], candidates: Vec<Candidate>) -> Decision {
        let outcome = Decision::of_checks(case, findings, candidates);
        let rules = case.customer.map_or(&[][..], |customer| &customer.rules);
        match rules.first() {
            Some(rule) => outcome.overruled(rule),
            None => outcome,
        }
    }

    fn of_checks(case: &Case, findings: &[Finding], candidates: Vec<Candidate>) -> Decision {
        let failed = checks::first_failed(findings, &case.policy.precedence);
        let (code, reason, hint) = match failed {
            Some(finding) => (
                finding.code.clone().unwrap_or(Code::PARAMETERS),
                finding.reason.to_string(),
                finding.hint.as_ref().map(ToString::to_string),
            ),
            None if candidates.is_empty() => (
                case.policy.not_found.clone(),
                "nobody in the gallery reaches the threshold".to_owned(),
                None,
            ),
            None => (Code::FOUND, found(&candidates), None),
        };
        let candidates = if failed.is_some() { Vec::new() } else { candidates };
        let reply = Reply::Code(code.clone());
        Decision { outcome: code, reply, candidates, rule: None, charged: false, reason, hint }
    }

    fn overruled(mut self, rule: &RuleSpec) -> Decision {
        let name = rule.name.clone().unwrap_or_else(|| "unnamed".to_owned());
        self.reason = format!("rule {name:?} instead of {}: {}", self.outcome, self.reason);
        self.reply = rule.reply.clone();
        if *self.code() != Code::FOUND {
            self.candidates.clear();
        }
        self.rule = Some(name);
        self
    }

    fn code(&self) -> &Code {
        let (Reply::Code(code) | Reply::Sample(code)) = &self.reply;
        code
    }

    fn counts(&self, policy: QuotaCounts, findings: &[Finding]) -> bool {
        match policy {
            QuotaCounts::Matched => [Code::FOUND, Code::NOT_FOUND, Code::BUSY].contains(self.code()),
            QuotaCounts::Identified => *self.code() == Code::FOUND && !self.candidates.is_empty(),
            QuotaCounts::Authenticated => findings
                .iter()
                .any(|finding| finding.check == Check::Account && finding.status == Status::Passed),
            QuotaCounts::All => true,
        }
    }
}

fn found(candidates: &[Candidate]) -> String {
    let best = candidates.first().map_or(0.0, |candidate| candidate.score);
    match candidates.len() {
        1 => format!("1 candidate, score {best:.2}"),
        count => format!("{count} candidates, best score {best:.2}"),
    }
}
