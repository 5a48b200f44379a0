//! One request of a customer, from its head to the end of its response, however it ends.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

use super::connection::{After, Connection};
use super::cost;
use super::head::Head;
use super::refusal::{self, Refusal};
use super::socket::Socket;
use crate::domain::announced::Announced;
use crate::domain::faults::{Delivery, End, ListenerFault, Step, Upload};
use crate::domain::http_answer::Persistence;
use crate::engine::{Admission, RequestHead, ResponseAction};
use crate::http::state::{AppState, ListenerCommand};
use crate::state::journal::{Entry, RequestMarks, Sent, SentEnd, State};
use crate::state::observer::SlowUpload;
use crate::state::store::redis::{SharedStore, StoreDown};
use crate::state::worker_pool::Slot;

/// Counts an answer as in flight until dropped; a stopping server waits for it.
pub struct InFlightGuard(Arc<AppState>);

impl InFlightGuard {
    #[must_use]
    pub fn start(app: &Arc<AppState>) -> InFlightGuard {
        app.in_flight.send_modify(|count| *count += 1);
        InFlightGuard(Arc::clone(app))
    }
}

impl Drop for InFlightGuard {
    fn drop(&mut self) {
        self.0.in_flight.send_modify(|count| *count -= 1);
    }
}

/// A request in flight. Dropped early - the client has gone - it journals itself as aborted.
pub struct Exchange {
    app: Arc<AppState>,
    head: RequestHead,
    admission: Admission,
    started: Instant,
    entry: Option<Arc<Entry>>,
    /// How the simulator ended the exchange; `None` until it did, and when it was cut.
    end: Option<End>,
    /// How long it took until the last bytes of its answer; `None` before.
    counted: Option<Duration>,
    counters_overflowed: bool,
    /// Dropped last: the entry is journaled before the server thinks that nothing is in flight.
    _in_flight: InFlightGuard,
}

impl Exchange {
    /// Admits a request.
    ///
    /// # Errors
    /// When the store that replicas share cannot be reached.
    pub async fn begin(app: &Arc<AppState>, head: RequestHead) -> Result<Exchange, StoreDown> {
        let in_flight = InFlightGuard::start(app);
        let arrived = app.timer.now();
        let (head, admission) = match app.engine.shared() {
            Some(shared) => admit_at_all(Arc::clone(app), Arc::clone(shared), head, arrived).await?,
            None => {
                let admission = app.engine.admit(&head, arrived);
                (head, admission)
            }
        };
        Ok(Exchange {
            app: Arc::clone(app),
            head,
            counters_overflowed: admission.counters_overflowed(),
            admission,
            started: Instant::now(),
            entry: None,
            end: None,
            counted: None,
            _in_flight: in_flight,
        })
    }

    /// What happens to the upload, where a rule decided that.
    #[must_use]
    pub fn upload(&self) -> Option<Upload> {
        self.admission.upload()
    }

    /// Answers a body: waits, and sends what was decided.
    pub async fn answer<S: Socket>(
        self,
        connection: &mut Connection<S>,
        head: &Head,
        body: Vec<u8>,
    ) -> After {
        let (mut exchange, decided) = self.evaluate(body).await;
        let action = match decided {
            Ok(action) => action,
            Err(StoreDown) => {
                let refusal = Refusal::store_down(head, &exchange.app);
                return exchange.refuse(connection, head, &refusal).await;
            }
        };
        connection.count_in(exchange.entry.clone());
        let notice = exchange.notice();
        tokio::select! {
            biased;
            after = exchange.respond(connection, head, action) => after.unwrap_or(After::Close),
            never = notice => match never {},
        }
    }

    /// Tells the observer when the upload has been under way for a while; never completes.
    pub async fn upload_notice(&self) -> Infallible {
        let time = self.app.settings.timeouts.notice;
        tokio::time::sleep(time).await;
        self.app.observer.upload_under_way(&SlowUpload {
            customer_id: self.app.engine.shown_customer_id(&self.head, &self.admission),
            rule: self.admission.upload_rule(),
            time,
        });
        std::future::pending().await
    }

    /// Tells the observer when the request has been under way for a while; never completes.
    fn notice(&self) -> impl Future<Output = Infallible> + use<> {
        let (app, entry) = (Arc::clone(&self.app), self.entry.clone());
        async move {
            let time = app.settings.timeouts.notice;
            tokio::time::sleep(time).await;
            if let Some(entry) = entry.filter(|entry| entry.sending.state() == State::InFlight) {
                app.observer.under_way(&entry, time);
            }
            std::future::pending().await
        }
    }

