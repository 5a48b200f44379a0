//! A long body's way past HTTP. HTTP hands bodies on in pieces of some kilobytes, each of them read, split off, queued and copied, and
//! for a megabyte that is more than all else that is done with it but RSA. So the connection reads the rest of a long body itself,
//! straight to where it is wanted, and gives HTTP as many bytes of no meaning: framing, errors and time-outs stay HTTP's affair.
//!
//! For that it has to be known how much of the body HTTP has got already, which HTTP does not tell. So what it is given is followed
//! from head to head.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;

use bytes::BufMut;
use bytes::buf::Limit;
use tokio::io::ReadBuf;

use super::connection::room;

/// Shorter bodies go through HTTP: they come with their head in one piece or two.
const LONG: usize = 32 << 10;

/// So much is read at once; others wait meanwhile, but not nearly as long as for a private-key operation.
const MOST_AT_ONCE: usize = 256 << 10;

/// Shared by a connection and those who handle its requests.
#[derive(Debug, Default)]
pub struct Intake(RefCell<Inner>);

#[derive(Debug, Default)]
struct Inner {
    place: Place,
    /// The body that is read past HTTP, as far as it has come.
    body: Option<Vec<u8>>,
    /// Bytes of no meaning that HTTP is still to be given for what was read past it.
    owed: usize,
}

/// Where the next byte for HTTP belongs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before a head, or in the empty lines that may stand there.
    #[default]
    Before,
    /// In a head, and whether nothing stands in this line so far.
    Head { line_is_empty: bool },
    /// So far behind a head. How long its body is, is told by who handles the request.
    Behind { came: usize },
    /// In a body, of which so much is still to come.
    Body { left: usize, came: usize },
    /// Nobody knows: more had come than the body before its length was known, or it is chunked.
    Lost,
}

impl Place {
    /// The place behind these bytes.
    fn after(mut self, mut bytes: &[u8]) -> Place {
        while let Some((first, rest)) = bytes.split_first() {
            (self, bytes) = match self {
                Place::Before if b"\r\n".contains(first) => (Place::Before, rest),
                Place::Before => (Place::Head { line_is_empty: false }, rest),
                // Like HTTP's own reader: a line ends with LF, with or without CR.
                Place::Head { line_is_empty: true } if *first == b'\n' => (Place::Behind { came: 0 }, rest),
                Place::Head { line_is_empty } => {
                    let line_is_empty = *first == b'\n' || line_is_empty && *first == b'\r';
                    (Place::Head { line_is_empty }, rest)
                }
                Place::Behind { came } => return Place::Behind { came: came + bytes.len() },
                Place::Body { left, came } => {
                    let part = left.min(bytes.len());
                    (Place::of_body(left - part, came + part), &bytes[part..])
                }
                Place::Lost => return Place::Lost,
            };
        }
        self
    }

    fn of_body(left: usize, came: usize) -> Place {
        if left == 0 { Place::Before } else { Place::Body { left, came } }
    }

    /// The head before this place announces a body of `length` bytes; `None` when it is not announced how long it is.
    fn with(self, length: Option<usize>) -> Place {
        match (self, length) {
            (Place::Behind { came }, Some(length)) if came <= length => Place::of_body(length - came, came),
            _ => Place::Lost,
        }
    }
}

impl Intake {
    /// A request is handled that announces a body of `length` bytes, 0 when it has none and `None` when it is chunked. Has to be called
    /// for each request, in order.
    pub fn begin(&self, length: Option<usize>) {
        let mut inner = self.0.borrow_mut();
        inner.place = inner.place.with(length);
    }

    /// HTTP was given these bytes.
    pub fn passed(&self, bytes: &[u8]) {
        let mut inner = self.0.borrow_mut();
        inner.place = inner.place.after(bytes);
    }

    /// Gives HTTP what it is owed, as far as there is room; whether it was owed anything.
    pub fn pay(&self, buf: &mut ReadBuf<'_>) -> bool {
        let mut inner = self.0.borrow_mut();
        let part = inner.owed.min(room(buf));
        inner.owed -= part;
        buf.initialize_unfilled_to(part);
        buf.advance(part);
        part > 0
    }

    /// Lets `read` read into the body that is wanted; `None` when none is. HTTP is owed as much from then on.
    pub fn read(
        &self,
        read: impl FnOnce(&mut Limit<&mut Vec<u8>>) -> io::Result<usize>,
    ) -> Option<io::Result<usize>> {
        let mut inner = self.0.borrow_mut();
        let inner = &mut *inner;
        let (Some(body), Place::Body { left, came }) = (&mut inner.body, inner.place) else { return None };
        let done = read(&mut body.limit(left.min(MOST_AT_ONCE)));
        if let Ok(count) = done {
            inner.owed += count;
            inner.place = Place::of_body(left - count, came + count);
        }
        Some(done)
    }
}

/// A body that is read past HTTP. Dropped before its end, the rest goes through HTTP again.
#[derive(Debug)]
pub struct Order {
    intake: Rc<Intake>,
    /// Bytes at the body's beginning that HTTP has got.
    pub with_http: usize,
}

impl Order {
    /// Asks for the body of the request that has begun; `None` when it is short, or nobody knows where it stands.
    #[must_use]
    pub fn place(intake: &Rc<Intake>) -> Option<Order> {
        let mut inner = intake.0.borrow_mut();
        let Place::Body { left, came } = inner.place else { return None };
        if left < LONG {
            return None;
        }
        // What HTTP has got is put there in the end.
        let mut body = Vec::new();
        body.reserve_exact(came + left);
        body.resize(came, 0);
        inner.body = Some(body);
        Some(Order { intake: Rc::clone(intake), with_http: came })
    }

