//! Capacity of the matcher: number of workers, length of the queue, and service time of a request. [`ServiceQueue`] decides, as a pure
//! state machine, which requests are served, wait or are rejected. `Slot` in `state/worker_pool.rs` is the permit that a request holds.
//!
//! Service times are drawn by customer and ordinal, so they do not depend on who else calls.

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

/// `[capacity]`: capacity of the matcher. Without this table it serves any number of requests at once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CapacitySpec {
    /// Number of requests that are matched at the same time (concurrency limit). Required, here or in the table that this one extends.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = 4)]
    pub workers: Option<NonZeroU32>,
    /// Max number of requests that wait in the queue, first in, first out; default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(example = 16)]
    pub queue: Option<u32>,
    /// Time that a worker takes for one request; default: 1 second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_time: Option<DelaySpec>,
}

impl CapacitySpec {
    /// Returns this specification, overlaid by the keys that `over` sets.
    #[must_use]
    pub fn overlaid(self, over: &CapacitySpec) -> CapacitySpec {
        CapacitySpec {
            workers: over.workers.or(self.workers),
            queue: over.queue.or(self.queue),
            service_time: over.service_time.clone().or(self.service_time),
        }
    }
}

/// Validated capacity of a matcher.
#[derive(Clone, Debug, PartialEq)]
pub struct Capacity {
    /// Number of requests that are matched at the same time; at least 1.
    pub workers: usize,
    /// Max number of requests that wait.
    pub queue: usize,
    /// Time that a worker takes for one request.
    pub service_time: Delay,
}

/// Assumed: the service time of the real matcher is unknown.
const SERVICE_TIME: Delay = Delay::Fixed(Duration::from_secs(1));

impl Capacity {
    /// Validates a capacity; `file` returns the bytes of a file of the fixture directory, for recorded times.
    ///
    /// # Errors
    /// The wrong key, and what is wrong with it.
    pub fn new(spec: &CapacitySpec, file: FileReader) -> Result<Capacity, (&'static str, String)> {
        let text = |name: &str| String::from_utf8(file(name)?).map_err(|_| format!("{name} is not UTF-8"));
        let workers = spec.workers.ok_or_else(|| {
            (
                "workers",
                "capacity.workers is missing; set how many requests are matched at the same time".to_owned(),
            )
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

    /// Returns the service time of the customer's n-th request: a pure function of seed, customer and ordinal, independent of other
    /// customers' requests.
    #[must_use]
    pub fn time_for(&self, seed: u64, customer_id: &str, ordinal: u64) -> Duration {
        // Only capacity draws with this purpose, so a rule named "capacity" draws other numbers.
        let key = RngKey { seed, customer_id, rule: "capacity" };
        self.service_time.draw(&mut key.random(Purpose::Service, ordinal))
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
    fn workers_are_required_and_the_rest_has_defaults() {
        let minimal = capacity("workers = 4").unwrap();
        assert_eq!(minimal, Capacity { workers: 4, queue: 0, service_time: SERVICE_TIME });
        assert_eq!(capacity("queue = 4").unwrap_err().0, "workers");
        let (key, message) = capacity("workers = 1\nservice_time = { from = 'x.csv' }").unwrap_err();
        assert_eq!((key, message.as_str()), ("service_time", "capacity.service_time: there is no such file"));
    }

    #[test]
    fn a_table_is_overlaid_key_by_key() {
        let base: CapacitySpec = toml::from_str("workers = 4\nqueue = 16").unwrap();
        let over = toml::from_str("queue = 2\nservice_time = '250ms'").unwrap();
        let expected = toml::from_str("workers = 4\nqueue = 2\nservice_time = '250ms'").unwrap();
        assert_eq!(base.overlaid(&over), expected);
    }

    #[test]
    fn the_service_time_depends_on_seed_customer_and_ordinal() {
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
