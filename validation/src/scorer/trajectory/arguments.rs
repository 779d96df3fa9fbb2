//! When the arguments of a call are those that were expected.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How arguments are compared. Numbers are equal by their value, so 1 is 1.0.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Arguments {
    /// They are the expected ones.
    #[default]
    Exact,
    /// They need not match; only the names of the tools do.
    Ignore,
    /// They include the expected ones; objects may have more members, at any depth.
    Subset,
}

impl Arguments {
    pub(super) fn fit(self, found: &Value, wanted: &Value, ignored: &BTreeSet<String>) -> bool {
        match self {
            Self::Exact => includes(found, wanted, ignored, true),
            Self::Ignore => true,
            Self::Subset => includes(found, wanted, ignored, false),
        }
    }
}

fn includes(found: &Value, wanted: &Value, ignored: &BTreeSet<String>, nothing_else: bool) -> bool {
    match (found, wanted) {
        (Value::Object(found), Value::Object(wanted)) => {
            let matters = |name: &&String| !ignored.contains(*name);
            let all = wanted.iter().filter(|(name, _)| matters(name)).all(|(name, wanted)| {
                found.get(name).is_some_and(|found| includes(found, wanted, ignored, nothing_else))
            });
            all && (!nothing_else || found.keys().filter(matters).all(|name| wanted.contains_key(name)))
        }
        (Value::Array(found), Value::Array(wanted)) => {
            found.len() == wanted.len()
                && found
                    .iter()
                    .zip(wanted)
                    .all(|(found, wanted)| includes(found, wanted, ignored, nothing_else))
        }
        (Value::Number(found), Value::Number(wanted)) => found == wanted || found.as_f64() == wanted.as_f64(),
        (found, wanted) => found == wanted,
    }
}
