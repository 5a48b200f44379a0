//! The thread that follows the history: connects, takes over the books, applies record after record, and begins again whenever the
//! connection breaks. While it has not caught up the store is down.
//!
//! A server may have lost its newest records when it comes back: a failover to a copy that was behind, a restart without the last writes.
//! So the last record that was applied is compared then. If it is another one or gone, everything is taken over anew, and that is told.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, channel};
use std::time::{Duration, Instant};

use ::redis::{Connection, Value, pipe};

use super::super::StoredState;
use super::connection::{PATIENCE, StoreTrouble, ask, connect};
use super::founder::{Founder, Meta};
use super::record::{HistoryRecord, HistoryStep};
use super::scripts::{BEAT, Keys, SNAPSHOT};
use super::setup::told;
use super::shared_store::{SharedStore, StoreCommand, StoreDown};
use super::turn::TURN;

/// Pause before the server is tried again.
pub(super) const PAUSE: Duration = Duration::from_millis(200);

/// How long the follower waits for a record before it looks around.
const BLOCK: Duration = Duration::from_millis(500);

/// How long the whole of a store is waited for.
const LARGE: Duration = Duration::from_secs(20);

/// How often a replica says that it is alive, and after what time without that it is gone.
const BEATS: Duration = Duration::from_secs(5);
const GONE: Duration = Duration::from_secs(15);

/// Max records that are read at once, and commands that are sent at once.
const RECORDS: usize = 512;
const COMMANDS: usize = 256;

/// Who gets the history.
pub trait HistoryReader: Send {
    /// Forgets the journal: the history begins again.
    fn begin_again(&self);
    /// Takes over all books, each at its version, instead of those that there are.
    ///
    /// # Errors
    /// What cannot be read.
    fn take_over(&self, stored: &StoredState, versions: &BTreeMap<String, u64>) -> Result<(), String>;
    /// Applies a record.
    ///
    /// # Errors
    /// What cannot be read.
    fn apply(&self, record: HistoryRecord) -> Result<(), String>;
    /// The store can be used again; what was missed can be handed over now.
    fn resume(&self);
    /// Receives what a person should know.
    fn report(&self, message: &str);
}

/// How the last record that was applied stands in the log.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Standing {
    Same,
    /// Another record has its place, or none: the history is another one.
    Other,
    /// The log does not reach back to it.
    Trimmed,
}

/// A record that was applied: position, replica and operation.
type Witness = (u64, String, u64);

pub(super) struct FollowerTask {
    shared: Arc<SharedStore>,
    founder: Founder,
    reader: Box<dyn HistoryReader>,
    last: Option<Witness>,
}

impl FollowerTask {
    pub fn new(shared: Arc<SharedStore>, founder: Founder, reader: Box<dyn HistoryReader>) -> FollowerTask {
        FollowerTask { shared, founder, reader, last: None }
    }

    /// Follows until the store is closed; `started` learns how the first session began.
    pub fn run(mut self, started: SyncSender<Result<(), StoreTrouble>>) {
        let mut started = Some(started);
        let mut is_told = false;
        while !self.shared.progress.lock().is_closed {
            let ended = self.session(&mut started, &mut is_told);
            let session = self.shared.progress.lock().session;
            let Err(trouble) = ended else { break };
            self.shared.fail(session, trouble.clone());
            let why = self.shared.progress.lock().why.clone().unwrap_or(trouble);
            if let Some(started) = started.take() {
                // The starter waits for it.
                let _ = started.send(Err(why));
                break;
            }
            if !std::mem::replace(&mut is_told, true) {
                self.reader.report(&format!(
                    "the store {} {}; until that is over every request gets status 503",
                    self.shared.address, why.message
                ));
            }
            self.pause();
        }
    }

    /// Waits a moment, or until the store is closed.
    fn pause(&self) {
        let until = Instant::now() + PAUSE;
        let mut progress = self.shared.progress.lock();
        while !progress.is_closed && !self.shared.wake.wait_until(&mut progress, until).timed_out() {}
    }

