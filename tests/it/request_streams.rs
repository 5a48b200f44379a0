//! Generator of request streams, as bytes of one connection: valid ones, and hostile ones that try to make a body pass for a request. The
//! same seed gives the same streams.

use rand::rngs::ChaCha8Rng;
use rand::seq::IndexedRandom;
use rand::{Rng, RngExt, SeedableRng};

/// What a client sends on one connection before it half-closes.
pub struct RequestStream {
    pub bytes: Vec<u8>,
    /// Length of each write but the last; the last has the rest.
    pub cuts: Vec<usize>,
    /// Number of requests, where every one is valid and the connection stays open up to the last.
    pub valid: Option<usize>,
}

impl RequestStream {
    pub fn pieces(&self) -> Vec<&[u8]> {
        let mut rest = &self.bytes[..];
        let mut pieces = Vec::new();
        for cut in &self.cuts {
            let (piece, behind) = rest.split_at(rest.len().min(*cut));
            pieces.push(piece);
            rest = behind;
        }
        pieces.push(rest);
        pieces.retain(|piece| !piece.is_empty());
        pieces
    }
}

/// The customers that answer every body, each with a code of its own.
pub const CODES: [&str; 8] = ["5001", "5002", "5003", "5004", "5005", "5006", "6014", "6018"];

/// A whole request, for bodies: one that is answered has taken a body for a request.
const SMUGGLED: &str =
    "POST /api/face-recognition/sample-6014/SMUGGLED HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n";

/// Returns the stream of a number.
pub fn stream(number: u64) -> RequestStream {
    let mut random = ChaCha8Rng::seed_from_u64(number);
    let is_valid = number.is_multiple_of(4);
    let count = random.random_range(1..=5);
    let mut bytes = Vec::new();
    let hostile = random.random_range(0..count);
    for index in 0..count {
        let name = format!("s{number}r{index}");
        let request = Request::valid(&name, index + 1 == count, &mut random);
        bytes.extend(match is_valid || index != hostile {
            true => request.bytes(),
            false => request.hostile_bytes(&mut random),
        });
    }
    if !is_valid && random.random_ratio(1, 4) {
        damage(&mut bytes, &mut random);
    }
    let cuts = (0..random.random_range(0..6)).map(|_| random.random_range(1..200)).collect();
    RequestStream { bytes, cuts, valid: is_valid.then_some(count) }
}

/// Changes, inserts or removes a byte, cuts the stream off, or repeats its end.
fn damage(bytes: &mut Vec<u8>, random: &mut ChaCha8Rng) {
    let at = random.random_range(0..bytes.len());
    let byte = *b"\0\t\n\r :;,0aZ\x7F\xFF\x0B\x0C\x85\xA0".choose(random).unwrap();
    match random.random_range(0..6) {
        0 => bytes[at] = byte,
        1 => bytes.insert(at, byte),
        2 => drop(bytes.remove(at)),
        3 => bytes.truncate(at),
        4 => bytes.extend_from_within(at..),
        _ => bytes[at] = (random.next_u32() & 0xFF) as u8,
    }
}

/// A request in parts, each of which can be replaced.
struct Request {
    before: &'static str,
    line: String,
    lines: Vec<String>,
    framing: Vec<String>,
    body: String,
    is_chunked: bool,
    line_end: &'static str,
}

fn pick<'a>(choices: &[&'a str], random: &mut ChaCha8Rng) -> &'a str {
    choices.choose(random).unwrap()
}

fn one_of<const COUNT: usize>(choices: [String; COUNT], random: &mut ChaCha8Rng) -> String {
    choices.choose(random).unwrap().clone()
}

