//! The data listener: accepts, counts, hands connections to the workers, and closes its port when a fault says so.

use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use actix_rt::net::TcpStream;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::connection_limit::{ConnectionLimiter, ConnectionPermit};
use super::service;
use crate::domain::faults::ListenerFault;
use crate::http::state::{AppState, ListenerCommand};

/// A thread that serves connections.
pub struct Worker {
    connections: UnboundedSender<(std::net::TcpStream, ConnectionPermit)>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a worker.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(number: usize, shared: Arc<AppState>) -> io::Result<Worker> {
        let (connections, received) = unbounded_channel();
        let thread = std::thread::Builder::new()
            .name(format!("frsim-worker-{number}"))
            .spawn(move || actix_rt::System::new().block_on(work(received, shared)))?;
        Ok(Worker { connections, thread: Some(thread) })
    }

    /// Ends the worker: what it still does is dropped.
    pub fn stop(mut self) {
        let (closed, _) = unbounded_channel();
        self.connections = closed;
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

async fn work(
    mut received: UnboundedReceiver<(std::net::TcpStream, ConnectionPermit)>,
    shared: Arc<AppState>,
) {
    let Some(service) = service::service(&shared).await else { return };
    while let Some((stream, seat)) = received.recv().await {
        let Ok(stream) = TcpStream::from_std(stream) else { continue };
        actix_rt::spawn(service::serve_connection(stream, seat, Arc::clone(&shared), service.clone()));
    }
}

/// Accepts connections until dropped; the port is closed then.
pub async fn accept(
    listener: std::net::TcpListener,
    workers: &[Worker],
    mut commands: UnboundedReceiver<ListenerCommand>,
    shared: &AppState,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let mut listener = TcpListener::from_std(listener)?;
    let seats = Arc::new(ConnectionLimiter::default());
    let mut turn = 0usize;
    loop {
        tokio::select! {
            Some(ListenerCommand { listener: fault, in_force }) = commands.recv() => match fault {
                ListenerFault::Refuse(time) => {
                    drop(listener);
                    drop(in_force);
                    until_over(shared.timer.sleep(time), &mut commands).await;
                    listener = reopen(address).await;
                }
                ListenerFault::CloseOnAccept(time) => {
                    drop(in_force);
                    close_all(&listener, pin!(until_over(shared.timer.sleep(time), &mut commands))).await;
                }
            },
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    turn = turn.wrapping_add(1);
                    seat(stream, peer, &seats, &workers[turn % workers.len()], shared);
                }
                // Out of descriptors: accepting at once again would only burn the processor.
                Err(_) => tokio::time::sleep(RETRY_PAUSE).await,
            },
        }
    }
}

const RETRY_PAUSE: Duration = Duration::from_millis(10);

fn seat(
    stream: TcpStream,
    peer: SocketAddr,
    seats: &Arc<ConnectionLimiter>,
    worker: &Worker,
    shared: &AppState,
) {
    let fixtures = shared.engine.fixtures();
    let limits = &fixtures.limits;
    match ConnectionLimiter::take(
        seats,
        peer.ip().to_canonical(),
        limits.connections,
        limits.connections_per_peer,
    ) {
        Ok(seat) => {
            // A worker that has ended takes no more connections: the simulator is stopping.
            let _ = stream.into_std().map(|stream| worker.connections.send((stream, seat)));
        }
        Err(true) => shared.observer.connection_rejected(peer.ip()),
        Err(false) => {}
    }
}

/// Waits until `time` is over. Who asks meanwhile asks for the same: it is in force.
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
            accepted = listener.accept() => drop(accepted),
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
