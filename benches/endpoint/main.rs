//! Load test of the whole endpoint, with every check on, against an upper bound of the machine. Measurements alternate within one run, and
//! medians are reported.
//!
//! - New photos: photo and ciphertexts differ in each request, as those of real clients. Nothing is cached: every photo is hashed and
//!   decoded, every ciphertext is decrypted. The bound is two private-key operations.
//! - Fresh ciphertexts: they differ, but the photo is always the same one, and so never decoded. The bound is the same.
//! - Repeated bodies: always the same request, in which nothing is decoded or decrypted. The bound is the bare handler. This row is the
//!   cost of HTTP, JSON, the caches and the journal alone.
//!
//! `cargo bench --bench endpoint -- [--seconds N] [--row TEXT] [--plots DIRECTORY]`
//!
//! `--row` measures only what has this text in its name, with its bounds: a row of the table, "latency", "large photo", "memory" or "plots".

mod bare;
mod bodies;
mod cpu;
mod drawing;
mod jpeg;
mod large;
mod load;
mod machine;
mod photos;
mod plot;
mod stages;

use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use dukcapil_fr_sim::internals::keys::{self, PrivateKey};
use dukcapil_fr_sim::internals::simulator::memory;
use dukcapil_fr_sim::{Simulator, StartError};

use bodies::Bodies;
use load::{Done, measure};
use stages::StageTotals;

/// Name prefixes of the threads: the simulator's workers, the bare handler, the load generator.
const WORKERS: &[&str] = &["frsim-worker"];
const BARE: &[&str] = &["actix-rt"];
const LOAD: &[&str] = &["load-"];

/// What the bare handler does with a body.
const READ_ONLY: &str = "everything but reading the body";

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
    ends: bodies::Ends,
    /// Part of the names of what is measured; `None` for everything.
    only: Option<String>,
    _fixtures: tempfile::TempDir,
}

/// A row of the table.
struct Row<'a> {
    name: String,
    /// What is left out of the work that a real request causes.
    note: &'static str,
    bound: Option<Bound>,
    /// Size of a new photo, in kB, where it belongs into the plot.
    plotted: Option<f64>,
    measure: Box<dyn Fn() -> Done + 'a>,
}

/// The row that another one is compared with, and the smallest ratio of processor times that is acceptable.
struct Bound {
    name: &'static str,
    target: f64,
}

/// The bound of what decrypts.
const OPERATIONS: &str = "two private-key operations";

/// A duration in microseconds.
fn microseconds(time: Duration) -> String {
    format!("{:.1} us", time.as_secs_f64() * 1e6)
}

