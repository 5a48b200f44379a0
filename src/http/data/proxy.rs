//! The PROXY protocol header, version 1 or 2, that a load balancer puts before a connection's first byte.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use ppp::{HeaderResult, PartialResult, v1, v2};
use tokio::io::{AsyncRead, AsyncReadExt};

/// Who the proxy speaks for, and what was read beyond the header.
#[derive(Debug)]
pub struct Header {
    /// `None` when the proxy speaks for itself (`LOCAL`, `UNKNOWN`).
    pub source: Option<SocketAddr>,
    pub rest: Bytes,
}

/// The longest header that is read: version 2 can carry more, in extensions nobody needs here.
const MAX_BYTES: usize = 4096;

/// Proxies send the header at once.
const PATIENCE: Duration = Duration::from_secs(5);

/// Reads the header.
///
/// # Errors
/// When there is none, or it does not come: the connection is then closed without an answer, as proxies expect.
pub async fn read(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Header> {
    tokio::time::timeout(PATIENCE, read_whole(stream))
        .await
        .unwrap_or_else(|_| Err(io::Error::new(io::ErrorKind::TimedOut, "no PROXY header came")))
}

async fn read_whole(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<Header> {
    let mut bytes = BytesMut::with_capacity(256);
    loop {
        if stream.read_buf(&mut bytes).await? == 0 || bytes.len() > MAX_BYTES {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the PROXY header is cut short or too long",
            ));
        }
        let parsed = HeaderResult::parse(&bytes);
        if parsed.is_incomplete() {
            continue;
        }
        let (length, source) = taken(&parsed).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
        bytes.advance(length);
        return Ok(Header { source, rest: bytes.freeze() });
    }
}

/// Length of the header, and its source.
fn taken(parsed: &HeaderResult) -> Option<(usize, Option<SocketAddr>)> {
    match parsed {
        HeaderResult::V1(Ok(header)) => Some((header.header.len(), source_v1(&header.addresses))),
        HeaderResult::V2(Ok(header)) => Some((header.len(), source_v2(&header.addresses))),
        _ => None,
    }
}

fn source_v1(addresses: &v1::Addresses) -> Option<SocketAddr> {
    match addresses {
        v1::Addresses::Tcp4(tcp) => Some(SocketAddr::new(IpAddr::V4(tcp.source_address), tcp.source_port)),
        v1::Addresses::Tcp6(tcp) => Some(SocketAddr::new(IpAddr::V6(tcp.source_address), tcp.source_port)),
        v1::Addresses::Unknown => None,
    }
}

fn source_v2(addresses: &v2::Addresses) -> Option<SocketAddr> {
    match addresses {
        v2::Addresses::IPv4(tcp) => Some(SocketAddr::new(IpAddr::V4(tcp.source_address), tcp.source_port)),
        v2::Addresses::IPv6(tcp) => Some(SocketAddr::new(IpAddr::V6(tcp.source_address), tcp.source_port)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn check(bytes: &[u8], source: Option<&str>, rest: &[u8]) {
        let header = read(&mut &bytes[..]).await.unwrap();
        assert_eq!(header.source, source.map(|text| text.parse().unwrap()));
        assert_eq!(header.rest, rest);
    }

    #[tokio::test]
    async fn both_versions_are_read_and_the_rest_is_kept() {
        check(b"PROXY TCP4 10.1.2.3 10.0.0.1 4000 8080\r\nPOST /", Some("10.1.2.3:4000"), b"POST /").await;
        check(b"PROXY TCP6 ::1 ::1 4000 8080\r\n", Some("[::1]:4000"), b"").await;
        check(b"PROXY UNKNOWN\r\nGET", None, b"GET").await;
        let v2 = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0C\x0A\x01\x02\x03\x0A\x00\x00\x01\x0F\xA0\x1F\x90POST";
        check(v2, Some("10.1.2.3:4000"), b"POST").await;
    }

    #[tokio::test]
    async fn a_connection_without_the_header_is_refused() {
        for bytes in [&b"POST / HTTP/1.1\r\n\r\n"[..], b"", b"PROXY TCP4 10.1.2.3", b"PROXY TCP4 x y z\r\n"] {
            assert!(read(&mut &bytes[..]).await.is_err(), "{bytes:?}");
        }
    }
}
