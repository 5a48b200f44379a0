//! Bounded FIFO queue in front of a matcher's workers, as a pure state machine: which requests are served, wait or are rejected.

use std::collections::VecDeque;

/// Id of an admitted request; ids increase in the order of admission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// Availability of the matcher for the next request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// No capacity limit is set.
    Unlimited,
    /// A worker is free; `busy` of the `workers` are busy.
    WorkerFree { busy: usize, workers: usize },
    /// All workers are busy, and `waiting` requests are queued already.
    MustWait { workers: usize, waiting: usize },
    /// All workers are busy and the queue is full.
    Full { workers: usize, waiting: usize },
}

/// Workers, and the requests that wait for them. It has no clock: callers report when a request enters and leaves.
#[derive(Clone, Debug)]
pub struct ServiceQueue {
    pub workers: usize,
    pub queue: usize,
    pub busy: usize,
    /// Waiting requests in ascending order; the first is the next to be served.
    waiting: VecDeque<Ticket>,
    last: u64,
    /// Number of requests that a worker has finished.
    pub served: u64,
    /// Number of requests that were rejected because the queue was full.
    pub refused: u64,
}

impl ServiceQueue {
    /// Returns an empty queue.
    #[must_use]
    pub fn new(workers: usize, queue: usize) -> ServiceQueue {
        ServiceQueue { workers, queue, busy: 0, waiting: VecDeque::new(), last: 0, served: 0, refused: 0 }
    }

    /// Returns the number of waiting requests.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// Returns the availability for the next request. No request waits while a worker is free.
    #[must_use]
    pub fn availability(&self) -> Availability {
        let ServiceQueue { workers, busy, .. } = *self;
        let waiting = self.waiting();
        if busy < workers {
            Availability::WorkerFree { busy, workers }
        } else if waiting < self.queue {
            Availability::MustWait { workers, waiting }
        } else {
            Availability::Full { workers, waiting }
        }
    }

    /// Reserves a worker or a queue slot. `None` when the queue is full.
    pub fn reserve(&mut self) -> Option<Ticket> {
        self.last += 1;
        match self.availability() {
            Availability::Full { .. } => {
                self.refused += 1;
                return None;
            }
            Availability::MustWait { .. } => self.waiting.push_back(Ticket(self.last)),
            Availability::WorkerFree { .. } | Availability::Unlimited => self.busy += 1,
        }
        Some(Ticket(self.last))
    }

    /// Whether a ticket still waits.
    #[must_use]
    pub fn waits(&self, ticket: Ticket) -> bool {
        self.waiting.binary_search(&ticket).is_ok()
    }

    /// Releases the ticket's worker or queue slot. Returns the ticket that a worker serves next, if any. Call once per ticket.
    pub fn leave(&mut self, ticket: Ticket) -> Option<Ticket> {
        if let Ok(index) = self.waiting.binary_search(&ticket) {
            self.waiting.remove(index);
            return None;
        }
        self.busy -= 1;
        self.served += 1;
        self.serve_next()
    }

    /// Changes the limits. Returns the tickets that are served now. Admitted requests stay: workers above the new limit finish their
    /// request, and no waiting request is dropped.
    pub fn resize(&mut self, workers: usize, queue: usize) -> Vec<Ticket> {
        (self.workers, self.queue) = (workers, queue);
        std::iter::from_fn(|| self.serve_next()).collect()
    }

    fn serve_next(&mut self) -> Option<Ticket> {
        if self.busy >= self.workers {
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.busy += 1;
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a queue after `count` reservations, and their tickets; `None` for a rejected one.
    fn reserved(workers: usize, queue: usize, count: usize) -> (ServiceQueue, Vec<Option<Ticket>>) {
        let mut queue = ServiceQueue::new(workers, queue);
        let tickets = (0..count).map(|_| queue.reserve()).collect();
        (queue, tickets)
    }

    fn state(queue: &ServiceQueue) -> (usize, usize, u64, u64) {
        (queue.busy, queue.waiting(), queue.served, queue.refused)
    }

    #[test]
    fn workers_fill_up_first_then_the_queue_then_requests_are_rejected() {
        let mut queue = ServiceQueue::new(2, 1);
        let expected = [
            Availability::WorkerFree { busy: 0, workers: 2 },
            Availability::WorkerFree { busy: 1, workers: 2 },
            Availability::MustWait { workers: 2, waiting: 0 },
            Availability::Full { workers: 2, waiting: 1 },
        ];
        for availability in expected {
            assert_eq!(queue.availability(), availability);
            assert_eq!(queue.reserve().is_none(), matches!(availability, Availability::Full { .. }));
        }
        assert_eq!(state(&queue), (2, 1, 0, 1));
    }

    #[test]
    fn requests_are_served_first_in_first_out() {
        let (mut queue, tickets) = reserved(1, 3, 4);
        let tickets: Vec<_> = tickets.into_iter().flatten().collect();
        assert!(!queue.waits(tickets[0]) && queue.waits(tickets[1]));
        for pair in tickets.windows(2) {
            assert_eq!(queue.leave(pair[0]), Some(pair[1]));
            assert!(!queue.waits(pair[1]));
        }
        assert_eq!(queue.leave(tickets[3]), None);
        assert_eq!(state(&queue), (0, 0, 4, 0));
    }

    #[test]
    fn a_waiting_request_can_leave_and_is_skipped() {
        let (mut queue, tickets) = reserved(1, 2, 3);
        let [first, second, third] = tickets.try_into().unwrap();
        assert_eq!(queue.leave(second.unwrap()), None);
        assert_eq!(queue.leave(first.unwrap()), third);
        assert_eq!(state(&queue), (1, 0, 1, 0));
    }

    #[test]
    fn a_resize_drops_no_request_and_applies_to_the_next() {
        let (mut queue, tickets) = reserved(3, 3, 6);
        let tickets: Vec<_> = tickets.into_iter().flatten().collect();
        assert_eq!(queue.resize(1, 1), []);
        assert_eq!((state(&queue), queue.reserve()), ((3, 3, 0, 0), None));
        assert_eq!(
            (queue.leave(tickets[0]), queue.leave(tickets[1])),
            (None, None),
            "still one busy worker too many"
        );
        assert_eq!(queue.leave(tickets[2]), Some(tickets[3]));
        assert_eq!(queue.resize(4, 0), tickets[4..]);
        assert_eq!((queue.busy, queue.availability()), (3, Availability::WorkerFree { busy: 3, workers: 4 }));
    }
}
