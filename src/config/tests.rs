//! Tests from fixture text to resolved customers or problems.

use std::borrow::Cow;
use std::sync::Arc;
use std::sync::LazyLock;

use super::load::{DOCUMENTED_PREFIXES, resolve};
use super::source::File;
use super::*;
use crate::domain::matcher::face::NoFace;
use crate::domain::nik::NikContext;
use crate::domain::policy::{Policy, PolicySpec, Preset};
use crate::keys::KeyRing;
use crate::protocol::{Code, Layout};

static KEY: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    crate::keys::read_or_generate(directory.path(), 1024).unwrap();
    directory
});

fn ring() -> KeyRing {
    let (key, _) = crate::keys::read_or_generate(KEY.path(), 1024).unwrap();
    KeyRing::new(key, Some(KEY.path().to_owned()))
}

/// Resolves the built-in files overlaid by these.
fn load_over(files: &[(&str, &str)]) -> Result<Fixtures, Vec<Problem>> {
    let mut all = source::built_in();
    for (name, text) in files {
        let file = File { shown: (*name).to_owned(), bytes: Cow::Owned(text.as_bytes().to_vec()) };
        all.insert((*name).to_owned(), file);
    }
    resolve(&all, ring(), &StartPolicy::default())
}

#[track_caller]
fn check_problem(files: &[(&str, &str)], expected: &str) {
    let problems = load_over(files).expect_err("a problem");
    let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(shown, [expected]);
}

const ACCOUNT: &str = "account = { user_id = 'u', password = 'p' }\n";

fn with_account(text: &str) -> String {
    format!("{ACCOUNT}{text}")
}

#[test]
fn the_built_in_fixtures_are_valid_and_complete() {
    let fixtures = load_over(&[]).unwrap();
    for outcome in crate::protocol::Outcome::documented() {
        for kind in ["always", "sample"] {
            assert!(
                fixtures.customers.contains_key(&format!("{kind}-{}", outcome.code)),
                "{kind} {}",
                outcome.code
            );
        }
    }
    assert_eq!(fixtures.customers["demo"].per_day, Some(80));
    assert_eq!(fixtures.customers["load"].per_day, None);
    assert_eq!(fixtures.customers["load"].allow, fixtures.customers["demo"].allow);
    for customer in fixtures.customers.values() {
        assert_eq!((&*customer.account.user_id, &*customer.account.password), ("demo-user", "demo-password"));
    }
    assert_eq!(*fixtures.policy, Policy::default());
    assert_eq!(fixtures.prefixes, DOCUMENTED_PREFIXES);
}

#[test]
fn the_gallery_holds_no_real_person() {
    let fixtures = load_over(&[]).unwrap();
    assert!(fixtures.gallery.identities().len() >= 10);
    for identity in fixtures.gallery.identities() {
        let serial: u16 = identity.nik[12..].parse().unwrap();
        assert!(serial >= 9000, "{}", identity.nik);
        let terms = NikContext { today: jiff::civil::date(2026, 11, 21), min_age: 17 };
        let reading = crate::domain::nik::read(&identity.nik, &terms).unwrap();
        assert!(reading.is_valid(), "{}: {:?}", identity.nik, reading);
    }
}

#[test]
fn a_customer_without_extends_has_the_documented_defaults() {
    let fixtures = load_over(&[("customers/bank.toml", ACCOUNT)]).unwrap();
    let bank = &fixtures.customers["bank"];
    assert_eq!(bank.methode, ["CALL_FN"]);
    assert!(bank.allow.is_none() && bank.per_day.is_none() && bank.rules.is_empty() && !bank.access_peer);
    assert_eq!(*bank.policy, Policy::default());
}

