//! A bounded number of places for calls that stay: each is given back when dropped, however the call ends.

use tokio::sync::watch;

/// So many places.
#[derive(Debug)]
pub struct Slots {
    taken: watch::Sender<usize>,
    most: usize,
}

/// One that is taken.
#[derive(Debug)]
pub struct SlotPermit(watch::Sender<usize>);

impl Slots {
    /// All free.
    #[must_use]
    pub fn new(most: usize) -> Slots {
        Slots { taken: watch::Sender::new(0), most }
    }

    /// How many there are.
    #[must_use]
    pub fn max(&self) -> usize {
        self.most
    }

    /// How many are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        *self.taken.borrow()
    }

    /// Takes one, if one is free.
    #[must_use]
    pub fn take(&self) -> Option<SlotPermit> {
        let took = self.taken.send_if_modified(|taken| {
            let free = *taken < self.most;
            *taken += usize::from(free);
            free
        });
        took.then(|| SlotPermit(self.taken.clone()))
    }

    /// Waits until all are free.
    pub async fn all_free(&self) {
        // The sender is here, so this ends only when they are.
        let _ = self.taken.subscribe().wait_for(|taken| *taken == 0).await;
    }
}

impl Drop for SlotPermit {
    fn drop(&mut self) {
        self.0.send_modify(|taken| *taken -= 1);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[test]
    fn a_place_is_taken_once_and_given_back() {
        let places = Slots::new(2);
        let (first, second) = (places.take(), places.take());
        assert!(first.is_some() && second.is_some() && places.take().is_none());
        drop(first);
        assert_eq!(places.taken(), 1);
        assert!(places.take().is_some());
        drop(second);
        assert!(places.all_free().now_or_never().is_some());
    }
}
