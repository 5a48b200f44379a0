//! Measures the binary itself: startup time, and memory when idle, under a thousand connections and afterwards.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::bodies::{self, Bodies};
use super::{load, photos};

const PROGRAM: &str = env!("CARGO_BIN_EXE_dukcapil-fr-sim");
const MIB: f64 = (1 << 20) as f64;
const CONNECTIONS: usize = 1000;

/// Returns the processor's name.
pub fn name() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| Some(line.split_once(": ")?.1.to_owned()))
        .unwrap_or_else(|| "unknown processor".to_owned())
}

/// A running simulator process. Killed when dropped.
struct Program {
    child: Child,
    endpoint: String,
    ready: Duration,
}

impl Program {
    fn start(keys: &std::path::Path) -> Program {
        let started = Instant::now();
        let mut child = Command::new(PROGRAM)
            .args(["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--quiet", "--keys"])
            .arg(keys)
            // This directory has no fixtures, so the built-in ones are used.
            .current_dir(keys)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the program");
        let lines = BufReader::new(child.stdout.take().expect("its output")).lines();
        let line =
            lines.map_while(Result::ok).find(|line| line.starts_with("ready ")).expect("it gets ready");
        let ready = started.elapsed();
        let endpoint = line.split_once("http://").expect("an address").1;
        let endpoint =
            endpoint.split(|c: char| c.is_whitespace() || c == '/').next().unwrap_or_default().to_owned();
        Program { child, endpoint, ready }
    }

    /// Returns a memory line of `/proc/PID/status`, in MiB: resident now, or the peak.
    fn memory(&self, line: &str) -> f64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).expect("a status");
        let line = status.lines().find_map(|text| text.strip_prefix(line)).expect("a line");
        line.trim().trim_end_matches(" kB").parse::<f64>().expect("a number") * 1024.0 / MIB
    }

    fn resident(&self) -> f64 {
        self.memory("VmRSS:")
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Measures and prints everything.
pub fn checks() {
    let keys = tempfile::tempdir().expect("a directory");
    drop(Program::start(keys.path()));
    let mut ready: Vec<_> = (0..11).map(|_| Program::start(keys.path()).ready).collect();
    ready.sort_unstable();
    println!(
        "ready with keys present: median {:.1?}, worst of 11 {:.1?} (target: 20 ms)",
        ready[5], ready[10]
    );
    let program = Program::start(keys.path());
    let pem = fs::read_to_string(keys.path().join("public.pem")).expect("a public key");
    let ends = bodies::ends(&pem);
    let body = Bodies::known(super::MEGABYTE, &ends);
    println!("memory when idle: {:.1} MiB (target: below 15)", settled(&program));
    // One request, to initialize everything that is created on first use.
    let mut stream = TcpStream::connect(&program.endpoint).expect("a connection");
    load::send(&mut stream, body.same());
    load::read_answer(&mut stream);
    drop(stream);
    let idle = settled(&program);
    println!("memory when idle again, after a request: {idle:.1} MiB");
    large_photo(&program, &ends);
    let under = peak_memory(&program, &body);
    let bodies = (CONNECTIONS * body.length()) as f64 / MIB;
    println!(
        "memory under {CONNECTIONS} connections with 1 MB: peak {under:.0} MiB, bodies {bodies:.0} MiB (target: below bodies + 64 = {:.0})",
        bodies + 64.0
    );
    let after = settled(&program);
    println!("memory afterwards: {after:.1} MiB, {:.2} of idle (target: below 1.20)", after / idle);
    let stripped = keys.path().join("stripped");
    let strip = Command::new("strip").arg("-o").arg(&stripped).arg(PROGRAM).status();
    let (file, how) = match strip {
        Ok(status) if status.success() => (stripped.as_path(), "stripped"),
        _ => (PROGRAM.as_ref(), "with symbols, because there is no strip"),
    };
    let size = fs::metadata(file).map_or(0.0, |file| file.len() as f64 / 1e6);
    println!("program, {how}: {size:.1} MB (target: below 20)\n");
}

/// Measures what a new photo of twelve megapixels takes beside its body.
fn large_photo(program: &Program, ends: &bodies::Ends) {
    let body = Bodies::new_photos(&photos::LARGEST.photos(), ends);
    let before = settled(program);
    // Sets the peak to what is in use now.
    fs::write(format!("/proc/{}/clear_refs", program.child.id()), "5").expect("one's own child");
    let mut stream = TcpStream::connect(&program.endpoint).expect("a connection");
    load::send(&mut stream, body.fresh());
    assert!(load::read_answer(&mut stream).contains("errorCode"), "an answer");
    let (peak, length) = (program.memory("VmHWM:"), body.length() as f64 / MIB);
    println!(
        "memory for a new photo of 12 megapixels: {:.1} MiB, of which its body {length:.1} MiB; beside it {:.1} MiB (target: below 8)",
        peak - before,
        peak - before - length
    );
}

/// Returns the memory once it has been stable for four seconds.
fn settled(program: &Program) -> f64 {
    let (mut last, mut since) = (program.resident(), Instant::now());
    let started = Instant::now();
    while since.elapsed() < Duration::from_secs(4) && started.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(50));
        let now = program.resident();
        if (now - last).abs() > 0.1 {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

/// Sends all requests except their last byte, so that all bodies are buffered at once, then the last bytes. Returns the peak memory.
fn peak_memory(program: &Program, body: &Bodies) -> f64 {
    let request = body.same();
    let (last, end) = request.end.split_last().expect("a body");
    let mut streams: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let mut stream = TcpStream::connect(&program.endpoint).expect("a connection");
            load::send(&mut stream, load::Request { end, ..request });
            stream
        })
        .collect();
    for stream in &mut streams {
        stream.write_all(&[*last]).expect("sent");
        assert!(load::read_answer(stream).contains("errorCode"), "an answer");
    }
    program.memory("VmHWM:")
}
