//! Access control of the admin API: programs on this machine, or any client with the token; never a web page of another origin.

use std::net::IpAddr;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{AUTHORIZATION, HOST, HeaderMap, ORIGIN};
use actix_web::http::uri::Authority;
use actix_web::middleware::Next;
use actix_web::{Error, web};
use subtle::ConstantTimeEq;

use super::ApiError;
use crate::http::state::AppState;

/// The address that the admin listener is bound to.
#[derive(Clone, Copy, Debug)]
pub struct BoundAddress(pub IpAddr);

/// Routes that require no token: a container's health check has none.
pub const PUBLIC_ROUTES: [&str; 3] = ["/health", "/ready", "/version"];

/// Middleware: passes an authorized request on, rejects any other.
pub async fn guard(
    bound: web::Data<BoundAddress>,
    shared: web::Data<AppState>,
    req: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    authorize(req.headers(), req.path(), bound.0, shared.settings.admin_token.as_deref())?;
    next.call(req).await
}

/// Checks `Origin`, `Host` and the token of a request.
///
/// # Errors
/// 403 for another origin; without a token 421 for another host; with one 401 when it is missing or wrong.
fn authorize(headers: &HeaderMap, path: &str, bound: IpAddr, token: Option<&str>) -> Result<(), ApiError> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(HOST);
    if text(ORIGIN).is_some_and(|origin| !is_own_origin(origin, host)) {
        return Err(ApiError::foreign_origin());
    }
    match token {
        None if !host.is_some_and(|host| is_this_machine(host, bound)) => Err(ApiError::foreign_host()),
        Some(token) if !PUBLIC_ROUTES.contains(&path) && !has_token(text(AUTHORIZATION), token) => {
            Err(ApiError::unauthorized())
        }
        _ => Ok(()),
    }
}

/// Returns whether the origin is this listener itself: the page came from here.
fn is_own_origin(origin: &str, host: Option<&str>) -> bool {
    origin.strip_prefix("http://").is_some_and(|authority| Some(authority) == host)
}

/// Returns whether `Host` is this machine. Protects against DNS rebinding: a page of evil.example whose name resolves to this address
/// still sends `Host: evil.example`.
fn is_this_machine(host: &str, bound: IpAddr) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host();
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name.eq_ignore_ascii_case("localhost")
        || address.is_ok_and(|address| address.to_canonical().is_loopback() || address == bound)
}

fn has_token(authorization: Option<&str>, token: &str) -> bool {
    let Some((scheme, credentials)) = authorization.and_then(|value| value.split_once(' ')) else {
        return false;
    };
    scheme.eq_ignore_ascii_case("Bearer") && credentials.trim().as_bytes().ct_eq(token.as_bytes()).into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use actix_web::http::header::{HeaderName, HeaderValue};

    fn status(headers: &[(&str, &str)], path: &str, token: Option<&str>) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            map.insert(name, HeaderValue::from_str(value).unwrap());
        }
        let bound = "192.168.1.5".parse().unwrap();
        authorize(&map, path, bound, token)
            .map_or_else(|error| actix_web::ResponseError::status_code(&error).as_u16(), |()| 200)
    }

    #[test]
    fn without_a_token_the_host_must_be_this_machine() {
        for host in
            ["localhost", "LOCALHOST:9090", "127.0.0.1:1", "127.9.9.9", "[::1]:9090", "192.168.1.5:9090"]
        {
            assert_eq!(status(&[("host", host)], "/clock", None), 200, "{host}");
        }
        for host in ["evil.example", "localhost.evil.example", "192.168.1.6", "", "a b"] {
            assert_eq!(status(&[("host", host)], "/clock", None), 421, "{host}");
        }
        assert_eq!(status(&[], "/clock", None), 421);
        assert_eq!(status(&[("host", "evil.example")], "/health", None), 421);
    }

    #[test]
    fn a_page_of_another_origin_is_rejected() {
        let with = |origin| status(&[("host", "localhost:9090"), ("origin", origin)], "/health", None);
        assert_eq!(with("http://localhost:9090"), 200);
        for origin in ["http://localhost:8080", "https://localhost:9090", "http://evil.example", "null", ""] {
            assert_eq!(with(origin), 403, "{origin}");
        }
    }

    #[test]
    fn with_a_token_all_but_the_public_routes_require_it_and_any_host_is_allowed() {
        let with = |authorization, path| {
            status(&[("host", "sim.example"), ("authorization", authorization)], path, Some("s3cret"))
        };
        assert_eq!(with("Bearer s3cret", "/clock"), 200);
        assert_eq!(with("bearer s3cret", "/clock"), 200);
        for wrong in ["Bearer s3cre", "Bearer s3crets", "Basic s3cret", "s3cret", ""] {
            assert_eq!(with(wrong, "/clock"), 401, "{wrong}");
            for path in PUBLIC_ROUTES {
                assert_eq!(with(wrong, path), 200);
            }
        }
    }
}
