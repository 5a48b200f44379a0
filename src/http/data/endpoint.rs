//! The routes of the endpoint's listener: finds the customer in the path, reads the body, hands it to the engine, sends the response.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use percent_encoding::percent_decode_str;

use super::body::BodyError;
use super::connection::{After, Connection, Next};
use super::exchange::{self, Exchange};
use super::head::{BodyFraming, Head};
use super::nik;
use super::refusal::{self, Refusal};
use super::socket::Socket;
use crate::base::text;
use crate::base::trace::trace_id;
use crate::config::{Fixtures, PeerSource};
use crate::domain::announced::Announced;
use crate::domain::faults::{End, Upload};
use crate::domain::nik::api::PATH;
use crate::domain::warnings::Headers;
use crate::engine::{RefusedRequest, RequestHead};
use crate::http::admin::routes::is_admin_path;
use crate::http::state::{AppState, reachable};

/// Serves a connection to its end.
pub async fn serve<S: Socket>(mut connection: Connection<S>, app: &Arc<AppState>) {
    loop {
        let after = match connection.next().await {
            Next::Request(head) => answer(&mut connection, &head, app).await,
            Next::Refused(error) => refuse_unrouted(&mut connection, &error.into(), None, None, app).await,
            Next::Closed => return,
        };
        match after {
            // A client that sends without pause does not keep the thread from others.
            After::NextRequest => tokio::task::yield_now().await,
            After::Linger => return connection.linger().await,
            After::Close => return,
        }
    }
}

async fn answer<S: Socket>(connection: &mut Connection<S>, head: &Head, app: &Arc<AppState>) -> After {
    let fixtures = app.engine.fixtures();
    if nik::is_path(&head.path) {
        return nik::answer(connection, head, app).await;
    }
    let Some(route) = Route::of(&head.path, &fixtures.prefixes) else {
        return refuse_unrouted(connection, &unknown_path(head, &fixtures, app), Some(head), None, app).await;
    };
    if head.method != "POST" {
        let refusal = Refusal::wrong_method("the endpoint takes POST only", head);
        let target = Some((route.customer_id, route.methode));
        return refuse_unrouted(connection, &refusal, Some(head), target, app).await;
    }
    let Ok(exchange) = Exchange::begin(app, request_head(connection, head, route, fixtures.peer)).await
    else {
        let keeps_connection = refusal::leaves_nothing_unread(head);
        let refusal = Refusal { keeps_connection, ..Refusal::store_down(head, app) };
        let target =
            Route::of(&head.path, &fixtures.prefixes).map(|route| (route.customer_id, route.methode));
        return refuse_unrouted(connection, &refusal, Some(head), target, app).await;
    };
    let max_bytes = app.settings.max_body;
    if let Some(refusal) = refusal::by_head(head, max_bytes) {
        return exchange.refuse(connection, head, &refusal).await;
    }
    let upload = exchange.upload();
    if upload != Some(Upload::Unread) && connection.accept_body(head).await.is_err() {
        return After::Close;
    }
    let body = tokio::select! {
        biased;
        body = read_upload(connection, head, upload, app) => body,
        never = exchange.upload_notice() => match never {},
    };
    if let Some(Upload::CloseAt(_, end)) = upload {
        return exchange.cut_off(connection, end).await;
    }
    match body {
        Ok(body) => exchange.answer(connection, head, body).await,
        Err(error) => match Refusal::of_body(&error, max_bytes) {
            Some(refusal) => exchange.refuse(connection, head, &refusal).await,
            // Dropping the exchange journals it as aborted.
            None => After::Close,
        },
    }
}

/// Reads a body, as a rule says: whole, slowly, in part or not at all.
async fn read_upload<S: Socket>(
    connection: &mut Connection<S>,
    head: &Head,
    upload: Option<Upload>,
    app: &AppState,
) -> Result<Vec<u8>, BodyError> {
    let max_bytes = app.settings.max_body;
    match upload {
        None => connection.read_body(head.body, max_bytes).await,
        Some(Upload::Unread) => Ok(Vec::new()),
        Some(Upload::Slowly(rate)) => {
            connection.read_body_slowly(head.body, max_bytes, rate, &*app.timer).await
        }
        Some(Upload::CloseAt(at, _)) => {
            let bytes = at.of(length_of(head, max_bytes)).min(max_bytes);
            connection.skip(head.body, bytes, max_bytes).await;
            Ok(Vec::new())
        }
    }
}

fn length_of(head: &Head, max_bytes: usize) -> usize {
    match head.body {
        BodyFraming::Length(length) => usize::try_from(length).unwrap_or(max_bytes),
        BodyFraming::Chunked => max_bytes,
    }
}

