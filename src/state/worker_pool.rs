//! Worker pools of bounded capacity: a service queue shared by the requests of all threads, and their slots in it.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use serde::Serialize;

use crate::domain::capacity::{Availability, Capacity, ServiceQueue, Ticket};

/// Worker pool of a matcher: its queue, and the wakers of the waiting requests.
#[derive(Debug)]
pub struct WorkerPool(Mutex<PoolState>);

#[derive(Debug)]
struct PoolState {
    line: ServiceQueue,
    wakers: HashMap<Ticket, Waker>,
}

impl WorkerPool {
    /// Creates an idle pool.
    #[must_use]
    pub fn new(workers: usize, queue: usize) -> Arc<WorkerPool> {
        let line = ServiceQueue::new(workers, queue);
        Arc::new(WorkerPool(Mutex::new(PoolState { line, wakers: HashMap::new() })))
    }

    fn inside(&self) -> MutexGuard<'_, PoolState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the pool. No other request can reserve or release a slot meanwhile, so hold the guard briefly.
    #[must_use]
    pub fn lock(self: &Arc<Self>) -> PoolGuard<'_> {
        PoolGuard { station: self, inside: self.inside() }
    }

    fn resize(&self, workers: usize, queue: usize) {
        let mut inside = self.inside();
        if (inside.line.workers, inside.line.queue) == (workers, queue) {
            return;
        }
        let called = inside.line.resize(workers, queue);
        let wakers: Vec<_> = called.iter().filter_map(|ticket| inside.wakers.remove(ticket)).collect();
        drop(inside);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn gauge(&self, customer_id: Option<&str>) -> CapacityGauge {
        let line = &self.inside().line;
        CapacityGauge {
            customer_id: customer_id.map(str::to_owned),
            workers: line.workers,
            busy: line.busy,
            queue: line.queue,
            waiting: line.waiting(),
            served: line.served,
            refused: line.refused,
        }
    }
}

/// Lock guard of a pool: shows the availability and reserves slots.
#[derive(Debug)]
pub struct PoolGuard<'a> {
    station: &'a Arc<WorkerPool>,
    inside: MutexGuard<'a, PoolState>,
}

impl PoolGuard<'_> {
    /// Returns the availability for the next request.
    #[must_use]
    pub fn room(&self) -> Availability {
        self.inside.line.availability()
    }

    /// Reserves a slot for work of `service_time`. Returns `None`, and counts a rejection, when workers and queue are full.
    #[must_use]
    pub fn reserve(mut self, service_time: Duration) -> Option<Slot> {
        let ticket = self.inside.line.reserve()?;
        Some(Slot { station: Arc::clone(self.station), ticket, service_time })
    }
}

/// Slot of a request in a pool (worker or queue), released on drop.
#[derive(Debug)]
pub struct Slot {
    station: Arc<WorkerPool>,
    ticket: Ticket,
    service_time: Duration,
}

impl Slot {
    /// Waits until a worker takes the request.
    pub async fn wait_for_worker(&self) {
        poll_fn(|context| self.poll_worker(context)).await;
    }

    fn poll_worker(&self, context: &Context<'_>) -> Poll<()> {
        let mut inside = self.station.inside();
        if !inside.line.waits(self.ticket) {
            return Poll::Ready(());
        }
        inside.wakers.insert(self.ticket, context.waker().clone());
        Poll::Pending
    }

    /// Returns how long the worker takes.
    #[must_use]
    pub fn service_time(&self) -> Duration {
        self.service_time
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut inside = self.station.inside();
        inside.wakers.remove(&self.ticket);
        let next = inside.line.leave(self.ticket);
        let waker = next.and_then(|next| inside.wakers.remove(&next));
        drop(inside);
        // Wakes after the lock is released, because the woken task may take it at once.
        waker.into_iter().for_each(Waker::wake);
    }
}

/// Usage of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CapacityGauge {
    /// Owner of the pool; `None` for the shared pool.
    pub customer_id: Option<String>,
    pub workers: usize,
    /// Busy workers. May exceed `workers` for a while after that number was lowered.
    pub busy: usize,
    /// Queue capacity.
    pub queue: usize,
    pub waiting: usize,
    /// Requests that workers have finished since the simulator started.
    pub served: u64,
    /// Requests rejected because workers and queue were full.
    pub refused: u64,
}

