//! The admin API in memory: what the fuzz target `admin` and `tests/it/fuzzed.rs` check.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::ServiceResponse;
use actix_web::http::Method;
use actix_web::rt::{System, SystemRunner};
use actix_web::test::{TestRequest, init_service, try_call_service};
use actix_web::{App, body, web};
use dukcapil_fr_sim::Simulator;
use dukcapil_fr_sim::internals::http::admin;
use dukcapil_fr_sim::internals::http::admin::operation::Operation;
use dukcapil_fr_sim::internals::state::timer::Timer;
use futures_util::future::LocalBoxFuture;

/// Operations that end the simulator, or never end.
const OTHERS: [&str; 2] = ["/shutdown", "/events"];

/// Every sleep is over at once.
struct NoTime;

impl Timer for NoTime {
    fn sleep(&self, _: Duration) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(std::future::ready(()))
    }
}

/// Answers a request with a status and a body.
type Call = Box<dyn Fn(TestRequest) -> LocalBoxFuture<'static, (u16, Vec<u8>)>>;

/// The admin API of a simulator, without its listener.
pub struct AdminApi {
    system: SystemRunner,
    call: Call,
    operations: Vec<Operation>,
    _simulator: Simulator,
}

impl AdminApi {
    pub fn start() -> AdminApi {
        let builder = Simulator::builder().key_bits(1024).admin_listen(None).timer(Arc::new(NoTime));
        let simulator = builder.start_blocking().expect("a simulator");
        let app = web::Data::from(Arc::clone(simulator.app_state()));
        let system = System::new();
        let service = system.block_on(init_service(App::new().app_data(app).configure(admin::routes)));
        let service = Rc::new(service);
        let call = move |request: TestRequest| -> LocalBoxFuture<'static, _> {
            let service = Rc::clone(&service);
            Box::pin(async move {
                match try_call_service(&*service, request.to_request()).await {
                    Ok(response) => read(response).await,
                    Err(error) => (error.as_response_error().status_code().as_u16(), b"{}".to_vec()),
                }
            })
        };
        let operations = admin::routes::operations();
        let operations =
            operations.into_iter().filter(|operation| !OTHERS.contains(&operation.path)).collect();
        AdminApi { system, call: Box::new(call), operations, _simulator: simulator }
    }

    /// The example of the body of the operation with this number, counted around; empty for one without a body.
    pub fn example(&self, number: usize) -> String {
        let example = &self.operation(number).body.example;
        example.as_ref().map(ToString::to_string).unwrap_or_default()
    }

    fn operation(&self, number: usize) -> &Operation {
        &self.operations[number % self.operations.len()]
    }

    /// Calls the operation with this number; one without a body gets the bytes as its query. Returns the status.
    ///
    /// # Panics
    /// When the answer is a failure of the server, or an error without a message.
    pub fn check(&self, number: usize, bytes: &[u8]) -> u16 {
        let operation = self.operation(number);
        let path = operation.path.replace("{customer_id}", "load").replace("{nik}", "3174055708909001");
        let path = path.replace("{id}", "1").replace("{name}", "x");
        let request = TestRequest::default().method(operation.method.clone());
        let request = if operation.body.contents.is_empty() {
            let query = bytes.iter().filter(|byte| byte.is_ascii_alphanumeric() || b"=&%_-.".contains(byte));
            let query: String = query.map(|byte| char::from(*byte)).collect();
            request.uri(&format!("{path}?{query}"))
        } else {
            request.uri(&path).set_payload(bytes.to_vec())
        };
        let (status, answer) = self.system.block_on((self.call)(request));
        assert!(status < 500, "{} {path}: {status}", operation.method);
        if status >= 400 && operation.method != Method::HEAD && answer != b"{}" {
            let answer: serde_json::Value = serde_json::from_slice(&answer).expect("an error in JSON");
            assert!(
                answer["error"]["message"].as_str().is_some_and(|message| !message.is_empty()),
                "{answer}"
            );
        }
        status
    }

    /// Takes everything back that calls have changed.
    pub fn reset(&self) {
        let request = TestRequest::default().method(Method::POST).uri("/reset?scope=all");
        let (status, _) = self.system.block_on((self.call)(request));
        assert_eq!(status, 200);
    }
}

async fn read(response: ServiceResponse) -> (u16, Vec<u8>) {
    let status = response.status().as_u16();
    let body = body::to_bytes(response.into_body()).await;
    (status, body.map(|bytes| bytes.to_vec()).unwrap_or_default())
}
