//! Route table of the admin API: the source of the served routes, of `Allow` in a 405 and of `/openapi.json`. An operation is data with
//! its handler, and the tests iterate over the table too, so the document cannot lack a served route.
//!
//! Of two paths that can both match, the one without a parameter must come first.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use actix_web::http::Method;
use actix_web::{FromRequest, Handler, Responder};
use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use super::operation::Operation;
use super::{
    Removed, call, clock, config, console, customers, events, explain, fidelity, gallery, keys, metrics,
    openapi, quota, requests, reset, rules, status, verify, wait,
};
use crate::domain::rules::RuleSpec;
use crate::engine::Explanation;
use crate::http::state::AppState;
use crate::state::change::ChangedPart;
use crate::state::journal::Entry;

/// Returns all operations.
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

/// First segments of the paths of all routes.
static FIRST_SEGMENTS: LazyLock<BTreeSet<String>> = LazyLock::new(|| {
    let operations = operations();
    let paths = operations.iter().map(|operation| operation.path).chain([console::PREFIX]);
    paths.filter_map(first_segment).map(str::to_owned).collect()
});

fn first_segment(path: &str) -> Option<&str> {
    path.split(['/', '?']).nth(1).filter(|segment| !segment.is_empty())
}

/// Returns whether the admin API has routes below the first segment of a path.
#[must_use]
pub fn is_admin_path(path: &str) -> bool {
    first_segment(path).is_some_and(|segment| FIRST_SEGMENTS.contains(segment))
}

fn process() -> Vec<Operation> {
    vec![
        get("/health", "health", status::health, "Liveness: 200 while the process runs.")
            .ok::<status::Health>(),
        get(
            "/ready",
            "ready",
            status::ready,
            "Readiness: 200 once everything is loaded and both listeners accept connections.",
        )
        .ok::<status::Readiness>(),
        get("/version", "version", status::version, "Returns the program's name, version and commit.")
            .ok::<status::Version>(),
        get(
            "/metrics",
            "metrics",
            metrics::metrics,
            "Returns Prometheus metrics, in the OpenMetrics text format.",
        )
        .ok_text("application/openmetrics-text"),
        get("/openapi.json", "openapi", openapi_document, "Returns this OpenAPI document.")
            .ok::<openapi::Document>(),
        post(
            "/shutdown",
            "shutdown",
            status::shutdown,
            "Shuts the simulator down gracefully, as SIGTERM does.",
        )
        .changes(ChangedPart::Shutdown)
        .ok::<status::Health>(),
        post("/reset", "reset", reset::reset, "Resets the chosen state, for all customers or one.")
            .changes(ChangedPart::Reset)
            .query::<reset::ResetQuery>()
            .ok::<reset::Reset>()
            .errors(&[404, 409]),
    ]
}

fn clocks() -> Vec<Operation> {
    let advance = || json!({ "advance": "25h" });
    vec![
        get("/clock", "readClock", clock::read, "Returns the simulator's clock.").ok::<clock::ClockView>(),
        put(
            "/clock",
            "changeClock",
            clock::change,
            "Advances, sets, freezes, unfreezes or resets the simulator's clock.",
        )
        .changes(ChangedPart::Clock)
        .request_body::<clock::ClockChange>(advance())
        .ok::<clock::ClockView>(),
        get("/customers/{customer_id}/clock", "readClockOf", clock::read_of, "Returns the customer's clock.")
            .ok::<clock::ClockView>()
            .errors(&[404]),
        put(
            "/customers/{customer_id}/clock",
            "changeClockOf",
            clock::change_of,
            "Creates or changes the customer's own clock.",
        )
        .changes(ChangedPart::Clock)
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
            "Returns the start options and the configuration that applies to all customers.",
        )
        .ok::<config::ConfigView>(),
        post(
            "/config/reload",
            "reload",
            config::reload,
            "Reloads the fixture files atomically: all of them, or none when one is invalid.",
        )
        .changes(ChangedPart::Fixtures)
        .ok::<config::Reloaded>()
        .response::<config::WrongFixtures>(422)
        .errors(&[503]),
        post(
            "/config/validate",
            "validate",
            config::validate,
            "Validates the fixture files and the draft files in the body, without applying them.",
        )
        .optional_body::<config::FixtureDraft>(draft)
        .ok::<config::Validation>()
        .errors(&[503]),
        get(
            "/fidelity",
            "fidelity",
            fidelity::read,
            "Returns every behaviour of the endpoint: how certain it is, where it is known from, and since when.",
        )
        .ok::<fidelity::Fidelity>(),
        post(
            "/explain",
            "explain",
            explain::explain,
            "Returns what the endpoint would answer to a request, and why. Consumes nothing.",
        )
        .request_body::<explain::ExplainRequest>(
            json!({ "customer_id": "demo", "body": { "transactionId": "1" } }),
        )
        .ok::<Explanation>(),
        post(
            "/call",
            "call",
            call::call,
            "Sends one request to the simulator's own endpoint, as a client does, and returns what came back.",
        )
        .request_body::<call::CallRequest>(json!({ "customer_id": "demo", "threshold": 7, "timeout": "10s" }))
        .ok::<call::CallAnswer>()
        .errors(&[404, 429, 503]),
    ]
}