#[test]
fn extends_inherits_every_key_not_set() {
    let fixtures = load_over(&[
        ("customers/a.toml", "extends = 'b'\nquota = { per_day = 5 }\npolicy = { layout = 'compact' }"),
        ("customers/b.toml", "extends = 'demo'\nmethode = ['X', 'Y']\npolicy = { trim_messages = true }"),
    ])
    .unwrap();
    let a = &fixtures.customers["a"];
    assert_eq!((a.per_day, &*a.account.password), (Some(5), "demo-password"));
    assert_eq!(a.methode, ["X", "Y"]);
    assert!(a.policy.trim_messages && a.policy.layout == Layout::Compact);
    assert_eq!(*fixtures.customers["demo"].policy, Policy::default());
}

#[test]
fn a_customers_policy_overrides_the_command_line_and_that_overrides_the_simulators() {
    let mut files = source::built_in();
    for (name, text) in [
        ("simulator.toml", "[policy]\nlayout = 'as-printed'\nuid = 'x'"),
        (
            "customers/demo.toml",
            "account = { user_id = 'u', password = 'p' }\npolicy = { layout = 'documented' }",
        ),
    ] {
        let file = File { shown: name.to_owned(), bytes: Cow::Owned(text.as_bytes().to_vec()) };
        files.insert(name.to_owned(), file);
    }
    let flags = PolicySpec { layout: Some(Layout::Compact), ..PolicySpec::default() };
    let start = StartPolicy::new(&Preset::Documented, flags).unwrap();
    let fixtures = resolve(&files, ring(), &start).unwrap();
    assert_eq!((fixtures.policy.layout, &*fixtures.policy.uid), (Layout::Compact, "x"));
    assert_eq!(fixtures.customers["demo"].policy.layout, Layout::Documented);
    assert_eq!(fixtures.customers["load"].policy.layout, Layout::Compact);
}

#[test]
fn the_shipped_settings_leave_every_policy_key_to_the_preset() {
    let start = StartPolicy::new(&Preset::Probable, PolicySpec::default()).unwrap();
    let fixtures = resolve(&super::source::built_in(), ring(), &start).unwrap();
    let probable = Policy::default().with(&Preset::Probable.built_in());
    assert_eq!(*fixtures.policy, probable);
    assert!(fixtures.customers.values().all(|customer| *customer.policy == probable));
}

#[test]
fn a_customers_key_is_read_from_the_keys_directory() {
    let other = tempfile::tempdir().unwrap();
    crate::keys::read_or_generate(other.path(), 1024).unwrap();
    std::fs::copy(other.path().join("private.pem"), KEY.path().join("bank.pem")).unwrap();
    let fixtures = load_over(&[("customers/bank.toml", &with_account("key = 'bank.pem'"))]).unwrap();
    assert_ne!(fixtures.customers["bank"].key.public_pem(), fixtures.customers["demo"].key.public_pem());
    assert_eq!(fixtures.customers["bank"].key.name(), "bank.pem");
    for (key, expected) in [("../x.pem", "is not a file name"), ("none.pem", "openssl genrsa -out ")] {
        let text = with_account(&format!("key = '{key}'"));
        let problems = load_over(&[("customers/c.toml", &text)]).unwrap_err();
        assert!(problems[0].to_string().starts_with("customers/c.toml:2:7: "), "{}", problems[0]);
        assert!(problems[0].message.contains(expected), "{}", problems[0]);
    }
}

