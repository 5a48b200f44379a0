//! Time of each stage of an answer, without sockets: `cargo bench --bench stages`. With `--stage NAME --times N` it runs one stage N
//! times and measures nothing, for a profiler, with the key of `--keys DIRECTORY`. Without a name it runs every stage. Each
//! stage prints its name: `.ci/counts` lists the names with `--times 0`, and counts the instructions of each.

#[path = "endpoint/drawing.rs"]
mod drawing;
#[path = "endpoint/jpeg/mod.rs"]
mod jpeg;

use std::hint::black_box;
use std::io::Cursor;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use dukcapil_fr_sim::internals::config::{self, Fixtures, StartPolicy};
use dukcapil_fr_sim::internals::domain::answer::{AnswerContent, AnswerOverrides, Echo, compose};
use dukcapil_fr_sim::internals::domain::evidence::{Photo, PhotoFormat, credential};
use dukcapil_fr_sim::internals::domain::limits::Limits;
use dukcapil_fr_sim::internals::domain::matcher::{FaceLook, Gallery, decode_small};
use dukcapil_fr_sim::internals::domain::policy::Policy;
use dukcapil_fr_sim::internals::domain::quota::QuotaView;
use dukcapil_fr_sim::internals::domain::rules::{DrawContext, Facts, RuleEffects, Scenario};
use dukcapil_fr_sim::internals::engine::{Engine, EngineSettings, RequestHead};
use dukcapil_fr_sim::internals::keys::{self, KeyRing, PrivateKey};
use dukcapil_fr_sim::internals::protocol::encoding::{Base64Mode, encode};
use dukcapil_fr_sim::internals::protocol::{Body, Candidate, Code};
use dukcapil_fr_sim::internals::state::clock::{Clock, ClockStart};
use dukcapil_fr_sim::internals::state::evidence_cache::{EncryptedField, EvidenceCache};
use dukcapil_fr_sim::internals::state::face_matcher::{FaceMatcher, SearchScope};
use dukcapil_fr_sim::internals::state::journal::Journal;
use image::ImageFormat;
use jpeg::Mode;
use serde_json::json;

const IMAGE_BYTES: usize = 100_000;
const MODE: Base64Mode = Base64Mode::Strict;

/// Inputs of the stages.
struct Inputs {
    body: Vec<u8>,
    image: String,
    sealed: String,
    ring: KeyRing,
    limits: Limits,
    cache: EvidenceCache,
    matcher: FaceMatcher,
    photo: Photo<'static>,
    fixtures: Arc<Fixtures>,
    engine: Engine,
}

/// A stage: its name, its description, and one iteration of it.
type Work = (&'static str, &'static str, fn(&Inputs));

const STAGES: [Work; 12] = [
    ("decode", "parse the body, JSON of 134 kB", |inputs| {
        black_box(Body::decode(&inputs.body).text(dukcapil_fr_sim::internals::protocol::Field::Image));
    }),
    ("decrypt", "decrypt a ciphertext, RSA 2048", |inputs| {
        black_box(credential::open(
            Some(&inputs.sealed),
            Some("demo-user"),
            MODE,
            inputs.ring.server(),
            &inputs.ring,
            &keys::Unlimited,
        ));
    }),
    ("known-ciphertext", "cached ciphertext", |inputs| {
        let (text, expected) = (Some(&*inputs.sealed), Some("demo-user"));
        let sealed =
            EncryptedField { text, expected, mode: MODE, key: inputs.ring.server(), ring: &inputs.ring };
        black_box(inputs.cache.open(sealed, &inputs.limits));
    }),
    ("photo", "base64, SHA-256 and header of 100 kB", |inputs| {
        black_box(Photo::read(&inputs.image, MODE, &inputs.limits).sha256);
    }),
    ("known-photo", "cached photo", |inputs| {
        black_box(inputs.cache.photo(&inputs.image, MODE, &inputs.limits).sha256);
    }),
    ("jpeg", "pixels of a new JPEG, 640 x 800, 100 kB", |_| pixels(&JPEG, PhotoFormat::Jpeg)),
    ("progressive", "the same picture, progressive", |_| pixels(&PROGRESSIVE, PhotoFormat::Jpeg)),
    ("png", "pixels of a new PNG, 400 x 500, 350 kB", |_| pixels(&PNG, PhotoFormat::Png)),
    ("match", "match a cached photo, shipped gallery", |inputs| {
        let own = Gallery::default();
        let shared = Some(&inputs.fixtures.gallery);
        let scope = SearchScope { customer_id: "bench", own: &own, shared, perceptual: true };
        black_box(inputs.matcher.find(&scope, &inputs.photo, 7.0, &FaceLook::NotAsked).candidates(10));
    }),
    ("rules", "all shipped customers' rules, tried in turn", |inputs| {
        let rules: Vec<_> = inputs.fixtures.customers.values().flat_map(|customer| &customer.rules).collect();
        let facts =
            Facts { transaction_id: Some("T-1"), threshold: Some(7.0), ordinal: 1, ..Facts::default() };
        for rule in rules {
            let context = DrawContext { seed: 0, customer_id: "bench", max_counters: 1000 };
            let mut effects = RuleEffects::default();
            black_box(Scenario::default().decide(std::iter::once(&**rule), &facts, context, &mut effects));
            black_box(effects);
        }
    }),
    ("render", "an answer with one candidate", |_| {
        let candidates = vec![Candidate { nik: "3174055708909001".to_owned(), score: 14.5, by: None }];
        let content = AnswerContent {
            code: &Code::FOUND,
            echo: Echo { transaction_id: Some("T-1"), threshold: Some(7.0), threshold_as_written: Some("7") },
            quota: QuotaView::default(),
            candidates,
            overrides: AnswerOverrides::default(),
        };
        let policy = Policy::default();
        let answer = compose(content, &policy);
        black_box(answer.render(policy.layout));
    }),
    ("answer", "whole evaluation, everything cached", |inputs| {
        black_box(inputs.engine.explain(&inputs.head(), &inputs.body).code);
    }),
];

