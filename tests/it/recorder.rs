//! `record`: traffic is the same with and without it, to the byte and to the end of each connection; the command; and its page.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Output;
use std::thread::JoinHandle;
use std::time::Duration;

use dukcapil_fr_sim::internals::conformance::recording::allow_list::{
    ANSWER_KEYS, HEADER_NAMES, HEADERS, REQUEST_PARTS,
};
use dukcapil_fr_sim::internals::conformance::recording::check::check;
use dukcapil_fr_sim::internals::conformance::recording::exchange::{
    BodyShape, EndReason, EndedBy, RecordedAnswer, RecordedExchange, RecordedRequest, Recording,
    RecordingHeader, RequestShape,
};
use dukcapil_fr_sim::internals::conformance::recording::message_mask::WORDS;
use dukcapil_fr_sim::internals::conformance::recording::proxy::{self, ProxySummary};
use dukcapil_fr_sim::internals::conformance::recording::recorder::{
    MAX_HELD, Recorder, RecorderSettings, RecordingSummary,
};
use jiff::Timestamp;
use socket2::SockRef;
use tokio::sync::watch;

use crate::abuse::{connect, read_answers};
use crate::binary::{Served, command, text};
use crate::support::{End, Sim, http, read_to_the_end};
use crate::tidy::{read, root};

/// A proxy that records, in this process.
struct Proxy {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    thread: JoinHandle<ProxySummary>,
    recorder: Recorder,
    file: PathBuf,
    _directory: tempfile::TempDir,
}

fn header() -> RecordingHeader {
    RecordingHeader::new("test".to_owned(), false, Timestamp::now())
}

impl Proxy {
    fn before(upstream: SocketAddr) -> Proxy {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("recording.jsonl");
        let out = Box::new(std::fs::File::create_new(&file).unwrap());
        Proxy::recording_to(upstream, out, file, directory)
    }

    fn recording_to(
        upstream: SocketAddr,
        out: Box<dyn Write + Send>,
        file: PathBuf,
        directory: tempfile::TempDir,
    ) -> Proxy {
        let settings = RecorderSettings { header: header(), max_calls: None, max_held: MAX_HELD };
        let recorder = Recorder::start(out, settings, |_| ()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopping) = watch::channel(false);
        let handle = recorder.handle();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(proxy::run(listener, upstream, &handle, stopping)).unwrap()
        });
        Proxy { address, stop, thread, recorder, file, _directory: directory }
    }

    /// Ends the proxy and returns what it recorded.
    fn end(self) -> (Recording, RecordingSummary, ProxySummary) {
        self.stop.send(true).unwrap();
        let passed = self.thread.join().unwrap();
        let summary = self.recorder.end(EndReason::Signal);
        let text = std::fs::read_to_string(&self.file).unwrap();
        (Recording::read(&text).unwrap(), summary, passed)
    }
}

