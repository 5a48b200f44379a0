//! The integration tests: one binary, one file per area. They use the library through [`support::Sim`], or the built
//! binary. Shell blocks of the README are run as printed.
//!
//! Unit tests are beside the code, as tables of cases. `.ci/run` runs everything: these tests, the fuzz targets, the soak test
//! (`examples/soak`), and the scripts in `.ci/` for the example clients, the helpers, the admin API and the container image.

mod abuse;
mod admin;
mod audit;
mod binary;
mod bodies;
mod call;
mod capacity;
mod ci_example;
mod conformance;
mod conformance_rules;
mod connection;
mod console;
mod customers;
mod documented;
mod explain;
mod faces;
mod faults;
mod fidelity;
mod fixture_files;
mod fuzzed;
mod gallery;
mod http_file;
mod journal;
mod key_files;
mod layers;
mod library;
mod long_bodies;
mod matching;
mod messages;
mod metrics;
mod mistakes;
mod nik;
mod nik_commands;
mod openapi;
mod openssl;
#[cfg(unix)]
mod pages;
mod pixels;
mod port_files;
mod portable;
mod post_call;
mod presets;
mod quotas;
mod reasons;
mod recorder;
mod recorder_canaries;
mod recording_commands;
mod recordings;
mod redis_server;
mod reference;
mod release;
mod remembered;
mod replica_kills;
mod replicas;
mod request_streams;
mod restarts;
mod rude;
mod rules;
mod samples;
mod scenarios;
mod schema;
mod secrets;
mod sent;
mod settings;
#[cfg(unix)]
mod shared_server;
mod store;
mod strict_parser;
mod support;
mod tail;
#[cfg(unix)]
mod terminal;
mod tidy;
mod timers;
mod traces;
mod wire;
mod words;