#[test]
fn problems_name_file_line_column_and_what_was_meant() {
    check_problem(
        &[("customers/x.toml", "methode = ['A']\n[account]\nuser_ID = 'u'\npassword = 'p'\n")],
        "customers/x.toml:3:1: unknown key `user_ID` (did you mean `user_id`?)",
    );
    check_problem(
        &[("customers/x.toml", &with_account("[quota]\nper_day = -1\n"))],
        "customers/x.toml:3:11: per_day must be a whole number, 0 or more, not the number -1: write per_day = 80",
    );
    check_problem(
        &[("customers/x.toml", &with_account("[access]\nallow = ['10.0.0.0/8', '10.0.0']\n"))],
        "customers/x.toml:3:24: allow: \"10.0.0\" is neither an address nor a network, such as \"10.0.0.7\" or \"10.0.0.0/8\"",
    );
    check_problem(
        &[("customers/x.toml", "extends = 'deno'")],
        "customers/x.toml:1:11: there is no customer deno to extend; did you mean \"demo\"?",
    );
    check_problem(
        &[("customers/x.toml", "[account]\nuser_id = 'u'\n")],
        "customers/x.toml:1:1: account.password is missing; set it, or inherit it with extends = \"demo\"",
    );
    check_problem(
        &[("customers/x.toml", &with_account("[policy.shape]\n501 = 'verification'\n"))],
        "customers/x.toml:3:1: the keys of shape must be codes of four digits, not \"501\"; did you mean \"5001\"?",
    );
    check_problem(
        &[("customers/x.toml", &with_account("methode = []"))],
        "customers/x.toml:2:11: methode is empty; list at least one",
    );
    check_problem(
        &[("customers/a b.toml", ACCOUNT)],
        "customers/a b.toml: the file name is not a customer_id: a customer_id has 1 to 64 letters, digits, - _ or ., and does not start with a dot",
    );
    check_problem(
        &[("simulator.toml", "prefixes = []")],
        "simulator.toml:1:12: prefixes is empty: the endpoint would have no path; write prefixes = [\"/api/face-recognition\"]",
    );
}

#[test]
fn invalid_toml_is_reported_with_its_position() {
    let problems = load_over(&[("customers/x.toml", "methode = [")]).unwrap_err();
    assert!(problems[0].to_string().starts_with("customers/x.toml:1:1"), "{}", problems[0]);
    let mut files = source::built_in();
    files.insert("simulator.toml".to_owned(), File { shown: "s".to_owned(), bytes: Cow::Borrowed(b"a\xFF") });
    let problems = resolve(&files, ring(), &StartPolicy::default()).unwrap_err();
    assert_eq!(problems[0].to_string(), "s: is not UTF-8 at byte 2");
}

#[test]
fn a_duplicate_id_and_circular_extends_are_errors() {
    check_problem(
        &[("customers/mine.toml", &format!("customer_id = 'demo'\n{ACCOUNT}"))],
        "customers/mine.toml:1:15: the customer_id demo is taken by built-in customers/demo.toml (to replace a built-in customer, name the file customers/demo.toml)",
    );
    let circular = [("customers/a.toml", "extends = 'b'"), ("customers/b.toml", "extends = 'a'")];
    let problems = load_over(&circular).unwrap_err();
    assert_eq!(problems.len(), 2);
    assert!(problems[0].message.contains("circular extends"), "{}", problems[0]);
}

#[test]
fn a_long_chain_of_extends_is_refused_with_what_to_do() {
    let chain = |length: usize| -> Vec<(String, String)> {
        let base = |number: usize| if number == 0 { "demo".to_owned() } else { format!("c{}", number - 1) };
        (0..length)
            .map(|number| (format!("customers/c{number}.toml"), format!("extends = '{}'", base(number))))
            .collect()
    };
    let load = |files: &[(String, String)]| {
        load_over(&files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect::<Vec<_>>())
    };
    assert!(load(&chain(100)).is_ok());
    let problems = load(&chain(3000)).unwrap_err();
    assert_eq!(problems.len(), 2900);
    assert_eq!(
        problems[0].to_string(),
        "customers/c100.toml:1:11: the chain of extends has more than 100 customers behind this one; shorten it, or raise limits.extends in simulator.toml"
    );
    let mut longer = chain(200);
    longer.push(("simulator.toml".to_owned(), "limits = { extends = 200 }".to_owned()));
    assert!(load(&longer).is_ok());
}

#[test]
fn an_unreadable_customer_is_reported_once_and_not_again_for_those_that_extend_it() {
    check_problem(
        &[
            ("customers/demo.toml", &with_account("methode = 1")),
            ("customers/a.toml", "extends = 'demo'"),
            ("customers/b.toml", "extends = 'a'"),
        ],
        "customers/demo.toml:2:11: methode must be a list, not the number 1: write methode = [\"CALL_FN\"]",
    );
}

