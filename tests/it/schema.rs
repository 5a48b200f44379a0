//! The command `schema`: its output has every key and kind, accepts valid files, and rejects unknown keys and wrong types.

use std::collections::BTreeSet;
use std::process::Output;

use FileKind::{Customer, Gallery, Simulator};
use dukcapil_fr_sim::internals::config::model::GallerySpec;
use dukcapil_fr_sim::internals::config::schema::FileKind;
use dukcapil_fr_sim::internals::config::{CustomerSpec, SimulatorSpec, source};
use dukcapil_fr_sim::internals::domain::faults::KINDS;
use dukcapil_fr_sim::internals::domain::policy;
use dukcapil_fr_sim::internals::domain::rules::{Rule, joined};
use jsonschema::Validator;
use serde_json::Value;

fn run(arguments: &[&str]) -> Output {
    crate::binary::run(&[&["schema"], arguments].concat())
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
            spec.rules.as_deref().into_iter().flatten().try_for_each(|rule| {
                Rule::new(rule, 1, &any_file).map(drop).map_err(|errors| joined(&errors))
            })
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

/// Editors and collections of schemas know a schema by its `$id`, and whether they may ship it by its licence.
#[test]
fn each_schema_has_its_own_id_and_the_licence() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(run(&["--out", directory.path().to_str().unwrap()]).status.code(), Some(0));
    let mut names = BTreeSet::new();
    for file in std::fs::read_dir(directory.path()).unwrap().map(Result::unwrap) {
        let schema: Value = serde_json::from_slice(&std::fs::read(file.path()).unwrap()).unwrap();
        let name = file.file_name().into_string().unwrap().replace(".schema.json", "");
        assert_eq!(schema["$id"], format!("urn:dukcapil-fr-sim:schema:{name}"));
        assert_eq!(schema["$comment"], "SPDX-License-Identifier: MIT OR Apache-2.0", "{name}");
        names.insert(name);
    }
    assert_eq!(
        names.iter().map(String::as_str).collect::<Vec<_>>(),
        ["conformance-report", "customer", "gallery", "simulator"]
    );
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
            let text = format!("rules = [{{ fault = {{ kind = '{}', {name} = {value} }} }}]", kind.name);
            let taken = kind.takes.contains(&name);
            assert_eq!(customer.is_valid(&json(&text)), taken, "{text}");
            assert_eq!(loads(Customer, &text).is_ok(), taken, "{text}");
        }
    }
}

/// A file of the kind with a hole for a value of the type.
const PLACES: [(&str, FileKind, &str); 21] = [
    (
        "BodyTemplate",
        Simulator,
        "[matcher.faces]\nurl = 'http://[::1]/'\nvectors = 'v'\nstrangers = { mean = 0, deviation = 1 }\nbody = {}",
    ),
    (
        "EngineUrl",
        Simulator,
        "[matcher.faces]\nurl = {}\nvectors = 'v'\nstrangers = { mean = 0, deviation = 1 }",
    ),
    (
        "NoFace",
        Simulator,
        "[matcher.faces]\nurl = 'http://[::1]/'\nvectors = 'v'\nstrangers = { mean = 0, deviation = 1 }\nno_face = {}",
    ),
    (
        "VectorPath",
        Simulator,
        "[matcher.faces]\nurl = 'http://[::1]/'\nvectors = {}\nstrangers = { mean = 0, deviation = 1 }",
    ),
    ("AllowedNetwork", Customer, "access = { allow = [{}] }"),
    ("CustomerId", Customer, "customer_id = {}"),
    ("DurationText", Customer, "capacity = { service_time = {} }"),
    ("IpPattern", Customer, "rules = [{ delay = '1s', when = { ip = {} } }]"),
    ("Methode", Customer, "methode = [{}]"),
    ("NikText", Gallery, "identities = [{ nik = {}, name = 'A', pictures = [] }]"),
    ("NumberRange", Customer, "rules = [{ delay = '1s', when = { threshold = {} } }]"),
    ("Offset", Customer, "rules = [{ fault = { kind = 'truncate', at = {} } }]"),
    ("PathPrefix", Simulator, "prefixes = [{}]"),
    ("Pattern", Customer, "rules = [{ delay = '1s', when = { header = { x = {} } } }]"),
    ("PictureName", Gallery, "identities = [{ nik = '3174055708909001', name = 'A', pictures = [{}] }]"),
    (
        "PlantedScore",
        Gallery,
        "identities = [{ nik = '3174055708909001', name = 'A', pictures = [], similar = [{ nik = '3174055708909002', score = {} }] }]",
    ),
    ("Population", Simulator, "population = {}"),
    ("Size", Simulator, "limits = { image_bytes = {} }"),
    ("TimeOfDay", Customer, "rules = [{ delay = '1s', when = { clock = {} } }]"),
    ("Ttl", Customer, "rules = [{ delay = '1s', ttl = {} }]"),
    ("Window", Customer, "rules = [{ delay = '1s', when = { window = {} } }]"),
];

