//! Fault `gateway_page`: sends the HTML error page of a reverse proxy whose upstream is down.

use rand::rngs::ChaCha8Rng;

use super::{Params, Plan};
use crate::domain::http_answer::{HttpAnswer, reason_phrase};

pub fn plan(params: &Params, answer: &HttpAnswer, _: &mut ChaCha8Rng) -> Plan {
    let status = params.status.unwrap_or(502);
    let title = format!("{status} {}", reason_phrase(status));
    let body = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n\
         <hr><center>nginx</center>\r\n</body>\r\n</html>\r\n"
    );
    let headers = vec![("content-type".to_owned(), "text/html".to_owned())];
    Plan::answer(HttpAnswer { status, headers, body: body.into_bytes(), ..answer.clone() })
        .note("status", status)
}
