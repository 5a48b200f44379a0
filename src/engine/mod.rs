//! The engine: one request's way from bytes to an answer, and the state that requests share.
//!
//! What decides is pure and lives elsewhere; here the clock is read, quota and rules are booked under one short lock, and the
//! journal is written. The engine knows no socket and waits for nothing.

mod control;
pub mod reload;

pub use control::Scope;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::civil::Date;
use schemars::JsonSchema;
use serde::Serialize;

use crate::base::random::{Purpose, RngKey};
use crate::base::{text, time};
use crate::config::Fixtures;
use crate::domain::answer::{AnswerOverrides, Echo, compose};
use crate::domain::capacity::Availability;
use crate::domain::checks::{self, CheckInput, Finding, Status};
use crate::domain::customer::Customer;
use crate::domain::evidence::{Credential, Photo};
use crate::domain::faults::{Delivery, HttpAnswer, ListenerFault, Upload};
use crate::domain::matcher;
use crate::domain::policy::{Check, Policy, QuotaCounts};
use crate::domain::quota::QuotaView;
use crate::domain::rules::{Counting, DrawContext, Facts, Firing, Phase, Reply, Rule, RuleEffects};
use crate::domain::warnings::{self, Headers, Warning};
use crate::protocol::{Body, Candidate, Code, Field, Layout, Shape, Value, sample};
use crate::state::clock::Clock;
use crate::state::customer_state::{self, CustomerState, CustomerStates};
use crate::state::customers::CustomerRegistry;
use crate::state::evidence_cache::{EncryptedField, EvidenceCache};
use crate::state::face_matcher::{FaceMatcher, SearchScope as Reach};
use crate::state::journal::{
    self, CandidateRecord, DelayRecord, Entry, FaultRecord, Journal, Redactor, State,
};
use crate::state::recent::RequestKey;
use crate::state::timing::{Stage, StageTimer, StageTimes};
use crate::state::worker_pool::{CapacityGauge, PoolGuard, Slot, WorkerPool, WorkerPools};

/// What requests share.
#[derive(Debug)]
pub struct Engine {
    pub customers: CustomerRegistry,
    pub clock: Clock,
    pub states: CustomerStates,
    pub journal: Journal,
    pub matcher: FaceMatcher,
    /// Ciphertexts and photos seen before.
    pub evidence: EvidenceCache,
    settings: EngineSettings,
    /// Customers made so far, which makes the next one's id and account.
    made: AtomicU64,
    stations: WorkerPools,
}

/// What the command line says about answering.
#[derive(Clone, Copy, Debug, Default)]
pub struct EngineSettings {
    /// Seed of everything that is left to chance.
    pub seed: u64,
    /// Whether NIKs are shown whole in journal and explanations.
    pub show_nik: bool,
}

/// What is known of a request before its body.
#[derive(Clone, Debug)]
pub struct RequestHead {
    pub customer_id: String,
    /// `None` in an explanation that names none: the customer's first.
    pub methode: Option<String>,
    pub peer: Option<IpAddr>,
    /// Number of the connection, from 1.
    pub connection: u64,
    /// `None` where the headers are not known, as in an explanation of a body.
    pub headers: Option<Headers>,
}

/// A request that was counted, and what rules have decided before its body was read.
#[derive(Clone, Debug, Default)]
pub struct Admission {
    /// Who calls; `None` for a customer nobody knows.
    caller: Option<Caller>,
    /// The how manieth request of the customer; `None` for a customer nobody knows.
    ordinal: Option<u64>,
    /// The customer's requests under way, this one included.
    in_flight: u64,
    /// When it came, in real time; `None` where nobody says.
    came: Option<Instant>,
    decided: RuleEffects,
}

/// Whoever calls, as it was when the request came: what is changed or removed meanwhile is for the requests after it.
#[derive(Clone, Debug)]
struct Caller {
    customer: Arc<Customer>,
    book: customer_state::SharedState,
    /// The rules in force, in the order in which they are tried.
    rules: Vec<Arc<Rule>>,
}

impl Admission {
    /// Says when it came, in real time.
    #[must_use]
    pub fn at(self, came: Instant) -> Admission {
        Admission { came: Some(came), ..self }
    }

    fn customer(&self) -> Option<&Customer> {
        self.caller.as_ref().map(|caller| &*caller.customer)
    }

    /// What happens to the upload, where a rule says so.
    #[must_use]
    pub fn upload(&self) -> Option<Upload> {
        self.decided.fault.as_ref().and_then(|(fault, _)| fault.upload())
    }
}

