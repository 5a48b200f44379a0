//! The `nik` commands, as a user runs them.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::support::{MORNING, elsewhere};

const GOOD: &str = "3174055708909990";

/// Runs a command with a stopped clock and this stdin.
fn nik(args: &[&str], stdin: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_dukcapil-fr-sim"))
        .arg("nik")
        .args(args)
        .current_dir(elsewhere())
        .env("FRSIM_CLOCK", MORNING)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pipe = child.stdin.take().unwrap();
    let text = stdin.to_owned();
    // A command that does not read stdin may have exited before.
    let writing = std::thread::spawn(move || drop(pipe.write_all(text.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writing.join().unwrap();
    output
}

/// Returns exit code and stdout.
fn out(args: &[&str], stdin: &str) -> (i32, String) {
    let output = nik(args, stdin);
    (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
}

#[test]
fn parse_prints_a_table() {
    let expected = "\
NIK               valid  birth date  age  sex    serial  region
3174055708909990  yes    1990-08-17   36  woman  9990    Kebayoran Lama, Kota Administrasi Jakarta Selatan, Daerah Khusus Ibukota Jakarta
9101011708909990  yes    1990-08-17   36  man    9990    Merauke, KAB. MERAUKE, Papua (until 2022; now 930101 Merauke, Kabupaten Merauke, Papua Selatan)
1234567891234567  no     -             -  woman  4567    -
                  digits 3-4: no decree since 2015 has the regency or city 1234; NIKs with an older code exist
                  digits 7-8: day 78 is neither 01-31 (a man) nor 41-71 (a woman)
x                 no     -             -  -      -       -
                  digit 1: 'x' is not a digit 0-9
";
    let niks = [GOOD, "9101011708909990", "1234567891234567", "x"];
    let by_arguments = nik(&[&["parse"][..], &niks[..]].concat(), "");
    assert_eq!(String::from_utf8(by_arguments.stdout).unwrap(), expected);
    assert_eq!(by_arguments.status.code(), Some(1));
    assert_eq!(String::from_utf8(by_arguments.stderr).unwrap(), "4 NIKs, 2 invalid\n");
    assert_eq!(out(&["parse"], &niks.join("\n")), (1, expected.to_owned()));
    assert_eq!(out(&["parse", GOOD], "").0, 0);
}

#[test]
fn parse_prints_json() {
    let (code, text) = out(&["parse", "--json", "9101011708909990", "3174054002900000"], "");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, lines.len()), (1, 2));
    let now = json!({
        "code": "930101", "province": "Papua Selatan", "regency": "Kabupaten Merauke", "district": "Merauke", "legacy": null,
    });
    let region = json!({
        "code": "910101", "province": "Papua", "regency": "KAB. MERAUKE", "district": "Merauke",
        "legacy": { "last_seen": 2022, "successor": now },
    });
    assert_eq!(
        lines[0],
        json!({
            "nik": "9101011708909990", "valid": true, "region": region, "birth_date": "1990-08-17", "age": 36, "sex": "man",
            "serial": "9990", "problems": [],
        })
    );
    assert_eq!((&lines[1]["birth_date"], &lines[1]["serial"]), (&Value::Null, &Value::Null));
    let names: Vec<_> = lines[1]["problems"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["day", "no_serial"]);
}

#[test]
fn validate_says_what_is_wrong_and_exits_1() {
    let (code, text) = out(&["validate"], &format!("{GOOD}\r\n\n  {GOOD}  \n３\n3174052902019990"));
    let expected = format!(
        "valid    {GOOD}\nvalid    {GOOD}\ninvalid  ３                 digit 1: '３' is not a digit 0-9\n\
         invalid  3174052902019990  digits 7-12: there is no 2001-02-29\n"
    );
    assert_eq!((code, text), (1, expected));
    assert_eq!(out(&["validate", GOOD], ""), (0, format!("valid    {GOOD}\n")));
    let (code, text) = out(&["validate", "--json", "317405"], "");
    let problem = json!({
        "name": "too_short", "digits": [1, 16],
        "message": "digits 1-16: expected 16 digits, got 6; parsing needs at least 7",
    });
    assert_eq!(code, 1);
    assert_eq!(
        serde_json::from_str::<Value>(&text).unwrap(),
        json!({ "nik": "317405", "valid": false, "problems": [problem] })
    );
    assert_eq!(out(&["validate"], ""), (0, String::new()));
}

#[test]
fn control_characters_are_not_printed() {
    for command in ["parse", "validate"] {
        let (code, text) = out(&[command], "\u{1b}[31m\u{7}\n");
        assert_eq!(code, 1);
        assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
    }
}

#[test]
fn an_endless_line_is_invalid_and_not_buffered() {
    let (code, text) = out(&["validate"], &format!("{}\n{GOOD}\n", "9".repeat(1 << 20)));
    assert_eq!((code, text.lines().count()), (1, 2));
    assert!(text.ends_with(&format!("valid    {GOOD}\n")) && text.len() < 1000, "{} bytes", text.len());
}

#[test]
fn ages_follow_the_clock_and_the_minimum_age_is_a_flag() {
    let (code, text) = out(&["validate", "3174052211099990"], "");
    assert!(code == 1 && text.contains("age 16"), "{text}");
    assert_eq!(out(&["validate", "3174052211099990", "--min-age", "16"], "").0, 0);
    assert_eq!(
        out(&["validate", "3174052211099990", "--clock", "2026-11-21T17:00:00Z"], "").0,
        0,
        "midnight in Jakarta"
    );
}

#[test]
fn generate_follows_its_criteria() {
    let (code, text) = out(
        &[
            "generate",
            "--region",
            "3174",
            "--birth-date",
            "1990-08-17",
            "--sex",
            "woman",
            "--serial",
            "9001",
            "--count",
            "3",
        ],
        "",
    );
    assert_eq!((code, text.lines().count()), (0, 3));
    for line in text.lines() {
        assert!(line.starts_with("3174") && line.ends_with("5708909001"), "{line}");
    }
    let (_, text) = out(&["generate", "--json", "--seed", "1"], "");
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap()["valid"], true);
}

#[test]
fn a_seed_always_generates_the_same_niks() {
    let (_, text) = out(&["generate", "--seed", "42", "--count", "3"], "");
    assert_eq!(text, "7403156212669701\n7317091012839605\n1703115009059850\n");
    assert_ne!(out(&["generate", "--count", "3"], "").1, out(&["generate", "--count", "3"], "").1);
}

#[test]
fn impossible_criteria_exit_2_with_the_reason() {
    for (args, reason) in [
        (&["--region", "37"][..], "no district code starts with this prefix"),
        (&["--region", "317"], "31, 3174 or 317405"),
        (&["--birth-date", "17-08-1990"], "write a date as YYYY-MM-DD, such as 1990-08-17"),
        (&["--birth-date", "1920-01-01"], "would be parsed as 2020-01-01"),
        (&["--birth-date", "2010-01-01"], "16 years old"),
        (&["--serial", "0"], "the serial is not in the range 1 to 9999"),
        (&["--sex", "x"], "expected man or woman"),
        (&["--min-age", "100"], "cannot encode an age of 100"),
    ] {
        let output = nik(&[&["generate"], args].concat(), "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(2) && said.contains(reason), "{args:?}: {said}");
        assert_eq!(output.stdout, b"");
    }
}

#[test]
fn the_binary_contains_the_licence_of_the_region_data() {
    let (code, help) = out(&["--help"], "");
    assert_eq!(code, 0);
    let origin = include_str!("../../src/domain/nik/data/WILAYAH.md");
    let notice = origin
        .split("## MIT notice of the origin")
        .nth(1)
        .and_then(|rest| rest.split("\n# ").next())
        .unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words(&help).contains(&words(notice)), "{help}");
}

#[test]
fn a_closed_pipe_ends_the_command_quietly() {
    let script =
        format!("{} nik generate --count 1000000 | head -n 1", env!("CARGO_BIN_EXE_dukcapil-fr-sim"));
    let output = Command::new("sh").args(["-c", &script]).current_dir(elsewhere()).output().unwrap();
    assert_eq!((String::from_utf8(output.stdout).unwrap().len(), output.stderr), (17, Vec::new()));
}

#[test]
fn a_terminal_shows_progress_while_stdout_is_redirected() {
    let binary = env!("CARGO_BIN_EXE_dukcapil-fr-sim");
    let on_terminal = |command: &str| {
        let mut script = Command::new("script");
        script.args(["-qec", command, "/dev/null"]).current_dir(elsewhere()).stdin(Stdio::null());
        let output = script.output();
        output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Ok(known) = on_terminal(&format!("{binary} nik generate --count 100000 >/dev/null")) else {
        eprintln!("SKIPPED: script is not installed");
        return;
    };
    assert!(known.contains(" %, "), "{known}");
    let pipe = format!("{binary} nik generate --count 100000 | {binary} nik validate >/dev/null");
    let unknown = on_terminal(&pipe).unwrap();
    assert!(unknown.contains(" NIKs in ") && unknown.contains("100000 NIKs, 0 invalid"), "{unknown}");
    let shown = on_terminal(&format!("{binary} nik generate --count 3")).unwrap();
    assert!(!shown.contains('%'), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn generate_piped_into_validate_never_fails(seed: u64, days in 0_i64..100_000, min_age in 0_u32..100) {
        let today = jiff::civil::date(1945, 8, 17).checked_add(jiff::Span::new().days(days)).unwrap();
        let (clock, min_age, seed) = (format!("{today}T12:00:00+07:00"), min_age.to_string(), seed.to_string());
        let terms = ["--clock", &clock, "--min-age", &min_age];
        let (_, niks) = out(&[&["generate", "--count", "200", "--seed", &seed][..], &terms].concat(), "");
        prop_assert_eq!(niks.lines().count(), 200);
        let (code, text) = out(&[&["validate"][..], &terms].concat(), &niks);
        prop_assert_eq!(code, 0, "{}", text);
    }
}
