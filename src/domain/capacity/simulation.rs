//! The line under load, in virtual time: clients arrive by chance, workers take time by chance, and what comes out is compared with
//! the formulas of queueing theory (Erlang's C; the chain M/M/c/K) and between clients that behave differently.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use rand::rngs::ChaCha8Rng;

use super::{ServiceQueue, Ticket};
use crate::base::random::{Purpose, RngKey};
use crate::domain::delay::Delay;

/// What happens at an instant.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A client tries for this time, from 1.
    Attempt(u32),
    /// A client has waited long enough.
    Impatience(Ticket),
    /// A worker is done.
    Done(Ticket),
}

/// What a refused client does.
#[derive(Clone, Copy, PartialEq)]
enum Retry {
    Never,
    /// So many attempts, 50 ms apart: a round trip.
    AtOnce(u32),
    /// So many attempts, a second apart, then two, four and so on, each by chance up to twice that.
    BackOff(u32),
}

/// What came of it.
#[derive(Default)]
struct Tally {
    clients: u64,
    attempts: u64,
    served: u64,
    /// Of these, those whose client still waited in the end.
    useful: u64,
    waited: Duration,
}

impl Tally {
    fn mean_wait(&self) -> f64 {
        self.waited.as_secs_f64() / self.served as f64
    }

    fn refused_share(&self) -> f64 {
        (self.attempts - self.served) as f64 / self.attempts as f64
    }

    fn served_clients(&self) -> f64 {
        self.served as f64 / self.clients as f64
    }
}

/// Mean time of a worker for one request: a second, so that rates are in requests per second and worker.
const MEAN: Duration = Duration::from_secs(1);

fn exponential(mean: f64, random: &mut ChaCha8Rng) -> Duration {
    Delay::Exponential { mean: Duration::from_secs_f64(mean) }.draw(random)
}

struct World {
    line: ServiceQueue,
    retry: Retry,
    /// How long a client waits for its answer.
    patience: Option<Duration>,
    /// Clients that wait for an answer, and their attempts.
    clients: HashMap<Ticket, u32>,
    random: ChaCha8Rng,
    now: Duration,
    /// The soonest first; equal ones in the order in which they were planned.
    agenda: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    planned: u64,
    /// Since when each one waits.
    since: HashMap<Ticket, Duration>,
    tally: Tally,
}

impl World {
    fn plan(&mut self, after: Duration, event: Event) {
        self.planned += 1;
        self.agenda.push(Reverse((self.now + after, self.planned, event)));
    }

    fn begin_service(&mut self, ticket: Ticket) {
        self.tally.waited += self.now - self.since[&ticket];
        self.since.remove(&ticket);
        self.tally.served += 1;
        let time = exponential(MEAN.as_secs_f64(), &mut self.random);
        self.plan(time, Event::Done(ticket));
    }

    fn attempt(&mut self, number: u32) {
        self.tally.clients += u64::from(number == 1);
        self.tally.attempts += 1;
        let Some(ticket) = self.line.reserve() else { return self.try_again(number) };
        self.since.insert(ticket, self.now);
        self.clients.insert(ticket, number);
        if let Some(patience) = self.patience {
            self.plan(patience, Event::Impatience(ticket));
        }
        if !self.line.waits(ticket) {
            self.begin_service(ticket);
        }
    }

    fn try_again(&mut self, number: u32) {
        let pause = match self.retry {
            Retry::AtOnce(most) if number < most => Duration::from_millis(50),
            Retry::BackOff(most) if number < most => {
                let least = Duration::from_secs(1 << (number - 1).min(5));
                Delay::Uniform(least, 2 * least).draw(&mut self.random)
            }
            _ => return,
        };
        self.plan(pause, Event::Attempt(number + 1));
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Attempt(number) => self.attempt(number),
            // The place is kept, as the real one is: see `Place`.
            Event::Impatience(ticket) => {
                if let Some(number) = self.clients.remove(&ticket) {
                    self.try_again(number);
                }
            }
            Event::Done(ticket) => {
                self.tally.useful += u64::from(self.clients.remove(&ticket).is_some());
                if let Some(next) = self.line.leave(ticket) {
                    self.begin_service(next);
                }
            }
        }
    }
}

/// Lets `clients` clients come to `workers` workers and `queue` places, as a Poisson stream whose load (1.0: as much as the
/// workers can do) is a function of the time in seconds.
fn run(workers: usize, queue: usize, load: impl Fn(f64) -> f64, clients: u32, retry: Retry) -> Tally {
    run_with_patience(None, (workers, queue), load, clients, retry)
}

