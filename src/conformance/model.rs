//! The simulator as the model of an endpoint: what it would answer to a call under a policy, decided in process by the engine's own steps,
//! without a socket, a clock that matters or a state that remains.

use std::time::Duration;

use serde_json::{Value, json};

use super::answer::{KeptAnswer, masked};
use super::call_spec::{
    Alteration, CallHttp, CallPath, CallSpec, Subject, UNKNOWN_CUSTOMER, made_up_account,
};
use super::comparable::{Comparable, comparable};
use super::pictures::{TestImage, TestPictures};
use super::raw_client::AnswerFraming;
use super::recording::answer_mask::AnswerMask;
use super::recording::comparison;
use super::recording::request::{Credentials, MatcherScript, RecordedForm};
use crate::config::{self, StartPolicy};
use crate::domain::checks::{Finding, Status};
use crate::domain::http_answer::Persistence;
use crate::domain::policy::{Check, Policy};
use crate::domain::warnings::Headers;
use crate::engine::{Engine, EngineSettings, RequestHead};
use crate::keys::{self, KeyRing, PrivateKey};
use crate::state::clock::{Clock, ClockStart};
use crate::state::customers::CustomerInput;
use crate::state::journal::Journal;

/// An endpoint with one customer.
#[derive(Debug)]
pub struct Model {
    engine: Engine,
    subject: Subject,
    credentials: Credentials,
}

/// What is not policy, and not known of the customer of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct World {
    /// Any address may call.
    pub any_ip: bool,
    /// Today's quota is used up.
    pub exhausted: bool,
}

/// A call as the model gets it.
#[derive(Clone, Debug)]
pub struct ModelCall {
    head: RequestHead,
    body: Vec<u8>,
    /// Whether the customer_id is the customer's own.
    pub is_own: bool,
    /// Of a call of a recording.
    recorded: Option<RecordedCallPart>,
}

/// How a call of a recording is answered and compared.
#[derive(Clone, Debug)]
struct RecordedCallPart {
    transaction_id: Option<String>,
    keeps_area: bool,
    script: Option<MatcherScript>,
}

/// What the simulator would answer.
#[derive(Clone, Debug)]
pub struct ModelAnswer {
    pub comparable: Comparable,
    /// Status line and header fields.
    pub head: Vec<String>,
    /// The failed checks, with their codes.
    pub failed: Vec<(Check, String)>,
    pub charged: bool,
}

const USER_ID: &str = "conformance-user";
const PASSWORD: &str = "conformance-password";
const IP: &str = "10.0.0.1";
/// Of no more digits than a recording keeps of quotaLimiter. Nothing that is asked of the model is charged.
const PER_DAY: u64 = 10_000_000;

impl ModelCall {
    /// Equal for calls that get equal answers.
    #[must_use]
    pub fn key(&self) -> String {
        let RequestHead { customer_id, methode, headers, .. } = &self.head;
        let headers = headers.as_ref().map(|headers| &headers.all);
        let script = self.recorded.as_ref().and_then(|recorded| recorded.script.as_ref());
        format!("{customer_id} {methode:?} {headers:?} {script:?} {}", String::from_utf8_lossy(&self.body))
    }
}

impl World {
    fn customer_id(self) -> &'static str {
        match (self.any_ip, self.exhausted) {
            (false, false) => "conformance",
            (true, false) => "conformance-any",
            (false, true) => "conformance-out",
            (true, true) => "conformance-any-out",
        }
    }

    const ALL: [World; 4] = [
        World { any_ip: false, exhausted: false },
        World { any_ip: true, exhausted: false },
        World { any_ip: false, exhausted: true },
        World { any_ip: true, exhausted: true },
    ];
}

impl Model {
    /// Builds the model, with a key of its own.
    ///
    /// # Errors
    /// The built-in fixtures cannot be loaded, which would be a mistake of this program.
    pub fn new() -> Result<Model, String> {
        let key = PrivateKey::generate("the model's key", 1024)?;
        let public = keys::read_public_pem(key.public_pem())?;
        let ring = KeyRing::new(key, None);
        let mut fixtures = config::load(None, ring, &StartPolicy::default())
            .map_err(|problems| config::Problem::list(&problems))?;
        // Why something does not open is not asked.
        fixtures.limits.diagnosis.0 = Duration::ZERO;
        let journal = Journal::new(0, None).map_err(|error| error.to_string())?;
        let engine =
            Engine::new(fixtures, Clock::new(ClockStart::System), journal, EngineSettings::default());
        let subject = Subject {
            customer_id: World::default().customer_id().to_owned(),
            methode: "CALL_FN".to_owned(),
            ip: IP.to_owned(),
            user_id: USER_ID.to_owned(),
            password: PASSWORD.to_owned(),
            key: public,
            prefix: "/api/face-recognition".to_owned(),
            pictures: TestPictures::small(),
            made_up: made_up_account(),
        };
        let credentials = Credentials::of(&subject)?;
        let model = Model { engine, subject, credentials };
        for world in World::ALL {
            let mut customer = json!({
                "account": { "user_id": USER_ID, "password": PASSWORD },
                "quota": { "per_day": if world.exhausted { 0 } else { PER_DAY } },
            });
            if !world.any_ip {
                customer["access"] = json!({ "allow": [IP] });
            }
            model.put(world.customer_id(), customer)?;
        }
        for script in MatcherScript::all() {
            let account = json!({ "user_id": USER_ID, "password": PASSWORD });
            model.put(&script.customer_id(), json!({ "account": account, "rules": script.rules() }))?;
        }
        Ok(model)
    }