    /// Follows the history until the connection breaks. `Ok`: until the store is closed.
    fn session(
        &mut self,
        started: &mut Option<SyncSender<Result<(), StoreTrouble>>>,
        is_told: &mut bool,
    ) -> Result<(), StoreTrouble> {
        let shared = Arc::clone(&self.shared);
        let keys = &shared.keys;
        let mut connection = connect(&shared.address, BLOCK + PATIENCE)?;
        let meta = self.founder.meta(&mut connection, keys)?;
        self.founder.compare(&meta)?;
        let (known, applied, strays) = {
            let progress = shared.progress.lock();
            (progress.made.clone(), progress.applied, progress.strays)
        };
        connection.set_read_timeout(Some(LARGE))?;
        let (stored, versions, meta) = snapshot(&mut connection, keys)?;
        connection.set_read_timeout(Some(BLOCK + PATIENCE))?;
        let records = meta.get("records").and_then(|records| records.parse().ok()).unwrap_or_default();
        let made = meta.get("made").cloned().unwrap_or_default();
        let standing = match known == made {
            true => self.standing(&mut connection, records)?,
            false => Standing::Other,
        };
        let is_same = standing == Standing::Same;
        if !is_same {
            self.reader.begin_again();
            self.last = None;
        }
        if standing == Standing::Other && !known.is_empty() {
            shared.change(|progress| progress.regressions += 1);
            self.reader.report(&format!(
                "THE HISTORY OF THE STORE {} WENT BACK: it ended with record {applied} here and has {records} now (a restart or a failover \
                 that lost its newest writes, or it was emptied); its state is in force, and what was counted since may be granted again",
                shared.address
            ));
        }
        self.reader.take_over(&stored, &versions).map_err(damaged)?;
        let (writer, commands) = channel();
        let writing = connect(&shared.address, PATIENCE)?;
        let mut session = 0;
        shared.change(|progress| {
            progress.session += 1;
            session = progress.session;
            progress.taken_over = records;
            progress.operations_before = shared.next_operation();
            progress.why = None;
            progress.made = made;
            progress.applied = if is_same { progress.applied } else { 0 };
            progress.writer = Some(writer);
        });
        let writer = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("frsim-store".to_owned())
            .spawn(move || write(writing, &commands, &writer, session))
            .map_err(|error| StoreTrouble::passing(format!("cannot be used: {error}")))?;
        while shared.progress.lock().applied < records {
            if self.follow(&mut connection, false)? == 0 {
                return Err(damaged("its log is shorter than it says".to_owned()));
            }
        }
        // What came since is looked at before anybody is told that the store can be used: a record that cannot be read may be among it.
        self.follow(&mut connection, false)?;
        self.beat(&mut connection, true)?;
        let mut is_stale = false;
        shared.change(|progress| {
            // Changed here since the books were taken over, while nothing could be appended.
            is_stale = progress.strays != strays;
            progress.is_up = progress.why.is_none() && !is_stale;
        });
        if is_stale {
            return Err(StoreTrouble::passing("did not take a change that is in force here"));
        }
        self.reader.resume();
        if std::mem::take(is_told) {
            self.reader.report(&format!("the store {} can be used again", shared.address));
        }
        if let Some(started) = started.take() {
            // The starter waits for it.
            let _ = started.send(Ok(()));
        }
        let mut last_beat = Instant::now();
        loop {
            self.follow(&mut connection, true)?;
            let (is_closed, why, turn) = {
                let progress = shared.progress.lock();
                (progress.is_closed, progress.why.clone(), progress.turn.clone())
            };
            if let Some(trouble) = why {
                return Err(trouble);
            }
            if is_closed {
                return Ok(());
            }
            if last_beat.elapsed() >= BEATS {
                last_beat = Instant::now();
                self.beat(&mut connection, false)?;
                if let Some(token) = turn {
                    let _: Value = ask(&mut connection, &shared.keep_turn(&token, TURN))?;
                }
            }
        }
    }

    /// Looks how the last record that was applied stands.
    fn standing(&self, connection: &mut Connection, records: u64) -> Result<Standing, StoreTrouble> {
        let Some((position, replica, operation)) = &self.last else { return Ok(Standing::Same) };
        let mut range = ::redis::cmd("XRANGE");
        range.arg(&self.shared.keys.log).arg(position).arg("+").arg("COUNT").arg(1);
        let found: Vec<(String, Meta)> = ask(connection, &range)?;
        let is =
            |fields: &Meta, name: &str, value: &str| fields.get(name).is_some_and(|found| found == value);
        Ok(match found.first() {
            Some((id, _)) if records > *position && *id != format!("{position}-0") => Standing::Trimmed,
            Some((_, fields)) if is(fields, "r", replica) && is(fields, "o", &operation.to_string()) => {
                Standing::Same
            }
            _ => Standing::Other,
        })
    }

    /// Reads records behind the last one and applies them. Returns how many. `waits`: for the first one, for a moment.
    fn follow(&mut self, connection: &mut Connection, waits: bool) -> Result<usize, StoreTrouble> {
        let applied = self.shared.progress.lock().applied;
        let mut read = ::redis::cmd("XREAD");
        read.arg("COUNT").arg(RECORDS);
        if waits {
            read.arg("BLOCK").arg(BLOCK.as_millis() as u64);
        }
        read.arg("STREAMS").arg(&self.shared.keys.log).arg(applied);
        type Streams = Option<Vec<(String, Vec<(String, Meta)>)>>;
        let streams: Streams = ask(connection, &read)?;
        let records = streams.into_iter().flatten().flat_map(|(_, records)| records);
        let mut count = 0;
        for (id, fields) in records {
            let record = record(&id, &fields).ok_or_else(|| damaged(format!("record {id}")))?;
            let is_first = self.last.is_none() && count == 0;
            let expected = self.shared.progress.lock().applied + 1;
            if !is_first && record.position != expected {
                // This replica was away for longer than the log reaches back.
                return Err(StoreTrouble::passing(format!("has no record {expected} any more")));
            }
            count += 1;
            let (position, operation) = (record.position, record.operation);
            self.last = Some((position, record.replica.clone(), operation));
            self.reader.apply(record).map_err(damaged)?;
            self.shared.change(|progress| progress.applied = position);
        }
        Ok(count)
    }

