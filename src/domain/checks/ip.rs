//! The body's `ip` is an address the customer may use; with `access.peer` the TCP peer is one too (doc 2, 4.4).

use std::net::IpAddr;

use super::{CheckInput, Finding};
use crate::base::text;
use crate::domain::customer::Customer;
use crate::domain::policy::Check;
use crate::protocol::{Code, Field};

const THIS: Check = Check::Ip;

pub fn check(case: &CheckInput) -> Finding {
    let judged = [body_ip(case), peer(case)];
    let reasons = |wanted: fn(&Judged) -> bool| -> String {
        let texts: Vec<_> =
            judged.iter().flatten().filter(|judged| wanted(judged)).map(Judged::text).collect();
        texts.join("; ")
    };
    if let Some(Judged::Wrong(_, hint)) =
        judged.iter().flatten().find(|judged| matches!(judged, Judged::Wrong(..)))
    {
        return Finding::failed(
            THIS,
            Code::IP,
            reasons(|judged| matches!(judged, Judged::Wrong(..))),
            hint.clone(),
        );
    }
    if judged.iter().flatten().any(|judged| matches!(judged, Judged::Unknown(_))) {
        return Finding::unknown(THIS, reasons(|judged| matches!(judged, Judged::Unknown(_))));
    }
    Finding::passed(THIS, reasons(|_| true))
}

/// How one of the two addresses is.
enum Judged {
    Right(String),
    Unknown(&'static str),
    /// Why, and what to do.
    Wrong(String, String),
}

impl Judged {
    fn text(&self) -> &str {
        match self {
            Judged::Right(text) | Judged::Wrong(text, _) => text,
            Judged::Unknown(text) => text,
        }
    }
}

fn body_ip(case: &CheckInput) -> Option<Judged> {
    let Some(text) = case.body.text(Field::Ip) else {
        return Some(Judged::Unknown("there is no ip to judge"));
    };
    let Ok(ip) = text.parse::<IpAddr>() else {
        let hint = "send the address alone, such as 10.0.0.1, without blanks, port or leading zeros";
        return Some(Judged::Wrong(format!("ip {} is no address", text::quoted(text)), hint.to_owned()));
    };
    Some(match case.customer {
        None => Judged::Unknown("the customer is unknown, and so is its allow list"),
        Some(customer) if customer.allows(ip) => Judged::Right(format!("ip {ip} is allowed")),
        Some(customer) => {
            Judged::Wrong(format!("ip {ip} is not in the customer's allow list"), allow_hint(customer))
        }
    })
}

/// `None` where the peer does not matter.
fn peer(case: &CheckInput) -> Option<Judged> {
    let customer = case.customer.filter(|customer| customer.access_peer)?;
    Some(match case.peer {
        None => Judged::Unknown("the connection's peer is not known"),
        Some(peer) if customer.allows(peer) => Judged::Right(format!("peer {peer} is allowed")),
        Some(peer) => Judged::Wrong(
            format!("the connection's peer {peer} is not in the customer's allow list"),
            allow_hint(customer),
        ),
    })
}

fn allow_hint(customer: &Customer) -> String {
    let nets: Vec<_> = customer.allow.iter().flatten().map(ToString::to_string).collect();
    format!("[access] allow of {} is: {}", customer.id, nets.join(", "))
}
