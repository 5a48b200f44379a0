//! The data listener: finds the customer in the path, reads the body, hands it to the engine, sends the answer.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;

use actix_http::ConnectionType;
use actix_web::http::{Method, StatusCode, header};
use actix_web::{HttpRequest, HttpResponse, web};
use percent_encoding::percent_decode_str;
use serde_json::json;

use super::connection::Number;
use super::exchange::Exchange;
use super::fault_executor::SocketHandle;
use super::{headers, nik};
use crate::base::text;
use crate::config::{Fixtures, PeerSource};
use crate::domain::faults::Upload;
use crate::domain::nik::mask::without_niks;
use crate::domain::warnings::Headers;
use crate::engine::RequestHead;
use crate::http::body::{self, BodyError};
use crate::http::long_body::LongBody;
use crate::http::state::AppState;
use crate::http::timeouts::RequestActivity;

/// Answers everything that comes to the data listener.
pub async fn serve(req: HttpRequest, mut payload: web::Payload, shared: web::Data<AppState>) -> HttpResponse {
    let handling = req.conn_data::<Rc<RequestActivity>>().cloned().map(RequestActivity::begin);
    let mut answer = answer(&req, &mut payload, &shared).await;
    if LongBody::of(&req).is_some_and(|body| body.is_left()) {
        answer.head_mut().set_connection_type(ConnectionType::Close);
    }
    if let (ConnectionType::Close, Some(handling)) = (answer.head().connection_type(), handling) {
        handling.close();
    }
    answer
}

/// Whether a request's body is to be read, judged by its head.
#[must_use]
pub fn wants_body(req: &actix_http::Request, shared: &AppState) -> bool {
    let is_route = || Route::of(req.path(), &shared.engine.fixtures().prefixes).is_some();
    *req.method() == Method::POST
        && (nik::is_path(req.path()) || is_route())
        && body::reject_by_head(&req.head().headers, shared.settings.max_body).is_none()
}

async fn answer(req: &HttpRequest, payload: &mut web::Payload, shared: &web::Data<AppState>) -> HttpResponse {
    if nik::is_path(req.path()) {
        return nik::serve(req, payload, shared).await;
    }
    let fixtures = shared.engine.fixtures();
    let Some(route) = Route::of(req.path(), &fixtures.prefixes) else {
        log_unmatched(shared, StatusCode::NOT_FOUND, req);
        return unknown_path(&fixtures);
    };
    if req.method() != Method::POST {
        log_unmatched(shared, StatusCode::METHOD_NOT_ALLOWED, req);
        return wrong_method();
    }
    let wire = req.conn_data::<SocketHandle>().cloned();
    let exchange = Exchange::begin(shared, head(req, route, fixtures.peer), wire)
        .closing_if(req.head().connection_type() == ConnectionType::Upgrade);
    let most = shared.settings.max_body;
    let read = match exchange.upload() {
        None => body::read(req, payload, most).await,
        Some(Upload::Unread) => Ok(Vec::new().into()),
        Some(Upload::Slowly(rate)) => body::read_slowly(req, payload, most, rate, &*shared.timer).await,
        Some(Upload::CloseAt(at, end)) => {
            body::read_part(req, payload, at, most).await;
            return exchange.cut_off(end).await;
        }
    };
    match read {
        Ok(bytes) => exchange.answer(bytes).await,
        Err(unread) => reject(unread, exchange, most),
    }
}

fn log_unmatched(shared: &AppState, status: StatusCode, req: &HttpRequest) {
    let path = if shared.engine.shows_nik() { Cow::Borrowed(req.path()) } else { without_niks(req.path()) };
    shared.observer.unknown_path(status.as_u16(), req.method().as_str(), &path);
}