fn customers() -> Vec<Operation> {
    use customers::{CustomerBody, CustomerList, CustomerView};
    const ONE: &str = "/customers/{customer_id}";
    const QUOTA: &str = "/customers/{customer_id}/quota";
    let small_quota = |ttl: Value| json!({ "extends": "demo", "quota": { "per_day": 5 }, "ttl": ttl });
    vec![
        get("/customers", "customers", customers::list, "Lists all customers.")
            .ok::<CustomerList>()
            .errors(&[503]),
        post(
            "/customers",
            "makeCustomer",
            customers::create,
            "Creates a customer for one test, by default with a generated id and account.",
        )
        .changes(ChangedPart::Customers)
        .optional_body::<CustomerBody>(small_quota(json!("5m")))
        .response::<CustomerView>(201)
        .with_header("Location", "Path of the customer in the admin API.")
        .errors(&[409, 503]),
        get(ONE, "customer", customers::one, "Returns the customer, with everything it inherits.")
            .ok::<CustomerView>()
            .errors(&[404]),
        put(ONE, "putCustomer", customers::put, "Creates or replaces the customer.")
            .changes(ChangedPart::Customers)
            .request_body::<CustomerBody>(small_quota(Value::Null))
            .ok::<CustomerView>()
            .errors(&[409, 503]),
        patch(ONE, "patchCustomer", customers::patch, "Updates the customer by JSON merge patch (RFC 7396).")
            .changes(ChangedPart::Customers)
            .accepts("application/merge-patch+json", customers::patch_schema)
            .accepts("application/json", customers::patch_schema)
            .example(json!({ "quota": { "per_day": 7 } }))
            .ok::<CustomerView>()
            .errors(&[404, 409, 503]),
        delete(
            ONE,
            "removeCustomer",
            customers::remove,
            "Removes a customer created over the admin API. A fixture with the same id becomes active again.",
        )
        .changes(ChangedPart::Customers)
        .ok::<Removed>()
        .errors(&[404, 409]),
        get(QUOTA, "readQuota", quota::read, "Returns the customer's quota for today.")
            .ok::<quota::QuotaOfDay>()
            .errors(&[404]),
        put(QUOTA, "changeQuota", quota::change, "Sets the customer's daily limit, today's usage, or both.")
            .changes(ChangedPart::Quota)
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
        get(ALL, "rules", rules::list, "Lists the customer's rules, in evaluation order.")
            .ok::<rules::RuleList>()
            .errors(&[404]),
        delete(ALL, "removeRules", rules::remove_all, "Removes all rules created over the admin API.")
            .changes(ChangedPart::Rules)
            .ok::<Removed>()
            .errors(&[404]),
        get(ONE, "rule", rules::one, "Returns the rule.").ok::<RuleSpec>().errors(&[404]),
        put(
            ONE,
            "putRule",
            rules::put,
            "Creates or replaces a rule. It is evaluated before the fixture's rules.",
        )
        .changes(ChangedPart::Rules)
        .request_body::<RuleSpec>(busy)
        .ok::<RuleSpec>()
        .errors(&[404]),
        delete(ONE, "removeRule", rules::remove, "Removes a rule created over the admin API.")
            .changes(ChangedPart::Rules)
            .ok::<Removed>()
            .errors(&[400, 404]),
        get(STATE, "readState", rules::read_state, "Returns the state of the customer's scenario.")
            .ok::<rules::ScenarioState>()
            .errors(&[404]),
        put(STATE, "changeState", rules::change_state, "Sets the state of the customer's scenario.")
            .changes(ChangedPart::State)
            .request_body::<rules::ScenarioState>(json!({ "state": "down" }))
            .ok::<rules::ScenarioState>()
            .errors(&[404]),
        post(
            "/faults/preview",
            "previewFaults",
            rules::preview,
            "Previews the next draws of the customer's rules. Counts nothing.",
        )
        .request_body::<rules::PreviewRequest>(json!({ "customer_id": "flaky", "count": 20 }))
        .ok::<rules::Preview>()
        .errors(&[404]),
    ]
}

