//! Load simulation of the queue in virtual time: random arrivals, random service times. The tests compare the results with queueing
//! theory (Erlang C; the Markov chain M/M/c/K) and between retry strategies of the clients.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use rand::rngs::ChaCha8Rng;

use super::{ServiceQueue, Ticket};
use crate::base::random::{Purpose, RngKey};
use crate::domain::delay::Delay;

/// An event of the simulation.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A client sends its n-th attempt, from 1.
    Attempt(u32),
    /// A client times out.
    ClientTimeout(Ticket),
    /// A worker finishes a request.
    Done(Ticket),
}

/// Retry strategy of a rejected client.
#[derive(Clone, Copy, PartialEq)]
enum Retry {
    Never,
    /// Max attempts, 50 ms apart: a round trip.
    AtOnce(u32),
    /// Max attempts, with exponential back-off and jitter: 1 s, then 2 s, 4 s and so on, each randomly up to twice that.
    BackOff(u32),
}

/// Results of a simulation.
#[derive(Default)]
struct LoadReport {
    clients: u64,
    attempts: u64,
    served: u64,
    /// Served requests whose client still waited for the answer.
    useful: u64,
    waited: Duration,
}

impl LoadReport {
    fn mean_wait(&self) -> f64 {
        self.waited.as_secs_f64() / self.served as f64
    }

    fn rejected_share(&self) -> f64 {
        (self.attempts - self.served) as f64 / self.attempts as f64
    }

    fn served_clients(&self) -> f64 {
        self.served as f64 / self.clients as f64
    }
}

/// Mean service time: 1 second, so that rates are in requests per second and worker.
const MEAN: Duration = Duration::from_secs(1);

fn exponential(mean: f64, random: &mut ChaCha8Rng) -> Duration {
    Delay::Exponential { mean: Duration::from_secs_f64(mean) }.draw(random)
}

struct LoadSimulation {
    queue: ServiceQueue,
    retry: Retry,
    /// Timeout of the clients.
    client_timeout: Option<Duration>,
    /// Clients that wait for an answer, with the number of their attempt.
    clients: HashMap<Ticket, u32>,
    random: ChaCha8Rng,
    now: Duration,
    /// Scheduled events, earliest first; events of the same time in the order in which they were scheduled.
    events: BinaryHeap<Reverse<(Duration, u64, Event)>>,
    scheduled: u64,
    /// Start of the waiting time of each ticket.
    since: HashMap<Ticket, Duration>,
    report: LoadReport,
}

impl LoadSimulation {
    fn schedule(&mut self, after: Duration, event: Event) {
        self.scheduled += 1;
        self.events.push(Reverse((self.now + after, self.scheduled, event)));
    }

    fn begin_service(&mut self, ticket: Ticket) {
        self.report.waited += self.now - self.since[&ticket];
        self.since.remove(&ticket);
        self.report.served += 1;
        let time = exponential(MEAN.as_secs_f64(), &mut self.random);
        self.schedule(time, Event::Done(ticket));
    }

    fn attempt(&mut self, number: u32) {
        self.report.clients += u64::from(number == 1);
        self.report.attempts += 1;
        let Some(ticket) = self.queue.reserve() else { return self.retry(number) };
        self.since.insert(ticket, self.now);
        self.clients.insert(ticket, number);
        if let Some(timeout) = self.client_timeout {
            self.schedule(timeout, Event::ClientTimeout(ticket));
        }
        if !self.queue.waits(ticket) {
            self.begin_service(ticket);
        }
    }

    fn retry(&mut self, number: u32) {
        let pause = match self.retry {
            Retry::AtOnce(max_attempts) if number < max_attempts => Duration::from_millis(50),
            Retry::BackOff(max_attempts) if number < max_attempts => {
                let min = Duration::from_secs(1 << (number - 1).min(5));
                Delay::Uniform(min, 2 * min).draw(&mut self.random)
            }
            _ => return,
        };
        self.schedule(pause, Event::Attempt(number + 1));
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Attempt(number) => self.attempt(number),
            // The slot stays reserved, as in the server: see `Slot` in `state/worker_pool.rs`.
            Event::ClientTimeout(ticket) => {
                if let Some(number) = self.clients.remove(&ticket) {
                    self.retry(number);
                }
            }
            Event::Done(ticket) => {
                self.report.useful += u64::from(self.clients.remove(&ticket).is_some());
                if let Some(next) = self.queue.leave(ticket) {
                    self.begin_service(next);
                }
            }
        }
    }
}

/// Simulates `clients` clients on `workers` workers and `queue` queue slots. Arrivals are a Poisson process whose load (1.0: as much as
/// the workers can do) is a function of the time in seconds.
fn run(workers: usize, queue: usize, load: impl Fn(f64) -> f64, clients: u32, retry: Retry) -> LoadReport {
    run_with_timeout(None, (workers, queue), load, clients, retry)
}

