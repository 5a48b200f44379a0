//! The executor of faults: takes a connection over from HTTP and does to its socket what a plan says, step by step.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use actix_rt::net::TcpStream;
use socket2::SockRef;

use crate::domain::faults::Step;
use crate::http::state::AppState;
use crate::state::timer::Timer;

/// What the connection has to know of a take-over.
#[derive(Debug, Default)]
pub struct TakeOver {
    /// What HTTP writes is swallowed.
    begun: AtomicBool,
    /// The connection is to be closed at once, whatever the client still sends.
    ended: AtomicBool,
}

impl TakeOver {
    /// Whether a fault writes to the socket instead of HTTP.
    pub fn has_begun(&self) -> bool {
        self.begun.load(Ordering::Relaxed)
    }

    /// Whether nothing more is to be read either.
    pub fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Relaxed)
    }
}

/// A handle on a connection's socket, for whoever handles its requests. It does not keep the socket open.
#[derive(Clone, Debug)]
pub struct SocketHandle {
    stream: Weak<TcpStream>,
    take_over: Arc<TakeOver>,
}

impl SocketHandle {
    /// A handle on `stream`; `take_over` is shared with the connection.
    pub fn new(stream: &Arc<TcpStream>, take_over: &Arc<TakeOver>) -> SocketHandle {
        SocketHandle { stream: Arc::downgrade(stream), take_over: Arc::clone(take_over) }
    }

    /// Lets the connection close at once, instead of reading on until the client has sent all.
    pub fn close_now(&self) {
        self.take_over.ended.store(true, Ordering::Relaxed);
    }

    /// Takes the steps. From the first on, nothing that HTTP writes reaches the socket.
    ///
    /// # Errors
    /// When the client has gone before all was sent.
    pub async fn run(&self, steps: Vec<Step>, shared: &AppState) -> io::Result<()> {
        // An answer to an earlier request of the same connection may still wait for HTTP to write it.
        tokio::task::yield_now().await;
        self.take_over.begun.store(true, Ordering::Relaxed);
        let mut late = Duration::ZERO;
        for step in steps {
            match step {
                Step::Send(bytes) => self.send(&bytes).await?,
                Step::Wait(time) => late = sleep(&*shared.timer, time, late).await,
                Step::WaitForClient => until_stopping(shared).await,
                Step::Fin => SockRef::from(&*self.stream()?).shutdown(std::net::Shutdown::Write)?,
                Step::Rst => self.reset().await?,
            }
        }
        Ok(())
    }

    fn stream(&self) -> io::Result<Arc<TcpStream>> {
        self.stream.upgrade().ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    async fn send(&self, mut bytes: &[u8]) -> io::Result<()> {
        let stream = self.stream()?;
        while !bytes.is_empty() {
            stream.writable().await?;
            match stream.try_write(bytes) {
                Ok(sent) => bytes = &bytes[sent..],
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// The close that follows sends RST. What is still queued would be thrown away, so first it has to be gone.
    async fn reset(&self) -> io::Result<()> {
        let stream = self.stream()?;
        for _ in 0..MAX_POLLS {
            if unsent(&stream) == 0 {
                break;
            }
            tokio::time::sleep(POLL).await;
        }
        self.close_now();
        SockRef::from(&*stream).set_linger(Some(Duration::ZERO))
    }
}

/// Sleeps for `time`, less what earlier sleeps took too long; gives what is left of that. Timers have steps of a millisecond: hundreds of
/// short sleeps would add up to twice the time asked for.
async fn sleep(timer: &dyn Timer, time: Duration, late: Duration) -> Duration {
    let (asked, late) = (time.saturating_sub(late), late.saturating_sub(time));
    if asked.is_zero() {
        return late;
    }
    let begun = timer.now();
    timer.sleep(asked).await;
    late + timer.now().saturating_duration_since(begun).saturating_sub(asked)
}

/// How long a reset waits for what was sent before to be acknowledged: a second.
const POLL: Duration = Duration::from_millis(2);
const MAX_POLLS: u32 = 500;

/// Bytes that the peer's kernel has not acknowledged.
#[cfg(target_os = "linux")]
fn unsent(stream: &TcpStream) -> i32 {
    use std::os::fd::AsRawFd;
    let mut count: libc::c_int = 0;
    // SAFETY: the descriptor is open, because `stream` is borrowed, and TIOCOUTQ writes one int to the address given.
    let done = unsafe { libc::ioctl(stream.as_raw_fd(), libc::TIOCOUTQ, &mut count) };
    if done == 0 { count } else { 0 }
}

#[cfg(not(target_os = "linux"))]
fn unsent(_: &TcpStream) -> i32 {
    0
}

/// Until the simulator stops; a client that goes ends the request itself, and with it this.
async fn until_stopping(shared: &AppState) {
    // The sender lives in `shared`, so this ends only when it says so.
    let _ = shared.stopping.subscribe().wait_for(|stopping| *stopping).await;
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use futures_util::FutureExt;
    use futures_util::future::BoxFuture;
    use parking_lot::Mutex;

    use super::*;

    /// Every sleep takes a millisecond longer than asked for.
    struct Sluggish(Mutex<Instant>);

    impl Timer for Sluggish {
        fn sleep(&self, time: Duration) -> BoxFuture<'static, ()> {
            *self.0.lock() += time + Duration::from_millis(1);
            std::future::ready(()).boxed()
        }

        fn now(&self) -> Instant {
            *self.0.lock()
        }
    }

    #[test]
    fn what_a_sleep_takes_too_long_the_next_ones_are_shorter() {
        let begun = Instant::now();
        let timer = Sluggish(Mutex::new(begun));
        let mut late = Duration::ZERO;
        for _ in 0..400 {
            late = sleep(&timer, Duration::from_micros(600), late).now_or_never().unwrap();
        }
        let took = timer.now() - begun;
        assert!((240..=242).contains(&took.as_millis()), "{took:?}");
    }
}
