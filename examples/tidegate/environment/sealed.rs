//! Secrets by where they are, so that files hold none.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use crate::{
    failure::Failure,
    secret::{small_file, variable_of},
};

/// Where a secret is: `{ env: VARIABLE }` or `{ file: PATH }`.
#[derive(Debug)]
pub(super) enum Sealed {
    /// In this variable of the environment.
    Env(String),
    /// In this file; a line break at its end does not count.
    File(PathBuf),
}

/// By hand, since serde repeats what is wrong, and that may be the secret.
impl<'de> Deserialize<'de> for Sealed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wrong = || D::Error::custom("say where the secret is: { env: VARIABLE } or { file: PATH }");
        let place: BTreeMap<String, String> =
            serde_json::from_value(Value::deserialize(deserializer)?).map_err(|_| wrong())?;
        let mut places = place.into_iter();
        match (places.next(), places.next()) {
            (Some((kind, variable)), None) if kind == "env" => Ok(Self::Env(variable)),
            (Some((kind, path)), None) if kind == "file" => Ok(Self::File(path.into())),
            _ => Err(wrong()),
        }
    }
}

impl Sealed {
    /// `of` names what it is for in errors.
    pub(super) fn open(&self, of: &str) -> Result<String, Failure> {
        let text = match self {
            Self::Env(variable) => variable_of(of, variable)?,
            Self::File(path) => small_file(of, path)?,
        };
        match text.trim() {
            "" => Err(Failure::Misused(format!("the secret of {of} is empty; put it there"))),
            secret => Ok(secret.to_owned()),
        }
    }
}
