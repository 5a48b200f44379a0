//! State shared by requests: customers, their running state, clock, caches, worker pools, journal and metrics. All locks are here.

pub mod cache;
pub mod change;
pub mod clock;
pub mod customer_fields;
pub mod customer_state;
pub mod customers;
pub mod diagnosis_budget;
pub mod enrolled_fields;
pub mod evidence_cache;
pub mod face_engine;
pub mod face_matcher;
pub mod journal;
pub mod known_accounts;
pub mod metrics;
pub mod observer;
pub mod print_cache;
pub mod store;
pub mod timer;
pub mod timing;
pub mod worker_pool;
