//! One request, from its bytes to the verdict. [`Evaluation::run`] is the whole way; each step is a call.

mod grounds;

use std::borrow::Cow;
use std::cell::OnceCell;
use std::sync::Arc;

use super::Engine;
use super::decision::{self, Asked, AskedRule, Decision, Evaluated, StateChange};
use super::request::{Admission, RequestHead};
use super::verdict::Verdict;
use crate::base::random::{Purpose, RngKey};
use crate::base::text::first_chars;
use crate::config::Fixtures;
use crate::domain::answer::{AnswerContent, AnswerOverrides, Echo, compose};
use crate::domain::capacity::Availability;
use crate::domain::checks::{self, CheckInput, Finding};
use crate::domain::customer::Customer;
use crate::domain::evidence::{Credential, Evidence, Photo};
use crate::domain::faults::Upload;
use crate::domain::fidelity::{AnswerGrounds, AnsweredThrough, FailedCheck, Grounds};
use crate::domain::http_answer::HttpAnswer;
use crate::domain::matcher::face_engine::FaceSettings;
use crate::domain::matcher::{self, FaceLook, Matched};
use crate::domain::policy::{Check, Policy};
use crate::domain::quota::QuotaView;
use crate::domain::rules::{Facts, Reply, RuleEffects};
use crate::domain::server_answer::{ServerAnswer, ServerFaults};
use crate::domain::warnings::{self, Warning};
use crate::protocol::{Body, Field, Shape, Value, sample};
use crate::state::customer_state::CustomerState;
use crate::state::evidence_cache::EncryptedField;
use crate::state::face_matcher::SearchScope;
use crate::state::journal::{RequestMarks, RequestRecord};
use crate::state::timing::{Stage, StageTimer};
use crate::state::worker_pool::Slot;

/// One request that is evaluated, with all that its steps look at.
pub(super) struct Evaluation<'a> {
    engine: &'a Engine,
    fixtures: &'a Fixtures,
    policy: &'a Policy,
    /// The policy, unless it is only tried: then nobody asks what the answer rests on.
    in_force: Option<&'a Arc<Policy>>,
    head: &'a RequestHead,
    admission: &'a Admission,
    body: &'a Body<'a>,
    bytes: &'a [u8],
    /// The customer's rules, compared with the request's texts before any lock is taken.
    rules: Vec<AskedRule<'a>>,
    /// What the face engine says of the photo; asked once, when it is needed.
    face: &'a OnceCell<FaceLook>,
    timer: &'a StageTimer,
}

impl Engine {
    /// Evaluates a request: decodes it, tries the rules that come before the checks, opens what is encrypted and looks at the photo, makes
    /// all checks, asks the matcher, decides and charges, and composes the answer. `policy` is another one than the customer's, to see what
    /// would be answered under it; `face` has what the face engine says of the photo, once it was asked.
    pub(super) fn evaluate(
        &self,
        head: &RequestHead,
        admission: &Admission,
        bytes: &[u8],
        policy: Option<&Policy>,
        face: &OnceCell<FaceLook>,
    ) -> Verdict {
        let (fixtures, timer) = (self.customers.fixtures_guard(), StageTimer::default());
        let own = admission.customer().map_or(&fixtures.policy, |customer| &customer.policy);
        let in_force = policy.is_none().then_some(own);
        let policy = policy.unwrap_or(own);
        let body = timer.time(Stage::Decode, || Body::decode(bytes).with_numbers(policy.numbers));
        let mut evaluation = Evaluation {
            rules: Vec::new(),
            engine: self,
            fixtures: &fixtures,
            policy,
            in_force,
            head,
            admission,
            body: &body,
            bytes,
            face,
            timer: &timer,
        };
        if let Some(caller) = &admission.caller {
            let facts = evaluation.facts(None, &[]);
            evaluation.rules = caller.rules.iter().map(|rule| AskedRule::of(rule, &facts)).collect();
        }
        evaluation.run().redacted(&self.redactor(admission.customer()))
    }
}

