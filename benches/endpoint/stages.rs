//! Time of each processing stage, from the simulator's own metrics.

use std::net::TcpStream;
use std::time::Duration;

use super::load::{self, Request};

/// Label values of the stages in metrics, in order.
pub const NAMES: [&str; 5] = ["decode", "decrypt", "image", "match", "render"];

/// Seconds and number of runs of each stage since the start.
#[derive(Clone, Copy, Debug, Default)]
pub struct StageTotals([(f64, f64); NAMES.len()]);

impl StageTotals {
    /// Reads the metrics from the admin listener at `address`.
    pub fn read(address: &str) -> StageTotals {
        let mut stream = TcpStream::connect(address).expect("a connection");
        let start = b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n";
        load::send(&mut stream, Request { start, serial: None, rest: b"", end: b"" });
        let text = load::read_answer(&mut stream);
        StageTotals(NAMES.map(|name| {
            let value = |what: &str| {
                let start = format!("frsim_stage_seconds_{what}{{stage=\"{name}\"}} ");
                let value = text.lines().find_map(|line| line.strip_prefix(&start));
                value.and_then(|value| value.parse().ok()).unwrap_or(0.0)
            };
            (value("sum"), value("count"))
        }))
    }

    /// Returns the mean time of each stage since `earlier`.
    pub fn means_since(&self, earlier: &StageTotals) -> [Duration; NAMES.len()] {
        std::array::from_fn(|at| {
            let (now, before) = (self.0[at], earlier.0[at]);
            Duration::from_secs_f64((now.0 - before.0).max(0.0) / (now.1 - before.1).max(1.0))
        })
    }
}