/// What is to be done on the wire.
#[derive(Debug)]
pub struct ResponseAction {
    /// A place at the matcher. The request waits for its turn and for the work before anything else is done.
    pub place: Option<Slot>,
    /// Before anything is sent.
    pub delay: Option<Duration>,
    pub way: Delivery,
    pub listener: Option<ListenerFault>,
    /// What the stages took so far.
    pub times: StageTimes,
}

/// What is sent back, and why.
#[derive(Debug)]
pub struct Verdict {
    /// `None` for an answer that has no code.
    pub code: Option<Code>,
    pub shape: Option<Shape>,
    pub layout: Layout,
    pub http: HttpAnswer,
    /// What the checks alone would answer; `None` when they were skipped.
    pub outcome: Option<Code>,
    pub candidates: Vec<Candidate>,
    pub findings: Vec<Finding>,
    pub warnings: Vec<Warning>,
    pub charged: bool,
    pub reason: String,
    pub hint: Option<String>,
    /// What rules decided.
    decided: RuleEffects,
    place: Option<Slot>,
    delay: Option<Duration>,
    plan: Option<crate::domain::faults::Plan>,
    request: journal::RequestRecord,
    times: StageTimes,
}

/// A verdict for a person: what the endpoint would answer, and why.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Explanation {
    pub code: Option<Code>,
    /// What the checks alone answer; null when a rule skips them.
    pub outcome: Option<Code>,
    pub reason: String,
    pub hint: Option<String>,
    pub rule: Option<String>,
    pub rules: Vec<Firing>,
    pub delay: Option<DelayRecord>,
    pub fault: Option<FaultRecord>,
    pub shape: Option<Shape>,
    pub layout: Layout,
    pub candidates: Vec<CandidateRecord>,
    pub findings: Vec<Finding>,
    pub warnings: Vec<Warning>,
    /// HTTP status.
    pub status: u16,
    /// The answer's body as it would be sent, were there no fault.
    pub body: String,
}

impl Verdict {
    /// The verdict for a person. The candidates' NIKs are masked unless `show_nik`; the body is what the endpoint sends.
    #[must_use]
    pub fn explanation(self, show_nik: bool) -> Explanation {
        Explanation {
            rule: self.rule(),
            delay: self.delay_record(),
            fault: self.fault_record(),
            code: self.code,
            outcome: self.outcome,
            reason: self.reason,
            hint: self.hint,
            rules: self.decided.firings,
            shape: self.shape,
            layout: self.layout,
            candidates: self.candidates.iter().map(|found| CandidateRecord::of(found, show_nik)).collect(),
            findings: self.findings,
            warnings: self.warnings,
            status: self.http.status,
            body: String::from_utf8_lossy(&self.http.body).into_owned(),
        }
    }

    /// Hides what may not be shown in what is told about the request; the answer stays.
    fn redacted(mut self, discretion: &Redactor) -> Verdict {
        discretion.findings(&mut self.findings);
        discretion.warnings(&mut self.warnings);
        self.reason = discretion.message(&self.reason).into_owned();
        self.request = discretion.request(self.request);
        self
    }

    fn rule(&self) -> Option<String> {
        self.decided.firings.first().map(|firing| firing.rule.clone())
    }

    fn delay_record(&self) -> Option<DelayRecord> {
        let (_, rule) = self.decided.delay.as_ref()?;
        Some(DelayRecord {
            rule: rule.clone(),
            us: u64::try_from(self.delay?.as_micros()).unwrap_or(u64::MAX),
        })
    }

    fn fault_record(&self) -> Option<FaultRecord> {
        let ((fault, rule), plan) = (self.decided.fault.as_ref()?, self.plan.as_ref()?);
        Some(FaultRecord { note: plan.note.clone(), ..FaultRecord::new(fault.name(), rule) })
    }
}

impl Engine {
    /// An engine with these fixtures.
    #[must_use]
    pub fn new(fixtures: Fixtures, clock: Clock, journal: Journal, settings: EngineSettings) -> Engine {
        let states = CustomerStates::new(clock.now());
        Engine {
            customers: CustomerRegistry::new(fixtures),
            clock,
            states,
            journal,
            matcher: FaceMatcher::new(settings.seed),
            evidence: EvidenceCache::default(),
            settings,
            stations: WorkerPools::default(),
            made: AtomicU64::default(),
        }
    }

    /// The fixtures in force.
    #[must_use]
    pub fn fixtures(&self) -> Arc<Fixtures> {
        self.customers.fixtures()
    }

    /// The customer with this id, from the fixtures or put over the admin API.
    #[must_use]
    pub fn customer(&self, id: &str) -> Option<Arc<Customer>> {
        self.customers.customer(id, self.clock.now())
    }

    /// The present instant on a customer's clock.
    #[must_use]
    pub fn now_of(&self, book: &CustomerState) -> Timestamp {
        book.clock.read(self.clock.read()).now
    }