    /// The body, with its beginning, once HTTP has been given as many bytes as it has.
    #[must_use]
    pub fn take(self, beginning: &[u8]) -> Vec<u8> {
        let mut body = self.intake.0.borrow_mut().body.take().unwrap_or_default();
        body[..beginning.len()].copy_from_slice(beginning);
        body
    }
}

impl Drop for Order {
    fn drop(&mut self) {
        self.intake.0.borrow_mut().body = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The place behind bytes that come in pieces of these lengths, over and over.
    fn place(bytes: &[u8], pieces: &[usize]) -> Place {
        let (mut place, mut rest) = (Place::Before, bytes);
        for piece in pieces.iter().cycle() {
            let (now, later) = rest.split_at((*piece).min(rest.len()));
            (place, rest) = (place.after(now), later);
            if rest.is_empty() {
                return place;
            }
        }
        place
    }

    #[track_caller]
    fn check(bytes: &str, expected: Place) {
        for piece in [1, 2, 3, 1000] {
            assert_eq!(place(bytes.as_bytes(), &[piece]), expected, "{bytes:?} by {piece}");
        }
    }

    #[test]
    fn a_head_ends_with_its_empty_line() {
        check("", Place::Before);
        check("\r\n\n", Place::Before);
        check("P", Place::Head { line_is_empty: false });
        check("POST / HTTP/1.1\r\nA: b\r\n", Place::Head { line_is_empty: true });
        check("POST / HTTP/1.1\r\nA: b\r\n\r\n", Place::Behind { came: 0 });
        check("\r\nPOST / HTTP/1.1\nA: b\n\nx\r\n\r\ny", Place::Behind { came: 6 });
        check("POST / HTTP/1.1\nA: b\n\r\n{}", Place::Behind { came: 2 });
    }

    #[test]
    fn what_the_body_s_length_says_of_the_place() {
        let behind = Place::Behind { came: 5 };
        assert_eq!(behind.with(Some(5)), Place::Before);
        assert_eq!(behind.with(Some(7)), Place::Body { left: 2, came: 5 });
        assert_eq!(behind.with(Some(7)).after(b"ab"), Place::Before);
        assert_eq!(behind.with(Some(7)).after(b"abG"), Place::Head { line_is_empty: false });
        // More than the body has come, or nobody knows how much belongs to it.
        for (place, length) in
            [(behind, Some(4)), (behind, None), (Place::Before, Some(5)), (Place::Lost, Some(5))]
        {
            assert_eq!(place.with(length), Place::Lost, "{place:?} {length:?}");
        }
        assert_eq!(Place::Lost.after(b"POST / HTTP/1.1\r\n\r\n"), Place::Lost);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn in_whatever_pieces_a_body_comes_it_is_read_whole_and_http_gets_as_many_bytes(
            beginning in 0..3000usize,
            length in LONG + 3000..3 * LONG,
            pieces in prop::collection::vec(1..40_000usize, 1..20),
            rooms in prop::collection::vec(1..9000usize, 1..20),
        ) {
            let body: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let intake = Rc::<Intake>::default();
            intake.passed(b"POST / HTTP/1.1\r\n\r\n");
            intake.passed(&body[..beginning]);
            intake.begin(Some(length));
            let order = Order::place(&intake).expect("it is long");
            prop_assert_eq!(order.with_http, beginning);
            let (mut socket, mut http) = (&body[beginning..], beginning);
            for (piece, room) in pieces.iter().cycle().zip(rooms.iter().cycle()) {
                let mut space = vec![1; *room];
                let mut space = ReadBuf::new(&mut space);
                if !intake.pay(&mut space) {
                    let read = intake.read(|body| {
                        let count = (*piece).min(socket.len()).min(body.remaining_mut());
                        body.put_slice(&socket[..count]);
                        socket = &socket[count..];
                        Ok(count)
                    });
                    if read.is_none() {
                        break;
                    }
                }
                http += space.filled().len();
            }
            prop_assert_eq!(http, length);
            prop_assert_eq!(order.take(&body[..beginning]), body);
            intake.passed(b"G");
            prop_assert_eq!(intake.0.borrow().place, Place::Head { line_is_empty: false });
        }
    }

    #[test]
    fn an_order_that_is_dropped_leaves_the_rest_to_http() {
        let intake = Rc::<Intake>::default();
        intake.passed(b"POST / HTTP/1.1\r\n\r\n");
        intake.begin(Some(LONG + 10));
        let order = Order::place(&intake).expect("it is long");
        let _ = intake.read(|body| {
            body.put_slice(b"ten bytes!");
            Ok(10)
        });
        drop(order);
        assert!(intake.read(|_| unreachable!("nobody wants it")).is_none());
        let mut space = [1; 16];
        let mut space = ReadBuf::new(&mut space);
        assert!(intake.pay(&mut space), "what was read is still owed");
        assert_eq!(space.filled().len(), 10);
        intake.passed(&[7; LONG]);
        assert_eq!(intake.0.borrow().place, Place::Before);
    }

    #[test]
    fn short_bodies_and_those_of_unknown_places_are_not_ordered() {
        for (bytes, length) in
            [(&b""[..], Some(LONG - 1)), (b"", None), (b"x", Some(LONG)), (&[0; 2 * LONG], Some(LONG))]
        {
            let intake = Rc::<Intake>::default();
            intake.passed(b"POST / HTTP/1.1\r\n\r\n");
            intake.passed(bytes);
            intake.begin(length);
            assert!(Order::place(&intake).is_none(), "{length:?} behind {}", bytes.len());
        }
    }
}
