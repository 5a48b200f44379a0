//! Load test of the whole endpoint, with every check on, against an upper bound of the machine: private-key operations for fresh
//! ciphertexts, a bare actix-web handler for repeated bodies. Measurements alternate within one run, and medians are reported.
//!
//! `cargo bench --bench endpoint -- [--seconds N] [--plots DIRECTORY]`

mod bare;
mod bodies;
mod cpu;
mod load;
mod machine;
mod plot;

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use dukcapil_fr_sim::internals::keys::{self, PrivateKey};
use dukcapil_fr_sim::{Simulator, StartError};

use bodies::Bodies;
use load::{Done, measure};

/// Name prefixes of the threads: the simulator's workers, the bare handler, the load generator.
const WORKERS: &[&str] = &["frsim-worker"];
const BARE: &[&str] = &["actix-rt"];
const LOAD: &[&str] = &["load-"];

/// Rounds per measurement.
const ROUNDS: usize = 5;

const HUNDRED_KB: usize = 100_000;
const MEGABYTE: usize = 1_000_000;

/// The systems under test and their inputs.
struct Bench {
    threads: usize,
    /// Duration of one round.
    time: Duration,
    key: PrivateKey,
    simulator: Simulator,
    bare: String,
    ends: Vec<Vec<u8>>,
    _fixtures: tempfile::TempDir,
}

/// Makes glibc keep freed memory. By default it returns large blocks to the system at once. The bare handler would then take three times
/// as long for a megabyte, and the ratio would look too good.
#[allow(unsafe_code, reason = "a call of the C library, where there is one")]
fn keep_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: `mallopt` takes no pointers and may be called at any time from any thread.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, 32 << 20);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 64 << 20);
    }
}

fn main() -> Result<(), StartError> {
    keep_memory();
    let seconds = argument("--seconds").and_then(|text| text.parse().ok()).unwrap_or(5.0);
    let bench = Bench::start(Duration::from_secs_f64(seconds / ROUNDS as f64))?;
    println!(
        "{}, {} threads; RSA 2048; the load comes from the same cores; {ROUNDS} rounds of {:?}\n",
        machine::name(),
        bench.threads,
        bench.time
    );
    bench.throughput();
    bench.latency();
    machine::checks();
    if let Some(directory) = argument("--plots") {
        bench.plots(directory.as_ref());
    }
    Ok(())
}

/// Returns the value of an option. Ignores the `--bench` that cargo adds.
fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

impl Bench {
    fn start(time: Duration) -> Result<Bench, StartError> {
        let fixtures = bodies::fixtures();
        let simulator = Simulator::builder().fixtures(Some(fixtures.path().to_owned())).start_blocking()?;
        let threads = thread::available_parallelism().map_or(1, usize::from);
        let key = PrivateKey::generate("bench", 2048).expect("a key");
        let ends = bodies::ends(&simulator.public_key_pem());
        let mut bench =
            Bench { threads, time, key, simulator, bare: String::new(), ends, _fixtures: fixtures };
        bench.bare = bare::start(threads, bench.answer());
        Ok(bench)
    }

    /// Returns the body of an answer.
    fn answer(&self) -> String {
        let body = Bodies::new(HUNDRED_KB, &self.ends);
        let mut stream = std::net::TcpStream::connect(&*self.address()).expect("a connection");
        load::send(&mut stream, body.same());
        let answer = load::read_answer(&mut stream);
        answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
    }

    fn address(&self) -> String {
        self.simulator.url().trim_start_matches("http://").to_owned()
    }

    fn private_key_operations(&self) -> Done {
        let public = keys::read_public_pem(self.key.public_pem()).expect("its public half");
        let sealed = keys::encrypt(&public, b"demo-user").expect("a ciphertext");
        measure(self.threads, self.time, LOAD, |_, stop| {
            let mut times = Vec::new();
            while !stop.load(Ordering::Relaxed) {
                let started = Instant::now();
                self.key.open(&sealed).expect("it opens");
                times.push(started.elapsed());
            }
            times
        })
    }

