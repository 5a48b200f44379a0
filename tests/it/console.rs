//! The console: its files, who may have them, and what the page may do.

use std::collections::{BTreeMap, BTreeSet};

use dukcapil_fr_sim::internals::base::hash::hex;
use dukcapil_fr_sim::internals::config::source;
use dukcapil_fr_sim::internals::http::admin::console;
use sha2::{Digest, Sha256};

use crate::support::{Answer, Sim, exchange, http};
use crate::tidy::{read, tracked_files};

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
            (tag.strip_prefix("W/").unwrap(), 304),
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
    let root = exchange(sim.address(), &http("GET", "/", HTML, b"")).json();
    let page = format!("the console is at {}/", sim.0.admin_url().unwrap());
    assert!(root["error"]["hint"].as_str().unwrap().ends_with(&page), "{root}");
}

/// Returns the files of the console below a directory, as text.
fn files(below: &str) -> impl Iterator<Item = (String, String)> {
    let names = console::names().filter(move |name| name.starts_with(below));
    names.map(|name| (name.to_owned(), read(&format!("console/{name}"))))
}

#[test]
fn nothing_needs_an_inline_script_or_style() {
    let inline = regex::Regex::new(r#"(?i)<style|\s(style|on\w+)\s*=\s*["'$]|javascript:"#).unwrap();
    let scripts = regex::Regex::new(r"(?is)<script\b([^>]*)>(.*?)</script").unwrap();
    // What the policy and Trusted Types would reject; text becomes markup only in lit-html.
    let sinks =
        regex::Regex::new(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function")
            .unwrap();
    let mut pages = 0;
    for (name, text) in files("").filter(|(name, _)| !name.starts_with("vendor/")) {
        assert!(!inline.is_match(&text), "{name}: {:?}", inline.find(&text));
        assert!(!sinks.is_match(&text), "{name}: {:?}", sinks.find(&text));
        if name.ends_with(".html") {
            pages += 1;
            for script in scripts.captures_iter(&text) {
                assert!(script[1].contains(" src=") && script[2].trim().is_empty(), "{name}: {}", &script[0]);
            }
        }
    }
    assert!(pages > 0);
}

#[test]
fn nothing_is_loaded_from_elsewhere() {
    let elsewhere = regex::Regex::new(
        r#"(?i)(src|href)="?(https?:)?//|@import|(?-i:\burl\()|(import|from) ["'](https?:)?//"#,
    )
    .unwrap();
    for (name, text) in files("") {
        assert!(!elsewhere.is_match(&text), "{name}: {:?}", elsewhere.find(&text));
    }
}

#[test]
fn vendored_files_are_those_of_their_source() {
    let source = read("console/vendor/SOURCE");
    let rows = source.lines().filter_map(|line| line.split_once("  "));
    let listed: BTreeMap<_, _> = rows.map(|(sha256, name)| (name.to_owned(), sha256.to_owned())).collect();
    let present = files("vendor/").filter(|(name, _)| name != "vendor/SOURCE");
    let present: BTreeMap<_, _> = present
        .map(|(name, text)| (name["vendor/".len()..].to_owned(), hex(&Sha256::digest(text))))
        .collect();
    assert_eq!(present, listed, "console/vendor/SOURCE has the SHA-256 of each vendored file");
    assert!(present.contains_key("lit-html.js"));
}

/// Max bytes of all files together: the page needs no build step only as long as it stays small.
const MAX_BYTES: usize = 166_000;

/// Max bytes that a browser loads.
const MAX_SENT_BYTES: usize = 75_000;

#[test]
fn the_console_stays_small() {
    let sizes: BTreeMap<_, _> = files("").map(|(name, text)| (name, text.len())).collect();
    let total: usize = sizes.values().sum();
    assert!(total <= MAX_BYTES, "{total} bytes: {sizes:?}");
    let sim = Sim::start();
    let sent = console::names().map(|name| {
        let answer = ask(&sim, "GET", &format!("/console/{name}"), "Accept-Encoding: gzip, br\r\n");
        assert_eq!((answer.status, header(&answer, "content-encoding")), (200, Some("gzip")), "{name}");
        answer.body.len()
    });
    let sent: usize = sent.sum();
    assert!(sent <= MAX_SENT_BYTES, "{sent} bytes");
}

/// Returns keys and texts of a file of translations: an object of plain strings.
fn translations(name: &str) -> BTreeMap<String, String> {
    let text = read(name);
    let object = text.split_once("export default {").unwrap_or_else(|| panic!("{name}")).1;
    let object = object.split_once("\n};").unwrap_or_else(|| panic!("{name}")).0;
    let part = r#"(?x) ^ (?: \s+ | , | //[^\n]* | (?: '([^']+)' | (\w+) ) : \s* (?: '((?:[^'\\\n]|\\.)*)' | "((?:[^"\\\n]|\\.)*)" ) )"#;
    let part = regex::Regex::new(part).unwrap();
    let (mut rest, mut found) = (object, BTreeMap::new());
    while !rest.is_empty() {
        let line = rest.lines().next().unwrap_or_default();
        let one = part.captures(rest).unwrap_or_else(|| panic!("{name}: not a key and a text: {line}"));
        if let Some(key) = one.get(1).or(one.get(2)) {
            let text = one.get(3).or(one.get(4)).unwrap().as_str().to_owned();
            assert_eq!(found.insert(key.as_str().to_owned(), text), None, "{name}: {} twice", key.as_str());
        }
        rest = &rest[one[0].len()..];
    }
    found
}

#[test]
fn both_languages_have_the_same_keys_and_the_same_parts_to_fill_in() {
    let (en, id) = (translations("console/i18n/en.js"), translations("console/i18n/id.js"));
    assert_eq!(en.keys().collect::<Vec<_>>(), id.keys().collect::<Vec<_>>());
    assert!(en.len() > 50, "only {} texts", en.len());
    let braces = regex::Regex::new(r"\{\w+\}").unwrap();
    let parts =
        |text: &str| braces.find_iter(text).map(|found| found.as_str().to_owned()).collect::<BTreeSet<_>>();
    for (key, text) in &en {
        assert_eq!(parts(text), parts(&id[key]), "{key}");
        assert!(!text.trim().is_empty() && !id[key].trim().is_empty(), "{key}");
    }
}

#[test]
fn the_page_names_the_customers_and_mistakes_that_there_are() {
    let built_in = source::built_in().into_keys();
    let ids =
        built_in.filter_map(|name| Some(name.strip_prefix("customers/")?.strip_suffix(".toml")?.to_owned()));
    let ids: BTreeSet<_> =
        ids.filter(|id| !id.starts_with("always-") && !id.starts_with("sample-")).collect();
    let strings = regex::Regex::new("'([^']+)'").unwrap();
    let listed = |file: &str, name: &str, end: char| -> BTreeSet<String> {
        let text = read(file);
        let list =
            text.split_once(&format!("const {name} = ")).unwrap_or_else(|| panic!("{file} lacks {name}")).1;
        let list = list.split_once(&format!("{end};")).unwrap_or_else(|| panic!("{file}: {name}")).0;
        strings.captures_iter(list).map(|found| found[1].to_owned()).collect()
    };
    assert_eq!(listed("console/views/customers.js", "SHIPPED", ']'), ids);
    let mistakes = &crate::openapi::DOCUMENT["components"]["schemas"]["Breakage"]["oneOf"];
    let mistakes = mistakes.as_array().unwrap().iter().map(|one| one["const"].as_str().unwrap().to_owned());
    assert_eq!(listed("console/views/try.js", "MISTAKES", '}'), mistakes.collect());
}
