//! Every route of the admin API, in one table. What is served, what a 405 allows and `/openapi.json` all come from it.
//!
//! Of two paths that can both match, the one without a parameter comes first.

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, Responder};
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::operation::Operation;
use super::{
    Removed, clock, config, customers, events, explain, gallery, keys, metrics, openapi, quota, requests,
    reset, rules, status, verify, wait,
};
use crate::domain::rules::RuleSpec;
use crate::engine::Explanation;
use crate::http::state::AppState;
use crate::state::journal::Entry;

/// All operations.
#[must_use]
pub fn operations() -> Vec<Operation> {
    let groups = [
        ("Process", process()),
        ("Clock", clocks()),
        ("Fixtures", fixtures()),
        ("Customers", customers()),
        ("Rules", rules()),
        ("Journal", journal()),
        ("Gallery", gallery()),
        ("Keys", keys()),
    ];
    let tagged =
        |(tag, group): (_, Vec<Operation>)| group.into_iter().map(move |operation| operation.tagged(tag));
    groups.into_iter().flat_map(tagged).collect()
}

fn process() -> Vec<Operation> {
    vec![
        get("/health", "health", status::health, "Answers while the process does.").ok::<status::Health>(),
        get("/ready", "ready", status::ready, "Answers once everything is loaded and both listeners listen.")
            .ok::<status::Readiness>(),
        get("/version", "version", status::version, "Tells which program this is.").ok::<status::Version>(),
        get(
            "/metrics",
            "metrics",
            metrics::metrics,
            "Gives numbers to Prometheus, in the OpenMetrics text format.",
        )
        .ok_text("application/openmetrics-text"),
        get("/openapi.json", "openapi", openapi_document, "Gives this document.").ok::<openapi::Document>(),
        post("/shutdown", "shutdown", status::shutdown, "Stops the simulator as SIGTERM does.")
            .ok::<status::Health>(),
        post(
            "/reset",
            "reset",
            reset::reset,
            "Takes something back to how it was at the start, for everybody or one customer.",
        )
        .query::<reset::ResetQuery>()
        .ok::<reset::Reset>()
        .errors(&[404, 409]),
    ]
}

fn clocks() -> Vec<Operation> {
    let advance = || json!({ "advance": "25h" });
    vec![
        get("/clock", "readClock", clock::read, "Shows the simulator's clock.").ok::<clock::ClockView>(),
        put(
            "/clock",
            "changeClock",
            clock::change,
            "Advances the clock, sets it, stops it or lets it go on.",
        )
        .request_body::<clock::ClockChange>(advance())
        .ok::<clock::ClockView>(),
        get("/customers/{customer_id}/clock", "readClockOf", clock::read_of, "Shows a customer's clock.")
            .ok::<clock::ClockView>()
            .errors(&[404]),
        put(
            "/customers/{customer_id}/clock",
            "changeClockOf",
            clock::change_of,
            "Gives a customer a clock of its own, or changes that.",
        )
        .request_body::<clock::ClockChange>(advance())
        .ok::<clock::ClockView>()
        .errors(&[404]),
    ]
}

fn fixtures() -> Vec<Operation> {
    let draft = json!({ "customers": { "bank": { "extends": "demo", "quota": { "per_day": 500 } } } });
    vec![
        get(
            "/config",
            "config",
            config::read,
            "Shows what the simulator was started with and what holds for every customer.",
        )
        .ok::<config::ConfigView>(),
        post(
            "/config/reload",
            "reload",
            config::reload,
            "Puts the fixture files as they are now in force, as a whole or not at all.",
        )
        .ok::<config::Reloaded>()
        .response::<config::WrongFixtures>(422)
        .errors(&[503]),
        post(
            "/config/validate",
            "validate",
            config::validate,
            "Looks at the fixture files, and at those in the body, and puts nothing in force.",
        )
        .may_take::<config::FixtureDraft>(draft)
        .ok::<config::Validation>()
        .errors(&[503]),
        post(
            "/explain",
            "explain",
            explain::explain,
            "Says what the endpoint would answer to a body, and why; consumes nothing.",
        )
        .request_body::<explain::ExplainRequest>(
            json!({ "customer_id": "demo", "body": { "transactionId": "1" } }),
        )
        .ok::<Explanation>(),
    ]
}