/// Refuses what is no call of a customer. It is journaled; with customer_id and methode where its path names them.
pub async fn refuse_unrouted<S: Socket>(
    connection: &mut Connection<S>,
    refusal: &Refusal,
    head: Option<&Head>,
    target: Option<(String, String)>,
    app: &Arc<AppState>,
) -> After {
    let started = Instant::now();
    let peer = connection.peer.map(|address| address.ip().to_canonical());
    let refused = RefusedRequest {
        connection: connection.number,
        peer,
        target,
        user_agent: head.and_then(|head| head.header("user-agent")).map(str::to_owned),
        trace_id: head.and_then(|head| trace_id(&head.headers)).map(str::to_owned),
        status: refusal.status,
        reason: refusal.message.clone(),
        request: head.map(|head| (head.method.clone(), text::truncate(&head.path, 100))),
        hint: refusal.hint.clone(),
    };
    let entry = match app.engine.shared() {
        // It waits for the store.
        Some(_) => {
            let app = Arc::clone(app);
            exchange::beside(move || app.engine.record_refusal(refused)).await
        }
        None => app.engine.record_refusal(refused),
    };
    connection.count_in(Some(Arc::clone(&entry)));
    let (response, after) = refusal.render(head, app);
    let elapsed = started.elapsed();
    entry.sending.announce(Announced::by_response(refusal.status, &response));
    refusal::commit(app, &entry, entry.sending.foresee(response.len(), End::Fin.into()), elapsed).await;
    let before_last =
        |last| refusal::count(app, &entry, entry.sending.foresee(last, End::Fin.into()), elapsed);
    let sent = connection.write_last(&response, before_last).await;
    refusal::end(app, &entry, sent.is_ok().then_some(End::Fin), elapsed);
    if sent.is_ok() { after } else { After::Close }
}

fn unknown_path(head: &Head, fixtures: &Fixtures, app: &AppState) -> Refusal {
    let paths: Vec<_> = fixtures
        .prefixes
        .iter()
        .map(|prefix| format!("{}/{{customer_id}}/{{methode}}", prefix.replace(' ', "%20")))
        .collect();
    let hint = format!("POST {} or {}", paths.join(" or "), PATH);
    if head.has_blank {
        let message = "the target has a blank that is not the document's";
        return Refusal::new(400, "malformed_request", message, "percent-encode it as %20");
    }
    let called = head.header("host").unwrap_or_default();
    let admin = app.start.admin.map(|admin| format!("http://{}", reachable(admin, called)));
    let (message, hint) = match admin {
        Some(admin) if is_admin_path(&head.path) => (
            "this is a path of the admin API, which has a port of its own",
            format!("send it to the admin listener: {admin}{}", text::truncate(&head.path, 100)),
        ),
        // Most likely a person with a browser.
        Some(admin) if head.path == "/" => {
            ("nothing is at this path", format!("{hint}; the console is at {admin}/"))
        }
        _ => ("nothing is at this path", hint),
    };
    let refusal = Refusal::new(404, "not_found", message, hint);
    Refusal { keeps_connection: refusal::leaves_nothing_unread(head), ..refusal }
}

fn request_head<S>(connection: &Connection<S>, head: &Head, route: Route, source: PeerSource) -> RequestHead {
    let peer = match source {
        PeerSource::Socket | PeerSource::ProxyProtocol => {
            connection.peer.map(|address| address.ip().to_canonical())
        }
        PeerSource::XForwardedFor => {
            let last = head.headers.iter().rfind(|(name, _)| name.eq_ignore_ascii_case("x-forwarded-for"));
            last.and_then(|(_, value)| forwarded_for(value))
        }
    };
    RequestHead {
        customer_id: route.customer_id,
        methode: Some(route.methode),
        path: Some(head.path.clone()),
        peer,
        connection: connection.number,
        headers: Some(Headers {
            // A proxy that was to name the peer and does not: then it is not the proxy's own address either.
            no_forwarded_peer: source == PeerSource::XForwardedFor && peer.is_none(),
            raw_blank: head.has_blank,
            all: head.headers.clone(),
        }),
    }
}

/// The last address is the one that the nearest proxy added; those before it are unverified. Some proxies add a port.
fn forwarded_for(list: &str) -> Option<IpAddr> {
    let last = list.rsplit(',').next()?.trim();
    let address = last.parse::<IpAddr>().or_else(|_| last.parse::<SocketAddr>().map(|socket| socket.ip()));
    let bracketed = || last.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    address.ok().or_else(bracketed).map(|address| address.to_canonical())
}

/// Customer and methode, from a path such as `/api/face-recognition/demo/CALL_FN`.
#[derive(Debug, PartialEq, Eq)]
struct Route {
    customer_id: String,
    methode: String,
}

impl Route {
    /// Paths are compared decoded, so that the document's stray blank matches as `%20` and raw.
    fn of(path: &str, prefixes: &[String]) -> Option<Route> {
        let mut segments = path.rsplitn(3, '/');
        let (methode, customer_id, prefix) = (segments.next()?, segments.next()?, segments.next()?);
        let decoded = |text| percent_decode_str(text).decode_utf8().ok();
        let prefix = decoded(prefix)?;
        let known = prefixes.iter().any(|known| *known == prefix);
        let named = !customer_id.is_empty() && !methode.is_empty();
        // A raw blank is the document's only within the prefix.
        let plain = !customer_id.contains(' ') && !methode.contains(' ');
        (known && named && plain).then_some(())?;
        Some(Route {
            customer_id: decoded(customer_id)?.into_owned(),
            methode: decoded(methode)?.into_owned(),
        })
    }
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
        check("/api /face-recognition/demo/CALL_FN", Some(("demo", "CALL_FN")));
        check("/api/face-recognition/de%6Do/CALL%20FN", Some(("demo", "CALL FN")));
        check("/api/face-recognition/demo/CALL FN", None);
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
