//! The file of a recording: JSON Lines behind a header line, appended as exchanges end. It holds shapes, not data: what a type here has no
//! place for cannot reach the disk.

use std::sync::LazyLock;

use jiff::Timestamp;
use regex::Regex;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::base::time;
use crate::conformance::answer::{KeptAnswer, pattern};
use crate::conformance::run_file::SUITE;

/// Version of the format.
pub const SCHEMA: u32 = 1;

/// First line: what was recorded, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RecordingHeader {
    /// Version of the format of recordings.
    pub schema: u32,
    /// Program and version.
    pub tool: String,
    /// Version of the cases of `conformance`, which share the words of a recording.
    pub suite: u32,
    /// Id of the recording: `rec-` and 12 hexadecimal digits.
    pub recording: String,
    /// RFC 3339.
    pub started: String,
    /// A name that the operator chose.
    pub target: String,
    /// Whether the first six digits of NIKs were kept (`--keep-area`).
    pub keeps_area: bool,
}

static TOOL: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"\Adukcapil-fr-sim [0-9]{1,3}(\.[0-9]{1,3}){2}(-[a-z0-9.]{1,12})?\z"));
static RECORDING_ID: LazyLock<Regex> = LazyLock::new(|| pattern(r"\Arec-[0-9a-f]{12}\z"));

impl RecordingHeader {
    /// A new header.
    #[must_use]
    pub fn new(target: String, keeps_area: bool, now: Timestamp) -> RecordingHeader {
        RecordingHeader {
            schema: SCHEMA,
            tool: concat!("dukcapil-fr-sim ", env!("CARGO_PKG_VERSION")).to_owned(),
            suite: SUITE,
            recording: format!("rec-{:012x}", rand::random::<u64>() >> 16),
            started: time::rfc3339_millis(now),
            target,
            keeps_area,
        }
    }

    /// Whether program and id are written as those of a new header.
    #[must_use]
    pub fn has_own_names(&self) -> bool {
        TOOL.is_match(&self.tool) && RECORDING_ID.is_match(&self.recording)
    }
}

/// Why a recording ends of its own accord.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndReason {
    Signal,
    MaxCalls,
    Time,
}

impl EndReason {
    pub const ALL: [EndReason; 3] = [EndReason::Signal, EndReason::MaxCalls, EndReason::Time];

    /// As the file has it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            EndReason::Signal => "signal",
            EndReason::MaxCalls => "max-calls",
            EndReason::Time => "time",
        }
    }
}

/// A line of the file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordingLine {
    Recording(RecordingHeader),
    Exchange(Box<RecordedExchange>),
    /// Of the recording's own accord, with the name of an [`EndReason`]. Absent after a crash.
    End {
        at: String,
        why: String,
    },
}

/// One request with its answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RecordedExchange {
    /// From 1, over all connections, in the order in which exchanges end.
    pub number: u64,
    /// From 1.
    pub connection: u64,
    /// Of the exchange within its connection, from 1.
    pub ordinal: u32,
    /// Of the first byte of the request. RFC 3339.
    pub at: String,
    pub request: RecordedRequest,
    pub answer: RecordedAnswer,
    pub times: ExchangeTimes,
}

/// In microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExchangeTimes {
    /// To connect to the endpoint, for the first exchange of a connection.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connect_us: Option<u64>,
    /// From the first byte of the request to its last.
    #[serde(default)]
    pub upload_us: u64,
    /// From the last byte of the request to the first of the answer; 0 where none came.
    pub first_byte_us: u64,
    /// From the last byte of the request to the last of the answer; of one that was cut, to the end of the connection.
    pub last_byte_us: u64,
    /// In how many reads the answer came.
    pub reads: u32,
}

/// A request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordedRequest {
    Shape(RequestShape),
    /// Bytes that could not be parsed, of which the recording says nothing but how many came.
    Unparsed {
        bytes: u64,
    },
}

/// An answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RecordedAnswer {
    /// Values of header fields and texts of the body are replaced by as many `X`, unless the allow-list names them.
    Whole(KeptAnswer),
    /// What could not be parsed, or is of no known shape.
    Unparsed {
        /// Where there was a status line.
        status: Option<u16>,
        bytes: u64,
    },
    /// The connection ended without a whole answer.
    Cut {
        /// Where there was a status line.
        status: Option<u16>,
        bytes: u64,
        by_reset: bool,
        ended_by: EndedBy,
    },
}

/// Who ended a connection, or stopped sending on it, before anybody else did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndedBy {
    Client,
    Server,
    /// It was open when the recording ended.
    Recorder,
}

