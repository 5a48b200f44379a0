//! The shell around the engine: sockets, HTTP, and nothing that decides about an answer.

pub mod admin;
mod body;
mod connection;
mod endpoint;
mod headers;
mod intake;
pub mod listener;
mod nik;
pub mod patience;
pub mod places;
mod proxy;
mod visit;
mod wire;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use actix_http::{HttpService, HttpServiceBuilder, KeepAlive, Protocol, Request};
use actix_rt::net::TcpStream;
use actix_server::Server;
use actix_service::boxed::{self, BoxService};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory, map_config,
};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::{App, HttpResponse, HttpServer, web};
use futures_util::future::{Either, ready};
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::{Notify, watch};

use crate::buffers::Buffers;
use crate::engine::Engine;
use crate::metrics::Metrics;
use crate::observer::Observer;
use crate::reloading::Reloader;
use crate::timer::Timer;
use connection::Connection;
use intake::Aside;
use listener::{Command, Seat};
use patience::Patience;
use places::Places;

/// What both listeners share.
pub struct Shared {
    pub engine: Arc<Engine>,
    pub observer: Arc<dyn Observer>,
    pub settings: Settings,
    pub timer: Arc<dyn Timer>,
    /// How many answers of the data listener are under way.
    pub in_flight: watch::Sender<usize>,
    /// Number of the newest connection on the data listener.
    pub connections: AtomicU64,
    /// Tells the data listener to close its port for a while.
    pub gate: UnboundedSender<Command>,
    /// Calls of the admin API that wait for requests.
    pub waits: Places,
    /// Those who follow the events.
    pub readers: Places,
    pub metrics: Metrics,
    /// Memory of the data listener's bodies.
    pub buffers: Arc<Buffers>,
    /// Whether the simulator is stopping: no new connections, and what hangs is cut.
    pub stopping: watch::Sender<bool>,
    /// Asks for the stop.
    pub shutdown: Notify,
    pub reloader: Arc<Reloader>,
    /// What the simulator was started with, for those who ask.
    pub start: Start,
}

/// What a simulator was started with, as far as nothing else here has it.
pub struct Start {
    pub endpoint: SocketAddr,
    pub admin: Option<SocketAddr>,
    pub seed: u64,
    pub keys: Option<PathBuf>,
    pub journal_bytes: usize,
    pub journal_file: Option<PathBuf>,
    pub grace: Duration,
}

/// What the command line says about the listeners.
#[derive(Clone)]
pub struct Settings {
    /// Largest body of a request, in bytes.
    pub max_body: usize,
    /// What the admin listener asks for, if anything.
    pub admin_token: Option<String>,
    /// Threads of the data listener.
    pub workers: usize,
    /// How long clients of the data listener may take.
    pub patience: Patience,
}

/// How long an idle connection of the admin listener is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

/// How long what a client still sends is read after a body was refused: closing at once would reset the connection, and the
/// client would never see the 413.
const LINGER: Duration = Duration::from_secs(2);

/// What serves one connection of the data listener.
type ConnectionService = Rc<BoxService<(Connection, Protocol, Option<SocketAddr>), (), ()>>;

/// The HTTP service of one worker.
async fn service(shared: &Arc<Shared>) -> Option<ConnectionService> {
    let app = || {
        let app = App::new()
            .app_data(web::Data::from(Arc::clone(shared)))
            .default_service(web::to(endpoint::serve))
            .into_factory()
            .map_err(|error: actix_web::Error| error.error_response());
        apply_fn_factory(map_config(app, |()| AppConfig::default()), |mut req: Request, app| {
            Aside::restore(&mut req);
            headers::take(&mut req);
            app.call(req)
        })
    };
    let judge = Arc::clone(shared);
    // A client that asks before it sends its body is told at once when nobody wants it, by the same handler.
    let expect = apply_fn_factory(app(), move |req: Request, app| match endpoint::wants_body(&req, &judge) {
        true => Either::Left(ready(Ok(req))),
        false => Either::Right(refusal(app.call(req))),
    });
    let builder = HttpService::build()
        // Who waits how long for a client is the connection's own affair, see [`patience`].
        .keep_alive(KeepAlive::Os)
        .client_request_timeout(Duration::ZERO)
        .client_disconnect_timeout(LINGER)
        .h1_allow_half_closed(false)
        .on_connect_ext(|connection: &Connection, extensions| connection.introduce(extensions));
    let factory = HttpServiceBuilder::expect(builder, expect)
        .finish(app())
        // A broken connection is the client's affair; its requests are journaled as aborted.
        .map_err(|_| ());
    factory.new_service(()).await.ok().map(|service| Rc::new(boxed::service(service)))
}

/// The answer to a request whose body is not wanted.
async fn refusal(
    answer: impl Future<Output = Result<ServiceResponse, HttpResponse>>,
) -> Result<Request, HttpResponse> {
    match answer.await {
        Ok(answer) => Err(answer.into_parts().1),
        Err(answer) => Err(answer),
    }
}

/// Serves one connection to its end.
async fn converse(stream: TcpStream, seat: Seat, shared: Arc<Shared>, service: ConnectionService) {
    if let Ok((connection, peer)) = Connection::accept(stream, seat, &shared).await {
        // See the error's mapping in [`service`].
        let _ = service.call((connection, Protocol::Http1, peer)).await;
    }
}

/// A server for the admin API on a bound listener. It runs when polled inside an actix system.
///
/// # Errors
/// When the listener cannot be used.
pub fn admin(listener: std::net::TcpListener, shared: &Arc<Shared>) -> std::io::Result<Server> {
    let shared = Arc::clone(shared);
    let bound = admin::access::Bound(listener.local_addr()?.ip());
    let server = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::from(Arc::clone(&shared)))
            .app_data(web::Data::new(bound))
            .wrap(actix_web::middleware::from_fn(admin::access::guard))
            .configure(admin::routes)
    });
    let server = server.workers(1).disable_signals().shutdown_timeout(0).h1_allow_half_closed(false);
    Ok(server.keep_alive(KEEP_ALIVE).listen(listener)?.run())
}
