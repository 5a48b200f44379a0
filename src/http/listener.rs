//! The data listener: accepts, counts, hands connections to the workers, and closes its port when a fault says so.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_rt::net::TcpStream;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::sync::oneshot;

use super::Shared;
use crate::faults::Listener;

/// Who is connected.
#[derive(Debug, Default)]
pub struct Seats(Mutex<Taken>);

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by_peer: HashMap<IpAddr, usize>,
    /// Connections refused since there was last room.
    refused: u64,
}

/// A place that a connection takes; given back when dropped.
#[derive(Debug)]
pub struct Seat {
    seats: Arc<Seats>,
    peer: IpAddr,
}

impl Seats {
    /// Takes a place, unless all or the peer's are taken. `Err` tells whether it is the first refusal since there was room.
    fn take(
        seats: &Arc<Seats>,
        peer: IpAddr,
        most: usize,
        most_per_peer: Option<usize>,
    ) -> Result<Seat, bool> {
        let mut taken = seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_peer = taken.by_peer.get(&peer).copied().unwrap_or(0);
        if taken.all >= most || most_per_peer.is_some_and(|most| of_peer >= most) {
            taken.refused += 1;
            return Err(taken.refused == 1);
        }
        taken.refused = 0;
        taken.all += 1;
        *taken.by_peer.entry(peer).or_default() += 1;
        Ok(Seat { seats: Arc::clone(seats), peer })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock().unwrap_or_else(PoisonError::into_inner);
        taken.all -= 1;
        if let Some(count) = taken.by_peer.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                taken.by_peer.remove(&self.peer);
            }
        }
    }
}

/// A thread that serves connections.
pub struct Worker {
    connections: UnboundedSender<(std::net::TcpStream, Seat)>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts a worker.
    ///
    /// # Errors
    /// When the system refuses a thread.
    pub fn start(number: usize, shared: Arc<Shared>) -> io::Result<Worker> {
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

async fn work(mut received: UnboundedReceiver<(std::net::TcpStream, Seat)>, shared: Arc<Shared>) {
    let Some(service) = super::service(&shared).await else { return };
    while let Some((stream, seat)) = received.recv().await {
        let Ok(stream) = TcpStream::from_std(stream) else { continue };
        actix_rt::spawn(super::converse(stream, seat, Arc::clone(&shared), service.clone()));
    }
}

/// Asks for something to happen to the data listener.
#[derive(Debug)]
pub struct Command {
    pub listener: Listener,
    /// Dropped as soon as it is in force.
    pub in_force: oneshot::Sender<()>,
}

/// Accepts connections until dropped; the port is closed then.
pub async fn accept(
    listener: std::net::TcpListener,
    workers: &[Worker],
    mut commands: UnboundedReceiver<Command>,
    shared: &Shared,
) -> io::Result<()> {
    let address = listener.local_addr()?;
    let mut listener = TcpListener::from_std(listener)?;
    let seats = Arc::new(Seats::default());
    let mut turn = 0usize;
    loop {
        tokio::select! {
            Some(Command { listener: fault, in_force }) = commands.recv() => match fault {
                Listener::Refuse(time) => {
                    drop(listener);
                    drop(in_force);
                    until_over(shared.timer.sleep(time), &mut commands).await;
                    listener = reopen(address).await;
                }
                Listener::CloseOnAccept(time) => {
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
                Err(_) => tokio::time::sleep(BREATH).await,
            },
        }
    }
}

const BREATH: Duration = Duration::from_millis(10);

fn seat(stream: TcpStream, peer: SocketAddr, seats: &Arc<Seats>, worker: &Worker, shared: &Shared) {
    let fixtures = shared.engine.fixtures();
    let limits = &fixtures.limits;
    match Seats::take(seats, peer.ip().to_canonical(), limits.connections, limits.connections_per_peer) {
        Ok(seat) => {
            // A worker that has ended takes no more connections: the simulator is stopping.
            let _ = stream.into_std().map(|stream| worker.connections.send((stream, seat)));
        }
        Err(true) => shared.observer.full(peer.ip()),
        Err(false) => {}
    }
}

/// Waits until `time` is over. Who asks meanwhile asks for the same: it is in force.
async fn until_over(time: impl Future<Output = ()>, commands: &mut UnboundedReceiver<Command>) {
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
            Err(_) => tokio::time::sleep(BREATH).await,
        }
    }
}
