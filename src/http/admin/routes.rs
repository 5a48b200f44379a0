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
use crate::http::state::Shared;
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
        get("/health", "health", status::health, "Answers while the process does.").gives::<status::Health>(),
        get("/ready", "ready", status::ready, "Answers once everything is loaded and both listeners listen.")
            .gives::<status::Readiness>(),
        get("/version", "version", status::version, "Tells which program this is.")
            .gives::<status::Version>(),
        get(
            "/metrics",
            "metrics",
            metrics::metrics,
            "Gives numbers to Prometheus, in the OpenMetrics text format.",
        )
        .gives_text("application/openmetrics-text"),
        get("/openapi.json", "openapi", openapi_document, "Gives this document.")
            .gives::<openapi::Document>(),
        post("/shutdown", "shutdown", status::shutdown, "Stops the simulator as SIGTERM does.")
            .gives::<status::Health>(),
        post(
            "/reset",
            "reset",
            reset::reset,
            "Takes something back to how it was at the start, for everybody or one customer.",
        )
        .asks::<reset::ResetQuery>()
        .gives::<reset::Reset>()
        .refuses(&[404, 409]),
    ]
}

fn clocks() -> Vec<Operation> {
    let advance = || json!({ "advance": "25h" });
    vec![
        get("/clock", "readClock", clock::read, "Shows the simulator's clock.").gives::<clock::ClockView>(),
        put(
            "/clock",
            "changeClock",
            clock::change,
            "Advances the clock, sets it, stops it or lets it go on.",
        )
        .takes::<clock::ClockChange>(advance())
        .gives::<clock::ClockView>(),
        get("/customers/{customer_id}/clock", "readClockOf", clock::read_of, "Shows a customer's clock.")
            .gives::<clock::ClockView>()
            .refuses(&[404]),
        put(
            "/customers/{customer_id}/clock",
            "changeClockOf",
            clock::change_of,
            "Gives a customer a clock of its own, or changes that.",
        )
        .takes::<clock::ClockChange>(advance())
        .gives::<clock::ClockView>()
        .refuses(&[404]),
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
        .gives::<config::ConfigView>(),
        post(
            "/config/reload",
            "reload",
            config::reload,
            "Puts the fixture files as they are now in force, as a whole or not at all.",
        )
        .gives::<config::Reloaded>()
        .answers::<config::WrongFixtures>(422)
        .refuses(&[503]),
        post(
            "/config/validate",
            "validate",
            config::validate,
            "Looks at the fixture files, and at those in the body, and puts nothing in force.",
        )
        .may_take::<config::Draft>(draft)
        .gives::<config::Validation>()
        .refuses(&[503]),
        post(
            "/explain",
            "explain",
            explain::explain,
            "Says what the endpoint would answer to a body, and why; consumes nothing.",
        )
        .takes::<explain::Question>(json!({ "customer_id": "demo", "body": { "transactionId": "1" } }))
        .gives::<Explanation>(),
    ]
}

fn customers() -> Vec<Operation> {
    use customers::{CustomerBody, CustomerList, CustomerView};
    const ONE: &str = "/customers/{customer_id}";
    const QUOTA: &str = "/customers/{customer_id}/quota";
    let few = |ttl: Value| json!({ "extends": "demo", "quota": { "per_day": 5 }, "ttl": ttl });
    vec![
        get("/customers", "customers", customers::list, "Lists all customers.").gives::<CustomerList>(),
        post(
            "/customers",
            "makeCustomer",
            customers::make,
            "Makes a customer with an id and an account of its own, for one test.",
        )
        .may_take::<CustomerBody>(few(json!("5m")))
        .answers::<CustomerView>(201)
        .with_header("Location", "The customer's path.")
        .refuses(&[409, 503]),
        get(ONE, "customer", customers::one, "Shows a customer with everything that it inherits.")
            .gives::<CustomerView>()
            .refuses(&[404]),
        put(ONE, "putCustomer", customers::put, "Creates or replaces a customer.")
            .takes::<CustomerBody>(few(Value::Null))
            .gives::<CustomerView>()
            .refuses(&[409, 503]),
        patch(ONE, "patchCustomer", customers::patch, "Changes a customer by a JSON merge patch (RFC 7396).")
            .takes_also("application/merge-patch+json", customers::patch_schema)
            .takes_also("application/json", customers::patch_schema)
            .like(json!({ "quota": { "per_day": 7 } }))
            .gives::<CustomerView>()
            .refuses(&[404, 409, 503]),
        delete(
            ONE,
            "removeCustomer",
            customers::remove,
            "Takes back a customer that was put; a fixture of its id is in force again.",
        )
        .gives::<Removed>()
        .refuses(&[404, 409]),
        get(QUOTA, "readQuota", quota::read, "Shows a customer's quota today.")
            .gives::<quota::QuotaOfDay>()
            .refuses(&[404]),
        put(QUOTA, "changeQuota", quota::change, "Sets a customer's limit, or what is used of it.")
            .takes::<quota::QuotaChange>(json!({ "per_day": 80, "used": 79 }))
            .gives::<quota::QuotaOfDay>()
            .refuses(&[404]),
    ]
}

