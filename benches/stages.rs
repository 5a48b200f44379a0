//! What each stage of an answer takes, without sockets: `cargo bench --bench stages`. With `--stage NAME --times N` one stage is done
//! so often and nothing is measured, for a profiler, with the key of `--keys DIRECTORY`. Without a name every stage
//! is; each prints its name. `.ci/counts` learns the names by `--times 0`, and counts the instructions of each.

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dukcapil_fr_sim::config::{self, Fixtures};
use dukcapil_fr_sim::domain::answer::{AnswerOverrides, Echo, compose};
use dukcapil_fr_sim::domain::evidence::{Photo, credential};
use dukcapil_fr_sim::domain::limits::Limits;
use dukcapil_fr_sim::domain::matcher::Gallery;
use dukcapil_fr_sim::domain::policy::{Policy, PolicySpec};
use dukcapil_fr_sim::domain::quota::QuotaView;
use dukcapil_fr_sim::domain::rules::{Counting, DrawContext, Facts, RuleEffects, Scenario};
use dukcapil_fr_sim::engine::{Engine, EngineSettings, RequestHead};
use dukcapil_fr_sim::keys::{self, KeyRing, PrivateKey};
use dukcapil_fr_sim::protocol::encoding::{Base64Mode, encode};
use dukcapil_fr_sim::protocol::{Body, Candidate, Code};
use dukcapil_fr_sim::state::clock::{Clock, ClockStart};
use dukcapil_fr_sim::state::evidence_cache::{EncryptedField, EvidenceCache};
use dukcapil_fr_sim::state::face_matcher::{FaceMatcher, SearchScope};
use dukcapil_fr_sim::state::journal::Journal;
use serde_json::json;

const IMAGE_BYTES: usize = 100_000;
const MODE: Base64Mode = Base64Mode::Strict;

/// What the stages work on.
struct Desk {
    body: Vec<u8>,
    image: String,
    sealed: String,
    ring: KeyRing,
    limits: Limits,
    memory: EvidenceCache,
    matcher: FaceMatcher,
    photo: Photo<'static>,
    fixtures: Arc<Fixtures>,
    engine: Engine,
}

/// A stage's name, what it is, and one turn of it.
type Work = (&'static str, &'static str, fn(&Desk));

const STAGES: [Work; 9] = [
    ("decode", "the body, JSON of 134 kB", |desk| {
        black_box(Body::decode(&desk.body).text(dukcapil_fr_sim::protocol::Field::Image));
    }),
    ("decrypt", "one ciphertext, RSA 2048", |desk| {
        black_box(credential::open(
            Some(&desk.sealed),
            Some("demo-user"),
            MODE,
            desk.ring.server(),
            &desk.ring,
        ));
    }),
    ("known-ciphertext", "one that was opened before", |desk| {
        let (text, expected) = (Some(&*desk.sealed), Some("demo-user"));
        let sealed = EncryptedField { text, expected, mode: MODE, key: desk.ring.server(), ring: &desk.ring };
        black_box(desk.memory.open(sealed, &desk.limits));
    }),
    ("photo", "base64, SHA-256 and header of 100 kB", |desk| {
        black_box(Photo::read(&desk.image, MODE, &desk.limits).sha256);
    }),
    ("known-photo", "one that was seen before", |desk| {
        black_box(desk.memory.photo(&desk.image, MODE, &desk.limits).sha256);
    }),
    ("match", "who is on a known photo, shipped gallery", |desk| {
        let own = Gallery::default();
        let shared = Some(&desk.fixtures.gallery);
        let scope = SearchScope { customer_id: "bench", own: &own, shared, perceptual: true };
        black_box(desk.matcher.find(&scope, &desk.photo, 7.0).candidates(10));
    }),
    ("rules", "all shipped customers' rules, tried in turn", |desk| {
        let rules: Vec<_> = desk.fixtures.customers.values().flat_map(|customer| &customer.rules).collect();
        let facts =
            Facts { transaction_id: Some("T-1"), threshold: Some(7.0), ordinal: 1, ..Facts::default() };
        for rule in rules {
            let stage =
                DrawContext { seed: 0, customer_id: "bench", max_counters: 1000, counting: Counting::Look };
            let mut decided = RuleEffects::default();
            Scenario::default().decide(&[rule], &facts, stage, &mut decided);
            black_box(decided);
        }
    }),
    ("render", "an answer with one candidate", |_| {
        let candidates = vec![Candidate { nik: "3174055708909001".to_owned(), score: 14.5 }];
        let echo = Echo { transaction_id: Some("T-1"), threshold: Some(7.0) };
        let policy = Policy::default();
        let answer = compose(
            &Code::FOUND,
            echo,
            &policy,
            QuotaView::default(),
            candidates,
            AnswerOverrides::default(),
        );
        black_box(answer.render(policy.layout));
    }),
    ("answer", "all of it, of a request that was seen before", |desk| {
        black_box(desk.engine.explain(&desk.head(), &desk.body).code);
    }),
];

