//! Opens a shared store, and starts to follow its history.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::super::{Store, StoreError, StoreIdentity, StoreWrite};
use super::address::SharedAddress;
use super::connection::{PATIENCE, connect};
use super::follower::{FollowerTask, HistoryReader, PAUSE};
use super::founder::{Founder, eviction, unguessable};
use super::scripts::Keys;
use super::setup::ReplicaSetup;
use super::shared_store::SharedStore;

/// How long the server is tried at the start.
const START: Duration = Duration::from_secs(30);

/// Opens a shared store, and creates it where there is none, with these fields. Returns it, and a warning about the server. Its history is
/// followed from [`SharedHistory::start`] on.
///
/// # Errors
/// Why it cannot be used, and whether the server was merely out of reach.
pub fn open(
    address: SharedAddress,
    identity: StoreIdentity,
    options: String,
    initial: Vec<StoreWrite>,
    max_bytes: usize,
) -> Result<(SharedHistory, Option<String>), (StoreError, bool)> {
    let path = address.to_string();
    let keys = Keys::of(&address.name);
    let setup = ReplicaSetup { fixtures: identity.fixtures.clone(), options };
    let founder = Founder { identity, initial };
    let deadline = Instant::now() + START;
    let found = loop {
        let found = connect(&address, PATIENCE).and_then(|mut connection| {
            let meta = founder.meta(&mut connection, &keys)?;
            founder.compare(&meta)?;
            Ok(eviction(&mut connection))
        });
        match found {
            Err(trouble) if trouble.may_pass && Instant::now() < deadline => std::thread::sleep(PAUSE),
            found => break found,
        }
    };
    let warning = found.map_err(|trouble| {
        let message = match trouble.may_pass {
            true => format!("{}; it was tried for {} seconds", trouble.message, START.as_secs()),
            false => trouble.message,
        };
        (StoreError { path: path.clone().into(), message }, trouble.may_pass)
    })?;
    let replica = replica_name();
    let store = Arc::new(SharedStore::new(address, replica, setup, max_bytes));
    let store = Arc::new(Store::shared_by_replicas(path.into(), store));
    Ok((SharedHistory { store, founder: Some(founder), thread: None }, warning))
}

/// Returns a name for this replica: that of its machine or pod, where the environment tells it, and a random part.
fn replica_name() -> String {
    let is_plain =
        |name: &String| name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte));
    let machine =
        std::env::var("HOSTNAME").ok().filter(|name| (1..=63).contains(&name.len()) && is_plain(name));
    machine.map_or_else(unguessable, |name| format!("{name}-{}", &unguessable()[..12]))
}

/// A shared store whose history is followed. Dropping it ends that.
#[derive(Debug)]
pub struct SharedHistory {
    store: Arc<Store>,
    founder: Option<Founder>,
    thread: Option<JoinHandle<()>>,
}

impl SharedHistory {
    /// Returns the handle for what hands over its changes.
    #[must_use]
    pub fn store(&self) -> &Arc<Store> {
        &self.store
    }

    /// Starts to follow the history. On return everything in it is applied.
    ///
    /// # Errors
    /// When the operating system refuses a thread, or the first session fails.
    pub fn start(mut self, reader: Box<dyn HistoryReader>) -> Result<SharedHistory, StoreError> {
        let failed = |store: &Store, message: String| StoreError { path: store.path().to_owned(), message };
        let (Some(founder), Some(shared)) = (self.founder.take(), self.store.shared().cloned()) else {
            return Ok(self);
        };
        let (started, start) = sync_channel(1);
        let task = FollowerTask::new(shared, founder, reader);
        let thread =
            std::thread::Builder::new().name("frsim-history".to_owned()).spawn(move || task.run(started));
        self.thread = Some(thread.map_err(|error: io::Error| failed(&self.store, error.to_string()))?);
        match start.recv() {
            Ok(Ok(())) => Ok(self),
            Ok(Err(trouble)) => Err(failed(&self.store, trouble.message)),
            Err(_) => Err(failed(&self.store, "cannot be followed: its thread ended".to_owned())),
        }
    }
}

impl Drop for SharedHistory {
    fn drop(&mut self) {
        if let Some(shared) = self.store.shared() {
            let mut leave = ::redis::cmd("HDEL");
            leave.arg(&shared.keys.setups).arg(&shared.replica);
            shared.send(leave, Box::new(|_| ()));
            // Behind everything that was pushed: how the last requests ended.
            let _ = shared.caught_up_blocking();
            shared.change(|progress| progress.is_closed = true);
        }
        // It fails only when the thread panicked; the panic was shown then.
        let _ = self.thread.take().map(JoinHandle::join);
        if let Some(shared) = self.store.shared() {
            shared.change(|progress| (progress.is_up, progress.writer) = (false, None));
        }
    }
}
