//! `POST /api/nik`: the NIK identification API of the second document. Not journaled: the journal is the endpoint's.

use percent_encoding::percent_decode_str;

use super::connection::{After, Connection};
use super::exchange::{InFlightGuard, persistence};
use super::head::Head;
use super::refusal::{self, Refusal};
use super::socket::Socket;
use crate::base::time;
use crate::domain::http_answer::HttpAnswer;
use crate::domain::nik::NikContext;
use crate::domain::nik::api::{self, NikRequestError, PATH};
use crate::http::state::AppState;

const HINT: &str = r#"send {"nik":["1234567891234567"],"process":"full"}; process may also be "limited""#;

/// Whether a path is the API's, compared decoded as the endpoint's are.
pub fn is_path(path: &str) -> bool {
    percent_decode_str(path).decode_utf8().is_ok_and(|path| path == PATH)
}

/// Answers a request for the path.
pub async fn answer<S: Socket>(
    connection: &mut Connection<S>,
    head: &Head,
    app: &std::sync::Arc<AppState>,
) -> After {
    let _in_flight = InFlightGuard::start(app);
    let (response, after) = match identify(connection, head, app).await {
        Ok(answer) => {
            let after = if head.closes { After::Linger } else { After::NextRequest };
            (answer.render(persistence(head), head.is_http_1_0), after)
        }
        Err(Some(refusal)) => refusal.render(head, app),
        Err(None) => return After::Close,
    };
    match connection.write(&response).await {
        Ok(()) => after,
        Err(_) => After::Close,
    }
}

/// Reads the body and identifies its NIKs. `None` when the client has gone.
async fn identify<S: Socket>(
    connection: &mut Connection<S>,
    head: &Head,
    app: &AppState,
) -> Result<HttpAnswer, Option<Refusal>> {
    if head.method != "POST" {
        let message = format!("{PATH} does not take {}", head.method);
        return Err(Some(Refusal::wrong_method(message, head)));
    }
    let max_bytes = app.settings.max_body;
    if let Some(refusal) = refusal::by_head(head, max_bytes) {
        return Err(Some(refusal));
    }
    connection.accept_body(head).await.map_err(|_| None)?;
    let body = connection.read_body(head.body, max_bytes).await;
    let body = body.map_err(|error| Refusal::of_body(&error, max_bytes))?;
    let policy = &app.engine.fixtures().policy;
    let now = app.engine.clock.now();
    let context = NikContext { today: time::jakarta_day(now), min_age: policy.nik_min_age };
    let invalid = |NikRequestError { message, path }| {
        let refusal = Refusal::new(400, "invalid", message, HINT);
        Some(Refusal { path: path.map(Into::into), keeps_connection: !head.closes, ..refusal })
    };
    let body = api::answer(&body, &context).map_err(invalid)?;
    let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
    Ok(HttpAnswer { status: 200, headers, body, style: policy.head, at: now })
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
