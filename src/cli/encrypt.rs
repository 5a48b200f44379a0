//! `encrypt`: encrypts one field as `openssl_public_encrypt` does, and encodes it as base64.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::Failure;
use super::secret::Secret;
use super::terminal::{eprint_line, say};
use crate::keys;
use crate::protocol::encoding;

#[derive(Debug, Args)]
pub struct EncryptArgs {
    /// Text to encrypt [default: stdin, without its last line break]
    text: Option<Secret>,
    /// Public key file: PEM, DER, certificate, JWK
    #[arg(long, value_name = "PEM", default_value = "keys/public.pem")]
    public_key: PathBuf,
}

pub fn run(args: &EncryptArgs) -> Result<ExitCode, Failure> {
    let key = read_public_key(&args.public_key)?;
    let plain = match &args.text {
        Some(text) => text.reveal().as_bytes().to_vec(),
        None => from_stdin()?,
    };
    let ciphertext = keys::encrypt(&key, &plain).map_err(Failure::bad_input)?;
    say(encoding::encode(&ciphertext))?;
    Ok(ExitCode::SUCCESS)
}

fn from_stdin() -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .read_to_end(&mut bytes)
        .map_err(|error| Failure::bad_input(format!("stdin: {error}")))?;
    let text = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
    Ok(text.strip_suffix(b"\r").unwrap_or(text).to_vec())
}

/// Reads a public key file, and says on stderr which key was taken of several.
pub fn read_public_key(path: &Path) -> Result<rsa::PublicKey, Failure> {
    let file = keys::read_public_file(path).map_err(Failure::keys)?;
    if let Some(note) = file.note {
        eprint_line(format_args!("{note}"));
    }
    Ok(file.key)
}
