//! Starts and stops the thread that runs both servers.

use std::io;
use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use actix_web::dev::Server;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use super::memory::release_idle_memory;
use crate::http::admin;
use crate::http::data::listener::{self, Worker};
use crate::http::data::socket;
use crate::http::state::{AppState, ListenerCommand, MAX_CALLS, MAX_WAITS};

/// Handle of the thread that runs both servers. Dropping it stops them.
pub(super) struct Running {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// What the servers' thread runs with.
pub(super) struct Servers {
    pub listener: TcpListener,
    pub admin_listener: Option<TcpListener>,
    pub app: Arc<AppState>,
    pub listener_commands: UnboundedReceiver<ListenerCommand>,
    pub grace: Duration,
}

impl Running {
    pub(super) fn start(servers: Servers) -> io::Result<Running> {
        let (stop, stopped) = oneshot::channel();
        let (report, started) = mpsc::sync_channel(1);
        let thread = std::thread::Builder::new().name("frsim".to_owned()).spawn(move || {
            actix_web::rt::System::new().block_on(servers.serve(stopped, report));
        })?;
        let running = Running { stop: Some(stop), thread: Some(thread) };
        started.recv().unwrap_or_else(|_| Err(io::Error::other("the servers' thread ended")))?;
        Ok(running)
    }

    pub(super) fn stop(&mut self) {
        // Both fail harmlessly when the thread has already ended.
        let _ = self.stop.take().map(|stop| stop.send(()));
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Servers {
    /// Runs both servers until they are stopped.
    async fn serve(self, stopped: oneshot::Receiver<()>, report: mpsc::SyncSender<io::Result<()>>) {
        let Servers { listener, admin_listener, app: shared, listener_commands, grace } = self;
        let started = start_servers(&listener, admin_listener, &shared);
        let (workers, admin) = match started {
            Ok(started) => started,
            Err(error) => return drop(report.send(Err(error))),
        };
        let handle = admin.as_ref().map(Server::handle);
        let admin = admin.map(actix_web::rt::spawn);
        // The starter may have been dropped; then the sender of `stopped` is dropped too, and the server stops below.
        let _ = report.send(Ok(()));
        tokio::select! {
            // Dropped on stop, which closes the port whatever a fault was doing with it.
            _ = listener::accept(listener, &workers, listener_commands, &shared) => {}
            _ = stopped => {}
            () = shared.shutdown.notified() => {}
            () = release_idle_memory(&shared) => {}
        }
        shared.stopping.send_replace(true);
        let mut in_flight = shared.in_flight.subscribe();
        let all_done = async {
            let _ = in_flight.wait_for(|count| *count == 0).await;
            // All permits are free once no call waits.
            let _ = shared.waits.acquire_many(MAX_WAITS as u32).await;
            let _ = shared.calls.acquire_many(MAX_CALLS as u32).await;
        };
        let _ = tokio::time::timeout(grace, all_done).await;
        // A worker ends with what is evaluated beside it, which may wait for the engine much longer.
        shared.engine.matcher.faces.stop();
        workers.into_iter().for_each(Worker::stop);
        if let (Some(handle), Some(admin)) = (handle, admin) {
            handle.stop(false).await;
            let _ = admin.await;
        }
    }
}

fn start_servers(
    listener: &TcpListener,
    admin_listener: Option<TcpListener>,
    shared: &Arc<AppState>,
) -> io::Result<(Vec<Worker>, Option<Server>)> {
    listener.set_nonblocking(true)?;
    socket::await_many(listener);
    let workers = (1..=shared.settings.workers).map(|number| Worker::start(number, Arc::clone(shared)));
    let workers = workers.collect::<io::Result<Vec<_>>>()?;
    Ok((workers, admin_listener.map(|listener| admin::server::start(listener, shared)).transpose()?))
}