#[test]
fn request_limits_do_not_apply_to_the_gallery() {
    let fixtures =
        load_over(&[("simulator.toml", "limits = { image_bytes = 100, image_pixels = 1 }")]).unwrap();
    assert!(fixtures.gallery.identities().len() > 0);
}

#[test]
fn all_mistakes_of_a_file_are_reported_in_its_order() {
    let text = "extends = 'dmo'
quota = { per_day = '80' }
methode = []
key = 'none.pem'
acount = {}
[[rules]]
reply = { code = 6014 }
[[rules]]
delay = { uniform = ['2s', '1s'] }
reply = { sample = '6099' }
when = { clock = 'noon', state = true }
[[gallery.identities]]
nik = '3174055708909001'
pictures = ['none.jpg']
";
    let problems =
        load_over(&[("customers/x.toml", text), ("customers/y.toml", "extends = 'x'")]).unwrap_err();
    let shown: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let expected = [
        "1:11: there is no customer dmo to extend; did you mean \"demo\"?",
        "2:21: per_day must be a whole number, 0 or more, not the text \"80\": write per_day = 80",
        "3:11: methode is empty; list at least one",
        "4:7: there is no key file \"none.pem\"",
        "5:1: unknown key `acount` (did you mean `account`?)",
        "7:18: code must be text in quotes, not the number 6014: write code = \"6014\"",
        "9:9: rule \"rule 2\": uniform = [min, max]: min is above max",
        "10:9: rule \"rule 2\": the document has no sample answer \"6099\"",
        "11:18: clock: \"noon\" is not a range of times of day: write \"09:00..17:00\"",
        "11:34: state must be text in quotes, not true: write state = \"down\"",
        "12:1: name is missing: write name = \"Budi Contoh\"",
        "13:7: the NIK 3174055708909001 is in the shared gallery too",
        "14:13: there is no picture \"none.jpg\"",
    ];
    let start = |line: &str| format!("customers/x.toml:{line}");
    assert_eq!(shown.len(), expected.len(), "{shown:#?}");
    for (shown, expected) in shown.iter().zip(expected) {
        assert!(shown.starts_with(&start(expected)), "{shown}\n{expected}");
    }
    let problems =
        load_over(&[("simulator.toml", "a = [1\nb = = 2\n[policy]\nlayout = compact\n")]).unwrap_err();
    let lines: Vec<_> =
        problems.iter().filter_map(|problem| problem.position).map(|(line, _)| line).collect();
    assert!(lines.contains(&2) && lines.contains(&4), "{problems:?}");
    let many: String = (0..99).map(|number| format!("unknown{number} = 1\n")).collect();
    let problems = load_over(&[("simulator.toml", &many)]).unwrap_err();
    assert_eq!(
        (problems.len(), &*problems.last().unwrap().message),
        (51, "more may be wrong; correct these first")
    );
}

#[test]
fn an_unknown_code_in_a_reply_is_a_warning_unless_the_rule_has_a_message() {
    let text = "extends = 'demo'\nrules = [{ name = 'a', times = 1, reply = { code = '6099' } }, { name = 'b', times = 1, reply = { code = 'X1', error = 'x' } }, { reply = { code = '5000' } }]";
    let fixtures = load_over(&[("customers/x.toml", text), ("customers/y.toml", "extends = 'x'")]).unwrap();
    let warnings: Vec<_> = fixtures.warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        warnings,
        [
            "customers/x.toml:2:52: the code \"6099\" is not known, so the reply has an empty message; did you mean \"6019\"? (if you mean it, write error = \"...\" beside it)"
        ]
    );
    assert!(load_over(&[]).unwrap().warnings.is_empty());
}