    /// The present instant for a request.
    fn now_for(&self, arrival: &Admission) -> Timestamp {
        match &arrival.caller {
            Some(caller) => self.now_of(&customer_state::lock(&caller.book)),
            None => self.clock.now(),
        }
    }

    /// How full the matchers are whose capacity is limited: the shared one first, then the customers' own by their ids.
    #[must_use]
    pub fn capacities(&self) -> Vec<CapacityGauge> {
        let (fixtures, customers) = (self.fixtures(), self.customers.customers(self.clock.now()));
        fixtures
            .capacities(&customers)
            .map(|(owner, capacity)| self.stations.gauge(owner, capacity))
            .collect()
    }

    /// Counts a request whose head has come, and asks the rules that are decided before the body.
    #[must_use]
    pub fn admit(&self, head: &RequestHead) -> Admission {
        self.admit_as(head, Counting::Count)
    }

    fn admit_as(&self, head: &RequestHead, counting: Counting) -> Admission {
        let Some(customer) = self.customer(&head.customer_id) else { return Admission::default() };
        let shared = self.states.book(&customer.id);
        let mut book = customer_state::lock(&shared);
        let (ordinal, in_flight) = match counting {
            Counting::Count => {
                book.in_flight += 1;
                (book.arrive(), book.in_flight)
            }
            Counting::Look => (book.next_ordinal(), book.in_flight + 1),
        };
        let now = self.now_of(&book);
        let rules = book.rules(&customer.rules, now);
        let mut arrival = Admission { ordinal: Some(ordinal), in_flight, ..Admission::default() };
        let state = book.scenario.state.clone();
        let facts = head_facts(head, &arrival, now, &state);
        let stage = self.stage(&customer, &self.customers.fixtures_guard(), counting);
        let of_head: Vec<_> =
            rules.iter().map(Arc::as_ref).filter(|rule| rule.phase() == Phase::BeforeBody).collect();
        book.scenario.decide(&of_head, &facts, stage, &mut arrival.decided);
        drop(book);
        Admission { caller: Some(Caller { customer, book: shared, rules }), ..arrival }
    }

    /// The request is over, and `ended` like that; `now` in real time. Whether the customer's counters overflowed with it, if that
    /// is news.
    pub fn finish(&self, arrival: &Admission, ended: (&Entry, State), now: Instant) -> bool {
        let (Some(caller), Some(ordinal)) = (&arrival.caller, arrival.ordinal) else { return false };
        let mut book = customer_state::lock(&caller.book);
        book.in_flight = book.in_flight.saturating_sub(1);
        book.recent.ended(ordinal, ended, now);
        book.scenario.take_overflow()
    }