fn rules() -> Vec<Operation> {
    const ALL: &str = "/customers/{customer_id}/rules";
    const ONE: &str = "/customers/{customer_id}/rules/{name}";
    const STATE: &str = "/customers/{customer_id}/state";
    let busy = json!({ "when": { "outcome": "6018" }, "times": 2, "reply": { "code": "6014" } });
    vec![
        get(ALL, "rules", rules::list, "Lists a customer's rules in the order in which they are tried.")
            .gives::<rules::RuleList>()
            .refuses(&[404]),
        delete(ALL, "removeRules", rules::remove_all, "Takes back every rule that was put.")
            .gives::<Removed>()
            .refuses(&[404]),
        get(ONE, "rule", rules::one, "Shows one rule.").gives::<RuleSpec>().refuses(&[404]),
        put(ONE, "putRule", rules::put, "Creates or replaces a rule; it comes before those of the fixture.")
            .takes::<RuleSpec>(busy)
            .gives::<RuleSpec>()
            .refuses(&[404]),
        delete(ONE, "removeRule", rules::remove, "Takes back a rule that was put.")
            .gives::<Removed>()
            .refuses(&[400, 404]),
        get(STATE, "readState", rules::read_state, "Shows the state of a customer's scenario.")
            .gives::<rules::ScenarioState>()
            .refuses(&[404]),
        put(STATE, "changeState", rules::change_state, "Sets the state of a customer's scenario.")
            .takes::<rules::ScenarioState>(json!({ "state": "down" }))
            .gives::<rules::ScenarioState>()
            .refuses(&[404]),
        post(
            "/faults/preview",
            "previewFaults",
            rules::preview,
            "Shows the next draws of rules; nothing is counted.",
        )
        .takes::<rules::PreviewQuestion>(json!({ "customer_id": "flaky", "count": 20 }))
        .gives::<rules::Preview>()
        .refuses(&[404]),
    ]
}

fn journal() -> Vec<Operation> {
    let wanted = || json!({ "customer_id": "demo", "code": "6018", "transaction_id": "T*" });
    vec![
        get("/requests", "requests", requests::list, "Lists the journal's entries, newest first.")
            .asks::<requests::Query>()
            .gives::<requests::Listing>(),
        delete(
            "/requests",
            "forgetRequests",
            requests::clear,
            "Forgets the journal, or one customer's part of it.",
        )
        .asks::<requests::ClearQuery>()
        .gives::<Removed>(),
        post(
            "/requests/verify",
            "verify",
            verify::verify,
            "Says whether the journal has as many entries as expected, and what came near if not.",
        )
        .takes::<verify::Question>(json!({ "match": wanted(), "count": { "exactly": 2 } }))
        .gives::<verify::Verified>()
        .answers::<verify::Unmet>(409)
        .refuses(&[503]),
        post(
            "/requests/wait",
            "wait",
            wait::wait,
            "Answers once the journal has enough entries, or when the time is over.",
        )
        .takes::<wait::Question>(json!({ "match": wanted(), "count": 2, "timeout": "10s" }))
        .gives::<wait::Waited>()
        .answers::<verify::Unmet>(408)
        .refuses(&[429, 503]),
        get("/requests/{id}", "request", requests::one, "Shows one entry.").gives::<Entry>().refuses(&[404]),
        get("/events", "events", events::events, "Tells what happens in the journal, as server-sent events.")
            .asks::<events::Query>()
            .gives_text("text/event-stream")
            .refuses(&[429]),
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
            .asks::<ListQuery>()
            .gives::<gallery::Listing>()
            .refuses(&[404]),
        post("/gallery", "enrol", gallery::enrol, "Enrols somebody, or adds to who is enrolled.")
            .takes::<gallery::EnrolRequest>(enrolled)
            .takes_also("multipart/form-data", gallery::form_schema)
            .gives::<gallery::ListedIdentity>()
            .refuses(&[404, 409, 503]),
        delete(
            "/gallery",
            "emptyGallery",
            gallery::remove_all,
            "Takes out everybody who was enrolled, or was for one customer.",
        )
        .asks::<GalleryQuery>()
        .gives::<Removed>()
        .refuses(&[404]),
        get(ONE, "identity", gallery::one, "Shows one identity.")
            .asks::<GalleryQuery>()
            .gives::<gallery::ListedIdentity>()
            .refuses(&[404]),
        delete(ONE, "removeIdentity", gallery::remove, "Takes out somebody who was enrolled.")
            .asks::<GalleryQuery>()
            .gives::<Removed>()
            .refuses(&[404, 409]),
        get(
            "/gallery/{nik}/thumbnail",
            "thumbnail",
            gallery::thumbnail,
            "Shows what a picture of an identity looks like.",
        )
        .asks::<ThumbnailQuery>()
        .gives_bytes("image/jpeg")
        .refuses(&[404]),
    ]
}

fn keys() -> Vec<Operation> {
    vec![
        get("/keys/public.pem", "publicKey", keys::of_server, "Gives the public half of the server's key.")
            .gives_text(keys::MEDIA_TYPE),
        get(
            "/customers/{customer_id}/public.pem",
            "publicKeyOf",
            keys::of_customer,
            "Gives the key that a customer's user_id and password are encrypted with.",
        )
        .gives_text(keys::MEDIA_TYPE)
        .refuses(&[404]),
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
async fn openapi_document(shared: web::Data<Shared>) -> HttpResponse {
    super::json(&openapi::document(&operations(), shared.settings.admin_token.is_some()))
}
