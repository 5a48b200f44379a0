//! The matcher's capacity: so many workers, so many places to wait, and how long a worker takes for one request. Who is served,
//! who waits and who is refused is decided by [`ServiceQueue`], purely; [`Place`] is what a request holds while it is inside.

mod queue;
#[cfg(test)]
mod simulation;

pub use queue::{Availability, ServiceQueue, Ticket};

use std::num::NonZeroU32;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::delay::{Delay, DelaySpec};
use super::rules::FileReader;
use crate::base::random::{Purpose, RngKey};

/// `[capacity]`: how much the matcher can do. Without this table it takes any number of requests, at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CapacitySpec {
    /// How many requests are matched at the same time. Has to be there, here or in what this extends.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workers: Option<NonZeroU32>,
    /// How many more requests may wait, in the order in which they came; default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<u32>,
    /// How long a worker takes for one request; default: a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_time: Option<DelaySpec>,
}

impl CapacitySpec {
    /// This with everything that `over` sets.
    #[must_use]
    pub fn overlaid(self, over: &CapacitySpec) -> CapacitySpec {
        CapacitySpec {
            workers: over.workers.or(self.workers),
            queue: over.queue.or(self.queue),
            service_time: over.service_time.clone().or(self.service_time),
        }
    }
}

/// How much a matcher can do.
#[derive(Clone, Debug, PartialEq)]
pub struct Capacity {
    /// Requests that are matched at the same time; at least 1.
    pub workers: usize,
    /// Requests that wait, at most.
    pub queue: usize,
    /// How long a worker takes for one request.
    pub service_time: Delay,
}

/// Assumed: nobody outside knows how long the real matcher takes.
const SERVICE_TIME: Delay = Delay::Fixed(Duration::from_secs(1));

impl Capacity {
    /// Reads a capacity; `file` gives a file beside the customers', for recorded times.
    ///
    /// # Errors
    /// The key that is wrong, and what is wrong with it.
    pub fn new(spec: &CapacitySpec, file: FileReader) -> Result<Capacity, (&'static str, String)> {
        let text = |name: &str| String::from_utf8(file(name)?).map_err(|_| format!("{name} is not UTF-8"));
        let workers = spec.workers.ok_or_else(|| {
            ("workers", "capacity.workers is missing; write how many requests are matched at once".to_owned())
        })?;
        let service_time = spec.service_time.as_ref().map(|spec| Delay::new(spec, text)).transpose();
        Ok(Capacity {
            workers: usize::try_from(workers.get()).unwrap_or(usize::MAX),
            queue: usize::try_from(spec.queue.unwrap_or(0)).unwrap_or(usize::MAX),
            service_time: service_time
                .map_err(|message| ("service_time", format!("capacity.service_time: {message}")))?
                .unwrap_or(SERVICE_TIME),
        })
    }

    /// How long the customer's request of this ordinal takes: a pure function of these and the seed, whoever else calls.
    #[must_use]
    pub fn time_for(&self, seed: u64, customer_id: &str, ordinal: u64) -> Duration {
        // No rule has this purpose, so that a rule of this name draws other numbers.
        let source = RngKey { seed, customer_id, rule: "capacity" };
        self.service_time.draw(&mut source.random(Purpose::Service, ordinal))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn capacity(toml: &str) -> Result<Capacity, (&'static str, String)> {
        let spec: CapacitySpec = toml::from_str(toml).unwrap();
        Capacity::new(&spec, &|_| Err("there is no such file".to_owned()))
    }

    #[test]
    fn workers_have_to_be_there_and_the_rest_has_defaults() {
        let least = capacity("workers = 4").unwrap();
        assert_eq!(least, Capacity { workers: 4, queue: 0, service_time: SERVICE_TIME });
        assert_eq!(capacity("queue = 4").unwrap_err().0, "workers");
        let (key, message) = capacity("workers = 1\nservice_time = { from = 'x.csv' }").unwrap_err();
        assert_eq!((key, message.as_str()), ("service_time", "capacity.service_time: there is no such file"));
    }

    #[test]
    fn a_table_is_taken_over_key_by_key() {
        let base: CapacitySpec = toml::from_str("workers = 4\nqueue = 16").unwrap();
        let over = toml::from_str("queue = 2\nservice_time = '250ms'").unwrap();
        let expected = toml::from_str("workers = 4\nqueue = 2\nservice_time = '250ms'").unwrap();
        assert_eq!(base.overlaid(&over), expected);
    }

    #[test]
    fn how_long_a_request_takes_is_drawn_from_seed_customer_and_ordinal() {
        let capacity = capacity("workers = 1\nservice_time = { exponential = { mean = '1s' } }").unwrap();
        let first = capacity.time_for(0, "demo", 1);
        assert_eq!(first, capacity.time_for(0, "demo", 1));
        for other in [
            capacity.time_for(1, "demo", 1),
            capacity.time_for(0, "load", 1),
            capacity.time_for(0, "demo", 2),
        ] {
            assert_ne!(first, other);
        }
    }
}
