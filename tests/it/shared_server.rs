//! `docs/how-to/shared-server.md`: its nginx configurations are run as printed, but for the addresses; and the example for Kubernetes.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use dukcapil_fr_sim::Simulator;
use serde_json::{Value, json};

use crate::openssl::are_installed;
use crate::support::{Body, KEYS, Sim, eventually, http, in_parallel, parse, write_fixture};
use crate::tidy::read;

/// Returns the `nginx.conf` that is in the guide below a heading.
fn configuration(heading: &str) -> String {
    let guide = read("docs/how-to/shared-server.md");
    let section = guide.split(heading).nth(1).unwrap_or_else(|| panic!("no {heading:?}"));
    let block = section.split("```nginx\n").nth(1).and_then(|rest| rest.split("```").next());
    block.expect("a configuration").to_owned()
}

/// A running nginx; killed when dropped.
struct Nginx {
    child: Child,
    directory: tempfile::TempDir,
}

impl Nginx {
    /// Runs a configuration, with these texts replaced: at least once each. Its sockets and files are in a directory of its own.
    fn start(configuration: &str, replaced: &[(&str, &str)], sockets: &[&str]) -> Nginx {
        let directory = tempfile::tempdir().unwrap();
        let here = directory.path().to_str().unwrap().to_owned();
        let mut text = configuration.to_owned();
        for (before, after) in replaced {
            assert!(text.contains(before), "{before:?} is not in\n{text}");
            text = text.replace(before, &after.replace("HERE", &here));
        }
        let temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
        let temporary = temporary.map(|name| format!("    {name}_temp_path {here}/{name};\n")).concat();
        text = text.replace("http {\n", &format!("http {{\n    access_log off;\n{temporary}"));
        let path = directory.path().join("nginx.conf");
        std::fs::write(&path, &text).unwrap();
        let own = format!("daemon off; pid {here}/nginx.pid; error_log {here}/error.log;");
        let mut command = Command::new("nginx");
        command.args(["-p", &here, "-c", path.to_str().unwrap(), "-g", &own]).stderr(Stdio::null());
        let mut nginx = Nginx { child: command.spawn().unwrap(), directory };
        eventually("nginx listens", || {
            let ended = nginx.child.try_wait().unwrap();
            assert!(ended.is_none(), "nginx ended: {}", nginx.errors());
            sockets.iter().all(|socket| UnixStream::connect(nginx.path(socket)).is_ok())
        });
        nginx
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn errors(&self) -> String {
        std::fs::read_to_string(self.path("error.log")).unwrap_or_default()
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // TERM: the master ends its workers.
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

/// Makes a certificate for a name, and its key.
fn certificate(directory: &Path, name: &str) {
    let (subject, alternative) = (format!("/CN={name}"), format!("subjectAltName=DNS:{name}"));
    let plain = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-keyout", "key.pem"];
    let named = ["-out", "cert.pem", "-subj", &subject, "-addext", &alternative];
    let mut command = Command::new("openssl");
    command.args(plain).args(named).current_dir(directory).stderr(Stdio::null());
    assert!(command.status().unwrap().success());
}

const NAME: &str = "fr.example.internal";

/// Calls a URL of the name through a socket with curl, as a client that trusts the certificate. Returns the status and the body.
fn curl(socket: &Path, certificate: &Path, path: &str, more: &[&str], body: &str) -> (String, String) {
    let url = format!("https://{NAME}{path}");
    let plain =
        ["-sS", "-w", "\n%{http_code}", "--unix-socket", socket.to_str().unwrap(), "--data-binary", "@-"];
    let mut command = Command::new("curl");
    command.args(plain).args(["--cacert", certificate.to_str().unwrap()]).args(more).arg(&url);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    let out = child.wait_with_output().unwrap();
    let text = String::from_utf8(out.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    (status.to_owned(), body.to_owned())
}

#[test]
fn tls_by_the_nginx_of_the_guide_reaches_the_endpoint_and_the_admin_api() {
    if !are_installed(&["nginx", "openssl", "curl"]) {
        return;
    }
    let (sim, _fixtures) = Sim::over_with(
        &[
            ("simulator.toml", "peer = 'x-forwarded-for'"),
            ("customers/near.toml", "extends = 'demo'\naccess = { peer = true, allow = ['10.0.0.0/8'] }"),
        ],
        |builder| builder.admin_token(Some("only-for-tests".to_owned())),
    );
    let files = tempfile::tempdir().unwrap();
    certificate(files.path(), NAME);
    let files_path = files.path().to_str().unwrap();
    let replaced = [
        ("listen 443 ssl", "listen unix:HERE/endpoint.sock ssl"),
        ("listen 9443 ssl", "listen unix:HERE/admin.sock ssl"),
        ("/etc/ssl/frsim", files_path),
        ("http://127.0.0.1:8080", &sim.0.url()),
        ("http://127.0.0.1:9090", &sim.0.admin_url().unwrap()),
        // A socket has no address of the client.
        ("$remote_addr", "10.1.2.3"),
    ];
    let nginx = Nginx::start(&configuration("## TLS"), &replaced, &["endpoint.sock", "admin.sock"]);
    let certificate = files.path().join("cert.pem");
    let call = |path: &str, body: &str| curl(&nginx.path("endpoint.sock"), &certificate, path, &[], body);
    let body = sim.request().text();
    for path in ["/api/face-recognition/near/CALL_FN", "/api%20/face-recognition/near/CALL_FN"] {
        let (status, answer) = call(path, &body);
        assert!(
            status == "200" && answer.contains("\"errorCode\": \"6018\""),
            "{status} {answer} {}",
            nginx.errors()
        );
    }
    let direct = sim.call("demo", &body).body;
    assert_eq!(call("/api/face-recognition/demo/CALL_FN", &body).1.as_bytes(), direct, "byte for byte");
    // What the endpoint refuses, it refuses itself.
    let (status, answer) = call("/api/face-recognition/demo/CALL_FN", &"x".repeat(11 << 20));
    assert!(status == "413" && answer.contains("body_too_large"), "{status} {answer}");
    // A fault of the wire is a gateway's error to a client of HTTP, and the request is sent once.
    assert_eq!(call("/api/face-recognition/reset/CALL_FN", &body).0, "502");
    let admin = |method: &str, path: &str, more: &[&str], body: &str| {
        let more = [&["-X", method], more].concat();
        curl(&nginx.path("admin.sock"), &certificate, path, &more, body)
    };
    assert_eq!(admin("GET", "/customers", &[], "").0, "401");
    let token = ["-H", "Authorization: Bearer only-for-tests"];
    let (status, listing) = admin("GET", "/requests?customer_id=reset", &token, "");
    let listing: Value = serde_json::from_str(&listing).unwrap();
    assert_eq!((status.as_str(), listing["requests"].as_array().map(Vec::len)), ("200", Some(1)));
    let near = admin("GET", "/requests?customer_id=near&limit=1", &token, "").1;
    let near: Value = serde_json::from_str(&near).unwrap();
    assert_eq!(near["requests"][0]["request"]["peer"], "10.1.2.3");
    assert_eq!(admin("PUT", "/customers/bank", &token, r#"{"extends":"demo"}"#).0, "200");
}

/// Sends a request through a socket, and reads until the server closes.
fn through(socket: &Path, bytes: &[u8]) -> crate::support::Answer {
    let mut stream = UnixStream::connect(socket).expect("a connection");
    stream.write_all(bytes).expect("a request");
    let mut all = Vec::new();
    stream.read_to_end(&mut all).expect("an answer");
    parse(&all)
}

#[test]
fn quotas_are_exact_over_simulators_that_share_nothing_behind_the_hash_of_the_guide() {
    if !are_installed(&["nginx"]) {
        return;
    }
    const CUSTOMERS: usize = 12;
    const QUOTA: usize = 5;
    const CALLS: usize = 8;
    let fixtures = tempfile::tempdir().unwrap();
    for number in 0..CUSTOMERS {
        let text = format!("extends = 'demo'\nquota = {{ per_day = {QUOTA} }}");
        write_fixture(fixtures.path(), &format!("customers/bank-{number}.toml"), &text);
    }
    let start = || {
        let builder = Simulator::builder().keys(Some(KEYS.path().to_owned()));
        Sim(builder.fixtures(Some(fixtures.path().to_owned())).start_blocking().unwrap())
    };
    let sims = [start(), start(), start()];
    let address = |sim: &Sim| sim.address().to_string();
    let replaced = [
        ("listen 8080", "listen unix:HERE/endpoint.sock"),
        ("127.0.0.1:8081", &address(&sims[0])),
        ("127.0.0.1:8082", &address(&sims[1])),
        ("127.0.0.1:8083", &address(&sims[2])),
    ];
    let configuration = configuration("## More than one machine");
    let nginx = Nginx::start(&configuration, &replaced, &["endpoint.sock"]);
    let body: Vec<u8> = Body::encrypted_with(&sims[0].0.public_key_pem()).into();
    let codes = in_parallel(CALLS, |call| {
        let send = |customer: usize| {
            // The document's path too: its customer is the same one.
            let blank = if call % 2 == 0 { "" } else { "%20" };
            let path = format!("/api{blank}/face-recognition/bank-{customer}/CALL_FN");
            through(&nginx.path("endpoint.sock"), &http("POST", &path, "", &body)).code()
        };
        (0..CUSTOMERS).map(send).collect::<Vec<_>>()
    });
    for customer in 0..CUSTOMERS {
        let found = codes.iter().filter(|codes| codes[customer] == "6018").count();
        let refused = codes.iter().filter(|codes| codes[customer] == "5002").count();
        assert_eq!((found, refused), (QUOTA, CALLS - QUOTA), "bank-{customer}");
    }
    let served = sims.each_ref().map(|sim| sim.admin("GET", "/requests?limit=1000", "").1);
    let served = served.map(|listing| listing["requests"].as_array().unwrap().len());
    assert_eq!(served.iter().sum::<usize>(), CUSTOMERS * CALLS);
    assert!(served.iter().filter(|count| **count > 0).count() > 1, "spread: {served:?}");
}

/// Reads the documents of a YAML file with Python, which no crate of the project does.
fn documents(path: &str) -> Option<Vec<Value>> {
    let script = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(open(sys.argv[1])))))";
    let out =
        Command::new("python3").args(["-c", script, path]).current_dir(crate::tidy::root()).output().ok()?;
    out.status.success().then(|| serde_json::from_slice(&out.stdout).unwrap())
}

#[test]
fn the_example_of_replicas_for_kubernetes_starts_with_its_environment() {
    let Some(documents) = documents("examples/kubernetes-replicas.yaml") else {
        assert!(std::env::var_os("CI").is_none(), "python3 with yaml must be installed under CI");
        return eprintln!("SKIPPED: python3 with yaml is not installed");
    };
    let Some(server) = crate::redis_server::RedisServer::start(&["--requirepass", "s3cret"]) else { return };
    let of = |kind: &str, name: &str| {
        let is = |document: &&Value| document["kind"] == kind && document["metadata"]["name"] == name;
        documents.iter().find(is).unwrap()
    };
    let deployment = &of("Deployment", "frsim")["spec"];
    assert_eq!(deployment["replicas"], 3);
    let store = of("Service", "frsim-valkey");
    assert_eq!(store["spec"]["ports"][0]["port"], 6379);
    let container = &deployment["template"]["spec"]["containers"][0];
    assert_eq!(container["readinessProbe"]["httpGet"]["path"], "/ready");
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path().to_str().unwrap();
    for (name, files) in [("tokens", &["tokens"][..]), ("store", &["password"]), ("keys", &[])] {
        std::fs::create_dir(directory.path().join(name)).unwrap();
        for file in files {
            let text = if *file == "password" { "s3cret" } else { "ani abcdefgh\n" };
            std::fs::write(directory.path().join(name).join(file), text).unwrap();
        }
    }
    for file in ["private.pem", "public.pem"] {
        std::fs::copy(KEYS.path().join(file), directory.path().join("keys").join(file)).unwrap();
    }
    let replicas = [(); 3].map(|()| {
        let mut command = crate::binary::command(&["--listen", "127.0.0.1:0", "--quiet"]);
        for variable in container["env"].as_array().unwrap() {
            let value = variable["value"].as_str().unwrap();
            let value = value
                .replace("/secrets", here)
                .replace("redis://frsim-valkey:6379/team", &server.store("team"));
            command.env(variable["name"].as_str().unwrap(), value.replace("0.0.0.0:9090", "127.0.0.1:0"));
        }
        crate::binary::Served::from(command)
    });
    for replica in &replicas {
        let ready = crate::support::exchange(replica.admin(), &http("GET", "/ready", "", b""));
        assert_eq!(ready.json()["store"], "shared");
    }
}

#[test]
fn the_example_for_kubernetes_has_one_replica_a_volume_and_probes_that_answer() {
    let Some(documents) = documents("examples/kubernetes.yaml") else {
        assert!(std::env::var_os("CI").is_none(), "python3 with yaml must be installed under CI");
        return eprintln!("SKIPPED: python3 with yaml is not installed");
    };
    let of_kind = |kind: &str| documents.iter().find(|document| document["kind"] == kind).unwrap();
    let deployment = &of_kind("Deployment")["spec"];
    assert_eq!((&deployment["replicas"], &deployment["strategy"]["type"]), (&json!(1), &json!("Recreate")));
    let pod = &deployment["template"]["spec"];
    let container = &pod["containers"][0];
    let sim = Sim::start();
    for probe in ["readinessProbe", "livenessProbe"] {
        let path = container[probe]["httpGet"]["path"].as_str().unwrap();
        assert_eq!(sim.admin("GET", path, "").0, 200, "{probe}");
    }
    let volumes = pod["volumes"].as_array().unwrap();
    let claimed = volumes.iter().find(|volume| volume["name"] == "data").unwrap();
    assert_eq!(
        claimed["persistentVolumeClaim"]["claimName"],
        of_kind("PersistentVolumeClaim")["metadata"]["name"]
    );
    // It starts with its environment: the paths are in a directory of the test's.
    let directory = tempfile::tempdir().unwrap();
    let here = directory.path().to_str().unwrap();
    std::fs::create_dir(directory.path().join("secrets")).unwrap();
    std::fs::create_dir(directory.path().join("data")).unwrap();
    std::fs::write(directory.path().join("secrets/tokens"), "ani abcdefgh\n").unwrap();
    let mut command = crate::binary::command(&["--key-bits", "1024", "--listen", "127.0.0.1:0"]);
    for variable in container["env"].as_array().unwrap() {
        let value = variable["value"].as_str().unwrap();
        let value =
            value.replace("/data", &format!("{here}/data")).replace("/secrets", &format!("{here}/secrets"));
        command.env(variable["name"].as_str().unwrap(), value.replace("0.0.0.0:9090", "127.0.0.1:0"));
    }
    let served = crate::binary::Served::from(command);
    let ready = crate::support::exchange(served.admin(), &http("GET", "/ready", "", b""));
    assert_eq!(ready.json()["store"], "file");
    let customers = crate::support::exchange(served.admin(), &http("GET", "/customers", "", b""));
    assert_eq!(customers.status, 401, "the tokens are in force");
}