    /// Evaluates the request. A large photo is decoded, and a face engine asked, beside the thread that serves other connections, a bounded
    /// number at once. Over a shared store every request is evaluated there: it waits for the store.
    async fn evaluate(mut self, body: Vec<u8>) -> (Exchange, Result<ResponseAction, StoreDown>) {
        let asks_faces = self.app.engine.asks_faces();
        let is_costly = asks_faces || cost::is_costly(&body);
        let is_shared = self.app.engine.shared().is_some();
        let permits = if asks_faces { &self.app.face_evaluations } else { &self.app.evaluations };
        let permits = Arc::clone(permits);
        let decide = move || {
            let engine = &self.app.engine;
            let answered = match engine.shared() {
                Some(shared) => engine.answer_at_all(shared, &self.head, &mut self.admission, &body),
                None => Ok(engine.answer(&self.head, &self.admission, &body)),
            };
            drop(body);
            let action = answered.map(|(entry, action)| {
                self.entry = Some(entry);
                self.counters_overflowed |= action.counters_overflowed;
                self.app.metrics.record_stages(&action.times);
                action
            });
            (self, action)
        };
        if !is_costly && !is_shared {
            return decide();
        }
        let _permit = if is_costly { permits.acquire().await.ok() } else { None };
        beside(decide).await
    }

    async fn respond<S: Socket>(
        &mut self,
        connection: &mut Connection<S>,
        head: &Head,
        action: ResponseAction,
    ) -> io::Result<After> {
        if let Some(slot) = action.slot {
            connection.wait(self.wait_for_match(slot)).await?;
        }
        if let Some(delay) = action.delay {
            connection.wait(self.app.timer.sleep(delay)).await?;
        }
        match action.delivery {
            Delivery::Answer(answer) => {
                let response = answer.render(persistence(head), head.is_http_1_0);
                self.send(connection, answer.status, &response).await?;
                Ok(if head.closes { After::Linger } else { After::NextRequest })
            }
            Delivery::Steps(steps, announced) => {
                if let Some(entry) = &self.entry {
                    entry.sending.announce(announced);
                }
                self.app.engine.committed().await;
                // First: a client that is cut off and reconnects at once finds the port as the fault leaves it.
                if let Some(listener) = action.listener {
                    self.command(listener).await;
                }
                self.run(connection, &steps).await
            }
        }
    }

    /// Waits for a worker of the matcher and for its work, in a task of its own: both go on when the client disconnects. A matcher does not
    /// notice that nobody waits any more, which is what makes impatient clients a load.
    fn wait_for_match(&self, slot: Slot) -> impl Future<Output = ()> + use<> {
        let timer = Arc::clone(&self.app.timer);
        let work = tokio::spawn(async move {
            slot.wait_for_worker().await;
            timer.sleep(slot.service_time()).await;
        });
        async {
            // It fails only when the simulator ends, and then this does too.
            let _ = work.await;
        }
    }

    /// Applies a fault of the whole listener, and waits until it is active.
    async fn command(&self, listener: ListenerFault) {
        let (in_force, done) = oneshot::channel();
        // The listener lives as long as the simulator; it drops the other end when the fault is active.
        let _ = self.app.listener_commands.send(ListenerCommand { listener, in_force });
        let _ = done.await;
    }

    /// Sends a response.
    async fn send<S: Socket>(
        &mut self,
        connection: &mut Connection<S>,
        status: u16,
        response: &[u8],
    ) -> io::Result<()> {
        if let Some(entry) = &self.entry {
            entry.sending.announce(Announced::by_response(status, response));
        }
        // Behind a whole response the end of the connection is not the exchange's.
        let end = End::Fin;
        self.commit(response.len(), end).await;
        connection.write_last(response, |last| self.mark_sent(last, end)).await?;
        self.end = Some(end);
        Ok(())
    }

    /// Runs the steps of a fault. Once the last byte is sent the request is done: a client that has what it wants need not stay for the end.
    async fn run<S: Socket>(&mut self, connection: &mut Connection<S>, steps: &[Step]) -> io::Result<After> {
        let is_send = |step: &Step| matches!(step, Step::Send(_));
        let is_end = |step: &Step| matches!(step, Step::Fin | Step::Rst);
        let end = if steps.contains(&Step::Rst) { End::Rst } else { End::Fin };
        let last = steps.iter().rposition(is_send).or_else(|| steps.iter().rposition(is_end));
        let (before, ending) = steps.split_at(last.unwrap_or(steps.len()));
        if !before.is_empty() {
            self.app.engine.committed().await;
            connection.run(before, &self.app).await?;
        }
        let ending = match ending {
            [Step::Send(bytes), ending @ ..] => {
                self.commit(bytes.len(), end).await;
                connection.write_last(bytes, |last| self.mark_sent(last, end)).await?;
                ending
            }
            // Nothing but waits: it ends with the simulator.
            [] => return Ok(After::Linger),
            _ => {
                self.commit(0, end).await;
                self.mark_sent(0, end);
                ending
            }
        };
        self.end = Some(end);
        connection.run(ending, &self.app).await?;
        Ok(if end == End::Rst { After::Close } else { After::Linger })
    }

    /// Waits for the store, which then has the request as it will have ended when the `last` bytes have left.
    async fn commit(&self, last: usize, end: End) {
        if let Some(entry) = &self.entry {
            refusal::commit(
                &self.app,
                entry,
                entry.sending.foresee(last, end.into()),
                self.started.elapsed(),
            )
            .await;
        }
    }

