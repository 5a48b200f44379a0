//! Capacity check: the matcher has a free worker or a free queue slot (doc 4.1, error: 6014 "Sistem Sedang Sibuk"). Evaluated only
//! when no other check failed.

use super::{CheckInput, Finding};
use crate::domain::capacity::Availability;
use crate::domain::policy::Check;
use crate::protocol::Code;

const THIS: Check = Check::Capacity;

pub fn check(input: &CheckInput) -> Finding {
    match input.availability {
        None => Finding::unknown(
            THIS,
            "evaluated only when no other check failed, so that a failed request takes no slot",
        ),
        Some(Availability::Unlimited) => Finding::passed(THIS, "the matcher accepts any number of requests"),
        Some(Availability::WorkerFree { busy, workers }) => Finding::passed(
            THIS,
            format!("{busy} of {workers} workers are busy; a free one takes the request at once"),
        ),
        Some(Availability::MustWait { workers, waiting }) => {
            Finding::passed(THIS, format!("{}; {} before it", all_busy(workers), waiting_requests(waiting)))
        }
        Some(Availability::Full { workers, waiting }) => Finding::failed(
            THIS,
            Code::BUSY,
            format!("{} and {}", all_busy(workers), waiting_requests(waiting)),
            "retry with increasing delays (back-off), or raise workers or queue in [capacity] of the fixtures",
        ),
    }
}

fn all_busy(workers: usize) -> String {
    match workers {
        1 => "the only worker is busy".to_owned(),
        _ => format!("all {workers} workers are busy"),
    }
}

fn waiting_requests(waiting: usize) -> String {
    match waiting {
        0 => "no request waits".to_owned(),
        1 => "1 request waits".to_owned(),
        _ => format!("{waiting} requests wait"),
    }
}