/// What one side of a connection does. The other side then receives it whole.
#[derive(Clone, Copy, Debug)]
enum Act<'a> {
    Sends(&'a [u8]),
    /// Each byte in a segment of its own, as far as the kernel has it so.
    Drips(&'a [u8]),
    Ends,
    Resets,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Client,
    Server,
}

/// Plays a connection between a client of `address` and the server behind `listener`. Each side must receive exactly what the other sent.
fn play(address: SocketAddr, listener: &TcpListener, script: &[(Who, Act)]) {
    let client = connect(address);
    let server = listener.accept().unwrap().0;
    for stream in [&client, &server] {
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.set_nodelay(true).unwrap();
    }
    let (mut client, mut server) = (Some(client), Some(server));
    for (who, act) in script {
        let (from, to) =
            if *who == Who::Client { (&mut client, &mut server) } else { (&mut server, &mut client) };
        let receiver = to.as_mut().unwrap();
        let receive = |receiver: &mut TcpStream, expected: &[u8]| {
            let mut bytes = vec![0; expected.len()];
            receiver.read_exact(&mut bytes).unwrap();
            assert!(bytes == expected, "{who:?} {act:?}");
        };
        match act {
            Act::Sends(bytes) => {
                let mut sender = from.as_ref().unwrap().try_clone().unwrap();
                std::thread::scope(|scope| {
                    scope.spawn(move || sender.write_all(bytes).unwrap());
                    receive(receiver, bytes);
                });
            }
            Act::Drips(bytes) => {
                for byte in bytes.chunks(1) {
                    from.as_mut().unwrap().write_all(byte).unwrap();
                    receive(receiver, byte);
                }
            }
            Act::Ends => {
                from.as_ref().unwrap().shutdown(Shutdown::Write).unwrap();
                assert_eq!(receiver.read(&mut [0]).unwrap(), 0, "{who:?} {act:?}");
            }
            Act::Resets => {
                let sender = from.take().unwrap();
                SockRef::from(&sender).set_linger(Some(Duration::ZERO)).unwrap();
                drop(sender);
                let end = receiver.read(&mut [0]).map_err(|error| error.kind());
                assert_eq!(end, Err(ErrorKind::ConnectionReset), "{who:?} {act:?}");
            }
        }
    }
}

/// Plays a script without the proxy and through it. Returns what was recorded.
fn both_ways(script: &[(Who, Act)]) -> Vec<RecordedExchange> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let upstream = listener.local_addr().unwrap();
    play(upstream, &listener, script);
    let proxy = Proxy::before(upstream);
    play(proxy.address, &listener, script);
    let (recording, summary, passed) = proxy.end();
    assert_eq!((summary.exchanges, passed.connections), (recording.exchanges.len() as u64, 1));
    assert_eq!(recording.ended.as_deref(), Some("signal"));
    recording.exchanges
}

const PATH: &str = "/api/face-recognition/bank/CALL_FN";
const NO: &str = r#"{"errorCode":"5004","error":"Parameter tidak sesuai"}"#;

fn post(fields: &str, body: &str) -> Vec<u8> {
    format!("POST {PATH} HTTP/1.1\r\nHost: x\r\n{fields}\r\n{body}").into_bytes()
}