#[test]
fn values_that_only_toml_has_are_rejected() {
    for (value, found) in
        [("nan", "nan"), ("inf", "inf"), ("2026-11-21", "2026-11-21"), ("[]", "a list of 0")]
    {
        let text = format!("extends = 'demo'\nrules = [{{ set_state = {value} }}]\nquota = {value}");
        let shown: Vec<_> =
            load_over(&[("customers/x.toml", &text)]).unwrap_err().iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                format!(
                    "customers/x.toml:2:24: set_state must be text in quotes, not {found}: write set_state = \"down\""
                ),
                format!(
                    "customers/x.toml:3:9: quota must be a table, not {found}: write quota = {{ per_day = 80 }}"
                ),
            ]
        );
    }
}

#[test]
fn every_file_with_a_problem_is_reported() {
    let problems = load_over(&[
        ("customers/a.toml", "nonsense = 1"),
        ("customers/b.toml", "rules = [{ reply = { sample = '9999' } }]"),
        ("gallery/gallery.toml", "[[identities]]\nnik = '123'\nname = 'x'\npictures = []"),
        ("simulator.toml", "limits = { image_bytes = 'big' }"),
    ])
    .unwrap_err();
    let mut files: Vec<_> = problems.iter().map(|problem| problem.file.as_str()).collect();
    files.dedup();
    assert_eq!(files, ["customers/a.toml", "customers/b.toml", "gallery/gallery.toml", "simulator.toml"]);
}

#[test]
fn rules_that_cannot_work_are_problems_of_their_file() {
    let rules = |text: &str| format!("extends = 'demo'\n{text}");
    let shadowed = rules("[[rules]]\nname = 'a'\ndelay = '1s'\n[[rules]]\nname = 'b'\ndelay = '2s'\n");
    check_problem(
        &[("customers/x.toml", &shadowed)],
        "customers/x.toml:5:1: rule \"b\" can never fire: \"a\" comes first, always fires and decides the same",
    );
    let duplicate =
        rules("[[rules]]\nname = 'a'\ndelay = '1s'\ntimes = 1\n[[rules]]\nname = 'a'\ndelay = '2s'\n");
    check_problem(&[("customers/x.toml", &duplicate)], "customers/x.toml:7:8: duplicate rule name \"a\"");
    let expiring = rules("[[rules]]\nname = 'a'\ndelay = '1s'\nttl = '5m'\n");
    check_problem(
        &[("customers/x.toml", &expiring)],
        "customers/x.toml:5:7: rule \"a\": ttl is only for rules created over the admin API",
    );
}

#[test]
fn a_gallery_with_a_missing_picture_or_a_duplicate_nik_is_rejected() {
    let identity = |picture: &str| {
        format!("[[identities]]\nnik = '3174051708909001'\nname = 'x'\npictures = ['{picture}']\n")
    };
    check_problem(
        &[("gallery/gallery.toml", &identity("siti.jpeg"))],
        "gallery/gallery.toml:4:13: there is no picture \"siti.jpeg\" beside gallery.toml; did you mean \"siti.jpg\"?",
    );
    let problems =
        load_over(&[("gallery/gallery.toml", &(identity("siti.jpg") + &identity("siti.jpg")))]).unwrap_err();
    assert_eq!(problems[0].to_string(), "gallery/gallery.toml:6:7: duplicate NIK 3174051708909001");
    let escape = load_over(&[("gallery/gallery.toml", &identity("../simulator.toml"))]).unwrap_err();
    assert!(escape[0].message.contains("is not the name of a file beside gallery.toml"), "{}", escape[0]);
}

