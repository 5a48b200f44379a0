//! Quota check: the customer has quota left for this Jakarta day (doc 1, "kuota perhari", and 4.2).

use super::{CheckInput, Finding};
use crate::domain::policy::Check;
use crate::protocol::Code;

const THIS: Check = Check::Quota;

pub fn check(input: &CheckInput) -> Finding {
    if input.customer.is_none() {
        return Finding::unknown(THIS, "the customer is unknown, and so is its quota");
    }
    let quota = input.quota;
    match (quota.per_day, quota.left()) {
        (Some(limit), Some(0)) => Finding::failed(
            THIS,
            Code::QUOTA,
            format!("today's quota of {limit} is used up"),
            "wait for midnight in Jakarta, or on the admin listener: PUT /customers/{customer_id}/quota {\"used\":0}, \
             or PUT /clock {\"advance\":\"24h\"}",
        ),
        (Some(limit), Some(left)) => Finding::passed(THIS, format!("{left} of {limit} left today")),
        _ => Finding::passed(THIS, "the customer has no limit"),
    }
}