    /// Counts the request, and shows it as done. Before the last bytes of its answer: whoever has the answer finds everything counted, and
    /// the next request of a client that sends one after the other meets no other in flight.
    fn mark_sent(&mut self, last: usize, end: End) {
        if let Some(entry) = self.entry.clone() {
            self.count(&entry, entry.sending.foresee(last, end.into()));
        }
    }

    fn count(&mut self, entry: &Entry, sent: Sent) -> Duration {
        let elapsed = self.started.elapsed();
        self.counted = Some(elapsed);
        self.admission.finish();
        refusal::count(&self.app, entry, sent, elapsed);
        elapsed
    }

    /// Ends the connection in the middle of the upload.
    pub async fn cut_off<S: Socket>(self, connection: &mut Connection<S>, end: End) -> After {
        let reason = "a rule ended the connection during the upload".to_owned();
        let mut exchange = self.reject(connection, None, reason, None).await;
        // Nothing more is read: what the client still sends meets the closed socket.
        let _ = exchange.run(connection, &[end.step()]).await;
        After::Close
    }

    /// Ends a request that gets a refusal of HTTP instead.
    pub async fn refuse<S: Socket>(
        self,
        connection: &mut Connection<S>,
        head: &Head,
        refusal: &Refusal,
    ) -> After {
        let (status, reason) = (Some(refusal.status), refusal.message.clone());
        let mut exchange = self.reject(connection, status, reason, Some(refusal.hint.clone())).await;
        let (response, after) = refusal.render(head, &exchange.app);
        match exchange.send(connection, refusal.status, &response).await {
            Ok(()) => after,
            Err(_) => After::Close,
        }
    }

    /// Makes an entry without an answer of the document that of this exchange, and of what the connection sends.
    async fn reject<S: Socket>(
        mut self,
        connection: &mut Connection<S>,
        status: Option<u16>,
        reason: String,
        hint: Option<String>,
    ) -> Exchange {
        let is_shared = self.app.engine.shared().is_some();
        let record = move || {
            let engine = &self.app.engine;
            self.entry = Some(engine.record_rejection(&self.head, &self.admission, status, &reason, hint));
            self
        };
        let exchange = if is_shared { beside(record).await } else { record() };
        connection.count_in(exchange.entry.clone());
        exchange
    }

    /// Journals a request whose connection ended before its body, beside the thread that serves other connections: over a shared store
    /// that waits. Nobody waits for it but a server that stops.
    fn reject_beside(&mut self, runtime: &Handle) {
        let entry = self.app.engine.rejection(&self.head, &self.admission, None, BROKEN_OFF, None);
        self.admission.finish();
        let (app, in_flight, elapsed) =
            (Arc::clone(&self.app), InFlightGuard::start(&self.app), self.started.elapsed());
        let overflowed = self.counters_overflowed.then(|| self.head.customer_id.clone());
        runtime.spawn_blocking(move || {
            let entry = app.engine.journal.add(entry, RequestMarks::default());
            refusal::count(&app, &entry, entry.sending.foresee(0, SentEnd::None), elapsed);
            refusal::end(&app, &entry, None, elapsed);
            if let Some(customer_id) = overflowed {
                app.observer.counters_overflow(&customer_id);
            }
            drop(in_flight);
        });
    }
}

const BROKEN_OFF: &str = "the connection ended before the whole body arrived";

/// Runs what waits for the store beside the thread that serves other connections.
pub async fn beside<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        // The task is never aborted; a panic in it goes on here.
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// Admits a request over the state that replicas share, beside the thread that serves other connections: it waits for the store.
async fn admit_at_all(
    app: Arc<AppState>,
    shared: Arc<SharedStore>,
    head: RequestHead,
    arrived: Instant,
) -> Result<(RequestHead, Admission), StoreDown> {
    let admit = move || {
        let admission = app.engine.admit_at_all(&shared, &head, arrived)?;
        Ok((head, admission))
    };
    beside(admit).await
}

/// Returns what a response says of the connection, as its request wants it.
pub fn persistence(head: &Head) -> Persistence {
    if head.closes { Persistence::Close } else { Persistence::KeepAlive }
}

impl Drop for Exchange {
    fn drop(&mut self) {
        if let (None, Some(_), Ok(runtime)) = (&self.entry, self.app.engine.shared(), Handle::try_current()) {
            return self.reject_beside(&runtime);
        }
        let entry = self.entry.take().unwrap_or_else(|| {
            self.app.engine.record_rejection(&self.head, &self.admission, None, BROKEN_OFF, None)
        });
        let cut = || entry.sending.foresee(0, SentEnd::None);
        let elapsed = self.counted.unwrap_or_else(|| self.count(&entry, cut()));
        // The journal last: who learns from it that the request is over finds everything counted.
        refusal::end(&self.app, &entry, self.end, elapsed);
        if self.counters_overflowed {
            self.app.observer.counters_overflow(&self.head.customer_id);
        }
    }
}
