//! Client of a user's face engine: asks it for the vector of a photo, while the caller waits, a bounded number at once.
//!
//! Callers hold no lock and are not I/O threads: a photo waits for the engine as long as its settings allow, or until the simulator stops. Vectors are cached by the
//! digest of the photo's file, so the same photo is not sent again. Failures are not cached.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::net::{TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock};
use std::thread;
use std::time::{Duration, Instant};

use http::Uri;
use parking_lot::{Condvar, Mutex, MutexGuard};
use schemars::JsonSchema;
use serde::Serialize;
use sha2::{Digest, Sha256};
use ureq::Agent;

use super::cache::Cache;
use crate::base::client_error::{ClientError, explained};
use crate::config::source;
use crate::domain::matcher::Picture;
use crate::domain::matcher::face::{FaceEngineId, FaceVector, PictureFace};
use crate::domain::matcher::face_engine::{FaceRequest, FaceSettings, MAX_ANSWER};
use crate::domain::pixels::{self, PhotoFormat};

/// Max photos that are asked about at once: an engine takes all cores for one.
pub const MAX_ASKING: usize = 8;
/// Max photos that wait for their turn; beyond it a request is answered at once.
pub const MAX_WAITING: usize = 32;

/// Max cached vectors, of 0.5 to 32 kB each.
const MAX_CACHED: usize = 1024;

/// Digests of the built-in pictures. An engine takes all drawings for one person, so it is not asked about them.
static DRAWINGS: LazyLock<HashSet<[u8; 32]>> = LazyLock::new(|| {
    let pictures = source::built_in().into_iter().filter(|(name, _)| !name.ends_with(".toml"));
    pictures.map(|(_, file)| Sha256::digest(&file.bytes).into()).collect()
});

/// Returns whether a file is a picture of the built-in gallery.
#[must_use]
pub fn is_drawing(sha256: &[u8; 32]) -> bool {
    DRAWINGS.contains(sha256)
}

/// A photo to ask about.
#[derive(Clone, Copy)]
pub struct FacePhoto<'a> {
    /// Of the file.
    pub sha256: [u8; 32],
    pub format: PhotoFormat,
    pub file: &'a [u8],
}

/// How the face engine is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum FaceEngineStatus {
    /// It was not asked yet.
    Unknown,
    /// It answered last time.
    Ok,
    /// It did not answer last time, or its answer could not be used.
    Failing,
}

/// How often the face engine was asked, by what came of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FaceEngineCounts {
    pub vectors: u64,
    /// Photos without a face.
    pub no_faces: u64,
    pub failures: u64,
}

/// Client of the face engine.
#[derive(Debug, Default)]
pub struct FaceEngine {
    vectors: Cache<(FaceEngineId, [u8; 32]), Option<FaceVector>>,
    queue: Arc<AskQueue>,
    /// One photo is turned at a time, because its pixels are in memory then.
    turning: Mutex<()>,
    /// One thread at a time asks about the pictures of the fixtures, so that none is asked about twice.
    learning: Mutex<()>,
    /// Threads that ask about all pictures of the fixtures, at work or to begin.
    learners: AtomicUsize,
    counts: [AtomicU64; 3],
    status: AtomicU8,
}

/// Photos that are asked about, and those that wait. The exchange with the engine is in a thread of its own, so that a simulator that
/// stops does not wait for it.
#[derive(Debug, Default)]
struct AskQueue {
    state: Mutex<AskState>,
    /// Wakes who waits: for a turn, or for an answer.
    changed: Condvar,
}

#[derive(Debug, Default)]
struct AskState {
    asking: usize,
    waiting: usize,
    is_stopped: bool,
    /// Number of the last question.
    last: u64,
    /// By question that somebody waits for: its answer, once it is there.
    answers: HashMap<u64, Option<AskAnswer>>,
}

/// HTTP status and body, or why there is none.
type AskAnswer = Result<(u16, Vec<u8>), String>;

impl FaceEngine {
    /// Returns the vector of the first face in a photo; `None` when it has none. Waits until `deadline`. `known`: a vector of this engine that
    /// the new one is to be compared with.
    ///
    /// # Errors
    /// Why there is no answer that can be used: a sentence that names the engine.
    pub fn vector(
        &self,
        settings: &FaceSettings,
        photo: FacePhoto,
        known: Option<&FaceVector>,
        deadline: Instant,
    ) -> Result<Option<FaceVector>, String> {
        let key = (settings.engine(), photo.sha256);
        if is_drawing(&photo.sha256) {
            return Ok(None);
        }
        let misfit = |vector: &Option<FaceVector>| vector.as_ref()?.cosine(known?).err();
        let cached = || self.vectors.get(&key).filter(|vector| misfit(vector).is_none());
        if let Some(vector) = cached() {
            return Ok(vector);
        }
        let answered = self.queue.turn(deadline).and_then(|turn| match cached() {
            // Another request has asked about the same photo meanwhile.
            Some(vector) => Ok(vector),
            None => self.ask(settings, photo, turn, deadline),
        });
        let answered = answered.and_then(|vector| misfit(&vector).map_or(Ok(vector), Err));
        match answered {
            Ok(vector) => {
                self.count(usize::from(vector.is_none()), FaceEngineStatus::Ok);
                self.vectors.insert(key, vector.clone(), MAX_CACHED);
                Ok(vector)
            }
            Err(reason) => {
                self.count(2, FaceEngineStatus::Failing);
                Err(sentence(settings, &reason))
            }
        }
    }

