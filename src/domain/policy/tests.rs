//! The policy table against the code, and how values are read, merged and layered.

use super::keys::FIXED;
use super::*;
use crate::protocol::Provenance;

#[test]
fn the_table_lists_exactly_the_keys_of_the_specification() {
    let error = toml::from_str::<PolicySpec>("nonsense = 1").unwrap_err();
    let names = crate::base::suggestion::expected_names(error.message());
    let table: Vec<_> = KEYS.iter().map(|key| key.name).collect();
    assert_eq!(names, table);
}

#[test]
fn the_tables_defaults_are_the_defaults() {
    for key in KEYS.iter().filter(|key| key.name != "shape") {
        let spec: PolicySpec = toml::from_str(&format!("{} = {}", key.name, key.default))
            .unwrap_or_else(|error| panic!("{}: {error}", key.name));
        assert_eq!(Policy::default().with(&spec), Policy::default(), "{}", key.name);
        assert_ne!(spec, PolicySpec::default(), "{}", key.name);
    }
}

#[test]
fn every_key_changes_the_policy_and_merges() {
    let changed = [
        r#"precedence = ["ip"]"#,
        r#"layout = "compact""#,
        r#"shape.5001 = "identification""#,
        r#"transaction_id = "literal""#,
        r#"uid = "x""#,
        r#"quota_limiter = "limit""#,
        r#"face_threshold = "7.0""#,
        r#"numbers = "loose""#,
        r#"malformed_json = "400""#,
        r#"content_type = "415""#,
        r#"accept = "406""#,
        r#"head = "tomcat""#,
        r#"types = "native""#,
        "trim_messages = true",
        r#"not_found = "6019""#,
        r#"quota_counts = "all""#,
        r#"unknown_customer = "5004""#,
        r#"wrong_methode = "5001""#,
        r#"bad_image = "6015""#,
        r#"base64 = "mime""#,
        "max_results = 3",
        "nik_min_age = 0",
    ];
    assert_eq!(changed.len(), KEYS.len());
    for text in changed {
        let spec: PolicySpec = toml::from_str(text).unwrap();
        assert_ne!(Policy::default().with(&spec), Policy::default(), "{text}");
        assert_eq!(PolicySpec::default().overlaid(&spec), spec, "{text}");
    }
}

