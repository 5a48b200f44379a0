//! The shared store of one replica: what it asks the server, and how far it is.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::Instant;

use ::redis::{Cmd, Value};
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::sync::{oneshot, watch};

use super::super::{StoreSubject, StoreWrite};
use super::address::SharedAddress;
use super::connection::{PATIENCE, StoreTrouble, words};
use super::record::{self, HistoryRecord, HistoryStep, StepBasis};
use super::scripts::{APPEND, ARRIVE, Keys, LEAVE};
use super::setup::ReplicaSetup;

/// The store cannot be used, so nothing can be decided. What was under way may have been counted, or not. [`SharedStore::trouble`] says why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the shared store cannot be used; the simulator goes on by itself once it can")]
pub struct StoreDown;

/// What became of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is in the history, at this position.
    Kept(u64),
    /// Its subject was changed meanwhile, last at this position.
    Overtaken(u64),
}

/// What a request finds when it comes.
#[derive(Clone, Copy, Debug)]
pub struct Arrival {
    /// How far the replica must be before the request goes on.
    pub position: u64,
    /// Its ordinal among the customer's requests, from 1; 0 when it was not counted.
    pub ordinal: u64,
    /// The customer's requests under way at all replicas, this one included.
    pub under_way: u64,
    session: u64,
}

pub(super) type StoreReply = Box<dyn FnOnce(Result<Value, StoreDown>) + Send>;

/// A command for the thread that writes.
pub(super) struct StoreCommand {
    pub command: Cmd,
    pub reply: StoreReply,
}

/// The shared store of one replica.
#[derive(Debug)]
pub struct SharedStore {
    pub(super) address: SharedAddress,
    pub(super) keys: Keys,
    /// Names this process.
    pub(super) replica: String,
    /// Max bytes of the history at the server.
    max_bytes: usize,
    operations: AtomicU64,
    pub(super) progress: Mutex<StoreProgress>,
    /// Wakes threads that wait for progress.
    pub(super) wake: Condvar,
    /// Wakes tasks that wait for progress.
    news: watch::Sender<()>,
    /// Position of the last record of each subject that was applied.
    versions: Mutex<HashMap<StoreSubject, u64>>,
    /// Steps of one customer at this replica take turns once they were overtaken: they would overtake each other.
    queues: [Mutex<()>; QUEUES],
}

const QUEUES: usize = 64;

#[derive(Default)]
pub(super) struct StoreProgress {
    pub is_up: bool,
    pub is_closed: bool,
    /// Number of the connection with the server.
    pub session: u64,
    /// Operations of this replica before this session.
    pub operations_before: u64,
    /// Names the history.
    pub made: String,
    pub applied: u64,
    /// Position of the books that this session took over.
    pub taken_over: u64,
    pub writer: Option<mpsc::Sender<StoreCommand>>,
    /// Token of the turn that this replica has.
    pub turn: Option<String>,
    /// Writes pushed, and those that are committed or given up.
    pub pushed: u64,
    pub settled: u64,
    /// Writes given up, and sessions ended.
    pub troubles: u64,
    /// Changes that are in force here and not in the history: the books must be taken over again.
    pub strays: u64,
    pub regressions: u64,
    pub setup: ReplicaSetup,
    /// In what other replicas were set up otherwise, at the last beat.
    pub differs: Vec<&'static str>,
    /// What ended the session.
    pub why: Option<StoreTrouble>,
    /// The newest trouble, also that of an attempt to begin a session.
    pub trouble: Option<StoreTrouble>,
}

impl std::fmt::Debug for StoreProgress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoreProgress")
            .field("is_up", &self.is_up)
            .field("applied", &self.applied)
            .finish_non_exhaustive()
    }
}

impl SharedStore {
    pub(super) fn new(
        address: SharedAddress,
        replica: String,
        setup: ReplicaSetup,
        max_bytes: usize,
    ) -> SharedStore {
        SharedStore {
            keys: Keys::of(&address.name),
            address,
            replica,
            max_bytes,
            operations: AtomicU64::new(0),
            progress: Mutex::new(StoreProgress { setup, ..StoreProgress::default() }),
            wake: Condvar::new(),
            news: watch::Sender::new(()),
            versions: Mutex::default(),
            queues: [const { Mutex::new(()) }; QUEUES],
        }
    }

    /// Returns where the store is.
    #[must_use]
    pub fn address(&self) -> &SharedAddress {
        &self.address
    }

    /// Returns how often the history went back while this replica followed it.
    #[must_use]
    pub fn regressions(&self) -> u64 {
        self.progress.lock().regressions
    }

