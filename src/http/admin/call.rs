//! `POST /call`: builds, encrypts and sends one request to the simulator's own endpoint, never elsewhere, and returns what came back.
//!
//! Browsers cannot encrypt with PKCS#1 v1.5, and the endpoint allows no page of another origin. While a call waits for its response, the
//! admin thread serves others.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::{HttpRequest, HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use super::{ApiError, Json, gallery, json};
use crate::base::duration::DurationText;
use crate::base::network::from_here;
use crate::base::text;
use crate::config::model::{AccountSpec, NikText};
use crate::config::{PeerSource, source};
use crate::domain::warnings::MAX_VALUE_CHARS;
use crate::http::api_error::escaped;
use crate::http::breakage::Breakage;
use crate::http::caller::{self, CallEnd, CallResult, HeaderLine};
use crate::http::client_request::{Fields, Request};
use crate::http::state::{AppState, MAX_CALLS, reachable};
use crate::keys;
use crate::protocol::encoding::{self, Base64Mode};
use crate::state::journal::{Entry, JournalEvent, MAX_TEXT_CHARS, SharedEvent, State};

/// Body of `POST /call`. What is absent is as the customer's clients send it.
// No Debug, because it would print the photo.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CallRequest {
    /// The `customer_id` in the request path; an unknown one is sent too, to see the answer.
    customer_id: String,
    /// The `methode` in the request path; default: the customer's first.
    methode: Option<String>,
    /// Credentials in plain text; default: the customer's own.
    #[serde(default, deserialize_with = "object")]
    account: AccountSpec,
    /// The `transactionId`; default: generated.
    transaction_id: Option<String>,
    /// The `transactionSource`; default: `console`.
    transaction_source: Option<String>,
    /// The `threshold`, sent as it is, also of a wrong type; default: `"7"`.
    threshold: Option<Value>,
    /// The `ip`; default: one that the customer may call from.
    ip: Option<String>,
    /// NIK of an identity in the gallery, whose picture is the photo; default, without `image`: a built-in photo.
    nik: Option<NikText>,
    /// The photo: a file in base64.
    image: Option<String>,
    /// A mistake that the request has.
    r#break: Option<Breakage>,
    /// More headers, or other values of `User-Agent`, `Accept` and `Content-Type`.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    /// Timeout for the whole response, in real time; max 2 minutes.
    #[serde(default = "one_minute")]
    timeout: DurationText,
}

fn one_minute() -> DurationText {
    DurationText(Duration::from_secs(60))
}

const MAX_TIMEOUT: Duration = Duration::from_secs(120);

/// Max time until the entry of a call that has ended has ended too: the simulator notices the client's end.
const ENTRY_PATIENCE: Duration = Duration::from_secs(2);

/// Headers that follow from the connection and the body.
const OWN_HEADERS: [&str; 6] =
    ["host", "content-length", "transfer-encoding", "connection", "expect", "upgrade"];

/// A request that was sent.
#[derive(Serialize, JsonSchema)]
struct SentRequest {
    /// URL, as the caller of the admin API reaches the endpoint.
    url: String,
    headers: Vec<HeaderLine>,
    /// The whole body: `body.json` of `curl`.
    body: String,
}

/// Response of `POST /call`.
#[derive(Serialize, JsonSchema)]
pub struct CallAnswer {
    sent: SentRequest,
    /// HTTP status; null when no whole head came.
    status: Option<u16>,
    /// Headers, in the order and case in which they came.
    headers: Vec<HeaderLine>,
    /// The body in base64, without its chunking; where that is malformed, and where no whole head came, all bytes as they came.
    body_base64: String,
    /// The same as text; bytes that are not UTF-8 are replaced.
    text: String,
    end: CallEnd,
    /// Microseconds from the start to the connection; null without one.
    connect_us: Option<u64>,
    /// Microseconds from the start to the first byte; null without one.
    first_byte_us: Option<u64>,
    /// Microseconds from the start to the end.
    total_us: u64,
    /// A command that sends the same request: save `sent.body` as `body.json`.
    curl: String,
    /// The journal's entry of the request; null when there is none, because the request was not read.
    entry: Option<Arc<Entry>>,
}

