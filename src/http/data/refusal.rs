//! Responses that the document does not have: what HTTP itself refuses. Each has a status, a body that says why, a line in the log and an
//! entry in the journal. The body has the shape of the admin API's errors.

use std::sync::Arc;
use std::time::Duration;

use super::body::{BodyError, announced};
use super::connection::After;
use super::head::{BodyFraming, Head, HeadError};
use crate::base::{json, text};
use crate::domain::faults::End;
use crate::domain::http_answer::{HttpAnswer, Persistence};
use crate::http::api_error::{ErrorAnswer, ErrorBody};
use crate::http::state::AppState;
use crate::state::journal::{Entry, Sent};

/// A refusal. The connection ends with it, unless nothing of a body is left unread.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub status: u16,
    pub code: &'static str,
    pub message: String,
    pub hint: String,
    /// JSON pointer to the invalid value in the body.
    pub path: Option<String>,
    /// Whether the connection can serve another request.
    pub keeps_connection: bool,
}

impl From<HeadError> for Refusal {
    fn from(HeadError { status, code, message, hint }: HeadError) -> Refusal {
        Refusal::new(status, code, message, hint)
    }
}

impl Refusal {
    pub fn new(
        status: u16,
        code: &'static str,
        message: impl Into<String>,
        hint: impl Into<String>,
    ) -> Refusal {
        Refusal {
            status,
            code,
            message: message.into(),
            hint: hint.into(),
            path: None,
            keeps_connection: false,
        }
    }

    /// A body that was not read; `None` when the connection has ended, so that there is no one to answer.
    #[must_use]
    pub fn of_body(error: &BodyError, max_bytes: usize) -> Option<Refusal> {
        match error {
            BodyError::Ended => None,
            BodyError::TooLarge => Some(Refusal::new(
                413,
                "body_too_large",
                format!("the body has more than {max_bytes} bytes"),
                "send a smaller body, or start the simulator with a larger --max-body",
            )),
            BodyError::TooSlow => Some(Refusal::new(
                408,
                "body_too_slow",
                "the body did not arrive in time",
                "send the body without pauses, or a smaller image",
            )),
            BodyError::Malformed => Some(Refusal::new(
                400,
                "malformed_request",
                "the chunks of the body are malformed",
                "send each chunk as its size in hexadecimal, CR LF, its bytes, CR LF; or send Content-Length",
            )),
        }
    }

    /// A request whose body was read, while the store that replicas share cannot be used. No code of the document: it could not be told
    /// from one that a rule answers.
    #[must_use]
    pub fn store_down(head: &Head, app: &AppState) -> Refusal {
        let why = app.engine.shared().map(|store| store.trouble()).unwrap_or_default();
        let refusal = Refusal::new(
            503,
            "store_unavailable",
            format!(
                "the store that the simulator shares with others {why}; so nothing is decided, and the request may have been counted"
            ),
            "send it again in a moment; GET /ready on the admin listener says when the store can be used again",
        );
        Refusal { keeps_connection: !head.closes, ..refusal }
    }

    /// A method that is not POST.
    pub fn wrong_method(message: impl Into<String>, head: &Head) -> Refusal {
        let refusal = Refusal::new(405, "method_not_allowed", message, "use POST");
        Refusal { keeps_connection: leaves_nothing_unread(head), ..refusal }
    }

    /// Returns the bytes of the refusal, and what comes after it. `head` is the request's, or none where it was not understood.
    pub fn render<'a>(&self, head: impl Into<Option<&'a Head>>, app: &AppState) -> (Vec<u8>, After) {
        let (persistence, after) = match self.keeps_connection {
            true => (Persistence::KeepAlive, After::NextRequest),
            false => (Persistence::Close, After::Linger),
        };
        let answer = self.http_answer(app);
        let bytes = match head.into().is_some_and(|head| head.method == "HEAD") {
            true => answer.head_without_body(persistence),
            false => answer.head_and_body(persistence),
        };
        (bytes, after)
    }

    fn http_answer(&self, app: &AppState) -> HttpAnswer {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        if self.status == 405 {
            headers.push(("allow".to_owned(), "POST".to_owned()));
        }
        if self.status == 503 {
            headers.push(("retry-after".to_owned(), "1".to_owned()));
        }
        let error = ErrorBody {
            code: self.code,
            message: self.message.clone(),
            path: self.path.clone(),
            hint: Some(self.hint.clone()),
        };
        HttpAnswer {
            status: self.status,
            headers,
            body: json::text(&ErrorAnswer { error }).into_bytes(),
            style: app.engine.fixtures().policy.head,
            at: app.engine.clock.now(),
        }
    }
}

/// Whether a connection can serve another request behind a head whose body is not read.
pub fn leaves_nothing_unread(head: &Head) -> bool {
    !head.closes && head.body == BodyFraming::Length(0)
}

/// What a head alone says against reading its body. A body that is compressed or otherwise encoded is refused: nothing is ever
/// decompressed, so that a few bytes cannot become many.
pub fn by_head(head: &Head, max_bytes: usize) -> Option<Refusal> {
    let encodings = head.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("content-encoding"));
    let mut encodings = encodings.map(|(_, value)| value.trim());
    if let Some(encoding) = encodings.find(|value| !value.eq_ignore_ascii_case("identity")) {
        let message = format!("the body is encoded: Content-Encoding is {}", text::quoted(encoding));
        return Some(Refusal::new(415, "encoded_body", message, "send plain JSON, without Content-Encoding"));
    }
    match head.body {
        BodyFraming::Length(length) if announced(length, max_bytes).is_err() => {
            Refusal::of_body(&BodyError::TooLarge, max_bytes)
        }
        _ => None,
    }
}

/// Waits until a request and what it changed is committed, together with what is `sent` of it in a moment.
pub async fn commit(app: &AppState, entry: &Entry, sent: Sent, elapsed: Duration) {
    app.engine.journal.foresee(entry, sent, elapsed);
    app.engine.committed().await;
}

/// Counts a request of which `sent` is about to have left, and shows it as ended. In this order: who sees it ended finds it counted.
pub fn count(app: &AppState, entry: &Entry, sent: Sent, elapsed: Duration) {
    app.metrics.record(entry, sent, elapsed);
    entry.sending.leave(sent, elapsed, app.timer.now());
}

/// Ends a journal entry, and tells the observer. `end` is how the simulator ended the exchange; `None` when it was cut.
pub fn end(app: &AppState, entry: &Arc<Entry>, end: Option<End>, elapsed: Duration) {
    if let Some(error) = app.engine.journal.end(entry, end, elapsed, app.timer.now()) {
        let message = format!("the journal file cannot be written: {error}; entries are missing there");
        app.observer.warned(&message);
    }
    app.observer.request(entry);
}
