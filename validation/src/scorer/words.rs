//! Does the answer say this?

use serde::{Deserialize, Serialize};

use super::{Score, ScoreError, Texts};
use crate::{Reply, dataset::Question, excerpt::excerpt, fold::normal};

/// The answer is the expected one, to the byte.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Exact {
    /// What is expected, any of them.
    pub value: Texts,
}

/// The answer is the expected one but for case, accents, space and the punctuation around it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Normalised {
    /// What is expected, any of them.
    pub value: Texts,
}

/// The answer contains texts, anywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Contains {
    /// What it must contain.
    pub value: Texts,
    /// Whether one of them is enough.
    pub require: Required,
    /// Whether upper and lower case are the same.
    pub ignore_case: bool,
}

/// The answer begins with a text, whatever space stands before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(default, deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct StartsWith {
    /// What it begins with, any of them.
    pub value: Texts,
    /// Whether upper and lower case are the same.
    pub ignore_case: bool,
}

/// How many of several texts must be there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "all of them or any of them")]
pub enum Required {
    /// All that the assertion itself names. Targets of the question are alternatives, so one is enough.
    #[default]
    All,
    /// One of them.
    Any,
}

impl Exact {
    pub(super) fn score(&self, question: &Question, reply: &Reply) -> Result<Score, ScoreError> {
        let expected = self.value.or_targets(question)?;
        Ok(same(expected, &reply.text, expected.contains(&reply.text)))
    }
}

impl Normalised {
    pub(super) fn score(&self, question: &Question, reply: &Reply) -> Result<Score, ScoreError> {
        let expected = self.value.or_targets(question)?;
        let said = normal(&reply.text);
        Ok(same(expected, &reply.text, expected.iter().any(|text| normal(text) == said)))
    }
}

impl Contains {
    pub(super) fn score(&self, question: &Question, reply: &Reply) -> Result<Score, ScoreError> {
        let wanted = self.value.or_targets(question)?;
        let said = cased(&reply.text, self.ignore_case);
        let lacking: Vec<_> = (wanted.iter().map(String::as_str))
            .filter(|text| !said.contains(&cased(text, self.ignore_case)))
            .collect();
        let share = 1.0 - lacking.len() as f64 / wanted.len() as f64;
        let all = self.require == Required::All && !self.value.0.is_empty();
        let why = match lacking.as_slice() {
            [] => "contains what it should".to_owned(),
            lacking => format!("does not contain {}: {}", quoted(lacking), excerpt(&reply.text, 200)),
        };
        Ok(match all {
            true => Score::at_least(1.0, share, why),
            false => Score::whether(share > 0.0, why),
        })
    }
}

impl StartsWith {
    pub(super) fn score(&self, question: &Question, reply: &Reply) -> Result<Score, ScoreError> {
        let wanted = self.value.or_targets(question)?;
        let said = cased(reply.text.trim_start(), self.ignore_case);
        let starts = wanted.iter().any(|text| said.starts_with(&cased(text, self.ignore_case)));
        let why = match starts {
            true => "begins as it should".to_owned(),
            false => format!("does not begin with {}: {}", quoted(wanted), excerpt(&reply.text, 200)),
        };
        Ok(Score::whether(starts, why))
    }
}

fn same(expected: &[String], said: &str, passed: bool) -> Score {
    let why = match passed {
        true => excerpt(said, 200),
        false => format!("{} expected, `{}` answered", quoted(expected), excerpt(said, 200)),
    };
    Score::whether(passed, why)
}

fn cased(text: &str, ignore_case: bool) -> String {
    if ignore_case { text.to_lowercase() } else { text.to_owned() }
}

/// The first of `texts` in backticks.
pub(super) fn quoted(texts: &[impl AsRef<str>]) -> String {
    const SHOWN: usize = 3;
    let mut shown: Vec<_> =
        texts.iter().take(SHOWN).map(|text| format!("`{}`", excerpt(text.as_ref(), 100))).collect();
    if texts.len() > SHOWN {
        shown.push(format!("{} more", texts.len() - SHOWN));
    }
    shown.join(", ")
}
