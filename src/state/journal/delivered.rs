//! What a client got of a request, in one word: log lines, metrics and `call` lead with it.

use std::fmt;

use super::{Entry, Sent, SentEnd};
use crate::protocol::Code;

/// What the client got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// The decided answer.
    Code(Code),
    /// Another complete response: a page of a gateway, a damaged body, a refusal.
    Status(u16),
    /// A connection that was reset before a whole response.
    Rst,
    /// A connection that was closed before a whole response, or bytes that are not HTTP.
    Fin,
    /// The client left, or the simulator was stopped.
    Nothing,
    /// It is under way.
    Pending,
}

impl Delivered {
    /// Judges by what was decided, whether a fault spoils it, and what left the socket.
    #[must_use]
    pub fn of(code: Option<&Code>, is_spoiled: bool, sent: Sent) -> Delivered {
        match (sent.end, code, sent.status) {
            (SentEnd::Complete, Some(code), _) if !is_spoiled => Delivered::Code(code.clone()),
            (SentEnd::Complete, _, Some(status)) => Delivered::Status(status),
            (SentEnd::Complete | SentEnd::Fin, ..) => Delivered::Fin,
            (SentEnd::Rst, ..) => Delivered::Rst,
            (SentEnd::None, ..) => Delivered::Nothing,
            (SentEnd::Pending, ..) => Delivered::Pending,
        }
    }
}

impl Delivered {
    /// Returns the label of metrics and of the JSON log: the code, `http_502`, `rst`, `fin`, `none`, `pending`.
    #[must_use]
    pub fn label(&self) -> String {
        match self {
            Delivered::Code(code) => code.to_string(),
            Delivered::Status(status) => format!("http_{status}"),
            Delivered::Rst => "rst".to_owned(),
            Delivered::Fin => "fin".to_owned(),
            Delivered::Nothing => "none".to_owned(),
            Delivered::Pending => "pending".to_owned(),
        }
    }
}

impl Entry {
    /// Returns what the client got, when `sent` left the socket.
    #[must_use]
    pub fn delivered(&self, sent: Sent) -> Delivered {
        Delivered::of(self.answer.code.as_ref(), self.is_spoiled(), sent)
    }
}

/// As people read it.
impl fmt::Display for Delivered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Delivered::Code(code) => write!(f, "{code}"),
            Delivered::Status(status) => write!(f, "HTTP {status}"),
            Delivered::Rst => f.write_str("RST"),
            Delivered::Fin => f.write_str("FIN"),
            Delivered::Nothing => f.write_str("nothing"),
            Delivered::Pending => f.write_str("…"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_left_the_socket_comes_before_what_was_decided() {
        let found = Delivered::Code(Code::FOUND);
        for (code, is_spoiled, status, end, delivered) in [
            (true, false, Some(200), SentEnd::Complete, found),
            // A flipped bit, a gateway's page, raw bytes.
            (true, true, Some(200), SentEnd::Complete, Delivered::Status(200)),
            (true, true, Some(502), SentEnd::Complete, Delivered::Status(502)),
            (true, true, None, SentEnd::Complete, Delivered::Fin),
            (false, false, Some(413), SentEnd::Complete, Delivered::Status(413)),
            (true, true, Some(200), SentEnd::Fin, Delivered::Fin),
            (true, true, None, SentEnd::Rst, Delivered::Rst),
            (true, false, Some(200), SentEnd::None, Delivered::Nothing),
            (true, false, None, SentEnd::Pending, Delivered::Pending),
        ] {
            let code = code.then_some(Code::FOUND);
            let sent = Sent { status, bytes: 1, end };
            assert_eq!(Delivered::of(code.as_ref(), is_spoiled, sent), delivered, "{sent:?}");
        }
    }
}