fn reject(unread: BodyError, exchange: Exchange, most: usize) -> HttpResponse {
    let mut response = match unread {
        BodyError::TooLarge => {
            let message = format!("the body has more than {most} bytes");
            exchange.reject(StatusCode::PAYLOAD_TOO_LARGE.as_u16(), &message);
            let hint = "send a smaller image, or start the simulator with a larger --max-body";
            error(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", &message, hint)
        }
        BodyError::TooSlow => {
            let message = "the body did not come in time";
            exchange.reject(StatusCode::REQUEST_TIMEOUT.as_u16(), message);
            let hint = "send the body without pauses, or a smaller image";
            error(StatusCode::REQUEST_TIMEOUT, "body_too_slow", message, hint)
        }
        BodyError::Encoded(encoding) => {
            let message = format!("the body is encoded: Content-Encoding is {}", text::quoted(&encoding));
            exchange.reject(StatusCode::UNSUPPORTED_MEDIA_TYPE.as_u16(), &message);
            error(StatusCode::UNSUPPORTED_MEDIA_TYPE, "encoded_body", &message, "send the JSON as it is")
        }
        // Dropping the exchange journals it as aborted. Mostly nobody is there any more to read this.
        BodyError::Broken => error(
            StatusCode::BAD_REQUEST,
            "body_incomplete",
            "the body broke off, or is not chunked as it says",
            "send as many bytes as Content-Length announces, or whole chunks",
        ),
    };
    response.head_mut().set_connection_type(actix_http::ConnectionType::Close);
    response
}

fn head(req: &HttpRequest, route: Route, source: PeerSource) -> RequestHead {
    let peer = peer(req, source);
    let no_forwarded_peer = source == PeerSource::XForwardedFor && peer.is_none();
    RequestHead {
        customer_id: route.customer_id,
        methode: Some(route.methode),
        peer,
        connection: req.conn_data::<Number>().map_or(0, |number| number.0),
        headers: Some(Headers { no_forwarded_peer, ..headers(req) }),
    }
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

/// `None` when a proxy was to name the peer and does not: then it is not the proxy's own address either.
fn peer(req: &HttpRequest, source: PeerSource) -> Option<IpAddr> {
    match source {
        PeerSource::Socket | PeerSource::ProxyProtocol => {
            req.peer_addr().map(|address| address.ip().to_canonical())
        }
        PeerSource::XForwardedFor => {
            forwarded_for(headers::of(req).get_all("x-forwarded-for").last()?.to_str().ok()?)
        }
    }
}

/// The last address is the one that the nearest proxy put there; those before it are anybody's word. Some proxies add a port.
fn forwarded_for(list: &str) -> Option<IpAddr> {
    let last = list.rsplit(',').next()?.trim();
    let address = last.parse::<IpAddr>().or_else(|_| last.parse::<SocketAddr>().map(|socket| socket.ip()));
    let bracketed = || last.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    address.ok().or_else(bracketed).map(|address| address.to_canonical())
}

/// Longest header value that is kept.
const HEADER_CHARS: usize = 500;

fn headers(req: &HttpRequest) -> Headers {
    let text = |value: &header::HeaderValue| {
        text::truncate(&String::from_utf8_lossy(value.as_bytes()), HEADER_CHARS)
    };
    let all = headers::of(req).iter().map(|(name, value)| (name.as_str().to_owned(), text(value))).collect();
    Headers { all, no_forwarded_peer: false }
}

fn unknown_path(fixtures: &Fixtures) -> HttpResponse {
    let paths: Vec<_> = fixtures
        .prefixes
        .iter()
        .map(|prefix| format!("{}/{{customer_id}}/{{methode}}", prefix.replace(' ', "%20")))
        .collect();
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
    fn the_last_forwarded_address_counts() {
        let address = |list: &str| forwarded_for(list).map(|address| address.to_string());
        assert_eq!(address("8.8.8.8, 10.0.0.5").as_deref(), Some("10.0.0.5"));
        assert_eq!(address("10.0.0.5:1234").as_deref(), Some("10.0.0.5"));
        assert_eq!(address("[::1]:80").as_deref(), Some("::1"));
        assert_eq!(address("[::1]").as_deref(), Some("::1"));
        assert_eq!(address("10.0.0.5, unknown"), None);
        assert_eq!(address(""), None);
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
