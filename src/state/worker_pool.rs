//! Worker pools of bounded capacity: a service queue shared by the requests of all threads, and their slots in it.
//!
//! The engine holds the pool's lock from the look at the availability to the reservation, so a request that finds a worker free gets it.
//! Locks are taken in this order: the customer's state, then the pool. Dropping the [`Slot`] is the only way to release it.
//!
//! The data listener waits with the slot in a task of its own. So a client that disconnects keeps its slot until the work is done, as
//! at a real matcher, which does not notice that nobody waits any more. A reload changes the limits of a pool and drops no request.

use std::collections::HashMap;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use serde::Serialize;

use crate::domain::capacity::{Availability, Capacity, ServiceQueue, Ticket};

/// Worker pool of a matcher: its queue, and the wakers of the waiting requests.
#[derive(Debug)]
pub struct WorkerPool(Mutex<PoolState>);

#[derive(Debug)]
struct PoolState {
    queue: ServiceQueue,
    wakers: HashMap<Ticket, Waker>,
}

impl WorkerPool {
    /// Creates an idle pool.
    #[must_use]
    pub fn new(workers: usize, queue: usize) -> Arc<WorkerPool> {
        let queue = ServiceQueue::new(workers, queue);
        Arc::new(WorkerPool(Mutex::new(PoolState { queue, wakers: HashMap::new() })))
    }

    /// Locks the pool. No other request can reserve or release a slot meanwhile, so hold the guard briefly.
    #[must_use]
    pub fn lock(self: &Arc<Self>) -> PoolGuard<'_> {
        PoolGuard { pool: self, state: self.0.lock() }
    }

    /// Returns a copy of the pool, for a dry run. Nothing that is done to it reaches the original.
    #[must_use]
    pub fn copy(&self) -> Arc<WorkerPool> {
        let queue = self.0.lock().queue.clone();
        Arc::new(WorkerPool(Mutex::new(PoolState { queue, wakers: HashMap::new() })))
    }

    fn resize(&self, workers: usize, queue: usize) {
        let mut state = self.0.lock();
        if (state.queue.workers, state.queue.queue) == (workers, queue) {
            return;
        }
        let called = state.queue.resize(workers, queue);
        let wakers: Vec<_> = called.iter().filter_map(|ticket| state.wakers.remove(ticket)).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn gauge(&self, customer_id: Option<&str>) -> CapacityGauge {
        let queue = &self.0.lock().queue;
        CapacityGauge {
            customer_id: customer_id.map(str::to_owned),
            workers: queue.workers,
            busy: queue.busy,
            queue: queue.queue,
            waiting: queue.waiting(),
            served: queue.served,
            refused: queue.refused,
        }
    }
}

/// Lock guard of a pool: shows the availability and reserves slots.
#[derive(Debug)]
pub struct PoolGuard<'a> {
    pool: &'a Arc<WorkerPool>,
    state: MutexGuard<'a, PoolState>,
}

impl PoolGuard<'_> {
    /// Returns the availability for the next request.
    #[must_use]
    pub fn availability(&self) -> Availability {
        self.state.queue.availability()
    }

    /// Reserves a slot for work of `service_time`. Returns `None`, and counts a rejection, when workers and queue are full.
    #[must_use]
    pub fn reserve(mut self, service_time: Duration) -> Option<Slot> {
        let ticket = self.state.queue.reserve()?;
        Some(Slot { pool: Arc::clone(self.pool), ticket, service_time })
    }
}

/// Slot of a request in a pool (worker or queue), released on drop.
#[derive(Debug)]
pub struct Slot {
    pool: Arc<WorkerPool>,
    ticket: Ticket,
    service_time: Duration,
}

impl Slot {
    /// Waits until a worker takes the request.
    pub async fn wait_for_worker(&self) {
        poll_fn(|context| self.poll_worker(context)).await;
    }

    fn poll_worker(&self, context: &Context<'_>) -> Poll<()> {
        let mut state = self.pool.0.lock();
        if !state.queue.waits(self.ticket) {
            return Poll::Ready(());
        }
        state.wakers.insert(self.ticket, context.waker().clone());
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
        let mut state = self.pool.0.lock();
        state.wakers.remove(&self.ticket);
        let next = state.queue.leave(self.ticket);
        let waker = next.and_then(|next| state.wakers.remove(&next));
        drop(state);
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
        let mut pools = self.0.lock();
        let fresh = || WorkerPool::new(capacity.workers, capacity.queue);
        Arc::clone(pools.entry(owner.map(str::to_owned)).or_insert_with(fresh))
    }

