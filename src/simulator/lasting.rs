//! Opens the store of a simulator, and connects it with the engine.

use std::path::Path;
use std::sync::Arc;

use super::error::StartError;
use crate::base::hash::{self, hex};
use crate::config;
use crate::engine::Engine;
use crate::engine::shared::Replica;
use crate::state::clock::ClockStart;
use crate::state::observer::Observer;
use crate::state::store::redis::{self, SharedAddress, SharedHistory};
use crate::state::store::{OpenStore, StoreError, StoreIdentity, StoreTesting, StoreWriter};

/// Returns whether a file is directly in a directory.
fn is_in(path: &Path, directory: Option<&Path>) -> bool {
    let parent =
        path.parent().map(|parent| if parent.as_os_str().is_empty() { Path::new(".") } else { parent });
    let canonical = |path: &Path| path.canonicalize().ok();
    parent.and_then(canonical).is_some_and(|parent| directory.and_then(canonical) == Some(parent))
}

/// Returns what the store of an engine belongs to.
fn identity(engine: &Engine, fixtures: Option<&Path>) -> Result<StoreIdentity, StartError> {
    Ok(StoreIdentity {
        seed: engine.seed(),
        key: hex(engine.fixtures().keys.server().fingerprint()),
        fixtures: config::digest(fixtures).map_err(|problem| StartError::Fixtures(vec![problem]))?,
    })
}

/// Least bytes of the history at the server: a replica that was away for a moment finds what it missed.
const LEAST_HISTORY: usize = 8 << 20;

/// Opens a store that replicas share, and connects the engine with it. `options`: those that change answers. The journal has `journal_bytes` in memory.
///
/// # Errors
/// Why the store cannot be used.
pub(super) fn open_shared(
    address: SharedAddress,
    engine: &mut Engine,
    fixtures: Option<&Path>,
    options: &str,
    journal_bytes: usize,
) -> Result<(SharedHistory, Vec<String>), StartError> {
    let identity = identity(engine, fixtures)?;
    let options = hex(&hash::digest(options.as_bytes()));
    let max_bytes = journal_bytes.saturating_mul(2).max(LEAST_HISTORY);
    let opened = redis::open(address, identity, options, engine.initial_state(), max_bytes);
    let (history, warning) = opened.map_err(|(error, is_unreachable)| match is_unreachable {
        true => StartError::StoreUnreachable(error),
        false => error.into(),
    })?;
    engine.hand_over_to(history.store());
    Ok((history, warning.into_iter().collect()))
}

/// Says what is not as it was, and follows the history from now on. On return everything in it is applied.
///
/// # Errors
/// Why the store cannot be used.
pub(super) fn start_shared(
    (history, mut messages): (SharedHistory, Vec<String>),
    engine: &Arc<Engine>,
    clock: ClockStart,
    observer: &Arc<dyn Observer>,
) -> Result<SharedHistory, StartError> {
    // Weak: the engine has the store.
    let replica = Replica { engine: Arc::downgrade(engine), observer: Arc::clone(observer) };
    let history = history.start(Box::new(replica))?;
    if clock != ClockStart::System && clock != engine.clock.start() {
        messages.push(format!(
            "--clock is for a new store: the clock that {} has goes on; PUT /clock changes it",
            history.store().path().display()
        ));
    }
    if engine.has_limited_capacity() {
        messages.push(
            "the matcher's capacity is each replica's own: replicas share state, not workers".to_owned(),
        );
    }
    messages.iter().for_each(|message| observer.warned(message));
    Ok(history)
}

/// Returns the error of a shared store that was lost during the start.
pub(super) fn lost(engine: &Engine) -> StartError {
    let path = engine.store().map(|store| store.path().to_owned()).unwrap_or_default();
    StartError::StoreUnreachable(StoreError { path, message: "cannot be reached any more".to_owned() })
}

/// Opens the store in a file, and gives the engine what it holds; the directories are those of fixtures and keys. Returns messages for a person: what is not as it was.
///
/// # Errors
/// Why the store cannot be used.
pub(super) fn open(
    path: &Path,
    engine: &mut Engine,
    (fixtures, keys): (Option<&Path>, Option<&Path>),
    clock: ClockStart,
    testing: StoreTesting,
) -> Result<(OpenStore, Vec<String>), StartError> {
    if is_in(path, keys) {
        let message =
            "is in the keys directory, whose files are read when they change; name another place".to_owned();
        return Err(StoreError { path: path.to_owned(), message }.into());
    }
    let identity = identity(engine, fixtures)?;
    let is_synchronous = engine.fixtures().is_synchronous;
    let (store, stored) = OpenStore::open(path, &identity, is_synchronous, testing)?;
    let mut messages = Vec::new();
    if stored.fixtures_differ {
        messages.push(format!(
            "the fixtures differ from those that {} was last used with; the counters of unchanged rules go on",
            path.display()
        ));
    }
    messages.extend(engine.keep_in(store.store(), &stored)?);
    if clock != ClockStart::System && clock != engine.clock.start() {
        messages.push(format!(
            "--clock is for a new store: the clock that {} has goes on; PUT /clock changes it",
            path.display()
        ));
    }
    Ok((store, messages))
}

/// Says what is not as it was, and starts the thread that writes.
///
/// # Errors
/// When the operating system refuses it.
pub(super) fn start(
    (store, messages): (OpenStore, Vec<String>),
    engine: &Arc<Engine>,
    observer: &Arc<dyn Observer>,
) -> Result<StoreWriter, StartError> {
    messages.iter().for_each(|message| observer.warned(message));
    // Weak: the engine has the store.
    let engine = Arc::downgrade(engine);
    let observer = Arc::clone(observer);
    let whole_state = move || engine.upgrade().map(|engine| engine.whole_state());
    Ok(store.start(Box::new(whole_state), Box::new(move |message| observer.warned(message)))?)
}
