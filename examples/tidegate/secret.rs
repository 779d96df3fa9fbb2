//! Passphrases and passwords, which are never arguments: everybody on the machine sees those.

use std::{fs::File, io::Read as _, path::Path, path::PathBuf};

use clap::Args;

use crate::failure::{Failure, unreadable};

/// Where the passphrase of a private key comes from.
#[derive(Debug, Args)]
pub(crate) struct Passphrase {
    /// The environment variable that holds the passphrase of the private key
    #[arg(long, value_name = "VAR", conflicts_with = "passphrase_file")]
    passphrase_env: Option<String>,
    /// The file that holds it; a line break at its end does not count
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl Passphrase {
    pub(crate) fn read(&self) -> Result<Option<String>, Failure> {
        let found = match (&self.passphrase_env, &self.passphrase_file) {
            (Some(variable), _) => Some(variable_of("--passphrase-env", variable)?),
            (None, Some(path)) => {
                let text = small_file("passphrase", path)?;
                let text = text.strip_suffix('\n').unwrap_or(&text);
                Some(text.strip_suffix('\r').unwrap_or(text).to_owned())
            }
            (None, None) => None,
        };
        if found.as_ref().is_some_and(String::is_empty) {
            return Err(Failure::Misused(
                "the passphrase is empty; leave the option out, or choose one".into(),
            ));
        }
        Ok(found)
    }
}

/// The secret in an environment variable that `option` names.
#[expect(clippy::disallowed_methods, reason = "a program is told its secrets by its environment")]
pub(crate) fn variable_of(option: &str, variable: &str) -> Result<String, Failure> {
    // What is not set may be the secret itself, put where its name belongs, and is said to nobody.
    std::env::var(variable).map_err(|_| {
        Failure::Misused(format!(
            "the environment variable that {option} names is not set; export it, and give its name, not the secret"
        ))
    })
}

/// The text of a key file or the like. `what` names it in errors.
pub(crate) fn small_file(what: &str, path: &Path) -> Result<String, Failure> {
    const LONGEST: u64 = 64 << 10;
    let misused = |why: &str| Failure::Misused(format!("{what} `{}` {why}", path.display()));
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(LONGEST + 1).read_to_string(&mut text))
        .map_err(|error| misused(&unreadable(&error)))?;
    if text.len() as u64 > LONGEST {
        return Err(misused("is longer than 64 KiB; is it another file?"));
    }
    Ok(text)
}

/// The key of `whose`, from where it is said to be.
pub(crate) fn key(
    whose: &str,
    variable: Option<&str>,
    file: Option<&PathBuf>,
) -> Result<Option<String>, Failure> {
    let (key, place) = match (variable, file) {
        (Some(variable), _) => {
            let option = format!("--{whose}-key-env");
            let place = format!("environment variable `{variable}` of {option}");
            (variable_of(&option, variable)?, place)
        }
        (None, Some(path)) => {
            let place = format!("file `{}` of --{whose}-key-file", path.display());
            (small_file("key", path)?, place)
        }
        (None, None) => return Ok(None),
    };
    // A key read from a file or a secret often has a line break at its end.
    let key = key.trim().to_owned();
    if key.is_empty() {
        return Err(Failure::Misused(format!("{place} is empty; put the key there")));
    }
    Ok(Some(key))
}
