//! Soak test: valid and invalid requests, faults, aborted uploads, rude clients, admin calls, reloads, clock jumps and new keys, all
//! concurrently. Then checks for leaks, and prints how long `/health` took. `cargo run --release --example soak -- --minutes N [--seed N]`, after `cargo build --release`.

mod clients;
mod program;
mod rude;

use std::error::Error;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use clients::Caller;
use program::{Program, State};

/// Size of the journal. Small, so that it fills up early and does not count as a leak.
pub const JOURNAL_BYTES: u64 = 4 << 20;

/// Allowed memory growth since the middle of the run: allocator slack.
const GROWTH: f64 = 1.15;
const SLACK_MIB: f64 = 8.0;

/// Counters of the load threads.
#[derive(Default)]
pub struct Counts {
    pub requests: AtomicU64,
    /// Answers that must have been charged to the quota of the customer `counted`.
    pub charged: AtomicU64,
    pub admin: AtomicU64,
}

fn main() -> Result<(), Box<dyn Error>> {
    let minutes: f64 = argument("--minutes").map_or(Ok(1.0), |text| text.parse())?;
    let seed: u64 = argument("--seed").map_or(Ok(0), |text| text.parse())?;
    let time = Duration::from_secs_f64(minutes * 60.0);
    let program = Program::start()?;
    clients::prepare(&program)?;
    let (counts, stop) = (Counts::default(), AtomicBool::new(false));
    let (before, middle) = thread::scope(|scope| {
        let caller = |number| Caller::new(&program, &counts, &stop, seed.wrapping_mul(1000) + number);
        (0..4).for_each(|number| drop(scope.spawn(move || caller(number).requests())));
        (4..6).for_each(|number| drop(scope.spawn(move || caller(number).administration())));
        scope.spawn(move || caller(6).reloads());
        (7..9).for_each(|number| drop(scope.spawn(move || caller(number).rudeness())));
        let health = scope.spawn(|| health(&program, &stop));
        let before = program.state();
        let middle = watch(&program, &counts, time);
        stop.store(true, Ordering::Relaxed);
        let mut health = health.join().expect("answers");
        health.sort_unstable();
        let [median, most_of_them, most] = [50, 99, 100].map(|part| health[(health.len() - 1) * part / 100]);
        println!("/health: median {median:.1?}, 99 % within {most_of_them:.1?}, at most {most:.1?}");
        (before, middle)
    });
    println!(
        "{} requests and {} admin calls in {minutes} minutes",
        counts.requests.load(Ordering::Relaxed),
        counts.admin.load(Ordering::Relaxed),
    );
    let after = program.settled()?;
    let wrong = verdict(&program, &counts, [before?, middle?, after])?;
    wrong.iter().for_each(|wrong| eprintln!("WRONG: {wrong}"));
    if wrong.is_empty() { Ok(()) } else { Err("the soak test failed".into()) }
}

/// Asks for `/health` ten times a second and returns how long it takes. That depends on the machine too, so it is printed, not checked.
fn health(program: &Program, stop: &AtomicBool) -> Vec<Duration> {
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        let started = Instant::now();
        let (status, _) = program.call("GET", "/health", None).expect("an answer");
        assert_eq!(status, 200, "/health");
        times.push(started.elapsed());
        thread::sleep(Duration::from_millis(100));
    }
    times
}

/// Returns the value of an option.
fn argument(name: &str) -> Option<String> {
    std::env::args().skip_while(|argument| argument != name).nth(1)
}

/// Waits for `time` and prints the progress. Returns the state at half time, when everything is warmed up.
fn watch(program: &Program, counts: &Counts, time: Duration) -> Result<State, String> {
    let (started, step) = (Instant::now(), (time / 10).min(Duration::from_secs(60)));
    let mut middle = None;
    while started.elapsed() < time {
        thread::sleep(step.min(time.saturating_sub(started.elapsed())));
        let state = program.state()?;
        let requests = counts.requests.load(Ordering::Relaxed);
        println!("{:>5.0} s: {requests:>8} requests, {state}", started.elapsed().as_secs_f64());
        if middle.is_none() && started.elapsed() * 2 >= time {
            middle = Some(state);
        }
    }
    middle.map_or_else(|| program.state(), Ok)
}

/// Returns all failed checks at the end.
fn verdict(program: &Program, counts: &Counts, states: [State; 3]) -> Result<Vec<String>, Box<dyn Error>> {
    let [before, middle, after] = states;
    println!("before {before}\nmiddle {middle}\nafter  {after}");
    let mut wrong = Vec::new();
    let mut expect = |holds: bool, what: String| wrong.extend((!holds).then_some(what));
    let max_mib = middle.mib * GROWTH + SLACK_MIB;
    expect(
        after.mib <= max_mib,
        format!("memory: {:.1} MiB at the end, expected at most {max_mib:.1}", after.mib),
    );
    expect(
        after.files <= before.files,
        format!("descriptors: {} at the end, {} before", after.files, before.files),
    );
    // Thread pools keep idle threads for a while: each thread of the endpoint as many as evaluate at once, and the admin API as many; and each
    // one that had just finished and was not yet idle when the next work came.
    let cores = thread::available_parallelism()?.get();
    let max_threads = before.threads + (cores + 1) * (cores.max(2) + 1);
    expect(
        after.threads <= max_threads,
        format!("threads: {} at the end, expected at most {max_threads}", after.threads),
    );
    let in_flight = program.number("frsim_in_flight")?;
    expect(in_flight == 0.0, format!("{in_flight} requests are still in flight"));
    let (waiting, readers) = (program.number("frsim_waiting_calls")?, program.number("frsim_event_readers")?);
    expect(waiting + readers == 0.0, format!("{waiting} waiting calls, {readers} event readers are left"));
    let journal = program.number("frsim_journal_size_bytes")?;
    expect(
        journal <= JOURNAL_BYTES as f64,
        format!("the journal holds {journal} bytes, at most {JOURNAL_BYTES}"),
    );
    let used = program.get("/customers/counted/quota")?["used"].as_u64();
    let charged = counts.charged.load(Ordering::Relaxed);
    expect(used == Some(charged), format!("quota: {used:?} used, {charged} charged requests were answered"));
    let customers = program.get("/customers")?.to_string();
    expect(!customers.contains("soak-"), "a customer that was removed is still there".to_owned());
    Ok(wrong)
}
