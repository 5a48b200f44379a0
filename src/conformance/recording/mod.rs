//! Recording what a client and an endpoint say to each other: shapes, not data.

pub mod exchange;
