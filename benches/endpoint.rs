//! The whole endpoint under load: every check on, a new ciphertext in every request, images of 100 kB. Prints requests per second,
//! and them as a ratio to two bare private-key operations per request on the same number of threads, measured in the same run.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use dukcapil_fr_sim::keys::{self, PrivateKey};
use dukcapil_fr_sim::protocol::encoding;
use dukcapil_fr_sim::{Simulator, StartError};
use serde_json::json;

/// Distinct requests a connection cycles through: more than any cache of the last few would hold.
const REQUESTS: usize = 64;
const IMAGE_BYTES: usize = 100_000;

fn main() -> Result<(), StartError> {
    let seconds = seconds_from_arguments();
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (before, served) = (private_key_operations(threads, seconds), requests(threads, seconds)?);
    let bound = (before + private_key_operations(threads, seconds)) / 4.0;
    println!(
        "{threads} threads, {seconds:?} each, RSA 2048, image of {IMAGE_BYTES} bytes, the load from the same cores"
    );
    println!("{:<44} {bound:>8.0} /s", "bound: private-key operations / 2");
    println!("{:<44} {served:>8.0} /s", "requests");
    println!("{:<44} {:>8.2}", "ratio", served / bound);
    Ok(())
}

/// `--seconds N`; cargo adds `--bench`.
fn seconds_from_arguments() -> Duration {
    let arguments: Vec<_> = std::env::args().collect();
    let given = arguments
        .iter()
        .position(|argument| argument == "--seconds")
        .and_then(|at| arguments.get(at + 1)?.parse().ok());
    Duration::from_secs(given.unwrap_or(5))
}

/// How often per second `work` is done by all threads together.
fn per_second(threads: usize, time: Duration, work: impl Fn(usize, &AtomicBool) -> u64 + Sync) -> f64 {
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    thread::scope(|scope| {
        for number in 0..threads {
            let (stop, done, work) = (&stop, &done, &work);
            scope.spawn(move || done.fetch_add(work(number, stop), Ordering::Relaxed));
        }
        thread::sleep(time);
        stop.store(true, Ordering::Relaxed);
    });
    done.into_inner() as f64 / started.elapsed().as_secs_f64()
}

fn private_key_operations(threads: usize, time: Duration) -> f64 {
    let key = PrivateKey::generate("bench", 2048).expect("a key");
    let public = keys::read_public_pem(key.public_pem()).expect("its public half");
    let sealed = keys::encrypt(&public, b"demo-user").expect("a ciphertext");
    per_second(threads, time, |_, stop| {
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            key.open(&sealed).expect("it opens");
            count += 1;
        }
        count
    })
}

fn requests(threads: usize, time: Duration) -> Result<f64, StartError> {
    let gallery = gallery();
    let simulator = Simulator::builder().fixtures(Some(gallery.path().to_owned())).start_blocking()?;
    let bodies = bodies(&simulator);
    let address = simulator.url().trim_start_matches("http://").to_owned();
    Ok(per_second(2 * threads, time, |number, stop| {
        let mut stream = TcpStream::connect(&address).expect("a connection");
        let mut count = 0;
        while !stop.load(Ordering::Relaxed) {
            let body = &bodies[(number * 7 + count as usize) % REQUESTS];
            stream.write_all(body).expect("sent");
            assert!(read_answer(&mut stream).contains("\"6018\""), "every request must be found");
            count += 1;
        }
        count
    }))
}

/// A picture of the gallery, made 100 kB long by what stands behind its end, as cameras do.
fn photo() -> Vec<u8> {
    let mut photo = include_bytes!("../fixtures/gallery/siti.jpg").to_vec();
    photo.resize(IMAGE_BYTES, 0);
    photo
}

/// A gallery that knows the photo.
fn gallery() -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    let gallery = directory.path().join("gallery");
    std::fs::create_dir(&gallery).expect("a directory");
    std::fs::write(gallery.join("photo.jpg"), photo()).expect("a file");
    let text = "[[identities]]\nnik = '3174055708909001'\nname = 'Siti Contoh'\npictures = ['photo.jpg']\n";
    std::fs::write(gallery.join("gallery.toml"), text).expect("a file");
    directory
}

fn bodies(simulator: &Simulator) -> Vec<Vec<u8>> {
    let public = keys::read_public_pem(&simulator.public_key_pem()).expect("a key");
    let seal = |text: &str| encoding::encode(&keys::encrypt(&public, text.as_bytes()).expect("a ciphertext"));
    let photo = encoding::encode(&photo());
    (0..REQUESTS)
        .map(|number| {
            let body = json!({
                "transactionId": number.to_string(), "transactionSource": "bench", "threshold": "7", "image": photo,
                "user_id": seal("demo-user"), "password": seal("demo-password"), "ip": "10.0.0.1",
            });
            let body = body.to_string();
            let head = format!(
                "POST /api/face-recognition/load/CALL_FN HTTP/1.1\r\nHost: bench\r\nAccept: application/json\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            (head + &body).into_bytes()
        })
        .collect()
}

/// Reads one answer; the documented ones end with a brace on a line of its own.
fn read_answer(stream: &mut TcpStream) -> String {
    let mut answer = Vec::with_capacity(2048);
    let mut chunk = [0; 4096];
    while !answer.ends_with(b"\n}") {
        let count = stream.read(&mut chunk).expect("an answer");
        assert_ne!(count, 0, "the connection ended");
        answer.extend_from_slice(&chunk[..count]);
    }
    String::from_utf8(answer).expect("text")
}
