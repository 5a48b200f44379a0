//! `GET /metrics`: the format, parsed as strictly as a scraper does, and the values.

use std::collections::{BTreeMap, BTreeSet};

use crate::support::{Answer, Sim, exchange, http};

/// A metric family: its type, and its samples in order.
#[derive(Debug, Default)]
struct Family {
    kind: String,
    help: bool,
    samples: Vec<(String, BTreeMap<String, String>, f64)>,
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && !text.starts_with(|c: char| c.is_ascii_digit())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// Parses labels, ordered by name. Panics on anything other than `name="value",...`.
fn labels(mut text: &str) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    while !text.is_empty() {
        let (name, rest) = text.split_once("=\"").expect("a label");
        assert!(is_name(name), "{name}");
        let end = rest.find('"').expect("a closing quote");
        assert!(!rest[..end].contains('\\'), "no label of these tests needs an escape");
        assert!(labels.insert(name.to_owned(), rest[..end].to_owned()).is_none(), "{name} twice");
        text = &rest[end + 1..];
        text = text.strip_prefix(',').unwrap_or(text);
    }
    labels
}

/// Parses the OpenMetrics text format. Panics on anything that a strict parser rejects.
fn parse_metrics(answer: &Answer) -> BTreeMap<String, Family> {
    let head = answer.head.to_lowercase();
    assert!(
        head.contains("\r\ncontent-type: application/openmetrics-text; version=1.0.0; charset=utf-8"),
        "{head}"
    );
    let text = answer.text().strip_suffix("# EOF\n").expect("# EOF at the end, once");
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut current = String::new();
    let mut seen = BTreeSet::new();
    for line in text.lines() {
        if let Some(rest) = line.strip_prefix("# ") {
            let mut words = rest.splitn(3, ' ');
            let (word, name, value) =
                (words.next().unwrap(), words.next().unwrap(), words.next().unwrap_or_default());
            assert!(is_name(name), "{line}");
            if name != current {
                assert!(!families.contains_key(name), "{name} is interrupted by another family");
                name.clone_into(&mut current);
            }
            let family = families.entry(name.to_owned()).or_default();
            assert!(family.samples.is_empty(), "{line} comes after samples");
            match word {
                "HELP" => assert!(!std::mem::replace(&mut family.help, true) && !value.is_empty(), "{line}"),
                "TYPE" => {
                    assert!(["counter", "gauge", "histogram", "info"].contains(&value), "{line}");
                    assert!(family.kind.is_empty(), "{line}");
                    value.clone_into(&mut family.kind);
                }
                "UNIT" => assert!(name.ends_with(&format!("_{value}")), "{line}"),
                _ => panic!("{line}"),
            }
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a value");
        assert!(seen.insert(series.to_owned()), "{series} twice");
        let (name, labels) = match series.split_once('{') {
            Some((name, rest)) => (name, labels(rest.strip_suffix('}').expect("a brace"))),
            None => (series, BTreeMap::new()),
        };
        let family = families.get_mut(&current).unwrap_or_else(|| panic!("{line} has no TYPE"));
        let suffixes: &[&str] = match family.kind.as_str() {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_sum", "_count"],
            "info" => &["_info"],
            _ => &[""],
        };
        assert!(family.help && suffixes.iter().any(|suffix| name == format!("{current}{suffix}")), "{line}");
        family.samples.push((name.to_owned(), labels, value.parse().expect(line)));
    }
    families.values().filter(|family| family.kind == "histogram").for_each(check_histogram);
    families
}

/// Asserts that buckets of a series are ordered and cumulative up to its count.
fn check_histogram(family: &Family) {
    let (mut bound, mut below) = (f64::NEG_INFINITY, 0.0);
    for (name, labels, value) in &family.samples {
        if name.ends_with("_bucket") {
            let le: f64 = labels["le"].parse().unwrap();
            assert!(le > bound && *value >= below, "{name} {labels:?}");
            (bound, below) = (le, *value);
            if le.is_infinite() {
                let others: BTreeMap<_, _> = labels.iter().filter(|(name, _)| *name != "le").collect();
                let is_count = |(name, labels, _): &&(String, BTreeMap<String, String>, f64)| {
                    name.ends_with("_count") && labels.iter().collect::<BTreeMap<_, _>>() == others
                };
                let count = family.samples.iter().find(is_count).expect("a count");
                assert_eq!(count.2, *value);
                (bound, below) = (f64::NEG_INFINITY, 0.0);
            }
        }
    }
}

/// Returns a sample's value, if it exists.
fn sample(families: &BTreeMap<String, Family>, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
    let labels: BTreeMap<_, _> =
        labels.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let samples = families.values().flat_map(|family| &family.samples);
    samples.filter(|sample| sample.0 == name && sample.1 == labels).map(|sample| sample.2).next()
}

fn scrape(sim: &Sim) -> BTreeMap<String, Family> {
    parse_metrics(&exchange(sim.admin_address(), &http("GET", "/metrics", "", b"")))
}

#[test]
fn metrics_match_the_requests() {
    let (sim, _directory) = Sim::over(&[
        ("customers/own.toml", "extends = 'demo'\n[[rules]]\nname = 'r'\nreply = { code = 'X-1' }"),
        ("customers/cut.toml", "extends = 'load'\n[[rules]]\nname = 'c'\nfault = { kind = 'truncate' }"),
    ]);
    scrape(&sim);
    for customer in ["demo", "demo", "load", "nobody", "nobody-else", "own", "cut"] {
        let path = format!("/api/face-recognition/{customer}/CALL_FN");
        // A fault may close the connection in any way.
        let mut stream = std::net::TcpStream::connect(sim.address()).unwrap();
        std::io::Write::write_all(&mut stream, &http("POST", &path, "", sim.request().text().as_bytes()))
            .unwrap();
        let _ = std::io::Read::read_to_end(&mut stream, &mut Vec::new());
    }
    sim.call("demo", b"{}");
    sim.wait_for_in_flight(0);
    let families = scrape(&sim);
    assert_eq!(sample(&families, "frsim_in_flight", &[]), Some(0.0));
    let is = |name: &str, labels: &[(&str, &str)]| sample(&families, name, labels);
    let requests =
        |customer, outcome| is("frsim_requests_total", &[("customer", customer), ("outcome", outcome)]);
    assert_eq!(requests("demo", "6018"), Some(2.0));
    assert_eq!(requests("demo", "5004"), Some(1.0));
    assert_eq!(requests("load", "6018"), Some(1.0));
    assert_eq!(requests("unknown", "5001"), Some(2.0));
    assert_eq!(requests("own", "other"), Some(1.0));
    assert_eq!(requests("cut", "fin"), Some(1.0), "it never had a 6018");
    assert_eq!(is("frsim_faults_total", &[("kind", "truncate")]), Some(1.0));
    assert_eq!(is("frsim_answer_seconds_count", &[]), Some(8.0));
    let stage = |stage| is("frsim_stage_seconds_count", &[("stage", stage)]);
    // A body without fields is parsed, but has nothing to decrypt. For an unknown customer nothing is matched.
    assert_eq!((stage("decode"), stage("image"), stage("render")), (Some(8.0), Some(7.0), Some(8.0)));
    assert_eq!(stage("match"), Some(5.0));
    assert_eq!(stage("decrypt"), Some(8.0));
    assert_eq!(is("frsim_quota_left", &[("customer", "demo")]), Some(78.0));
    assert_eq!(is("frsim_quota_left", &[("customer", "load")]), None, "it has no quota");
    assert_eq!(is("frsim_journal_entries", &[]), Some(8.0));
    assert!(is("frsim_journal_size_bytes", &[]).is_some_and(|bytes| bytes > 1000.0));
    assert_eq!(is("frsim_journal_dropped_total", &[]), Some(0.0));
    assert_eq!(is("frsim_connections_total", &[]), Some(8.0));
    assert!(is("frsim_uptime_seconds", &[]).is_some_and(|seconds| seconds > 0.0));
    assert_eq!(is("frsim_build_info", &[("version", env!("CARGO_PKG_VERSION"))]), Some(1.0));
}

#[test]
fn an_explanation_is_not_counted_as_a_request() {
    let sim = Sim::start();
    let question = serde_json::json!({ "customer_id": "demo", "body": sim.request().text() });
    assert_eq!(sim.admin("POST", "/explain", &question.to_string()).0, 200);
    let families = scrape(&sim);
    assert_eq!(sample(&families, "frsim_answer_seconds_count", &[]), Some(0.0));
    assert!(!families.contains_key("frsim_stage_seconds"));
}
