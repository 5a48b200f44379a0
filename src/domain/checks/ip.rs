//! IP check: the body's `ip` is in the customer's allow list; with `access.peer` the TCP peer must be too (doc 2, 4.4).

use std::net::IpAddr;

use super::{CheckInput, Finding};
use crate::base::text;
use crate::domain::customer::Customer;
use crate::domain::policy::Check;
use crate::protocol::{Code, Field};

const THIS: Check = Check::Ip;

pub fn check(input: &CheckInput) -> Finding {
    let results = [body_ip(input), peer(input)];
    let reasons = |filter: fn(&AddressResult) -> bool| -> String {
        let texts: Vec<_> =
            results.iter().flatten().filter(|result| filter(result)).map(AddressResult::text).collect();
        texts.join("; ")
    };
    if let Some(AddressResult::Rejected(_, hint)) =
        results.iter().flatten().find(|result| matches!(result, AddressResult::Rejected(..)))
    {
        return Finding::failed(
            THIS,
            Code::IP,
            reasons(|result| matches!(result, AddressResult::Rejected(..))),
            hint.clone(),
        );
    }
    if results.iter().flatten().any(|result| matches!(result, AddressResult::Unknown(_))) {
        return Finding::unknown(THIS, reasons(|result| matches!(result, AddressResult::Unknown(_))));
    }
    Finding::passed(THIS, reasons(|_| true))
}

/// Result for one of the two addresses.
enum AddressResult {
    Allowed(String),
    Unknown(&'static str),
    /// Reason and hint.
    Rejected(String, String),
}

impl AddressResult {
    fn text(&self) -> &str {
        match self {
            AddressResult::Allowed(text) | AddressResult::Rejected(text, _) => text,
            AddressResult::Unknown(text) => text,
        }
    }
}

fn body_ip(input: &CheckInput) -> Option<AddressResult> {
    let Some(text) = input.body.text(Field::Ip) else {
        return Some(AddressResult::Unknown("there is no ip to check"));
    };
    let Ok(ip) = text.parse::<IpAddr>() else {
        let hint = "send only the address, such as 10.0.0.1, without spaces, port or leading zeros";
        return Some(AddressResult::Rejected(
            format!("ip {} is not an IP address", text::quoted(text)),
            hint.to_owned(),
        ));
    };
    Some(match input.customer {
        None => AddressResult::Unknown("the customer is unknown, and so is its allow list"),
        Some(customer) if customer.allows(ip) => AddressResult::Allowed(format!("ip {ip} is allowed")),
        Some(customer) => AddressResult::Rejected(
            format!("ip {ip} is not in the customer's allow list"),
            allow_hint(customer),
        ),
    })
}

/// Checks the peer; `None` when the customer does not restrict it.
fn peer(input: &CheckInput) -> Option<AddressResult> {
    let customer = input.customer.filter(|customer| customer.access_peer)?;
    Some(match input.peer {
        None => AddressResult::Unknown("the connection's peer is unknown"),
        Some(peer) if customer.allows(peer) => AddressResult::Allowed(format!("peer {peer} is allowed")),
        Some(peer) => AddressResult::Rejected(
            format!("the connection's peer {peer} is not in the customer's allow list"),
            allow_hint(customer),
        ),
    })
}

fn allow_hint(customer: &Customer) -> String {
    let nets: Vec<_> = customer.allow.iter().flatten().map(ToString::to_string).collect();
    format!("[access] allow of {} is: {}", customer.id, nets.join(", "))
}