    /// Resizes an owner's pool to its present capacity. Requests in the pool stay there.
    pub fn set(&self, owner: Option<&str>, capacity: &Capacity) {
        self.of(owner, capacity).resize(capacity.workers, capacity.queue);
    }

    /// Resizes the pools to the capacities of the present fixtures, and removes those that have none. Requests in a removed pool keep
    /// it until they end.
    pub fn follow<'a>(&self, all: impl Iterator<Item = (Option<&'a str>, &'a Capacity)>) {
        let named: Vec<_> = all.collect();
        for (owner, capacity) in &named {
            self.set(*owner, capacity);
        }
        let mut pools = self.0.lock();
        pools.retain(|owner, _| named.iter().any(|(name, _)| *name == owner.as_deref()));
    }

    /// Removes a customer's pool. Requests in it keep it until they end.
    pub fn forget(&self, customer_id: &str) {
        let mut pools = self.0.lock();
        pools.remove(&Some(customer_id.to_owned()));
    }

    /// Returns the usage of this owner's pool.
    #[must_use]
    pub fn gauge(&self, owner: Option<&str>, capacity: &Capacity) -> CapacityGauge {
        self.of(owner, capacity).gauge(owner)
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    use futures_util::FutureExt;

    use super::*;
    use crate::domain::delay::Delay;

    fn reserve(pool: &Arc<WorkerPool>) -> Option<Slot> {
        pool.lock().reserve(Duration::ZERO)
    }

    fn is_served(place: &Slot) -> bool {
        place.wait_for_worker().now_or_never().is_some()
    }

    /// Waker that counts.
    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counts(pool: &WorkerPool) -> (usize, usize, u64, u64) {
        let gauge = pool.gauge(None);
        (gauge.busy, gauge.waiting, gauge.served, gauge.refused)
    }

    #[test]
    fn a_dropped_place_is_the_next_ones_turn() {
        let pool = WorkerPool::new(1, 1);
        let (first, second) = (reserve(&pool).unwrap(), reserve(&pool).unwrap());
        assert!(is_served(&first) && !is_served(&second) && reserve(&pool).is_none());
        drop(first);
        assert!(is_served(&second));
        drop(second);
        assert_eq!((counts(&pool), pool.0.lock().wakers.len()), ((0, 0, 2, 1), 0));
    }

    #[test]
    fn who_waits_is_woken() {
        let pool = WorkerPool::new(1, 1);
        let (first, second) = (reserve(&pool).unwrap(), reserve(&pool).unwrap());
        let wakes = Arc::new(Wakes::default());
        let waker = Arc::clone(&wakes).into();
        let context = &mut Context::from_waker(&waker);
        let mut waiting = Box::pin(second.wait_for_worker());
        assert_eq!(waiting.as_mut().poll(context), Poll::Pending);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 0);
        drop(first);
        assert_eq!(wakes.0.load(Ordering::Relaxed), 1);
        assert_eq!(waiting.as_mut().poll(context), Poll::Ready(()));
        drop(waiting);
        drop(second);
        assert_eq!(counts(&pool), (0, 0, 2, 0));
    }

    #[test]
    fn changed_numbers_wake_too_and_the_counts_go_on() {
        let pools = WorkerPools::default();
        let capacity = |workers| Capacity { workers, queue: 1, service_time: Delay::Fixed(Duration::ZERO) };
        let pool = pools.of(None, &capacity(1));
        let places = (reserve(&pool).unwrap(), reserve(&pool).unwrap(), reserve(&pool));
        assert!(!is_served(&places.1));
        pools.set(None, &capacity(3));
        assert_eq!(
            pools.of(None, &capacity(2)).gauge(None).workers,
            3,
            "only a change of the settings changes it"
        );
        pools.follow([(None, &capacity(2))].into_iter());
        assert!(is_served(&places.1));
        assert_eq!(pools.gauge(None, &capacity(2)).refused, 1);
        pools.follow(std::iter::empty());
        assert_eq!(pools.gauge(None, &capacity(2)).refused, 0, "another one");
        assert_eq!(counts(&pool), (2, 0, 0, 1), "those state stay where they are");
    }
}