fn run_with_timeout(
    client_timeout: Option<Duration>,
    (workers, queue): (usize, usize),
    load: impl Fn(f64) -> f64,
    clients: u32,
    retry: Retry,
) -> LoadReport {
    let key = RngKey { seed: 7, customer_id: "simulation", rule: "capacity" };
    let mut simulation = LoadSimulation {
        queue: ServiceQueue::new(workers, queue),
        retry,
        client_timeout,
        clients: HashMap::new(),
        random: key.random(Purpose::Service, 1),
        now: Duration::ZERO,
        events: BinaryHeap::new(),
        scheduled: 0,
        since: HashMap::new(),
        report: LoadReport::default(),
    };
    let mut remaining = clients;
    simulation.schedule(Duration::ZERO, Event::Attempt(1));
    while let Some(Reverse((at, _, event))) = simulation.events.pop() {
        simulation.now = at;
        if event == Event::Attempt(1) && remaining > 1 {
            remaining -= 1;
            let gap = MEAN.as_secs_f64() / (workers as f64 * load(at.as_secs_f64()));
            let gap = exponential(gap, &mut simulation.random);
            simulation.schedule(gap, Event::Attempt(1));
        }
        simulation.handle(event);
    }
    assert_eq!(
        (simulation.queue.busy, simulation.queue.waiting(), simulation.since.len()),
        (0, 0, 0),
        "all requests have left the queue"
    );
    assert_eq!(simulation.queue.served + simulation.queue.refused, simulation.report.attempts);
    simulation.report
}

/// Mean wait in seconds by the Erlang C formula, for an unlimited queue and a `load` below 1.
fn mean_wait_by_theory(workers: usize, load: f64) -> f64 {
    let offered = load * workers as f64;
    let blocked = (1..=workers).fold(1.0, |b, k| offered * b / (k as f64 + offered * b));
    let waits = blocked / (1.0 - load * (1.0 - blocked));
    waits * MEAN.as_secs_f64() / (workers as f64 - offered)
}

/// Rejected share of M/M/c/K: the probability that all workers are busy and the queue is full.
fn rejected_by_theory(workers: usize, queue: usize, load: f64) -> f64 {
    let offered = load * workers as f64;
    // Weight of each state, computed from the previous one: with n requests inside, they leave at the rate of the busy workers.
    let weights = (1..=workers + queue).scan(1.0, |weight, inside| {
        *weight *= offered / inside.min(workers) as f64;
        Some(*weight)
    });
    let (all, last) = weights.fold((1.0, 1.0), |(all, _), weight| (all + weight, weight));
    last / all
}

#[track_caller]
fn agree(simulated: f64, theory: f64, tolerance: f64) {
    assert!((simulated / theory - 1.0).abs() < tolerance, "{simulated} differs from {theory}");
}

#[test]
fn the_formulas_have_their_textbook_values() {
    // One worker: the mean wait is load / (1 - load) service times.
    agree(mean_wait_by_theory(1, 0.5), 1.0, 1e-12);
    // Two workers: 2 * load^2 / (1 + load) have to wait.
    agree(mean_wait_by_theory(2, 0.8), 0.711_111_111 / 0.4, 1e-6);
    // One worker, no queue, load 1: free or busy, equally often. At load 2 with one queue slot: 4 of 1 + 2 + 4.
    agree(rejected_by_theory(1, 0, 1.0), 0.5, 1e-12);
    agree(rejected_by_theory(1, 1, 2.0), 4.0 / 7.0, 1e-12);
}

#[test]
fn the_mean_wait_at_load_0_8_matches_erlang_c() {
    for workers in [1, 4] {
        let report = run(workers, usize::MAX, |_| 0.8, 400_000, Retry::Never);
        assert_eq!(report.served, 400_000);
        agree(report.mean_wait(), mean_wait_by_theory(workers, 0.8), 0.1);
    }
}

#[test]
fn the_rejected_share_at_load_2_matches_theory() {
    for (workers, queue) in [(4, 16), (1, 0), (4, 0)] {
        let report = run(workers, queue, |_| 2.0, 100_000, Retry::Never);
        agree(report.rejected_share(), rejected_by_theory(workers, queue, 2.0), 0.02);
    }
}

/// Load peaks: 2.0 for 20 seconds of every minute, 0.2 for the other 40.
fn peaks(seconds: f64) -> f64 {
    if seconds % 60.0 < 20.0 { 2.0 } else { 0.2 }
}

#[test]
fn immediate_retries_perform_worse_than_back_off() {
    let simulate = |retry| run(4, 8, peaks, 50_000, retry);
    let (never, at_once, back_off) =
        (simulate(Retry::Never), simulate(Retry::AtOnce(5)), simulate(Retry::BackOff(5)));
    // Both make at most five attempts. Immediate retries add load during the overload, and nearly all of them fail ...
    assert!(at_once.attempts > back_off.attempts);
    assert!(at_once.rejected_share() > back_off.rejected_share() + 0.1);
    assert!(at_once.served_clients() < never.served_clients() + 0.02);
    // ... while clients that back off are served after the peak.
    assert!(back_off.served_clients() > 0.93, "{}", back_off.served_clients());
}

/// The server still works on a request whose client has timed out, and the client's next attempt adds to the load.
#[test]
fn timeouts_with_immediate_retries_turn_a_sustainable_load_into_an_overload() {
    let simulate = |retry| run_with_timeout(Some(5 * MEAN), (4, 24), |_| 0.9, 50_000, retry);
    let (never, at_once) = (simulate(Retry::Never), simulate(Retry::AtOnce(5)));
    assert!(never.useful > 42_000 && never.rejected_share() < 0.01, "{}", never.useful);
    assert!(at_once.useful < 20_000 && at_once.rejected_share() > 0.5, "{}", at_once.useful);
}