pub async fn call(
    shared: web::Data<AppState>,
    req: HttpRequest,
    body: Json<CallRequest>,
) -> Result<HttpResponse, ApiError> {
    let Json(call) = body;
    let _permit = shared
        .calls
        .try_acquire()
        .map_err(|_| ApiError::too_many(format!("{MAX_CALLS} calls are already under way")))?;
    let DurationText(timeout) = call.timeout;
    if timeout > MAX_TIMEOUT {
        return Err(ApiError::invalid("timeout must be at most 2 minutes").path("/timeout"));
    }
    let id = format!("call-{:015x}", rand::random::<u64>() >> 4);
    let outgoing = Outgoing::new(&shared, call, &id)?;
    let mut stopping = shared.stopping.subscribe();
    tokio::select! {
        // First, because a shutdown also ends the exchange.
        biased;
        _ = stopping.wait_for(|stopping| *stopping) => Err(ApiError::stopping()),
        (result, entry) = outgoing.exchange(&shared, timeout) => {
            let called = req.connection_info().host().to_owned();
            Ok(json(&outgoing.answer(&reachable(shared.start.endpoint, &called), result, entry)))
        }
    }
}

/// Reads an object; serde's derived readers also take an array of the members' values.
fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(input: D) -> Result<T, D::Error> {
    struct Members<T>(PhantomData<T>);
    impl<'de, T: Deserialize<'de>> Visitor<'de> for Members<T> {
        type Value = T;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<T, A::Error> {
            T::deserialize(MapAccessDeserializer::new(members))
        }
    }
    input.deserialize_map(Members(PhantomData))
}

/// A request that is ready to be sent.
struct Outgoing {
    /// Percent-encoded.
    path: String,
    /// Without those of [`OWN_HEADERS`].
    headers: Vec<HeaderLine>,
    body: String,
    /// What the journal has of this request.
    recorded: Recorded,
    /// The default `User-Agent`, of this call only.
    generated: String,
}

