//! Does the answer match a regular expression?

use std::fmt;

use regex::{Regex, RegexBuilder};
use serde::{Deserialize, Serialize};

use super::Score;
use crate::{Reply, excerpt::excerpt};

/// The answer matches a regular expression somewhere.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::exhaustive_structs, reason = "passive data")]
pub struct Matches {
    /// The expression, such as `(?i)^\s*yes\b`.
    pub pattern: Pattern,
}

/// A regular expression in the syntax of the crate [regex](https://docs.rs/regex/1/regex/#syntax), which
/// has no look-around and no back-references and therefore takes time linear in the text.
#[derive(Clone, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct Pattern(Regex);

impl Pattern {
    /// Longest expression, in bytes.
    const LONGEST: usize = 4_096;
    /// Most memory that a compiled expression may take, in bytes.
    const LARGEST: usize = 1 << 20;

    /// Compiles an expression.
    ///
    /// # Errors
    ///
    /// What is wrong with it, in words.
    pub fn new(pattern: &str) -> Result<Self, String> {
        if pattern.len() > Self::LONGEST {
            return Err(format!("the expression is longer than {} bytes; split it", Self::LONGEST));
        }
        let mut builder = RegexBuilder::new(pattern);
        builder.size_limit(Self::LARGEST).dfa_size_limit(Self::LARGEST).nest_limit(50);
        builder.build().map(Self).map_err(|error| {
            let why = error.to_string();
            format!("it is no regular expression: {}", why.lines().last().unwrap_or_default())
        })
    }
}

impl Matches {
    pub(super) fn score(&self, reply: &Reply) -> Score {
        match self.pattern.0.find(&reply.text) {
            Some(found) => Score::whether(true, format!("matches with `{}`", excerpt(found.as_str(), 100))),
            None => {
                let answered = excerpt(&reply.text, 200);
                Score::whether(false, format!("does not match `{}`: {answered}", self.pattern.0.as_str()))
            }
        }
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_str() == other.0.as_str()
    }
}

impl TryFrom<String> for Pattern {
    type Error = String;

    fn try_from(pattern: String) -> Result<Self, String> {
        Self::new(&pattern)
    }
}

impl From<Pattern> for String {
    fn from(pattern: Pattern) -> Self {
        pattern.0.as_str().to_owned()
    }
}

impl fmt::Debug for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.0.as_str(), f)
    }
}
