//! What is wrong with a document from outside, at which field, and what would be right.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A field that cannot be used, why, and the name that was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Flaw {
    /// As in `checks[2].floor`; empty when it is the whole.
    pub(crate) path: String,
    pub(crate) why: String,
    pub(crate) suggestion: Option<String>,
}

impl Flaw {
    pub(crate) fn new(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self { path: path.into(), why: why.into(), suggestion: None }
    }

    /// A file cannot be read.
    pub(crate) fn unreadable(error: &std::io::Error) -> Self {
        use std::io::ErrorKind;
        let remedy = match error.kind() {
            ErrorKind::NotFound | ErrorKind::NotADirectory => "correct the path",
            ErrorKind::PermissionDenied => "let this program read it",
            ErrorKind::InvalidInput | ErrorKind::IsADirectory => "name a file with rows",
            _ => "try again, or copy it to another disk",
        };
        Self::new("", format!("it cannot be read: {error}; {remedy}"))
    }

    /// `written` is none of `known`.
    pub(crate) fn unknown(path: impl Into<String>, what: &str, written: &str, known: &[&str]) -> Self {
        let written = crate::excerpt::excerpt(written, 100);
        let why = format!("there is no {what} `{written}`, only {}", list(known));
        Self { suggestion: nearest(&written, known), ..Self::new(path, why) }
    }

    /// Reads serde's words for a name that it does not know: ``unknown field `a`, expected one of `b`, `c` ``.
    pub(crate) fn from_serde(path: String, message: &str) -> Self {
        let named = |what: &str| message.starts_with(&format!("unknown {what}"));
        let mut quoted = message.split('`').skip(1).step_by(2);
        let what = ["field", "variant"].into_iter().find(|what| named(what));
        match (what, quoted.next()) {
            (Some(what), Some(written)) => {
                let known: Vec<_> = quoted.collect();
                let path = match what {
                    "field" if !path.ends_with(written) => join(&path, written),
                    _ => path,
                };
                let what = if what == "field" { "field" } else { "choice" };
                Self::unknown(path, what, written, &known)
            }
            _ => Self::new(path, message),
        }
    }

    /// This flaw of something that itself stands at `path`.
    pub(crate) fn below(mut self, path: &str) -> Self {
        self.path = join(path, &self.path);
        self
    }
}

/// `value` as a `T`; what is wrong with it is said with its path below `path`.
pub(crate) fn read<T: DeserializeOwned>(value: Value, path: &str) -> Result<T, Flaw> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let inner = error.path().to_string();
        Flaw::from_serde(join(path, &inner), &error.inner().to_string())
    })
}

/// `field` inside `path`.
pub(crate) fn join(path: &str, field: &str) -> String {
    match (path, field) {
        ("" | ".", field) => field.to_owned(),
        (path, "" | ".") => path.to_owned(),
        (path, field) if field.starts_with('[') => format!("{path}{field}"),
        (path, field) => format!("{path}.{field}"),
    }
}

fn nearest(written: &str, known: &[&str]) -> Option<String> {
    let score = |name: &str| strsim::damerau_levenshtein(written, name);
    let best = known.iter().min_by_key(|name| score(name))?;
    (score(best) <= 1 + best.chars().count() / 4).then(|| (*best).to_owned())
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

impl fmt::Display for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)?;
        match &self.suggestion {
            Some(name) => write!(f, "; did you mean `{name}`?"),
            None => Ok(()),
        }
    }
}
