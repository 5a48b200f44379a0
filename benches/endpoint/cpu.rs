//! Processor time of this process' threads by thread name: separates the server's cost from the load generator's.

use std::fs;
use std::time::Duration;

/// Returns the processor time of the threads whose names start with one of `names`.
pub fn of_threads(names: &[&str]) -> Duration {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let time = |task: fs::DirEntry| {
        let name = fs::read_to_string(task.path().join("comm")).ok()?;
        names.iter().any(|start| name.starts_with(start)).then_some(())?;
        // The first number is nanoseconds on a processor.
        let times = fs::read_to_string(task.path().join("schedstat")).ok()?;
        times.split(' ').next()?.parse().ok().map(Duration::from_nanos)
    };
    tasks.filter_map(time).sum()
}