    /// Asks about a picture of a gallery, unless its face is known, within the time for one photo.
    ///
    /// # Errors
    /// Those of [`FaceEngine::vector`].
    pub fn learn(
        &self,
        settings: &FaceSettings,
        picture: &Picture,
        file: &[u8],
        known: Option<&FaceVector>,
    ) -> Result<(), String> {
        let engine = settings.engine();
        if picture.face(&engine).is_none() {
            let photo = FacePhoto { sha256: picture.sha256, format: picture.format, file };
            let deadline = Instant::now() + settings.timeout;
            let vector = self.vector(settings, photo, known, deadline)?;
            picture.set_face(PictureFace { engine, vector });
        }
        Ok(())
    }

    /// Waits for the turn to ask about pictures of the fixtures.
    pub fn turn_to_learn(&self) -> MutexGuard<'_, ()> {
        self.learning.lock()
    }

    /// The same, until `deadline`.
    #[must_use]
    pub fn turn_to_learn_until(&self, deadline: Instant) -> Option<MutexGuard<'_, ()>> {
        self.learning.try_lock_until(deadline)
    }

    /// A thread that asks about all pictures of the fixtures begins.
    pub fn learner_begins(&self) {
        self.learners.fetch_add(1, Ordering::Relaxed);
    }

    /// Such a thread has ended.
    pub fn learner_ended(&self) {
        self.learners.fetch_sub(1, Ordering::Relaxed);
    }

    /// Returns whether such a thread is at work.
    #[must_use]
    pub fn is_learning(&self) -> bool {
        self.learners.load(Ordering::Relaxed) > 0
    }

    /// Notes that vectors it gave cannot be compared.
    pub fn fails(&self) {
        self.status.store(FaceEngineStatus::Failing as u8, Ordering::Relaxed);
    }

    /// Returns whether something listens where the engine should be.
    ///
    /// # Errors
    /// A sentence that names the engine.
    pub fn reach(&self, settings: &FaceSettings) -> Result<(), String> {
        let uri: Option<Uri> = settings.url.parse().ok();
        let host = uri.as_ref().and_then(Uri::host).unwrap_or_default();
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let port = uri.as_ref().and_then(Uri::port_u16).unwrap_or(80);
        let addresses = (host, port).to_socket_addrs().into_iter().flatten();
        let mut connected = addresses.map(|address| TcpStream::connect_timeout(&address, settings.timeout));
        if connected.any(|connected| connected.is_ok()) {
            return Ok(());
        }
        self.fails();
        Err(sentence(settings, &ClientError::Unreachable.to_string()))
    }

    /// Returns how the engine is.
    #[must_use]
    pub fn status(&self) -> FaceEngineStatus {
        let all = [FaceEngineStatus::Unknown, FaceEngineStatus::Ok, FaceEngineStatus::Failing];
        all[usize::from(self.status.load(Ordering::Relaxed)).min(2)]
    }

    /// Returns how often the engine was asked.
    #[must_use]
    pub fn counts(&self) -> FaceEngineCounts {
        let [vectors, no_faces, failures] =
            [0, 1, 2].map(|index: usize| self.counts[index].load(Ordering::Relaxed));
        FaceEngineCounts { vectors, no_faces, failures }
    }

    fn count(&self, index: usize, status: FaceEngineStatus) {
        self.counts[index].fetch_add(1, Ordering::Relaxed);
        self.status.store(status as u8, Ordering::Relaxed);
    }

    /// Ends all asking: who waits for the engine gets an error, now and later.
    pub fn stop(&self) {
        self.queue.state.lock().is_stopped = true;
        self.queue.changed.notify_all();
    }

    /// Forgets the vectors of photos.
    pub fn forget(&self) {
        self.vectors.clear();
    }

    fn ask(
        &self,
        settings: &FaceSettings,
        photo: FacePhoto,
        turn: AskTurn,
        deadline: Instant,
    ) -> Result<Option<FaceVector>, String> {
        let (file, format) = self.upright(photo);
        let request = settings.request(&file, format);
        drop(file);
        let (status, answer) = turn.exchange(settings, request, deadline)?;
        settings.read(status, &answer)
    }

    /// Returns the file of a photo with the right side up: itself, or a JPEG where EXIF turns it.
    fn upright<'a>(&self, photo: FacePhoto<'a>) -> (Cow<'a, [u8]>, PhotoFormat) {
        if pixels::is_turned(photo.file, photo.format) {
            let _one_at_a_time = self.turning.lock();
            if let Some(turned) = pixels::turned(photo.file, photo.format) {
                return (turned.into(), PhotoFormat::Jpeg);
            }
        }
        (photo.file.into(), photo.format)
    }
}