fn main() -> Result<(), StartError> {
    // As `serve` does. It holds for the bare handler too: otherwise the ratio would look too good.
    memory::keep_large_blocks();
    let seconds = argument("--seconds").and_then(|text| text.parse().ok()).unwrap_or(5.0);
    let bench = Bench::start(Duration::from_secs_f64(seconds / ROUNDS as f64))?;
    println!(
        "{}, {} threads; RSA 2048; the load comes from the same cores; {ROUNDS} rounds of {:?}\n",
        machine::name(),
        bench.threads,
        bench.time
    );
    let new_photos = bench.throughput();
    if bench.is_wanted("large photo") {
        large::delay(&bench);
    }
    if bench.is_wanted("latency") {
        bench.latency();
    }
    if bench.is_wanted("memory") {
        machine::checks();
    }
    if let Some(directory) = argument("--plots") {
        let directory = directory.as_ref();
        new_photos.write(directory);
        if bench.is_wanted("plots") {
            bench.plots(directory);
        }
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
        let (bare, only) = (String::new(), argument("--row"));
        let mut bench = Bench { threads, time, key, simulator, bare, ends, only, _fixtures: fixtures };
        bench.bare = bare::start(threads, bench.answer());
        Ok(bench)
    }

    /// Returns the body of an answer.
    fn answer(&self) -> String {
        let body = Bodies::known(HUNDRED_KB, &self.ends);
        let mut stream = std::net::TcpStream::connect(&*self.address()).expect("a connection");
        load::send(&mut stream, body.same());
        let answer = load::read_answer(&mut stream);
        answer.split_once("\r\n\r\n").expect("a body").1.to_owned()
    }

    fn address(&self) -> String {
        self.simulator.url().trim_start_matches("http://").to_owned()
    }

    fn admin_address(&self) -> String {
        let admin = self.simulator.admin_url().expect("an admin listener");
        admin.trim_start_matches("http://").to_owned()
    }

    /// Whether to measure what has this name.
    fn is_wanted(&self, name: &str) -> bool {
        self.only.as_deref().is_none_or(|only| name.contains(only))
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

    /// Adds the times of the stages to a measurement of the simulator.
    fn with_stages(&self, measurement: impl FnOnce() -> Done) -> Done {
        let before = StageTotals::read(&self.admin_address());
        let done = measurement();
        Done { stages: StageTotals::read(&self.admin_address()).means_since(&before), ..done }
    }

    fn fresh(&self, bodies: &Bodies) -> Done {
        measure(2 * self.threads, self.time, WORKERS, |_, stop| {
            load::requests(&self.address(), None, stop, || bodies.fresh(), "\"6018\"")
        })
    }

    fn same(&self, address: &str, watched: &[&str], bodies: &Bodies) -> Done {
        measure(2 * self.threads, self.time, watched, |_, stop| {
            load::requests(address, None, stop, || bodies.same(), "\"6018\"")
        })
    }

    /// Alternates several measurements, and returns the median round of each.
    fn alternate(&self, measurements: &[&dyn Fn() -> Done]) -> Vec<Done> {
        let mut rounds: Vec<_> = measurements.iter().map(|_| Vec::new()).collect();
        for _ in 0..ROUNDS {
            for (measurement, done) in measurements.iter().zip(&mut rounds) {
                done.push(measurement());
            }
        }
        rounds.into_iter().map(median).collect()
    }

    /// Returns the rows that are wanted, and the rows they are compared with.
    fn rows(&self) -> Vec<Row<'_>> {
        let mut rows = self.known_photo_rows();
        rows.extend(photos::KINDS.iter().filter_map(|kind| self.new_photo_row(kind)));
        let wanted: Vec<_> = rows.iter().map(|row| self.is_wanted(&row.name)).collect();
        let bounds: Vec<_> = rows
            .iter()
            .zip(&wanted)
            .filter_map(|(row, is_wanted)| row.bound.as_ref().filter(|_| *is_wanted))
            .map(|bound| bound.name)
            .collect();
        let mut wanted = wanted.into_iter();
        rows.retain(|row| wanted.next() == Some(true) || bounds.contains(&&*row.name));
        rows
    }

    fn known_photo_rows(&self) -> Vec<Row<'_>> {
        let mut rows = vec![Row {
            name: OPERATIONS.to_owned(),
            note: "no HTTP, no photo",
            bound: None,
            plotted: None,
            measure: Box::new(|| {
                let one = self.private_key_operations();
                Done { per_second: one.per_second / 2.0, cpu_each: one.cpu_each * 2, ..one }
            }),
        }];
        let sizes = [
            ("100 kB", "bare actix-web handler, 100 kB", HUNDRED_KB, 0.90),
            ("1 MB", "bare actix-web handler, 1 MB", MEGABYTE, 0.75),
        ];
        let bodies = sizes.map(|(_, _, size, _)| Rc::new(Bodies::known(size, &self.ends)));
        for ((size, .., target), bodies) in sizes.iter().zip(&bodies) {
            let bodies = Rc::clone(bodies);
            rows.push(Row {
                name: format!("fresh ciphertexts, {size}"),
                note: "known photo, never decoded",
                bound: Some(Bound { name: OPERATIONS, target: *target }),
                plotted: None,
                measure: Box::new(move || self.with_stages(|| self.fresh(&bodies))),
            });
        }
        for ((size, bare, ..), bodies) in sizes.into_iter().zip(bodies) {
            let sent = Rc::clone(&bodies);
            rows.push(Row {
                name: bare.to_owned(),
                note: READ_ONLY,
                bound: None,
                plotted: None,
                measure: Box::new(move || self.same(&self.bare, BARE, &sent)),
            });
            rows.push(Row {
                name: format!("repeated bodies, {size}"),
                note: "known photo, never decoded; known ciphertexts, never decrypted",
                bound: Some(Bound { name: bare, target: 0.60 }),
                plotted: None,
                measure: Box::new(move || self.with_stages(|| self.same(&self.address(), WORKERS, &bodies))),
            });
        }
        rows
    }

    /// Returns the row of one kind of photo; none if it is not wanted, because drawing takes seconds.
    fn new_photo_row(&self, kind: &photos::Kind) -> Option<Row<'_>> {
        let name = format!("new photos, {}", kind.name);
        if !self.is_wanted(&name) {
            return None;
        }
        let photos = kind.photos();
        let sizes: Vec<_> = photos.iter().map(|photo| format!("{} kB", photo.bytes / 1000)).collect();
        println!("{}: {} x {} pixels, {}", kind.name, kind.width, kind.height, sizes.join(" and "));
        let bodies = Bodies::new_photos(&photos, &self.ends);
        let bytes = photos.iter().map(|photo| photo.bytes).sum::<usize>() / photos.len();
        Some(Row {
            name,
            note: "nothing: each photo is hashed and decoded, each ciphertext decrypted",
            bound: Some(Bound { name: OPERATIONS, target: 1.0 / kind.most }),
            plotted: kind.is_baseline().then_some(bytes as f64 / 1000.0),
            measure: Box::new(move || self.with_stages(|| self.fresh(&bodies))),
        })
    }

    /// Measures and prints the table. Returns what belongs into the plot of new photos.
    fn throughput(&self) -> NewPhotos {
        let rows = self.rows();
        if rows.is_empty() {
            return NewPhotos::default();
        }
        let measurements: Vec<_> = rows.iter().map(|row| &*row.measure).collect();
        let results = self.alternate(&measurements);
        println!(
            "\n{:<38} {:>10} {:>11} {:>7} {:>6} {:>6} {:>7}  left out",
            "", "per second", "CPU each", "kernel", "ratio", "CPU", "target"
        );
        for (row, done) in rows.iter().zip(&results) {
            let bound = row.bound.as_ref().and_then(|bound| {
                let at = rows.iter().position(|other| other.name == bound.name)?;
                Some((&results[at], bound.target))
            });
            println!("{}", row.line(done, bound));
        }
        println!(
            "\nCPU each: processor time of the server's threads per request, and the kernel's share of it. ratio: requests per second\n\
             relative to the bound, which is the row of a bare handler above, or the private-key operations. The load generator shares\n\
             the cores with the server, but not with private-key operations. CPU: the bound's processor time relative to the server's.\n\n\
             Stages of the simulator, mean time per request. It includes waiting for a core, and is not\n\
             comparable with CPU each; HTTP is not among the stages:\n"
        );
        println!("{:<38} {}", "", stages::NAMES.map(|name| format!("{name:>12}")).concat());
        for (row, done) in rows.iter().zip(&results).filter(|(_, done)| !done.stages[0].is_zero()) {
            println!(
                "{:<38} {}",
                row.name,
                done.stages.map(|time| format!("{:>12}", microseconds(time))).concat()
            );
        }
        println!();
        // On a shared machine, rates tell of the others. A core serves as many requests as its time is enough for.
        let rate = |done: &Done| 1.0 / done.cpu_each.as_secs_f64();
        let with = rows.iter().zip(&results).filter_map(|(row, done)| Some((row.plotted?, rate(done))));
        let bound = rows.iter().position(|row| row.name == OPERATIONS).map(|at| rate(&results[at]));
        NewPhotos { points: with.collect(), bound: bound.unwrap_or_default() }
    }

    /// Measures latency at half of the maximum rate, and `/health` under full load.
    fn latency(&self) {
        let bodies = Bodies::known(HUNDRED_KB, &self.ends);
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
            load::requests(&self.address(), Some(pace), stop, || bodies.fresh(), "\"6018\"")
        })
    }

    fn health_under_load(&self, bodies: &Bodies) -> Done {
        let admin = self.admin_address();
        thread::scope(|scope| {
            let load = scope.spawn(|| (0..ROUNDS).for_each(|_| drop(self.fresh(bodies))));
            let health = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
            let done = measure(1, self.time * (ROUNDS as u32 - 1), &[], |_, stop| {
                let next = || load::Request { start: health, serial: None, rest: b"", end: b"" };
                load::requests(&admin, Some(Duration::from_millis(5)), stop, next, "200 OK")
            });
            load.join().expect("an end");
            done
        })
    }

    fn plots(&self, directory: &std::path::Path) {
        let [mut fresh, mut same, mut bare] = [(); 3].map(|()| Vec::new());
        for size in bodies::SIZES {
            let bodies = Bodies::known(size, &self.ends);
            let results = self.alternate(&[
                &|| self.fresh(&bodies),
                &|| self.same(&self.address(), WORKERS, &bodies),
                &|| self.same(&self.bare, BARE, &bodies),
            ]);
            for (line, done) in [&mut fresh, &mut same, &mut bare].into_iter().zip(results) {
                line.push((size as f64 / 1000.0, done.per_second));
            }
        }
        let lines =
            [("fresh ciphertexts", fresh), ("repeated bodies", same), ("bare actix-web handler", bare)];
        let labels = ("photo, kB", "requests per second");
        plot::write(&directory.join("throughput.svg"), "Throughput over the photo's size", labels, &lines);

        let bodies = Bodies::known(HUNDRED_KB, &self.ends);
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

/// Requests that one core serves in a second, by size of the photo in kB; and what the private-key operations alone would allow.
#[derive(Default)]
struct NewPhotos {
    points: Vec<(f64, f64)>,
    bound: f64,
}

impl NewPhotos {
    fn write(self, directory: &std::path::Path) {
        if self.points.len() < 2 {
            return;
        }
        let bound = self.points.iter().map(|(size, _)| (*size, self.bound)).collect();
        let labels = ("JPEG, kB", "requests per second of a core's time");
        let lines = [("new photos", self.points), (OPERATIONS, bound)];
        plot::write(
            &directory.join("new-photos.svg"),
            "New photos: requests over the photo's size",
            labels,
            &lines,
        );
    }
}

impl Row<'_> {
    fn line(&self, done: &Done, bound: Option<(&Done, f64)>) -> String {
        let each = microseconds(done.cpu_each);
        let kernel = format!("{:.0} %", done.kernel_share * 100.0);
        let compared = bound.map_or([const { String::new() }; 3], |(bound, target)| {
            let ratio = done.per_second / bound.per_second;
            let cpu = bound.cpu_each.as_secs_f64() / done.cpu_each.as_secs_f64();
            let decimals = |ratio: f64| if ratio < 0.1 { 4 } else { 2 };
            let shown = |ratio: f64| format!("{ratio:.0$}", decimals(ratio));
            [ratio, cpu, target].map(shown)
        });
        let [ratio, cpu, target] = compared;
        let Row { name, note, .. } = self;
        let decimals = if done.per_second < 100.0 { 1 } else { 0 };
        let rate = format!("{:.decimals$}", done.per_second);
        format!("{name:<38} {rate:>10} {each:>11} {kernel:>7} {ratio:>6} {cpu:>6} {target:>7}  {note}")
    }
}

/// Returns the round with the median processor time, with the median rate, and the means of what is measured less exactly.
fn median(mut rounds: Vec<Done>) -> Done {
    let count = rounds.len();
    rounds.sort_by(|one, other| one.per_second.total_cmp(&other.per_second));
    let per_second = rounds[count / 2].per_second;
    rounds.sort_by_key(|done| done.cpu_each);
    let kernel_share = rounds.iter().map(|done| done.kernel_share).sum::<f64>() / count as f64;
    let mean = |stage: usize| rounds.iter().map(|done| done.stages[stage]).sum::<Duration>() / count as u32;
    let stages = std::array::from_fn(mean);
    Done { per_second, kernel_share, stages, ..rounds.swap_remove(count / 2) }
}