fn main() {
    let desk = Desk::new();
    // What is remembered is seen before.
    STAGES.iter().for_each(|(_, _, work)| work(&desk));
    match (argument("--stage"), argument("--times").and_then(|times| times.parse::<u64>().ok())) {
        (only, Some(times)) => {
            for (name, _, work) in
                STAGES.iter().filter(|(name, ..)| only.as_deref().is_none_or(|only| only == *name))
            {
                println!("{name}");
                (0..times).for_each(|_| one_turn(*work, &desk));
            }
        }
        _ => STAGES.iter().for_each(|(name, what, work)| {
            println!("{name:<17} {what:<46} {:>10.2} us", best(|| work(&desk)).as_secs_f64() * 1e6);
        }),
    }
}

/// A function of its own, so that a profiler can tell it from what is around it.
#[inline(never)]
fn one_turn(work: fn(&Desk), desk: &Desk) {
    work(desk);
    // Not a tail call, which would leave this function before the work.
    black_box(());
}

/// The value of an option; cargo adds `--bench`.
fn argument(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

/// That of `--keys DIRECTORY`, made there when there is none; else a new one.
fn key() -> PrivateKey {
    match argument("--keys") {
        Some(directory) => keys::read_or_generate(directory.as_ref(), 2048).expect("a key").0,
        None => PrivateKey::generate("bench", 2048).expect("a key"),
    }
}

/// The best of many rounds: what else the machine does only ever adds.
fn best(work: impl Fn()) -> Duration {
    const TURNS: u32 = 20;
    let round = || {
        let started = Instant::now();
        (0..TURNS).for_each(|_| work());
        started.elapsed() / TURNS
    };
    (0..50).map(|_| round()).min().unwrap_or_default()
}

impl Desk {
    fn new() -> Desk {
        let ring = KeyRing::new(key(), None);
        let public = keys::read_public_pem(ring.server().public_pem()).expect("its public half");
        let seal = |text: &str| encode(&keys::encrypt(&public, text.as_bytes()).expect("a ciphertext"));
        let mut file = include_bytes!("../fixtures/gallery/siti.jpg").to_vec();
        file.resize(IMAGE_BYTES, 7);
        let (image, sealed) = (encode(&file), seal("demo-user"));
        let body = json!({
            "transactionId": "T-1", "transactionSource": "bench", "threshold": "7", "image": image,
            "user_id": sealed, "password": seal("demo-password"), "ip": "10.0.0.1",
        });
        let limits = Limits::default();
        let fixtures =
            config::load(None, ring.clone(), &PolicySpec::default()).expect("the shipped fixtures");
        let journal = Journal::new(1 << 20, None).expect("a journal");
        let clock = Clock::new("2026-11-21T10:00:00+07:00".parse::<ClockStart>().expect("an instant"));
        let engine = Engine::new(fixtures, clock, journal, EngineSettings::default());
        Desk {
            body: body.to_string().into_bytes(),
            photo: Photo::of_file(file, &limits),
            fixtures: engine.fixtures(),
            memory: EvidenceCache::default(),
            matcher: FaceMatcher::new(0),
            image,
            sealed,
            ring,
            limits,
            engine,
        }
    }

    fn head(&self) -> RequestHead {
        RequestHead {
            customer_id: "load".to_owned(),
            methode: None,
            peer: None,
            connection: 1,
            headers: None,
        }
    }
}