    /// Where and how a customer's rules are counted.
    #[must_use]
    pub fn stage<'a>(
        &self,
        customer: &'a Customer,
        fixtures: &Fixtures,
        counting: Counting,
    ) -> DrawContext<'a> {
        let max_counters = fixtures.limits.rule_counters;
        DrawContext { seed: self.settings.seed, customer_id: &customer.id, max_counters, counting }
    }

    /// Answers a request: charges quota, counts rules and adds to the journal. Gives the entry, to be ended, and what is to be
    /// done.
    pub fn answer(
        &self,
        head: &RequestHead,
        arrival: &Admission,
        body: &[u8],
    ) -> (Arc<Entry>, ResponseAction) {
        let now = self.now_for(arrival);
        let verdict =
            self.evaluate(&self.customers.fixtures_guard(), head, arrival, body, (now, Counting::Count));
        let blank = self.blank_entry(head, arrival, now);
        let journal::RequestRecord { peer, user_agent, .. } = blank.request;
        let (rule, delay, fault) = (verdict.rule(), verdict.delay_record(), verdict.fault_record());
        let answer = journal::AnswerRecord {
            status: Some(verdict.http.status),
            code: verdict.code,
            shape: verdict.shape,
            candidates: verdict
                .candidates
                .iter()
                .map(|found| CandidateRecord::of(found, self.settings.show_nik))
                .collect(),
            bytes: verdict.http.body.len(),
            charged: verdict.charged,
            reason: verdict.reason,
            hint: verdict.hint,
        };
        let entry = Entry {
            request: journal::RequestRecord { peer, user_agent, ..verdict.request },
            findings: verdict.findings,
            warnings: verdict.warnings,
            rule,
            rules: verdict.decided.firings,
            delay,
            fault,
            answer,
            ..blank
        };
        let (way, listener) = match verdict.plan {
            Some(plan) => (plan.way, plan.listener),
            None => (Delivery::Answer(verdict.http), None),
        };
        let deed = ResponseAction {
            place: verdict.place,
            delay: verdict.delay,
            way,
            listener,
            times: verdict.times,
        };
        let entry = self.journal.add(entry);
        if let (Some(caller), Some(ordinal)) = (&arrival.caller, arrival.ordinal) {
            customer_state::lock(&caller.book).recent.journaled(ordinal, entry.id);
        }
        (entry, deed)
    }

    /// What [`Engine::answer`] would answer now. Consumes nothing.
    #[must_use]
    pub fn explain(&self, head: &RequestHead, body: &[u8]) -> Verdict {
        let arrival = self.admit_as(head, Counting::Look).at(Instant::now());
        let now = self.now_for(&arrival);
        self.evaluate(&self.customers.fixtures_guard(), head, &arrival, body, (now, Counting::Look))
    }

    /// Journals a request that never came to an answer of the document: its body was refused or broke off. `status` is what
    /// was answered instead, if anything.
    pub fn record_rejection(
        &self,
        head: &RequestHead,
        arrival: &Admission,
        status: Option<u16>,
        reason: &str,
    ) -> Arc<Entry> {
        let reason = self.discretion(arrival.customer()).message(reason).into_owned();
        let answer = journal::AnswerRecord { status, reason, ..journal::AnswerRecord::default() };
        let fault = arrival.decided.fault.as_ref().map(|(fault, rule)| FaultRecord::new(fault.name(), rule));
        let rules = arrival.decided.firings.clone();
        let rule = rules.first().map(|firing| firing.rule.clone());
        self.journal.add(Entry {
            answer,
            rule,
            rules,
            fault,
            ..self.blank_entry(head, arrival, self.now_for(arrival))
        })
    }

    fn evaluate(
        &self,
        fixtures: &Fixtures,
        head: &RequestHead,
        arrival: &Admission,
        bytes: &[u8],
        (now, counting): (Timestamp, Counting),
    ) -> Verdict {
        let stopwatch = StageTimer::default();
        let body = stopwatch.time(Stage::Decode, || Body::decode(bytes));
        let customer = arrival.customer();
        let rules = arrival.caller.as_ref().map_or(&[][..], |caller| &caller.rules);
        let desk = Evaluation {
            engine: self,
            fixtures,
            head,
            arrival,
            body_bytes: bytes.len(),
            body: &body,
            rules,
            now,
            counting,
            stopwatch,
        };
        let mut decided = arrival.decided.clone();
        let skipping = desk.pre_check_rules();
        if let Some(customer) = customer.filter(|_| !skipping.is_empty()) {
            let photo = desk.photo(&customer.policy);
            desk.decide(customer, photo.as_ref(), &skipping, &mut decided);
            if decided.skips_checks {
                return desk
                    .without_checks(customer, photo, decided)
                    .redacted(&self.discretion(Some(customer)));
            }
        }
        desk.with_checks(customer, decided).redacted(&self.discretion(customer))
    }

    /// Whether NIKs are shown whole in the journal and in explanations.
    #[must_use]
    pub fn shows_nik(&self) -> bool {
        self.settings.show_nik
    }

    /// Seed of everything that is left to chance.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.settings.seed
    }

    /// Today's quota of a customer, and which day today is; `None` when nobody has the id.
    #[must_use]
    pub fn quota(&self, customer_id: &str) -> Option<(QuotaView, Date)> {
        let customer = self.customer(customer_id)?;
        let book = self.states.book(&customer.id);
        let book = customer_state::lock(&book);
        Some(quota_on(&book, &customer, self.now_of(&book)))
    }

    /// An entry with what is known before the body.
    fn blank_entry(&self, head: &RequestHead, arrival: &Admission, now: Timestamp) -> Entry {
        let customer = arrival.customer();
        let discretion = self.discretion(customer);
        let methode = head.methode.as_deref().unwrap_or_default();
        let user_agent = head.headers.as_ref().and_then(|headers| headers.user_agent().map(str::to_owned));
        let request =
            journal::RequestRecord { peer: head.peer, user_agent, ..journal::RequestRecord::default() };
        Entry {
            id: 0,
            at: now,
            // A customer's own id is no secret, whatever it looks like.
            customer_id: customer.map_or_else(
                || discretion.value(&text::preview(&head.customer_id, 64)).into_owned(),
                |customer| customer.id.clone(),
            ),
            methode: discretion.value(&text::preview(methode, 64)).into_owned(),
            connection: head.connection,
            ordinal: arrival.ordinal,
            state: journal::EntryState::default(),
            request: discretion.request(request),
            findings: Vec::new(),
            warnings: Vec::new(),
            rule: None,
            rules: Vec::new(),
            delay: None,
            fault: None,
            answer: journal::AnswerRecord::default(),
            elapsed_us: journal::Elapsed::default(),
        }
    }

    /// What is hidden of a customer's request, in journal and explanations.
    fn discretion<'a>(&self, customer: Option<&'a Customer>) -> Redactor<'a> {
        let account = customer.map(|customer| &customer.account);
        let credentials = account.into_iter().flat_map(|account| [&*account.user_id, &*account.password]);
        // A user_id that is the customer's id stands in every path.
        let secret = credentials.filter(|text| customer.is_none_or(|customer| customer.id != **text));
        Redactor::new(secret, self.settings.show_nik).hiding(account.map(|account| &*account.password))
    }
}

