//! The command `schema`: its output accepts and rejects the same files as the loader.

use std::process::{Command, Output};

use FileKind::{Customer, Gallery, Simulator};
use dukcapil_fr_sim::internals::config::model::GallerySpec;
use dukcapil_fr_sim::internals::config::schema::FileKind;
use dukcapil_fr_sim::internals::config::{CustomerSpec, SimulatorSpec, source};
use dukcapil_fr_sim::internals::domain::faults::KINDS;
use dukcapil_fr_sim::internals::domain::policy;
use dukcapil_fr_sim::internals::domain::rules::Rule;
use jsonschema::Validator;
use serde_json::Value;

fn run(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_dukcapil-fr-sim")).arg("schema").args(arguments).output().unwrap()
}

fn validator(kind: FileKind) -> Validator {
    let schema = kind.schema();
    jsonschema::draft7::meta::validate(&schema).unwrap_or_else(|error| panic!("{kind:?}: {error}"));
    jsonschema::validator_for(&schema).unwrap()
}

fn json(toml: &str) -> Value {
    toml::from_str(toml).unwrap_or_else(|error| panic!("{toml}: {error}"))
}

/// Returns whether the file and its rules load.
fn loads(kind: FileKind, toml: &str) -> Result<(), String> {
    let told = |error: toml::de::Error| error.message().to_owned();
    match kind {
        Customer => {
            let spec: CustomerSpec = toml::from_str(toml).map_err(told)?;
            let any_file = |_: &str| Ok(b"10".to_vec());
            spec.rules.iter().flatten().try_for_each(|rule| Rule::new(rule, 1, &any_file).map(drop))
        }
        Simulator => toml::from_str::<SimulatorSpec>(toml).map(drop).map_err(told),
        Gallery => toml::from_str::<GallerySpec>(toml).map(drop).map_err(told),
    }
}

#[test]
fn it_prints_the_schema_of_a_file_or_writes_all_of_them() {
    for (arguments, kind) in
        [(&[][..], Customer), (&["customer"], Customer), (&["simulator"], Simulator), (&["gallery"], Gallery)]
    {
        let output = run(arguments);
        assert_eq!(output.status.code(), Some(0));
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(printed, kind.schema(), "{arguments:?}");
    }
    let directory = tempfile::tempdir().unwrap();
    let out = directory.path().join("new");
    assert_eq!(run(&["--out", out.to_str().unwrap()]).status.code(), Some(0));
    for kind in FileKind::ALL {
        let written = std::fs::read(out.join(kind.schema_name())).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&written).unwrap(), kind.schema());
    }
    assert_eq!(run(&["customers"]).status.code(), Some(2));
    assert_eq!(run(&["gallery", "--out", "x"]).status.code(), Some(2));
}

