//! Audit: reports every change over the admin API, to the log and as the event `changed`, with the caller.

use std::sync::Arc;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{Payload, ServiceRequest, ServiceResponse};
use actix_web::http::header::LOCATION;
use actix_web::middleware::Next;
use actix_web::{Error, HttpMessage, rt, web};
use futures_util::stream;
use percent_encoding::{AsciiSet, CONTROLS, percent_decode_str, utf8_percent_encode};

use super::{ApiError, body};
use crate::domain::nik::mask::{masked, without_niks};
use crate::http::admin_tokens::TokenHolder;
use crate::http::state::AppState;
use crate::state::change::{AdminCall, Change, ChangedPart};

/// What is known of an operation that changes something.
#[derive(Clone, Copy)]
pub struct AuditedChange {
    pub what: ChangedPart,
    /// Whether it accepts a body.
    pub has_body: bool,
    /// Whether it takes the turn of changes itself.
    pub takes_turn: bool,
}

/// Middleware of an operation that changes something: reports the change when it has succeeded, before it is answered.
///
/// The operation is a task of its own: a caller that disconnects early cancels neither the change halfway nor its report.
pub async fn report(
    AuditedChange { what, has_body, takes_turn }: AuditedChange,
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let work = async move {
        let app = req.app_data::<web::Data<AppState>>().cloned();
        let (call, customer_id) = (call_of(&req, app.as_ref()), customer_of(&req));
        // Of an operation that needs no store: it may be down.
        let engine =
            app.as_ref().map(|app| Arc::clone(&app.engine)).filter(|_| what != ChangedPart::Shutdown);
        if has_body && engine.as_ref().is_some_and(|engine| engine.shared().is_some()) {
            // A caller that sends slowly does not keep the turn from others.
            let (req, payload) = req.parts_mut();
            let body = body::read(req, payload).await?;
            *payload = Payload::Stream { payload: Box::pin(stream::iter([Ok(body)])) };
        }
        let turn = match &engine {
            Some(engine) if !takes_turn => engine.take_turn().await.map_err(ApiError::no_turn)?,
            _ => None,
        };
        let troubles = || engine.as_ref().and_then(|engine| engine.shared()).map(|shared| shared.troubles());
        let before = troubles();
        let response = next.call(req).await?.map_into_boxed_body();
        if let Some(engine) = &engine {
            engine.committed().await;
        }
        if troubles() != before {
            let unknown = "did not confirm the change; it may be in force or not";
            return Err(ApiError::store_unavailable(unknown).into());
        }
        drop(turn);
        if let Some(app) = app.filter(|_| response.status().is_success()) {
            let customer_id = customer_id.or_else(|| created_customer(&response));
            let customer_id = customer_id.map(|id| app.engine.hidden(&id).into_owned());
            let at = app.engine.clock.now();
            let change = Change { at, what, customer_id, call: Some(call), problems: Vec::new() };
            app.observer.changed(&change);
            app.engine.journal.report(change);
        }
        Ok(response)
    };
    if what == ChangedPart::Shutdown {
        // Not a task of its own: the shutdown begins when the tasks that are ready have run, and its answer must leave before.
        return work.await;
    }
    rt::spawn(work).await.unwrap_or_else(|_| Err(ApiError::stopping().into()))
}

fn call_of(req: &ServiceRequest, app: Option<&web::Data<AppState>>) -> AdminCall {
    let shows_nik = app.is_some_and(|app| app.engine.shows_nik());
    let target = decoded(req.uri().path_and_query().map_or("/", |target| target.as_str()));
    let target = app.map_or((&*target).into(), |app| app.engine.hidden(&target));
    let nik = req.match_info().get("nik").map(decoded);
    AdminCall {
        method: req.method().to_string(),
        path: if shows_nik { shown(&target) } else { shown(&without_nik(&target, nik)) },
        peer: req.peer_addr().map(|peer| peer.ip().to_canonical()),
        name: req.extensions().get::<TokenHolder>().and_then(|holder| holder.name.clone()),
    }
}

/// Returns the customer in the path, or in the query.
fn customer_of(req: &ServiceRequest) -> Option<String> {
    let in_path = req.match_info().get("customer_id").map(decoded);
    in_path.or_else(|| {
        let pairs = web::Query::<Vec<(String, String)>>::from_query(req.query_string()).ok()?.into_inner();
        pairs.into_iter().find(|(name, _)| name == "customer_id").map(|(_, value)| value)
    })
}

/// Returns the customer that `POST /customers` created: `Location` names it.
fn created_customer(response: &ServiceResponse) -> Option<String> {
    let location = response.headers().get(LOCATION)?.to_str().ok()?;
    location.strip_prefix("/customers/").map(str::to_owned)
}

fn decoded(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// Masks the NIK that the path names, also one of an unknown district, and others.
fn without_nik(target: &str, nik: Option<String>) -> String {
    let target = match nik.filter(|nik| !nik.is_empty()) {
        Some(nik) => target.replace(&nik, &masked(&nik)),
        None => target.to_owned(),
    };
    without_niks(&target).into_owned()
}

/// Percent-encodes a target for one word of a log line: neither a blank nor a control character can imitate the words behind it.
fn shown(target: &str) -> String {
    const OTHERS: &AsciiSet = &CONTROLS.add(b' ').add(b'%');
    utf8_percent_encode(target, OTHERS).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_is_one_word_without_niks() {
        let masked =
            |target: &str, nik: Option<&str>| shown(&without_nik(&decoded(target), nik.map(decoded)));
        for (target, nik, expected) in [
            ("/clock", None, "/clock"),
            ("/gallery/3174055708909001", Some("3174055708909001"), "/gallery/317405XXXXXXXXXX"),
            ("/gallery/%33174055708909001", Some("%33174055708909001"), "/gallery/317405XXXXXXXXXX"),
            (
                "/gallery/9999995708909001?customer_id=a",
                Some("9999995708909001"),
                "/gallery/999999XXXXXXXXXX?customer_id=a",
            ),
            ("/customers/a/rules/3174055708909001", None, "/customers/a/rules/317405XXXXXXXXXX"),
            ("/customers/a/rules/x%20by%201.2.3.4%0Ay", None, "/customers/a/rules/x%20by%201.2.3.4%0Ay"),
            ("/customers/a/rules/%25%C3%A9", None, "/customers/a/rules/%25%C3%A9"),
        ] {
            assert_eq!(masked(target, nik), expected, "{target}");
        }
    }
}