impl Request {
    fn valid(name: &str, is_last: bool, random: &mut ChaCha8Rng) -> Request {
        let prefix = pick(
            &[
                "/api/face-recognition",
                "/api/face-recognition",
                "/api%20/face-recognition",
                "/api /face-recognition",
                "http://x:80/api/face-recognition",
            ],
            random,
        );
        let target = format!("{prefix}/sample-{}/{name}", pick(&CODES, random));
        let body = match random.random_range(0..5) {
            0 => String::new(),
            1 => SMUGGLED.to_owned(),
            2 => format!("{{\"transactionId\":\"{name}\"}}\r\n\r\n{SMUGGLED}"),
            3 => format!("{{\"transactionId\":\"{name}\"}}"),
            _ => format!(
                "{{\"transactionId\":\"{name}\",\"image\":\"{}\"}}",
                "x".repeat(random.random_range(0..3000))
            ),
        };
        let is_chunked = random.random_ratio(2, 5);
        let framing = match is_chunked {
            true => vec!["Transfer-Encoding: chunked".to_owned()],
            false if body.is_empty() && random.random_bool(0.5) => vec![],
            false => vec![format!("Content-Length: {}", body.len())],
        };
        let mut lines = vec!["Host: x".to_owned()];
        if random.random_ratio(1, 4) {
            lines.push(
                pick(
                    &["Expect: 100-continue", "X:", "X: \u{fc}", "Accept: */*", "connection: keep-alive"],
                    random,
                )
                .to_owned(),
            );
        }
        if is_last && random.random_ratio(1, 4) {
            lines.push("Connection: close".to_owned());
        }
        let line = match random.random_ratio(1, 10) {
            true => return Request::without_body(pick(&["GET", "OPTIONS", "DELETE"], random), &target),
            false => format!("POST {target} HTTP/1.1"),
        };
        Request {
            before: pick(&["", "", "", "\r\n", "\n\r\n"], random),
            line,
            lines,
            framing,
            body,
            is_chunked,
            line_end: pick(&["\r\n", "\r\n", "\r\n", "\n"], random),
        }
    }

    /// A request that gets a 405, and leaves the connection open.
    fn without_body(method: &str, target: &str) -> Request {
        Request {
            before: "",
            line: format!("{method} {target} HTTP/1.1"),
            lines: vec!["Host: x".to_owned()],
            framing: vec![],
            body: String::new(),
            is_chunked: false,
            line_end: "\r\n",
        }
    }

    fn bytes(&self) -> Vec<u8> {
        let body = if self.is_chunked { chunks(&self.body, 700) } else { self.body.clone() };
        self.with_body(&body)
    }

    fn with_body(&self, body: &str) -> Vec<u8> {
        let mut text = format!("{}{}{}", self.before, self.line, self.line_end);
        for line in self.lines.iter().chain(&self.framing) {
            text += line;
            text += self.line_end;
        }
        format!("{text}{}{body}", self.line_end).into_bytes()
    }

    fn hostile_bytes(mut self, random: &mut ChaCha8Rng) -> Vec<u8> {
        match random.random_range(0..6) {
            0 => self.wrong_line(random),
            1 => self.wrong_lines(random),
            2 => self.wrong_length(random),
            3 => self.wrong_encoding(random),
            4 => return self.with_wrong_chunks(random),
            _ => {
                self.before =
                    pick(&["\r", "\r\r\n", " ", "\n\r", "\t", "\0", "\r\n \r\n", "0\r\n\r\n"], random)
            }
        }
        self.bytes()
    }

    fn wrong_line(&mut self, random: &mut ChaCha8Rng) {
        let (from, to) = *[
            ("HTTP/1.1", "HTTP/1.0"),
            ("HTTP/1.1", "HTTP/1.2"),
            ("HTTP/1.1", "HTTP/2.0"),
            ("HTTP/1.1", "http/1.1"),
            ("HTTP/1.1", "HTTP/1.1 "),
            (" HTTP/1.1", ""),
            (" HTTP/1.1", "\tHTTP/1.1"),
            (" HTTP/1.1", "  HTTP/1.1"),
            (" HTTP/1.1", " HTTP/1.1 HTTP/1.1"),
            (" HTTP/1.1", " HTTP/1.0 HTTP/1.1"),
            (" HTTP/1.1", "\r HTTP/1.1"),
            (" HTTP/1.1", "?x=/y HTTP/1.1"),
            (" HTTP/1.1", "#x HTTP/1.1"),
            ("POST ", "POST  "),
            ("POST ", " POST "),
            ("POST ", "PO\0ST "),
            ("POST ", "PO(ST "),
            ("POST ", "post "),
            ("POST ", "GET "),
            ("POST ", "HEAD "),
            ("POST ", "CONNECT "),
            ("/api", "*"),
            ("/api", ""),
            ("/api", "/\u{fc}"),
            ("/api", "/x /api"),
            ("/sample", "/none/sample"),
        ]
        .choose(random)
        .unwrap();
        self.line = self.line.replacen(from, to, 1);
    }

