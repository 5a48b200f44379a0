//! Entries as a store keeps them: the entry as the API shows it, and apart from it how its sending stands.

use super::{Entry, Sending, SendingRecord};
use crate::base::json;
use crate::state::store::{JournalRecord, StoredEntry};

impl JournalRecord for Entry {
    fn id(&self) -> u64 {
        self.id
    }

    fn customer_id(&self) -> Option<&str> {
        self.customer_id.as_deref()
    }

    fn entry_text(&self) -> String {
        json::text(self)
    }

    fn sending_text(&self) -> String {
        json::text(&self.sending.record())
    }
}

/// Reads an entry. What was in flight is aborted: its process has ended.
///
/// # Errors
/// When it is not an entry.
pub(super) fn read(stored: &StoredEntry) -> serde_json::Result<Entry> {
    let sending: SendingRecord = serde_json::from_str(&stored.sending)?;
    let entry: Entry = serde_json::from_str(&stored.entry)?;
    Ok(Entry { sending: Sending::from(sending), ..entry })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::domain::faults::FaultKind;
    use crate::domain::warnings::Warning;
    use crate::protocol::Code;
    use crate::state::journal::tests::entry;
    use crate::state::journal::{CandidateRecord, DelayRecord, FaultRecord, ImageRecord, SentEnd, State};

    #[test]
    fn an_entry_is_read_as_it_was_written_but_for_what_was_in_flight() {
        let mut written = entry("demo", Code::FOUND);
        written.id = 7;
        written.request.peer = Some("10.0.0.1".parse().unwrap());
        written.request.threshold = Some(7.25);
        written.request.image = Some(ImageRecord {
            sha256: "ab".repeat(32),
            bytes: 10,
            format: Some(crate::domain::evidence::PhotoFormat::Jpeg),
            width: Some(1),
            height: None,
        });
        written.warnings.push(Warning { name: "bom".into(), message: "a BOM".to_owned() });
        written.delay = Some(DelayRecord { rule: "slow".to_owned(), us: 5 });
        let kind = FaultKind::find("truncate").unwrap();
        let note = serde_json::from_value(json!({ "at": 17 })).unwrap();
        written.fault = Some(FaultRecord { note, ..FaultRecord::new(kind, "cut") });
        written.answer.candidates.push(CandidateRecord {
            nik: "3174XXXX".to_owned(),
            region: None,
            score: 12.34,
            by: None,
        });
        let rests_on = json!([{
            "key": "precedence", "standing": "assumed", "other_value": ["ip"], "other_answer": "5003", "differs": "code",
        }]);
        written.grounds = serde_json::from_value(json!({ "rests_on": rests_on })).unwrap();
        let stored = StoredEntry { entry: written.entry_text(), sending: written.sending_text() };
        let read = read(&stored).unwrap();
        assert!(read.is_spoiled(), "a fault is the same fault");
        assert_eq!(json::value(&read)["rests_on"], rests_on);
        assert_eq!((read.sending.state(), read.sending.sent().end), (State::Aborted, SentEnd::None));
        let (mut before, mut after) = (json::value(&written), json::value(&read));
        for value in [&mut before, &mut after] {
            value["state"].take();
            value["sent"].take();
        }
        assert_eq!(before, after);
    }
}