/// Collects the places of all examples in a schema.
fn examples(place: &str, schema: &Value, found: &mut Vec<String>) {
    for (name, value) in schema.as_object().into_iter().flatten() {
        if name == "examples" {
            found.push(place.to_owned())
        } else {
            examples(&format!("{place}/{name}"), value, found)
        }
    }
    for value in schema.as_array().into_iter().flatten() {
        examples(place, value, found);
    }
}

fn assert_own_examples_are_valid(schema: &Value, place: &str) {
    let part = schema.pointer(place).unwrap();
    let alone = serde_json::json!({ "definitions": schema["definitions"], "allOf": [part] });
    let validator = jsonschema::draft7::new(&alone).unwrap();
    let examples = part["examples"].as_array().unwrap();
    assert!(!examples.is_empty() && examples.iter().all(|example| validator.is_valid(example)), "{place}");
}

#[test]
fn every_example_loads_and_is_valid() {
    let mut seen = BTreeSet::new();
    for schema in FileKind::ALL.map(FileKind::schema) {
        let mut found = Vec::new();
        examples("", &schema, &mut found);
        for place in found {
            let name = place.strip_prefix("/definitions/").unwrap_or_default();
            let Some((name, kind, file)) = PLACES.iter().find(|(known, ..)| *known == name) else {
                // An example of a key or a table: `messages.rs` loads those.
                assert_own_examples_are_valid(&schema, &place);
                continue;
            };
            let validator = validator(*kind);
            for example in schema["definitions"][name]["examples"].as_array().unwrap() {
                let text = file.replace("{}", &example.to_string());
                assert_eq!(loads(*kind, &text), Ok(()), "{text}");
                assert!(validator.is_valid(&json(&text)), "{text}");
            }
            seen.insert(*name);
        }
    }
    assert_eq!(seen, PLACES.iter().map(|(name, ..)| *name).collect());
}

/// An editor must not mark anything in a valid file.
#[test]
fn valid_files_are_valid() {
    let files = [
        (
            Customer,
            "customer_id = 'a-b_c.d'
            extends = 'demo'
            methode = ['CALL_FN', 'Ünïcode x']
            key = 'bank.pem'
            population = 0
            quota = { per_day = 0 }
            access = { allow = ['127.0.0.1', '::1', 'fe80::/10'], peer = true }
            capacity = { workers = 1, queue = 0, service_time = { exponential = { mean = '1s' } } }
            policy = { precedence = ['ip', 'account'], max_results = 1000, unknown_customer = 'X-1', shape = { 5001 = 'identification', 9999 = 'verification' } }
            gallery = { shared = false, identities = [{ nik = '3174055708909001', name = 'A', pictures = ['a.jpg'] }] }",
        ),
        (
            Customer,
            "policy = { numbers = 'loose', malformed_json = '400', content_type = '415', accept = '406', types = 'native', not_found = { code = 'X-1', error = '' } }",
        ),
        (Simulator, "policy = { face_threshold = 'verbatim', malformed_json = '5004', content_type = 'any', accept = 'any', not_found = { code = '6018' } }"),
        (
            Customer,
            "rules = [
                { when = { threshold = 7.5, request = 3, in_flight = '>=2', outcome = '6018' }, set_state = '' },
                { when = { image = { size = '1000..' }, window = '< 1m 30s', state = '' }, delay = '0' },
                { rate = 1, delay = { uniform = ['1s', '2s'] } },
                { rate = 0.5, delay = { lognormal = { median = '1s', p99 = '2s' } } },
                { exact = '7/10', per = 'image', delay = { from = 'x.csv' } },
                { ramp = { from = 0, to = 0.5, over = '60s' }, times = 1, every = 1, skip = 0, ttl = '2m 30s', set_state = 'x' },
                { checks = 'skip', reply = { code = '6014', candidates = [{ nik = 'x', score = 1 }], shape = 'verification' } },
                { reply = { sample = '6018' } },
                { reply = { status = 404, headers = { x = 'y' }, body = '' } },
                { fault = { kind = 'truncate', at = 5 } },
                { fault = { kind = 'truncate', at = 1.0, end = 'fin' } },
                { fault = { kind = 'hang' } },
            ]",
        ),
        (
            Simulator,
            "prefixes = ['/api/face-recognition', '/api%20/x/']
            peer = 'proxy-protocol'
            matcher = { perceptual = false }
            limits = { image_bytes = '2 mb', image_pixels = 1, connections_per_peer = 3 }",
        ),
        (Gallery, ""),
    ];
    for (kind, text) in files {
        assert_eq!(loads(kind, text), Ok(()));
        let errors: Vec<_> =
            validator(kind).iter_errors(&json(text)).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{errors:?}");
    }
}

