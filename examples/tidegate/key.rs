//! `tidegate key generate PRIVATE PUBLIC`

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use serde_json::json;
use tidegate::registry::{
    Error,
    signing::{Curve, SigningKey},
};

use crate::{Session, answer::Answer, failure::Failure, secret::Passphrase};

#[derive(Debug, Args)]
pub(crate) struct Key {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a pair of keys: one that signs, one that everybody may have
    Generate(Generate),
}

#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
struct Generate {
    /// The file for the private key; only its owner may read it
    #[arg(value_name = "PRIVATE")]
    private: PathBuf,
    /// The file for the public key
    #[arg(value_name = "PUBLIC")]
    public: PathBuf,
    /// The curve of the keys
    #[arg(long, value_enum, default_value = "p256")]
    curve: Named,
    #[command(flatten)]
    passphrase: Passphrase,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Named {
    P256,
    P384,
    P521,
}

const EXAMPLES: &str = "\
Examples:
  tidegate key generate team.pem team.pub.pem
  tidegate key generate team.pem team.pub.pem --curve p384 --passphrase-env TEAM_PASSPHRASE

ECDSA keys in PEM, as `openssl` and `model_signing` read them. Files that are there are never overwritten.";

impl Key {
    pub(crate) async fn run(self, _: &Session) -> Result<Answer> {
        let Command::Generate(generate) = self.command;
        // Hashing a passphrase takes a while.
        tokio::task::spawn_blocking(|| generate.run()).await?
    }
}

impl Generate {
    fn run(self) -> Result<Answer> {
        let passphrase = self.passphrase.read()?;
        let key = SigningKey::generate(self.curve.into())?;
        let private = match &passphrase {
            Some(passphrase) => key.to_encrypted_pem(passphrase)?,
            None => key.to_pem(),
        };
        let public = key.verifying_key();
        // The public one first: what is lost if the other cannot be written is worth nothing.
        create(&self.public, &public.to_pem(), 0o644)?;
        if let Err(error) = create(&self.private, private.as_str(), 0o600) {
            let _ = fs::remove_file(&self.public);
            return Err(error);
        }
        let (secret, open) = (self.private.display().to_string(), self.public.display().to_string());
        let text = format!("wrote the private key {secret} and the public key {open}\nkey {}", public.id());
        let json = json!({
            "private": secret, "public": open, "id": public.id(), "encrypted": passphrase.is_some(),
        });
        Ok(Answer::done(text, json))
    }
}

impl From<Named> for Curve {
    fn from(named: Named) -> Self {
        match named {
            Named::P256 => Self::P256,
            Named::P384 => Self::P384,
            Named::P521 => Self::P521,
        }
    }
}

/// Writes a new file that has `mode` from its beginning on, where files have modes.
fn create(path: &Path, text: &str, mode: u32) -> Result<()> {
    let written = open(path, mode).and_then(|mut file| {
        file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).inspect_err(|_| {
            let _ = fs::remove_file(path);
        })
    });
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => {
            let why = "is there already, and no key is ever overwritten; name a new file";
            Failure::Misused(format!("{} {why}", path.display())).into()
        }
        _ => Error::Local { action: "write", path: path.to_owned(), source }.into(),
    })
}

#[cfg(unix)]
fn open(path: &Path, mode: u32) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;

    OpenOptions::new().write(true).create_new(true).mode(mode).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path, _: u32) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).open(path)
}
