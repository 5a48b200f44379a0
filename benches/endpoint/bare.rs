//! Baseline: a bare actix-web handler that reads the same bodies and answers with the same bytes, and does nothing else.

use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use actix_web::{App, HttpResponse, HttpServer, web};

/// Starts the handler on a free port, with `threads` threads. Returns the address. It runs until the process ends.
pub fn start(threads: usize, answer: String) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address").to_string();
    let (started, wait) = mpsc::channel();
    thread::spawn(move || {
        actix_web::rt::System::new().block_on(async move {
            let app = move || {
                let answer = answer.clone();
                let handler = move |body: web::Bytes| {
                    assert!(body.ends_with(b"}"), "the whole body");
                    std::future::ready(
                        HttpResponse::Ok().content_type("application/json").body(answer.clone()),
                    )
                };
                let limit = web::PayloadConfig::new(10 << 20);
                App::new().app_data(limit).default_service(web::to(handler))
            };
            let server = HttpServer::new(app).workers(threads).disable_signals().listen(listener);
            let server = server.expect("a server").run();
            started.send(()).expect("a receiver");
            server.await.expect("an end");
        });
    });
    wait.recv().expect("a server");
    address
}
