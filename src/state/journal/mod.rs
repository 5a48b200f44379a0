//! Journal of requests: what was received, found and answered; with filters, counts and events.

mod delivered;
mod entry;
mod file;
mod matching;
mod pending;
mod recent;
mod redactor;
mod ring;
mod sending;
mod shared;
mod stored;
mod tally;

pub use crate::base::hash::hex;
pub use crate::domain::nik::mask::{masked, without_niks};
pub use delivered::Delivered;
pub use entry::{
    AnswerRecord, CandidateRecord, DelayRecord, Entry, FaultRecord, ImageRecord, MAX_TEXT_CHARS,
    RequestRecord,
};
pub use matching::{Difference, ImageMatch, Match, NearMiss, Since};
pub use recent::RequestMarks;
pub use redactor::Redactor;
pub use ring::{Journal, JournalEvent, SharedEvent, Subscription, Usage};
pub use sending::{Sending, SendingRecord, Sent, SentEnd, State};
pub use shared::KeptEntry;
pub use tally::{ExpectedCount, MatchReport};

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::protocol::Code;

    /// An entry in flight.
    pub fn entry(customer: &str, code: Code) -> Entry {
        Entry {
            customer_id: Some(customer.to_owned()),
            methode: "CALL_FN".to_owned(),
            connection: 1,
            ordinal: Some(1),
            answer: AnswerRecord { status: Some(200), code: Some(code), ..AnswerRecord::default() },
            ..Entry::blank("2026-11-21T03:00:00Z".parse().unwrap())
        }
    }
}