    fn put(&self, id: &str, customer: Value) -> Result<(), String> {
        let input = CustomerInput::read(customer).map_err(|misread| misread.message)?;
        self.engine.put_customer(&id.parse()?, input).map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Builds a call of the model's customer; `None` for one that the engine does not decide: another method, another path, and
    /// photos of which it does not know what they show.
    #[must_use]
    pub fn call(&self, spec: &CallSpec, transaction_id: &str) -> Option<ModelCall> {
        let shows_somebody =
            |one: &Alteration| matches!(one, Alteration::Image(TestImage::Blank | TestImage::Face));
        if spec.http == CallHttp::Get || spec.path == CallPath::Slash || spec.but.iter().any(shows_somebody) {
            return None;
        }
        let built = spec.build(&self.subject, transaction_id).ok()?;
        let all =
            built.headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let head = RequestHead {
            customer_id: built.route.0,
            methode: Some(built.route.1),
            path: Some(built.path),
            peer: None,
            connection: 0,
            headers: Some(Headers { all, ..Headers::default() }),
        };
        let is_own = head.customer_id == self.subject.customer_id;
        Some(ModelCall { is_own, head, body: built.body, recorded: None })
    }

    /// Builds a call of a recording; `None` for one that the engine does not decide, or of which too little is known.
    #[must_use]
    pub fn recorded(&self, form: &RecordedForm) -> Option<ModelCall> {
        let request = form.request(&self.subject, &self.credentials)?;
        let customer_id = if form.is_own { &self.subject.customer_id } else { UNKNOWN_CUSTOMER };
        let head = RequestHead {
            customer_id: customer_id.to_owned(),
            methode: Some(request.methode),
            path: None,
            peer: None,
            connection: 0,
            headers: Some(Headers { all: request.headers, ..Headers::default() }),
        };
        let recorded = RecordedCallPart {
            transaction_id: request.transaction_id,
            keeps_area: form.keeps_area,
            script: form.script.clone(),
        };
        Some(ModelCall { head, body: request.body, is_own: form.is_own, recorded: Some(recorded) })
    }

    /// Decides a call under a policy.
    #[must_use]
    pub fn answer(&self, policy: &Policy, world: World, call: &ModelCall) -> ModelAnswer {
        let mut head = call.head.clone();
        if call.is_own {
            head.customer_id = world.customer_id().to_owned();
        }
        let recorded = call.recorded.as_ref();
        let script = recorded.and_then(|recorded| recorded.script.as_ref());
        let own = self.engine.explain_under(Some(policy), &head, &call.body);
        let fails = |finding: &Finding| finding.status == Status::Failed;
        let reaches_matcher = !own.findings.is_empty() && !own.findings.iter().any(fails);
        let scripted = script.filter(|script| script.is_for_any() || reaches_matcher);
        let verdict = match scripted {
            Some(script) => {
                head.customer_id = script.customer_id();
                self.engine.explain_under(Some(policy), &head, &call.body)
            }
            None => own,
        };
        let bytes = verdict.http.render(Persistence::KeepAlive, false);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let body = match recorded {
            None => masked(&String::from_utf8_lossy(&verdict.http.body)),
            Some(recorded) => {
                let mask = AnswerMask {
                    transaction_id: recorded.transaction_id.as_deref(),
                    keeps_area: recorded.keeps_area,
                };
                mask.body(&verdict.http.body).unwrap_or_default()
            }
        };
        let answer = KeptAnswer {
            status: verdict.http.status,
            head: head.lines().map(str::to_owned).collect(),
            framing: if is_chunked { AnswerFraming::Chunked } else { AnswerFraming::ContentLength },
            body,
            first_byte_ms: 0,
            last_byte_ms: 0,
            stays_open: true,
        };
        let failed = verdict.findings.iter().filter(|finding| fails(finding) && scripted.is_none());
        let failed = failed.filter_map(|finding| Some((finding.check, finding.code.as_ref()?.to_string())));
        ModelAnswer {
            comparable: recorded.map_or_else(|| comparable(&answer), |_| comparison::comparable_of(&answer)),
            failed: failed.collect(),
            charged: verdict.charged,
            head: answer.head,
        }
    }
}
