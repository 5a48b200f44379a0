//! Key files that real tools write, read or refused by the built binary; and the commands of its messages, run as printed.

use std::path::Path;
use std::process::Command;

use crate::binary::{listening, run, text};
use crate::openssl::are_installed;

/// Runs a line of a shell in a directory.
#[track_caller]
fn shell(directory: &Path, line: &str) {
    let out = Command::new("sh").args(["-euc", line]).current_dir(directory).output().unwrap();
    assert!(out.status.success(), "{line}: {}", String::from_utf8_lossy(&out.stderr));
}

/// Encrypts with a key file. Returns the exit code, and what was printed.
fn encrypt(file: &Path) -> (Option<i32>, String) {
    let out = run(&["encrypt", "--public-key", file.to_str().unwrap(), "demo-user"]);
    (out.status.code(), [text(&out.stdout), text(&out.stderr)].concat())
}

/// Files of one RSA key that hold its public half.
const READ: [(&str, &str); 8] = [
    ("spki.pem", "openssl pkey -in private.pem -pubout -out spki.pem"),
    ("spki.der", "openssl pkey -in private.pem -pubout -outform DER -out spki.der"),
    ("pkcs1.pem", "openssl rsa -in private.pem -RSAPublicKey_out -out pkcs1.pem"),
    ("pkcs1.der", "openssl rsa -in private.pem -RSAPublicKey_out -outform DER -out pkcs1.der"),
    ("cert.pem", "openssl req -x509 -key private.pem -subj /CN=bank -days 1 -out cert.pem"),
    ("cert.der", "openssl x509 -in cert.pem -outform DER -out cert.der"),
    ("cert-text.pem", "openssl x509 -in cert.pem -text -out cert-text.pem"),
    ("both.pem", "cat private.pem spki.pem > both.pem"),
];