#[test]
fn a_partial_precedence_is_completed_in_the_default_order() {
    let spec: PolicySpec = toml::from_str(r#"precedence = ["threshold", "quota"]"#).unwrap();
    let names: Vec<_> = Policy::default().with(&spec).precedence.iter().map(|check| check.name()).collect();
    assert_eq!(
        names,
        ["threshold", "quota", "parameters", "decryption", "account", "ip", "image", "capacity"]
    );
}

#[test]
fn wrong_values_are_rejected_with_the_reason() {
    for (text, expected) in [
        (r#"precedence = ["ip", "ip"]"#, "duplicate check ip"),
        (
            r#"not_found = "5001""#,
            "not_found must be \"6018\" or \"6019\", or { code = \"...\", error = \"...\" }",
        ),
        ("not_found = 6019", "expected \"6018\", \"6019\" or { code, error }"),
        (r#"not_found = { error = "x" }"#, "missing field `code`"),
        (r#"not_found = { code = "6020", text = "x" }"#, "unknown field `text`"),
        (r#"not_found = { code = "6 0" }"#, "a code is 1 to 32 letters"),
        (r#"numbers = "lose""#, "expected `strict` or `loose`"),
        (r#"malformed_json = "500""#, "expected `5004` or `400`"),
        (r#"content_type = "none""#, "expected `any` or `415`"),
        (r#"accept = "415""#, "expected `any` or `406`"),
        (r#"types = "json""#, "expected `documented` or `native`"),
        ("max_results = 0", "1 to 1000"),
        (r#"shape = { bogus = "verification" }"#, "must be codes of four digits, not \"bogus\""),
        (r#"shape.50001 = "verification""#, "did you mean \"5001\"?"),
        (r#"layout = "pretty""#, "expected one of `documented`, `compact`, `as-printed`"),
    ] {
        let error = toml::from_str::<PolicySpec>(text).unwrap_err();
        assert!(error.message().contains(expected), "{}", error.message());
    }
}

#[test]
fn not_found_is_written_as_it_is_read() {
    for text in [r#""6018""#, r#""6019""#, r#"{"code":"6020","error":"Tidak ada"}"#, r#"{"code":"6020"}"#] {
        let not_found: NotFound = serde_json::from_str(text).unwrap();
        assert_eq!(serde_json::to_string(&not_found).unwrap(), text);
    }
    let short: NotFound = serde_json::from_str(r#"{"code":"6019","error":null}"#).unwrap();
    assert_eq!(serde_json::to_string(&short).unwrap(), r#""6019""#);
    for (code, standing) in
        [("6018", Provenance::Doc), ("6020", Provenance::Observed), ("6999", Provenance::Assumed)]
    {
        let not_found = NotFound { code: Code::new(code).unwrap(), error: None };
        assert_eq!(not_found.standing(), standing, "{code}");
    }
}

/// Names and values of the keys that differ from the defaults, in the order of the table.
fn differing(spec: &PolicySpec) -> Vec<String> {
    let (policy, default) = [Policy::default().with(spec), Policy::default()]
        .map(|policy| crate::base::json::value(&policy))
        .into();
    let keys = KEYS.iter().map(|key| key.name).filter(|key| policy[key] != default[key]);
    keys.map(|key| format!("{key} = {}", policy[key])).collect()
}

#[test]
fn the_presets_set_what_the_specification_says() {
    assert_eq!(Preset::Documented.built_in(), PolicySpec::default());
    assert_eq!(
        differing(&Preset::Probable.built_in()),
        [
            r#"layout = "compact""#,
            r#"shape = {"5001":"identification","5005":"identification"}"#,
            r#"numbers = "loose""#,
            r#"malformed_json = "400""#,
            r#"content_type = "415""#,
            r#"accept = "406""#,
            r#"head = "tomcat""#,
        ]
    );
    assert_eq!(Preset::Probable.built_in().face_threshold.as_deref(), Some("echo"));
}

#[test]
fn presets_are_named() {
    for name in ["documented", "probable", "measured:a/b.toml", "measured:C:\\m.toml"] {
        assert_eq!(name.parse::<Preset>().unwrap().to_string(), name);
    }
    for (name, expected) in [
        ("probabel", "did you mean \"probable\"?"),
        ("", "documented, probable or measured:FILE"),
        ("Documented", "did you mean \"documented\"?"),
        ("measured", "measured needs a file"),
        ("measured:", "measured needs a file"),
    ] {
        let error = name.parse::<Preset>().unwrap_err();
        assert!(error.contains(expected), "{name}: {error}");
    }
}

#[test]
fn the_last_layer_that_sets_a_key_decides_it() {
    let spec = |text: &str| toml::from_str::<PolicySpec>(text).unwrap();
    let layers = PolicyLayers {
        preset: Preset::Probable.built_in(),
        file: spec("layout = 'as-printed'\naccept = 'any'\nuid = 'x'\nshape.5001 = 'verification'"),
        flags: spec("layout = 'documented'"),
        ..PolicyLayers::default()
    };
    for (key, expected) in [
        ("layout", PolicySource::Flag),
        ("accept", PolicySource::File),
        ("uid", PolicySource::File),
        ("shape", PolicySource::File),
        ("numbers", PolicySource::Preset),
        ("face_threshold", PolicySource::Preset),
        ("base64", PolicySource::Default),
    ] {
        assert_eq!(layers.source(key), expected, "{key}");
    }
    let policy = layers.policy();
    assert_eq!((policy.layout, policy.accept), (Layout::Documented, AcceptPolicy::Any));
    assert_eq!(policy.numbers, NumberMode::Loose);
    let shapes = [&Code::ACCOUNT, &Code::THRESHOLD].map(|code| policy.shape_of(code));
    assert_eq!(shapes, [Shape::Verification, Shape::Identification], "merged code by code");
}

#[test]
fn the_printed_table_has_each_key_with_its_value_source_and_standing() {
    let file = toml::from_str("not_found = { code = '6020', error = 'Tidak ada' }\nmax_results = 3").unwrap();
    let preset = Preset::Probable.built_in();
    let text = table(&PolicyLayers { preset, file, ..PolicyLayers::default() }, 80, TODAY);
    let row = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{key} "))).unwrap_or_default();
        let starts = ["key", "value", "from", "standing"].map(|column| text.find(column).unwrap());
        let ends = starts[1..].iter().copied().chain([line.len()]);
        starts.iter().zip(ends).map(|(start, end)| line[*start..end].trim().to_owned()).collect::<Vec<_>>()
    };
    for key in &KEYS {
        assert_eq!((row(key.name)[0].as_str(), &row(key.name)[3]), (key.name, &key.standing.to_string()));
    }
    assert_eq!(row("max_results"), ["max_results", "3", "file", "doc"]);
    assert_eq!(row("head"), ["head", "\"tomcat\"", "preset", "assumed"]);
    assert_eq!(row("base64"), ["base64", "\"strict\"", "default", "assumed"]);
    assert_eq!(row("shape"), ["shape", "as below", "preset", "doc"]);
    for listed in [
        "\n    shape = { 5001 = \"identification\", 5005 = \"identification\" }\n",
        "\n    not_found = { code = \"6020\", error = \"Tidak ada\" }\n",
        "\n    precedence = [\"parameters\", \"decryption\", ",
    ] {
        assert!(text.contains(listed), "{text}");
    }
    assert!(FIXED.iter().all(|fixed| text.contains(&format!("\n{} ", fixed.name))), "{text}");
    assert!(text.contains("\n    default: \"plain\"\n"), "{text}");
    for width in [60, 80, 120] {
        let text = table(&PolicyLayers::default(), width, TODAY);
        assert!(text.lines().all(|line| line.chars().count() <= width), "{width}: {text}");
    }
}

const TODAY: jiff::civil::Date = jiff::civil::date(2026, 12, 31);

#[test]
fn the_table_says_what_was_measured_where_it_contradicts_and_what_is_old() {
    let measured = |key: &str, at: &str, cases: &[&str]| Measurement {
        key: key.to_owned(),
        at: at.to_owned(),
        target: "fr-1n".to_owned(),
        run: "run-1".to_owned(),
        cases: cases.iter().map(ToString::to_string).collect(),
        calls: 1,
        suite: 1,
    };
    let spec = |text: &str| toml::from_str::<PolicySpec>(text).unwrap();
    let layers = PolicyLayers {
        preset: spec(
            "not_found = '6019'\nlayout = 'compact'\nshape.5001 = 'verification'\naccept = '406'\nhead = 'plain'",
        ),
        measured: vec![
            measured("not_found", "2026-12-01T20:51:07+07:00", &["match/none"]),
            measured("layout", "2026-12-01T20:51:07+07:00", &["4.5/empty-object"]),
            measured("shape.5001", "2025-12-30T23:59:00+07:00", &["4.3/unknown-user", "order/eliminate"]),
            measured("accept", "2026-12-01T20:51:07+07:00", &["http/accept-xml"]),
        ],
        file: spec("accept = 'any'"),
        flags: PolicySpec::default(),
    };
    let text = table(&layers, 120, TODAY);
    let standing = |key: &str| {
        let line = text.lines().find(|line| line.starts_with(&format!("{key} "))).unwrap();
        line.rsplit(' ').next().unwrap().to_owned()
    };
    for (key, expected) in [
        ("not_found", "measured"),
        ("layout", "measured"),
        ("shape", "measured"),
        ("accept", "assumed"),
        ("head", "assumed"),
    ] {
        assert_eq!(standing(key), expected, "{key}: a file decides accept, and nothing measured head");
    }
    for line in [
        "    measured 2026-12-01 at fr-1n by match/none\n",
        "    measured 2026-12-01 at fr-1n by 4.5/empty-object, against the document\n",
        "    shape.5001 measured 2025-12-30 at fr-1n by 4.3/unknown-user, order/eliminate; stale: ",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert_eq!(text.matches("stale").count(), 1, "{text}");
    assert!(text.lines().all(|line| line.chars().count() <= 120));
}
