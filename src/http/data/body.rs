//! Reading a request's body: whole, slowly, or only its first bytes. Memory follows what has arrived, not what was announced.

use std::io;
use std::time::Duration;

use bytes::BufMut;
use tokio::io::AsyncReadExt;
use tokio::time::{Instant, timeout};

use super::chunks::{ChunkDecoder, ChunkError};
use super::connection::{Connection, READ_SIZE};
use super::head::{BodyFraming, Head};
use super::socket::Socket;
use crate::state::timer::Timer;

/// How much a body's buffer grows at first, and by how many times what has arrived later. Room that nothing has arrived in costs no memory,
/// and each growth copies the body.
const FIRST_GROWTH: usize = 256 << 10;
const GROWTH: usize = 8;

const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// Why a body was not read.
#[derive(Debug, PartialEq, Eq)]
pub enum BodyError {
    /// It is, or is announced to be, larger than allowed.
    TooLarge,
    /// The connection ended before the body.
    Ended,
    /// The chunks are malformed.
    Malformed,
    /// It did not arrive in time.
    TooSlow,
}

impl From<ChunkError> for BodyError {
    fn from(error: ChunkError) -> BodyError {
        match error {
            ChunkError::Malformed => BodyError::Malformed,
            ChunkError::TooLarge => BodyError::TooLarge,
        }
    }
}

impl<S: Socket> Connection<S> {
    /// Tells a client that waits for it that its body is wanted.
    ///
    /// # Errors
    /// As [`Connection::write`].
    pub async fn accept_body(&mut self, head: &Head) -> io::Result<()> {
        if head.expects_continue { self.write(CONTINUE).await } else { Ok(()) }
    }

    /// Reads a body of at most `max_bytes`.
    ///
    /// # Errors
    /// Why it was not read. The connection cannot be used for another request then.
    pub async fn read_body(&mut self, framing: BodyFraming, max_bytes: usize) -> Result<Vec<u8>, BodyError> {
        let limit = self.timeouts.body;
        let read = async {
            match framing {
                BodyFraming::Length(length) => self.read_length(announced(length, max_bytes)?).await,
                BodyFraming::Chunked => self.read_chunks(max_bytes).await,
            }
        };
        timeout(limit, read).await.unwrap_or(Err(BodyError::TooSlow))
    }

    async fn read_length(&mut self, length: usize) -> Result<Vec<u8>, BodyError> {
        let buffered = self.buffer.split_to(length.min(self.buffer.len()));
        let mut body = Vec::new();
        body.reserve_exact(buffered.len().max(FIRST_GROWTH.min(length)));
        body.extend_from_slice(&buffered);
        while body.len() < length {
            let left = length - body.len();
            if body.len() == body.capacity() {
                body.reserve_exact((GROWTH * body.len()).max(FIRST_GROWTH).min(left));
            }
            let room = body.capacity() - body.len();
            match self.socket.read_buf(&mut (&mut body).limit(left.min(room))).await {
                Ok(1..) => {}
                _ => return Err(BodyError::Ended),
            }
        }
        Ok(body)
    }

    async fn read_chunks(&mut self, max_bytes: usize) -> Result<Vec<u8>, BodyError> {
        let (mut decoder, mut body) = (ChunkDecoder::default(), Vec::new());
        loop {
            if decoder.decode(&mut self.buffer, &mut body, max_bytes)? {
                return Ok(body);
            }
            if !matches!(self.fill().await, Ok(1..)) {
                return Err(BodyError::Ended);
            }
        }
    }

    /// Reads a body at so many bytes a second: the socket is left alone meanwhile, so that the client feels it. The pauses do not count as
    /// the client's time.
    ///
    /// # Errors
    /// As [`Connection::read_body`].
    pub async fn read_body_slowly(
        &mut self,
        framing: BodyFraming,
        max_bytes: usize,
        bytes_per_second: u64,
        timer: &dyn Timer,
    ) -> Result<Vec<u8>, BodyError> {
        let length = match framing {
            BodyFraming::Length(length) => Some(announced(length, max_bytes)?),
            BodyFraming::Chunked => None,
        };
        let (mut decoder, mut body) = (ChunkDecoder::default(), Vec::new());
        let mut left = self.timeouts.body;
        loop {
            let before = body.len();
            let is_complete = match length {
                Some(length) => {
                    let piece = self.buffer.split_to(self.buffer.len().min(length - before).min(READ_SIZE));
                    body.extend_from_slice(&piece);
                    body.len() == length
                }
                None => decoder.decode(&mut self.buffer, &mut body, max_bytes)?,
            };
            let came = body.len() - before;
            if came > 0 {
                let pause = timer.sleep(Duration::from_secs_f64(came as f64 / bytes_per_second as f64));
                self.wait(pause).await.map_err(|_| BodyError::Ended)?;
            }
            if is_complete {
                return Ok(body);
            }
            if !self.buffer.is_empty() && length.is_some() {
                continue;
            }
            let began = Instant::now();
            match timeout(left, self.fill()).await {
                Ok(Ok(1..)) => left = left.saturating_sub(began.elapsed()),
                Ok(_) => return Err(BodyError::Ended),
                Err(_) => return Err(BodyError::TooSlow),
            }
        }
    }

    /// Reads and drops the first bytes of a body, of which at most `max_bytes` are allowed: at most to its end, and within its time.
    pub async fn skip(&mut self, framing: BodyFraming, mut bytes: usize, max_bytes: usize) {
        let limit = self.timeouts.body;
        let read = async {
            let (mut decoder, mut body) = (ChunkDecoder::default(), Vec::new());
            loop {
                let is_enough = match framing {
                    BodyFraming::Length(_) => {
                        let skipped = bytes.min(self.buffer.len());
                        let _ = self.buffer.split_to(skipped);
                        bytes -= skipped;
                        bytes == 0
                    }
                    // A malformed body is cut off as well.
                    BodyFraming::Chunked => {
                        decoder.decode(&mut self.buffer, &mut body, max_bytes).unwrap_or(true)
                            || body.len() >= bytes
                    }
                };
                if is_enough || !matches!(self.fill().await, Ok(1..)) {
                    return;
                }
            }
        };
        let _ = timeout(limit, read).await;
    }
}

/// The announced length of a body, if that is allowed.
pub fn announced(length: u64, max_bytes: usize) -> Result<usize, BodyError> {
    usize::try_from(length).ok().filter(|length| *length <= max_bytes).ok_or(BodyError::TooLarge)
}