    fn fresh(&self, bodies: &Bodies) -> Done {
        let threads = 2 * self.threads;
        measure(threads, self.time, WORKERS, |number, stop| {
            let mut turn = 0;
            let next = || {
                turn += 1;
                bodies.fresh(number, threads, turn)
            };
            load::requests(&self.address(), None, stop, next, "\"6018\"")
        })
    }

    fn same(&self, address: &str, watched: &[&str], bodies: &Bodies) -> Done {
        measure(2 * self.threads, self.time, watched, |_, stop| {
            load::requests(address, None, stop, || bodies.same(), "\"6018\"")
        })
    }

    /// Alternates several measurements, and returns the median round of each.
    fn alternate<const N: usize>(&self, measurements: [&dyn Fn() -> Done; N]) -> [Done; N] {
        let mut rounds: [Vec<Done>; N] = std::array::from_fn(|_| Vec::new());
        for _ in 0..ROUNDS {
            for (measurement, done) in measurements.iter().zip(&mut rounds) {
                done.push(measurement());
            }
        }
        rounds.map(median)
    }

    fn throughput(&self) {
        let (small, large) = (Bodies::new(HUNDRED_KB, &self.ends), Bodies::new(MEGABYTE, &self.ends));
        let [operations, fresh_small, fresh_large, same_small, same_large, bare_small, bare_large] = self
            .alternate([
                &|| self.private_key_operations(),
                &|| self.fresh(&small),
                &|| self.fresh(&large),
                &|| self.same(&self.address(), WORKERS, &small),
                &|| self.same(&self.address(), WORKERS, &large),
                &|| self.same(&self.bare, BARE, &small),
                &|| self.same(&self.bare, BARE, &large),
            ]);
        let bound = Done {
            per_second: operations.per_second / 2.0,
            cpu_each: operations.cpu_each * 2,
            times: Vec::new(),
        };
        println!("{:<34} {:>9} {:>11} {:>7} {:>7}  target", "", "per second", "CPU each", "ratio", "CPU");
        row("two private-key operations", &bound, None);
        row("fresh ciphertexts, 100 kB", &fresh_small, Some((&bound, 0.90)));
        row("fresh ciphertexts, 1 MB", &fresh_large, Some((&bound, 0.75)));
        row("bare actix-web handler, 100 kB", &bare_small, None);
        row("repeated bodies, 100 kB", &same_small, Some((&bare_small, 0.60)));
        row("bare actix-web handler, 1 MB", &bare_large, None);
        row("repeated bodies, 1 MB", &same_large, Some((&bare_large, 0.60)));
        println!(
            "\nratio: requests per second relative to the bound. The load generator shares the cores with the server, but not with\n\
             private-key operations. CPU: the bound's processor time relative to the server threads', per request.\n"
        );
    }

    /// Measures latency at half of the maximum rate, and `/health` under full load.
    fn latency(&self) {
        let bodies = Bodies::new(HUNDRED_KB, &self.ends);
        let max_rate = self.fresh(&bodies).per_second;
        let half = self.paced(&bodies, max_rate / 2.0);
        let (median, late) = (half.quantile(0.5), half.quantile(0.99));
        let times = |done: &Done| done.quantile(0.99).as_secs_f64() / done.quantile(0.5).as_secs_f64();
        println!(
            "half load: median {median:.2?}, 99 % within {late:.2?}: {:.1} times the median (target: below 3;\n\
             bare private-key operations on all cores: {:.1} times)",
            times(&half),
            times(&self.private_key_operations())
        );
        let health = self.health_under_load(&bodies);
        let (median, worst) = (health.quantile(0.5), health.quantile(1.0));
        println!(
            "/health under full load: median {median:.2?}, worst of {} {worst:.2?} (target: 50 ms)",
            health.times.len()
        );
    }

