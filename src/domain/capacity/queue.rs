//! The line before a matcher as a pure state machine: who is served, who waits, whose turn it is.

use std::collections::VecDeque;

/// A request inside, numbered in the order of entering.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(u64);

/// What the next request finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Availability {
    /// No capacity is set.
    Unlimited,
    /// A worker takes it at once; `busy` of the `workers` have something to do.
    WorkerFree { busy: usize, workers: usize },
    /// Every worker is busy, and so many requests wait already.
    MustWait { workers: usize, waiting: usize },
    /// Every worker is busy, and so is every place to wait.
    Full { workers: usize, waiting: usize },
}

/// Workers and those who wait for them. It knows no time: who enters and who leaves is told.
#[derive(Debug)]
pub struct ServiceQueue {
    pub workers: usize,
    pub queue: usize,
    pub busy: usize,
    /// In order, so the first is the next.
    waiting: VecDeque<Ticket>,
    last: u64,
    /// Requests that a worker has finished.
    pub served: u64,
    /// Requests that found no place.
    pub refused: u64,
}

impl ServiceQueue {
    /// An empty line.
    #[must_use]
    pub fn new(workers: usize, queue: usize) -> ServiceQueue {
        ServiceQueue { workers, queue, busy: 0, waiting: VecDeque::new(), last: 0, served: 0, refused: 0 }
    }

    /// How many wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What the next request finds. Nobody waits while a worker is free.
    #[must_use]
    pub fn room(&self) -> Availability {
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

    /// Takes a place: that of a worker or one to wait. `None` when there is none.
    pub fn reserve(&mut self) -> Option<Ticket> {
        self.last += 1;
        match self.room() {
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

    /// Gives a place back, served or not; gives whose turn it is now, if anybody's. A ticket leaves once.
    pub fn leave(&mut self, ticket: Ticket) -> Option<Ticket> {
        if let Ok(place) = self.waiting.binary_search(&ticket) {
            self.waiting.remove(place);
            return None;
        }
        self.busy -= 1;
        self.served += 1;
        self.call()
    }

    /// Changes the numbers; gives whose turn it is now. Whoever is inside stays: workers above the new number finish what they
    /// do, and of those who wait nobody is sent away.
    pub fn resize(&mut self, workers: usize, queue: usize) -> Vec<Ticket> {
        (self.workers, self.queue) = (workers, queue);
        std::iter::from_fn(|| self.call()).collect()
    }

    fn call(&mut self) -> Option<Ticket> {
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

    /// A line that so many have entered, and their tickets; `None` for those refused.
    fn entered(workers: usize, queue: usize, count: usize) -> (ServiceQueue, Vec<Option<Ticket>>) {
        let mut line = ServiceQueue::new(workers, queue);
        let tickets = (0..count).map(|_| line.reserve()).collect();
        (line, tickets)
    }

    fn state(line: &ServiceQueue) -> (usize, usize, u64, u64) {
        (line.busy, line.waiting(), line.served, line.refused)
    }

    #[test]
    fn workers_first_then_the_queue_then_nothing() {
        let mut line = ServiceQueue::new(2, 1);
        let expected = [
            Availability::WorkerFree { busy: 0, workers: 2 },
            Availability::WorkerFree { busy: 1, workers: 2 },
            Availability::MustWait { workers: 2, waiting: 0 },
            Availability::Full { workers: 2, waiting: 1 },
        ];
        for room in expected {
            assert_eq!(line.room(), room);
            assert_eq!(line.reserve().is_none(), matches!(room, Availability::Full { .. }));
        }
        assert_eq!(state(&line), (2, 1, 0, 1));
    }

    #[test]
    fn turns_come_in_the_order_of_entering() {
        let (mut line, tickets) = entered(1, 3, 4);
        let tickets: Vec<_> = tickets.into_iter().flatten().collect();
        assert!(!line.waits(tickets[0]) && line.waits(tickets[1]));
        for pair in tickets.windows(2) {
            assert_eq!(line.leave(pair[0]), Some(pair[1]));
            assert!(!line.waits(pair[1]));
        }
        assert_eq!(line.leave(tickets[3]), None);
        assert_eq!(state(&line), (0, 0, 4, 0));
    }

    #[test]
    fn one_that_waits_can_go_and_is_passed_over() {
        let (mut line, tickets) = entered(1, 2, 3);
        let [first, second, third] = tickets.try_into().unwrap();
        assert_eq!(line.leave(second.unwrap()), None);
        assert_eq!(line.leave(first.unwrap()), third);
        assert_eq!(state(&line), (1, 0, 1, 0));
    }

    #[test]
    fn other_numbers_send_nobody_away_and_hold_for_the_next() {
        let (mut line, tickets) = entered(3, 3, 6);
        let tickets: Vec<_> = tickets.into_iter().flatten().collect();
        assert_eq!(line.resize(1, 1), []);
        assert_eq!((state(&line), line.reserve()), ((3, 3, 0, 0), None));
        assert_eq!((line.leave(tickets[0]), line.leave(tickets[1])), (None, None), "still one too many");
        assert_eq!(line.leave(tickets[2]), Some(tickets[3]));
        assert_eq!(line.resize(4, 0), tickets[4..]);
        assert_eq!((line.busy, line.room()), (3, Availability::WorkerFree { busy: 3, workers: 4 }));
    }
}
