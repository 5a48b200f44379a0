//! The console: its files, who may have them, and what the page may do.

use dukcapil_fr_sim::internals::http::admin::console;

use crate::support::{Answer, Sim, exchange, http};
use crate::tidy::tracked_files;

const HTML: &str = "Accept: text/html,*/*;q=0.8\r\n";

/// Headers of the page and of each of its files.
const HEADERS: [&str; 5] = [
    "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types lit-html\r\n",
    "x-content-type-options: nosniff\r\n",
    "referrer-policy: no-referrer\r\n",
    "cache-control: no-cache\r\n",
    "cross-origin-resource-policy: same-origin\r\n",
];

fn ask(sim: &Sim, method: &str, path: &str, headers: &str) -> Answer {
    exchange(sim.admin_address(), &http(method, path, headers, b""))
}

fn header<'a>(answer: &'a Answer, name: &str) -> Option<&'a str> {
    let mut lines = answer.head.lines().filter_map(|line| line.split_once(": "));
    lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Answers with all headers of the console.
fn check(answer: &Answer, what: &str) {
    let head = format!("{}\r\n", answer.head);
    for header in HEADERS {
        assert!(head.contains(header), "{what} lacks {header:?}: {head}");
    }
}

#[test]
fn the_embedded_files_are_those_that_git_tracks() {
    let Some(tracked) = tracked_files("console") else { return };
    let listed: Vec<_> = console::names().map(|name| format!("console/{name}")).collect();
    assert_eq!(listed, tracked, "FILES in src/http/admin/console.rs lists the files of console/, sorted");
}

#[test]
fn every_file_has_its_type_and_headers_and_is_sent_once() {
    let sim = Sim::start();
    let page = ask(&sim, "GET", "/", HTML);
    assert_eq!((page.status, header(&page, "vary")), (200, Some("Accept")));
    assert_eq!(page.body, ask(&sim, "GET", "/console/index.html", "").body);
    for name in console::names() {
        let path = format!("/console/{name}");
        let answer = ask(&sim, "GET", &path, "");
        assert_eq!(answer.status, 200, "{path}");
        check(&answer, &path);
        assert_eq!(answer.body, std::fs::read(crate::tidy::root().join("console").join(name)).unwrap());
        let media_type = match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
            "html" => "text/html; charset=utf-8",
            "css" => "text/css; charset=utf-8",
            "js" => "text/javascript; charset=utf-8",
            "svg" => "image/svg+xml",
            // Notices, such as vendor/lit-html/LICENSE.
            _ => "text/plain; charset=utf-8",
        };
        assert_eq!(header(&answer, "content-type"), Some(media_type), "{path}");
        let length = answer.body.len().to_string();
        let head = ask(&sim, "HEAD", &path, "");
        assert_eq!((head.status, head.body.len(), header(&head, "content-length")), (200, 0, Some(&*length)));
        check(&head, &path);
        let tag = header(&answer, "etag").unwrap();
        for (known, status) in [
            (tag, 304),
            (&*format!("W/{tag}"), 304),
            (&*format!("\"x\", {tag}"), 304),
            ("*", 304),
            ("\"x\"", 200),
        ] {
            let again = ask(&sim, "GET", &path, &format!("If-None-Match: {known}\r\n"));
            assert_eq!((again.status, header(&again, "etag")), (status, Some(tag)), "{path} {known}");
            assert_eq!(again.body.is_empty(), status == 304, "{path} {known}");
            check(&again, &path);
        }
    }
}

#[test]
fn programs_get_the_same_error_at_the_root_as_before() {
    let sim = Sim::start();
    for (method, headers) in
        [("GET", ""), ("GET", "Accept: */*\r\n"), ("GET", "Accept: text/html;q=0\r\n"), ("POST", HTML)]
    {
        let answer = ask(&sim, method, "/", headers);
        assert_eq!(answer.status, 404, "{method} {headers}");
        assert_eq!(answer.json()["error"]["code"], "not_found");
    }
    assert_eq!(ask(&sim, "HEAD", "/", HTML).status, 200);
}

#[test]
fn what_is_not_there_is_a_json_error() {
    let sim = Sim::start();
    for path in [
        "/console/",
        "/console/nothing.js",
        "/console/../Cargo.toml",
        "/console/%2e%2e/Cargo.toml",
        "/console/..%2fCargo.toml",
        "/console//etc/passwd",
        "/console/main.js/",
        "/console/main.js%00",
        "/console/%ff",
        "/console/views",
    ] {
        let answer = ask(&sim, "GET", path, HTML);
        assert!(answer.status == 404 || answer.status == 400, "{path}: {}", answer.head);
        let code = answer.json()["error"]["code"].clone();
        assert!(code == "not_found" || code == "invalid", "{path}: {code}");
    }
    let posted = ask(&sim, "POST", "/console/main.js", "");
    assert_eq!((posted.status, header(&posted, "allow")), (405, Some("GET, HEAD")));
}

#[test]
fn the_page_is_for_this_machine_or_holders_of_the_token_but_holds_no_data() {
    let sim = Sim::start();
    let raw = |path: &str, host: &str, more: &str| {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{HTML}{more}\r\n");
        exchange(sim.admin_address(), request.as_bytes()).status
    };
    let protected = Sim::with(|builder| builder.admin_token(Some("s3cret".to_owned())));
    for path in ["/", "/console/main.js", "/console/nothing.js"] {
        let found = if path.contains("nothing") { 404 } else { 200 };
        assert_eq!(raw(path, "localhost", ""), found, "{path}");
        assert_eq!(raw(path, "evil.example", ""), 421, "{path}");
        assert_eq!(raw(path, "localhost", "Origin: http://evil.example\r\n"), 403, "{path}");
        assert_eq!(raw(path, "localhost", "Origin: http://localhost\r\n"), found, "{path}");
        assert_eq!(ask(&protected, "GET", path, HTML).status, found, "{path}");
        let foreign = format!("{HTML}Origin: https://evil.example\r\n");
        assert_eq!(ask(&protected, "GET", path, &foreign).status, 403, "{path}");
    }
    for path in ["/customers", "/requests", "/openapi.json", "/consolex", "/console"] {
        assert_eq!(ask(&protected, "GET", path, HTML).status, 401, "{path}");
    }
}

#[test]
fn a_path_of_the_console_on_the_endpoints_port_names_the_right_one() {
    let sim = Sim::start();
    let answer = exchange(sim.address(), &http("GET", "/console/main.js", "", b""));
    assert_eq!(answer.status, 404);
    let url = format!("{}/console/main.js", sim.0.admin_url().unwrap());
    assert!(answer.json()["error"]["hint"].as_str().unwrap().ends_with(&url), "{}", answer.text());
}
