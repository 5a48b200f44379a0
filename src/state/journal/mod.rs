//! The journal: what was asked, what was found, what was answered; and how to find and count it.

mod entry;
mod matching;
mod redactor;
mod ring;
mod tally;

pub use crate::base::hash::hex;
pub use crate::domain::nik::mask::{masked, without_niks};
pub use entry::{DelayTold, Elapsed, Ended, Entry, FaultTold, Found, Image, Reply, Request, State};
pub use matching::{Difference, ImageMatch, Match, Miss, Since};
pub use redactor::Discretion;
pub use ring::{Fill, Followed, Journal, News};
pub use tally::{Expected, Tally};

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::protocol::Code;

    /// An entry in flight.
    pub fn entry(customer: &str, code: Code) -> Entry {
        Entry {
            id: 0,
            at: "2026-11-21T03:00:00Z".parse().unwrap(),
            customer_id: customer.to_owned(),
            methode: "CALL_FN".to_owned(),
            connection: 1,
            ordinal: Some(1),
            state: Ended::default(),
            request: Request::default(),
            findings: Vec::new(),
            warnings: Vec::new(),
            rule: None,
            rules: Vec::new(),
            delay: None,
            fault: None,
            answer: Reply { status: Some(200), code: Some(code), ..Reply::default() },
            elapsed_us: Elapsed::default(),
        }
    }
}