#[test]
fn the_built_in_fixtures_are_valid() {
    let [customer, simulator, gallery] = FileKind::ALL.map(validator);
    for (name, file) in source::built_in() {
        let validator = match name.as_str() {
            "simulator.toml" => &simulator,
            "gallery/gallery.toml" => &gallery,
            name if name.starts_with("customers/") => &customer,
            _ => continue,
        };
        let value = json(std::str::from_utf8(&file.bytes).unwrap());
        let errors: Vec<_> = validator.iter_errors(&value).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

/// Collects object schemas that allow unknown keys, by their path in the schema.
fn open_objects(place: &str, schema: &Value, open: &mut Vec<String>) {
    if schema.get("properties").is_some()
        && schema.get("type").is_some()
        && schema["additionalProperties"] != false
    {
        open.push(place.to_owned());
    }
    let members: Vec<(String, &Value)> = match schema {
        Value::Object(object) => object.iter().map(|(name, value)| (name.clone(), value)).collect(),
        Value::Array(array) => array.iter().enumerate().map(|(n, value)| (n.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    for (name, value) in members {
        open_objects(&format!("{place}/{name}"), value, open);
    }
}

#[test]
fn no_table_accepts_unknown_keys_and_nothing_is_nullable() {
    for kind in FileKind::ALL {
        let schema = kind.schema();
        let mut open = Vec::new();
        open_objects("", &schema, &mut open);
        assert!(open.is_empty(), "{kind:?}: {open:?}");
        assert!(!schema.to_string().contains("null\""), "{kind:?}");
    }
}

#[test]
fn everything_has_a_description() {
    for kind in FileKind::ALL {
        let schema = kind.schema();
        let definitions = schema["definitions"].as_object().unwrap();
        for (name, definition) in
            definitions.iter().map(|(name, it)| (name.as_str(), it)).chain([("", &schema)])
        {
            for (key, property) in definition["properties"].as_object().into_iter().flatten() {
                // The names of a duration's and a rate's keys are enough where their table is described.
                let plain = ["Lognormal", "Normal", "Exponential"].contains(&name);
                assert!(plain || property.get("description").is_some(), "{kind:?}: {name}.{key}");
            }
        }
    }
    let schema = Simulator.schema();
    let described = &schema["definitions"]["PolicySpec"]["properties"];
    for key in &policy::KEYS {
        let text = described[key.name]["description"].as_str().unwrap();
        let standing = key.standing.to_string();
        assert!(
            text.contains(key.default) && text.contains(&standing) && text.contains(key.meaning),
            "{text}"
        );
    }
}

#[test]
fn every_fault_is_in_the_schema_with_its_parameters() {
    let customer = validator(Customer);
    let examples = [
        ("for", "'1s'"),
        ("at", "0.5"),
        ("end", "'rst'"),
        ("after", "'10ms'"),
        ("bytes", "9"),
        ("base64", "'QUJD'"),
        ("text", "'x'"),
        ("by", "-1"),
        ("chunks", "2"),
        ("bytes_per_second", "10"),
        ("bits", "1"),
        ("status", "502"),
    ];
    for kind in &KINDS {
        for (name, value) in examples {
            let value =
                json(&format!("rules = [{{ fault = {{ kind = '{}', {name} = {value} }} }}]", kind.name));
            assert_eq!(customer.is_valid(&value), kind.takes.contains(&name), "{value}");
        }
    }
}

/// The loader and the schema agree on valid and invalid files.
#[test]
fn loading_and_the_schema_agree() {
    let rule = |text: &str| format!("[[rules]]\nset_state = 'x'\n{text}");
    let does = |text: &str| format!("[[rules]]\n{text}");
    let table = [
        (
            Customer,
            vec![
                "",
                "customer_id = 'a-b_c.d'",
                "extends = 'demo'",
                "methode = ['CALL_FN', 'Ünïcode x']",
                "key = 'bank.pem'",
                "access = { allow = ['10.0.0.0/8', '127.0.0.1', '::1', 'fe80::/10', '::ffff:1.2.3.4'], peer = true }",
                "quota = { per_day = 0 }",
                "capacity = { workers = 1, queue = 0, service_time = '250ms' }",
                "capacity = { service_time = { exponential = { mean = '1s' } } }",
                "policy = { precedence = ['ip', 'account'], max_results = 1000, shape.5001 = 'identification' }",
                "policy = { shape = { 6018 = 'verification', 9999 = 'verification' } }",
                "policy = { not_found = '6019', bad_image = '6015', unknown_customer = 'X-1' }",
                "population = 285_000_000",
                "population = 0",
                "gallery = { shared = false }",
                "[[gallery.identities]]\nnik = '3174055708909001'\nname = 'A'\npictures = ['a.jpg']",
                "policy = { layout = 'as-printed', base64 = 'mime', quota_counts = 'all', nik_min_age = 0 }",
            ],
            vec![
                "methodes = ['X']",
                "customer_id = '.a'",
                "customer_id = 'a b'",
                "customer_id = ''",
                "extends = 1",
                "methode = 'CALL_FN'",
                "methode = ['a/b']",
                "methode = ['']",
                "account = { user = 'x' }",
                "account = { password = 1 }",
                "access = { allow = ['10.0.0'] }",
                "access = { allow = ['10.0.0.0/33'] }",
                "access = { allow = ['localhost'] }",
                "access = { allow = ['010.0.0.1'] }",
                "access = { peer = 'yes' }",
                "access = { deny = [] }",
                "quota = { per_day = -1 }",
                "quota = { per_day = 1.5 }",
                "quota = { per_hour = 1 }",
                "capacity = { workers = 0 }",
                "capacity = { workers = 1.5 }",
                "capacity = { queue = -1 }",
                "capacity = { service_time = 250 }",
                "capacity = { threads = 1 }",
                "policy = { layout = 'pretty' }",
                "policy = { precedence = ['ip', 'ip'] }",
                "policy = { precedence = ['id'] }",
                "policy = { shape.5001 = 'flat' }",
                "policy = { shape.'5 1' = 'identification' }",
                "policy = { shape.bogus = 'identification' }",
                "policy = { shape.50001 = 'identification' }",
                "policy = { not_found = '6014' }",
                "policy = { bad_image = '6019' }",
                "policy = { max_results = 0 }",
                "policy = { max_results = 1001 }",
                "policy = { unknown_customer = 'a b' }",
                "policy = { trim_message = true }",
                "policy = { trim_messages = 1 }",
                "population = -1",
                "population = 1.5",
                "population = 10_000_000_001",
                "population = 'Indonesia'",
                "gallery = { shared = 'yes' }",
                "gallery = { people = [] }",
                "[[gallery.identities]]\nnik = '3174055708909001'\npictures = ['a.jpg']",
                "rules = 1",
                "[[rules]]",
            ],
        ),
        (
            Simulator,
            vec![
                "population = 285_000_000",
                "matcher = { perceptual = false }",
                "prefixes = ['/api/face-recognition', '/api%20/x/']",
                "peer = 'proxy-protocol'",
                "limits = { image_bytes = 5, image_pixels = 1, connections_per_peer = 3 }",
                "limits = { image_bytes = '2 mb' }",
                "limits = { image_bytes = '64KiB' }",
                "limits = { image_bytes = '1g' }",
                "capacity = { workers = 4, queue = 16, service_time = { uniform = ['1s', '2s'] } }",
            ],
            vec![
                "population = '285 million'",
                "matcher = { perceptual = 0 }",
                "matcher = { hash = 'dhash' }",
                "prefixes = []",
                "prefixes = ['api']",
                "prefixes = ['/']",
                "prefixes = ['/a//b']",
                "prefixes = ['/a?b']",
                "peer = 'proxy'",
                "limits = { image_bytes = -1 }",
                "limits = { image_bytes = '1.5MiB' }",
                "limits = { image_bytes = '10TiB' }",
                "limits = { image_bytes = '' }",
                "limits = { pixels = 1 }",
                "limit = {}",
                "capacity = { workers = 0 }",
                "capacity = 4",
            ],
        ),
        (
            Gallery,
            vec![
                "identities = []",
                "[[identities]]\nnik = '3174055708909001'\nname = 'A'\npictures = ['a.jpg', 'b/..c.png', '.d.jpg']",
                "[[identities]]\nnik = '3174055708909001'\nname = 'A'\npictures = []\nsimilar = [{ nik = '3174055708909002', score = 6.5 }, { nik = '3174055708909003', score = 20 }]",
            ],
            vec![
                "[[identities]]\nnik = '3174055708909001'\nname = 'A'\npictures = []\nsimilar = [{ nik = '317405570890900', score = 5 }]",
                "[[identities]]\nnik = '3174055708909001'\nname = 'A'\npictures = []\nsimilar = [{ nik = '3174055708909002', score = 0 }]",
                "[[identities]]\nnik = '3174055708909001'\nname = 'A'\npictures = []\nsimilar = [{ nik = '3174055708909002', score = 20.5 }]",
                "[[identities]]\nnik = '3174055708909001'\nname = 'A'\npictures = []\nsimilar = [{ nik = '3174055708909002' }]",
                "people = []",
                "[[identities]]\nnik = '3174055708909001'\nname = 'A'",
                "[[identities]]\nnik = '317405570890900'\nname = 'A'\npictures = []",
                "[[identities]]\nnik = '0074055708909001'\nname = 'A'\npictures = []",
                "[[identities]]\nnik = '3174054002909001'\nname = 'A'\npictures = []",
                "[[identities]]\nnik = 3174055708909001\nname = 'A'\npictures = []",
                "[[identities]]\nnik = '3174055708909001'\nname = 'A'\npictures = ['../a.jpg']",
                "[[identities]]\nnik = '3174055708909001'\nname = 'A'\npictures = ['/a.jpg']",
                "[[identities]]\nnik = '3174055708909001'\nname = 'A'\npictures = ['']",
                "[[identities]]\nnik = '3174055708909001'\nname = 'A'\npictures = ['a\\b.jpg']",
            ],
        ),
    ];
    let mut cases: Vec<(FileKind, String, bool)> = Vec::new();
    for (kind, right, wrong) in table {
        cases.extend(right.into_iter().map(|text| (kind, text.to_owned(), true)));
        cases.extend(wrong.into_iter().map(|text| (kind, text.to_owned(), false)));
    }
    let values = |key: &str, right: &[&str], wrong: &[&str]| {
        let case = |value: &&str, good| (Customer, rule(&key.replace("{}", value)), good);
        let right = right.iter().map(|value| case(value, true));
        right.chain(wrong.iter().map(|value| case(value, false))).collect::<Vec<_>>()
    };
    cases.extend(values(
        "when = { threshold = {} }",
        &[
            "7",
            "7.5",
            "'7'",
            "'5..7'",
            "' 5 .. 7.25 '",
            "'5..'",
            "'..-1'",
            "'>=.5'",
            "'> 1e3'",
            "'<=5'",
            "'<5'",
        ],
        &["true", "''", "'..'", "'x'", "'1..x'", "'>'", "'=5'", "'nan'", "'inf'", "[1]"],
    ));
    cases.extend(values(
        "ttl = {}",
        &["'250ms'", "'2m 30s'", "'1.5s'", "'0h 5m 0s'", "' 1 h '", "'5µs'", "'0.5s'", "'1M'", "'2days'"],
        &[
            "'0'", "'0s'", "'0.0s'", "'0h 0m'", "250", "'250'", "''", "'-1s'", "'1x'", "'ms'", "'1s,2s'",
            "'1ss'", "'1.s'",
        ],
    ));
    cases.extend(values(
        "when = { window = {} }",
        &["'10s..40s'", "'10s..'", "'..40s'", "'1m 30s .. 2m'", "'10s'", "'>=10s'", "'< 1m 30s'"],
        &["'10..40'", "10", "'a..b'", "'-1s..2s'", "'..'", "'>'", "'>=10'"],
    ));
    cases.extend(values(
        "when = { clock = {} }",
        &["'09:00..17:00'", "'22:00 .. 6:30:15'"],
        &["'9..17'", "'25:00..09:00'", "'09:60..10:00'", "'09:00'", "'09:00..'"],
    ));
    cases.extend(values(
        "when = { {} }",
        &[
            "outcome = '6018'",
            "transaction_id = 'T-*'",
            "ip = '10.0.0.0/8'",
            "header = { user-agent = '/x/' }",
            "image = { size = '1000..' }",
            "request = 3",
            "state = ''",
        ],
        &[
            "outcom = '6018'",
            "outcome = 6018",
            "header = 'x'",
            "image = { sha256 = 'xyz' }",
            "image = { width = 1 }",
            "state = 1",
        ],
    ));
    cases.extend(values(
        "{}",
        &[
            "rate = 1",
            "rate = 0.5",
            "exact = '7/10'",
            "per = 'image'",
            "times = 1",
            "ramp = { from = 0, to = 0.5, over = '60s' }",
        ],
        &[
            "rate = 0",
            "rate = 1.5",
            "rate = '0.5'",
            "exact = '7'",
            "exact = '1/99999999'",
            "per = 'ip'",
            "times = 0",
            "every = 0",
            "name = 'a/b'",
            "name = ''",
            "checks = 'none'",
            "ramp = { from = 0.0, to = 0.5 }",
            "ramp = { from = 0.0, to = 2.0, over = '60s' }",
            "repyl = {}",
        ],
    ));
    cases.extend(values(
        "delay = {}",
        &[
            "'250ms'",
            "'0'",
            "{ uniform = ['1s', '2s'] }",
            "{ lognormal = { median = '1s', p99 = '2s' } }",
            "{ from = 'x.csv' }",
        ],
        &[
            "250",
            "{}",
            "{ uniform = ['1s'] }",
            "{ normal = { mean = '1s' } }",
            "{ normal = { mean = '1s', sd = '1s' }, exponential = { mean = '1s' } }",
            "{ gamma = 1 }",
        ],
    ));
    cases.extend(values(
        "reply = {}",
        &["{ code = '6014' }", "{ sample = '6018' }", "{ status = 404, headers = { x = 'y' }, body = '' }"],
        &[
            "{}",
            "{ code = 6014 }",
            "{ code = '6014', sample = '6018' }",
            "{ status = 99 }",
            "{ body = 'x' }",
            "{ kode = '1' }",
        ],
    ));
    cases.extend(values(
        "fault = {}",
        &[
            "{ kind = 'truncate', at = 5 }",
            "{ kind = 'truncate', at = 0.5, end = 'fin' }",
            "{ kind = 'hang' }",
        ],
        &[
            "{}",
            "'hang'",
            "{ kind = 'rest' }",
            "{ kind = 'hang', for = '1s' }",
            "{ kind = 'truncate', at = 1.5 }",
            "{ kind = 'truncate', at = -1 }",
            "{ kind = 'truncate', end = 'x' }",
            "{ kind = 'gateway_page', status = 500 }",
            "{ kind = 'bad_length', by = 0 }",
            "{ kind = 'dribble', chunks = 0 }",
            "{ kind = 'garbage', bytes = 99999999 }",
        ],
    ));
    cases.push((Customer, does("delay = '1s'"), true));
    cases.push((Customer, does("name = 'idle'"), false));
    let validators = FileKind::ALL.map(|kind| (kind, validator(kind)));
    let mut disagree = Vec::new();
    for (kind, text, good) in &cases {
        let loaded = loads(*kind, text);
        let (_, validator) = validators.iter().find(|(known, _)| known == kind).unwrap();
        let valid = validator.is_valid(&json(text));
        if (loaded.is_ok(), valid) != (*good, *good) {
            disagree.push(format!("{text}\n  loading: {loaded:?}, schema: {valid}, expected: {good}"));
        }
    }
    assert!(disagree.is_empty(), "{}", disagree.join("\n"));
}
