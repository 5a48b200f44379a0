//! The simulator as the model of an endpoint: what it would answer to a call under a policy, decided in process by the engine's own steps,
//! without a socket, a clock that matters or a state that remains.

use std::time::Duration;

use serde_json::json;

use super::answer::{Comparable, KeptAnswer, comparable, masked};
use super::call_spec::{Alteration, CallHttp, CallPath, CallSpec, Subject, made_up_account};
use super::pictures::{TestImage, TestPictures};
use super::raw_client::AnswerFraming;
use crate::config::{self, StartPolicy};
use crate::domain::checks::Status;
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
#[derive(Debug)]
pub struct ModelCall {
    head: RequestHead,
    body: Vec<u8>,
    /// Whether the customer_id is the customer's own.
    pub is_own: bool,
}

/// What the simulator would answer.
#[derive(Clone, Debug)]
pub struct ModelAnswer {
    pub comparable: Comparable,
    /// The failed checks, with their codes.
    pub failed: Vec<(Check, String)>,
    pub charged: bool,
}

const USER_ID: &str = "conformance-user";
const PASSWORD: &str = "conformance-password";
const IP: &str = "10.0.0.1";

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
        for world in World::ALL {
            let mut customer = json!({
                "account": { "user_id": USER_ID, "password": PASSWORD },
                "quota": { "per_day": if world.exhausted { 0 } else { 1_000_000_000u64 } },
            });
            if !world.any_ip {
                customer["access"] = json!({ "allow": [IP] });
            }
            let input = CustomerInput::read(customer).map_err(|misread| misread.message)?;
            let id = world.customer_id().parse()?;
            engine.put_customer(&id, input).map_err(|error| error.to_string())?;
        }
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
        Ok(Model { engine, subject })
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
        Some(ModelCall { is_own: head.customer_id == self.subject.customer_id, head, body: built.body })
    }

    /// Decides a call under a policy.
    #[must_use]
    pub fn answer(&self, policy: &Policy, world: World, call: &ModelCall) -> ModelAnswer {
        let mut head = call.head.clone();
        if call.is_own {
            head.customer_id = world.customer_id().to_owned();
        }
        let verdict = self.engine.explain_under(Some(policy), &head, &call.body);
        let bytes = verdict.http.render(Persistence::KeepAlive, false);
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(bytes.len());
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let is_chunked = head.to_ascii_lowercase().contains("transfer-encoding: chunked");
        let answer = KeptAnswer {
            status: verdict.http.status,
            head: head.lines().map(str::to_owned).collect(),
            framing: if is_chunked { AnswerFraming::Chunked } else { AnswerFraming::ContentLength },
            body: masked(&String::from_utf8_lossy(&verdict.http.body)),
            first_byte_ms: 0,
            last_byte_ms: 0,
            stays_open: true,
        };
        let failed = verdict.findings.iter().filter(|finding| finding.status == Status::Failed);
        let failed = failed.filter_map(|finding| Some((finding.check, finding.code.as_ref()?.to_string())));
        ModelAnswer { comparable: comparable(&answer), failed: failed.collect(), charged: verdict.charged }
    }
}