fn customers() -> Vec<Operation> {
    use customers::{CustomerBody, CustomerList, CustomerView};
    const ONE: &str = "/customers/{customer_id}";
    const QUOTA: &str = "/customers/{customer_id}/quota";
    let few = |ttl: Value| json!({ "extends": "demo", "quota": { "per_day": 5 }, "ttl": ttl });
    vec![
        get("/customers", "customers", customers::list, "Lists all customers.").ok::<CustomerList>(),
        post(
            "/customers",
            "makeCustomer",
            customers::create,
            "Makes a customer with an id and an account of its own, for one test.",
        )
        .may_take::<CustomerBody>(few(json!("5m")))
        .response::<CustomerView>(201)
        .with_header("Location", "The customer's path.")
        .errors(&[409, 503]),
        get(ONE, "customer", customers::one, "Shows a customer with everything that it inherits.")
            .ok::<CustomerView>()
            .errors(&[404]),
        put(ONE, "putCustomer", customers::put, "Creates or replaces a customer.")
            .request_body::<CustomerBody>(few(Value::Null))
            .ok::<CustomerView>()
            .errors(&[409, 503]),
        patch(ONE, "patchCustomer", customers::patch, "Changes a customer by a JSON merge patch (RFC 7396).")
            .takes_also("application/merge-patch+json", customers::patch_schema)
            .takes_also("application/json", customers::patch_schema)
            .example(json!({ "quota": { "per_day": 7 } }))
            .ok::<CustomerView>()
            .errors(&[404, 409, 503]),
        delete(
            ONE,
            "removeCustomer",
            customers::remove,
            "Takes back a customer that was put; a fixture of its id is in force again.",
        )
        .ok::<Removed>()
        .errors(&[404, 409]),
        get(QUOTA, "readQuota", quota::read, "Shows a customer's quota today.")
            .ok::<quota::QuotaOfDay>()
            .errors(&[404]),
        put(QUOTA, "changeQuota", quota::change, "Sets a customer's limit, or what is used of it.")
            .request_body::<quota::QuotaChange>(json!({ "per_day": 80, "used": 79 }))
            .ok::<quota::QuotaOfDay>()
            .errors(&[404]),
    ]
}

fn rules() -> Vec<Operation> {
    const ALL: &str = "/customers/{customer_id}/rules";
    const ONE: &str = "/customers/{customer_id}/rules/{name}";
    const STATE: &str = "/customers/{customer_id}/state";
    let busy = json!({ "when": { "outcome": "6018" }, "times": 2, "reply": { "code": "6014" } });
    vec![
        get(ALL, "rules", rules::list, "Lists a customer's rules in the order in which they are tried.")
            .ok::<rules::RuleList>()
            .errors(&[404]),
        delete(ALL, "removeRules", rules::remove_all, "Takes back every rule that was put.")
            .ok::<Removed>()
            .errors(&[404]),
        get(ONE, "rule", rules::one, "Shows one rule.").ok::<RuleSpec>().errors(&[404]),
        put(ONE, "putRule", rules::put, "Creates or replaces a rule; it comes before those of the fixture.")
            .request_body::<RuleSpec>(busy)
            .ok::<RuleSpec>()
            .errors(&[404]),
        delete(ONE, "removeRule", rules::remove, "Takes back a rule that was put.")
            .ok::<Removed>()
            .errors(&[400, 404]),
        get(STATE, "readState", rules::read_state, "Shows the state of a customer's scenario.")
            .ok::<rules::ScenarioState>()
            .errors(&[404]),
        put(STATE, "changeState", rules::change_state, "Sets the state of a customer's scenario.")
            .request_body::<rules::ScenarioState>(json!({ "state": "down" }))
            .ok::<rules::ScenarioState>()
            .errors(&[404]),
        post(
            "/faults/preview",
            "previewFaults",
            rules::preview,
            "Shows the next draws of rules; nothing is counted.",
        )
        .request_body::<rules::PreviewRequest>(json!({ "customer_id": "flaky", "count": 20 }))
        .ok::<rules::Preview>()
        .errors(&[404]),
    ]
}

