//! Daily quota of a customer.

/// Daily quota of a customer, and how much of it is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaView {
    /// Limit per day; `None`: unlimited.
    pub per_day: Option<u64>,
    /// Requests charged today.
    pub used: u64,
}

impl QuotaView {
    /// Returns the remaining quota of today; `None` without a limit.
    #[must_use]
    pub fn left(self) -> Option<u64> {
        self.per_day.map(|limit| limit.saturating_sub(self.used))
    }
}