/// What is kept of a request.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RequestShape {
    pub method: String,
    /// Without its query: known words, `{c1}` for the first customer_id, `{c2}` for the next, and as many `X` for anything else.
    pub path: String,
    /// In order.
    pub headers: Vec<HeaderShape>,
    pub framing: RequestFraming,
    pub body: BodyShape,
}

/// A header field: its name in its case. The value only where the allow-list has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderShape {
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Length of the value.
    pub bytes: u64,
}

impl HeaderShape {
    /// The value, where all of it is kept.
    #[must_use]
    pub fn whole_value(&self) -> Option<&str> {
        self.value.as_deref().filter(|value| !value.contains("XX"))
    }
}

/// How the end of a request's body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RequestFraming {
    None,
    ContentLength,
    Chunked,
}

/// What is kept of a body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BodyShape {
    Empty,
    /// A JSON object.
    Object {
        bytes: u64,
        /// The text with its white space, quotes, order, BOM and final newline. `$` stands for each value of a member of the object, and
        /// `?` for an unknown key.
        layout: String,
        /// In order.
        members: Vec<MemberShape>,
    },
    /// JSON of another type, or an object of more than 64 members or with a layout of more than 4096 bytes.
    Other {
        bytes: u64,
        kind: String,
    },
    NotJson {
        bytes: u64,
    },
}

/// A member of the body.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberShape {
    /// One of the seven fields; `None` for an unknown key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// JSON type: `string`, `number`, `boolean`, `null`, `array`, `object`.
    pub kind: String,
    pub value: ValueShape,
}

/// What is kept of a value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ValueShape {
    /// As it is: a threshold that looks like a number. Without quotes.
    Verbatim(String),
    Text {
        chars: u64,
        /// Such as `digits` or `lower+digits+other`.
        classes: String,
        /// Equal for equal texts of one recording; keyed with a secret that is forgotten.
        token: String,
    },
    Image {
        chars: u64,
        base64: Base64Shape,
        /// Length of what the base64 holds.
        bytes: u64,
        /// `jpeg`, `png`, ...; `None` for anything else.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        format: Option<String>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        pixels: Option<(u32, u32)>,
        /// Whether the file has its end.
        is_whole: bool,
        token: String,
    },
    Ciphertext {
        chars: u64,
        base64: Base64Shape,
        bytes: u64,
    },
    Ip {
        chars: u64,
        /// `private`, `public`, `loopback`, `blank` or `malformed`.
        class: String,
        token: String,
    },
    /// Of no interest: only its length as written.
    Length(u64),
}

/// How base64 is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base64Shape {
    /// Whether it is base64 once line breaks and a `data:` prefix are removed.
    pub is_valid: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_url_safe: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub is_unpadded: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_line_breaks: bool,
    #[serde(default, skip_serializing_if = "is_false")]
    pub has_data_uri: bool,
}

fn is_false(value: &bool) -> bool {
    !value
}

/// A recording, as far as it went.
#[derive(Clone, Debug, PartialEq)]
pub struct Recording {
    pub header: RecordingHeader,
    pub exchanges: Vec<RecordedExchange>,
    /// Why it ended; `None` after a crash, or while it goes on.
    pub ended: Option<String>,
}

impl Recording {
    /// Reads the lines of a recording. A last line that a crash cut off is ignored.
    ///
    /// # Errors
    /// Which line is not one of a recording.
    pub fn read(text: &str) -> Result<Recording, String> {
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        let mut lines = whole.lines().enumerate();
        let parse = |(index, line): (usize, &str)| {
            // The error itself would quote what is there.
            serde_json::from_str::<RecordingLine>(line).map_err(|error| {
                format!("line {} is not one of a recording, from column {} on", index + 1, error.column())
            })
        };
        let header = match lines.next().map(parse).transpose()? {
            Some(RecordingLine::Recording(header)) if header.schema == SCHEMA => header,
            Some(RecordingLine::Recording(header)) => {
                return Err(format!("its format is {}, this version reads {SCHEMA}", header.schema));
            }
            _ => return Err("it has no header line of a recording".to_owned()),
        };
        let mut recording = Recording { header, exchanges: Vec::new(), ended: None };
        for line in lines {
            let number = line.0 + 1;
            match parse(line)? {
                RecordingLine::Recording(_) => return Err(format!("line {number} is a second header")),
                RecordingLine::Exchange(exchange) => recording.exchanges.push(*exchange),
                RecordingLine::End { why, .. } => recording.ended = Some(why),
            }
        }
        Ok(recording)
    }
}