    /// Sends requests at a fixed rate, from as many connections as cores.
    fn paced(&self, bodies: &Bodies, per_second: f64) -> Done {
        let pace = Duration::from_secs_f64(self.threads as f64 / per_second);
        let time = self.time * ROUNDS as u32;
        measure(self.threads, time, WORKERS, |number, stop| {
            // Staggers the connections.
            thread::sleep(pace.mul_f64(number as f64 / self.threads as f64));
            let mut turn = 0;
            let next = || {
                turn += 1;
                bodies.fresh(number, self.threads, turn)
            };
            load::requests(&self.address(), Some(pace), stop, next, "\"6018\"")
        })
    }

    fn health_under_load(&self, bodies: &Bodies) -> Done {
        let admin = self.simulator.admin_url().expect("an admin listener");
        let admin = admin.trim_start_matches("http://");
        thread::scope(|scope| {
            let load = scope.spawn(|| (0..ROUNDS).for_each(|_| drop(self.fresh(bodies))));
            let health = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
            let done = measure(1, self.time * (ROUNDS as u32 - 1), &[], |_, stop| {
                let next = || load::Request { shared: health, own: b"" };
                load::requests(admin, Some(Duration::from_millis(5)), stop, next, "200 OK")
            });
            load.join().expect("an end");
            done
        })
    }

    fn plots(&self, directory: &std::path::Path) {
        let [mut fresh, mut same, mut bare] = [(); 3].map(|()| Vec::new());
        for size in bodies::SIZES {
            let bodies = Bodies::new(size, &self.ends);
            let [one, two, three] = self.alternate([
                &|| self.fresh(&bodies),
                &|| self.same(&self.address(), WORKERS, &bodies),
                &|| self.same(&self.bare, BARE, &bodies),
            ]);
            for (line, done) in [(&mut fresh, one), (&mut same, two), (&mut bare, three)] {
                line.push((size as f64 / 1000.0, done.per_second));
            }
        }
        let lines =
            [("fresh ciphertexts", fresh), ("repeated bodies", same), ("bare actix-web handler", bare)];
        let labels = ("photo, kB", "requests per second");
        plot::write(&directory.join("throughput.svg"), "Throughput over the photo's size", labels, &lines);

        let bodies = Bodies::new(HUNDRED_KB, &self.ends);
        let max_rate = self.fresh(&bodies).per_second;
        let [mut median, mut late] = [(); 2].map(|()| Vec::new());
        for percent in [5, 10, 20, 30, 40, 50, 60, 70, 80, 90] {
            let done = self.paced(&bodies, max_rate * f64::from(percent) / 100.0);
            for (line, share) in [(&mut median, 0.5), (&mut late, 0.99)] {
                line.push((f64::from(percent), done.quantile(share).as_secs_f64() * 1000.0));
            }
        }
        let labels = ("load, % of the maximum", "milliseconds");
        let lines = [("median", median), ("99 % within", late)];
        plot::write(&directory.join("latency.svg"), "Latency over load, photos of 100 kB", labels, &lines);
        println!("plots written to {}", directory.display());
    }
}

/// Returns the median round by rate, with the median processor time.
fn median(mut rounds: Vec<Done>) -> Done {
    rounds.sort_by_key(|done| done.cpu_each);
    let cpu_each = rounds[rounds.len() / 2].cpu_each;
    rounds.sort_by(|one, other| one.per_second.total_cmp(&other.per_second));
    Done { cpu_each, ..rounds.swap_remove(rounds.len() / 2) }
}

fn row(name: &str, done: &Done, against: Option<(&Done, f64)>) {
    let each = format!("{:.1} us", done.cpu_each.as_secs_f64() * 1e6);
    print!("{name:<34} {:>9.0} {each:>11}", done.per_second);
    match against {
        None => println!(),
        Some((bound, target)) => {
            let ratio = done.per_second / bound.per_second;
            let cpu = bound.cpu_each.as_secs_f64() / done.cpu_each.as_secs_f64();
            println!(" {ratio:>7.2} {cpu:>7.2}  {target:.2}");
        }
    }
}
