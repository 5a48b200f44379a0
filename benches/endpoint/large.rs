//! What one large photo costs others: how long small requests wait beside photos of twelve megapixels.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::bodies::{Bodies, SIZES};
use super::load::{self, Done, measure};
use super::{Bench, ROUNDS, photos};

/// Time between two small requests of a connection.
const PACE: Duration = Duration::from_millis(5);

/// Measures small requests alone, and beside a connection that sends one large new photo after the other.
pub fn delay(bench: &Bench) {
    let large = Bodies::new_photos(&photos::LARGEST.photos(), &bench.ends);
    let alone = small_requests(bench);
    let stop = AtomicBool::new(false);
    let beside = thread::scope(|scope| {
        let load =
            scope.spawn(|| load::requests(&bench.address(), None, &stop, || large.fresh(), "\"6018\""));
        let done = small_requests(bench);
        stop.store(true, Ordering::Relaxed);
        load.join().expect("an end");
        done
    });
    let late = |done: &Done| done.quantile(0.99);
    for (what, done) in [("alone", &alone), ("beside large new photos", &beside)] {
        println!(
            "small requests {what}: median {:.2?}, 99 % within {:.2?}, worst of {} {:.2?}",
            done.quantile(0.5),
            late(done),
            done.times.len(),
            done.quantile(1.0)
        );
    }
    println!(
        "delay by large photos, 99 %: {:.2?} (target: at most 5 ms)\n",
        late(&beside).saturating_sub(late(&alone))
    );
}

/// As many connections as threads, so that there is one on the thread of the large photos, too.
fn small_requests(bench: &Bench) -> Done {
    let small = Bodies::known(SIZES[0], &bench.ends);
    measure(bench.threads, bench.time * ROUNDS as u32, &[], |_, stop| {
        load::requests(&bench.address(), Some(PACE), stop, || small.same(), "\"6018\"")
    })
}