impl Outgoing {
    /// Builds a request. `id` is the default of `transactionId`, and makes the default `User-Agent` unique.
    fn new(shared: &AppState, call: CallRequest, id: &str) -> Result<Outgoing, ApiError> {
        let engine = &shared.engine;
        let fixtures = engine.fixtures();
        let photo = photo(shared, call.nik, call.image)?;
        let customer = engine.customer(&call.customer_id);
        let known = customer.as_deref();
        let own = known.map(|customer| &customer.account);
        let text = |given: Option<String>, own: Option<&str>, default: &str| {
            given.unwrap_or_else(|| own.unwrap_or(default).to_owned())
        };
        let methode = text(
            call.methode,
            known.and_then(|customer| Some(customer.methode.first()?.as_str())),
            "CALL_FN",
        );
        let user_id = text(call.account.user_id, own.map(|account| account.user_id.as_str()), "demo-user");
        let password =
            text(call.account.password, own.map(|account| account.password.as_str()), "demo-password");
        let allowed = known.map(|customer| customer.allowed_address().to_string());
        let ip = text(call.ip, allowed.as_deref(), "127.0.0.1");
        let key = known.map_or(fixtures.keys.server(), |customer| &customer.key);
        let key = keys::read_public_pem(key.public_pem()).map_err(ApiError::invalid)?;
        let fields = Fields {
            transaction_id: call.transaction_id.as_deref().unwrap_or(id),
            transaction_source: call.transaction_source.as_deref().unwrap_or("console"),
            threshold: "7",
            image: &photo,
            user_id: &user_id,
            password: &password,
            ip: &ip,
        };
        let too_long = |message: String| ApiError::invalid(message).path("/account");
        let request =
            Request::new(fixtures.path_of(&call.customer_id, &methode), key, fields).map_err(too_long)?;
        let path = request.url().to_owned();
        let request = match call.threshold {
            Some(threshold) => request.threshold(threshold),
            None => request,
        };
        let body = match call.r#break {
            Some(breakage) => {
                let allows = |address| known.is_none_or(|customer| customer.allows(address));
                breakage.body(request, fields, allows).map_err(too_long)?
            }
            None => request.body(),
        };
        let generated = format!("dukcapil-fr-sim/{} ({id})", env!("CARGO_PKG_VERSION"));
        let headers = headers(&generated, call.headers)?;
        let user_agent = headers.iter().find(|header| header.name.eq_ignore_ascii_case("user-agent"));
        let user_agent = user_agent.map_or("", |header| header.value.trim());
        let redactor = engine.redactor(known);
        let shown = |text: String| redactor.value(&text).into_owned();
        let recorded = Recorded {
            user_agent: shown(text::truncate(user_agent, MAX_VALUE_CHARS)),
            transaction_id: shown(text::preview(fields.transaction_id, MAX_TEXT_CHARS)),
        };
        Ok(Outgoing { path, headers, body, recorded, generated })
    }

    /// Sends the request, and finds its entry.
    async fn exchange(&self, shared: &AppState, timeout: Duration) -> (CallResult, Option<Arc<Entry>>) {
        let mut finder = EntryFinder {
            recorded: &self.recorded,
            events: shared.engine.journal.subscribe(),
            has_lost: false,
            found: None,
        };
        let address = from_here(shared.start.endpoint);
        let bytes = self.bytes(&address.to_string());
        let proxied = shared.engine.fixtures().peer == PeerSource::ProxyProtocol;
        let exchange = caller::call(address, &bytes, proxied, shared.timer.sleep(timeout));
        tokio::pin!(exchange);
        let result = loop {
            tokio::select! {
                result = &mut exchange => break result,
                () = finder.next() => {}
            }
        };
        if result.end != CallEnd::Refused {
            let mut patience = shared.timer.sleep(ENTRY_PATIENCE);
            while !finder.has_ended() {
                tokio::select! {
                    // What has come already is looked at first.
                    biased;
                    () = finder.next() => {}
                    () = &mut patience => break,
                }
            }
        }
        (result, finder.entry(shared).await)
    }

    /// Returns the bytes of the request.
    fn bytes(&self, host: &str) -> Vec<u8> {
        let headers = self.headers.iter().map(|HeaderLine { name, value }| format!("{name}: {value}\r\n"));
        let (path, body) = (&self.path, &self.body);
        let headers = headers.collect::<String>();
        format!(
            "POST {path} HTTP/1.1\r\nHost: {host}\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .into_bytes()
    }

    /// Returns the answer. `endpoint` is the endpoint's address for the caller.
    fn answer(self, endpoint: &str, result: CallResult, entry: Option<Arc<Entry>>) -> CallAnswer {
        let CallResult { status, headers, body, end, connect_us, first_byte_us, total_us } = result;
        let url = format!("http://{endpoint}{}", self.path);
        CallAnswer {
            status,
            headers,
            body_base64: STANDARD.encode(&body),
            text: String::from_utf8_lossy(&body).into_owned(),
            end,
            connect_us,
            first_byte_us,
            total_us,
            curl: curl(&url, self.headers.iter().filter(|header| header.value != self.generated)),
            entry,
            sent: SentRequest { url, headers: self.headers, body: self.body },
        }
    }
}

/// Returns the photo to send.
fn photo(shared: &AppState, nik: Option<NikText>, image: Option<String>) -> Result<Vec<u8>, ApiError> {
    match (nik, image) {
        (Some(_), Some(_)) => Err(ApiError::invalid("send nik or image, not both").path("/image")),
        (Some(NikText(nik)), None) => gallery::photo_of(shared, &nik).map_err(|error| error.path("/nik")),
        (None, Some(text)) => encoding::decode(&text, Base64Mode::Mime)
            .map(|decoded| decoded.bytes)
            .map_err(|fault| ApiError::invalid(fault.to_string()).path("/image").hint(fault.hint())),
        (None, None) => Ok(source::demo_picture().to_vec()),
    }
}