fn whole_post() -> Vec<u8> {
    post("Content-Length: 17\r\n", r#"{"threshold":"7"}"#)
}

fn answer(status: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{NO}", NO.len())
        .into_bytes()
}

#[track_caller]
fn shape_of(exchange: &RecordedExchange) -> &RequestShape {
    match &exchange.request {
        RecordedRequest::Shape(shape) => shape,
        RecordedRequest::Unparsed { .. } => panic!("{exchange:?}"),
    }
}

fn status_and_body(exchange: &RecordedExchange) -> (u16, &str) {
    match &exchange.answer {
        RecordedAnswer::Whole(answer) => (answer.status, &answer.body),
        _ => panic!("{exchange:?}"),
    }
}

#[test]
fn requests_and_answers_pass_whole_in_any_pieces_and_are_recorded() {
    use Act::{Drips, Ends, Sends};
    use Who::{Client, Server};
    let (request, yes) = (whole_post(), answer("200 OK"));
    let chunked = post("Transfer-Encoding: chunked\r\n", "11\r\n{\"threshold\":\"7\"}\r\n0\r\n\r\n");
    let chunks =
        format!("HTTP/1.1 200 \r\nTransfer-Encoding: chunked\r\n\r\n{:x}\r\n{NO}\r\n0\r\n\r\n", NO.len());
    let expecting = post("Expect: 100-continue\r\nContent-Length: 17\r\n", "");
    let twice = request.repeat(2);
    let answers = yes.repeat(2);
    let until_end = format!("HTTP/1.1 200 OK\r\n\r\n{NO}");
    for script in [
        vec![
            (Client, Sends(&request)),
            (Server, Sends(&yes)),
            (Client, Sends(&request)),
            (Server, Sends(&yes)),
            (Client, Ends),
            (Server, Ends),
        ],
        vec![
            (Client, Drips(&request)),
            (Server, Drips(&yes)),
            (Client, Drips(&request)),
            (Server, Drips(&yes)),
            (Server, Ends),
            (Client, Ends),
        ],
        vec![(Client, Sends(&twice)), (Server, Sends(&answers)), (Client, Ends), (Server, Ends)],
        vec![
            (Client, Sends(&chunked)),
            (Server, Sends(chunks.as_bytes())),
            (Client, Drips(&chunked)),
            (Server, Drips(chunks.as_bytes())),
        ],
        vec![
            (Client, Sends(&expecting)),
            (Server, Sends(b"HTTP/1.1 100 Continue\r\n\r\n")),
            (Client, Sends(br#"{"threshold":"7"}"#)),
            (Server, Sends(&yes)),
            (Client, Sends(&request)),
            (Server, Sends(until_end.as_bytes())),
            (Server, Ends),
        ],
        // A client that half-closes gets its answer.
        vec![(Client, Sends(&twice)), (Client, Ends), (Server, Sends(&answers)), (Server, Ends)],
    ] {
        let recorded = both_ways(&script);
        assert_eq!(recorded.len(), 2, "{script:?}");
        for (exchange, ordinal) in recorded.iter().zip(1..) {
            assert_eq!((exchange.connection, exchange.ordinal), (1, ordinal));
            assert_eq!(status_and_body(exchange), (200, NO));
            let shape = shape_of(exchange);
            assert_eq!((&*shape.method, &*shape.path), ("POST", "/api/face-recognition/{c1}/CALL_FN"));
            let BodyShape::Object { layout, bytes, .. } = &shape.body else { panic!("{shape:?}") };
            assert_eq!((layout.as_str(), *bytes), (r#"{"threshold":$}"#, 17));
        }
    }
}

#[test]
fn resets_and_half_closes_pass_and_what_they_cut_is_lengths() {
    use Act::{Ends, Resets, Sends};
    use Who::{Client, Server};
    let (request, yes) = (whole_post(), answer("200 OK"));
    let (client, server) = (EndedBy::Client, EndedBy::Server);
    for (script, status, bytes, by_reset, ended_by) in [
        (vec![(Client, Sends(&request[..])), (Server, Resets)], None, 0, true, server),
        (
            vec![(Client, Sends(&request)), (Server, Sends(&yes[..30])), (Server, Resets)],
            Some(200),
            30,
            true,
            server,
        ),
        (
            vec![(Client, Sends(&request)), (Server, Sends(&yes[..30])), (Client, Resets)],
            Some(200),
            30,
            true,
            client,
        ),
        (vec![(Client, Sends(&request)), (Client, Resets)], None, 0, true, client),
        (
            vec![(Client, Sends(&request)), (Server, Sends(&yes[..30])), (Server, Ends), (Client, Ends)],
            Some(200),
            30,
            false,
            server,
        ),
        (vec![(Client, Sends(&request)), (Server, Ends), (Client, Ends)], None, 0, false, server),
        (vec![(Client, Sends(&request)), (Client, Ends), (Server, Ends)], None, 0, false, client),
    ] {
        let recorded = both_ways(&script);
        assert_eq!(recorded.len(), 1, "{script:?}");
        shape_of(&recorded[0]);
        assert_eq!(
            recorded[0].answer,
            RecordedAnswer::Cut { status, bytes, by_reset, ended_by },
            "{script:?}"
        );
    }
    // Without a request there is nothing to record.
    assert_eq!(both_ways(&[(Client, Ends), (Server, Ends)]), []);
    assert_eq!(both_ways(&[(Server, Resets)]), []);
}

#[test]
fn what_cannot_be_parsed_passes_and_leaves_lengths() {
    use Act::Sends;
    use Who::{Client, Server};
    let (request, yes, refused) = (whole_post(), answer("200 OK"), answer("400 Bad Request"));
    let html = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 13\r\n\r\n<html>x</html";
    let megabytes = vec![b'a'; 20 << 20];
    let long = format!("POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n", megabytes.len());
    let unparsed = |bytes: usize| RecordedRequest::Unparsed { bytes: bytes as u64 };
    let lengths = |status, bytes: usize| RecordedAnswer::Unparsed { status, bytes: bytes as u64 };
    let (own, both) = (request.len(), request.len() + 12);
    for (script, expected) in [
        (
            vec![
                (Client, Sends(b"bukan http\r\n")),
                (Server, Sends(&refused)),
                (Client, Sends(&request)),
                (Server, Sends(&yes)),
            ],
            vec![(Some(unparsed(both)), lengths(Some(400), refused.len() + yes.len()))],
        ),
        (
            vec![
                (Client, Sends(&request)),
                (Server, Sends(b"bukan http\r\n")),
                (Client, Sends(&request)),
                (Server, Sends(&yes)),
            ],
            vec![(None, lengths(None, yes.len() + 12)), (Some(unparsed(own)), lengths(None, 0))],
        ),
        (
            vec![(Client, Sends(&request)), (Server, Sends(html))],
            vec![(None, lengths(Some(502), html.len()))],
        ),
        (
            vec![(Client, Sends(long.as_bytes())), (Client, Sends(&megabytes)), (Server, Sends(&yes))],
            vec![(Some(unparsed(long.len() + megabytes.len())), lengths(Some(200), yes.len()))],
        ),
    ] {
        let recorded = both_ways(&script);
        assert_eq!(recorded.len(), expected.len());
        for (exchange, (request, answer)) in recorded.iter().zip(expected) {
            assert_eq!(exchange.answer, answer);
            match request {
                Some(request) => assert_eq!(exchange.request, request),
                None => drop(shape_of(exchange).clone()),
            }
        }
    }
}

#[test]
fn many_connections_at_once_pass_and_an_endpoint_that_is_not_there_is_a_reset() {
    let sim = Sim::start();
    let proxy = Proxy::before(sim.address());
    let request =
        format!("POST {} HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{{}}", PATH.replace("bank", "demo"));
    let direct = read_answers(&mut crate::abuse::sent(sim.address(), &request), 1).remove(0);
    let address = proxy.address;
    let same = crate::support::in_parallel(8, |_| {
        let mut stream = connect(address);
        (0..20).all(|_| {
            stream.write_all(request.as_bytes()).unwrap();
            let answer = read_answers(&mut stream, 1).remove(0);
            (answer.head == direct.head, answer.body == direct.body) == (true, true)
        })
    });
    assert_eq!(same, [true; 8]);
    let (recording, summary, passed) = proxy.end();
    assert_eq!(
        (summary, passed.connections),
        (RecordingSummary { exchanges: 160, partly: 0, lost: 0, failure: None }, 8)
    );
    let numbers: Vec<_> = recording.exchanges.iter().map(|exchange| exchange.number).collect();
    assert_eq!(numbers, (1..=160).collect::<Vec<_>>());
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let proxy = Proxy::before(nobody);
    assert_eq!(read_to_the_end(&mut connect(proxy.address)), (Vec::new(), End::Rst));
    let (recording, _, passed) = proxy.end();
    assert_eq!((recording.exchanges, passed), (Vec::new(), ProxySummary { connections: 1, unreachable: 1 }));
}

#[test]
fn an_answer_before_the_end_of_the_upload_arrives_though_the_endpoint_takes_no_more() {
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let proxy = Proxy::before(server.local_addr().unwrap());
    let answer = b"HTTP/1.1 413 Payload Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    for _ in 0..50 {
        let mut client = connect(proxy.address);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut accepted = server.accept().unwrap().0;
                accepted.read_exact(&mut [0; 100]).unwrap();
                accepted.write_all(answer).unwrap();
                // With unread bytes, the close is a reset.
            });
            let upload = post("Content-Length: 9000000\r\n", &"a".repeat(9_000_000));
            let _ = client.write_all(&upload);
        });
        assert!(read_to_the_end(&mut client).0 == answer);
    }
    proxy.end();
}

