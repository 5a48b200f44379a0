//! What a bare actix-web handler does: it reads the same bodies and answers with the same bytes, and nothing between.

use std::net::TcpListener;
use std::sync::mpsc;
use std::thread;

use actix_web::{App, HttpResponse, HttpServer, web};

/// Starts it on a free port, with as many threads; gives the address. It ends with the process.
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
            started.send(()).expect("somebody waits");
            server.await.expect("an end");
        });
    });
    wait.recv().expect("a server");
    address
}