/// Returns the headers that the document requires and `more`.
///
/// # Errors
/// When a name or value is not one of HTTP, or a name is one of [`OWN_HEADERS`].
fn headers(user_agent: &str, more: BTreeMap<String, String>) -> Result<Vec<HeaderLine>, ApiError> {
    for (name, value) in &more {
        let invalid = |message: &str| {
            let shown = crate::base::text::quoted(name);
            Err(ApiError::invalid(format!("header {shown} {message}"))
                .path(format!("/headers/{}", escaped(name))))
        };
        if HeaderName::from_bytes(name.as_bytes()).is_err() {
            return invalid("is not a name of HTTP: only letters, digits and hyphens");
        }
        if HeaderValue::from_str(value).is_err() {
            return invalid("has a value with a line break or another control character");
        }
        if OWN_HEADERS.iter().any(|own| own.eq_ignore_ascii_case(name)) {
            return invalid("follows from the connection and the body");
        }
    }
    let defaults =
        [("User-Agent", user_agent), ("Accept", "application/json"), ("Content-Type", "application/json")];
    let is_given = |name: &str| more.keys().any(|given| given.eq_ignore_ascii_case(name));
    let defaults = defaults.into_iter().filter(|(name, _)| !is_given(name));
    let line = |name: &str, value: &str| HeaderLine { name: name.to_owned(), value: value.to_owned() };
    let defaults: Vec<_> = defaults.map(|(name, value)| line(name, value)).collect();
    Ok(defaults.into_iter().chain(more.iter().map(|(name, value)| line(name, value))).collect())
}

/// Returns the command of curl for a POSIX shell.
fn curl<'a>(url: &str, headers: impl Iterator<Item = &'a HeaderLine>) -> String {
    let quoted = |text: &str| format!("'{}'", text.replace('\'', r"'\''"));
    let headers =
        headers.map(|HeaderLine { name, value }| format!(" -H {}", quoted(&format!("{name}: {value}"))));
    format!("curl -i {}{} --data @body.json", quoted(url), headers.collect::<String>())
}

/// What a request is known by in the journal.
#[derive(Clone)]
struct Recorded {
    user_agent: String,
    transaction_id: String,
}

impl Recorded {
    /// Returns whether an entry may be of this request. A broken body has no `transactionId`.
    fn is_in(&self, entry: &Entry) -> bool {
        let request = &entry.request;
        request.user_agent.as_deref() == Some(&*self.user_agent)
            && request.transaction_id.as_deref().is_none_or(|id| id == self.transaction_id)
    }
}

/// Finds the entry of a request in the journal: the first new one that may be it.
struct EntryFinder<'a> {
    recorded: &'a Recorded,
    events: Receiver<Arc<SharedEvent>>,
    /// Whether events were lost, so that the journal must be searched.
    has_lost: bool,
    found: Option<Arc<Entry>>,
}

impl EntryFinder<'_> {
    /// Takes the next event.
    async fn next(&mut self) {
        match self.events.recv().await {
            Ok(shared) => match &shared.event {
                JournalEvent::Added(entry) if self.found.is_none() && self.recorded.is_in(entry) => {
                    self.found = Some(entry.clone())
                }
                _ => {}
            },
            Err(RecvError::Lagged(_)) => self.has_lost = true,
            Err(RecvError::Closed) => std::future::pending().await,
        }
    }

    fn has_ended(&self) -> bool {
        self.has_lost || self.found.as_ref().is_some_and(|entry| entry.sending.state() != State::InFlight)
    }

    /// Returns the entry; searches the journal, on a blocking thread, when events were lost.
    async fn entry(self, shared: &AppState) -> Option<Arc<Entry>> {
        if self.found.is_some() || !self.has_lost {
            return self.found;
        }
        let (engine, recorded) = (Arc::clone(&shared.engine), self.recorded.clone());
        let search = move || {
            let (newest_first, _) = engine.journal.entries();
            newest_first.into_iter().find(|entry| recorded.is_in(entry))
        };
        web::block(search).await.ok().flatten()
    }
}
