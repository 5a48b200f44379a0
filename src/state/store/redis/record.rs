//! Records of the history: what a step changed, as all replicas apply it.

use serde::{Deserialize, Serialize};

use super::super::{StoreSubject, StoreWrite};
use crate::base::json;

/// One change of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HistoryStep {
    /// Subject, field and value.
    Set(String, String, String),
    Remove(String, String),
    /// Removes all fields of a subject.
    Clear(String),
    /// Adds an entry to the journal, as JSON. The record has its id.
    Add(String),
    /// An entry's id, how its sending stands, and whether that is the end.
    End(u64, String, bool),
    /// Removes a customer's entries; `None`: all.
    ClearEntries(Option<String>),
    /// Tells the readers of events of a change over the admin API, as JSON.
    Changed(String),
    /// A replica is gone: what it had under way is aborted.
    Gone(String),
}

/// A record.
#[derive(Clone, Debug)]
pub struct HistoryRecord {
    /// Its position, from 1.
    pub position: u64,
    /// The replica that appended it.
    pub replica: String,
    /// Number of the operation at that replica.
    pub operation: u64,
    /// Id of the journal's entry that it adds; 0 when it adds none.
    pub entry_id: u64,
    pub steps: Vec<HistoryStep>,
}

impl HistoryStep {
    /// Returns the steps of writes. What each replica does by itself is left out.
    #[must_use]
    pub fn of(writes: Vec<StoreWrite>) -> Vec<HistoryStep> {
        let step = |write| {
            Some(match write {
                StoreWrite::Set { subject, field, value } => {
                    HistoryStep::Set(subject.to_string(), field, value)
                }
                StoreWrite::Remove { subject, field } => HistoryStep::Remove(subject.to_string(), field),
                StoreWrite::Clear(subject) => HistoryStep::Clear(subject.to_string()),
                StoreWrite::Add(record) => HistoryStep::Add(record.entry_text()),
                StoreWrite::End { id, sending, is_over } => HistoryStep::End(id, sending, is_over),
                StoreWrite::ClearEntries(whose) => HistoryStep::ClearEntries(whose),
                StoreWrite::DropEntries(_) => return None,
            })
        };
        writes.into_iter().filter_map(step).collect()
    }

    /// Returns the subject that it changes; `None` when it is of the journal.
    #[must_use]
    pub fn subject(&self) -> Option<&str> {
        match self {
            HistoryStep::Set(subject, ..) | HistoryStep::Remove(subject, _) | HistoryStep::Clear(subject) => {
                Some(subject)
            }
            _ => None,
        }
    }
}

/// Returns the text of a record's steps.
#[must_use]
pub fn text(steps: &[HistoryStep]) -> String {
    json::text(&steps)
}

/// What a step was decided on.
#[derive(Clone, Debug)]
pub struct StepBasis {
    pub subject: StoreSubject,
    pub version: u64,
    /// The session with the server in which it was decided: another one may have another history.
    pub session: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::store::set;

    #[test]
    fn steps_are_read_as_they_were_written() {
        let writes = vec![
            set(&"c:demo".into(), "used/2026-11-21", "3"),
            StoreWrite::Remove { subject: "c:demo".into(), field: "state".to_owned() },
            StoreWrite::Clear("c:demo".into()),
            StoreWrite::End { id: 7, sending: "{}".to_owned(), is_over: true },
            StoreWrite::DropEntries(3),
            StoreWrite::ClearEntries(None),
        ];
        let steps = HistoryStep::of(writes);
        assert_eq!(steps.len(), 5, "each replica drops by itself");
        assert_eq!(serde_json::from_str::<Vec<HistoryStep>>(&text(&steps)).unwrap(), steps);
    }
}
