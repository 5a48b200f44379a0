//! Reader of server-sent events, as the admin API's `GET /events` sends them: event by event, as they come.

use std::io::{self, BufRead, Read};

/// An event with a name and data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerEvent {
    pub name: String,
    pub data: String,
}

/// Max bytes of a line: an entry of the journal has a few thousand.
const MAX_LINE: u64 = 16 << 20;

/// Iterator over the events of a stream. Ends with the stream; an error is the last item.
#[derive(Debug)]
pub struct EventStream<R> {
    lines: R,
}

impl<R: BufRead> EventStream<R> {
    pub fn new(lines: R) -> EventStream<R> {
        EventStream { lines }
    }

    /// Reads a line without its end; `None` at the end of the stream.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        let read = self.lines.by_ref().take(MAX_LINE).read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok(None);
        }
        if line.pop_if(|last| *last == b'\n').is_none() {
            // The stream ended inside a line, or the line has no end.
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        line.pop_if(|last| *last == b'\r');
        Ok(Some(String::from_utf8_lossy(&line).into_owned()))
    }

    fn event(&mut self) -> io::Result<Option<ServerEvent>> {
        let mut name = String::new();
        let mut data: Option<String> = None;
        while let Some(line) = self.line()? {
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => name = value.to_owned(),
                "data" => match &mut data {
                    Some(data) => *data += &format!("\n{value}"),
                    None => data = Some(value.to_owned()),
                },
                // A blank line ends an event; one without data is none.
                "" if line.is_empty() => match data.take() {
                    Some(data) => return Ok(Some(ServerEvent { name, data })),
                    None => name.clear(),
                },
                // A comment, such as a ping; or `id` and `retry`.
                _ => {}
            }
        }
        Ok(None)
    }
}

impl<R: BufRead> Iterator for EventStream<R> {
    type Item = io::Result<ServerEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        self.event().transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<Result<(String, String), io::ErrorKind>> {
        // A buffer of a few bytes: events come in pieces.
        let reader = io::BufReader::with_capacity(3, text.as_bytes());
        let pair = |event: ServerEvent| (event.name, event.data);
        EventStream::new(reader).map(|event| event.map(pair).map_err(|error| error.kind())).collect()
    }

    #[test]
    fn events_are_read_and_comments_are_not() {
        let event = |name: &str, data: &str| Ok((name.to_owned(), data.to_owned()));
        for (text, expected) in [
            ("", vec![]),
            (": ping\n\n", vec![]),
            ("event: done\ndata: {}\n\n", vec![event("done", "{}")]),
            (
                "event: request\nid: 7\ndata: {\"a\":1}\n\n: ping\n\nevent:x\ndata:1\ndata:2\n\n",
                vec![event("request", "{\"a\":1}"), event("x", "1\n2")],
            ),
            ("event: a\r\ndata: 1\r\n\r\n", vec![event("a", "1")]),
            ("event: lost\n\ndata: 1\n\n", vec![event("", "1")]),
            // The stream ended inside an event, or inside a line.
            ("event: a\ndata: 1\n", vec![]),
            ("event: a\ndata: 1", vec![Err(io::ErrorKind::UnexpectedEof)]),
        ] {
            let mut found = events(text);
            found.truncate(expected.len().max(1));
            assert_eq!(found, expected, "{text:?}");
        }
    }
}
