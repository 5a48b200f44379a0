//! Passes bytes between clients and an endpoint, untouched and without waiting for the recorder, which gets a copy.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use super::recorder::{ConnectionTap, RecorderHandle, StreamSide};
use crate::http::data::socket::{Socket, await_many};

/// Bytes of a read at most, and at least.
const MAX_READ: usize = 64 << 10;
const MIN_READ: usize = 4 << 10;
/// After an accept that failed, as for want of descriptors.
const RETRY_PAUSE: Duration = Duration::from_millis(50);
/// How long an answer that is under way is waited for at the end.
const GRACE: Duration = Duration::from_secs(5);
/// An answer of which nothing came for so long has ended.
const QUIET: Duration = Duration::from_secs(2);

/// How the traffic was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ProxySummary {
    pub connections: u64,
    /// Those for which the endpoint could not be reached.
    pub unreachable: u64,
}

/// Passes connections on until `stop` is true; then waits a moment for those that are under way.
///
/// # Errors
/// The listener cannot be used.
pub async fn run(
    listener: std::net::TcpListener,
    upstream: SocketAddr,
    recorder: &RecorderHandle,
    mut stop: watch::Receiver<bool>,
) -> io::Result<ProxySummary> {
    await_many(&listener);
    listener.set_nonblocking(true)?;
    let listener = TcpListener::from_std(listener)?;
    let mut tasks = JoinSet::new();
    let mut summary = ProxySummary::default();
    let stopping = stop.clone();
    loop {
        tokio::select! {
            _ = stop.wait_for(|stop| *stop) => break,
            Some(reached) = tasks.join_next() => summary.unreachable += u64::from(matches!(reached, Ok(false))),
            accepted = listener.accept() => match accepted {
                Ok((client, _)) => {
                    summary.connections += 1;
                    tasks.spawn(pass(client, upstream, recorder.clone(), summary.connections, stopping.clone()));
                }
                Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
            },
        }
    }
    drop(listener);
    while let Some(reached) = tasks.join_next().await {
        summary.unreachable += u64::from(matches!(reached, Ok(false)));
    }
    Ok(summary)
}

/// Passes one connection on to its end. Returns whether the endpoint was reached.
async fn pass(
    client: TcpStream,
    upstream: SocketAddr,
    recorder: RecorderHandle,
    number: u64,
    stop: watch::Receiver<bool>,
) -> bool {
    let _ = client.set_nodelay(true);
    let begin = Instant::now();
    let connected = tokio::select! {
        connected = TcpStream::connect(upstream) => connected.ok(),
        () = stopped(stop.clone()) => None,
    };
    let Some(server) = connected else {
        // As near to a refused connection as one that was accepted can be.
        let _ = client.reset().await;
        return false;
    };
    let _ = server.set_nodelay(true);
    let tap = recorder.opened(number, begin.elapsed());
    let by_reset = exchange_bytes(client, server, &tap, stop).await;
    tap.end(by_reset);
    true
}

async fn stopped(mut stop: watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The side whose socket failed.
struct BrokenSide {
    side: StreamSide,
    is_reset: bool,
}

/// When bytes came last, and from whom.
struct LastBytes {
    begin: Instant,
    millis: AtomicU64,
    of_client: AtomicBool,
}

impl LastBytes {
    fn note(&self, side: StreamSide) {
        let millis = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.millis.store(millis, Ordering::Relaxed);
        self.of_client.store(side == StreamSide::Client, Ordering::Relaxed);
    }

    /// Completes when nothing is under way after the stop, or too long.
    async fn quiet(&self, stop: watch::Receiver<bool>) {
        stopped(stop).await;
        let deadline = Instant::now() + GRACE;
        let is_quiet = || {
            let silence = self
                .begin
                .elapsed()
                .saturating_sub(Duration::from_millis(self.millis.load(Ordering::Relaxed)));
            !self.of_client.load(Ordering::Relaxed) && silence >= QUIET
        };
        while !is_quiet() && Instant::now() < deadline {
            tokio::time::sleep(QUIET / 4).await;
        }
    }
}

/// Passes bytes in both directions until both have ended. Returns whether a reset ended them.
async fn exchange_bytes(
    mut client: TcpStream,
    mut server: TcpStream,
    tap: &ConnectionTap,
    stop: watch::Receiver<bool>,
) -> bool {
    let last =
        LastBytes { begin: Instant::now(), millis: AtomicU64::new(0), of_client: AtomicBool::new(false) };
    let broken = {
        let (mut client_reads, mut client_writes) = client.split();
        let (mut server_reads, mut server_writes) = server.split();
        let up = copy(&mut client_reads, &mut server_writes, StreamSide::Client, tap, &last);
        let down = copy(&mut server_reads, &mut client_writes, StreamSide::Server, tap, &last);
        tokio::select! {
            broken = both(up, down) => broken,
            () = last.quiet(stop) => None,
        }
    };
    let Some(BrokenSide { side, is_reset }) = broken else { return false };
    let other = if side == StreamSide::Client { server } else { client };
    let _ = other.reset().await;
    is_reset
}

/// Waits for both directions. An endpoint that takes no more may have answered: what it sent before is passed on first.
async fn both(
    up: impl Future<Output = Result<(), BrokenSide>>,
    down: impl Future<Output = Result<(), BrokenSide>>,
) -> Option<BrokenSide> {
    tokio::pin!(up, down);
    tokio::select! {
        ended = &mut up => match ended {
            Ok(()) => down.await.err(),
            Err(broken) => {
                if broken.side == StreamSide::Server {
                    let _ = down.await;
                }
                Some(broken)
            }
        },
        ended = &mut down => match ended {
            Ok(()) => up.await.err(),
            Err(broken) => Some(broken),
        },
    }
}

/// Passes the bytes of one side on, and then its end.
async fn copy(
    from: &mut ReadHalf<'_>,
    to: &mut WriteHalf<'_>,
    side: StreamSide,
    tap: &ConnectionTap,
    last: &LastBytes,
) -> Result<(), BrokenSide> {
    let other = if side == StreamSide::Client { StreamSide::Server } else { StreamSide::Client };
    let broken = |side: StreamSide| {
        move |error: io::Error| {
            tap.left(side);
            BrokenSide { side, is_reset: is_reset(&error) }
        }
    };
    let mut buffer = BytesMut::new();
    loop {
        if buffer.capacity() < MIN_READ {
            buffer.reserve(MAX_READ);
        }
        if from.read_buf(&mut buffer).await.map_err(broken(side))? == 0 {
            tap.left(side);
            return to.shutdown().await.map_err(broken(other));
        }
        let bytes = buffer.split().freeze();
        tap.copy(side, bytes.clone());
        to.write_all(&bytes).await.map_err(broken(other))?;
        last.note(side);
    }
}

fn is_reset(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::ConnectionAborted | ErrorKind::BrokenPipe)
}
