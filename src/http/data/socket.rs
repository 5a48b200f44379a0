//! What a connection needs of its socket beyond reading and writing: to see that the peer has ended it, and to reset it.

use std::io;
use std::time::Duration;

use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, Interest};
use tokio::net::TcpStream;

/// Connections that may wait for `accept`.
const BACKLOG: i32 = 4096;

/// Lets many connections wait for `accept`. With std's 128, most of a thousand simultaneous connections wait a second or more for the
/// kernel's SYN retransmission. Where a second `listen` does not change the backlog, std's shorter one is enough.
pub fn await_many(listener: &std::net::TcpListener) {
    let _ = SockRef::from(listener).listen(BACKLOG);
}

/// A stream that a connection runs on: a TCP socket, or memory in the fuzz target.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send + Sync {
    /// Completes when the peer has ended its side, also with unread bytes before that end. Takes nothing from the stream.
    fn read_closed(&self) -> impl Future<Output = ()> + Send;

    /// Makes the close that follows a reset (RST). What was written before is delivered first, as far as the peer acknowledges it within a
    /// second: a reset throws away what is still queued.
    fn reset(&self) -> impl Future<Output = io::Result<()>> + Send;
}

impl Socket for TcpStream {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    async fn read_closed(&self) {
        // Interest in priority data wakes for the peer's end as well, and for nothing else: TCP urgent data is not registered.
        while let Ok(ready) = self.ready(Interest::PRIORITY).await {
            if ready.is_read_closed() {
                return;
            }
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    async fn read_closed(&self) {
        // Elsewhere the end is seen only when nothing is unread before it.
        while let Ok(ready) = self.ready(Interest::READABLE).await {
            if ready.is_read_closed() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }

    async fn reset(&self) -> io::Result<()> {
        for _ in 0..MAX_POLLS {
            if unacknowledged(self) == 0 {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        SockRef::from(self).set_linger(Some(Duration::ZERO))
    }
}

const POLL: Duration = Duration::from_millis(2);
const MAX_POLLS: u32 = 500;

/// Bytes that the peer's kernel has not acknowledged.
#[cfg(target_os = "linux")]
fn unacknowledged(stream: &TcpStream) -> i32 {
    use std::os::fd::AsRawFd;
    let mut count: libc::c_int = 0;
    // SAFETY: the descriptor is open, because `stream` is borrowed, and TIOCOUTQ writes one int to the address given.
    let done = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &mut count) };
    if done == 0 { count } else { 0 }
}

#[cfg(not(target_os = "linux"))]
fn unacknowledged(_: &TcpStream) -> i32 {
    0
}