impl Caller {
    fn quota(&self, now: Timestamp) -> (QuotaView, Date) {
        quota_on(&customer_state::lock(&self.book), &self.customer, now)
    }
}

/// The quota of the Jakarta day of `now`, and that day.
fn quota_on(book: &CustomerState, customer: &Customer, now: Timestamp) -> (QuotaView, Date) {
    let day = time::jakarta_day(now);
    (book.quota(day, customer.per_day), day)
}

/// What conditions can be compared with before the body is read.
fn head_facts<'a>(head: &'a RequestHead, arrival: &Admission, now: Timestamp, state: &'a str) -> Facts<'a> {
    Facts {
        headers: head.headers.as_ref().map_or(&[], |headers| headers.all.as_slice()),
        ordinal: arrival.ordinal.unwrap_or(1),
        in_flight: arrival.in_flight,
        now,
        state,
        peer: head.peer,
        ..Facts::default()
    }
}

/// One request on the engine's desk.
struct Evaluation<'a> {
    engine: &'a Engine,
    fixtures: &'a Fixtures,
    head: &'a RequestHead,
    arrival: &'a Admission,
    body_bytes: usize,
    body: &'a Body<'a>,
    rules: &'a [Arc<Rule>],
    now: Timestamp,
    counting: Counting,
    stopwatch: StageTimer,
}

