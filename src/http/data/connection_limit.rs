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

/// A permit of a connection; given back when dropped.
#[derive(Debug)]
pub struct ConnectionPermit {
    limiter: Arc<ConnectionLimiter>,
    peer: IpAddr,
}

impl ConnectionLimiter {
    /// Takes a permit, unless all or the peer's are taken. `Err` tells whether it is the first refusal since there was room.
    pub fn take(
        limiter: &Arc<ConnectionLimiter>,
        peer: IpAddr,
        max: usize,
        max_per_peer: Option<usize>,
    ) -> Result<ConnectionPermit, bool> {
        let mut counts = limiter.0.lock();
        let of_peer = counts.by_peer.get(&peer).copied().unwrap_or(0);
        if counts.all >= max || max_per_peer.is_some_and(|max| of_peer >= max) {
            counts.refused += 1;
            return Err(counts.refused == 1);
        }
        counts.refused = 0;
        counts.all += 1;
        *counts.by_peer.entry(peer).or_default() += 1;
        Ok(ConnectionPermit { limiter: Arc::clone(limiter), peer })
    }
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        let mut counts = self.limiter.0.lock();
        counts.all -= 1;
        if let Some(count) = counts.by_peer.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                counts.by_peer.remove(&self.peer);
            }
        }
    }
}

/// Descriptors that stay free for the admin API, the journal and files, of a limit this low.
const MIN_RESERVE: u64 = 16;
/// Descriptors that stay free of any limit.
const MAX_RESERVE: u64 = 256;

/// Returns how many connections the system's limit of open files allows: without those that are open already, such as the threads' own,
/// and with a reserve.
#[must_use]
pub fn of_descriptors() -> usize {
    #[cfg(unix)]
    let descriptors = rlimit::Resource::NOFILE.get_soft().unwrap_or(u64::MAX);
    #[cfg(not(unix))]
    let descriptors = u64::MAX;
    usize::try_from(without_reserve(descriptors.saturating_sub(open_descriptors()))).unwrap_or(usize::MAX)
}

/// Counts the open descriptors; 0 where the system does not list them.
fn open_descriptors() -> u64 {
    let listed = ["/proc/self/fd", "/dev/fd"].into_iter().find_map(|path| std::fs::read_dir(path).ok());
    listed.map_or(0, |open| open.count() as u64)
}

fn without_reserve(descriptors: u64) -> u64 {
    descriptors.saturating_sub((descriptors / 4).clamp(MIN_RESERVE, MAX_RESERVE)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_of_descriptors_stays_free() {
        for (descriptors, connections) in [(10, 1), (64, 48), (1024, 768), (20_000, 19_744)] {
            assert_eq!(without_reserve(descriptors), connections);
        }
    }
}