    fn wrong_lines(&mut self, random: &mut ChaCha8Rng) {
        match random.random_range(0..8) {
            0 => self.lines.clear(),
            1 => self.lines.push("Host: x".to_owned()),
            _ => self.lines.push(
                pick(
                    &[
                        "Connection: close",
                        "Connection: x, Close",
                        "Connection:",
                        "Connection: Upgrade\r\nUpgrade: h2c",
                        "Content-Encoding: gzip",
                        "Content-Encoding: identity",
                        "X : y",
                        " X: y",
                        "X\0: y",
                        "X: \0",
                        "X: \x01",
                        "X: \x0B",
                        "X: y\rZ: z",
                        "X: y\nZ: z",
                        "X: y\r\n folded",
                        "X: y\r\n\tTransfer-Encoding: chunked",
                        "X: y\r\n\x0BTransfer-Encoding: chunked",
                        "X: y\rTransfer-Encoding: chunked",
                        "X: y\r\rTransfer-Encoding: chunked",
                        "X: y\nTransfer-Encoding: chunked",
                        "X: y\r\rContent-Length: 5",
                        "no colon",
                        ": no name",
                        "X\u{fc}: y",
                        "X(: y",
                        "\r",
                        "\r\r",
                        "Expect: 200-maybe",
                        "Trailer: Content-Length",
                    ],
                    random,
                )
                .to_owned(),
            ),
        }
    }

    fn wrong_length(&mut self, random: &mut ChaCha8Rng) {
        let length = self.body.len();
        let text = one_of(
            [
                format!("+{length}"),
                format!("-{length}"),
                format!("{length}, {length}"),
                format!("{length},"),
                format!("{length};"),
                format!("0x{length:x}"),
                format!("{length:x}h"),
                format!("000{length}"),
                format!("{length} "),
                format!("\t{length}\t"),
                format!("{length}\x0B"),
                format!("{length}\x0C"),
                format!("{length}.0"),
                format!("1 {length}"),
                format!("{}", length + 1),
                format!("{}", length.saturating_sub(1)),
                format!("{}", length / 2),
                format!("{}", length + 100),
                format!("0\r\nContent-Length: {length}"),
                format!("{length}\r\nContent-Length: {length}"),
                format!("{length}\nContent-Length: 0"),
                format!("{length}\r\nTransfer-Encoding: chunked"),
                format!("{length}\r\nTransfer-Encoding: identity"),
                format!("{length}\r\ncontent-length : 0"),
                format!("{length}\r\ncontent_length: 0"),
                "18446744073709551616".to_owned(),
                "18446744073709551615".to_owned(),
                "99999999999999999999999".to_owned(),
                "\u{665}".to_owned(),
                String::new(),
            ],
            random,
        );
        self.is_chunked = random.random_ratio(1, 8);
        self.framing = vec![format!("Content-Length: {text}")];
    }

    fn wrong_encoding(&mut self, random: &mut ChaCha8Rng) {
        let text = pick(
            &[
                "Transfer-Encoding: gzip, chunked",
                "Transfer-Encoding: chunked, chunked",
                "Transfer-Encoding: chunked, identity",
                "Transfer-Encoding: identity",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
                "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity",
                "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked",
                "Transfer-Encoding: chunked\r\nContent-Length: 5",
                "Content-Length: 5\r\nTransfer-Encoding: chunked",
                "Transfer-Encoding : chunked",
                "Transfer-Encoding\t: chunked",
                "Transfer_Encoding: chunked",
                "Transfer-Encoding:chunked",
                "Transfer-Encoding:\tchunked ",
                "Transfer-Encoding: \x0Bchunked",
                "Transfer-Encoding: \x0Cchunked",
                "Transfer-Encoding: chunked\x0C",
                "Transfer-Encoding: \u{a0}chunked",
                "Transfer-Encoding: \"chunked\"",
                "Transfer-Encoding: chunked;q=1",
                "Transfer-Encoding: chunked,",
                "Transfer-Encoding: ,chunked",
                "Transfer-Encoding: xchunked",
                "Transfer-Encoding: CHUNKED",
                "Transfer-Encoding:\r\n chunked",
                "Transfer-Encoding:",
                "X: y\rTransfer-Encoding: chunked",
                "TE: chunked",
            ],
            random,
        );
        self.is_chunked = random.random_ratio(3, 4);
        self.framing = vec![text.to_owned()];
        if random.random_ratio(1, 8) {
            self.line = self.line.replacen("HTTP/1.1", "HTTP/1.0", 1);
        }
    }