/// All worker pools: the shared one, and the customers' own.
#[derive(Debug, Default)]
pub struct WorkerPools(Mutex<HashMap<Option<String>, Arc<WorkerPool>>>);

impl WorkerPools {
    /// Returns the pool of this owner (`None`: the shared one), resized to this capacity; created on first use.
    #[must_use]
    pub fn of(&self, owner: Option<&str>, capacity: &Capacity) -> Arc<WorkerPool> {
        let mut stations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fresh = || WorkerPool::new(capacity.workers, capacity.queue);
        let station = Arc::clone(stations.entry(owner.map(str::to_owned)).or_insert_with(fresh));
        drop(stations);
        station.resize(capacity.workers, capacity.queue);
        station
    }

    /// Resizes the pools to the capacities of the present fixtures, and removes those that have none. Requests in a removed pool keep
    /// it until they end.
    pub fn follow<'a>(&self, all: impl Iterator<Item = (Option<&'a str>, &'a Capacity)>) {
        let named: Vec<_> = all.collect();
        for (owner, capacity) in &named {
            let _ = self.of(*owner, capacity);
        }
        let mut stations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stations.retain(|owner, _| named.iter().any(|(name, _)| *name == owner.as_deref()));
    }

    /// Removes a customer's pool. Requests in it keep it until they end.
    pub fn forget(&self, customer_id: &str) {
        let mut stations = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stations.remove(&Some(customer_id.to_owned()));
    }

    /// Returns the usage of this owner's pool.
    #[must_use]
    pub fn gauge(&self, owner: Option<&str>, capacity: &Capacity) -> CapacityGauge {
        self.of(owner, capacity).gauge(owner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::domain::delay::Delay;

    fn reserve(station: &Arc<WorkerPool>) -> Option<Slot> {
        station.lock().reserve(Duration::ZERO)
    }

    fn is_served(place: &Slot) -> bool {
        place.wait_for_worker().now_or_never().is_some()
    }

    fn counts(station: &WorkerPool) -> (usize, usize, u64, u64) {
        let gauge = station.gauge(None);
        (gauge.busy, gauge.waiting, gauge.served, gauge.refused)
    }

    #[test]
    fn a_dropped_place_is_the_next_ones_turn() {
        let station = WorkerPool::new(1, 1);
        let (first, second) = (reserve(&station).unwrap(), reserve(&station).unwrap());
        assert!(is_served(&first) && !is_served(&second) && reserve(&station).is_none());
        drop(first);
        assert!(is_served(&second));
        drop(second);
        assert_eq!((counts(&station), station.inside().wakers.len()), ((0, 0, 2, 1), 0));
    }

    #[test]
    fn who_waits_is_woken() {
        let station = WorkerPool::new(1, 1);
        let (first, second) = (reserve(&station).unwrap(), reserve(&station).unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let waiting = std::thread::spawn(move || runtime.block_on(second.wait_for_worker()));
        while station.inside().wakers.is_empty() {
            std::thread::yield_now();
        }
        drop(first);
        waiting.join().unwrap();
        assert_eq!(counts(&station), (0, 0, 2, 0));
    }

    #[test]
    fn changed_numbers_wake_too_and_the_counts_go_on() {
        let stations = WorkerPools::default();
        let capacity = |workers| Capacity { workers, queue: 1, service_time: Delay::Fixed(Duration::ZERO) };
        let station = stations.of(None, &capacity(1));
        let places = (reserve(&station).unwrap(), reserve(&station).unwrap(), reserve(&station));
        assert!(!is_served(&places.1));
        stations.follow([(None, &capacity(2))].into_iter());
        assert!(is_served(&places.1));
        assert_eq!(stations.gauge(None, &capacity(2)).refused, 1);
        stations.follow(std::iter::empty());
        assert_eq!(stations.gauge(None, &capacity(2)).refused, 0, "another one");
        assert_eq!(counts(&station), (2, 0, 0, 1), "those inside stay where they are");
    }
}
