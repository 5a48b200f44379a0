//! Processor time of this process' threads by thread name: separates the server's cost from the load generator's.

use std::fs;
use std::ops::Sub;
use std::time::Duration;

/// Processor time of some threads since they started.
#[derive(Clone, Copy, Debug, Default)]
pub struct CpuTime {
    pub total: Duration,
    /// Clock ticks in user mode and in the kernel. They are counted separately and less exactly than the total.
    user_ticks: u64,
    kernel_ticks: u64,
}

impl CpuTime {
    /// Returns the share of the kernel, 0 to 1. It includes copying bodies from the sockets.
    pub fn kernel_share(&self) -> f64 {
        self.kernel_ticks as f64 / (self.user_ticks + self.kernel_ticks).max(1) as f64
    }
}

impl Sub for CpuTime {
    type Output = CpuTime;

    fn sub(self, earlier: CpuTime) -> CpuTime {
        CpuTime {
            total: self.total.saturating_sub(earlier.total),
            user_ticks: self.user_ticks.saturating_sub(earlier.user_ticks),
            kernel_ticks: self.kernel_ticks.saturating_sub(earlier.kernel_ticks),
        }
    }
}

/// Returns the processor time of the threads whose names start with one of `names`.
pub fn of_threads(names: &[&str]) -> CpuTime {
    let tasks = fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let mut sum = CpuTime::default();
    for time in tasks.filter_map(|task| of_thread(&task, names)) {
        sum.total += time.total;
        sum.user_ticks += time.user_ticks;
        sum.kernel_ticks += time.kernel_ticks;
    }
    sum
}

fn of_thread(task: &fs::DirEntry, names: &[&str]) -> Option<CpuTime> {
    let read = |file: &str| fs::read_to_string(task.path().join(file)).ok();
    let name = read("comm")?;
    names.iter().any(|start| name.starts_with(start)).then_some(())?;
    // The first number is nanoseconds on a processor.
    let total = Duration::from_nanos(read("schedstat")?.split(' ').next()?.parse().ok()?);
    // The name in parentheses may contain spaces. Behind it, user and kernel time are the 12th and 13th field.
    let stat = read("stat")?;
    let mut ticks = stat.rsplit_once(") ")?.1.split(' ').skip(11).map(str::parse);
    let (user_ticks, kernel_ticks) = (ticks.next()?.ok()?, ticks.next()?.ok()?);
    Some(CpuTime { total, user_ticks, kernel_ticks })
}
