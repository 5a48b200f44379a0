//! `POST /api/nik`: the NIK identification API of the second document. Not journaled: the journal is the endpoint's.

use std::io;
use std::sync::Arc;

use percent_encoding::percent_decode_str;

use super::connection::{After, Connection};
use super::exchange::{InFlightGuard, persistence};
use super::head::Head;
use super::refusal::{self, Refusal};
use super::socket::Socket;
use crate::base::time;
use crate::domain::http_answer::HttpAnswer;
use crate::domain::nik::NikContext;
use crate::domain::nik::api::{NikAnswer, NikRequestError, PATH};
use crate::http::state::AppState;

const HINT: &str = r#"send {"nik":["1234567891234567"],"process":"full"}; process may also be "limited""#;

/// Whether a path is the API's, compared decoded as the endpoint's are.
pub fn is_path(path: &str) -> bool {
    percent_decode_str(path).decode_utf8().is_ok_and(|path| path == PATH)
}

/// Answers a request for the path.
pub async fn answer<S: Socket>(connection: &mut Connection<S>, head: &Head, app: &Arc<AppState>) -> After {
    let _in_flight = InFlightGuard::start(app);
    let (sent, after) = match identify(connection, head, app).await {
        Ok((answer, length)) => {
            let after = if head.closes { After::Linger } else { After::NextRequest };
            (send(connection, head, app, &answer, length).await, after)
        }
        Err(Some(refusal)) => {
            let (response, after) = refusal.render(head, app);
            (connection.write(&response).await, after)
        }
        Err(None) => return After::Close,
    };
    if sent.is_ok() { after } else { After::Close }
}

/// Reads the body and identifies its NIKs. Returns the answer and its length; `None` when the client has gone.
async fn identify<S: Socket>(
    connection: &mut Connection<S>,
    head: &Head,
    app: &Arc<AppState>,
) -> Result<(NikAnswer, usize), Option<Refusal>> {
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
    let fixtures = app.engine.fixtures();
    let (max_niks, min_age) = (fixtures.limits.niks, fixtures.policy.nik_min_age);
    let context = NikContext { today: time::jakarta_day(app.engine.clock.now()), min_age };
    let is_long = body.len() > MAX_INLINE_BODY;
    let identify = move || {
        let answer = NikAnswer::to(body, max_niks, context)?;
        let length = answer.length();
        Ok((answer, length))
    };
    let answer = if is_long {
        let identified = async {
            // So that a client that has gone already is noticed first.
            tokio::task::yield_now().await;
            let permit = Arc::clone(&app.evaluations).acquire_owned().await;
            // The permit ends with the work, which goes on when the client goes.
            let work = tokio::task::spawn_blocking(move || (identify(), drop(permit)).0).await;
            // The task is never aborted; a panic in it goes on here.
            work.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
        };
        connection.wait(identified).await.map_err(|_| None)?
    } else {
        identify()
    };
    answer.map_err(|NikRequestError { message, path, is_too_long }| {
        let (status, code, hint) = match is_too_long {
            true => (413, "list_too_long", "send several requests, or raise limits.niks in simulator.toml"),
            false => (400, "invalid", HINT),
        };
        let refusal = Refusal::new(status, code, message, hint);
        Some(Refusal { path: path.map(Into::into), keeps_connection: !head.closes, ..refusal })
    })
}

/// Sends the answer piece by piece, so that of a long one only a part is in memory at a time. Its pieces are made for the second time: the
/// head comes before them and announces their length.
async fn send<S: Socket>(
    connection: &mut Connection<S>,
    head: &Head,
    app: &AppState,
    answer: &NikAnswer,
    length: usize,
) -> io::Result<()> {
    let http = HttpAnswer {
        status: 200,
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        body: Vec::new(),
        style: app.engine.fixtures().policy.head,
        at: app.engine.clock.now(),
    };
    let (mut bytes, end) = http.around(length, persistence(head), head.is_http_1_0);
    for piece in answer.pieces() {
        bytes.extend_from_slice(piece.as_bytes());
        if bytes.len() > BYTES_AT_ONCE {
            connection.write(&bytes).await?;
            bytes.clear();
            // A long answer does not keep the thread from others.
            tokio::task::yield_now().await;
        }
    }
    bytes.extend_from_slice(end);
    connection.write(&bytes).await
}

/// Max body that is read on the thread of its connection: some hundred NIKs.
const MAX_INLINE_BODY: usize = 16 << 10;

/// How much of an answer is made at a time.
const BYTES_AT_ONCE: usize = 64 << 10;

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