#[test]
fn a_gallery_is_checked_for_look_alikes_pictures_and_niks_of_both_galleries() {
    let siti = "nik = '3174055708909001'\nname = 'x'\npictures = ['siti.jpg']\n";
    check_problem(
        &[(
            "gallery/gallery.toml",
            &format!("[[identities]]\n{siti}similar = [{{ nik = '3174055708909001', score = 5 }}]\n"),
        )],
        "gallery/gallery.toml:5:12: 3174055708909001 cannot be similar to itself",
    );
    check_problem(
        &[("customers/x.toml", &format!("extends = 'demo'\n[[gallery.identities]]\n{siti}"))],
        "customers/x.toml:3:7: the NIK 3174055708909001 is in the shared gallery too; use another NIK, or set shared = false",
    );
    let separate = format!("extends = 'demo'\ngallery.shared = false\n[[gallery.identities]]\n{siti}");
    assert_eq!(
        load_over(&[("customers/x.toml", &separate)]).unwrap().customers["x"].gallery.identities().len(),
        1
    );
    let damaged = "\u{89}PNG";
    let named = "[[identities]]\nnik = '3174055708909001'\nname = 'x'\npictures = ['broken.png']\n";
    check_problem(
        &[("gallery/gallery.toml", named), ("gallery/broken.png", damaged)],
        "gallery/gallery.toml:4:13: the picture \"broken.png\" is a PNG whose bytes were read as Latin-1 or Windows-1252 text and written as UTF-8",
    );
    // A file that no identity names may be anything.
    assert!(load_over(&[("gallery/broken.png", damaged)]).is_ok());
}

#[test]
fn a_missing_picture_directory_is_reported_in_at_most_20_errors() {
    let many: String = (0..100)
        .map(|number| {
            format!(
                "[[identities]]\nnik = '317405570890{:04}'\nname = 'x'\npictures = ['gone/{number}.jpg']\n",
                9000 + number
            )
        })
        .collect();
    assert_eq!(load_over(&[("gallery/gallery.toml", &many)]).unwrap_err().len(), 20);
}

#[test]
fn a_reload_reuses_decoded_pictures() {
    let before = load_over(&[]).unwrap();
    let after = reload(None, &StartPolicy::default(), &before).unwrap();
    let pictures = |fixtures: &Fixtures| -> Vec<_> {
        fixtures.gallery.identities().flat_map(|identity| identity.pictures.clone()).collect()
    };
    let pairs: Vec<_> = pictures(&before).into_iter().zip(pictures(&after)).collect();
    assert_eq!(pairs.len(), 12);
    assert!(pairs.iter().all(|(before, after)| Arc::ptr_eq(before, after)));
}

#[test]
fn a_directory_replaces_built_in_files_and_leaves_the_others() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("customers")).unwrap();
    std::fs::write(directory.path().join("customers/demo.toml"), with_account("quota = { per_day = 3 }"))
        .unwrap();
    std::fs::write(directory.path().join("customers/demo.toml~"), "an editor's backup").unwrap();
    std::fs::write(directory.path().join("README.md"), "not a fixture").unwrap();
    let fixtures = load(Some(directory.path()), ring(), &StartPolicy::default()).unwrap();
    assert_eq!(fixtures.customers["demo"].per_day, Some(3));
    assert!(fixtures.customers.contains_key("load"));
}

#[test]
fn init_writes_the_built_in_files_and_overwrites_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("mine");
    source::write_built_in(&root, false).unwrap();
    let mut written = source::read(Some(&root)).unwrap();
    for (name, built_in) in source::built_in() {
        assert_eq!(written.remove(&name).unwrap().bytes, built_in.bytes, "{name}");
    }
    assert!(written.is_empty());
    std::fs::write(root.join("simulator.toml"), "# mine").unwrap();
    assert!(source::write_built_in(&root, false).unwrap_err().contains("already exists"));
    assert_eq!(std::fs::read_to_string(root.join("simulator.toml")).unwrap(), "# mine");
    source::write_built_in(&root, true).unwrap();
    assert_ne!(std::fs::read_to_string(root.join("simulator.toml")).unwrap(), "# mine");
}