fn journal() -> Vec<Operation> {
    let filter = || json!({ "customer_id": "demo", "code": "6018", "transaction_id": "T*" });
    vec![
        get("/requests", "requests", requests::list, "Lists the journal's entries, newest first.")
            .query::<requests::JournalQuery>()
            .ok::<requests::JournalPage>(),
        delete(
            "/requests",
            "forgetRequests",
            requests::clear,
            "Clears the journal, or one customer's entries.",
        )
        .changes(ChangedPart::Journal)
        .query::<requests::ClearQuery>()
        .ok::<Removed>(),
        post(
            "/requests/verify",
            "verify",
            verify::verify,
            "Verifies the number of matching journal entries; on a mismatch returns the nearest ones.",
        )
        .request_body::<verify::VerifyRequest>(json!({ "match": filter(), "count": { "exactly": 2 } }))
        .ok::<verify::Verified>()
        .response::<verify::UnmetExpectation>(409)
        .errors(&[503]),
        post(
            "/requests/wait",
            "wait",
            wait::wait,
            "Waits until the journal has enough matching entries, or until the timeout.",
        )
        .request_body::<wait::WaitRequest>(json!({ "match": filter(), "count": 2, "timeout": "10s" }))
        .ok::<wait::Waited>()
        .response::<verify::UnmetExpectation>(408)
        .errors(&[429, 503]),
        get("/requests/{id}", "request", requests::one, "Returns the journal entry.")
            .ok::<Entry>()
            .errors(&[404]),
        get(
            "/events",
            "events",
            events::events,
            "Streams journal events and changes, as server-sent events.",
        )
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
        get("/gallery", "gallery", gallery::list, "Lists the identities in the gallery.")
            .query::<ListQuery>()
            .ok::<gallery::GalleryPage>()
            .errors(&[404]),
        post("/gallery", "enrol", gallery::enrol, "Enrols an identity, or adds to an enrolled one.")
            .changes(ChangedPart::Gallery)
            .takes_turn()
            .request_body::<gallery::EnrolRequest>(enrolled)
            .accepts("multipart/form-data", gallery::form_schema)
            .ok::<gallery::ListedIdentity>()
            .errors(&[404, 409, 503]),
        delete(
            "/gallery",
            "emptyGallery",
            gallery::remove_all,
            "Removes all enrolled identities, or those of one customer.",
        )
        .changes(ChangedPart::Gallery)
        .query::<GalleryQuery>()
        .ok::<Removed>()
        .errors(&[404]),
        get(ONE, "identity", gallery::one, "Returns the identity.")
            .query::<GalleryQuery>()
            .ok::<gallery::ListedIdentity>()
            .errors(&[404]),
        delete(ONE, "removeIdentity", gallery::remove, "Removes an enrolled identity.")
            .changes(ChangedPart::Gallery)
            .query::<GalleryQuery>()
            .ok::<Removed>()
            .errors(&[404, 409]),
        get(
            "/gallery/{nik}/thumbnail",
            "thumbnail",
            gallery::thumbnail,
            "Returns a thumbnail of one of the identity's pictures.",
        )
        .query::<ThumbnailQuery>()
        .ok_bytes("image/jpeg")
        .errors(&[404]),
    ]
}

fn keys() -> Vec<Operation> {
    vec![
        get("/keys/public.pem", "publicKey", keys::of_server, "Returns the server's public key.")
            .ok_text(keys::MEDIA_TYPE),
        get(
            "/customers/{customer_id}/public.pem",
            "publicKeyOf",
            keys::of_customer,
            "Returns the public key that encrypts the customer's user_id and password.",
        )
        .ok_text(keys::MEDIA_TYPE)
        .errors(&[404]),
    ]
}

/// Defines one function per HTTP method, so that the table reads like requests.
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
    super::json(&openapi::document(&operations(), shared.settings.admin_tokens.are_required()))
}