    /// Blanks before a `;` are not among them: RFC 9112, 7.1.1, wants them read, and the simulator does; h11 refuses them.
    fn with_wrong_chunks(mut self, random: &mut ChaCha8Rng) -> Vec<u8> {
        self.framing = vec!["Transfer-Encoding: chunked".to_owned()];
        if self.body.is_empty() {
            self.body = SMUGGLED.to_owned();
        }
        let body = &self.body;
        let size = format!("{:x}", body.len());
        let end = "0\r\n\r\n";
        let text = match random.random_range(0..8) {
            0 | 1 => {
                let wrong = one_of(
                    [
                        format!("+{size}"),
                        format!("-{size}"),
                        format!("0x{size}"),
                        format!(" {size}"),
                        format!("{size} "),
                        format!("{size}\t"),
                        format!("{size}\x0C"),
                        format!("{size}\x0B"),
                        format!("{size}\r"),
                        format!("{size}\n"),
                        format!("{size}_0"),
                        format!("{size} {size}"),
                        format!("{size}\0"),
                        format!("00{size}"),
                        format!("00000000000000000000{size}"),
                        format!("FFFFFFFFFFFFFFF{size}"),
                        size.to_uppercase(),
                        "\u{665}".to_owned(),
                        String::new(),
                    ],
                    random,
                );
                format!("{wrong}\r\n{body}\r\n{end}")
            }
            2 => {
                let extension = pick(
                    &["", "x", "x=y", "x=\"y\"", " x", "x\r", "x\ry", "x\n", "\0", "\u{fc}", "x\r\n"],
                    random,
                );
                format!("{size};{extension}\r\n{body}\r\n{end}")
            }
            3 => {
                let behind = pick(&["", "\n", "\r", "\n\r", "\r\r\n", "x\r\n", "\r\n\r\n", "  "], random);
                format!("{size}\r\n{body}{behind}{end}")
            }
            4 => {
                let line_end = pick(&["\n", "\r", "\n\r", "\r\r\n", ""], random);
                format!("{size}{line_end}{body}\r\n{end}")
            }
            5 => {
                let wrong = (body.len() + random.random_range(0..=6)).saturating_sub(3);
                format!("{wrong:x}\r\n{body}\r\n{end}")
            }
            _ => {
                let trailers = pick(
                    &[
                        "X: y\r\n",
                        "X: y\r\nContent-Length: 5\r\n",
                        "Transfer-Encoding: chunked\r\n",
                        "X: y\n",
                        "X: y\r\n folded\r\n",
                        " X: y\r\n",
                        "X : y\r\n",
                        "X: y\rZ: z\r\n",
                        "X: \0\r\n",
                        "no colon\r\n",
                        ": no name\r\n",
                        "X\r\n",
                        "\r\r\n",
                        "\n",
                        "\r",
                        "POST /api/face-recognition/sample-6014/SMUGGLED HTTP/1.1\r\n",
                        "POST http://x/api/face-recognition/sample-6014/SMUGGLED HTTP/1.1\r\nHost: x\r\n",
                    ],
                    random,
                );
                format!("{size}\r\n{body}\r\n0\r\n{trailers}\r\n")
            }
        };
        self.with_body(&text)
    }
}

/// A body in chunks of at most `max` bytes.
fn chunks(body: &str, max: usize) -> String {
    let mut text = String::new();
    for chunk in body.as_bytes().chunks(max) {
        text += &format!("{:x}\r\n{}\r\n", chunk.len(), String::from_utf8_lossy(chunk));
    }
    text + "0\r\n\r\n"
}
