//! The data listener: finds the customer in the path, reads the body, hands it to the engine, sends the answer.

use std::net::IpAddr;
use std::time::Instant;

use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::Shared;
use super::body::{self, Answer, UnderWay, Unread};
use super::connection::Number;
use super::nik;
use crate::engine::Incoming;
use crate::fixtures::{Fixtures, PeerSource};
use crate::journal::State;
use crate::warnings::Headers;

/// Answers everything that comes to the data listener.
pub async fn serve(req: HttpRequest, mut payload: web::Payload, shared: web::Data<Shared>) -> HttpResponse {
    if nik::is_path(req.path()) {
        return nik::serve(&req, &mut payload, &shared).await;
    }
    let started = Instant::now();
    let under_way = UnderWay::start(&shared);
    let fixtures = shared.engine.fixtures();
    let Some(route) = Route::of(req.path(), &fixtures.prefixes) else { return unknown_path(&fixtures) };
    if req.method() != Method::POST {
        return wrong_method();
    }
    let read = body::read(&req, &mut payload, shared.settings.max_body).await;
    let incoming = Incoming {
        customer_id: &route.customer_id,
        methode: Some(&route.methode),
        body: read.as_deref().unwrap_or_default(),
        peer: peer(&req, fixtures.peer),
        connection: req.conn_data::<Number>().map_or(0, |number| number.0),
        headers: Some(headers(&req)),
    };
    match &read {
        Ok(_) => {
            let (id, verdict) = shared.engine.answer(&incoming);
            HttpResponse::Ok().insert_header(header::ContentType::json()).body(Answer::new(
                verdict.bytes,
                id,
                started,
                under_way,
            ))
        }
        Err(unread) => turn_away(unread, &incoming, &shared, started),
    }
}

fn turn_away(unread: &Unread, incoming: &Incoming, shared: &Shared, started: Instant) -> HttpResponse {
    let most = shared.settings.max_body;
    let (status, code, message, state) = match unread {
        Unread::TooLarge => (
            StatusCode::PAYLOAD_TOO_LARGE,
            "body_too_large",
            format!("the body has more than {most} bytes"),
            State::Done,
        ),
        Unread::Broken => {
            (StatusCode::BAD_REQUEST, "body_incomplete", "the body ended early".to_owned(), State::Aborted)
        }
    };
    let id = shared.engine.turn_away(incoming, status.as_u16(), &message);
    shared.finish(id, state, started);
    let hint = "send a smaller image, or start the simulator with a larger --max-body";
    let mut response = error(status, code, &message, hint);
    response.head_mut().set_connection_type(actix_http::ConnectionType::Close);
    response
}

/// Customer and methode, from a path such as `/api/face-recognition/demo/CALL_FN`.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    customer_id: String,
    methode: String,
}

impl Route {
    /// Paths are compared decoded, so that the document's stray blank is found as `%20`.
    fn of(path: &str, prefixes: &[String]) -> Option<Route> {
        let mut segments = path.rsplitn(3, '/');
        let (methode, customer_id, prefix) = (segments.next()?, segments.next()?, segments.next()?);
        let decoded = |text| percent_decode_str(text).decode_utf8().ok();
        let prefix = decoded(prefix)?;
        let known = prefixes.iter().any(|known| *known == prefix);
        let named = !customer_id.is_empty() && !methode.is_empty();
        (known && named).then_some(())?;
        Some(Route {
            customer_id: decoded(customer_id)?.into_owned(),
            methode: decoded(methode)?.into_owned(),
        })
    }
}

fn peer(req: &HttpRequest, source: PeerSource) -> Option<IpAddr> {
    let socket = req.peer_addr().map(|address| address.ip().to_canonical());
    match source {
        PeerSource::Socket | PeerSource::ProxyProtocol => socket,
        PeerSource::XForwardedFor => forwarded_for(req).or(socket),
    }
}

/// The last address is the one that the nearest proxy put there; those before it are anybody's word.
fn forwarded_for(req: &HttpRequest) -> Option<IpAddr> {
    let last = req.headers().get_all("x-forwarded-for").last()?.to_str().ok()?;
    last.rsplit(',').next()?.trim().parse::<IpAddr>().ok().map(|address| address.to_canonical())
}

fn headers(req: &HttpRequest) -> Headers {
    let text = |name| {
        let value = req.headers().get(name)?;
        Some(crate::protocol::body::cut(&String::from_utf8_lossy(value.as_bytes()), 200))
    };
    Headers {
        accept: text(header::ACCEPT),
        content_type: text(header::CONTENT_TYPE),
        user_agent: text(header::USER_AGENT),
    }
}

fn unknown_path(fixtures: &Fixtures) -> HttpResponse {
    let paths: Vec<_> =
        fixtures.prefixes.iter().map(|prefix| format!("{prefix}/{{customer_id}}/{{methode}}")).collect();
    error(
        StatusCode::NOT_FOUND,
        "not_found",
        "nothing is at this path",
        &format!("POST {} or {}", paths.join(" or "), nik::PATH),
    )
}

fn wrong_method() -> HttpResponse {
    let mut response = error(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "the endpoint takes POST only",
        "send a POST",
    );
    response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static("POST"));
    response
}

/// Answers that are not in the document at all. They have the shape of the admin API's errors.
fn error(status: StatusCode, code: &str, message: &str, hint: &str) -> HttpResponse {
    HttpResponse::build(status)
        .json(json!({ "error": { "code": code, "message": message, "path": null, "hint": hint } }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(path: &str, expected: Option<(&str, &str)>) {
        let prefixes = ["/api/face-recognition".to_owned(), "/api /face-recognition".to_owned()];
        let expected = expected.map(|(customer_id, methode)| Route {
            customer_id: customer_id.to_owned(),
            methode: methode.to_owned(),
        });
        assert_eq!(Route::of(path, &prefixes), expected, "{path}");
    }

    #[test]
    fn paths_are_found_with_and_without_the_stray_blank() {
        check("/api/face-recognition/demo/CALL_FN", Some(("demo", "CALL_FN")));
        check("/api%20/face-recognition/demo/CALL_FN", Some(("demo", "CALL_FN")));
        check("/api/face-recognition/de%6Do/CALL%20FN", Some(("demo", "CALL FN")));
        check("/api/face-recognition/%FF/CALL_FN", None);
        check("/api/face-recognition/demo", None);
        check("/api/face-recognition/demo/", None);
        check("/api/face-recognition//CALL_FN", None);
        check("/api/face-recognition/demo/CALL_FN/", None);
        check("/api/face-recognition/x/demo/CALL_FN", None);
        check("/", None);
        check("*", None);
    }
}
