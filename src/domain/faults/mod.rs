//! Network faults (fault injection). Each file plans one fault: a pure function from the response that would have been sent to the
//! steps that replace it. The endpoint's listener carries the steps out as it does every answer, so that bytes, FIN and RST are exactly those
//! of the plan.

mod bad_length;
mod bandwidth;
mod bitflip;
mod body_cut;
mod close_during_upload;
mod close_on_accept;
mod dribble;
mod early_response;
mod empty_close;
mod garbage;
mod gateway_page;
mod hang;
mod hang_then_close;
mod kinds;
mod late_close;
mod malformed_chunk;
mod params;
pub mod plan;
mod raw;
mod refuse;
mod reset;
mod slow_headers;
mod slow_read;
mod spec;
mod stale_keepalive;
mod truncate;

pub use kinds::{FaultKind, KINDS};
pub use params::Params;
pub use plan::{Delivery, End, ListenerFault, Offset, Plan, Step, Upload};
pub use spec::{Fault, FaultSpec};
