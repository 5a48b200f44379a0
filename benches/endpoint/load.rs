//! Load generator: each thread sends requests sequentially over one connection. Reports rate, processor time and latencies.

use std::io::{IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::cpu;

/// A request in two parts: bytes shared by all, and its own.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub shared: &'a [u8],
    pub own: &'a [u8],
}

/// Result of a measurement.
#[derive(Clone, Debug, Default)]
pub struct Done {
    pub per_second: f64,
    /// Processor time of the watched threads, per request.
    pub cpu_each: Duration,
    /// Latencies, shortest first; empty for work that is not timed.
    pub times: Vec<Duration>,
}

impl Done {
    /// Returns the latency quantile: `share` of the requests took at most this long.
    pub fn quantile(&self, share: f64) -> Duration {
        let last = self.times.len().saturating_sub(1);
        self.times.get((last as f64 * share) as usize).copied().unwrap_or_default()
    }
}

/// Runs `work` on `threads` threads for `time`, and measures the processor time of the threads named in `watched`. `work` receives the
/// number of its thread, runs until the stop flag is set, and returns its latencies.
pub fn measure<W>(threads: usize, time: Duration, watched: &[&str], work: W) -> Done
where
    W: Fn(usize, &AtomicBool) -> Vec<Duration> + Sync,
{
    let (stop, before, started) = (AtomicBool::new(false), cpu::of_threads(watched), Instant::now());
    let (mut times, cpu, elapsed) = thread::scope(|scope| {
        let running: Vec<_> = (0..threads)
            .map(|number| {
                let (stop, work) = (&stop, &work);
                let builder = thread::Builder::new().name(format!("load-{number}"));
                builder.spawn_scoped(scope, move || work(number, stop)).expect("a thread")
            })
            .collect();
        thread::sleep(time);
        let (cpu, elapsed) = (cpu::of_threads(watched).saturating_sub(before), started.elapsed());
        stop.store(true, Ordering::Relaxed);
        let times: Vec<_> = running.into_iter().flat_map(|thread| thread.join().expect("an end")).collect();
        (times, cpu, elapsed)
    });
    times.sort_unstable();
    let count = times.len().max(1) as f64;
    Done { per_second: count / elapsed.as_secs_f64(), cpu_each: cpu.div_f64(count), times }
}

/// Sends requests sequentially. With a `pace`, one per interval.
pub fn requests<'a>(
    address: &str,
    pace: Option<Duration>,
    stop: &AtomicBool,
    mut next: impl FnMut() -> Request<'a>,
    expected: &str,
) -> Vec<Duration> {
    let mut stream = TcpStream::connect(address).expect("a connection");
    stream.set_nodelay(true).expect("no delay");
    let (mut times, mut turn) = (Vec::new(), Instant::now());
    while !stop.load(Ordering::Relaxed) {
        if let Some(pace) = pace {
            turn += pace;
            thread::sleep(turn.saturating_duration_since(Instant::now()));
        }
        // Measures from the scheduled time, so that a late client's wait counts (no coordinated omission).
        let started = if pace.is_some() { turn } else { Instant::now() };
        send(&mut stream, next());
        let answer = read_answer(&mut stream);
        assert!(answer.contains(expected), "{answer}");
        times.push(started.elapsed());
    }
    times
}

pub fn send(stream: &mut TcpStream, request: Request) {
    let mut parts = &mut [IoSlice::new(request.shared), IoSlice::new(request.own)][..];
    while !parts.is_empty() {
        let count = stream.write_vectored(parts).expect("sent");
        IoSlice::advance_slices(&mut parts, count);
    }
}

/// Reads one response, head and body.
pub fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::with_capacity(4096);
    let mut chunk = [0; 4096];
    loop {
        let count = stream.read(&mut chunk).expect("an answer");
        assert_ne!(count, 0, "the connection ended");
        answer.extend_from_slice(&chunk[..count]);
        if response_length(&answer).is_some_and(|length| answer.len() >= length) {
            return String::from_utf8(answer).expect("text");
        }
    }
}

fn response_length(answer: &[u8]) -> Option<usize> {
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(&answer[..head]).ok()?.to_ascii_lowercase();
    let length = text.lines().find_map(|line| line.strip_prefix("content-length:"))?;
    Some(head + length.trim().parse::<usize>().ok()?)
}