#[test]
fn a_capacity_is_shared_unless_a_customer_has_its_own_which_is_inherited_key_by_key() {
    let fixtures = load_over(&[
        ("simulator.toml", "[capacity]\nworkers = 4\nqueue = 16\nservice_time = '250ms'"),
        ("customers/a.toml", "extends = 'demo'\ncapacity = { workers = 2, queue = 8 }"),
        (
            "customers/b.toml",
            "extends = 'a'\ncapacity = { queue = 1, service_time = { from = 'times.csv' } }",
        ),
        ("customers/times.csv", "ms\n10\n20"),
    ])
    .unwrap();
    let numbers = |id: &str| {
        let (owner, capacity) = fixtures.capacity_of(&fixtures.customers[id]).unwrap();
        (owner, capacity.workers, capacity.queue)
    };
    assert_eq!(numbers("demo"), (None, 4, 16));
    assert_eq!(numbers("a"), (Some("a"), 2, 8));
    assert_eq!(numbers("b"), (Some("b"), 2, 1));
    let customers: Vec<_> = fixtures.customers.values().cloned().collect();
    let owners: Vec<_> = fixtures.capacities(&customers).map(|(owner, _)| owner).collect();
    assert_eq!(owners, [None, Some("a"), Some("b")]);
    assert!(load_over(&[]).unwrap().capacities(&[]).next().is_none(), "off by default");
}

#[test]
fn a_wrong_capacity_is_reported_with_its_position() {
    check_problem(
        &[("simulator.toml", "peer = 'socket'\n[capacity]\nqueue = 2")],
        "simulator.toml:2:1: capacity.workers is missing; set how many requests are matched at the same time",
    );
    check_problem(
        &[("simulator.toml", "[capacity]\nworkers = 2\nservice_time = { from = 'x.csv' }")],
        "simulator.toml:3:16: capacity.service_time: there is no file \"x.csv\" in customers/",
    );
    check_problem(
        &[(
            "customers/a.toml",
            "extends = 'demo'\n[capacity]\nworkers = 2\nservice_time = { normal = { mean = '1s', sd = '1s' }, exponential = { mean = '1s' } }",
        )],
        "customers/a.toml:4:16: capacity.service_time: a delay must be exactly one of uniform, lognormal, normal, exponential and from",
    );
    check_problem(
        &[("customers/a.toml", "extends = 'demo'\n[capacity]\nworker = 2")],
        "customers/a.toml:3:1: unknown key `worker` (did you mean `workers`?)",
    );
    check_problem(
        &[("customers/a.toml", "extends = 'demo'\n[capacity]\nworkers = 0")],
        "customers/a.toml:3:11: workers must be a whole number from 1 to 4294967295, not the number 0: write workers = 4",
    );
}

/// `[matcher.faces]` of an engine on this machine, with more keys.
fn faces(more: &str) -> String {
    format!(
        "[matcher.faces]\nurl = 'http://localhost:5005/v'\nvectors = 'faces/*/vector'\nstrangers = {{ mean = 0.09, deviation = 0.088 }}\n{more}"
    )
}

#[test]
fn a_face_engine_has_every_key_and_defaults() {
    let settings = |toml: &str| load_over(&[("simulator.toml", toml)]).unwrap().faces;
    assert!(settings("matcher = { perceptual = false }").is_none(), "off by default");
    let plain = settings(&faces("")).unwrap();
    assert_eq!((plain.timeout.as_secs(), &plain.no_face, plain.keep), (5, &NoFace::Nobody, false));
    assert_eq!((&plain.body, &plain.no_face_when, plain.headers.len()), (&None, &None, 0));
    let all = settings(
        r#"
        [matcher.faces]
        url = "http://10.0.0.5:5005/represent"
        body = '{"model_name":"SFace","img":"data:image/jpeg;base64,{image}"}'
        vectors = "results/*/embedding"
        timeout = "2s"
        strangers = { mean = 0.1, deviation = 0.2 }
        no_face = "6015"
        no_face_when = { status = 400, body = "/no face/" }
        headers = { X-Api-Key = "secret" }
        keep = true
        allow_remote = true"#,
    )
    .unwrap();
    assert_eq!((&*all.url, all.vectors.as_str()), ("http://10.0.0.5:5005/represent", "results/*/embedding"));
    assert_eq!((all.timeout.as_secs(), &all.no_face), (2, &NoFace::Code(Code::BAD_PHOTO)));
    assert_eq!((all.strangers.mean, all.strangers.deviation, all.keep), (0.1, 0.2, true));
    assert_eq!(all.no_face_when.as_ref().unwrap().status, Some(400));
    assert_eq!(all.headers, [("X-Api-Key".to_owned(), "secret".to_owned())]);
    for host in ["127.0.0.1", "127.8.8.8", "[::1]", "LOCALHOST:80"] {
        let toml = faces("").replace("localhost:5005", host);
        assert!(settings(&toml).is_some(), "{host}");
    }
}

