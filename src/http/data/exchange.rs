//! One request under way, from its head to the end of its answer, however it ends.

use std::sync::Arc;
use std::time::Instant;

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpResponse, web};
use tokio::sync::oneshot;

use super::fault_executor::SocketHandle;
use super::tracked_body::{InFlightGuard, OnSent, TrackedBody};
use crate::domain::faults::{Delivery, End, HttpAnswer, ListenerFault, Step, Upload};
use crate::engine::{Admission, RequestHead};
use crate::http::buffer_pool::Buffer;
use crate::http::state::{AppState, ListenerCommand};
use crate::state::journal::{Entry, State};
use crate::state::worker_pool::Slot;

/// A request under way. Dropped early - the client has gone - it journals itself as aborted; a server that stops waits for it.
pub struct Exchange {
    shared: web::Data<AppState>,
    head: RequestHead,
    admission: Admission,
    wire: Option<SocketHandle>,
    started: Instant,
    entry: Option<Arc<Entry>>,
    state: State,
    closes: bool,
    counters_overflowed: bool,
    /// Dropped last of all: the entry is journaled before the server thinks that nothing is under way.
    _under_way: InFlightGuard,
}

impl Exchange {
    /// Counts a request in.
    #[must_use]
    pub fn begin(shared: &web::Data<AppState>, head: RequestHead, wire: Option<SocketHandle>) -> Exchange {
        let under_way = InFlightGuard::start(shared);
        let admission = shared.engine.admit(&head, shared.timer.now());
        let started = Instant::now();
        let counters_overflowed = admission.counters_overflowed();
        Exchange {
            shared: shared.clone(),
            head,
            admission,
            wire,
            started,
            entry: None,
            state: State::Aborted,
            closes: false,
            counters_overflowed,
            _under_way: under_way,
        }
    }

    /// What happens to the upload, where a rule says so.
    #[must_use]
    pub fn upload(&self) -> Option<Upload> {
        self.admission.upload()
    }

    /// Says that the connection ends with the answer. A client that offers to upgrade it (Java's does, to HTTP/2) is answered in
    /// HTTP/1.1, and actix ends such a connection: unsaid, the client's next request would fail.
    #[must_use]
    pub fn closing_if(mut self, closes: bool) -> Exchange {
        self.closes = closes;
        self
    }

    /// Answers a body: waits, and does on the wire what rules say. The body is not kept meanwhile.
    pub async fn answer(mut self, body: Buffer) -> HttpResponse {
        let (entry, action) = self.shared.engine.answer(&self.head, &self.admission, &body);
        drop(body);
        self.entry = Some(entry);
        self.counters_overflowed |= action.counters_overflowed;
        self.shared.metrics.record_stages(&action.times);
        if let Some(slot) = action.slot {
            self.wait_for_match(slot).await;
        }
        if let Some(delay) = action.delay {
            self.shared.timer.sleep(delay).await;
        }
        match action.delivery {
            Delivery::Answer(answer) => self.send(answer),
            Delivery::Steps(steps) => {
                // First of all: whoever is cut off and comes back at once is to find the port as the fault leaves it.
                if let Some(listener) = action.listener {
                    self.command(listener).await;
                }
                self.run(steps).await
            }
        }
    }

    /// Waits for a worker of the matcher and for its work. Both go on when the client goes: a matcher does not notice that nobody
    /// waits for its answer any more, which is what makes impatient clients a load.
    async fn wait_for_match(&self, slot: Slot) {
        let timer = Arc::clone(&self.shared.timer);
        let work = actix_rt::spawn(async move {
            slot.wait_for_worker().await;
            timer.sleep(slot.service_time()).await;
        });
        // It ends otherwise only with the simulator, and this then too.
        let _ = work.await;
    }

    /// Lets something happen to the data listener, and waits until it is in force.
    async fn command(&self, listener: ListenerFault) {
        let (in_force, done) = oneshot::channel();
        // The listener is there as long as the simulator is; whoever hears of the command drops its other end.
        let _ = self.shared.listener_commands.send(ListenerCommand { listener, in_force });
        let _ = done.await;
    }

    fn send(self, answer: HttpAnswer) -> HttpResponse {
        let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
        let mut response = HttpResponse::build(status);
        if self.closes {
            response.force_close();
        }
        for (name, value) in answer.headers {
            // Names and values were found good when the rule was read.
            if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
                response.append_header((name, value));
            }
        }
        response.body(TrackedBody::new(answer.body, self))
    }

    /// Takes the steps of a fault. What is returned to HTTP never reaches the socket. Once the last byte is sent the request is
    /// done: a client that has what it wants need not stay for the end.
    async fn run(&mut self, mut steps: Vec<Step>) -> HttpResponse {
        let Some(wire) = self.wire.clone() else { return closing() };
        let last_sent = steps.iter().rposition(|step| matches!(step, Step::Send(_)));
        let ending = steps.split_off(last_sent.map_or(steps.len(), |last| last + 1));
        for part in [steps, ending] {
            if wire.run(part, &self.shared).await.is_err() {
                break;
            }
            self.state = State::Done;
        }
        closing()
    }

    /// Ends the connection in the middle of the upload.
    pub async fn cut_off(mut self, end: End) -> HttpResponse {
        let reason = "a rule ended the connection during the upload";
        self.entry = Some(self.shared.engine.record_rejection(&self.head, &self.admission, None, reason));
        // For an RST the wire hangs up itself, when all is ready for it.
        if let (End::Fin, Some(wire)) = (end, &self.wire) {
            wire.close_now();
        }
        self.run(vec![end.step()]).await
    }

    /// Ends a request that is answered with a status of HTTP's instead.
    pub fn reject(mut self, status: u16, reason: &str) {
        self.entry =
            Some(self.shared.engine.record_rejection(&self.head, &self.admission, Some(status), reason));
        self.state = State::Done;
    }
}

fn closing() -> HttpResponse {
    let mut response = HttpResponse::Ok().finish();
    response.head_mut().set_connection_type(actix_http::ConnectionType::Close);
    response
}

impl Drop for Exchange {
    fn drop(&mut self) {
        let engine = &self.shared.engine;
        let entry = self.entry.take().unwrap_or_else(|| {
            engine.record_rejection(
                &self.head,
                &self.admission,
                None,
                "the connection ended before the whole body came",
            )
        });
        let elapsed = self.started.elapsed();
        // The journal last: who learns from it that the request is over finds everything booked.
        self.shared.metrics.record(&entry, elapsed);
        self.admission.finish();
        let elapsed_us = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        if let Some(error) = engine.journal.end(&entry, self.state, elapsed_us, self.shared.timer.now()) {
            self.shared
                .observer
                .warned(&format!("the journal file cannot be written: {error}; entries are missing there"));
        }
        self.shared.observer.request(&entry);
        if self.counters_overflowed {
            self.shared.observer.counters_overflow(&self.head.customer_id);
        }
    }
}

impl OnSent for Exchange {
    fn sent(&mut self) {
        self.state = State::Done;
    }
}
