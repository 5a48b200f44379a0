//! Why a change of the customer registry is rejected.

use std::fmt;

use crate::config::FieldError;

/// Why a customer cannot be created, changed or removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CustomerError {
    /// The specification is invalid: where, and why.
    Wrong(FieldError),
    /// Another customer extends it and would become invalid: which, and why.
    Dependent { other: String, message: String },
    /// The limit of customers is reached (`limits.customers`).
    Full(usize),
    /// Another customer has the id.
    Taken,
    /// No customer has the id.
    Unknown,
    /// The customer is from the fixtures and was not created over the admin API.
    InFile,
}

impl fmt::Display for CustomerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CustomerError::Wrong((_, message)) => f.write_str(message),
            CustomerError::Dependent { other, message } => {
                write!(f, "{other} extends it and would become invalid: {message}")
            }
            CustomerError::Full(max) => write!(f, "there are already {max} customers, the maximum"),
            CustomerError::Taken => f.write_str("the customer_id is already in use"),
            CustomerError::Unknown => f.write_str("no customer has this id"),
            CustomerError::InFile => {
                f.write_str("the customer is from the fixtures and was not created over the admin API")
            }
        }
    }
}