#[test]
fn faults_of_the_simulator_are_the_same_through_the_proxy() {
    let kinds = [
        ("reset", "kind = 'reset'", "cut"),
        ("reset-later", "kind = 'truncate', end = 'rst'", "cut"),
        ("nothing", "kind = 'empty_close'", "cut"),
        ("truncated", "kind = 'truncate'", "cut"),
        ("body-cut", "kind = 'body_cut'", "whole or unparsed"),
        ("chunk", "kind = 'malformed_chunk'", "unparsed"),
        ("garbage", "kind = 'garbage'", "unparsed"),
        ("page", "kind = 'gateway_page'", "unparsed"),
    ];
    let customers = kinds.map(|(name, fault, _)| {
        let rule = format!("[[rules]]\nname = 'x'\nfault = {{ {fault} }}\n");
        (format!("customers/{name}.toml"), format!("extends = 'demo'\n{rule}"))
    });
    let files: Vec<_> = customers.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    // Each answer counts for the seed, so each way has a simulator of its own.
    let ways = [0, 1].map(|_| Sim::over_with(&files, |builder| builder.seed(7)));
    let proxy = Proxy::before(ways[1].0.address());
    let ask = |address: SocketAddr, name: &str| {
        let mut stream = connect(address);
        let body = ways[0].0.request().text();
        stream.write_all(&http("POST", &PATH.replace("bank", name), "", body.as_bytes())).unwrap();
        read_to_the_end(&mut stream)
    };
    for (name, ..) in kinds {
        let (direct, passed) = (ask(ways[0].0.address(), name), ask(proxy.address, name));
        assert_eq!(String::from_utf8_lossy(&passed.0), String::from_utf8_lossy(&direct.0), "{name}");
        assert_eq!(passed.1, direct.1, "{name}");
    }
    let (recording, ..) = proxy.end();
    assert_eq!(recording.exchanges.len(), kinds.len());
    for ((name, _, expected), exchange) in kinds.iter().zip(&recording.exchanges) {
        let kind = match &exchange.answer {
            RecordedAnswer::Whole(_) => "whole",
            RecordedAnswer::Unparsed { .. } => "unparsed",
            RecordedAnswer::Cut { .. } => "cut",
        };
        assert!(expected.contains(kind), "{name}: {:?}", exchange.answer);
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_leaves_the_traffic_alone() {
    /// A disk that is full behind the first line.
    struct Full(std::fs::File, bool);
    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if std::mem::replace(&mut self.1, true) { self.0.write(bytes) } else { Ok(bytes.len()) }
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let sim = Sim::start();
    let directory = tempfile::tempdir().unwrap();
    let proxy = Proxy::recording_to(sim.address(), Box::new(Full(full, false)), PathBuf::new(), directory);
    let request = http("POST", &PATH.replace("bank", "demo"), "", b"{}");
    for _ in 0..3 {
        let (bytes, end) = read_to_the_end(&mut crate::abuse::sent(proxy.address, &request));
        assert!(bytes.starts_with(b"HTTP/1.1 200 OK\r\n") && end == End::Fin);
    }
    proxy.stop.send(true).unwrap();
    assert_eq!(proxy.thread.join().unwrap().connections, 3);
    assert_eq!(proxy.recorder.end(EndReason::Signal).exchanges, 0);
}

/// A recorder as a process. Its address is at the end of its first line.
fn recorder(upstream: SocketAddr, out: &Path, more: &[&str]) -> (Served, SocketAddr) {
    let url = format!("http://{upstream}");
    let own = ["record", "--upstream", &url, "--listen", "127.0.0.1:0", "--out", out.to_str().unwrap()];
    let served = Served::from(command(&[&own, more].concat()));
    let address = served.ready().trim().rsplit_once("http://").unwrap().1.parse().unwrap();
    (served, address)
}

fn run_check(files: &[&Path]) -> Output {
    let files: Vec<_> = files.iter().map(|path| path.to_str().unwrap()).collect();
    command(&[&["record", "check"][..], &files].concat()).output().unwrap()
}

#[test]
fn the_command_records_until_a_signal_or_a_number_or_a_time() {
    let sim = Sim::start();
    let directory = tempfile::tempdir().unwrap();
    let request = sim.request().text();
    let request =
        http("POST", &PATH.replace("bank", "demo"), "Content-Type: application/json\r\n", request.as_bytes());
    for (name, more, signal, why) in [
        ("signal", &[][..], Some("INT"), "signal"),
        ("terminated", &["--name", "meja-satu"], Some("TERM"), "signal"),
        ("calls", &["--max-calls", "1"], None, "max-calls"),
        ("time", &["--for", "1s", "--keep-area"], None, "time"),
    ] {
        let out = directory.path().join(name);
        let (served, address) = recorder(sim.address(), &out, more);
        let (bytes, _) = read_to_the_end(&mut crate::abuse::sent(address, &request));
        assert!(text(&bytes).contains("6018"), "{name}");
        if let Some(signal) = signal {
            served.signal(signal);
        }
        let (code, said, err) = served.end();
        assert_eq!((code, err.as_str()), (Some(0), ""), "{name}");
        assert!(said.starts_with("recorded: exchanges 1, connections 1\n"), "{said}");
        let recorded = std::fs::read_to_string(&out).unwrap();
        let recording = Recording::read(&recorded).unwrap();
        assert_eq!(recording.ended.as_deref(), Some(why));
        let target = if name == "terminated" { "meja-satu" } else { "loopback" };
        assert_eq!(recording.header.target, target);
        let nik = if name == "time" { r#"{\"317405XXXXXXXXXX\":20"# } else { r#"{\"XXXXXXXXXXXXXXXX\":20"# };
        assert!(status_and_body(&recording.exchanges[0]).1.contains(nik), "{recorded}");
        assert!(check(recorded.as_bytes(), &[]).unwrap().found.is_empty());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&out).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
}

#[test]
fn a_recording_that_is_refused_writes_no_file() {
    let directory = tempfile::tempdir().unwrap();
    let (out, taken) = (directory.path().join("out"), directory.path().join("taken"));
    std::fs::write(&taken, "x").unwrap();
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let busy = busy.local_addr().unwrap().to_string();
    let (out_arg, taken_arg) = (out.to_str().unwrap(), taken.to_str().unwrap());
    for (args, code, message) in [
        (&["--upstream", "http://10.0.0.1:8080", "--out", out_arg][..], 6, "--confirm 10.0.0.1:8080"),
        (
            &["--upstream", "http://10.0.0.1:8080", "--out", out_arg, "--confirm", "10.0.0.1"],
            6,
            "is not the target",
        ),
        (
            &["--upstream", "http://8.8.8.8:80", "--out", out_arg, "--confirm", "8.8.8.8:80"],
            6,
            "--allow-public",
        ),
        (&["--upstream", "https://127.0.0.1", "--out", out_arg], 2, "plain http"),
        (&["--upstream", "http://127.0.0.1:1/some/prefix/", "--out", out_arg], 2, "leave out /some/prefix"),
        (
            &["--upstream", "http://127.0.0.1:1", "--out", taken_arg, "--listen", "127.0.0.1:0"],
            2,
            "it exists",
        ),
        (&["--upstream", "http://127.0.0.1:1", "--out", out_arg, "--listen", &busy], 3, "is in use"),
        (&["--upstream", "http://127.0.0.1:1", "--out", out_arg, "--name", "a b"], 2, "letters a to z"),
        (&["--upstream", "http://127.0.0.1:1"], 2, "--out"),
        (&["--upstream", "http://127.0.0.1:1", "--out", out_arg, "--max-calls", "0"], 2, "--max-calls"),
    ] {
        let output = command(&[&["record"], args].concat()).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?} {}", text(&output.stderr));
        assert!(text(&output.stderr).contains(message), "{args:?} {}", text(&output.stderr));
        assert!(!out.exists() && std::fs::read_to_string(&taken).unwrap() == "x", "{args:?}");
    }
}

#[test]
fn record_check_prints_texts_and_findings_but_no_data() {
    let sim = Sim::start();
    let proxy = Proxy::before(sim.address());
    let request = http("POST", &PATH.replace("bank", "demo"), "", br#"{"threshold":"7"}"#);
    read_to_the_end(&mut crate::abuse::sent(proxy.address, &request));
    let file = proxy.file.clone();
    let directory = tempfile::tempdir().unwrap();
    let (clean, dirty, other) =
        (directory.path().join("clean"), directory.path().join("dirty"), directory.path().join("other"));
    proxy.stop.send(true).unwrap();
    proxy.thread.join().unwrap();
    assert_eq!(proxy.recorder.end(EndReason::Signal).exchanges, 1);
    let recorded = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&clean, &recorded).unwrap();
    std::fs::write(&dirty, recorded.replace("Parameter", "3174096112900001 Siti1 Parameter")).unwrap();
    std::fs::write(&other, "siti").unwrap();
    let output = run_check(&[&clean]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}");
    for line in [
        ": exchanges 1\n",
        "nothing was found",
        "      1  code            5004\n",
        "      1  message         Parameter tidak sesuai\n",
    ] {
        assert!(said.contains(line), "{said}");
    }
    let output = run_check(&[&clean, &dirty]);
    let said = text(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let line = format!("{}:2: 16 digits in a row\n", dirty.display());
    assert!(said.contains(&line) && said.contains(":2: what the allow-list does not have\n"), "{said}");
    let output = run_check(&[&other]);
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(2), ""));
    assert!(text(&output.stderr).contains("not a recording") && !text(&output.stderr).contains("siti"));
}

/// The tables of the allow-list, by the name that the page has.
fn tables() -> [(&'static str, String); 5] {
    let table = |head: &str, rows: Vec<String>| {
        let columns = head.matches('|').count() - 1;
        format!("{head}\n|{}\n{}\n", " --- |".repeat(columns), rows.join("\n"))
    };
    let requests = REQUEST_PARTS.iter().map(|(part, kept, not)| format!("| {part} | {kept} | {not} |"));
    let headers = HEADERS.iter().map(|rule| format!("| `{}` | {} |", rule.name, rule.kept));
    let answers = ANSWER_KEYS.iter().map(|key| format!("| `{}` | {} |", key.name, key.kept));
    [
        ("requests", table("| part of a request | kept | not kept |", requests.collect())),
        ("headers", table("| field | kept, where it is all of the value |", headers.collect())),
        ("answers", table("| key | kept |", answers.collect())),
        ("names", HEADER_NAMES.map(|name| format!("`{name}`")).join(", ")),
        ("words", WORDS.split_whitespace().collect::<Vec<_>>().join(" ")),
    ]
}

#[test]
fn the_page_has_the_allow_list_of_the_code() {
    let page = read("docs/how-to/record.md");
    let mut made = page.clone();
    for (name, table) in tables() {
        let mark = format!("<!-- allow-list: {name} -->\n");
        let (before, rest) = made.split_once(&mark).unwrap();
        let (_, after) = rest.split_once("<!-- end -->").unwrap();
        made = format!("{before}{mark}\n{table}\n<!-- end -->{after}");
    }
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(root().join("docs/how-to/record.md"), &made).unwrap();
    } else {
        assert!(page == made, "docs/how-to/record.md is old: UPDATE_DOCS=1 cargo test --test it recorder::");
    }
    let indonesian = read("docs/id/how-to/record.md");
    for page in [&page, &indonesian] {
        assert!(page.contains("`_us`") && page.contains("`_ms`"), "both units of a recording's times");
    }
    for (part, ..) in REQUEST_PARTS {
        assert!(indonesian.contains(&format!("| {part} |")), "{part}");
    }
}
