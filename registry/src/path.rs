//! The path of a file inside a version.

use std::{fmt, path::PathBuf, str::FromStr};

use serde::{Deserialize, Serialize};

use crate::{Invalid, model::text};

/// The path of a file inside a version: relative, `/`-separated, and safe to join to a directory.
///
/// Invariants: 1 to 1024 bytes; no empty, `.` or `..` segment; no leading `/`; no `\`, `:` or control
/// character. So no operating system takes a part of it for a separator, a drive or a parent, and it never
/// leaves its directory.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FilePath(String);

impl FilePath {
    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The path of this file below `directory`, in the operating system's form.
    #[must_use]
    pub fn below(&self, directory: impl Into<PathBuf>) -> PathBuf {
        let mut path = directory.into();
        path.extend(self.0.split('/'));
        path
    }
}

impl FromStr for FilePath {
    type Err = Invalid;

    fn from_str(s: &str) -> Result<Self, Invalid> {
        let why = if s.is_empty() || s.len() > 1024 {
            "a path has 1 to 1024 bytes"
        } else if s.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
            "write a relative path without empty, `.` or `..` segments"
        } else if s.chars().any(|c| c == '\\' || c == ':' || c.is_control()) {
            "`\\`, `:` and control characters do not mean the same on every system; rename the file"
        } else {
            return Ok(Self(s.to_owned()));
        };
        Err(Invalid::new("file path", s, why))
    }
}

text! {
    FilePath: |self, f| f.write_str(&self.0);
}
