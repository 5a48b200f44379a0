//! Load generator: each thread sends requests sequentially over one connection. Reports rate, processor time and latencies.

use std::io::{IoSlice, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use super::{cpu, stages};

/// Base64 of a photo's serial number.
pub type Serial = [u8; 16];

/// A request in parts, so that requests can share the bytes of their photo: a beginning, the photo's serial number if each request has
/// its own, the rest of the photo, and the request's own end.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    pub start: &'a [u8],
    pub serial: Option<Serial>,
    pub rest: &'a [u8],
    pub end: &'a [u8],
}

/// Result of a measurement.
#[derive(Clone, Debug, Default)]
pub struct Done {
    pub per_second: f64,
    /// Processor time of the watched threads, per request.
    pub cpu_each: Duration,
    /// Share of the kernel in that time, 0 to 1.
    pub kernel_share: f64,
    /// Mean time of each stage of the simulator; zero for other systems.
    pub stages: [Duration; stages::NAMES.len()],
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
/// number of its thread, runs until the stop flag is set, and returns its latencies. Time is measured until the last request is answered:
/// if few fit into `time`, those that were under way at its end would count too much or too little.
pub fn measure<W>(threads: usize, time: Duration, watched: &[&str], work: W) -> Done
where
    W: Fn(usize, &AtomicBool) -> Vec<Duration> + Sync,
{
    // Keeps the load threads alive until their own processor time is read.
    let (stop, measured) = (AtomicBool::new(false), Mutex::new(()));
    let (before, started) = (cpu::of_threads(watched), Instant::now());
    let (mut times, cpu, elapsed) = thread::scope(|scope| {
        let measuring = measured.lock().unwrap_or_else(PoisonError::into_inner);
        let (done, all_done) = mpsc::channel();
        for number in 0..threads {
            let (stop, work, measured, done) = (&stop, &work, &measured, done.clone());
            let builder = thread::Builder::new().name(format!("load-{number}"));
            let run = move || {
                done.send(work(number, stop)).expect("a receiver");
                drop(done);
                drop(measured.lock());
            };
            builder.spawn_scoped(scope, run).expect("a thread");
        }
        drop(done);
        thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
        let times: Vec<_> = all_done.iter().flatten().collect();
        let (cpu, elapsed) = (cpu::of_threads(watched) - before, started.elapsed());
        drop(measuring);
        (times, cpu, elapsed)
    });
    times.sort_unstable();
    let count = times.len().max(1) as f64;
    Done {
        per_second: count / elapsed.as_secs_f64(),
        cpu_each: cpu.total.div_f64(count),
        kernel_share: cpu.kernel_share(),
        stages: Default::default(),
        times,
    }
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
    let serial = request.serial.as_ref().map_or(&[][..], |serial| serial);
    let mut parts = &mut [request.start, serial, request.rest, request.end].map(IoSlice::new)[..];
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
