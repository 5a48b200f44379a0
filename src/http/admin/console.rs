//! `GET /` and `/console/*`: the console, a web page for people. A pure client of the admin API: its files hold no data, so they require no
//! token.
//!
//! A debug build serves the files of the repository, so that a reload of the page shows an edit; a release build serves those of
//! [`FILES`], which it embeds.

use std::borrow::Cow;

use actix_web::http::header::{ACCEPT, EntityTag, Header, IfNoneMatch};
use actix_web::middleware::{Compress, DefaultHeaders};
use actix_web::web::{self, ServiceConfig};
use actix_web::{HttpRequest, HttpResponse, Responder, guard};

use super::{ApiError, no_route};
use crate::base::hash;
use crate::base::media_type;
use crate::http::state::AppState;

macro_rules! embedded {
    ($($name:literal),* $(,)?) => {
        &[$(($name, include_bytes!(concat!(env!("CARGO_MANIFEST_DIR"), "/console/", $name)))),*]
    };
}

/// Every file of the console: its path below `console/`, and its content.
static FILES: &[(&str, &[u8])] = embedded![
    "actions.js",
    "api.js",
    "console.css",
    "events.js",
    "i18n/en.js",
    "i18n/id.js",
    "icon.svg",
    "index.html",
    "main.js",
    "recipes.js",
    "store.js",
    "ui.js",
    "vendor/LICENSE",
    "vendor/SOURCE",
    "vendor/directive-helpers.js",
    "vendor/directive.js",
    "vendor/directives/repeat.js",
    "vendor/lit-html.js",
    "views/clock.js",
    "views/customers.js",
    "views/detail.js",
    "views/gallery.js",
    "views/requests.js",
    "views/rules.js",
    "views/token.js",
    "views/try.js",
];

/// Path of the files: what a name of [`FILES`] is below.
pub const PREFIX: &str = "/console/";

/// The page.
const INDEX: &str = "index.html";

/// What the page may do: load and call this listener only, and no markup from text (Trusted Types; lit-html names its own policy).
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; \
     form-action 'none'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types lit-html";

/// Registers the page and its files. They are no operations: programs have no use for them.
pub fn routes(config: &mut ServiceConfig) {
    let headers = || {
        DefaultHeaders::new()
            .add(("Content-Security-Policy", CONTENT_SECURITY_POLICY))
            .add(("X-Content-Type-Options", "nosniff"))
            .add(("Referrer-Policy", "no-referrer"))
            .add(("Cache-Control", "no-cache"))
    };
    let get = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    let page = web::resource("/")
        .route(get().to(page))
        .default_service(web::to(no_route))
        .wrap(headers().add(("Vary", "Accept")));
    let file = web::resource([format!("{PREFIX}{{name:.*}}")])
        .route(get().to(file))
        .default_service(web::to(no_method));
    // A third of the bytes, for a team that shares a simulator.
    config.service(page).service(file.wrap(Compress::default()).wrap(headers()));
}

/// Returns the names of all embedded files.
pub fn names() -> impl Iterator<Item = &'static str> {
    FILES.iter().map(|(name, _)| *name)
}

/// Returns whether a path is the page or one of its files, which hold no data.
#[must_use]
pub fn is_static(path: &str) -> bool {
    path == "/" || path.starts_with(PREFIX)
}

/// The page for a browser, which names `text/html` as what it accepts; for programs there is nothing at `/`.
async fn page(shared: web::Data<AppState>, req: HttpRequest) -> HttpResponse {
    let accepted = req.headers().get_all(ACCEPT).filter_map(|value| value.to_str().ok());
    match content(INDEX) {
        Some(bytes) if media_type::names_html(accepted) => answer(&req, INDEX, &bytes),
        _ => no_route(shared, req.clone()).await.respond_to(&req),
    }
}

async fn file(shared: web::Data<AppState>, name: web::Path<String>, req: HttpRequest) -> HttpResponse {
    match content(&name) {
        Some(bytes) => answer(&req, &name, &bytes),
        None => no_route(shared, req.clone()).await.respond_to(&req),
    }
}

async fn no_method(req: HttpRequest) -> ApiError {
    ApiError::wrong_method(format!("{} does not allow {}", req.path(), req.method()), "GET, HEAD")
}

/// Returns the file, or 304 when the client has it already.
fn answer(req: &HttpRequest, name: &str, bytes: &[u8]) -> HttpResponse {
    // Weak: the same file may be compressed or not.
    let tag = EntityTag::new_weak(hash::hex(&hash::digest(bytes)));
    let is_known = match IfNoneMatch::parse(req) {
        Ok(IfNoneMatch::Any) => req.headers().contains_key(IfNoneMatch::name()),
        Ok(IfNoneMatch::Items(tags)) => tags.iter().any(|known| known.weak_eq(&tag)),
        Err(_) => false,
    };
    let mut response = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    response.insert_header(("ETag", tag.to_string()));
    if is_known { response.finish() } else { response.content_type(content_type(name)).body(bytes.to_vec()) }
}

fn content_type(name: &str) -> &'static str {
    match name.rsplit_once('.').map_or("", |(_, extension)| extension) {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "text/plain; charset=utf-8",
    }
}

#[cfg(not(debug_assertions))]
fn content(name: &str) -> Option<Cow<'static, [u8]>> {
    embedded(name)
}

/// The file as it is on disk; a binary that was taken elsewhere has the embedded ones.
#[cfg(debug_assertions)]
fn content(name: &str) -> Option<Cow<'static, [u8]>> {
    let root = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/console")).canonicalize();
    match root {
        Ok(root) => on_disk(&root, name).map(Cow::Owned),
        Err(_) => embedded(name),
    }
}

/// Returns a file below `root`, which is canonical. `None` also for one that a `..` or a symbolic link leads out of it.
#[cfg(debug_assertions)]
fn on_disk(root: &std::path::Path, name: &str) -> Option<Vec<u8>> {
    let path = root.join(name).canonicalize().ok()?;
    let is_inside = path.starts_with(root) && path.is_file();
    is_inside.then(|| std::fs::read(path).ok())?
}

fn embedded(name: &str) -> Option<Cow<'static, [u8]>> {
    FILES.iter().find(|(known, _)| *known == name).map(|(_, bytes)| Cow::Borrowed(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_release_serves_is_what_lies_there() {
        for name in names() {
            assert_eq!(embedded(name), content(name), "{name}");
        }
        assert_eq!(embedded("nothing.js"), None);
    }

    #[cfg(all(unix, debug_assertions))]
    #[test]
    fn no_path_leads_out_of_the_directory() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().canonicalize().unwrap().join("console");
        std::fs::create_dir_all(root.join("views")).unwrap();
        for (name, text) in [("../secret", "s"), ("main.js", "m"), ("views/try.js", "t")] {
            std::fs::write(root.join(name), text).unwrap();
        }
        std::os::unix::fs::symlink("../secret", root.join("link.js")).unwrap();
        std::os::unix::fs::symlink("main.js", root.join("inside.js")).unwrap();
        for (name, found) in [
            ("main.js", true),
            ("views/try.js", true),
            ("views/../main.js", true),
            ("inside.js", true),
            ("../secret", false),
            ("views/../../secret", false),
            ("link.js", false),
            ("/etc/passwd", false),
            ("views", false),
            ("", false),
            ("nothing.js", false),
            ("main.js\0", false),
        ] {
            assert_eq!(on_disk(&root, name).is_some(), found, "{name:?}");
        }
    }
}
