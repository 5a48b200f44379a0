//! The integration tests: one binary, one file an area. They start what users start, through [`support::Sim`], or the built
//! binary itself.

mod abuse;
mod admin;
mod binary;
mod bodies;
mod capacity;
mod ci_example;
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
mod metrics;
mod mistakes;
mod nik;
mod nik_commands;
mod openapi;
mod openssl;
mod quotas;
mod release;
mod remembered;
mod restarts;
mod rules;
mod samples;
mod scenarios;
mod schema;
mod secrets;
mod settings;
mod support;
mod tidy;
mod virtual_time;