    /// Returns in what other replicas are set up otherwise: `fixtures`, `options`.
    #[must_use]
    pub fn differs(&self) -> Vec<&'static str> {
        self.progress.lock().differs.clone()
    }

    /// Notes the digest of the fixtures that are in force now; other replicas learn it within seconds.
    pub fn set_fixtures(&self, digest: String) {
        self.progress.lock().setup.fixtures = digest;
    }

    /// Returns why the store cannot be used, as said behind its name.
    #[must_use]
    pub fn trouble(&self) -> String {
        let progress = self.progress.lock();
        match &progress.trouble {
            Some(trouble) if !progress.is_up => trouble.message.clone(),
            // One answer was late, or a step was refused.
            _ => "did not take part in time".to_owned(),
        }
    }

    /// Returns the name of this replica in records.
    #[must_use]
    pub fn replica(&self) -> &str {
        &self.replica
    }

    /// Returns whether the server can be reached and this replica has caught up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.progress.lock().is_up
    }

    /// Returns the number of a new operation.
    #[must_use]
    pub fn next_operation(&self) -> u64 {
        self.operations.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Returns what a step of this subject is decided on. To be called under the lock of what the subject's records change.
    #[must_use]
    pub fn basis(&self, subject: &StoreSubject) -> StepBasis {
        let version = self.version(subject);
        StepBasis { subject: Arc::clone(subject), version, session: self.progress.lock().session }
    }

    /// Returns the position of the last record of a subject that was applied.
    #[must_use]
    pub fn version(&self, subject: &str) -> u64 {
        self.versions.lock().get(subject).copied().unwrap_or_default()
    }

    /// Returns whether this replica appended a record in the present session: what it changed is in force here already.
    #[must_use]
    pub fn is_own(&self, record: &HistoryRecord) -> bool {
        record.replica == self.replica && record.operation > self.progress.lock().operations_before
    }

    /// Returns whether the books that were taken over have what the record at this position changed.
    #[must_use]
    pub fn has_taken_over(&self, position: u64) -> bool {
        position <= self.progress.lock().taken_over
    }

    /// Sets that position; 0 when the subject was removed. To be called under the lock of what the subject's records change.
    pub fn set_version(&self, subject: &str, version: u64) {
        let mut versions = self.versions.lock();
        match version {
            0 => drop(versions.remove(subject)),
            _ => drop(versions.insert(subject.into(), version)),
        }
    }

    /// Returns the subjects that have a version.
    #[must_use]
    pub fn subjects(&self) -> Vec<StoreSubject> {
        self.versions.lock().keys().cloned().collect()
    }

    /// Waits for the turn of a customer's steps at this replica.
    pub fn queue(&self, customer_id: &str) -> MutexGuard<'_, ()> {
        let number = crate::base::hash::digest(customer_id.as_bytes())[0];
        self.queues[usize::from(number) % QUEUES].lock()
    }

    /// Counts a request of a customer. `is_known`: whether this replica knows the customer; else nothing is counted.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub fn arrive(&self, customer_id: &str, is_known: bool) -> Result<Arrival, StoreDown> {
        let Keys { meta, versions, flying, .. } = &self.keys;
        let subject = format!("c:{customer_id}");
        let (own, flight) = (self.keys.subject(&subject), self.keys.flight(customer_id));
        let mut call = ARRIVE.call(&[meta, versions, &own, &flight, flying]);
        let (made, session) = {
            let progress = self.progress.lock();
            (progress.made.clone(), progress.session)
        };
        call.arg(made).arg(&self.replica).arg(subject).arg(customer_id).arg(u8::from(is_known));
        match words(self.ask(call)?).ok() {
            Some((word, numbers)) if word == "kept" && numbers.len() == 3 => {
                let [position, ordinal, under_way] = [numbers[0], numbers[1], numbers[2]];
                Ok(Arrival { position, ordinal, under_way, session })
            }
            _ => Err(self.lost()),
        }
    }

    /// Ends a request that [`SharedStore::arrive`] has counted. Nobody waits for it.
    pub fn leave(&self, customer_id: &str, arrival: &Arrival) {
        if arrival.session != self.progress.lock().session {
            // Another session has begun with no request under way.
            return;
        }
        let flight = self.keys.flight(customer_id);
        let mut call = LEAVE.call(&[&flight, &self.keys.flying]);
        call.arg(&self.replica).arg(customer_id);
        self.send(call, Box::new(|_| ()));
    }

    /// Appends a step, if its subject is still as it was decided on; without a basis in any case.
    ///
    /// # Errors
    /// When the store cannot be reached. The step may be in the history all the same.
    pub fn append(
        &self,
        basis: Option<&StepBasis>,
        steps: &[HistoryStep],
        operation: u64,
    ) -> Result<Appended, StoreDown> {
        let command = {
            let progress = self.progress.lock();
            if basis.is_some_and(|basis| basis.session != progress.session) {
                return Err(StoreDown);
            }
            self.append_command(&progress, basis, steps, operation)
        };
        match words(self.ask(command)?).ok() {
            Some((word, numbers)) if word == "kept" && numbers.len() == 1 => Ok(Appended::Kept(numbers[0])),
            Some((word, numbers)) if word == "overtaken" && numbers.len() == 1 => {
                match numbers[0] {
                    // The subject was removed, at a position that is not known.
                    0 => self.caught_up_blocking()?,
                    // A version that was applied and is no longer there.
                    version if basis.is_some_and(|basis| version < basis.version) => return Err(self.lost()),
                    _ => {}
                }
                Ok(Appended::Overtaken(numbers[0]))
            }
            Some((word, _)) if word == "late" => {
                self.change(|progress| progress.troubles += 1);
                Err(StoreDown)
            }
            _ => Err(self.lost()),
        }
    }

    pub(super) fn append_command(
        &self,
        progress: &StoreProgress,
        basis: Option<&StepBasis>,
        steps: &[HistoryStep],
        operation: u64,
    ) -> Cmd {
        let mut subjects: Vec<&str> = basis.map(|basis| &*basis.subject).into_iter().collect();
        for subject in steps.iter().filter_map(HistoryStep::subject) {
            if !subjects.contains(&subject) {
                subjects.push(subject);
            }
        }
        let Keys { meta, versions, log, pages, turn, .. } = &self.keys;
        let own: Vec<String> = subjects.iter().map(|subject| self.keys.subject(subject)).collect();
        let keys = [meta, versions, log, pages, turn].into_iter().chain(&own);
        let mut call = APPEND.call(&keys.map(String::as_str).collect::<Vec<_>>());
        let needs_turn = basis.is_none() && !subjects.is_empty();
        let token = if needs_turn { progress.turn.as_deref().unwrap_or("none") } else { "" };
        let adds = steps.iter().any(|step| matches!(step, HistoryStep::Add(_)));
        call.arg(&progress.made).arg(&self.replica).arg(operation).arg(self.max_bytes).arg(token);
        call.arg(u8::from(basis.is_some())).arg(basis.map_or(0, |basis| basis.version));
        call.arg(u8::from(adds)).arg(record::text(steps)).arg(&subjects);
        for step in steps {
            let (kind, subject, field, value) = match step {
                HistoryStep::Set(subject, field, value) => ("s", subject, &**field, &**value),
                HistoryStep::Remove(subject, field) => ("r", subject, &**field, ""),
                HistoryStep::Clear(subject) => ("c", subject, "", ""),
                _ => continue,
            };
            let number = subjects.iter().position(|known| known == subject).unwrap_or_default() + 1;
            call.arg(number).arg(kind).arg(field).arg(value);
        }
        call
    }

    /// Hands over the changes of a step, in the order of the calls. [`SharedStore::settled`] waits for them.
    pub fn push(self: &Arc<Self>, writes: Vec<StoreWrite>) {
        self.push_steps(&HistoryStep::of(writes));
    }

    /// Tells the readers of events at other replicas of a change, given as JSON.
    pub fn push_changed(self: &Arc<Self>, change: String) {
        self.push_steps(&[HistoryStep::Changed(change)]);
    }

    fn push_steps(self: &Arc<Self>, steps: &[HistoryStep]) {
        if steps.is_empty() {
            return;
        }
        let operation = self.next_operation();
        let (command, session) = {
            let mut progress = self.progress.lock();
            progress.pushed += 1;
            (self.append_command(&progress, None, steps, operation), progress.session)
        };
        // What it changes is in force here already.
        let is_applied = steps.iter().any(|step| step.subject().is_some());
        let store = Arc::clone(self);
        let settle = move |answer: Result<Value, StoreDown>| {
            let is_kept = answer.is_ok_and(|value| words(value).is_ok_and(|(word, _)| word == "kept"));
            if is_applied && !is_kept {
                store.change(|progress| progress.strays += 1);
                store.fail(session, StoreTrouble::passing("did not take a change that is in force here"));
            }
            store.change(|progress| {
                progress.settled += 1;
                progress.troubles += u64::from(!is_kept);
            });
        };
        self.send(command, Box::new(settle));
    }

    /// Hands over the changes of a step, and waits until this replica has applied them.
    ///
    /// # Errors
    /// When the store cannot be reached.
    pub fn push_and_apply(&self, writes: Vec<StoreWrite>) -> Result<(), StoreDown> {
        let steps = HistoryStep::of(writes);
        if steps.is_empty() {
            return Ok(());
        }
        let operation = self.next_operation();
        let appended = self.append(None, &steps, operation).and_then(|appended| match appended {
            Appended::Kept(position) => self.applied(position),
            Appended::Overtaken(_) => Err(StoreDown),
        });
        if appended.is_err() {
            self.change(|progress| progress.troubles += 1);
        }
        appended
    }

    /// Waits until everything that was pushed so far is in the history, or given up.
    pub async fn settled(&self) {
        let pushed = self.progress.lock().pushed;
        self.until(|progress| progress.settled >= pushed || !progress.is_up).await;
    }

    /// Returns a number that grows whenever something that was pushed is given up.
    #[must_use]
    pub fn troubles(&self) -> u64 {
        self.progress.lock().troubles
    }

    /// Waits until this replica has applied the record at a position.
    ///
    /// # Errors
    /// When the store cannot be reached, or the replica does not get that far within the patience.
    pub fn applied(&self, position: u64) -> Result<(), StoreDown> {
        let deadline = Instant::now() + PATIENCE;
        let mut progress = self.progress.lock();
        while progress.is_up && progress.applied < position {
            if self.wake.wait_until(&mut progress, deadline).timed_out() {
                break;
            }
        }
        (progress.is_up && progress.applied >= position).then_some(()).ok_or(StoreDown)
    }

    /// Waits until this replica is as far as the history was when this was called.
    ///
    /// # Errors
    /// When the store cannot be reached, or the replica does not get that far within the patience.
    pub async fn caught_up(&self) -> Result<(), StoreDown> {
        let (reply, answer) = oneshot::channel();
        self.send(self.horizon(), Box::new(move |value| drop(reply.send(value))));
        let position = self.position(answer.await.unwrap_or(Err(StoreDown))?)?;
        self.until(|progress| progress.applied >= position || !progress.is_up).await;
        let progress = self.progress.lock();
        (progress.is_up && progress.applied >= position).then_some(()).ok_or(StoreDown)
    }

    /// The same, for threads.
    ///
    /// # Errors
    /// Those of [`SharedStore::caught_up`].
    pub fn caught_up_blocking(&self) -> Result<(), StoreDown> {
        let position = self.position(self.ask(self.horizon())?)?;
        self.applied(position)
    }

    fn horizon(&self) -> Cmd {
        let mut command = ::redis::cmd("HMGET");
        command.arg(&self.keys.meta).arg("made").arg("records");
        command
    }

    fn position(&self, answer: Value) -> Result<u64, StoreDown> {
        match words(answer).ok() {
            Some((made, numbers)) if made == self.progress.lock().made && numbers.len() == 1 => {
                Ok(numbers[0])
            }
            _ => Err(self.lost()),
        }
    }

    /// Waits until something holds, at most for the patience.
    async fn until(&self, holds: impl Fn(&StoreProgress) -> bool) {
        let mut news = self.news.subscribe();
        let wait = async {
            while !holds(&self.progress.lock()) {
                // The sender lives as long as the store.
                let _ = news.changed().await;
            }
        };
        let _ = tokio::time::timeout(PATIENCE, wait).await;
    }

    /// Ends the session: the history is another one than this replica has followed.
    fn lost(&self) -> StoreDown {
        let session = self.progress.lock().session;
        self.fail(session, StoreTrouble::passing("has another history than before"));
        StoreDown
    }

    /// Asks the server, and waits.
    pub(super) fn ask(&self, command: Cmd) -> Result<Value, StoreDown> {
        let (reply, answer) = mpsc::sync_channel(1);
        self.send(command, Box::new(move |value| drop(reply.send(value))));
        // The thread that writes has the patience; this only guards against endlessness.
        answer.recv_timeout(10 * PATIENCE).unwrap_or(Err(StoreDown))
    }

    /// Hands a command to the thread that writes; without a connection it fails at once.
    pub(super) fn send(&self, command: Cmd, reply: StoreReply) {
        let writer = {
            let progress = self.progress.lock();
            progress.writer.clone().filter(|_| progress.is_up)
        };
        let command = StoreCommand { command, reply };
        let failed = match writer {
            Some(writer) => writer.send(command).err().map(|error| error.0),
            None => Some(command),
        };
        if let Some(command) = failed {
            (command.reply)(Err(StoreDown));
        }
    }

    /// Ends a session, unless it has ended already.
    pub(super) fn fail(&self, session: u64, trouble: StoreTrouble) {
        self.change(|progress| {
            if progress.session == session {
                progress.trouble = Some(trouble.clone());
            }
            if progress.session == session && progress.why.is_none() {
                progress.is_up = false;
                progress.writer = None;
                progress.troubles += 1;
                progress.why = Some(trouble);
            }
        });
    }

    /// Changes the progress, and wakes who waits for it.
    pub(super) fn change(&self, change: impl FnOnce(&mut StoreProgress)) {
        change(&mut self.progress.lock());
        self.wake.notify_all();
        self.news.send_replace(());
    }
}
