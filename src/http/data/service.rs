//! The HTTP service of the endpoint's listener: one for each worker thread, which serves connections one by one.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, HttpServiceBuilder, KeepAlive, Protocol, Request};
use actix_rt::net::TcpStream;
use actix_service::boxed::{self, BoxService};
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, apply_fn_factory, map_config,
};
use actix_web::dev::{AppConfig, ServiceResponse};
use actix_web::{App, HttpResponse, web};
use futures_util::future::{Either, ready};

use super::connection::Connection;
use super::connection_limit::ConnectionPermit;
use super::{endpoint, headers};
use crate::http::long_body::LongBody;
use crate::http::state::AppState;
use crate::http::timeouts::LINGER;

/// What serves one connection of the data listener.
pub(super) type ConnectionService = Rc<BoxService<(Connection, Protocol, Option<SocketAddr>), (), ()>>;

/// The HTTP service of one worker.
pub(super) async fn service(shared: &Arc<AppState>) -> Option<ConnectionService> {
    let app = || {
        let app = App::new()
            .app_data(web::Data::from(Arc::clone(shared)))
            .default_service(web::to(endpoint::serve))
            .into_factory()
            .map_err(|error: actix_web::Error| error.error_response());
        apply_fn_factory(map_config(app, |()| AppConfig::default()), |mut req: Request, app| {
            LongBody::restore(&mut req);
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
        // Who waits how long for a client is the connection's own affair, see [`timeouts`].
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
pub(super) async fn serve_connection(
    stream: TcpStream,
    seat: ConnectionPermit,
    shared: Arc<AppState>,
    service: ConnectionService,
) {
    if let Ok((connection, peer)) = Connection::accept(stream, seat, &shared).await {
        // See the error's mapping in [`service`].
        let _ = service.call((connection, Protocol::Http1, peer)).await;
    }
}