fn run_with_patience(
    patience: Option<Duration>,
    (workers, queue): (usize, usize),
    load: impl Fn(f64) -> f64,
    clients: u32,
    retry: Retry,
) -> Tally {
    let source = RngKey { seed: 7, customer_id: "simulation", rule: "capacity" };
    let mut world = World {
        line: ServiceQueue::new(workers, queue),
        retry,
        patience,
        clients: HashMap::new(),
        random: source.random(Purpose::Service, 1),
        now: Duration::ZERO,
        agenda: BinaryHeap::new(),
        planned: 0,
        since: HashMap::new(),
        tally: Tally::default(),
    };
    let mut to_come = clients;
    world.plan(Duration::ZERO, Event::Attempt(1));
    while let Some(Reverse((at, _, event))) = world.agenda.pop() {
        world.now = at;
        if event == Event::Attempt(1) && to_come > 1 {
            to_come -= 1;
            let gap = MEAN.as_secs_f64() / (workers as f64 * load(at.as_secs_f64()));
            let gap = exponential(gap, &mut world.random);
            world.plan(gap, Event::Attempt(1));
        }
        world.happen(event);
    }
    assert_eq!((world.line.busy, world.line.waiting(), world.since.len()), (0, 0, 0), "everybody has left");
    assert_eq!(world.line.served + world.line.refused, world.tally.attempts);
    world.tally
}

/// Erlang's formula C as a mean wait in seconds, for an endless queue: `load` is below 1.
fn mean_wait_by_theory(workers: usize, load: f64) -> f64 {
    let offered = load * workers as f64;
    let blocked = (1..=workers).fold(1.0, |b, k| offered * b / (k as f64 + offered * b));
    let waits = blocked / (1.0 - load * (1.0 - blocked));
    waits * MEAN.as_secs_f64() / (workers as f64 - offered)
}

/// The share of M/M/c/K that is refused: how likely all workers and all places are taken.
fn refused_by_theory(workers: usize, queue: usize, load: f64) -> f64 {
    let offered = load * workers as f64;
    // The states' weights, each from the one before it: n inside leave at the rate of the busy workers.
    let weights = (1..=workers + queue).scan(1.0, |weight, inside| {
        *weight *= offered / inside.min(workers) as f64;
        Some(*weight)
    });
    let (all, last) = weights.fold((1.0, 1.0), |(all, _), weight| (all + weight, weight));
    last / all
}

#[track_caller]
fn agree(simulated: f64, theory: f64, tolerance: f64) {
    assert!((simulated / theory - 1.0).abs() < tolerance, "{simulated} is not {theory}");
}

#[test]
fn the_formulas_have_their_textbook_values() {
    // One worker: load / (1 - load) of its mean time.
    agree(mean_wait_by_theory(1, 0.5), 1.0, 1e-12);
    // Two workers: 2 * load^2 / (1 + load) have to wait.
    agree(mean_wait_by_theory(2, 0.8), 0.711_111_111 / 0.4, 1e-6);
    // One worker, no queue, load 1: free or busy, equally often. At load 2 with one place: 4 of 1 + 2 + 4.
    agree(refused_by_theory(1, 0, 1.0), 0.5, 1e-12);
    agree(refused_by_theory(1, 1, 2.0), 4.0 / 7.0, 1e-12);
}

#[test]
fn at_a_load_of_four_fifths_the_mean_wait_is_erlangs() {
    for workers in [1, 4] {
        let tally = run(workers, usize::MAX, |_| 0.8, 400_000, Retry::Never);
        assert_eq!(tally.served, 400_000);
        agree(tally.mean_wait(), mean_wait_by_theory(workers, 0.8), 0.1);
    }
}

#[test]
fn at_twice_the_load_the_refused_share_is_that_of_theory() {
    for (workers, queue) in [(4, 16), (1, 0), (4, 0)] {
        let tally = run(workers, queue, |_| 2.0, 100_000, Retry::Never);
        agree(tally.refused_share(), refused_by_theory(workers, queue, 2.0), 0.02);
    }
}

/// Twice what the workers can do for twenty seconds of every minute, a fifth of it in the other forty.
fn rush(seconds: f64) -> f64 {
    if seconds % 60.0 < 20.0 { 2.0 } else { 0.2 }
}

#[test]
fn clients_that_retry_at_once_make_it_worse_than_those_that_back_off() {
    let of = |retry| run(4, 8, rush, 50_000, retry);
    let (never, at_once, back_off) = (of(Retry::Never), of(Retry::AtOnce(5)), of(Retry::BackOff(5)));
    // Both try five times at most. At once, retries add load to the overload itself, and nearly all are in vain ...
    assert!(at_once.attempts > back_off.attempts);
    assert!(at_once.refused_share() > back_off.refused_share() + 0.1);
    assert!(at_once.served_clients() < never.served_clients() + 0.02);
    // ... while those who come back later meet the quiet after the rush.
    assert!(back_off.served_clients() > 0.93, "{}", back_off.served_clients());
}

/// What a client that goes leaves behind is worked on all the same, and its next attempt comes on top.
#[test]
fn clients_that_give_up_and_retry_turn_a_load_that_was_borne_into_an_overload() {
    let of = |retry| run_with_patience(Some(5 * MEAN), (4, 24), |_| 0.9, 50_000, retry);
    let (never, at_once) = (of(Retry::Never), of(Retry::AtOnce(5)));
    assert!(never.useful > 42_000 && never.refused_share() < 0.01, "{}", never.useful);
    assert!(at_once.useful < 20_000 && at_once.refused_share() > 0.5, "{}", at_once.useful);
}