/// Says of a body that a rule left unread what it is: not an empty one.
fn name_unread_body(findings: &mut [Finding]) {
    for finding in findings.iter_mut().filter(|finding| finding.check == Check::Parameters) {
        finding.reason = "the body was not read: a rule answers before it".into();
        finding.hint = None;
        finding.decided_by = None;
    }
}

impl Evaluation<'_> {
    fn run(&self) -> Verdict {
        let mut effects = self.admission.effects.clone();
        if let Some(verdict) = self.answer_without_checks(&mut effects) {
            return verdict;
        }
        let is_unread = self.admission.upload() == Some(Upload::Unread);
        // What was not read cannot be malformed.
        let unread = Body::default();
        let judged = if is_unread { &unread } else { self.body };
        let headers = self.head.headers.as_ref();
        let faults = ServerFaults::of(headers, judged);
        if let Some(answer) = ServerAnswer::to(faults, self.policy, headers, judged) {
            return self.answer_as_server(&answer, faults, effects);
        }
        let evidence = self.evidence();
        let input = self.check_input(&evidence);
        let mut findings = checks::assess(&input);
        if is_unread {
            name_unread_body(&mut findings);
        }
        let matched = self.matched(&input, &findings);
        let similar = self.similar(input.photo());
        let asked = self.asked(self.facts(input.photo(), &similar), effects);
        let availability = Availability::Unlimited;
        let mut evaluated = Evaluated { asked, input, findings, matched, availability };
        let (decision, slot) = self.decide_and_charge(&mut evaluated);
        let Evaluated { findings, matched, .. } = evaluated;
        self.compose(decision, &input, (findings, &matched), slot, faults)
    }

    /// The answer of a rule that skips the checks, if one fires. What rules decided so far is added to `effects`.
    fn answer_without_checks(&self, effects: &mut RuleEffects) -> Option<Verdict> {
        let caller = self.admission.caller.as_ref().filter(|_| decision::may_skip_checks(&self.rules))?;
        let photo = self.photo();
        let similar = self.similar(photo.as_ref());
        let mut asked = self.asked(self.facts(photo.as_ref(), &similar), std::mem::take(effects));
        let mut state = caller.deciding().lock();
        asked.facts.now = self.engine.now_of(&state);
        let decision = decision::decide_without_checks(&mut state, &caller.customer, &mut asked);
        decision::commit(&state, decision.as_ref().map_or(&asked.changed, |decision| &decision.changed));
        drop(state);
        *effects = asked.effects;
        let mut decision = decision?;
        let answer = match &decision.reply {
            Reply::RawHttp(raw) => format!("status {}", raw.status),
            Reply::Code { code, .. } | Reply::Sample(code) => code.to_string(),
        };
        decision.reason = format!("{} answers {answer} without any check", self.head.customer_id);
        let through = AnsweredThrough::RuleWithoutChecks;
        Some(self.compose_without_checks(decision, photo.as_ref(), through, ServerFaults::default()))
    }

    /// The answer of the server, unless a rule replaces it.
    fn answer_as_server(&self, answer: &ServerAnswer, faults: ServerFaults, effects: RuleEffects) -> Verdict {
        let photo = self.photo();
        let similar = self.similar(photo.as_ref());
        let mut asked = self.asked(self.facts(photo.as_ref(), &similar), effects);
        let decision = match &self.admission.caller {
            Some(caller) => {
                let mut state = caller.deciding().lock();
                asked.facts.now = self.engine.now_of(&state);
                let per_day = caller.customer.per_day;
                let decision = decision::decide_as_server(&mut state, per_day, &asked, answer, &self.path());
                decision::commit(&state, &decision.changed);
                decision
            }
            None => {
                decision::decide_as_server(&mut CustomerState::default(), None, &asked, answer, &self.path())
            }
        };
        let through = match &decision.effects.reply {
            Some(_) => AnsweredThrough::Rule { outcome: None },
            None => AnsweredThrough::Server,
        };
        self.compose_without_checks(decision, photo.as_ref(), through, faults)
    }

    fn path(&self) -> Cow<'_, str> {
        let RequestHead { customer_id, path, .. } = self.head;
        match path {
            Some(path) => Cow::Borrowed(path),
            None => Cow::Owned(self.fixtures.path_of(customer_id, self.methode())),
        }
    }

    fn methode(&self) -> &str {
        let first = || self.admission.customer().and_then(|customer| customer.methode.first());
        self.head.methode.as_deref().or_else(|| first().map(String::as_str)).unwrap_or_default()
    }

    /// Opens what is encrypted and looks at the photo: the costly part.
    fn evidence(&self) -> Evidence<'_> {
        self.evidence_under(self.policy, self.body.text(Field::Image), self.timer)
    }

    fn evidence_under<'b>(
        &'b self,
        policy: &Policy,
        image: Option<&'b str>,
        timer: &StageTimer,
    ) -> Evidence<'b> {
        let customer = self.admission.customer();
        let key = customer.map_or_else(|| self.fixtures.keys.server(), |customer| &customer.key);
        let open = |field, expected| {
            let encrypted = EncryptedField {
                text: self.body.text(field),
                expected,
                mode: policy.base64,
                key,
                ring: &self.fixtures.keys,
            };
            timer.time(Stage::Decrypt, || self.engine.evidence.open(encrypted, &self.fixtures.limits))
        };
        let user_id = open(Field::UserId, customer.map(|customer| customer.account.user_id.as_str()));
        let password = open(Field::Password, customer.map(|customer| customer.account.password.as_str()));
        let owner_of_user_id = self.owner_of(&user_id, customer);
        let photo = image.map(|text| self.photo_of(text, policy, timer));
        Evidence { user_id, password, photo, owner_of_user_id }
    }

    fn photo(&self) -> Option<Photo<'_>> {
        Some(self.photo_of(self.body.text(Field::Image)?, self.policy, self.timer))
    }

    fn photo_of<'b>(&self, text: &'b str, policy: &Policy, timer: &StageTimer) -> Photo<'b> {
        timer.time(Stage::Image, || self.engine.evidence.photo(text, policy.base64, &self.fixtures.limits))
    }

    /// The customer whose account has this user_id, when it is not the caller's own.
    fn owner_of(&self, user_id: &Credential, customer: Option<&Customer>) -> Option<String> {
        let Credential::Opened { plain, .. } = user_id else { return None };
        if customer?.account.user_id == *plain {
            return None;
        }
        let all = self.engine.customers.customers(self.engine.clock.now());
        let mut owners = all.iter().filter(|other| other.account.user_id == *plain);
        // The shipped scripted customers share demo's account for convenience; they are not meant.
        let plain_one = owners.clone().find(|other| other.rules.is_empty() && other.extends.is_none());
        plain_one.or_else(|| owners.next()).map(|owner| owner.id.clone())
    }

    fn check_input<'a>(&'a self, evidence: &'a Evidence<'a>) -> CheckInput<'a> {
        let customer = self.admission.customer();
        CheckInput {
            body: self.body,
            customer_id: &self.head.customer_id,
            methode: self.methode(),
            customer,
            policy: self.policy,
            peer: self.head.peer,
            evidence,
            quota: QuotaView::default(),
            availability: None,
        }
    }

    /// Who reaches the request's threshold, unless a check failed.
    fn matched(&self, input: &CheckInput, findings: &[Finding]) -> Matched {
        match checks::first_failed(findings, &input.policy.precedence) {
            None => self.search(input.customer, input.photo()),
            Some(_) => Matched::default(),
        }
    }

    /// Who reaches the request's threshold; where there is none to read, who is the same person.
    fn search(&self, customer: Option<&Customer>, photo: Option<&Photo>) -> Matched {
        let (Some(customer), Some(photo)) = (customer, photo.filter(|photo| photo.is_fit())) else {
            return Matched::default();
        };
        self.timer.time(Stage::Match, || {
            let threshold = self.body.threshold().unwrap_or_else(|| f64::from(matcher::score::SAME_PERSON));
            let max_results = self.policy.max_results;
            let scope = self.scope(customer);
            let mut found = self.engine.matcher.find(&scope, photo, threshold, self.face(&scope, photo));
            let digest = photo.sha256.expect("a fit photo has a digest");
            let look_alikes = matcher::look_alikes(
                self.engine.seed(),
                &digest,
                customer.population,
                threshold,
                max_results,
            );
            look_alikes.iter().for_each(|stranger| found.record(&stranger.nik, stranger.score, None));
            found.matched(max_results)
        })
    }

    fn face(&self, scope: &SearchScope, photo: &Photo) -> &FaceLook {
        let ask = |settings: &Arc<FaceSettings>| self.engine.matcher.look(scope, photo, settings);
        self.face.get_or_init(|| self.fixtures.faces.as_ref().map(ask).unwrap_or_default())
    }

    fn scope<'a>(&'a self, customer: &'a Customer) -> SearchScope<'a> {
        SearchScope {
            customer_id: &customer.id,
            own: &customer.gallery,
            shared: customer.shared_gallery.then_some(&self.fixtures.gallery),
            perceptual: self.fixtures.perceptual,
        }
    }

    /// Everybody in the galleries whom the photo shows, where a rule asks for somebody.
    fn similar(&self, photo: Option<&Photo>) -> Vec<String> {
        let (Some(caller), Some(photo)) = (&self.admission.caller, photo.filter(|photo| photo.is_fit()))
        else {
            return Vec::new();
        };
        if !caller.rules.iter().any(|rule| rule.spec.when.image.similar_to.is_some()) {
            return Vec::new();
        }
        let same_person = f64::from(matcher::score::SAME_PERSON);
        let scope = self.scope(&caller.customer);
        self.engine.matcher.find(&scope, photo, same_person, self.face(&scope, photo)).niks()
    }

    /// What conditions are compared with, but the outcome.
    fn facts<'a>(&'a self, photo: Option<&'a Photo>, similar: &'a [String]) -> Facts<'a> {
        // The headers were cut when they came.
        let max_chars = self.fixtures.limits.condition_chars;
        let text = |field| self.body.text(field).map(|text| first_chars(text, max_chars));
        Facts {
            transaction_id: text(Field::TransactionId),
            transaction_source: text(Field::TransactionSource),
            ip: text(Field::Ip),
            threshold: self.body.threshold(),
            sha256: photo.and_then(|photo| photo.sha256.as_ref()),
            image_bytes: photo.filter(|photo| photo.sha256.is_some()).map(|photo| photo.bytes),
            similar,
            ..self.admission.head_facts(self.head)
        }
    }

    fn asked<'a>(&'a self, facts: Facts<'a>, effects: RuleEffects) -> Asked<'a> {
        Asked {
            rules: &self.rules,
            facts,
            draws: self.engine.draw_context(&self.head.customer_id, self.fixtures),
            effects,
            changed: Vec::new(),
        }
    }

    /// Decides under the customer's lock; then under that of the matcher's workers, so that who finds one free gets it.
    fn decide_and_charge<'a>(&self, evaluated: &mut Evaluated<'a>) -> (Decision<'a>, Option<Slot>) {
        let Some(caller) = &self.admission.caller else {
            return (decision::decide(&mut CustomerState::default(), evaluated), None);
        };
        let mut state = caller.deciding().lock();
        evaluated.asked.facts.now = self.engine.now_of(&state);
        let share = caller.pool.as_ref();
        let guard = share.map(|share| share.pool.lock());
        evaluated.availability = guard.as_ref().map_or(Availability::Unlimited, |guard| guard.availability());
        let decision = decision::decide(&mut state, evaluated);
        decision::commit(&state, &decision.changed);
        let slot = guard.filter(|_| decision.occupies_worker).zip(share);
        let slot = slot.and_then(|(guard, share)| guard.reserve(share.service_time));
        (decision, slot)
    }

    fn compose(
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
    fn compose_without_checks(
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

    fn http_answer(&self, decision: &Decision, policy: &Policy) -> (HttpAnswer, Option<Shape>) {
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

    fn echo(&self) -> Echo<'_> {
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
