//! The README's shell blocks, as printed: the first request, with only printf, openssl, base64 and curl, and every other code.

use std::process::Command;

use crate::support::Sim;

/// Returns whether the tools are installed. A missing tool fails the test in CI, and prints a message elsewhere.
pub fn are_installed(tools: &[&str]) -> bool {
    let missing: Vec<_> = tools
        .iter()
        .filter(|tool| {
            !Command::new("sh")
                .args(["-c", &format!("command -v {tool}")])
                .output()
                .is_ok_and(|out| out.status.success())
        })
        .collect();
    if missing.is_empty() {
        return true;
    }
    assert!(std::env::var_os("CI").is_none(), "{missing:?} must be installed under CI");
    eprintln!("SKIPPED: {missing:?} is not installed");
    false
}

/// Returns the first shell block after a heading of the README.
fn block_after(readme: &str, heading: &str) -> String {
    let text = std::fs::read_to_string(format!("{}/{readme}", env!("CARGO_MANIFEST_DIR"))).unwrap();
    let section = text.split(heading).nth(1).unwrap_or_else(|| panic!("{readme} has no {heading:?}"));
    let block = section.split("```sh\n").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("a shell block").to_owned()
}

/// Runs a block in the project's directory, with a simulator's addresses and key in place of the README's.
fn run(sim: &Sim, script: &str) -> String {
    let script = script
        .replace("http://127.0.0.1:8080", &sim.0.url())
        .replace("http://127.0.0.1:9090", &sim.0.admin_url().unwrap())
        .replace("keys/public.pem", crate::support::KEYS.path().join("public.pem").to_str().unwrap());
    let out =
        Command::new("sh").args(["-euc", &script]).current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(out.status.success(), "{}\n{script}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap()
}

#[test]
fn the_first_request_of_both_readmes_finds_a_citizen() {
    if !are_installed(&["openssl", "curl", "base64"]) {
        return;
    }
    let sim = Sim::start();
    for (readme, heading) in [("README.md", "## First request"), ("README.id.md", "## Permintaan pertama")] {
        let answer = run(&sim, &block_after(readme, heading));
        assert!(answer.contains("\"errorCode\": \"6018\""), "{readme}: {answer}");
        assert!(answer.contains(crate::support::SITIS_NIK), "{readme}: {answer}");
    }
}

#[test]
fn the_readmes_other_requests_return_every_other_code() {
    if !are_installed(&["openssl", "curl", "base64"]) {
        return;
    }
    let sim = Sim::start();
    for (readme, first, others) in [
        ("README.md", "## First request", "## Every other code"),
        ("README.id.md", "## Permintaan pertama", "## Semua kode lain"),
    ] {
        let script = block_after(readme, first) + &block_after(readme, others);
        let output = run(&sim, &script);
        for code in ["5001", "5002", "5003", "5004", "5005", "5006", "6014"] {
            let flat = output.contains(&format!("\"errorCode\": \"{code}\""));
            let nested = output.contains(&format!("\"errorCode\":{code}"));
            assert!(flat || nested, "{readme} does not get {code}: {output}");
        }
    }
}

#[test]
fn the_readmes_rule_makes_two_requests_busy_and_its_file_resets_twice() {
    if !are_installed(&["openssl", "curl", "base64"]) {
        return;
    }
    for (readme, first, fail) in [
        ("README.md", "## First request", "## Make it fail"),
        ("README.id.md", "## Permintaan pertama", "## Membuatnya gagal"),
    ] {
        let file = std::fs::read_to_string(format!("{}/{readme}", env!("CARGO_MANIFEST_DIR"))).unwrap();
        let section = file.split(fail).nth(1).unwrap();
        let toml = section.split("```toml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
        let (sim, _directory) = Sim::over(&[("customers/retry.toml", toml)]);
        let script =
            block_after(readme, first) + &block_after(readme, fail) + &"\nbody | post demo".repeat(3);
        let output = run(&sim, &script);
        let codes = |code: &str| output.matches(&format!("\"errorCode\": \"{code}\"")).count();
        assert_eq!((codes("6014"), codes("6018")), (2, 2), "{readme}: {output}");
        let request = sim.request();
        let path = "/api/face-recognition/retry/CALL_FN";
        let sent = crate::support::http("POST", path, "", request.text().as_bytes());
        for _ in 0..2 {
            let mut stream = std::net::TcpStream::connect(sim.address()).unwrap();
            std::io::Write::write_all(&mut stream, &sent).unwrap();
            assert_eq!(crate::support::read_to_the_end(&mut stream).0, b"", "{readme}");
        }
        assert_eq!(sim.call("retry", request.text()).code(), "6018", "{readme}");
    }
}
