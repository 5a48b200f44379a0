//! A connection of the endpoint in memory: what the fuzz target `connection` and `tests/it/connection.rs` check.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use dukcapil_fr_sim::Simulator;
use dukcapil_fr_sim::internals::http::connection::Connection;
use dukcapil_fr_sim::internals::http::endpoint;
use dukcapil_fr_sim::internals::http::socket::Socket;
use dukcapil_fr_sim::internals::http::timeouts::Timeouts;
use dukcapil_fr_sim::internals::state::timer::Timer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::runtime::Runtime;

/// Customers with a fault in their fixtures. They answer as others do here, because a fault's answer need not be HTTP.
const FAULTY: [&str; 5] = ["flaky", "gateway-down", "hang", "reset", "truncated"];

/// Longest time of a connection: nothing in memory is waited for.
const MAX_TIME: Duration = Duration::from_secs(20);

/// The endpoint of a simulator, without its sockets.
pub struct Endpoint {
    simulator: Simulator,
    runtime: Runtime,
}

/// A client that has sent everything and half-closed, and reads whatever comes.
struct Client {
    pieces: VecDeque<Vec<u8>>,
    received: Arc<Mutex<Vec<u8>>>,
    /// Whether the next read waits first, as between two packets.
    waits: bool,
}

/// Every sleep is over at once.
struct NoTime;

impl Timer for NoTime {
    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }
}

impl Endpoint {
    pub fn start() -> Endpoint {
        let mut builder = Simulator::builder().key_bits(1024).admin_listen(None).timer(Arc::new(NoTime));
        for customer in FAULTY {
            builder = builder.customer(customer, HashMap::from([("extends", "demo")]));
        }
        Endpoint {
            simulator: builder.start_blocking().expect("a simulator"),
            runtime: tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime"),
        }
    }

    /// Serves a connection with these bytes, in these pieces, to its end. Returns the statuses of its answers.
    ///
    /// # Panics
    /// When it does not end, answers something that is not HTTP/1.1, or leaves a request in flight.
    pub fn check(&self, pieces: VecDeque<Vec<u8>>) -> Vec<u16> {
        let received = Arc::default();
        let client = Client { pieces, received: Arc::clone(&received), waits: false };
        let app = self.simulator.app_state();
        let connection = Connection::new(client, 1, None, &[], Timeouts::default());
        self.runtime.block_on(async {
            let served = tokio::time::timeout(MAX_TIME, endpoint::serve(connection, app));
            served.await.expect("the connection does not end");
        });
        assert_eq!(*app.in_flight.borrow(), 0, "requests in flight");
        let received = received.lock().expect("no panic while it is locked");
        statuses(&received)
    }
}

/// Cuts bytes into pieces of these lengths, in turn; 255 means the rest.
pub fn cut(mut bytes: &[u8], lengths: &[u8]) -> VecDeque<Vec<u8>> {
    let mut pieces = VecDeque::new();
    let mut lengths = lengths.iter().cycle();
    while !bytes.is_empty() {
        let length = match lengths.next() {
            None | Some(255) => bytes.len(),
            Some(length) => bytes.len().min(usize::from(*length) + 1),
        };
        let (piece, rest) = bytes.split_at(length);
        pieces.push_back(piece.to_vec());
        bytes = rest;
    }
    pieces
}

/// Parses answers, back to back.
fn statuses(mut bytes: &[u8]) -> Vec<u16> {
    let mut statuses = Vec::new();
    while !bytes.is_empty() {
        let mut fields = [httparse::EMPTY_HEADER; 32];
        let mut head = httparse::Response::new(&mut fields);
        let parsed = head.parse(bytes).expect("an answer is not HTTP");
        assert_eq!(head.version, Some(1));
        let status = head.code.expect("a status");
        let length = head.headers.iter().find(|field| field.name == "content-length");
        let length = length.and_then(|field| std::str::from_utf8(field.value).ok()?.parse().ok());
        bytes = &bytes[parsed.unwrap()..];
        if status == 100 {
            continue;
        }
        statuses.push(status);
        // The refusal of a HEAD request announces a body and has none; all bodies begin like this.
        if status < 400 || bytes.starts_with(b"{") {
            bytes = &bytes[length.expect("an answer without length")..];
        }
    }
    statuses
}

impl AsyncRead for Client {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        into: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.waits = !self.waits;
        if self.waits {
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        if let Some(mut piece) = self.pieces.pop_front() {
            let rest = piece.split_off(piece.len().min(into.remaining()));
            into.put_slice(&piece);
            if !rest.is_empty() {
                self.pieces.push_front(rest);
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Client {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        // In two parts, as a full socket takes them.
        let count = bytes.len().div_ceil(2);
        self.received.lock().expect("no panic while it is locked").extend_from_slice(&bytes[..count]);
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Socket for Client {
    /// The end is seen only when nothing is left to read, as where the kernel does not tell.
    async fn read_closed(&self) {
        if !self.pieces.is_empty() {
            std::future::pending::<()>().await;
        }
    }

    async fn reset(&self) -> io::Result<()> {
        Ok(())
    }
}
