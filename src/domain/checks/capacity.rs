//! The matcher has a worker or a place to wait (doc 4.1, error: 6014 "Sistem Sedang Sibuk"). Judged only when nothing else failed.

use super::{CheckInput, Finding};
use crate::domain::capacity::Availability;
use crate::domain::policy::Check;
use crate::protocol::Code;

const THIS: Check = Check::Capacity;

pub fn check(case: &CheckInput) -> Finding {
    match case.room {
        None => Finding::unknown(
            THIS,
            "judged only when nothing else failed, so that a failed request takes no place",
        ),
        Some(Availability::Unlimited) => Finding::passed(THIS, "the matcher takes any number of requests"),
        Some(Availability::WorkerFree { busy, workers }) => {
            Finding::passed(THIS, format!("{busy} of {workers} workers are busy; another takes it at once"))
        }
        Some(Availability::MustWait { workers, waiting }) => Finding::passed(
            THIS,
            format!("{}; {} before it", all_busy(workers), counted(waiting, "waits", "wait")),
        ),
        Some(Availability::Full { workers, waiting }) => Finding::failed(
            THIS,
            Code::BUSY,
            format!("{} and {}", all_busy(workers), counted(waiting, "waits", "wait")),
            "wait before you try again, longer each time; or raise workers or queue in the fixtures' [capacity]",
        ),
    }
}

fn all_busy(workers: usize) -> String {
    match workers {
        1 => "the only worker is busy".to_owned(),
        _ => format!("all {workers} workers are busy"),
    }
}

fn counted(waiting: usize, one_waits: &str, they_wait: &str) -> String {
    match waiting {
        0 => format!("nobody {one_waits}"),
        1 => format!("1 request {one_waits}"),
        _ => format!("{waiting} requests {they_wait}"),
    }
}
