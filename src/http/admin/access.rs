//! Access control of the admin API: programs on this machine, or any client with the token; never a web page of another origin.

use std::net::IpAddr;

use actix_web::body::MessageBody;
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::http::header::{
    AUTHORIZATION, CROSS_ORIGIN_RESOURCE_POLICY, HOST, HeaderMap, HeaderValue, ORIGIN,
};
use actix_web::http::uri::Authority;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, ResponseError, web};

use super::{ApiError, console, wrong_port};
use crate::http::admin_tokens::{AdminTokens, TokenHolder};
use crate::http::state::AppState;

/// The address that the admin listener is bound to.
#[derive(Clone, Copy, Debug)]
pub struct BoundAddress(pub IpAddr);

/// Operations that require no token: a container's health check has none. The files of the console require none either.
pub const PUBLIC_ROUTES: [&str; 3] = ["/health", "/ready", "/version"];

/// Middleware: passes an authorized request on, rejects any other, and adds the headers that every response has.
pub async fn guard(
    bound: web::Data<BoundAddress>,
    shared: web::Data<AppState>,
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let is_public = PUBLIC_ROUTES.contains(&req.path()) || console::is_static(req.path());
    let mut response = match authorize(req.headers(), is_public, bound.0, &shared.settings.admin_tokens) {
        Ok(holder) => {
            if let Some(holder) = holder {
                req.extensions_mut().insert(holder);
            }
            next.call(req).await?.map_into_left_body()
        }
        Err(error) => {
            // A client of the endpoint has no token: it is told the right port, unless the path is also one of this API.
            let is_misdirected = error.status() == StatusCode::UNAUTHORIZED && req.match_pattern().is_none();
            let wrong_port = is_misdirected.then(|| wrong_port::error(&shared, req.request())).flatten();
            let answer = wrong_port.unwrap_or(error).error_response();
            req.into_response(answer).map_into_right_body()
        }
    };
    // A page of another origin may not embed an answer either: for a thumbnail in an `img` browsers send no `Origin`.
    response.headers_mut().insert(CROSS_ORIGIN_RESOURCE_POLICY, HeaderValue::from_static("same-origin"));
    Ok(response)
}

/// Checks `Origin`, `Host` and the token of a request. Returns the holder of the token; `None` where no token is required.
///
/// # Errors
/// 403 for another origin; without a token 421 for another host; with one 401 when it is missing or wrong.
fn authorize(
    headers: &HeaderMap,
    is_public: bool,
    bound: IpAddr,
    tokens: &AdminTokens,
) -> Result<Option<TokenHolder>, ApiError> {
    let text = |name| headers.get(name).map(|value| value.to_str().unwrap_or_default());
    let host = text(HOST);
    let protected = tokens.are_required();
    if text(ORIGIN).is_some_and(|origin| !is_own_origin(origin, host, protected)) {
        return Err(ApiError::foreign_origin());
    }
    if !protected {
        let is_local = host.is_some_and(|host| is_this_machine(host, bound));
        return if is_local { Ok(None) } else { Err(ApiError::foreign_host()) };
    }
    let holder = text(AUTHORIZATION).and_then(bearer_token).and_then(|token| tokens.holder(token));
    if holder.is_none() && !is_public { Err(ApiError::unauthorized()) } else { Ok(holder) }
}

/// Returns whether the origin is this listener itself: the page came from here. With a token, the scheme does not count: the page may
/// have come through a proxy that speaks TLS.
fn is_own_origin(origin: &str, host: Option<&str>, any_scheme: bool) -> bool {
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    (any_scheme || scheme == "http") && host.is_some_and(|host| host.eq_ignore_ascii_case(authority))
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

fn bearer_token(authorization: &str) -> Option<&str> {
    let (scheme, credentials) = authorization.split_once(' ')?;
    scheme.eq_ignore_ascii_case("Bearer").then_some(credentials.trim())
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
        let tokens = AdminTokens { unnamed: token.map(str::to_owned), ..AdminTokens::default() };
        authorize(&map, PUBLIC_ROUTES.contains(&path), bound, &tokens)
            .map_or_else(|error| error.status_code().as_u16(), |_| 200)
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
    fn with_a_token_the_origin_may_have_any_scheme_but_not_another_authority() {
        let with = |origin| {
            let headers = [("host", "sim.example"), ("authorization", "Bearer s3cret"), ("origin", origin)];
            status(&headers, "/clock", Some("s3cret"))
        };
        for own in ["http://sim.example", "https://sim.example", "https://SIM.example"] {
            assert_eq!(with(own), 200, "{own}");
        }
        for other in
            ["https://sim.example:444", "https://sim.example.evil", "https://evil", "null", "", "sim.example"]
        {
            assert_eq!(with(other), 403, "{other}");
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