impl Evaluation<'_> {
    fn with_checks(&self, customer: Option<&Customer>, mut decided: RuleEffects) -> Verdict {
        let mut case = self.open_case(customer);
        let mut findings = checks::assess(&case);
        let candidates = match checks::first_failed(&findings, &case.policy.precedence) {
            None => self.search(customer, case.photo.as_ref()),
            Some(_) => Vec::new(),
        };
        let decision = match &self.arrival.caller {
            Some(caller) => {
                self.decide_and_charge(caller, &mut case, &mut findings, candidates, &mut decided)
            }
            None => Decision::of_checks(&case, &findings, candidates),
        };
        self.verdict(&case, findings, decision, decided)
    }

    /// Opens what is encrypted and looks at the photo: the costly part.
    fn open_case<'a>(&'a self, customer: Option<&'a Customer>) -> CheckInput<'a> {
        let policy = customer.map_or(&self.fixtures.policy, |customer| &customer.policy);
        let key = customer.map_or_else(|| self.fixtures.keys.server(), |customer| &customer.key);
        let open = |field, expected| {
            let text = self.body.text(field);
            self.stopwatch.time(Stage::Decrypt, || {
                let sealed =
                    EncryptedField { text, expected, mode: policy.base64, key, ring: &self.fixtures.keys };
                self.engine.evidence.open(sealed, &self.fixtures.limits)
            })
        };
        let user_id = open(Field::UserId, customer.map(|customer| customer.account.user_id.as_str()));
        let password = open(Field::Password, customer.map(|customer| customer.account.password.as_str()));
        let first_methode = customer.and_then(|customer| customer.methode.first()).map_or("", String::as_str);
        CheckInput {
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
            availability: None,
        }
    }

    fn photo(&self, policy: &Policy) -> Option<Photo<'_>> {
        let text = self.body.text(Field::Image)?;
        let read = || self.engine.evidence.photo(text, policy.base64, &self.fixtures.limits);
        Some(self.stopwatch.time(Stage::Image, read))
    }

    /// Whose the user_id is, when it is not the customer's own.
    fn owner_of(&self, user_id: &Credential, customer: Option<&Customer>) -> Option<String> {
        let Credential::Opened { plain, .. } = user_id else { return None };
        if customer?.account.user_id == *plain {
            return None;
        }
        let all = self.engine.customers.customers(self.engine.clock.now());
        let mut owners = all.iter().filter(|other| other.account.user_id == *plain);
        // The shipped scripts share demo's account for convenience; nobody means them.
        let plain_one = owners.clone().find(|other| other.rules.is_empty() && other.extends.is_none());
        plain_one.or_else(|| owners.next()).map(|owner| owner.id.clone())
    }

    /// Who reaches the request's threshold; where none can be read, who is the same person.
    fn search(&self, customer: Option<&Customer>, photo: Option<&Photo>) -> Vec<Candidate> {
        let (Some(customer), Some(photo)) = (customer, photo.filter(|photo| photo.is_fit())) else {
            return Vec::new();
        };
        self.stopwatch.time(Stage::Match, || self.matched(customer, photo))
    }

    fn matched(&self, customer: &Customer, photo: &Photo) -> Vec<Candidate> {
        let threshold = self.body.threshold().unwrap_or_else(|| f64::from(matcher::score::SAME_PERSON));
        let most = customer.policy.max_results;
        let mut found = self.engine.matcher.find(&self.scope(customer), photo, threshold);
        let digest = photo.sha256.unwrap_or_default();
        for stranger in
            matcher::look_alikes(self.engine.settings.seed, &digest, customer.population, threshold, most)
        {
            found.record(&stranger.nik, stranger.score);
        }
        found.candidates(most)
    }

    fn scope<'a>(&'a self, customer: &'a Customer) -> Reach<'a> {
        Reach {
            customer_id: &customer.id,
            own: &customer.gallery,
            shared: customer.shared_gallery.then_some(&self.fixtures.gallery),
            perceptual: self.fixtures.perceptual,
        }
    }

    /// The rules that skip the checks, as far as none stands before them that does not.
    fn pre_check_rules(&self) -> Vec<&Rule> {
        let body = self.rules.iter().map(Arc::as_ref).filter(|rule| rule.phase() != Phase::BeforeBody);
        body.take_while(|rule| rule.phase() == Phase::BeforeChecks).collect()
    }

    /// All other rules but those of the upload, in order.
    fn post_check_rules(&self) -> Vec<&Rule> {
        let body = self.rules.iter().map(Arc::as_ref).filter(|rule| rule.phase() != Phase::BeforeBody);
        body.skip_while(|rule| rule.phase() == Phase::BeforeChecks).collect()
    }

    /// Tries rules without an outcome.
    fn decide(&self, customer: &Customer, photo: Option<&Photo>, rules: &[&Rule], decided: &mut RuleEffects) {
        let similar = self.similar(customer, photo);
        let Some(caller) = &self.arrival.caller else { return };
        let mut book = customer_state::lock(&caller.book);
        let state = book.scenario.state.clone();
        let facts = self.facts(None, photo, similar, &state);
        book.scenario.decide(rules, &facts, self.stage(customer), decided);
    }

    fn stage<'a>(&self, customer: &'a Customer) -> DrawContext<'a> {
        self.engine.stage(customer, self.fixtures, self.counting)
    }

    /// Everybody of the galleries whom the photo shows, where a rule asks.
    fn similar(&self, customer: &Customer, photo: Option<&Photo>) -> Vec<String> {
        let asks = self.rules.iter().any(|rule| rule.spec.when.image.similar_to.is_some());
        let least = f64::from(matcher::score::SAME_PERSON);
        photo
            .filter(|photo| asks && photo.is_fit())
            .map(|photo| self.engine.matcher.find(&self.scope(customer), photo, least).niks())
            .unwrap_or_default()
    }

    fn facts<'a>(
        &'a self,
        outcome: Option<&'a Code>,
        photo: Option<&'a Photo>,
        similar: Vec<String>,
        state: &'a str,
    ) -> Facts<'a> {
        Facts {
            outcome,
            transaction_id: self.body.text(Field::TransactionId),
            transaction_source: self.body.text(Field::TransactionSource),
            ip: self.body.text(Field::Ip),
            threshold: self.body.threshold(),
            sha256: photo.and_then(|photo| photo.sha256.as_ref()),
            image_bytes: photo.filter(|photo| photo.sha256.is_some()).map(|photo| photo.bytes),
            similar,
            ..head_facts(self.head, self.arrival, self.now, state)
        }
    }

    /// Looks at the quota and the matcher, decides, asks the rules, charges and takes a place, all under the customer's lock, so
    /// that exactly as many requests succeed as the quota allows and rules count every request once.
    fn decide_and_charge(
        &self,
        caller: &Caller,
        case: &mut CheckInput,
        findings: &mut [Finding],
        candidates: Vec<Candidate>,
        decided: &mut RuleEffects,
    ) -> Decision {
        let customer = &*caller.customer;
        let rules = self.post_check_rules();
        let similar = self.similar(customer, case.photo.as_ref());
        let day = time::jakarta_day(self.now);
        let (station, service_time) = self.station(customer).unzip();
        let mut book = customer_state::lock(&caller.book);
        case.quota = book.quota(day, customer.per_day);
        checks::reassess_quota(case, findings);
        let door = lock_capacity(station.as_ref(), case, findings);
        let mut decision = Decision::of_checks(case, findings, candidates);
        let state = book.scenario.state.clone();
        let facts = self.facts(Some(&decision.outcome), case.photo.as_ref(), similar, &state);
        book.scenario.decide(&rules, &facts, self.stage(customer), decided);
        if let Some((reply, rule)) = &decided.reply {
            decision.overrule(reply, rule);
        }
        let counts = !decided.skips_checks && decision.counts(case.policy.quota_counts, findings);
        if counts && self.counting == Counting::Count {
            decision.charged = book.charge(day, customer.per_day);
            case.quota = book.quota(day, customer.per_day);
        }
        if !decided.skips_checks && self.counting == Counting::Count {
            decision.place = door.and_then(|door| door.reserve(service_time.unwrap_or_default()));
        }
        decision
    }

    /// The matcher that a customer's request goes to, and how long it works on it; `None` where capacity has no limit.
    fn station(&self, customer: &Customer) -> Option<(Arc<WorkerPool>, Duration)> {
        let (owner, capacity) = self.fixtures.capacity_of(customer)?;
        let ordinal = self.arrival.ordinal.unwrap_or_default();
        let time = capacity.time_for(self.engine.settings.seed, &customer.id, ordinal);
        Some((self.engine.stations.of(owner, capacity), time))
    }

    fn verdict(
        &self,
        case: &CheckInput,
        findings: Vec<Finding>,
        decision: Decision,
        decided: RuleEffects,
    ) -> Verdict {
        let photo = case.photo.as_ref();
        let line_breaks = warnings::fields_with_line_breaks(
            &case.user_id,
            &case.password,
            photo.is_some_and(|photo| photo.line_breaks),
        );
        let (http, shape) = self.http_of(&decision.reply, case.policy, case.quota, &decision.candidates);
        Verdict {
            outcome: Some(decision.outcome),
            findings,
            warnings: self.warnings(case.customer, photo, &line_breaks),
            charged: decision.charged,
            place: decision.place,
            reason: decision.reason,
            hint: decision.hint,
            ..self.bare_verdict(
                &decision.reply,
                case.policy,
                http,
                shape,
                decision.candidates,
                decided,
                photo,
            )
        }
    }

    fn warnings(
        &self,
        customer: Option<&Customer>,
        photo: Option<&Photo>,
        line_breaks: &[&'static str],
    ) -> Vec<Warning> {
        let mut warnings = warnings::of(self.head.headers.as_ref(), self.body, line_breaks);
        warnings.extend(customer.and_then(|customer| self.recall(customer, photo)));
        warnings
    }

    /// Compares the request with what the customer sent lately, and remembers it.
    fn recall(&self, customer: &Customer, photo: Option<&Photo>) -> Option<Warning> {
        let image = photo.and_then(|photo| photo.sha256);
        let transaction_id = self.body.text(Field::TransactionId);
        let Admission { ordinal, came, .. } = *self.arrival;
        let sent = RequestKey::new(ordinal.unwrap_or_default(), transaction_id, image, self.now, came);
        let book = self.engine.states.book(&customer.id);
        let mut book = customer_state::lock(&book);
        let warning = book.recent.check(&sent);
        if self.counting == Counting::Count {
            book.recent.record(sent);
        }
        warning
    }

    /// A rule's answer to whatever came. Nobody is authenticated, so nothing is charged.
    fn without_checks(&self, customer: &Customer, photo: Option<Photo>, mut decided: RuleEffects) -> Verdict {
        self.decide(customer, photo.as_ref(), &self.post_check_rules(), &mut decided);
        let policy = &customer.policy;
        let reply =
            decided.reply.as_ref().map_or_else(|| Reply::of_code(Code::FOUND), |(reply, _)| reply.clone());
        let candidates = match &reply {
            Reply::Code { candidates: Some(given), .. } => given.clone(),
            Reply::Code { code, .. } if *code == Code::FOUND => self.search(Some(customer), photo.as_ref()),
            _ => Vec::new(),
        };
        let caller = self.arrival.caller.as_ref();
        let quota = caller.map(|caller| caller.quota(self.now).0).unwrap_or_default();
        let (http, shape) = self.http_of(&reply, policy, quota, &candidates);
        let shown = reply.code().map_or_else(|| format!("status {}", http.status), ToString::to_string);
        Verdict {
            warnings: self.warnings(Some(customer), photo.as_ref(), &[]),
            reason: format!("{} answers {shown} without any check", self.head.customer_id),
            ..self.bare_verdict(&reply, policy, http, shape, candidates, decided, photo.as_ref())
        }
    }

    /// A verdict with what a reply alone says; the warnings and the reason are the caller's.
    #[expect(clippy::too_many_arguments, reason = "they are the parts of the verdict, and named like them")]
    fn bare_verdict(
        &self,
        reply: &Reply,
        policy: &Policy,
        http: HttpAnswer,
        shape: Option<Shape>,
        candidates: Vec<Candidate>,
        decided: RuleEffects,
        photo: Option<&Photo>,
    ) -> Verdict {
        let code = reply.code().cloned();
        Verdict {
            delay: decided
                .delay
                .as_ref()
                .map(|(delay, rule)| delay.draw(&mut self.random(rule, Purpose::Delay))),
            plan: decided
                .fault
                .as_ref()
                .map(|(fault, rule)| fault.plan(&http, &mut self.random(rule, Purpose::Fault))),
            code,
            shape,
            layout: policy.layout,
            http,
            outcome: None,
            candidates,
            findings: Vec::new(),
            warnings: Vec::new(),
            charged: false,
            reason: String::new(),
            hint: None,
            decided,
            place: None,
            request: journal::RequestRecord::of(self.body, self.body_bytes, photo),
            times: self.stopwatch.read(),
        }
    }

    fn random(&self, rule: &str, purpose: Purpose) -> rand::rngs::ChaCha8Rng {
        let source = RngKey { seed: self.engine.settings.seed, customer_id: &self.head.customer_id, rule };
        source.random(purpose, self.arrival.ordinal.unwrap_or_default())
    }

    fn http_of(
        &self,
        reply: &Reply,
        policy: &Policy,
        quota: QuotaView,
        candidates: &[Candidate],
    ) -> (HttpAnswer, Option<Shape>) {
        let documented = |body| HttpAnswer {
            status: 200,
            headers: vec![("content-type".to_owned(), "application/json".to_owned())],
            body,
        };
        match reply {
            Reply::Sample(code) => {
                (documented(sample::sample(code).unwrap_or_default().to_vec()), Some(code.shape()))
            }
            Reply::Code { code, error, shape, .. } => {
                let said = AnswerOverrides { error: error.as_deref(), shape: *shape };
                let answer = compose(code, self.echo(), policy, quota, candidates.to_vec(), said);
                let body = self.stopwatch.time(Stage::Render, || answer.render(policy.layout));
                (documented(body), Some(answer.shape))
            }
            Reply::RawHttp { status, headers, body } => {
                (HttpAnswer { status: *status, headers: headers.clone(), body: body.clone() }, None)
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

/// Asks the matcher for room when nothing failed. The door stays held until the request has gone through it or turned round, so
/// that what was found still holds then.
fn lock_capacity<'a>(
    station: Option<&'a Arc<WorkerPool>>,
    case: &mut CheckInput,
    findings: &mut [Finding],
) -> Option<PoolGuard<'a>> {
    if checks::first_failed(findings, &case.policy.precedence).is_some() {
        return None;
    }
    let door = station.map(WorkerPool::lock);
    case.availability = Some(door.as_ref().map_or(Availability::Unlimited, PoolGuard::room));
    checks::reassess_capacity(case, findings);
    door
}

/// What is answered, and why.
struct Decision {
    /// What the checks say.
    outcome: Code,
    reply: Reply,
    candidates: Vec<Candidate>,
    charged: bool,
    place: Option<Slot>,
    reason: String,
    hint: Option<String>,
}

impl Decision {
    fn of_checks(case: &CheckInput, findings: &[Finding], candidates: Vec<Candidate>) -> Decision {
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
        Decision {
            reply: Reply::of_code(code.clone()),
            outcome: code,
            candidates,
            charged: false,
            place: None,
            reason,
            hint,
        }
    }

    fn overrule(&mut self, reply: &Reply, rule: &str) {
        self.reason = format!("rule {rule:?} instead of {}: {}", self.outcome, self.reason);
        self.reply = reply.clone();
        match reply {
            Reply::Code { candidates: Some(given), .. } => self.candidates.clone_from(given),
            Reply::Code { code, .. } if *code == Code::FOUND => {}
            _ => self.candidates.clear(),
        }
    }

    /// Whether the answer has candidates: those found or given, or the document's own in its sample.
    fn names_somebody(&self) -> bool {
        matches!(self.reply, Reply::Sample(_)) || !self.candidates.is_empty()
    }

    /// Free replies charge nothing, whatever the policy.
    fn counts(&self, policy: QuotaCounts, findings: &[Finding]) -> bool {
        let Some(code) = self.reply.code() else { return false };
        match policy {
            QuotaCounts::Matched => [Code::FOUND, Code::NOT_FOUND, Code::BUSY].contains(code),
            QuotaCounts::Identified => *code == Code::FOUND && self.names_somebody(),
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