fn journal() -> Vec<Operation> {
    let wanted = || json!({ "customer_id": "demo", "code": "6018", "transaction_id": "T*" });
    vec![
        get("/requests", "requests", requests::list, "Lists the journal's entries, newest first.")
            .query::<requests::JournalQuery>()
            .ok::<requests::JournalPage>(),
        delete(
            "/requests",
            "forgetRequests",
            requests::clear,
            "Forgets the journal, or one customer's part of it.",
        )
        .query::<requests::ClearQuery>()
        .ok::<Removed>(),
        post(
            "/requests/verify",
            "verify",
            verify::verify,
            "Says whether the journal has as many entries as expected, and what came near if not.",
        )
        .request_body::<verify::VerifyRequest>(json!({ "match": wanted(), "count": { "exactly": 2 } }))
        .ok::<verify::Verified>()
        .response::<verify::UnmetExpectation>(409)
        .errors(&[503]),
        post(
            "/requests/wait",
            "wait",
            wait::wait,
            "Answers once the journal has enough entries, or when the time is over.",
        )
        .request_body::<wait::WaitRequest>(json!({ "match": wanted(), "count": 2, "timeout": "10s" }))
        .ok::<wait::Waited>()
        .response::<verify::UnmetExpectation>(408)
        .errors(&[429, 503]),
        get("/requests/{id}", "request", requests::one, "Shows one entry.").ok::<Entry>().errors(&[404]),
        get("/events", "events", events::events, "Tells what happens in the journal, as server-sent events.")
            .query::<events::EventsQuery>()
            .ok_text("text/event-stream")
            .errors(&[429]),
    ]
}

fn gallery() -> Vec<Operation> {
    use gallery::{GalleryQuery, ListQuery, ThumbnailQuery};
    const ONE: &str = "/gallery/{nik}";
    let enrolled = json!({
        "nik": "3273010101909777",
        "name": "Baru",
        "similar": [{ "nik": "3273010101909778", "score": 6.5 }],
        // Two by two pixels.
        "pictures": ["iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAAAAABX3VL4AAAADklEQVR42mNgiGKwmQYAAnwBLZwnIDsAAAAASUVORK5CYII="],
    });
    vec![
        get("/gallery", "gallery", gallery::list, "Lists who can be found.")
            .query::<ListQuery>()
            .ok::<gallery::GalleryPage>()
            .errors(&[404]),
        post("/gallery", "enrol", gallery::enrol, "Enrols somebody, or adds to who is enrolled.")
            .request_body::<gallery::EnrolRequest>(enrolled)
            .takes_also("multipart/form-data", gallery::form_schema)
            .ok::<gallery::ListedIdentity>()
            .errors(&[404, 409, 503]),
        delete(
            "/gallery",
            "emptyGallery",
            gallery::remove_all,
            "Takes out everybody who was enrolled, or was for one customer.",
        )
        .query::<GalleryQuery>()
        .ok::<Removed>()
        .errors(&[404]),
        get(ONE, "identity", gallery::one, "Shows one identity.")
            .query::<GalleryQuery>()
            .ok::<gallery::ListedIdentity>()
            .errors(&[404]),
        delete(ONE, "removeIdentity", gallery::remove, "Takes out somebody who was enrolled.")
            .query::<GalleryQuery>()
            .ok::<Removed>()
            .errors(&[404, 409]),
        get(
            "/gallery/{nik}/thumbnail",
            "thumbnail",
            gallery::thumbnail,
            "Shows what a picture of an identity looks like.",
        )
        .query::<ThumbnailQuery>()
        .gives_bytes("image/jpeg")
        .errors(&[404]),
    ]
}

fn keys() -> Vec<Operation> {
    vec![
        get("/keys/public.pem", "publicKey", keys::of_server, "Gives the public half of the server's key.")
            .ok_text(keys::MEDIA_TYPE),
        get(
            "/customers/{customer_id}/public.pem",
            "publicKeyOf",
            keys::of_customer,
            "Gives the key that a customer's user_id and password are encrypted with.",
        )
        .ok_text(keys::MEDIA_TYPE)
        .errors(&[404]),
    ]
}

/// One function a method, so that the table reads as what clients send.
macro_rules! methods {
    ($($name:ident: $method:ident;)*) => {
        $(fn $name<F, Args>(path: &'static str, id: &'static str, handler: F, summary: &'static str) -> Operation
        where
            F: Handler<Args>,
            Args: FromRequest + 'static,
            F::Output: Responder + 'static,
        {
            Operation::new(Method::$method, path, id, handler, summary)
        })*
    };
}

methods! {
    get: GET;
    put: PUT;
    post: POST;
    patch: PATCH;
    delete: DELETE;
}

/// `GET /openapi.json`.
async fn openapi_document(shared: web::Data<AppState>) -> HttpResponse {
    super::json(&openapi::document(&operations(), shared.settings.admin_token.is_some()))
}
