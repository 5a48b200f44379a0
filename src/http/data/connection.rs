//! A connection of the data listener: its number, its peer, the socket, and who may write to it.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, ready};

use actix_rt::net::TcpStream;
use actix_web::dev::Extensions;
use bytes::{Buf, BufMut, Bytes};
use socket2::SockRef;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connection_limit::ConnectionPermit;
use super::fault_executor::{SocketHandle, TakeOver};
use super::proxy;
use crate::config::PeerSource;
use crate::http::long_body::LongBodyReader;
use crate::http::state::AppState;
use crate::http::timeouts::{Expecting, IdleWatch, RequestActivity};

/// A socket, with the bytes that were read from it in search of a PROXY header.
#[derive(Debug)]
pub struct Connection {
    stream: Arc<TcpStream>,
    number: u64,
    early: Bytes,
    take_over: Arc<TakeOver>,
    intake: Rc<LongBodyReader>,
    watch: IdleWatch,
    /// Whether the client has not read what was written.
    stalled: bool,
    /// Whether bytes were read since others last had a turn.
    has_read: bool,
    _seat: ConnectionPermit,
}

/// The connection's number, for handlers.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub u64);

impl Connection {
    /// Takes a new connection: numbers it, and reads its PROXY header where one is configured. Gives its peer as well.
    ///
    /// # Errors
    /// When the socket or the header is no good; there is nobody to tell then.
    pub async fn accept(
        mut stream: TcpStream,
        seat: ConnectionPermit,
        shared: &AppState,
    ) -> io::Result<(Connection, Option<SocketAddr>)> {
        let number = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
        stream.set_nodelay(true)?;
        let mut peer = stream.peer_addr().ok();
        let mut early = Bytes::new();
        if shared.engine.fixtures().peer == PeerSource::ProxyProtocol {
            let header = proxy::read(&mut stream).await?;
            peer = header.source.or(peer);
            early = header.rest;
        }
        let stream = Arc::new(stream);
        let connection = Connection {
            intake: Rc::new(LongBodyReader::new(&stream)),
            stream,
            number,
            early,
            take_over: Arc::default(),
            watch: IdleWatch::new(shared.settings.timeouts),
            stalled: false,
            has_read: false,
            _seat: seat,
        };
        Ok((connection, peer))
    }

    /// Leaves what handlers may know in the connection's extensions.
    pub fn introduce(&self, extensions: &mut Extensions) {
        extensions.insert(Number(self.number));
        extensions.insert(SocketHandle::new(&self.stream, &self.take_over));
        extensions.insert::<Rc<LongBodyReader>>(Rc::clone(&self.intake));
        extensions.insert::<Rc<RequestActivity>>(Rc::clone(self.watch.handled()));
    }

    fn poll_bytes(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.intake.aside().is_some() {
            return Poll::Pending;
        }
        let start = buf.filled().len();
        if self.early.has_remaining() {
            let early = self.early.split_to(self.early.remaining().min(buf.remaining()));
            buf.put_slice(&early);
        } else {
            ready!(self.poll_socket(cx, buf))?;
        }
        self.intake.pass(buf, start);
        Poll::Ready(Ok(()))
    }

    fn poll_socket(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<usize>> {
        loop {
            ready!(self.stream.poll_read_ready(cx))?;
            match self.stream.try_read_buf(&mut buf.limit(room(buf))) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                read => return Poll::Ready(read),
            }
        }
    }

    /// Waits until the client has sent what it still sends of a body that nobody wanted, or had time to read the answer: closing at once
    /// would reset the connection, and the client might never see it.
    fn poll_leave(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(aside) = self.intake.aside() else { return Poll::Ready(()) };
        self.watch.leave();
        match aside.poll_discard(cx) {
            Poll::Pending => self.watch.poll(cx).map(drop),
            Poll::Ready(()) => Poll::Ready(()),
        }
    }

    /// Ends the connection: the client had time enough. Half a head is answered; who sent nothing expects nothing.
    fn give_up(&mut self, owed: Expecting) -> io::Error {
        if owed == Expecting::Head && !self.stalled {
            // There is room for these few bytes, or nobody who reads them.
            let _ = self.stream.try_write(LATE_HEAD);
        }
        io::ErrorKind::TimedOut.into()
    }
}

/// How much is put into HTTP's buffer at once. When less than a kilobyte is left, HTTP makes it twice as large before it asks whether
/// there is more, and copies what is in it.
fn room(buf: &ReadBuf<'_>) -> usize {
    const LEFT: usize = 1024;
    let room = buf.remaining();
    if room > LEFT { room - LEFT } else { room }
}

/// What is said to a head that does not end.
const LATE_HEAD: &[u8] = b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\nconnection: close\r\n\r\n";

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // Nothing read is the end of what the client sends.
        if self.take_over.has_ended() {
            return Poll::Ready(Ok(()));
        }
        // What was read is dealt with first. HTTP would read on for up to 128 kB: that is memory each connection keeps, and others wait.
        if std::mem::take(&mut self.has_read) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let overdue = match self.poll_bytes(cx, buf) {
            Poll::Ready(Ok(())) => {
                self.has_read = true;
                self.watch.on_read()
            }
            Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
            Poll::Pending => Some(ready!(self.watch.poll(cx))),
        };
        Poll::Ready(overdue.map_or(Ok(()), |owed| Err(self.give_up(owed))))
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if self.take_over.has_begun() {
            return Poll::Ready(Ok(bytes.len()));
        }
        loop {
            self.stalled = true;
            ready!(self.stream.poll_write_ready(cx))?;
            match self.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => {
                    self.stalled = false;
                    self.watch.on_write();
                    return Poll::Ready(written);
                }
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // A fault has ended the connection its own way, or leaves it to the close.
        if !self.take_over.has_begun() {
            SockRef::from(&*self.stream).shutdown(std::net::Shutdown::Write)?;
        }
        if self.take_over.has_ended() {
            return Poll::Ready(Ok(()));
        }
        self.poll_leave(cx).map(Ok)
    }
}
