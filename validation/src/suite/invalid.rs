//! What is wrong with a suite file, where, and what would be right.

use std::fmt;

/// A suite file that cannot be used: the field, what is wrong with it, and the remedy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSuite {
    path: String,
    why: String,
    suggestion: Option<String>,
}

impl InvalidSuite {
    /// The field at fault, as in `checks[2].floor`; empty when it is the file as a whole.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The name that was probably meant.
    #[must_use]
    pub fn suggestion(&self) -> Option<&str> {
        self.suggestion.as_deref()
    }

    pub(super) fn new(path: impl Into<String>, why: impl Into<String>) -> Self {
        Self { path: path.into(), why: why.into(), suggestion: None }
    }

    /// `written` is none of `known`.
    pub(super) fn unknown(path: impl Into<String>, what: &str, written: &str, known: &[&str]) -> Self {
        let why = format!("there is no {what} `{written}`, only {}", list(known));
        Self { suggestion: nearest(written, known), ..Self::new(path, why) }
    }

    /// Reads serde's words for a name that it does not know: ``unknown field `a`, expected one of `b`, `c` ``.
    pub(super) fn from_serde(path: String, message: &str) -> Self {
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
}

/// `field` inside `path`.
pub(super) fn join(path: &str, field: &str) -> String {
    match path {
        "" | "." => field.to_owned(),
        path => format!("{path}.{field}"),
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

impl fmt::Display for InvalidSuite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" | "." => write!(f, "the suite is not valid: {}", self.why)?,
            path => write!(f, "suite field `{path}` is not valid: {}", self.why)?,
        }
        match &self.suggestion {
            Some(name) => write!(f, "; did you mean `{name}`?"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for InvalidSuite {}
