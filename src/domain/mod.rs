//! Domain logic of the endpoint, as pure functions over values: no clock, no file, no lock, no socket, no global randomness.

pub mod announced;
pub mod answer;
pub mod capacity;
pub mod checks;
pub mod customer;
pub mod delay;
pub mod evidence;
pub mod faults;
pub mod fidelity;
pub mod http_answer;
pub mod limits;
pub mod matcher;
pub mod nik;
pub mod pixels;
pub mod policy;
pub mod quota;
pub mod rules;
pub mod secrets;
pub mod server_answer;
pub mod warnings;
