//! A customer's quota of one day.

/// A customer's quota of one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QuotaView {
    /// `None`: no limit.
    pub per_day: Option<u64>,
    /// Charged so far today.
    pub used: u64,
}

impl QuotaView {
    /// What is left of today; `None` without a limit.
    #[must_use]
    pub fn left(self) -> Option<u64> {
        self.per_day.map(|limit| limit.saturating_sub(self.used))
    }
}