#[test]
fn a_wrong_face_engine_is_reported_with_its_position() {
    let url = |url: &str| faces("").replace("http://localhost:5005/v", url);
    let first = |toml: &str| load_over(&[("simulator.toml", toml)]).unwrap_err().remove(0).to_string();
    for (toml, place, parts) in [
        (
            url("https://engine.example/v"),
            "2:7",
            &["this build speaks no TLS", "a sidecar", "on loopback"][..],
        ),
        (
            url("127.0.0.1:5005"),
            "2:7",
            &["it is not a URL", "write one such as \"http://127.0.0.1:5005/represent\""],
        ),
        (url("ftp://localhost/"), "2:7", &["it is not a URL with http://"]),
        (url("http://me:geheim@localhost/"), "2:7", &["it has a user name or a password", "headers"]),
        (url("http://10.0.0.5/v"), "2:7", &["10.0.0.5 may be another machine", "allow_remote = true"]),
        (faces("body = '{}'"), "5:8", &["it has no {image}", "write one such as"]),
        (faces("body = 'img={image}'"), "5:8", &["body is not JSON", "Content-Type"]),
        (faces("timeout = '0s'"), "5:11", &["longer than 0 and at most 1m"]),
        (faces("timeout = '61s'"), "5:11", &["longer than 0 and at most 1m"]),
        (faces("timeout = '5'"), "5:11", &["is not a duration"]),
        (faces("no_face = 'no one'"), "5:11", &["neither \"nobody\" nor a code", "\"6015\""]),
        (faces("no_face_when = {}"), "5:16", &["no_face_when is empty"]),
        (faces("no_face_when = { body = '/(/' }"), "5:25", &["is not a regex"]),
        (faces("headers = { 'a b' = 'x' }"), "5:21", &["\"a b\" is not a header of HTTP"]),
        (faces("headers = { Host = 'x' }"), "5:20", &["Host follows from the request"]),
        (faces("keep = 'yes'"), "5:8", &["keep must be true or false"]),
        (faces("kept = true"), "5:1", &["unknown key `kept`", "did you mean `keep`?"]),
        (faces("").replace("mean = 0.09", "mean = 2"), "4:13", &["mean is -1 to 1"]),
        (faces("").replace("deviation = 0.088", "deviation = 0"), "4:13", &["deviation is above 0"]),
        (faces("").replace(", deviation = 0.088", ""), "4:13", &["deviation is missing"]),
        (
            faces("").replace("faces/*/vector", "/faces"),
            "3:11",
            &["is not a path in an answer", "results/*/embedding"],
        ),
        ("[matcher.faces]\nurl = 'http://localhost/'".to_owned(), "1:1", &["vectors is missing"]),
        (url("localhost/v?key=geheim"), "2:7", &["it is not a URL"]),
        (faces("headers = 'geheim'"), "5:11", &["headers must be a table"]),
        (faces("headers = { Key = ['geheim'] }"), "5:19", &["must be text"]),
    ] {
        let problem = first(&toml);
        assert!(!problem.contains("geheim"), "a key or a password: {problem}");
        let is_there = problem.starts_with(&format!("simulator.toml:{place}: "));
        assert!(is_there && parts.iter().all(|part| problem.contains(part)), "{toml}\n{problem}");
    }
    // A header's value is never shown.
    let problem = first(&faces("headers = { X-Key = ['geheim'] }"));
    assert!(problem.contains("X-Key must be text in quotes") && !problem.contains("geheim"), "{problem}");
}
