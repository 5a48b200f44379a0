//! What an answer rests on, as the journal and explanations show it.

use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::basis::Basis;
use super::grounds::Grounds;
use super::rests_on::{Differs, RestsOn};

/// What an answer rests on, and where its parts are known from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct GroundsRecord {
    /// Policy keys with an assumed value, under another value of which the answer would differ; empty when the answer does not rest on
    /// an assumption.
    pub rests_on: Vec<RestsOn>,
    /// Where code, text, shape, white space and head are known from; null when the answer has no code.
    pub basis: Option<Basis>,
}

/// The same as it is stored. Entries of an earlier version have none.
#[derive(Deserialize)]
struct StoredGrounds {
    #[serde(default)]
    rests_on: Vec<RestsOn>,
    #[serde(default)]
    basis: Option<Basis>,
}

/// The grounds of an entry's answer: kept, to be derived from when somebody asks; or as an earlier run of the simulator derived them.
#[derive(Clone, Debug, Default)]
pub enum AnswerGrounds {
    /// Of an entry without an answer of the endpoint.
    #[default]
    Missing,
    Kept(Box<Grounds>),
    Derived(Box<GroundsRecord>),
}

impl AnswerGrounds {
    /// Keeps grounds, if there are any.
    #[must_use]
    pub fn of(grounds: Option<Grounds>) -> AnswerGrounds {
        grounds.map_or(AnswerGrounds::Missing, |grounds| AnswerGrounds::Kept(Box::new(grounds)))
    }

    /// Returns what the answer rests on.
    #[must_use]
    pub fn rests_on(&self) -> Vec<RestsOn> {
        match self {
            AnswerGrounds::Missing => Vec::new(),
            AnswerGrounds::Kept(grounds) => grounds.rests_on(),
            AnswerGrounds::Derived(record) => record.rests_on.clone(),
        }
    }

    /// Returns what the answer rests on, and where its parts are known from.
    #[must_use]
    pub fn record(&self) -> GroundsRecord {
        match self {
            AnswerGrounds::Missing => GroundsRecord::default(),
            AnswerGrounds::Kept(grounds) => {
                let rests_on = grounds.rests_on();
                GroundsRecord { basis: grounds.basis(&rests_on), rests_on }
            }
            AnswerGrounds::Derived(record) => GroundsRecord::clone(record),
        }
    }

    /// Returns the approximate memory use beside the struct, in bytes.
    #[must_use]
    pub fn weight(&self) -> usize {
        match self {
            AnswerGrounds::Missing => 0,
            AnswerGrounds::Kept(grounds) => size_of::<Grounds>() + grounds.weight(),
            AnswerGrounds::Derived(record) => size_of::<GroundsRecord>() + 200 * (record.rests_on.len() + 1),
        }
    }
}

impl RestsOn {
    /// Whether the code or the HTTP status would differ.
    #[must_use]
    pub fn is_of_the_code(&self) -> bool {
        self.differs == Differs::Code
    }
}

impl Serialize for AnswerGrounds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.record().serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for AnswerGrounds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let StoredGrounds { rests_on, basis } = StoredGrounds::deserialize(deserializer)?;
        Ok(AnswerGrounds::Derived(Box::new(GroundsRecord { rests_on, basis })))
    }
}