/// What the schema rejects, the loader rejects too.
#[test]
fn invalid_files_are_invalid() {
    let rules = [
        "name = ''",
        "repyl = {}",
        "per = 'ip'",
        "times = 0",
        "every = 0",
        "rate = 0",
        "rate = 1.5",
        "ramp = { from = 0.0, to = 0.5 }",
        "ramp = { from = 0.0, to = 2.0, over = '60s' }",
        "when = { outcom = '6018' }",
        "when = { outcome = 6018 }",
        "when = { image = { sha256 = 'abc' } }",
        "delay = {}",
        "delay = { uniform = ['1s'] }",
        "delay = { uniform = ['1s', '2s'], exponential = { mean = '1s' } }",
        "reply = {}",
        "reply = { code = '6014', sample = '6018' }",
        "reply = { status = 99 }",
        "reply = { body = 'x' }",
        "fault = {}",
        "fault = { kind = 'rest' }",
        "fault = { kind = 'truncate', at = 1.5 }",
        "fault = { kind = 'truncate', at = -1 }",
        "fault = { kind = 'truncate', end = 'x' }",
        "fault = { kind = 'gateway_page', status = 500 }",
        "fault = { kind = 'bad_length', by = 0 }",
        "fault = { kind = 'dribble', chunks = 0 }",
        "fault = { kind = 'garbage', bytes = 99999999 }",
    ];
    let customers = [
        "methodes = ['X']",
        "quota = { per_day = -1 }",
        "capacity = { workers = 0 }",
        "policy = { layout = 'pretty' }",
        "policy = { precedence = ['ip', 'ip'] }",
        "policy = { shape = { bogus = 'identification' } }",
        "policy = { not_found = '6014' }",
        "policy = { not_found = { error = 'x' } }",
        "policy = { not_found = { code = '6019', text = 'x' } }",
        "policy = { not_found = 6019 }",
        "policy = { numbers = 'lenient' }",
        "policy = { malformed_json = '415' }",
        "policy = { content_type = '400' }",
        "policy = { accept = 406 }",
        "policy = { types = 'numbers' }",
        "policy = { bad_image = '6019' }",
        "policy = { max_results = 1001 }",
        "policy = { unknown_customer = '' }",
        "gallery = { identities = [{ nik = '3174055708909001', pictures = ['a.jpg'] }] }",
        "[[rules]]\nname = 'idle'",
    ];
    let simulators = ["limit = {}", "prefixes = []", "peer = 'proxy'", "population = 10_000_000_001"];
    let no_type = |(_, kind, file): &(&str, FileKind, &str)| (*kind, file.replace("{}", "true"));
    let files = rules
        .map(|text| (Customer, format!("[[rules]]\nset_state = 'x'\n{text}")))
        .into_iter()
        .chain(customers.map(|text| (Customer, text.to_owned())))
        .chain(simulators.map(|text| (Simulator, text.to_owned())))
        .chain(PLACES.iter().map(no_type));
    let validators = FileKind::ALL.map(validator);
    for (kind, text) in files {
        assert!(loads(kind, &text).is_err(), "{text}");
        assert!(!validators[kind as usize].is_valid(&json(&text)), "{text}");
    }
}