/// New photos. They are drawn only for the stages that need them, which takes a while in an emulator.
static JPEG: LazyLock<Vec<u8>> =
    LazyLock::new(|| jpeg::encode(&drawing::draw(640, 800, 0), 90, Mode::Baseline));
static PROGRESSIVE: LazyLock<Vec<u8>> =
    LazyLock::new(|| jpeg::encode(&drawing::draw(640, 800, 0), 90, Mode::Progressive));
static PNG: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut out = Cursor::new(Vec::new());
    drawing::draw(400, 500, 0).write_to(&mut out, ImageFormat::Png).expect("a PNG");
    out.into_inner()
});

fn pixels(file: &[u8], format: PhotoFormat) {
    black_box(decode_small(file, format).expect("a photo"));
}

fn main() {
    let inputs = Inputs::new();
    let only = argument("--stage");
    let is_wanted = |name: &str| only.as_deref().is_none_or(|only| only == name);
    let is_counted = argument("--times").as_deref() != Some("0");
    // Warms the caches.
    STAGES.iter().filter(|(name, ..)| is_counted && is_wanted(name)).for_each(|(_, _, work)| work(&inputs));
    match argument("--times").and_then(|times| times.parse::<u64>().ok()) {
        Some(times) => {
            for (name, _, work) in STAGES.iter().filter(|(name, ..)| is_wanted(name)) {
                println!("{name}");
                (0..times).for_each(|_| one_turn(*work, &inputs));
            }
        }
        None => STAGES.iter().for_each(|(name, what, work)| {
            println!("{name:<17} {what:<46} {:>10.2} us", best(|| work(&inputs)).as_secs_f64() * 1e6);
        }),
    }
}

/// Runs one iteration. A separate function, so that a profiler can distinguish it.
#[inline(never)]
fn one_turn(work: fn(&Inputs), inputs: &Inputs) {
    work(inputs);
    // Prevents a tail call, which would leave this function before the work.
    black_box(());
}

/// Returns the value of an option. Ignores the `--bench` that cargo adds.
fn argument(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

/// Returns the key of `--keys DIRECTORY`, generated there if missing; without the option, a new key.
fn key() -> PrivateKey {
    match argument("--keys") {
        Some(directory) => keys::read_or_generate(directory.as_ref(), 2048).expect("a key").0,
        None => PrivateKey::generate("bench", 2048).expect("a key"),
    }
}

/// Returns the best of many rounds: other work on the machine only adds time.
fn best(work: impl Fn()) -> Duration {
    const ITERATIONS: u32 = 20;
    let round = || {
        let started = Instant::now();
        (0..ITERATIONS).for_each(|_| work());
        started.elapsed() / ITERATIONS
    };
    (0..50).map(|_| round()).min().unwrap_or_default()
}

impl Inputs {
    fn new() -> Inputs {
        let ring = KeyRing::new(key(), None);
        let public = keys::read_public_pem(ring.server().public_pem()).expect("its public half");
        let encrypt = |text: &str| encode(&keys::encrypt(&public, text.as_bytes()).expect("a ciphertext"));
        let mut file = include_bytes!("../fixtures/gallery/siti.jpg").to_vec();
        file.resize(IMAGE_BYTES, 7);
        let (image, sealed) = (encode(&file), encrypt("demo-user"));
        let body = json!({
            "transactionId": "T-1", "transactionSource": "bench", "threshold": "7", "image": image,
            "user_id": sealed, "password": encrypt("demo-password"), "ip": "10.0.0.1",
        });
        let limits = Limits::default();
        let fixtures =
            config::load(None, ring.clone(), &StartPolicy::default()).expect("the shipped fixtures");
        let journal = Journal::new(1 << 20, None).expect("a journal");
        let clock = Clock::new("2026-11-21T10:00:00+07:00".parse::<ClockStart>().expect("an instant"));
        let engine = Engine::new(fixtures, clock, journal, EngineSettings::default());
        Inputs {
            body: body.to_string().into_bytes(),
            photo: Photo::of_file(file, &limits),
            fixtures: engine.fixtures(),
            cache: EvidenceCache::default(),
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
            path: None,
            peer: None,
            connection: 1,
            headers: None,
        }
    }
}
