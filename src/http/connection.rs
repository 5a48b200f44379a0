//! A connection of the data listener: its number, its peer, and the socket.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use actix_http::Protocol;
use actix_http::error::DispatchError;
use actix_rt::net::TcpStream;
use actix_web::dev::Extensions;
use bytes::{Buf, Bytes};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Shared, proxy};
use crate::fixtures::PeerSource;

/// A socket, with the bytes that were read from it in search of a PROXY header.
#[derive(Debug)]
pub struct Connection {
    stream: TcpStream,
    number: u64,
    early: Bytes,
}

/// The connection's number, for handlers.
#[derive(Clone, Copy, Debug)]
pub struct Number(pub u64);

impl Connection {
    /// Leaves what handlers may know in the connection's extensions.
    pub fn introduce(&self, extensions: &mut Extensions) {
        extensions.insert(Number(self.number));
    }
}

/// Takes a new connection: numbers it, and reads its PROXY header where one is configured.
pub async fn accept(
    mut stream: TcpStream,
    shared: Arc<Shared>,
) -> Result<(Connection, Protocol, Option<SocketAddr>), DispatchError> {
    let number = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
    stream.set_nodelay(true)?;
    let mut peer = stream.peer_addr().ok();
    let mut early = Bytes::new();
    if shared.engine.fixtures().peer == PeerSource::ProxyProtocol {
        let header = proxy::read(&mut stream).await?;
        peer = header.source.or(peer);
        early = header.rest;
    }
    Ok((Connection { stream, number, early }, Protocol::Http1, peer))
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.early.has_remaining() {
            let count = self.early.remaining().min(buf.remaining());
            buf.put_slice(&self.early.split_to(count));
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
