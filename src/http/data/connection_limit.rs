//! The limit of connections: all at once, and of one peer.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use parking_lot::Mutex;

/// Who is connected.
#[derive(Debug, Default)]
pub struct ConnectionLimiter(Mutex<ConnectionCounts>);

#[derive(Debug, Default)]
struct ConnectionCounts {
    all: usize,
    by_peer: HashMap<IpAddr, usize>,
    /// Connections refused since there was last room.
    refused: u64,
}

/// A place that a connection takes; given back when dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    seats: Arc<ConnectionLimiter>,
    peer: IpAddr,
}

impl ConnectionLimiter {
    /// Takes a place, unless all or the peer's are taken. `Err` tells whether it is the first refusal since there was room.
    pub fn take(
        seats: &Arc<ConnectionLimiter>,
        peer: IpAddr,
        most: usize,
        most_per_peer: Option<usize>,
    ) -> Result<ConnectionPermit, bool> {
        let mut taken = seats.0.lock();
        let of_peer = taken.by_peer.get(&peer).copied().unwrap_or(0);
        if taken.all >= most || most_per_peer.is_some_and(|most| of_peer >= most) {
            taken.refused += 1;
            return Err(taken.refused == 1);
        }
        taken.refused = 0;
        taken.all += 1;
        *taken.by_peer.entry(peer).or_default() += 1;
        Ok(ConnectionPermit { seats: Arc::clone(seats), peer })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut taken = self.seats.0.lock();
        taken.all -= 1;
        if let Some(count) = taken.by_peer.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                taken.by_peer.remove(&self.peer);
            }
        }
    }
}
