//! The body's `ip` is an address the customer may use; with `access.peer` the TCP peer is one too (doc 2, 4.4).

use std::net::IpAddr;

use super::{Case, Check, Finding};
use crate::fixtures::Customer;
use crate::protocol::{Code, Field, body};

const THIS: Check = Check::Ip;

pub fn check(case: &Case) -> Finding {
    let Some(text) = case.body.text(Field::Ip) else {
        return Finding::unknown(THIS, "there is no ip to judge");
    };
    let Ok(ip) = text.parse::<IpAddr>() else {
        return failed(
            format!("ip {} is no address", body::shown(text)),
            "send the address alone, such as 10.0.0.1, without blanks, port or leading zeros",
        );
    };
    let Some(customer) = case.customer else {
        return Finding::unknown(THIS, "the customer is unknown, and so is its allow list");
    };
    if !customer.allows(ip) {
        return failed(format!("ip {ip} is not in the customer's allow list"), allow_hint(customer));
    }
    match case.peer {
        Some(peer) if customer.access_peer && !customer.allows(peer) => failed(
            format!("the connection's peer {peer} is not in the customer's allow list"),
            allow_hint(customer),
        ),
        None if customer.access_peer => Finding::unknown(THIS, "the connection's peer is not known"),
        _ => Finding::passed(THIS, format!("ip {ip} is allowed")),
    }
}

fn failed(reason: String, hint: impl Into<std::borrow::Cow<'static, str>>) -> Finding {
    Finding::failed(THIS, Code::IP, reason, hint)
}

fn allow_hint(customer: &Customer) -> String {
    let nets: Vec<_> = customer.allow.iter().flatten().map(ToString::to_string).collect();
    format!("[access] allow of {} is: {}", customer.id, nets.join(", "))
}
