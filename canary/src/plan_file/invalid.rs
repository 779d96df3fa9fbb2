//! What is wrong with a plan file, where, and what would be right.

use std::fmt::Display;

use crate::InvalidPlan;

/// A plan file that cannot be used. Mend it as the message says.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidPlanFile {
    /// A field is not what it has to be.
    #[error("plan field `{path}` is not valid: {why}")]
    Field {
        /// The field at fault, as in `steps[2].weight`.
        path: String,
        /// What is wrong with it, and what would be right.
        why: String,
    },
    /// The fields do not go together; the source names the one that is wrong.
    #[error("the plan does not hold up")]
    Plan(#[source] InvalidPlan),
    /// It is no text of its format, or longer or deeper than a plan may be.
    #[error("the plan cannot be read as {format}: {why}")]
    Unreadable {
        /// The format.
        format: &'static str,
        /// What is wrong, and where.
        why: String,
    },
}

impl InvalidPlanFile {
    pub(super) fn field(path: &str, why: impl Display) -> Self {
        Self::Field { path: path.to_owned(), why: why.to_string() }
    }

    /// Reads serde's words for a name that it does not know: ``unknown field `a`, expected one of `b`, `c` ``.
    pub(super) fn from_serde(path: String, message: &str) -> Self {
        let what =
            ["field", "variant"].into_iter().find(|what| message.starts_with(&format!("unknown {what}")));
        let mut quoted = message.split('`').skip(1).step_by(2);
        let (Some(what), Some(written)) = (what, quoted.next()) else {
            return Self::field(&path, message);
        };
        let known: Vec<&str> = quoted.collect();
        let path = match what {
            "field" if path != written && !path.ends_with(&format!(".{written}")) => join(&path, written),
            _ => path,
        };
        Self::unknown(&path, if what == "field" { "field" } else { "choice" }, written, &known)
    }

    /// `written` is none of `known`.
    pub(super) fn unknown(path: &str, what: &str, written: &str, known: &[&str]) -> Self {
        let list = known.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let meant =
            nearest(written, known).map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
        Self::field(path, format!("there is no {what} `{written}`, only {list}{meant}"))
    }
}

/// `field` inside `path`.
pub(super) fn join(path: &str, field: &str) -> String {
    match (path, field) {
        ("" | ".", field) => field.to_owned(),
        (path, "" | ".") => path.to_owned(),
        (path, field) if field.starts_with('[') => format!("{path}{field}"),
        (path, field) => format!("{path}.{field}"),
    }
}

fn nearest<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let score = |name: &str| strsim::damerau_levenshtein(written, name);
    let best = known.iter().copied().min_by_key(|name| score(name))?;
    (score(best) <= 1 + best.chars().count() / 4).then_some(best)
}
