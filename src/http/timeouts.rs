//! How long the data listener waits for a client that owes it something, and the watch that ends a connection when it was too long.
//!
//! HTTP's own timers know only the first head of a connection, and nothing of a client that does not read its answer.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::{Instant, Sleep, sleep};

/// How long what a client still sends is read after a body was refused: closing at once would reset the connection, and the
/// client would never see the 413.
pub const LINGER: Duration = Duration::from_secs(2);

/// How long a client may take, in real time. There is no limit while the server itself takes its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the first byte of a request: on a new connection, and after each answer, which has to be read as well.
    pub idle: Duration,
    /// For a request's head, from its first byte.
    pub head: Duration,
    /// For a request's body.
    pub body: Duration,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        // 75 seconds idle, as proxies commonly do; ten megabytes within five minutes need 35 kB a second.
        let [idle, head, body] = [75, 30, 300].map(Duration::from_secs);
        Timeouts { idle, head, body }
    }
}

/// What those who handle requests tell their connection.
#[derive(Debug, Default)]
pub struct RequestActivity {
    begun: Cell<u64>,
    busy: Cell<bool>,
    /// The connection ends with the answer, whatever the client still sends.
    closing: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl RequestActivity {
    /// A request is handled until what this gives is dropped.
    #[must_use]
    pub fn begin(self: Rc<Self>) -> ActiveRequest {
        self.begun.set(self.begun.get() + 1);
        self.busy.set(true);
        ActiveRequest(self)
    }
}

/// A request that is being handled.
#[derive(Debug)]
pub struct ActiveRequest(Rc<RequestActivity>);

impl ActiveRequest {
    /// Lets the connection end with the answer, after a moment in which the client may read it.
    pub fn close(&self) {
        self.0.closing.set(true);
    }
}

impl Drop for ActiveRequest {
    fn drop(&mut self) {
        self.0.busy.set(false);
        // The connection has to look again, or it would not begin to wait for the next request.
        self.0.waker.take().into_iter().for_each(Waker::wake);
    }
}

/// What a client owes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expecting {
    /// Nothing: a request is handled.
    Nothing,
    /// To begin a request.
    Request,
    /// The rest of a head.
    Head,
    /// To go.
    Leave,
}

/// A connection's watch.
#[derive(Debug)]
pub struct IdleWatch {
    timeouts: Timeouts,
    handled: Rc<RequestActivity>,
    /// Requests begun when bytes last came that belong to none of them.
    head_of: Option<u64>,
    waiting: Option<(Expecting, Pin<Box<Sleep>>)>,
}

impl IdleWatch {
    /// A watch over a new connection.
    #[must_use]
    pub fn new(timeouts: Timeouts) -> IdleWatch {
        IdleWatch { timeouts, handled: Rc::default(), head_of: None, waiting: None }
    }

    /// What handlers are given.
    #[must_use]
    pub fn handled(&self) -> &Rc<RequestActivity> {
        &self.handled
    }

    fn owed(&self) -> Expecting {
        match &*self.handled {
            handled if handled.busy.get() => Expecting::Nothing,
            handled if handled.closing.get() => Expecting::Leave,
            handled if self.head_of == Some(handled.begun.get()) => Expecting::Head,
            _ => Expecting::Request,
        }
    }

    /// The connection ends, and only waits for the client to go.
    pub fn leave(&mut self) {
        self.handled.closing.set(true);
    }

    /// Bytes came. Gives what is owed when that is overdue: a client that never stops sending is not waited for, either.
    pub fn on_read(&mut self) -> Option<Expecting> {
        if self.owed() == Expecting::Request {
            self.head_of = Some(self.handled.begun.get());
        }
        let owed = self.owed();
        let timer = self.timer(owed)?;
        (timer.deadline() <= Instant::now()).then_some(owed)
    }

    /// Bytes went: the client reads its answer, and only then owes the next request, or to go.
    pub fn on_write(&mut self) {
        self.waiting.take_if(|(owed, _)| *owed != Expecting::Head);
    }

    /// Nothing came. Ready with what is owed when that is overdue.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Expecting> {
        self.handled.waker.replace(Some(cx.waker().clone()));
        let owed = self.owed();
        match self.timer(owed) {
            Some(timer) => timer.as_mut().poll(cx).map(|()| owed),
            None => Poll::Pending,
        }
    }

    /// The timer of what is owed, begun now if it was something else before; `None` when it is nothing.
    fn timer(&mut self, owed: Expecting) -> Option<&mut Pin<Box<Sleep>>> {
        let limit = match owed {
            Expecting::Nothing => {
                self.waiting = None;
                return None;
            }
            Expecting::Request => self.timeouts.idle,
            Expecting::Head => self.timeouts.head,
            Expecting::Leave => LINGER,
        };
        self.waiting.take_if(|(waited_for, _)| *waited_for != owed);
        let (_, timer) = self.waiting.get_or_insert_with(|| (owed, Box::pin(sleep(limit))));
        Some(timer)
    }
}
