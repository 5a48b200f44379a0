//! A request's headers, taken out of its head. actix keeps the heads of a few hundred requests for later ones, and with them what their
//! headers lie in: 15 kB each, for as long as the program runs.

use std::mem;
use std::rc::Rc;

use actix_http::{HttpMessage, Request};
use actix_web::HttpRequest;
use actix_web::http::header::HeaderMap;

#[derive(Clone)]
struct TakenHeaders(Rc<HeaderMap>);

/// Takes the headers of a request; [`of`] has them then.
pub fn take(req: &mut Request) {
    let headers = mem::take(req.headers_mut());
    req.extensions_mut().insert(TakenHeaders(Rc::new(headers)));
}

/// The headers of a request, taken or not.
#[must_use]
pub fn of(req: &HttpRequest) -> Rc<HeaderMap> {
    let taken = req.extensions().get().cloned();
    taken.map_or_else(|| Rc::new(req.headers().clone()), |TakenHeaders(headers)| headers)
}
