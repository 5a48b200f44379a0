//! The shell around the engine: sockets, HTTP, and nothing that decides about an answer.

pub mod admin;
mod body;
mod connection;
mod endpoint;
mod nik;
mod proxy;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::{Duration, Instant};

use actix_http::{HttpService, KeepAlive};
use actix_rt::net::TcpStream;
use actix_server::Server;
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::{App, HttpServer, web};
use tokio::sync::watch;

use crate::engine::Engine;
use crate::journal::State;
use crate::observer::Observer;
use connection::Connection;

/// What both listeners share.
pub struct Shared {
    pub engine: Arc<Engine>,
    pub observer: Arc<dyn Observer>,
    pub settings: Settings,
    /// How many answers of the data listener are under way.
    pub in_flight: watch::Sender<usize>,
    /// Number of the newest connection on the data listener.
    pub connections: AtomicU64,
}

/// What the command line says about the listeners.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Largest body of a request, in bytes.
    pub max_body: usize,
    /// What the admin listener asks for, if anything.
    pub admin_token: Option<String>,
    /// Threads of the data listener.
    pub workers: usize,
}

/// How long an idle connection is kept, as proxies commonly do.
const KEEP_ALIVE: Duration = Duration::from_secs(75);

impl Shared {
    /// Closes the books on a request: journal and log.
    fn finish(&self, id: u64, state: State, started: Instant) {
        let elapsed_us = u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX);
        if let Some(entry) = self.engine.journal.finish(id, state, elapsed_us) {
            self.observer.request(&entry);
        }
    }
}

/// A server for the endpoint on a bound listener. It runs when polled inside an actix system.
///
/// # Errors
/// When the listener cannot be used.
pub fn endpoint(listener: std::net::TcpListener, shared: &Arc<Shared>) -> std::io::Result<Server> {
    let shared = Arc::clone(shared);
    let server = Server::build().workers(shared.settings.workers).disable_signals().shutdown_timeout(0);
    let server = server.listen("endpoint", listener, move || {
        let accepting = Arc::clone(&shared);
        let app = App::new()
            .app_data(web::Data::from(Arc::clone(&shared)))
            .default_service(web::to(endpoint::serve))
            .into_factory()
            .map_err(|error: actix_web::Error| error.error_response());
        fn_service(move |stream: TcpStream| connection::accept(stream, Arc::clone(&accepting))).and_then(
            HttpService::build()
                .keep_alive(KeepAlive::Timeout(KEEP_ALIVE))
                .h1_allow_half_closed(false)
                .on_connect_ext(|connection: &Connection, extensions| connection.introduce(extensions))
                .finish(map_config(app, |()| AppConfig::default())),
        )
    })?;
    Ok(server.run())
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
            .app_data(web::PayloadConfig::new(admin::MAX_BODY))
            .wrap(actix_web::middleware::from_fn(admin::access::guard))
            .configure(admin::routes)
    });
    let server = server.workers(1).disable_signals().shutdown_timeout(0).h1_allow_half_closed(false);
    Ok(server.keep_alive(KEEP_ALIVE).listen(listener)?.run())
}