    /// Says that this replica is alive and how it is set up, and appends that others are gone.
    fn beat(&self, connection: &mut Connection, is_new: bool) -> Result<(), StoreTrouble> {
        let shared = &self.shared;
        let Keys { replicas, flying, setups, prefix, .. } = &shared.keys;
        let setup = shared.progress.lock().setup.clone();
        let mut call = BEAT.call(&[replicas, flying, setups]);
        call.arg(&shared.replica)
            .arg(GONE.as_millis() as u64)
            .arg(u8::from(is_new))
            .arg(prefix)
            .arg(setup.text());
        let (gone, setups): (Vec<String>, Vec<String>) = ask(connection, &call)?;
        let differs = setup.differs(&setups);
        let before = std::mem::replace(&mut shared.progress.lock().differs, differs.clone());
        if before != differs {
            self.reader.report(&format!("{}: {}", shared.address, told(&differs)));
        }
        for replica in gone.into_iter().filter(|replica| *replica != shared.replica) {
            let (operation, steps) = (shared.next_operation(), [HistoryStep::Gone(replica)]);
            let append = shared.append_command(&shared.progress.lock(), None, &steps, operation);
            let _: Value = ask(connection, &append)?;
        }
        Ok(())
    }
}

/// Returns the trouble of something in the store that this program cannot have written.
fn damaged(what: String) -> StoreTrouble {
    StoreTrouble::lasting(format!(
        "is damaged: {what}; name another store behind the port to begin with an empty one"
    ))
}

/// Reads a record.
fn record(id: &str, fields: &Meta) -> Option<HistoryRecord> {
    let field = |name: &str| fields.get(name);
    Some(HistoryRecord {
        position: id.split_once('-')?.0.parse().ok()?,
        replica: field("r")?.clone(),
        operation: field("o")?.parse().ok()?,
        entry_id: field("i")?.parse().ok()?,
        steps: serde_json::from_str(field("p")?).ok()?,
    })
}

/// Returns everything but the log: fields, versions of subjects, and what the store says of itself.
fn snapshot(
    connection: &mut Connection,
    keys: &Keys,
) -> Result<(StoredState, BTreeMap<String, u64>, Meta), StoreTrouble> {
    let mut call = SNAPSHOT.call(&[&keys.meta, &keys.versions]);
    call.arg(&keys.prefix);
    let all: Vec<Value> = ask(connection, &call)?;
    let mut all = all.into_iter();
    let meta = all.next().map(::redis::from_redis_value).transpose().map_err(::redis::RedisError::from)?;
    let (mut stored, mut versions) = (StoredState::default(), BTreeMap::new());
    for value in all {
        let (subject, version, fields): (String, u64, BTreeMap<String, String>) =
            ::redis::from_redis_value(value).map_err(::redis::RedisError::from)?;
        versions.insert(subject.clone(), version);
        stored.fields.insert(subject, fields);
    }
    Ok((stored, versions, meta.unwrap_or_default()))
}

/// The thread that writes: sends what has come together, and hands over the answers. It ends with its session.
fn write(mut connection: Connection, commands: &Receiver<StoreCommand>, shared: &SharedStore, session: u64) {
    let next = || loop {
        match commands.recv_timeout(BEATS) {
            Ok(command) => return Some(command),
            Err(RecvTimeoutError::Timeout) if shared.progress.lock().is_closed => return None,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return None,
        }
    };
    while let Some(first) = next() {
        let more = std::iter::from_fn(|| commands.try_recv().ok()).take(COMMANDS - 1);
        let (mut batch, mut replies) = (pipe(), Vec::new());
        for StoreCommand { command, reply } in std::iter::once(first).chain(more) {
            batch.add_command(command);
            replies.push(reply);
        }
        match batch.query::<Vec<Value>>(&mut connection) {
            Ok(values) => replies.into_iter().zip(values).for_each(|(reply, value)| reply(Ok(value))),
            Err(error) => {
                shared.fail(session, error.into());
                replies.into_iter().for_each(|reply| reply(Err(StoreDown)));
                // Nothing more is sent to this session.
                commands.iter().for_each(|command| (command.reply)(Err(StoreDown)));
                return;
            }
        }
    }
}