impl AskQueue {
    /// Waits for a turn to ask, until `deadline`.
    fn turn(self: &Arc<Self>, deadline: Instant) -> Result<AskTurn, String> {
        let mut state = self.state.lock();
        if state.asking >= MAX_ASKING && state.waiting >= MAX_WAITING {
            return Err(format!("{} photos wait for it already", state.waiting));
        }
        state.waiting += 1;
        while state.asking >= MAX_ASKING && !state.is_stopped {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        state.waiting -= 1;
        if state.is_stopped {
            return Err(STOPPED.to_owned());
        }
        if state.asking >= MAX_ASKING {
            return Err(format!("no turn in time, with {} other photos", state.asking + state.waiting));
        }
        state.asking += 1;
        Ok(AskTurn(Arc::clone(self)))
    }
}

const STOPPED: &str = "not asked, because the simulator stops";

/// The right to ask the engine, given back on drop.
#[derive(Debug)]
struct AskTurn(Arc<AskQueue>);

impl AskTurn {
    /// Sends a request in a thread of its own, and waits for its answer.
    fn exchange(self, settings: &FaceSettings, request: FaceRequest, deadline: Instant) -> AskAnswer {
        let queue = Arc::clone(&self.0);
        let question = {
            let mut state = queue.state.lock();
            state.last += 1;
            let last = state.last;
            state.answers.insert(last, None);
            last
        };
        let (settings, late) = (settings.clone(), late(settings));
        let exchange = move || {
            let answer = exchange(&settings, &request, deadline);
            let mut state = self.0.state.lock();
            if let Some(waited_for) = state.answers.get_mut(&question) {
                *waited_for = Some(answer);
            }
        };
        let spawned = thread::Builder::new().name("frsim-face".to_owned()).spawn(exchange);
        let mut state = queue.state.lock();
        if let Err(error) = spawned {
            state.answers.remove(&question);
            return Err(format!("no thread can be started: {error}"));
        }
        let is_there = |state: &AskState| matches!(state.answers.get(&question), Some(Some(_)));
        while !is_there(&state) && !state.is_stopped {
            if queue.changed.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        let missing = if state.is_stopped { STOPPED.to_owned() } else { late };
        state.answers.remove(&question).flatten().unwrap_or(Err(missing))
    }
}

impl Drop for AskTurn {
    fn drop(&mut self) {
        self.0.state.lock().asking -= 1;
        self.0.changed.notify_all();
    }
}

/// Posts a request, and reads the answer.
fn exchange(settings: &FaceSettings, request: &FaceRequest, deadline: Instant) -> AskAnswer {
    let left = deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    let failed = |error, status| match explained(error, status) {
        ClientError::TimedOut => late(settings),
        other => other.to_string(),
    };
    let agent: Agent = Agent::config_builder()
        .http_status_as_error(false)
        .proxy(None)
        .max_redirects(0)
        // A kept connection may be closed by the engine when the next photo is sent.
        .max_idle_connections(0)
        .timeout_global(Some(left))
        .user_agent(concat!("dukcapil-fr-sim/", env!("CARGO_PKG_VERSION")))
        .build()
        .into();
    let post = agent.post(&settings.url).header("content-type", &request.content_type);
    let own = settings.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("content-type"));
    let post = own.fold(post, |post, (name, value)| post.header(name, value));
    let mut response = post.send(&request.body[..]).map_err(|error| failed(error, None))?;
    let status = response.status().as_u16();
    // One more, because the limit itself counts as beyond it.
    let answer = response.body_mut().with_config().limit(MAX_ANSWER + 1).read_to_vec();
    let answer = answer.map_err(|error| match error {
        ureq::Error::BodyExceedsLimit(_) => format!("its answer is longer than {MAX_ANSWER} bytes"),
        other => failed(other, Some(status)),
    })?;
    Ok((status, answer))
}

fn late(settings: &FaceSettings) -> String {
    format!("no whole answer within {}", humantime::format_duration(settings.timeout))
}

fn sentence(settings: &FaceSettings, reason: &str) -> String {
    format!("the face engine at {}: {reason}", settings.shown_url())
}
