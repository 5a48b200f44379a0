//! `POST /api/nik`: the NIK identification API, on the data listener. Reads the clock and the policy; the rest is `nik::api`.

use actix_web::http::{Method, header};
use actix_web::{HttpRequest, HttpResponse, ResponseError, web};
use percent_encoding::percent_decode_str;

use super::tracked_body::{InFlightGuard, TrackedBody};
use crate::base::time;
use crate::domain::nik::NikContext;
use crate::domain::nik::api::{self, NikRequestError};
use crate::http::api_error::ApiError;
use crate::http::body::{self, BodyError};
use crate::http::state::AppState;

/// Where the original program has it; the document does not say.
pub const PATH: &str = "/api/nik";

const HINT: &str = r#"send {"nik":["1234567891234567"],"process":"full"}; process may also be "limited""#;

/// Whether a path is the API's, compared decoded as the endpoint's are.
pub fn is_path(path: &str) -> bool {
    percent_decode_str(path).decode_utf8().is_ok_and(|path| path == PATH)
}

/// Answers a request for the path. Not journaled: the journal is the endpoint's.
pub async fn serve(
    req: &HttpRequest,
    payload: &mut web::Payload,
    shared: &web::Data<AppState>,
) -> HttpResponse {
    let under_way = InFlightGuard::start(shared);
    if req.method() != Method::POST {
        return ApiError::wrong_method(format!("{PATH} does not take {}", req.method()), "POST")
            .error_response();
    }
    let most = shared.settings.max_body;
    match body::read(req, payload, most).await {
        Ok(body) => answer(&body, shared, under_way).unwrap_or_else(|error| error.error_response()),
        Err(unread) => reject(&unread, most),
    }
}

fn answer(body: &[u8], shared: &AppState, under_way: InFlightGuard) -> Result<HttpResponse, ApiError> {
    let terms = NikContext {
        today: time::jakarta_day(shared.engine.clock.now()),
        min_age: shared.engine.fixtures().policy.nik_min_age,
    };
    let bytes = api::answer(body, &terms).map_err(ApiError::from)?;
    let answer = TrackedBody::new(bytes, under_way);
    Ok(HttpResponse::Ok().insert_header(header::ContentType::json()).body(answer))
}

impl From<NikRequestError> for ApiError {
    fn from(NikRequestError { message, path }: NikRequestError) -> ApiError {
        let error = ApiError::invalid(message).hint(HINT);
        match path {
            Some(path) => error.path(path),
            None => error,
        }
    }
}

/// What is left of the body would be taken for the next request, so the connection ends.
fn reject(unread: &BodyError, most: usize) -> HttpResponse {
    let error = match unread {
        BodyError::TooLarge => ApiError::too_large(format!("the body has more than {most} bytes"))
            .hint("send fewer NIKs at once, or start the simulator with a larger --max-body"),
        BodyError::Broken => ApiError::invalid("the body ended early").hint(HINT),
        BodyError::TooSlow => ApiError::too_slow(),
        BodyError::Encoded(encoding) => ApiError::encoded(encoding),
    };
    let mut response = error.error_response();
    response.head_mut().set_connection_type(actix_http::ConnectionType::Close);
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_exact_and_compared_decoded() {
        for path in ["/api/nik", "/api/%6Eik", "/%61pi/nik"] {
            assert!(is_path(path), "{path}");
        }
        for path in
            ["/api/nik/", "/api/NIK", "/api/nik/x", "//api/nik", "/api/nik%20", "/api/ni%FF", "/", "*"]
        {
            assert!(!is_path(path), "{path}");
        }
    }
}
