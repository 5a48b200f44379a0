//! The data listener: accepts, counts, hands connections to the workers, and closes its port when a fault says so.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::connection::Connection;
use super::connection_limit::{self, ConnectionLimiter, ConnectionPermit};
use super::{endpoint, proxy};
use crate::config::PeerSource;
use crate::domain::faults::ListenerFault;
use crate::http::state::{AppState, ListenerCommand};

/// A connection on its way to the thread that serves it.
struct Accepted {
    stream: std::net::TcpStream,
    peer: SocketAddr,
    _permit: ConnectionPermit,
}

/// A thread that serves connections.
pub struct Worker {
    connections: UnboundedSender<Accepted>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a worker.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(number: usize, app: Arc<AppState>) -> io::Result<Worker> {
        let (connections, received) = unbounded_channel();
        let name = format!("frsim-worker-{number}");
        // Evaluations beside it run in threads of the same name.
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_all().thread_name(&name).build()?;
        let thread =
            std::thread::Builder::new().name(name).spawn(move || runtime.block_on(work(received, app)))?;
        Ok(Worker { connections, thread: Some(thread) })
    }

    /// Ends the worker: what it still does is dropped.
    pub fn stop(mut self) {
        let (closed, _) = unbounded_channel();
        self.connections = closed;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn work(mut received: UnboundedReceiver<Accepted>, app: Arc<AppState>) {
    while let Some(accepted) = received.recv().await {
        tokio::spawn(serve(accepted, Arc::clone(&app)));
    }
}

/// Serves a connection to its end.
async fn serve(accepted: Accepted, app: Arc<AppState>) {
    let Accepted { stream, peer, _permit } = accepted;
    let Ok(mut stream) = TcpStream::from_std(stream) else { return };
    // Without it, each response of several writes would wait for an acknowledgement.
    let _ = stream.set_nodelay(true);
    let number = app.connections.fetch_add(1, Ordering::Relaxed) + 1;
    let timeouts = app.settings.timeouts;
    let connection = if app.engine.fixtures().peer == PeerSource::ProxyProtocol {
        // Without the header the connection is closed without an answer, as proxies expect.
        let Ok(header) = proxy::read(&mut stream).await else { return };
        Connection::new(stream, number, header.source, &header.rest, timeouts)
    } else {
        Connection::new(stream, number, Some(peer), &[], timeouts)
    };
    endpoint::serve(connection, &app).await;
}

/// Accepts connections until dropped; the port is closed then.
pub async fn accept(
    listener: std::net::TcpListener,
    workers: &[Worker],
    mut commands: UnboundedReceiver<ListenerCommand>,
    app: &AppState,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let mut listener = TcpListener::from_std(listener)?;
    let limiter = Arc::new(ConnectionLimiter::default());
    let max_connections = connection_limit::of_descriptors();
    let mut turn = 0usize;
    let mut is_exhausted = false;
    loop {
        tokio::select! {
            Some(ListenerCommand { listener: fault, in_force }) = commands.recv() => match fault {
                ListenerFault::Refuse(time) => {
                    drop(listener);
                    drop(in_force);
                    until_over(app.timer.sleep(time), &mut commands).await;
                    listener = reopen(address).await;
                }
                ListenerFault::CloseOnAccept(time) => {
                    drop(in_force);
                    close_all(&listener, pin!(until_over(app.timer.sleep(time), &mut commands))).await;
                }
            },
            accepted = listener.accept() => match accepted {
                Ok(accepted) => {
                    is_exhausted = false;
                    turn = turn.wrapping_add(1);
                    hand_over(accepted, &workers[turn % workers.len()], &limiter, max_connections, app);
                }
                // Out of descriptors: accepting at once again would only burn the processor.
                Err(error) => {
                    if !std::mem::replace(&mut is_exhausted, true) {
                        app.observer.warned(&format!("the endpoint cannot accept connections: {error}"));
                    }
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            },
        }
    }
}

const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// Hands a connection to a worker, unless there are too many.
fn hand_over(
    accepted: (TcpStream, SocketAddr),
    worker: &Worker,
    limiter: &Arc<ConnectionLimiter>,
    max: usize,
    app: &AppState,
) {
    let (stream, peer) = accepted;
    let address = peer.ip().to_canonical();
    let limits = &app.engine.fixtures().limits;
    match ConnectionLimiter::take(limiter, address, limits.connections.min(max), limits.connections_per_peer)
    {
        Ok(_permit) => {
            // A worker that has ended takes no more connections: the simulator is stopping.
            let _ =
                stream.into_std().map(|stream| worker.connections.send(Accepted { stream, peer, _permit }));
        }
        Err(true) => app.observer.connection_rejected(address),
        Err(false) => {}
    }
}

/// Waits until `time` is over. A fault that is asked for meanwhile joins the one in force.
async fn until_over(time: impl Future<Output = ()>, commands: &mut UnboundedReceiver<ListenerCommand>) {
    let mut time = pin!(time);
    loop {
        tokio::select! {
            () = &mut time => return,
            Some(command) = commands.recv() => drop(command),
        }
    }
}

/// Accepts and closes, unread, until `time` is over.
async fn close_all(listener: &TcpListener, time: impl Future<Output = ()> + Unpin) {
    let mut time = time;
    loop {
        tokio::select! {
            () = &mut time => return,
            accepted = listener.accept() => {
                if accepted.is_err() {
                    tokio::time::sleep(RETRY_PAUSE).await;
                }
            }
        }
    }
}

/// Opens the port again. Somebody else may have taken it meanwhile; then this waits until it is free.
async fn reopen(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
        }
    }
}
