//! What the command line's `main`, benchmarks, fuzz targets and the project's own tests reach into. Not part of the API: it changes
//! without notice.

pub use crate::cli::main;

pub mod cli {
    pub use crate::cli::{EXIT_CODES, command};
}

pub mod base {
    pub use crate::base::{hash, json_schema, reading, wording};
}

pub mod config {
    pub use crate::config::{
        CustomerSpec, Fixtures, Problem, SimulatorSpec, StartPolicy, load, model, schema, source,
    };
}

pub mod conformance {
    pub use crate::conformance::{
        answer, calibrate, call_spec, cases, difference, ledger, model, observation, pictures, raw_client,
        recording, report, run_file, runner, target,
    };
}

pub mod domain {
    pub use crate::domain::{
        answer, evidence, faults, fidelity, http_answer, limits, matcher, nik, pixels, policy, quota, rules,
        warnings,
    };
}

pub mod engine {
    pub use crate::engine::{Engine, EngineSettings, RequestHead};
}

pub mod http {
    pub use crate::http::data::{connection, endpoint, socket};
    pub use crate::http::{admin, api_error, timeouts};
}

pub mod keys {
    pub use crate::keys::*;
}

pub mod protocol {
    pub use crate::protocol::{Body, Candidate, Code, Field, OUTCOMES, Outcome, body, encoding};
}

pub mod simulator {
    pub use crate::simulator::memory;
}

pub mod state {
    pub use crate::state::{
        clock, customers, evidence_cache, face_matcher, journal, observer, store, timer, worker_pool,
    };
}

pub mod version {
    pub use crate::version::{COMMIT, VERSION, WITH_COMMIT};
}