#[test]
fn what_openssl_writes_of_a_public_key_is_read() {
    if !are_installed(&["openssl"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    shell(directory.path(), "openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out private.pem");
    for (name, line) in READ {
        shell(directory.path(), line);
        let (code, printed) = encrypt(&directory.path().join(name));
        assert_eq!(code, Some(0), "{name}: {printed}");
        assert_eq!(
            printed.contains("has 2 parts, a private key among them; the public key is used"),
            name == "both.pem"
        );
        // What was encrypted opens with the private key.
        let ciphertext = printed.lines().next().unwrap();
        shell(
            directory.path(),
            &format!(
                "test \"$(echo {ciphertext} | base64 -d | openssl pkeyutl -decrypt -inkey private.pem)\" = demo-user"
            ),
        );
    }
}

/// What is no public key: how it is made, what it is called, and what the message's command needs besides. The command ends with a file
/// from which the public key is read.
const REFUSED: [(&str, &str, &str, &str); 7] = [
    ("private.pem", "true", "is a private key, which clients must never have", ""),
    (
        "locked.pem",
        "openssl pkey -in private.pem -aes256 -passout pass:geheim -out locked.pem",
        "protected by a passphrase",
        "-passin pass:geheim",
    ),
    (
        "locked1.pem",
        "openssl rsa -in private.pem -traditional -aes256 -passout pass:geheim -out locked1.pem",
        "protected by a passphrase",
        "-passin pass:geheim",
    ),
    (
        "bank.csr",
        "openssl req -new -key private.pem -subj /CN=bank -out bank.csr",
        "a certificate request (CSR)",
        "",
    ),
    (
        "bank.p12",
        "openssl pkcs12 -export -inkey private.pem -in cert.pem -passout pass:geheim -out bank.p12",
        "a PKCS#12 key store",
        "-passin pass:geheim",
    ),
    ("bank.p7b", "openssl crl2pkcs7 -nocrl -certfile cert.pem -out bank.p7b", "a PKCS#7 bundle", ""),
    ("id_rsa.pub", "ssh-keygen -y -f private.pem > id_rsa.pub", "a public key of OpenSSH", ""),
];

#[test]
fn what_is_refused_is_named_and_the_command_of_the_message_mends_it() {
    if !are_installed(&["openssl", "ssh-keygen"]) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    shell(
        directory.path(),
        "umask 077; openssl genpkey -algorithm RSA -pkeyopt rsa_keygen_bits:2048 -out private.pem",
    );
    shell(directory.path(), "openssl req -x509 -key private.pem -subj /CN=bank -days 1 -out cert.pem");
    for (name, line, what, more) in REFUSED {
        shell(directory.path(), line);
        let (code, printed) = encrypt(&directory.path().join(name));
        assert_eq!(code, Some(4), "{name}: {printed}");
        assert!(printed.contains(what) && !printed.contains("geheim"), "{name}: {printed}");
        let start =
            printed.find(": openssl").or_else(|| printed.find(": ssh-keygen")).expect("a command") + 2;
        let command = printed[start..].split(" (").next().unwrap().trim();
        shell(directory.path(), &command.replacen(" -in", &format!(" {more} -in"), 1));
        let made = command.split_whitespace().last().unwrap();
        let (code, printed) = encrypt(&directory.path().join(made));
        assert_eq!(code, Some(0), "{command}: {printed}");
        std::fs::remove_file(directory.path().join(made)).unwrap();
        shell(directory.path(), "openssl req -x509 -key private.pem -subj /CN=bank -days 1 -out cert.pem");
    }
}

#[test]
fn private_keys_that_are_refused_become_usable_by_the_command_of_the_message() {
    if !are_installed(&["openssl", "ssh-keygen"]) {
        return;
    }
    for (line, what, more) in [
        (
            "ssh-keygen -q -t rsa -b 2048 -N '' -f private.pem && rm private.pem.pub",
            "a private key of OpenSSH",
            "",
        ),
        (
            "openssl genrsa -aes256 -passout pass:geheim -out private.pem 2048",
            "protected by a passphrase",
            "-passin pass:geheim",
        ),
    ] {
        let directory = tempfile::tempdir().unwrap();
        shell(directory.path(), line);
        let check = || run(&["check", "--keys", directory.path().to_str().unwrap()]);
        let out = check();
        assert_eq!(out.status.code(), Some(4));
        let printed = text(&out.stderr);
        assert!(printed.contains(what), "{printed}");
        let start =
            printed.find(": openssl").or_else(|| printed.find(": ssh-keygen")).expect("a command") + 2;
        let command = printed[start..].trim();
        shell(directory.path(), &command.replacen(" -in", &format!(" {more} -in"), 1));
        shell(directory.path(), "if [ -e new.pem ]; then mv new.pem private.pem; fi");
        assert_eq!(check().status.code(), Some(0), "{command}: {}", text(&check().stderr));
    }
}

#[test]
fn a_public_key_that_is_not_ours_refuses_the_start_and_stays() {
    let (own, others) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    for directory in [&own, &others] {
        dukcapil_fr_sim::internals::keys::read_or_generate(directory.path(), 1024).unwrap();
    }
    let public = own.path().join("public.pem");
    let foreign = std::fs::read_to_string(others.path().join("public.pem")).unwrap();
    std::fs::write(&public, &foreign).unwrap();
    for expected in ["does not belong to private.pem", "stands alone"] {
        let out = run(&listening("off", own.path()));
        assert_eq!((out.status.code(), text(&out.stdout)), (Some(4), ""));
        let printed = text(&out.stderr);
        assert!(
            printed.contains("public.pem: ") && printed.contains(expected) && printed.contains("move"),
            "{printed}"
        );
        assert_eq!(std::fs::read_to_string(&public).unwrap(), foreign);
        // The next time without its private key.
        let _ = std::fs::remove_file(own.path().join("private.pem"));
    }
    assert_eq!(std::fs::read_dir(own.path()).unwrap().count(), 1, "nothing is generated beside it");
}
