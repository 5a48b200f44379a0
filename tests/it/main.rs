//! The integration tests: one binary, one file per area. They use the library through [`support::Sim`], or the built
//! binary. Shell blocks of the README are run as printed.
//!
//! Unit tests are beside the code, as tables of cases. `.ci/run` runs everything: these tests, the fuzz targets, the soak test
//! (`examples/soak`), and the scripts in `.ci/` for the example clients, the helpers, the admin API and the container image.

mod abuse;
mod admin;
mod binary;
mod bodies;
mod capacity;
mod ci_example;
mod connection;
mod customers;
mod documented;
mod faults;
mod fixture_files;
mod gallery;
mod journal;
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
mod quotas;
mod release;
mod remembered;
mod request_streams;
mod restarts;
mod rules;
mod samples;
mod scenarios;
mod schema;
mod secrets;
mod settings;
mod strict_parser;
mod support;
mod tidy;
mod timers;
mod wire;
